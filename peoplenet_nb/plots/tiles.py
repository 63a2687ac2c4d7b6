"""Boxes of two kinds on the surroundings of some of them, as a sheet of small pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.draw import PALETTE, Colour
from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import Source, open_source
from peoplenet_nb.sources.frames import Image

Floats = npt.NDArray[np.float64]
_TILE = (320, 240)
_CAPTION = 26  # pixels below a tile
_COLUMNS = 5
_SOLID, _DASHED = PALETTE[6], PALETTE[3]  # vermilion, bluish green
_LEAST = 120.0  # frame pixels that a tile shows


def pictures_of(where: str | Path | Source, wanted: set[int]) -> dict[int, tuple[Image, str]]:
    """Return the pictures of some frames, and their names; a `SourceError` where the source has them no more."""
    source = where if isinstance(where, Source) else open_source(where)
    found: dict[int, tuple[Image, str]] = {}
    for frame in source.sampled() if wanted else ():
        if frame.index in wanted:
            found[frame.index] = (frame.image, frame.name)
        if len(found) == len(wanted):
            break
    if lost := wanted - found.keys():
        raise SourceError(
            "The source has no such frames any more",
            seen=sorted(lost)[:5],
            next_step="name the source that was run.",
        )
    return found


def tile(image: Image, focus: Floats, solid: Floats, dashed: Floats, caption: str, *, thick: Floats) -> Image:
    """Return the surroundings of some boxes of a BGR picture, with a line below.

    All boxes are ``(N, 4)`` xyxy in its pixels: what is in the middle (``focus``), drawn with solid and with dashed
    lines; of these, what gets ``thick`` ones.
    """
    low, high = focus[:, :2].min(axis=0), focus[:, 2:].max(axis=0)
    ratio = _TILE[0] / _TILE[1]
    height = max(float(2 * (high - low)[1]), float(2 * (high - low)[0]) / ratio, _LEAST)
    size = np.array([height * ratio, height])
    room = np.array([image.shape[1], image.shape[0]]) - size
    corner = np.where(room > 0, np.clip((low + high) / 2 - size / 2, 0, np.maximum(room, 0)), room / 2)
    scale = _TILE[0] / size[0]
    move = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.asarray(
        cv2.warpAffine(image, move, _TILE, flags=area, borderValue=(230, 230, 230)), np.uint8
    )
    for boxes, draw, colour in ((solid, _outlined, _SOLID), (dashed, _dashed, _DASHED)):
        for box in boxes:
            place = [round(v) for v in ((box - np.tile(corner, 2)) * scale).tolist()]
            draw(picture, place, colour, 3 if (thick == box).all(axis=1).any() else 1)
    framed = np.full((_TILE[1] + _CAPTION, _TILE[0], 3), 255, np.uint8)
    framed[: _TILE[1]] = picture
    _write(framed, caption, (4, _TILE[1] + 18))
    return framed


def _outlined(picture: Image, box: Sequence[int], colour: Colour, thick: int) -> None:
    cv2.rectangle(picture, (box[0], box[1]), (box[2], box[3]), colour, thick, cv2.LINE_AA)


def _dashed(picture: Image, box: Sequence[int], colour: Colour, thick: int) -> None:
    x1, y1, x2, y2 = box
    for a, b in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        length = max(1.0, float(np.hypot(b[0] - a[0], b[1] - a[1])))
        for begin in np.arange(0, min(length, 4000), 10):
            ends = [np.add(a, np.subtract(b, a) * min(1.0, at / length)) for at in (begin, begin + 5)]
            first, last = (tuple(int(v) for v in np.rint(end)) for end in ends)
            cv2.line(picture, first, last, colour, thick, cv2.LINE_AA)


def _write(picture: Image, text: str, at: tuple[int, int]) -> None:
    """Write dark letters; cv2 knows ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    longest = 46
    plain = plain if len(plain) <= longest else plain[: longest - 3] + "..."
    cv2.putText(picture, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (34, 34, 34), 1, cv2.LINE_AA)


def sheet_of(tiles: Sequence[Image], solid: str, dashed: str, thick: str) -> Image:
    """Return all tiles in rows under a line that says what solid, dashed and thick boxes are."""
    columns = min(_COLUMNS, max(1, len(tiles)))
    rows = -(-len(tiles) // columns)
    height, width = _TILE[1] + _CAPTION, _TILE[0]
    sheet = np.full((34 + rows * (height + 6), max(columns * (width + 6), 560), 3), 255, np.uint8)
    cv2.rectangle(sheet, (8, 10), (34, 26), _SOLID, 2)
    _write(sheet, f"{solid} (solid)", (42, 23))
    _dashed(sheet, (150, 10, 176, 26), _DASHED, 2)
    _write(sheet, f"{dashed} (dashed); {thick}", (184, 23))
    for i, tile in enumerate(tiles):
        y, x = 34 + i // columns * (height + 6), i % columns * (width + 6)
        sheet[y : y + height, x : x + width] = tile
    return sheet
