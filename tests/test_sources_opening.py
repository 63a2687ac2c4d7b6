"""Sources: what is read, in which order, and what is noted of what is odd."""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from forbidding import forbidden
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.files import fingerprint_of
from peoplenet_nb.sources import open_source
from videos import damage, make_sound, make_video, number_of, picture


def notes(source) -> str:
    return " ".join(source.info.notes)


# ---------------------------------------------------------------- videos


def test_video_gives_every_frame_in_order_with_its_time(tmp_path):
    source = open_source(make_video(tmp_path / "a.mp4", 30))
    frames = list(source)
    assert [number_of(f.image) for f in frames] == [f.index for f in frames] == list(range(30))
    assert [f.time_s for f in frames] == pytest.approx([i / 25 for i in range(30)])
    assert frames[0].image.shape == (96, 160, 3)
    assert frames[0].image.dtype == np.uint8
    assert (source.info.kind, source.info.frame_count, source.info.fps) == ("video", 30, 25.0)
    assert source.info.notes == []


@pytest.mark.parametrize(
    ("every", "frames", "start", "expected"),
    [
        (1, 3, 0, [0, 1, 2]),  # the first few
        (7, None, 0, [0, 7, 14, 21, 28]),  # to the end
        (10, 2, 5, [5, 15]),  # from the middle
        (100, 5, 0, [0]),  # the video is shorter than the sampling
        (1, None, 29, [29]),  # the very last
    ],
)
def test_sampling_gives_places_in_the_source(tmp_path, every, frames, start, expected):
    source = open_source(make_video(tmp_path / "a.mp4", 30), every=every, frames=frames, start=start)
    given = list(source)
    assert [f.index for f in given] == expected
    assert [number_of(f.image) for f in given] == expected
    assert source.expected == len(expected)


def test_the_rest_of_a_source_follows_what_was_given(tmp_path):
    source = open_source(make_video(tmp_path / "a.mp4", 30), every=4, frames=6)
    whole = [f.index for f in source]
    assert [f.index for f in source.after(whole[2], 3)] == whole[3:]
    assert list(source.after(whole[-1], 6)) == []


def test_skipped_frames_are_not_made_into_pixels(tmp_path, monkeypatch):
    source = open_source(make_video(tmp_path / "a.mp4", 30), every=10)
    made = []
    real = source._pixels
    monkeypatch.setattr(source, "_pixels", lambda *args: made.append(1) or real(*args))
    assert len(list(source)) == len(made) == 3


def test_a_source_can_be_read_twice_and_says_things_once(tmp_path):
    source = open_source(make_video(tmp_path / "a.mkv", 12, times=[0.04 * i * i for i in range(12)]))
    assert [f.index for f in source] == [f.index for f in source]
    assert len(source.info.notes) == len(set(source.info.notes)) == 2


def test_odd_sizes_come_as_they_are(tmp_path):
    path = make_video(tmp_path / "a.mkv", 5, (161, 97), codec="ffv1", pix_fmt="bgr0")
    assert {f.image.shape for f in open_source(path)} == {(97, 161, 3)}


def test_variable_frame_rate_keeps_its_times_and_is_noted(tmp_path):
    times = [0.0, 0.04, 0.2, 0.24, 1.0, 1.04]
    source = open_source(make_video(tmp_path / "a.mp4", 6, times=times))
    assert [f.time_s for f in source] == pytest.approx(times, abs=1e-3)
    assert "frame rate varies (40 to 760 ms" in notes(source)


ONE = 1 << 16


@pytest.mark.parametrize(
    ("matrix", "turn", "rotation"),
    [
        ((0, -ONE, 0, ONE, 0, 0, 0, 0, 1 << 30), lambda a: np.rot90(a, 1), 90),  # a phone held upright
        ((0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30), lambda a: np.rot90(a, 3), 270),  # held upside down
        ((-ONE, 0, 0, 0, -ONE, 0, 0, 0, 1 << 30), lambda a: np.rot90(a, 2), 180),  # on its head
        ((-ONE, 0, 0, 0, ONE, 0, 0, 0, 1 << 30), lambda a: a[:, ::-1], 0),  # a mirrored front camera
        ((0, ONE, 0, ONE, 0, 0, 0, 0, 1 << 30), lambda a: a.transpose(1, 0, 2), 0),  # mirrored and turned
    ],
)
def test_rotation_data_is_applied_and_noted(tmp_path, matrix, turn, rotation):
    source = open_source(make_video(tmp_path / "a.mp4", 3, matrix=matrix))
    plain = open_source(make_video(tmp_path / "b.mp4", 3))
    for turned, straight in zip(source, plain, strict=True):
        np.testing.assert_array_equal(turned.image, turn(straight.image))
    first = next(iter(source)).image
    assert (source.info.width, source.info.height) == (first.shape[1], first.shape[0])
    assert source.info.rotation == rotation
    assert "rotation data" in notes(source)


@pytest.mark.parametrize(("suffix", "container"), [("mkv", None), ("ts", "mpegts"), ("h264", "h264")])
def test_missing_frame_count_is_none_and_noted(tmp_path, suffix, container):
    source = open_source(make_video(tmp_path / f"a.{suffix}", 30, container=container))
    assert source.info.frame_count is None
    assert "does not state its number of frames" in notes(source)
    assert [number_of(f.image) for f in source] == list(range(30))
    if suffix != "h264":
        assert source.expected == 30


def test_missing_timestamps_are_counted_out(tmp_path):
    source = open_source(make_video(tmp_path / "a.h264", 10, container="h264"))
    assert [f.time_s for f in source] == pytest.approx([i / 25 for i in range(10)])
    assert "lacks timestamps" in notes(source)


@pytest.mark.parametrize("how", ["noise", "zeros"])
@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_damage_in_the_middle_is_passed_over_counted_and_noted(tmp_path, suffix, how):
    options = {"movflags": "+faststart"} if suffix == "mp4" else {}
    whole = make_video(tmp_path / f"a.{suffix}", 100, (320, 192), options=options)
    source = open_source(damage(whole, tmp_path / f"b.{suffix}", (0.45, 0.6), how))
    frames = list(source)
    assert [f.index for f in frames][:20] == list(range(20))
    assert 50 < len(frames) < 100
    assert "damaged" in notes(source)
    assert all(b.index > a.index and b.time_s > a.time_s for a, b in pairwise(frames))
    assert frames[-1].time_s == pytest.approx(99 / 25, abs=0.05)
    assert number_of(frames[-1].image) == 99
    if suffix == "mp4":  # its packets are all there, so lost frames can be counted
        assert [number_of(f.image) for f in frames[-20:]] == [f.index for f in frames[-20:]]


def test_damage_reads_the_same_every_time(tmp_path):
    whole = make_video(tmp_path / "a.mp4", 60, (320, 192), options={"movflags": "+faststart"})
    source = open_source(damage(whole, tmp_path / "b.mp4", (0.5, 0.55)))
    first, second = ([(f.index, f.time_s, int(f.image.sum())) for f in source] for _ in range(2))
    assert first == second


def test_truncated_video_gives_what_there_is(tmp_path):
    whole = make_video(tmp_path / "a.mp4", 100, (320, 192), options={"movflags": "+faststart"})
    source = open_source(damage(whole, tmp_path / "b.mp4", (0.6, 1), "cut"))
    frames = list(source)
    assert 30 < len(frames) < 80
    assert [number_of(f.image) for f in frames[:30]] == list(range(30))
    assert "incomplete: it states 100 frames" in notes(source)


@pytest.mark.parametrize("size", [(160, 96), (320, 192)])
def test_recordings_cut_together_are_read_through(tmp_path, size):
    parts = [make_video(tmp_path / "a.ts", 20), make_video(tmp_path / "b.ts", 20, size)]
    (tmp_path / "c.ts").write_bytes(b"".join(p.read_bytes() for p in parts))
    source = open_source(tmp_path / "c.ts")
    frames = list(source)
    assert [f.index for f in frames] == list(range(40))
    assert [number_of(f.image) for f in frames] == [*range(20), *range(20)]
    assert all(b.time_s > a.time_s for a, b in pairwise(frames))
    assert 1.4 < frames[-1].time_s < 1.6
    assert "ran backwards" in notes(source)


def test_small_videos_and_colourless_ones_are_read(tmp_path):
    assert (
        len(list(open_source(make_video(tmp_path / "a.mkv", 3, (16, 16), codec="ffv1", pix_fmt="gray")))) == 3
    )


def text(path: Path) -> Path:
    path.write_text("these are words, not pictures\n" * 20)
    return path


def recording_without_index(path: Path) -> Path:
    data = make_video(path, 20).read_bytes()
    path.write_bytes(data[: data.rfind(b"moov")])
    return path


def page(path: Path) -> Path:
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")
    return path


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (text, "a.mp4", "not a video, and looks like text"),  # a text that was renamed
        (text, "a.txt", "not a video, and looks like text"),  # which FFmpeg would show as a terminal
        (page, "a.mp4", "error page"),  # a download that failed
        (make_sound, "a.m4a", "sound but no pictures"),  # music
        (lambda p: make_sound(p, cover=True), "a.m4a", "cover picture"),  # music with a cover
        (recording_without_index, "a.mp4", "has no index"),  # a recorder that lost its power
        (lambda p: p.touch() or p, "a.mp4", "is empty"),  # a download that never began
        (lambda p: p.write_bytes(bytes(5000)) and p, "a.avi", "not a video"),  # zeros
        (lambda p: p.write_bytes(b"\xff\xfe" * 3000) and p, "a.mov", "not a video"),  # noise
    ],
)
def test_what_is_no_video_is_an_error_that_says_why(tmp_path, make, name, reason):
    with pytest.raises(SourceError, match=reason) as caught:
        open_source(make(tmp_path / name))
    assert caught.value.seen
    assert caught.value.next_step


def test_a_codec_that_ffmpeg_lacks_is_an_error_of_ours(tmp_path):
    path = make_video(tmp_path / "a.avi", 3, codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))
    with pytest.raises(SourceError, match="no decoder for the video"):
        open_source(path)


def test_video_name_with_a_colon_is_no_address(tmp_path):
    assert len(list(open_source(make_video(tmp_path / "12:30 %d #1.mp4", 3)))) == 3


# ---------------------------------------------------------------- paths


def test_missing_file_names_its_neighbours(tmp_path):
    make_video(tmp_path / "street.mp4", 2)
    with pytest.raises(SourceError, match=r"No such file.*did you mean .*street\.mp4"):
        open_source(tmp_path / "stret.mp4")


def test_missing_folder_says_how_far_the_path_exists(tmp_path):
    with pytest.raises(SourceError, match=f"exists up to {tmp_path}"):
        open_source(tmp_path / "no" / "such" / "video.mp4")


@pytest.mark.parametrize("spec", ["", "ftp://host/video.mp4", "rtsp://me:secret@host/cam"])
def test_what_cannot_be_a_source_is_refused_without_its_password(spec):
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    assert "secret" not in str(caught.value)


def test_unreadable_file_is_an_error(tmp_path, monkeypatch):
    path = make_video(tmp_path / "a.mp4", 2)

    def refuse(*_args, **_kwargs):  # chmod does not stop root, as whom tests may run
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="may not be read"):
        open_source(path)


@pytest.mark.parametrize("value", [10**23, 10**6])
def test_sampling_may_be_as_coarse_as_it_likes(tmp_path, value):
    source = open_source(make_video(tmp_path / "a.mp4", 3), every=value, frames=value)
    assert (source.expected, len(list(source))) == (1, 1)


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\na.mp4\n", "ffconcat version 1.0\nfile a.mp4\n"])
def test_a_playlist_does_not_open_other_files(tmp_path, text):
    make_video(tmp_path / "a.mp4", 3)
    (tmp_path / "list.m3u8").write_text(text)
    with pytest.raises(SourceError, match="playlist"):
        open_source(tmp_path / "list.m3u8")


@pytest.mark.parametrize(
    ("name", "value"),
    [("every", 0), ("frames", 0), ("start", -1), ("every", 1.5), ("frames", math.nan), ("every", math.inf)],
)
def test_sampling_that_makes_no_sense_is_refused(tmp_path, name, value):
    with pytest.raises(SettingsError, match=f"{name} must be"):
        open_source(make_video(tmp_path / "a.mp4", 2), **{name: value})


def test_start_behind_the_end_is_refused(tmp_path):
    with pytest.raises(SourceError, match="has 2 frames"):
        open_source(make_video(tmp_path / "a.mp4", 2), start=2)


def test_fingerprint_of_a_long_video_follows_the_time_of_its_last_change(tmp_path):
    path = tmp_path / "long.mp4"
    with path.open("wb") as stream:
        stream.truncate(80 << 20)
    prints = []
    for second in (1, 2, 1):
        os.utime(path, (second, second))
        prints.append(fingerprint_of(path))
    assert prints[0] == prints[2] != prints[1]


def test_fingerprint_follows_content_not_name(tmp_path):
    a, b = make_video(tmp_path / "a.mp4", 5), make_video(tmp_path / "b.mp4", 6)
    copied = tmp_path / "c.mp4"
    copied.write_bytes(a.read_bytes())
    prints = [open_source(p).info.fingerprint for p in (a, b, copied)]
    assert prints[0] == prints[2] != prints[1]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("~nouser-of-this-machine/x.mp4", "cannot be a path"),  # whose home?
        ("x" * 300, "cannot be a path"),  # longer than a name may be
        ("a\0b.mp4", "cannot be a path"),  # a null character ends every name
        ("pyproject.toml/x.mp4", "No such file"),  # a file is no folder
    ],
)
def test_what_cannot_be_a_path_is_an_error_of_ours(spec, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(spec)


def test_file_in_a_folder_that_may_not_be_entered_is_reported_as_forbidden(tmp_path):
    (tmp_path / "lock").mkdir()
    make_video(tmp_path / "lock" / "a.mp4", 3)
    for spec in ("lock", "lock/a.mp4", "lock/none.mp4", "lock/b/c.jpg"):
        with forbidden(tmp_path / "lock"), pytest.raises(SourceError, match="may not be read") as raised:
            open_source(tmp_path / spec)
        assert "Permission denied" in str(raised.value.seen)


@pytest.mark.parametrize("codec", ["ffv1", "libx264"])
def test_a_video_that_no_gpu_decodes_is_read_by_the_cpu_and_it_is_noted(tmp_path, codec, monkeypatch):
    """FFV1, which no NVDEC knows, and H.264 where there is no device to make a decoder on."""
    path = make_video(tmp_path / "a.mkv", 12, codec=codec)

    def no_device(*args, **kwargs):
        raise av.error.PermissionError(1, "Operation not permitted")

    if codec == "libx264":
        real = av.open
        monkeypatch.setattr(av, "open", lambda *a, **k: no_device() if k.get("hwaccel") else real(*a, **k))
    plain, asked = (open_source(path, every=2, decoder=decoder) for decoder in ("cpu", "nvdec"))
    for ours, theirs in zip(asked, plain, strict=True):
        assert ours.index == theirs.index
        np.testing.assert_array_equal(ours.image, theirs.image)
    (note,) = [note for note in asked.info.notes if note not in plain.info.notes]
    assert note.startswith("No GPU here decodes this video (")
    assert note.endswith("): the CPU does.")
    assert str(asked.decoder) == "cpu"
    assert (asked.every, asked.info.fingerprint) == (2, plain.info.fingerprint)


def test_images_are_decoded_as_ever_whatever_decodes_videos(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), picture(3))
    (frame,) = open_source(tmp_path / "a.png", decoder="nvdec")
    assert number_of(frame.image) == 3
    with pytest.raises(SettingsError, match="decoder.*cuvid"):
        open_source(tmp_path / "a.png", decoder="cuvid")


@pytest.mark.parametrize("name", ["a.svg", "a.heic", "a", "a.mp4"])
def test_a_picture_of_a_kind_that_is_not_read_is_named_as_one(tmp_path, name):
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic" + bytes(40) if name.endswith("heic") else svg)
    with pytest.raises(SourceError, match="kind of picture cannot be read"):
        open_source(tmp_path / name)


def test_a_gif_is_a_video(tmp_path):
    make_video(tmp_path / "a.gif", 4, codec="gif", pix_fmt="rgb8")
    assert len(list(open_source(tmp_path / "a.gif"))) == 4


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="Linux has it")
def test_a_file_of_the_system_that_never_ends_is_refused():
    with pytest.raises(SourceError, match="empty"):
        open_source("/proc/kmsg")
