"""A single frame, frames spread over a source, and what is opened instead of an address that gives nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.sources import Source, open_source
from videos import make_video, number_of

NOWHERE = "http://127.0.0.1:9/video.mp4?token=abc"  # nobody listens on the discard port


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return open_source(make_video(tmp_path / "a.mp4", 20), every=3, frames=2)


@pytest.mark.parametrize(("index", "expected"), [(0, 0), (7, 7), (19, 19), (None, 10)])
def test_a_frame_is_had_by_its_place_whatever_is_sampled(
    source: Source, index: int | None, expected: int
) -> None:
    frame = source.frame(index)
    assert frame.index == number_of(frame.image) == expected


@pytest.mark.parametrize("index", [20, 9999, -1])
def test_a_frame_that_is_not_there_is_an_error_with_the_range(source: Source, index: int) -> None:
    with pytest.raises(SettingsError) as caught:
        source.frame(index)
    assert str(index) in str(caught.value)
    assert index < 0 or "from 0 to 19" in caught.value.next_step


def test_a_picture_has_one_frame(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    assert open_source(tmp_path / "a.png").frame().index == 0


@pytest.mark.parametrize(
    ("count", "apart", "expected", "reason"),
    [
        (5, 100, [0, 4, 8, 12, 16], "twenty frames: spread evenly"),
        (3, 5, [0, 5, 10], "long enough: as far apart as asked"),
        (50, 100, list(range(20)), "more than there are: all of them"),
    ],
)
def test_frames_are_a_hundred_apart_or_spread(
    source: Source, count: int, apart: int, expected: list[int], reason: str
) -> None:
    assert [frame.index for frame in source.spread(count, apart)] == expected, reason


def test_demo_is_the_projects_own_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert open_source("demo").info.spec == str(demo_clip())
    make_video(tmp_path / "a.mp4", 3).rename(tmp_path / "demo")  # who names something of their own gets that
    assert open_source("demo").info.frame_count == 3


def test_an_address_that_gives_nothing_can_be_replaced_and_says_so(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "a.mp4", 5)
    source = open_source(NOWHERE, instead=clip)
    assert source.opened == str(clip)
    (text,) = source.info.notes
    assert text.startswith("Instead of what was asked for, a.mp4 was opened: http://127.0.0.1:9/video.mp4")
    assert "token" not in text
    assert "Instead of what was asked for" in source._repr_html_()
    with pytest.raises(SourceError):
        open_source(NOWHERE)


def test_a_mistyped_path_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        open_source("/no/such/video.mp4", instead=make_video(tmp_path / "a.mp4", 5))


def test_a_source_shows_what_it_is(source: Source) -> None:
    shown = source._repr_html_()
    for text in ("a.mp4", "160 x 96 pixels", ">2<", ">25<"):
        assert text in shown
