"""Images and folders of images as sources.

OpenCV decodes a truncated JPEG or PNG into a picture that is grey from some row on, without an error. So the file's
own structure is walked to its end marker first, and a picture that stops before it counts as damaged: an error for a
single image, a note and a gap for one of a folder.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Generator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from peoplenet_nb.errors import SourceError
from peoplenet_nb.files import fingerprint_of
from peoplenet_nb.sources.frames import Candidate, Image, Source, SourceInfo
from peoplenet_nb.sources.imagesize import EOI, image_size, jpeg_markers
from peoplenet_nb.sources.repair import some

#: Names that count as images in a folder, as far as OpenCV's wheels read them.
IMAGE_NAME = re.compile(r"\.(avif|bmp|dib|jp2|jpe|jpeg|jpg|pbm|pgm|png|pnm|ppm|tif|tiff|webp)$", re.I)
VIDEO_NAME = re.compile(r"\.(3gp|avi|flv|m2ts|m4v|mkv|mov|mp4|mpeg|mpg|mts|ts|webm|wmv)$", re.I)
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"\x00\x00\x00\x0cjP  ")
# Pictures that OpenCV's wheels do not read.
_UNREADABLE = re.compile(r"\.(arw|cr2|dng|exr|gif|hdr|hei[cf]|ico|jxl|nef|psd|raw|svg)$", re.I)
_MOST_BYTES = 512 << 20
_MOST_PIXELS = 200_000_000
_SHOWN = 3  # names that a note lists


def is_image(path: Path, head: bytes) -> bool:
    """Return whether a file is a picture: by its first bytes, and by its name where those say nothing."""
    if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in (b"avif", b"avis")
    return IMAGE_NAME.search(path.name) is not None and head[:4] != b"RIFF"


def is_unreadable(path: Path, head: bytes) -> bool:
    """Return whether a file is a picture of a kind that is not read here."""
    return _UNREADABLE.search(path.name) is not None or b"<svg" in head


def natural_key(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key by which ``frame2`` stands before ``frame10``."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts], name


def read_image(path: Path) -> Image:
    """Read a picture as BGR uint8, upright as its EXIF data says.

    Raises
    ------
    SourceError
        When the file is empty, ends too early, cannot be decoded or cannot be read.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise _too_large(path)
        data = path.read_bytes()
    except OSError as error:
        step = "check that it exists and may be read."
        raise SourceError("The image cannot be read", seen=error, next_step=step) from error
    return decode_image(data, path)


def decode_image(data: bytes, origin: object, most_pixels: int = _MOST_PIXELS) -> Image:
    """Decode a picture's bytes as BGR uint8, upright as its EXIF data says.

    Parameters
    ----------
    data : bytes
        A whole file.
    origin : object
        Where they come from, for messages.
    most_pixels : int
        Pixels that it may have, looked at before anything is decoded.

    Raises
    ------
    ImageTooLargeError
        When it has more pixels.
    SourceError
        When it is empty, ends too early or cannot be decoded.
    """
    if not data:
        raise SourceError("The image is empty (0 bytes)", seen=origin, next_step="copy or download it again.")
    if is_truncated(data):
        raise SourceError(
            "The image is truncated: the file ends before the picture does",
            seen=f"{origin}, {len(data):,} bytes",
            next_step="copy or download it again.",
        )
    size = image_size(data)
    if size is not None and math.prod(size) > most_pixels:
        raise _too_large(origin, most_pixels)
    image = None
    if size is not None:
        with suppress(cv2.error):
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None or image.size == 0:
        raise SourceError(
            "The file is not an image that can be decoded",
            seen=f"{origin}, {len(data):,} bytes, begins with {data[:8]!r}",
            next_step="open it in a viewer; if it shows there, save it as PNG or JPEG.",
        )
    return np.asarray(image, np.uint8)


class ImageTooLargeError(SourceError):
    """An image of more pixels or bytes than are read."""


def _too_large(origin: object, most_pixels: int = _MOST_PIXELS) -> SourceError:
    most = f"{most_pixels / 1e6:g} million pixels or {_MOST_BYTES >> 20} MiB"
    return ImageTooLargeError(
        f"The image is too large: more than {most}",
        seen=origin,
        next_step="make it smaller; the network sees 960 x 544 pixels of it.",
    )


def is_truncated(data: bytes) -> bool:
    """Return whether a JPEG, PNG or WebP stops before its own end; False for all other formats."""
    if data.startswith(b"\xff\xd8\xff"):
        return all(marker != EOI for marker, _ in jpeg_markers(data))
    if data.startswith(b"\x89PNG"):
        return data.rfind(b"IEND") < 0
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    return False


class ImageFile(Source):
    """One picture."""

    def __init__(self, path: Path) -> None:
        image = read_image(path)
        info = SourceInfo(path.name, str(path), "image", image.shape[1], image.shape[0], frame_count=1)
        info.fingerprint = fingerprint_of(path)
        super().__init__(info)
        self.path = path

    @property
    def files(self) -> list[Path]:
        """The picture."""
        return [self.path]

    def _walk(self) -> Generator[Candidate]:
        yield Candidate(0, math.nan, lambda: read_image(self.path), self.path.name)


class ImageFolder(Source):
    """The pictures of one folder in natural order; those that cannot be read leave a gap and a note."""

    def __init__(self, folder: Path) -> None:
        files = _visible(folder)
        self.paths: list[Path] = _named(files, IMAGE_NAME)
        if not self.paths:
            raise SourceError("The folder holds no images", seen=folder, next_step=_advice(folder, files))
        self._damaged: list[str] = []
        self._note = ""
        first = self._first_good(folder)
        listing = "\n".join(f"{path.name}:{fingerprint_of(path)}" for path in self.paths)
        name, count = folder.resolve().name or "images", len(self.paths)
        info = SourceInfo(name, str(folder), "images", first.shape[1], first.shape[0], frame_count=count)
        info.fingerprint = f"{count}:{hashlib.sha256(os.fsencode(listing)).hexdigest()[:32]}"
        info.notes = _left_out(files)
        super().__init__(info)

    def _first_good(self, folder: Path) -> Image:
        reason: SourceError | None = None
        for path in self.paths:
            try:
                return read_image(path)
            except SourceError as error:
                reason = reason or error
        raise SourceError(
            f"None of the {len(self.paths)} images of the folder can be read",
            seen=f"{folder}; the first: {reason.what if reason else ''}",
            next_step="copy or download them again.",
        )

    @property
    def files(self) -> list[Path]:
        """The pictures, damaged ones too."""
        return list(self.paths)

    def _walk(self) -> Generator[Candidate]:
        self._damaged = []
        for index, path in enumerate(self.paths):
            yield Candidate(index, math.nan, partial(self._read, path), path.name)

    def _read(self, path: Path) -> Image | None:
        try:
            return read_image(path)
        except SourceError:
            if self._note in self.info.notes:
                self.info.notes.remove(self._note)
            self._damaged.append(path.name)
            self._note = _left_out_note(self._damaged, "image", "cannot be read")
            self.info.notes.append(self._note)
            return None


def videos_in(folder: Path) -> list[Path]:
    """Return the videos of a folder without pictures, in natural order; none where there are pictures too."""
    files = _visible(folder)
    return [] if _named(files, IMAGE_NAME) else _named(files, VIDEO_NAME)


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]


def _named(files: Sequence[Path], kind: re.Pattern[str]) -> list[Path]:
    """Return the files whose names are of a kind, in natural order."""
    return sorted((p for p in files if kind.search(p.name)), key=lambda p: natural_key(p.name))


def _advice(folder: Path, files: Sequence[Path]) -> str:
    if runs := sorted(path.parent.name for path in folder.glob("*/summary.json")):
        more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
        return f"it holds runs: name one of them: {', '.join(str(folder / run) for run in runs[:5])}{more}."
    if videos := _named(files, VIDEO_NAME):
        return (
            f"it holds videos: name one, e.g. {videos[0].name}, or let `peoplenet-nb detect` run all of them."
        )
    return "name a folder with files such as .jpg, .png, .bmp, .tif or .webp."


def _left_out(files: Sequence[Path]) -> list[str]:
    """Return notes on the files of a folder of images that somebody may miss in the results."""
    kinds = (
        (_UNREADABLE, "picture", "a kind that cannot be read here; save as PNG or JPEG"),
        (VIDEO_NAME, "video", "only the images are read; name a video to run it"),
    )
    found = [([path.name for path in _named(files, kind)], word, why) for kind, word, why in kinds]
    return [_left_out_note(*row) for row in found if row[0]]


def _left_out_note(names: Sequence[str], word: str, why: str) -> str:
    listed = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    return f"{some(len(names), word)} left out ({why}): {listed}."
