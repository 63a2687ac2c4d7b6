"""Width and height of an image, read from its head.

A file of some kilobytes may hold a billion pixels. OpenCV has a limit of its own, which is a gigapixel and cannot be
changed once it is loaded, so the size is looked at before anything is decoded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

_PNM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d{1,9})(?:\s+|#[^\n]*\n)+(\d{1,9})\s")
_SIZ = re.compile(rb"\xff\x4f\xff\x51....(.{8})", re.S)  # ITU-T T.800, A.5.1
# The next marker inside JPEG's entropy-coded data: not a stuffed zero, a restart marker or a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
EOI = 0xD9
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers of ITU-T T.81, B.1.1.3
_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return width and height in pixels that an image states; None for what is no image that is known here.

    That of an AVIF is not looked up, ``(0, 0)`` stands for it: it is bounded by its decoder, to 268 million pixels.
    """
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return struct.unpack_from(">II", data, 16)
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"BM"):
            old = struct.unpack_from("<I", data, 14)[0] == 12  # OS/2's head
            width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
            return abs(width), abs(height)
        if data.startswith((b"II*\x00", b"MM\x00*")):
            return _tiff(data, "<" if data.startswith(b"II") else ">")
        if found := _PNM.match(data):
            return int(found[1]), int(found[2])
        if data.startswith((b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")):
            sizes = (struct.unpack(">II", found[1]) for found in _SIZ.finditer(data))
            return max(sizes, key=lambda size: size[0] * size[1], default=None)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except struct.error:  # it ends before
        return None
    return (0, 0) if data[4:8] == b"ftyp" else None


def _webp(data: bytes) -> tuple[int, int] | None:
    """Return what the first chunk says (WebP container specification; RFC 6386, 9.1; lossless bitstream, 3)."""
    chunk = data[12:16]
    if chunk == b"VP8X":  # 24 bits each, the size of the canvas less one
        (bits,) = struct.unpack("<Q", data[24:30].ljust(8, b"\0"))
        return (bits & 0xFFFFFF) + 1, (bits >> 24) + 1
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Return what the frame header says, which comes before all data that is coded."""
    for marker, at in jpeg_markers(data):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 3)
            return width, height
    return None


def jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker of a JPEG's segments (ITU T.81, B.1) to its end, and where what it says begins.

    Those of an EXIF thumbnail are not among them, nor what lies behind the picture, such as a phone's video of it.
    """
    at, marker = 2, 0
    while marker != EOI and (found := _MARKER.search(data, at)):
        marker = data[found.start() + 1]
        yield marker, found.end()
        # TEM (0x01) stands alone; every other segment says its length, and a scan's data follows SOS.
        length = 0 if marker == 0x01 else int.from_bytes(data[found.end() : found.end() + 2], "big")
        at = found.end() + length


def _tiff(data: bytes, order: str) -> tuple[int, int] | None:
    """Return the tags 256 and 257 of the first directory (TIFF 6.0, section 2), which is the one that is decoded."""
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = {}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in (256, 257) and kind in _TIFF_TYPES:
            (tags[tag],) = struct.unpack_from(order + _TIFF_TYPES[kind], data, entry + 8)
    return (tags[256], tags[257]) if len(tags) == 2 else None
