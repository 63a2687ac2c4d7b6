"""The order of an MP4's top-level boxes: whether its index comes before its pictures, and where it breaks off."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_HEAD = 8  # bytes of an MP4 box's head: size and kind


def boxes_of(path: Path) -> Iterator[bytes]:
    """Go through the kinds of an MP4's top-level boxes, up to where the file ends or they stop making sense."""
    left = path.stat().st_size
    with path.open("rb") as stream:
        while len(head := stream.read(_HEAD)) == _HEAD:
            size, skip = int.from_bytes(head[:4], "big"), int.from_bytes(head[:4], "big") - _HEAD
            yield head[4:]
            if size == 1:  # the size follows in 64 bits
                size = int.from_bytes(stream.read(_HEAD), "big")
                skip = size - 2 * _HEAD
            left -= size
            if skip < 0 or left < 0:
                return
            stream.seek(skip, 1)
