"""Images and folders of images: order, damage, and what is no image."""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import open_source, stills
from peoplenet_nb.sources.imagesize import image_size
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


def stating(name: str, width: int, height: int) -> bytes:
    """Return a small image as OpenCV writes it, with another size in its head."""
    fine, data = cv2.imencode(Path(name).suffix, np.zeros((48, 80, 3), np.uint8))
    assert fine
    old, order = (80, 48), {".bmp": "<ii", ".jpg": ">HH", ".ppm": "", ".jp2": ">II"}[Path(name).suffix]
    if not order:
        return data.tobytes().replace(b"80 48", f"{width} {height}".encode())
    if name.endswith("jpg"):  # height comes first
        old, (width, height) = old[::-1], (height, width)
    before, after = struct.pack(order, *old), struct.pack(order, width, height)
    assert before in data.tobytes()
    return data.tobytes().replace(before, after)


def tiff(order: str, kind: int, width: int, height: int) -> bytes:
    mark, form = (b"II*\0" if order == "<" else b"MM\0*"), {3: "H2x", 4: "I"}[kind]
    entries = [struct.pack(f"{order}HHI{form}", tag, kind, 1, n) for tag, n in ((256, width), (257, height))]
    return mark + struct.pack(f"{order}IH", 8, len(entries)) + b"".join(entries)


IMAGES = {
    "png": lambda w, h: b"\x89PNG\r\n\x1a\n" + bytes(8) + struct.pack(">II", w, h),
    "bmp": lambda w, h: stating("a.bmp", w, h),
    "bmp upside down": lambda w, h: stating("a.bmp", w, -h),
    "bmp of OS/2": lambda w, h: b"BM" + bytes(12) + struct.pack("<IHH", 12, w, h),
    "jpeg": lambda w, h: stating("a.jpg", w, h),
    "jpeg with a thumbnail": lambda w, h: (
        b"\xff\xd8\xff\xe1"
        + struct.pack(">H", 22)
        + stating("a.jpg", 80, 48)[:20]
        + stating("a.jpg", w, h)[2:]
    ),
    "jpeg with garbage between": lambda w, h: b"\xff\xd8\xff\xd0abc\xff\x00\xff" + stating("a.jpg", w, h)[2:],
    "ppm": lambda w, h: stating("a.ppm", w, h),
    "ppm with a comment": lambda w, h: f"P6 # 1 1\n#\n{w}\t{h}\n255\n".encode(),
    "jp2": lambda w, h: stating("a.jp2", w, h),
    "tiff, little, short": lambda w, h: tiff("<", 3, w, h),
    "tiff, big, long": lambda w, h: tiff(">", 4, w, h),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_the_size_is_read_from_the_head(kind):
    assert image_size(IMAGES[kind](321, 123)) == (321, 123)


@pytest.mark.parametrize("kind", IMAGES)
def test_a_head_that_is_cut_anywhere_has_no_size_or_the_right_one(kind):
    data = IMAGES[kind](321, 123)
    assert {image_size(data[:n]) for n in range(min(len(data), 800))} <= {None, (321, 123)}


@pytest.mark.parametrize("suffix", ["avif", "bmp", "jp2", "jpg", "pbm", "png", "ppm", "tif", "webp"])
def test_what_opencv_writes_is_still_read(tmp_path, suffix):
    picture = np.full((48, 80) if suffix == "pbm" else (48, 80, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), picture)
    assert read_image(tmp_path / f"a.{suffix}").shape == (48, 80, 3)
    assert image_size((tmp_path / f"a.{suffix}").read_bytes()) in ((80, 48), (0, 0))


@pytest.mark.parametrize("kind", ["bmp", "jpeg", "ppm", "jp2", "tiff, little, short"])
def test_very_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    monkeypatch.setattr(stills, "is_truncated", lambda _: False)
    (tmp_path / "a.bmp").write_bytes(IMAGES[kind](30_000, 30_000))
    with pytest.raises(SourceError, match="too large: more than 200 million pixels"):
        read_image(tmp_path / "a.bmp")


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
