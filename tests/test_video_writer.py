"""Videos: written, joined and read back so that a browser plays them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peoplenet_nb.errors import DeviceError, OutputError
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import writer as video_module
from peoplenet_nb.video.mp4 import check_video, join_videos
from peoplenet_nb.video.writer import VideoWriter, choose_encoder, padded_size, padding_note
from videos import make_video, number_of, picture


def write(path: Path, times, size=(160, 96), first=0, **options) -> Path:
    with VideoWriter(path, size, 25, **options) as writer:
        for i, time_s in enumerate(times):
            writer.write(picture(first + i, size), time_s)
    return path


def test_video_plays_in_a_browser(tmp_path):
    check = check_video(write(tmp_path / "a.mp4", [i / 25 for i in range(20)]), frames=20)
    assert (check.codec, check.pix_fmt, check.frames, check.faststart) == ("h264", "yuv420p", 20, True)
    assert check.duration_s == pytest.approx(20 / 25)
    assert check.problems == ()
    assert list(tmp_path.iterdir()) == [tmp_path / "a.mp4"]


def test_pictures_and_times_come_back(tmp_path):
    times = [0.0, 0.04, 0.5, 0.501, 3.0]
    frames = list(open_source(write(tmp_path / "a.mp4", times)))
    assert [number_of(f.image) for f in frames] == list(range(5))
    assert [f.time_s for f in frames] == pytest.approx(times, abs=1e-4)


def test_colours_come_back_and_are_named(tmp_path):
    colours = [(0, 159, 230), (233, 180, 86), (167, 121, 204), (255, 255, 255), (0, 0, 0)]
    with VideoWriter(tmp_path / "a.mp4", (64, 64), 25) as writer:
        for i, colour in enumerate(colours):
            writer.write(np.full((64, 64, 3), colour, np.uint8), i / 25)
    for frame, colour in zip(open_source(tmp_path / "a.mp4"), colours, strict=True):
        assert frame.image.mean(axis=(0, 1)) == pytest.approx(colour, abs=6)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        # BT.601, limited range: left out, a browser would guess BT.709 for large videos.
        assert (context.colorspace, context.color_range) == (6, 1)


@settings(max_examples=25, deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 200))
def test_any_size_is_padded_to_even_and_noted(tmp_path_factory, width, height):
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    with VideoWriter(path, (width, height), 25) as writer:
        writer.write(np.full((height, width, 3), 200, np.uint8), 0.0)
    check = check_video(path, frames=1)
    assert check.problems == ()
    assert (check.width, check.height) == padded_size((width, height))
    assert check.width % 2 == check.height % 2 == 0
    assert 0 <= check.width - width <= max(1, 16 - width)
    (frame,) = open_source(path)
    assert abs(int(frame.image.min()) - 200) <= 4  # the padding repeats the edge; no dark line
    assert bool(padding_note((width, height))) == ((check.width, check.height) != (width, height))


def test_frames_of_another_size_are_scaled_and_counted(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (160, 96), 25) as writer:
        writer.write(picture(1), 0.0)
        writer.write(picture(2, (320, 192)), 0.04)
        assert writer.rescaled == 1
    assert [number_of(f.image) for f in open_source(tmp_path / "a.mp4")] == [1, 2]


def test_pixel_aspect_is_kept(tmp_path):
    path = write(tmp_path / "a.mp4", [0, 0.04], pixel_aspect=Fraction(16, 15))
    assert open_source(path).info.pixel_aspect == Fraction(16, 15)


def test_timestamps_that_do_not_rise_are_moved(tmp_path):
    path = write(tmp_path / "a.mp4", [0.0, 0.0, 0.0, 0.04])
    assert check_video(path, frames=4).problems == ()
    assert [frame.time_s for frame in open_source(path)] == pytest.approx([0, 1e-5, 2e-5, 0.04], abs=2e-5)
    with av.open(str(path)) as container:
        stamps = [packet.pts for packet in container.demux(video=0) if packet.size]
    assert len(set(stamps)) == 4


def test_parts_join_without_encoding_again(tmp_path):
    times = [i * i * 0.01 for i in range(12)]  # a variable rate: gaps grow
    parts = []
    for first in (0, 5, 9):
        own = times[first : first + (5 if first == 0 else 4 if first == 5 else 3)]
        path = write(tmp_path / f"{first}.mp4", [t - times[first] for t in own], first=first, faststart=False)
        parts.append((path, times[first]))
    assert not check_video(parts[0][0]).faststart
    whole = join_videos(parts, tmp_path / "whole.mp4")
    assert check_video(whole, frames=12).problems == ()
    frames = list(open_source(whole))
    assert [number_of(f.image) for f in frames] == list(range(12))
    assert [f.time_s for f in frames] == pytest.approx(times, abs=1e-4)
    assert check_video(whole).duration_s == pytest.approx(times[-1] + 1 / 25, abs=1e-4)
    alone = list(open_source(parts[1][0]))
    for joined, single in zip(frames[5:9], alone, strict=True):
        np.testing.assert_array_equal(joined.image, single.image)  # copied, not encoded again


def test_a_folder_with_a_colon_is_no_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = write(Path("12:30/a.mp4"), [0.0, 0.04])
    assert check_video(join_videos([(part, 0.0)], Path("12:30/b.mp4")), frames=2).problems == ()


def test_parts_that_do_not_fit_are_refused_and_leave_nothing(tmp_path):
    parts = [(write(tmp_path / "a.mp4", [0]), 0.0), (write(tmp_path / "b.mp4", [0], (320, 192)), 0.04)]
    with pytest.raises(OutputError, match="encoded differently"):
        join_videos(parts, tmp_path / "whole.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda p: make_video(p, 5), "index stands at the end"),  # not prepared for the web
        (lambda p: make_video(p, 5, codec="mpeg4", options={"movflags": "+faststart"}), "mpeg4"),  # mp4v
        (
            lambda p: make_video(p, 5, pix_fmt="yuv444p", options={"movflags": "+faststart"}),
            "yuv444p",
        ),  # which browsers refuse
        (lambda p: make_video(p, 4, options={"movflags": "+faststart"}), "4 frames instead of 5"),  # one lost
    ],
)
def test_check_names_what_a_browser_would_not_play(tmp_path, make, problem):
    assert problem in " ".join(check_video(make(tmp_path / "a.mp4"), frames=5).problems)


def test_check_refuses_what_is_no_video(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(OutputError, match="cannot be read back"):
        check_video(tmp_path / "a.mp4")


def test_video_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "no").write_text("a file where a folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        VideoWriter(tmp_path / "no" / "a.mp4", (64, 64), 25)


def test_abandoned_video_leaves_nothing(tmp_path):
    def fail() -> None:
        with VideoWriter(tmp_path / "a.mp4", (64, 64), 25) as writer:
            writer.write(np.zeros((64, 64, 3), np.uint8), 0.0)
            raise RuntimeError("the run failed")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_video_without_frames_leaves_nothing(tmp_path):
    write(tmp_path / "a.mp4", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wanted", "gpu", "refusal", "chosen"),
    [
        ("x264", True, None, "x264"),  # what was asked for
        ("auto", False, None, "x264"),  # no GPU: NVENC is not even tried
        ("auto", True, None, "nvenc"),  # a GPU that encodes
        ("auto", True, "no NVENC on this GPU", "x264"),  # an H100: a GPU without an encoder
        ("nvenc", True, None, "nvenc"),
    ],
)
def test_encoder_is_what_really_opens(monkeypatch, wanted, gpu, refusal, chosen):
    monkeypatch.setattr(video_module, "gpus", lambda: ("a GPU",) if gpu else ())
    monkeypatch.setattr(video_module, "nvenc_refusal", lambda size: refusal)
    assert choose_encoder(wanted, (64, 48)) == chosen


def test_nvenc_asked_for_and_refused_is_an_error_with_its_reason(monkeypatch):
    monkeypatch.setattr(video_module, "nvenc_refusal", lambda size: "PermissionError: no device")
    with pytest.raises(DeviceError, match="PermissionError: no device"):
        choose_encoder("nvenc", (64, 48))
    with pytest.raises(DeviceError, match="Unknown encoder"):
        choose_encoder("av1", (64, 48))
