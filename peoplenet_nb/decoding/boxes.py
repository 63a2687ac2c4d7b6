"""The one formula: from the distances that a cell predicts to its box.

What depends only on the shape of the grids (which class, row and column a cell has, where its four distances
stand, where its origin is) is computed once and looked up from then on.

The formula (NVIDIA TAO DetectNet_v2, ``bbox_objective.py``): for cell ``(row j, column i)`` and class ``c``
with distances ``L, T, R, B`` in channels ``4c .. 4c + 3``::

    gx, gy = 16 i + 0.5, 16 j + 0.5
    x1, y1, x2, y2 = gx - 35 L, gy - 35 T, gx + 35 R, gy + 35 B      # network pixels
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.overlap import Floats, Ints
from peoplenet_nb.grids import Grids

BBOX_NORM = 35.0  # TAO DetectNet_v2 box scale
BBOX_OFFSET = 0.5  # TAO DetectNet_v2 offset in pixels, not in cells
_SIGNED_NORM = np.array([[-BBOX_NORM], [-BBOX_NORM], [BBOX_NORM], [BBOX_NORM]])


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """What never changes for grids of one shape, for the M cells of all classes in the order class, row, column."""

    class_id: Ints  # class_id, row, col: ``(M,)`` int64
    row: Ints
    col: Ints
    channels: Ints  # ``(4, M)`` int64: where a cell's four distances stand in the flat box output
    origin: Floats  # ``(4, M)`` float64: gx, gy, gx, gy in network pixels


@lru_cache(maxsize=4)
def lattice(shape: tuple[int, int, int], stride: int) -> Lattice:
    """Return the lattice of grids of shape ``(classes, rows, columns)``."""
    class_id, row, col = (index.ravel() for index in np.indices(shape))
    plane = shape[1] * shape[2]
    channels = class_id * 3 * plane + np.arange(len(row)) + plane * np.arange(4)[:, None]
    x, y = col * stride + BBOX_OFFSET, row * stride + BBOX_OFFSET
    return Lattice(class_id, row, col, channels, np.stack((x, y, x, y)))


def cell_boxes(grids: Grids, class_id: npt.ArrayLike, row: npt.ArrayLike, col: npt.ArrayLike) -> Floats:
    """Return the boxes that ``(N,)`` cells predict, unclipped, as ``(N, 4)`` float64 xyxy in network pixels.

    Raises
    ------
    ValueError
        When the model has no box output.
    IndexError
        When there is no such cell.
    """
    where = np.broadcast_arrays(class_id, row, col)
    for index, length, what in zip(where, grids.shape, ("class", "row", "column"), strict=True):
        if index.size and (index.min() < 0 or index.max() >= length):
            raise IndexError(f"there is no {what} {index.min()}..{index.max()}: there are {length}")
    cells = (where[0] * grids.shape[1] + where[1]) * grids.shape[2] + where[2]
    return np.ascontiguousarray(box_columns(grids, cells).T)


def box_columns(grids: Grids, cells: Ints) -> Floats:
    """Return the unclipped boxes of cells that are numbered through all classes, as ``(4, N)`` columns."""
    if grids.boxes is None:
        raise ValueError("a coverage-only model predicts no boxes")
    fixed = lattice(grids.shape, grids.stride)
    columns = grids.boxes.reshape(-1).take(fixed.channels.take(cells, axis=1)).astype(np.float64)
    columns *= _SIGNED_NORM
    columns += fixed.origin.take(cells, axis=1)
    return columns
