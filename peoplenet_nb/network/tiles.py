"""Small people in large frames: the network looks at four parts of a frame too, and their cells join the whole's.

What comes out is one `Grids`, so that decoding, the tuner, saved cells and tracks work as ever. A part is 0.6 of the
frame wide and high, so whoever is at most a fifth of it is whole in one part at least: boxes up to that size are taken
from the parts, and larger ones come from the whole frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.boxes import BBOX_NORM, BBOX_OFFSET, box_columns
from peoplenet_nb.grids import Grids

Frame = npt.NDArray[np.uint8]

#: Pictures that the network sees of a frame: it and its parts.
LOOKS = 5
_SHARE = 0.6
_LARGEST = 0.2  # of the frame's width and height: as much as two parts share
_EDGE = 2.0  # network pixels: a box that ends so near to an inner edge of its part is cut
_LEAST = 0.005  # the lowest threshold of any preset


def parts_of(frame: Frame) -> list[Frame]:
    """Return the four overlapping parts of a frame ``(H, W, 3)``, row by row."""
    height, width = frame.shape[:2]
    w, h = max(1, round(width * _SHARE)), max(1, round(height * _SHARE))
    return [frame[y : y + h, x : x + w] for x, y in _origins((width, height), (w, h))]


def _origins(frame: tuple[int, int], part: tuple[int, int]) -> list[tuple[int, int]]:
    return [(x, y) for y in (0, frame[1] - part[1]) for x in (0, frame[0] - part[0])]


def join_all(grids: Sequence[Grids]) -> list[Grids]:
    """Return the grids of each frame, given those of it and of its four parts one after the other."""
    return [join(grids[i], grids[i + 1 : i + LOOKS]) for i in range(0, len(grids), LOOKS)]


def join(whole: Grids, parts: Sequence[Grids]) -> Grids:
    """Return the grids of a whole frame with the small boxes of its parts in them.

    A cell of a part goes to the whole's cell that its place belongs to, where its coverage is the higher one.

    Parameters
    ----------
    whole : Grids
        Of the frame.
    parts : sequence of Grids
        Of what `parts_of` returns.
    """
    if whole.boxes is None:
        return whole
    classes, rows, cols = whole.shape
    size = np.array(whole.fit.frame_size)
    coverage, boxes = whole.coverage.reshape(-1).copy(), whole.boxes.reshape(classes, 4, -1).copy()
    for origin, part in zip(_origins(whole.fit.frame_size, parts[0].fit.frame_size), parts, strict=True):
        cells = np.flatnonzero(part.coverage.reshape(-1) >= _LEAST)
        class_id, place = np.divmod(cells, rows * cols)
        xyxy = box_columns(part, cells).T
        ends = np.array(part.fit.content_size) - _EDGE
        begins_inside, ends_inside = np.array(origin) > 0, origin + np.array(part.fit.frame_size) < size
        cut = ((xyxy[:, :2] < _EDGE) & begins_inside) | ((xyxy[:, 2:] > ends) & ends_inside)
        xyxy = part.fit.to_frame(xyxy) + np.tile(origin, 2)
        small = (xyxy[:, 2:] - xyxy[:, :2] <= _LARGEST * size).all(axis=1) & ~cut.any(axis=1)
        row, col = np.divmod(place, cols)
        centre = part.fit.to_frame((np.stack([col, row], axis=1) + 0.5) * part.stride) + np.array(origin)
        inside = (centre < size).all(axis=1)
        keep = np.flatnonzero(small & inside)
        # The best is written last.
        keep = keep[np.argsort(part.coverage.reshape(-1)[cells[keep]], kind="stable")]
        there = np.floor(whole.fit.to_network(centre[keep]) / whole.stride).astype(np.int64)
        there = np.clip(there, 0, (cols - 1, rows - 1))
        mine = part.coverage.reshape(-1)[cells[keep]]
        target = (class_id[keep] * rows + there[:, 1]) * cols + there[:, 0]
        better = mine > coverage[target]
        target, mine, there, keep = target[better], mine[better], there[better], keep[better]
        coverage[target] = mine
        middle = np.tile(there * whole.stride + BBOX_OFFSET, 2)
        away = (whole.fit.to_network(xyxy[keep]) - middle) * (-1, -1, 1, 1) / BBOX_NORM
        boxes[class_id[keep], :, target % (rows * cols)] = away.astype(np.float32)
    return replace(whole, coverage=coverage.reshape(whole.shape), boxes=boxes.reshape(whole.boxes.shape))
