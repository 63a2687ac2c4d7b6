"""Doubtful moments to look through: each a row of pictures, just before, at, and just after it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from peoplenet_nb.files import write_bytes
from peoplenet_nb.redaction.hiding import Image
from peoplenet_nb.redaction.regions import CORNERS
from peoplenet_nb.video.added import SHEETS

if TYPE_CHECKING:
    import pandas as pd

MOST = 200
"""Moments on sheets; there may be more in the table."""

_TILE, _HEAD, _GAP, _ROWS = (320, 240), 26, 8, 6
_INK, _PAPER, _MARK = (30, 30, 30), (255, 255, 255), (0, 94, 213)  # BGR


class Sheets:
    """Collects pictures while a video of ``count`` frames is rendered, and lays them out.

    ``doubts`` are those of `peoplenet_nb.redaction.regions.regions_of`, ``where`` has the position of each frame's
    index; pictures are so many frames ``away`` from a moment, before and after it.
    """

    def __init__(self, doubts: pd.DataFrame, count: int, where: Mapping[int, int], away: int) -> None:
        self._doubts = doubts.head(MOST).to_dict("records")
        self._tiles: dict[tuple[int, int], Image] = {}
        self._due: dict[int, list[tuple[int, int]]] = {}
        for row, doubt in enumerate(self._doubts):
            for column, step in enumerate((-away, 0, away)):
                at = where[int(doubt["frame"])] + step
                if 0 <= at < count:
                    self._due.setdefault(at, []).append((row, column))

    def look(self, at: int, picture: Image) -> None:
        """Take what is needed of the frame at a position, as it was redacted."""
        for row, column in self._due.get(at, ()):
            self._tiles[row, column] = _around(
                picture, [self._doubts[row][name] for name in CORNERS], column == 1
            )

    def write(self, folder: Path) -> list[Path]:
        """Write the sheets, and remove those of before."""
        for old in folder.glob(SHEETS):
            old.unlink()
        paths = []
        for number, first in enumerate(range(0, len(self._doubts), _ROWS), 1):
            rows = range(first, min(first + _ROWS, len(self._doubts)))
            path = folder / f"doubtful-{number:02d}.png"
            done, data = cv2.imencode(".png", np.concatenate([self._row(row) for row in rows]))
            assert done
            write_bytes(path, data.tobytes())
            paths.append(path)
        return paths

    def _row(self, row: int) -> Image:
        width, height = _TILE
        picture = np.full((height + _HEAD + _GAP, 3 * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
        doubt = self._doubts[row]
        who = f"track {doubt['track']}" if doubt["track"] else "no track"
        text = f"{row + 1}.  {doubt['time_s']:.2f} s, frame {doubt['frame']}, {who}: {doubt['reason']}"
        cv2.putText(picture, text, (_GAP, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
        for column in range(3):
            tile = self._tiles.get((row, column))
            if tile is not None:
                left = _GAP + column * (width + _GAP)
                picture[_HEAD : _HEAD + height, left : left + width] = tile
        return picture


def _around(picture: Image, box: list[float], mark: bool) -> Image:
    """Return what is around a box, three times its height high, as a tile; the box is outlined on the middle one."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    high = min(float(picture.shape[0]), max(60.0, 2.2 * (box[3] - box[1]), 1.5 * (box[2] - box[0])))
    wide = high * _TILE[0] / _TILE[1]
    if wide > picture.shape[1]:
        wide, high = float(picture.shape[1]), picture.shape[1] * _TILE[1] / _TILE[0]
    left = min(max(0.0, middle[0] - wide / 2), picture.shape[1] - wide)
    top = min(max(0.0, middle[1] - high / 2), picture.shape[0] - high)
    part = picture[
        int(top) : max(int(top) + 1, int(top + high)), int(left) : max(int(left) + 1, int(left + wide))
    ]
    tile = np.asarray(cv2.resize(part, _TILE, interpolation=cv2.INTER_AREA), np.uint8)
    if mark:
        scale = _TILE[1] / high
        ends = [[round((x - left) * scale), round((y - top) * scale)] for x, y in (box[:2], box[2:])]
        cv2.rectangle(tile, ends[0], ends[1], _MARK, 1, cv2.LINE_AA)
    return tile
