"""Images and folders of images: order, damage, and what is no image."""

from __future__ import annotations

import math
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.stills import is_truncated, natural_key, read_image
from videos import make_video, number_of, picture


def write_image(path: Path, number: int = 1, size: tuple[int, int] = (160, 96)) -> Path:
    assert cv2.imwrite(str(path), picture(number, size))
    return path


def test_image_is_a_source_of_one_frame(tmp_path):
    (frame,) = open_source(write_image(tmp_path / "a.png", 7))
    assert (frame.index, number_of(frame.image), frame.name) == (0, 7, "a.png")
    assert math.isnan(frame.time_s)


def test_image_is_known_by_content_not_by_name(tmp_path):
    path = write_image(tmp_path / "a.png", 7).rename(tmp_path / "a.mp4")
    assert open_source(path).info.kind == "image"


def test_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 2, 1):
        write_image(tmp_path / f"frame{number}.png", number)
    (tmp_path / "readme.txt").write_text("not an image")
    (tmp_path / ".hidden.png").write_bytes(b"")
    source = open_source(tmp_path)
    assert [f.name for f in source] == ["frame1.png", "frame2.png", "frame10.png"]
    assert [f.index for f in source] == [0, 1, 2]
    assert (source.info.kind, source.info.stem) == (
        "images",
        tmp_path.name.replace("[", "_").replace("]", "_"),
    )


def test_what_is_left_out_of_a_folder_is_noted(tmp_path):
    write_image(tmp_path / "1.png")
    for name in ("b10.GIF", "b9.heic", "notes.txt", "a.mp4", "labels.csv"):
        (tmp_path / name).write_bytes(b"x")
    pictures, videos = open_source(tmp_path).info.notes
    assert pictures.startswith("2 pictures left out")
    assert pictures.endswith(": b9.heic, b10.GIF.")
    assert videos.startswith("1 video left out")
    assert videos.endswith(": a.mp4.")


def test_fingerprint_of_a_folder_follows_the_content_of_its_images(tmp_path):
    path = tmp_path / "1.bmp"
    prints = [open_source(write_image(path, number).parent).info.fingerprint for number in (1, 2, 1)]
    assert prints[0] == prints[2] != prints[1]


def test_natural_order_holds_for_names_that_mix_text_and_numbers():
    names = ["b1", "a10", "a2", "A1", "10", "9", "a", "²3"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "A1", "a2", "a10", "b1", "²3"]


def test_damaged_images_of_a_folder_leave_gaps_and_are_noted_once(tmp_path):
    for number in range(6):
        write_image(tmp_path / f"{number}.jpg", number)
    for number in (2, 4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(path.read_bytes()[:-40])
    source = open_source(tmp_path)
    for _ in range(2):
        assert [f.index for f in source] == [0, 1, 3, 5]
        assert source.info.notes == ["2 images left out (cannot be read): 2.jpg, 4.jpg."]


@pytest.mark.parametrize(
    ("fill", "reason"),
    [
        (lambda folder: (folder / "a.txt").write_text("x"), "holds no images"),
        (lambda folder: make_video(folder / "a.mp4", 2), r"holds videos: name one, e.g. a\.mp4"),
        (lambda folder: (folder / "a.jpg").write_bytes(b""), "None of the 1 images"),
    ],
)
def test_folder_without_good_images_is_an_error(tmp_path, fill, reason):
    fill(tmp_path)
    with pytest.raises(SourceError, match=reason):
        open_source(tmp_path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_truncated_image_is_an_error_and_no_grey_picture(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    rng = np.random.default_rng(0)
    cv2.imwrite(str(path), rng.integers(0, 255, (96, 160, 3), np.uint8))
    data = path.read_bytes()
    assert not is_truncated(data)
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match="truncated"):
        open_source(path)


def huge_png(path: Path, side: int = 30_000) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes(side * (1 + side // 8)))
    head = struct.pack(">2I5B", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path


def huge_bmp(path: Path) -> Path:
    path.write_bytes(b"BM" + struct.pack("<IIIIiiHH24x", 70, 0, 54, 40, 30_000, 30_000, 1, 24) + bytes(16))
    return path


@pytest.mark.parametrize(("make", "name"), [(huge_png, "a.png"), (huge_bmp, "a.bmp")])
def test_a_picture_of_very_many_pixels_is_refused_before_it_is_decoded(tmp_path, make, name):
    """In a process of its own, whose memory is measured; 900 million pixels of colour are 2.7 GB."""
    code = (
        "import sys\n"
        "from peoplenet_nb.sources import open_source\n"
        "try:\n    open_source(sys.argv[1])\n"
        "except Exception as error:\n    print(error)\n"
        # Not getrusage: it remembers what the process that started this one had.
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])"
    )
    command = [sys.executable, "-c", code, str(make(tmp_path / name))]
    shown, kilobytes = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "too large: more than 200 million pixels" in shown
    assert int(kilobytes) < 500_000


def test_a_huge_png_is_refused_where_opencv_has_no_limit_of_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(SourceError, match="too large"):
        read_image(huge_png(tmp_path / "a.png"))


def test_jpeg_with_a_thumbnail_does_not_end_at_the_thumbnails_end():
    fine, data = cv2.imencode(".jpg", picture(3))
    assert fine
    whole = data.tobytes()
    exif = b"\xff\xe1" + (len(whole) + 2).to_bytes(2, "big") + whole  # a whole JPEG inside a segment
    assert not is_truncated(whole[:2] + exif + whole[2:])
    assert is_truncated(whole[:2] + exif + whole[2:-30])


@pytest.mark.parametrize("data", [b"", b"GIF", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"])
def test_empty_or_broken_images_are_errors(tmp_path, data):
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"empty|truncated|not an image"):
        open_source(path)
