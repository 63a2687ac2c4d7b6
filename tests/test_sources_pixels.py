"""Frames of a video are converted when they are looked at, and their brightness is had without it."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.pixels import VideoPixels
from peoplenet_nb.sources.repair import UPRIGHT
from videos import make_video, number_of, picture

QUARTER = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def test_frames_are_converted_only_when_somebody_looks(tmp_path: Path, monkeypatch) -> None:
    made: list[str] = []
    real = VideoPixels._converted
    monkeypatch.setattr(VideoPixels, "_converted", lambda self, name: made.append(name) or real(self, name))
    source = open_source(make_video(tmp_path / "a.mp4", 8))
    made.clear()
    frames = list(source)
    assert made == [], "the format is known from the first frame"
    assert number_of(frames[5].image) == 5
    assert made == ["bgr24"]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "container"),
    [("libx264", "yuv420p", "mp4"), ("ffv1", "bgr0", "mkv"), ("libx264", "yuv420p10le", "mp4")],
    ids=["a plane of its own", "converted", "two bytes a pixel"],
)
def test_brightness_is_that_of_the_picture(tmp_path: Path, codec: str, pix_fmt: str, container: str) -> None:
    path = make_video(tmp_path / f"a.{container}", 5, (162, 98), codec=codec, pix_fmt=pix_fmt)
    for frame in open_source(path):
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY)
        assert frame.pixels.grey.shape == grey.shape
        assert np.corrcoef(grey.ravel(), frame.pixels.grey.ravel())[0, 1] > 0.99
        assert frame.pixels.size == (162, 98)


def test_a_turned_frame_tells_the_size_of_its_picture(tmp_path: Path) -> None:
    source = open_source(make_video(tmp_path / "a.mp4", 2, matrix=QUARTER))
    for frame in source:
        assert frame.pixels.size == (frame.image.shape[1], frame.image.shape[0]) == (96, 160)


def test_what_cannot_be_converted_is_an_error_of_ours() -> None:
    frame = av.VideoFrame.from_ndarray(picture(1), format="bgr24")
    pixels = VideoPixels(frame, UPRIGHT)
    with pytest.raises(SourceError, match="cannot be converted"):
        pixels._converted("no such format")
