"""Which box of one frame is which box of another: an optimal assignment, each class by itself.

A pair costs ``(1 - IoU) + distance / height + |log(height ratio)|``: people who moved by a part of their own height
and kept their size are the same, at every distance from the camera. Nothing is matched at a cost of `LIMIT` or more;
a box that stays alone costs half of that, so it is the sum over *all* boxes that is least.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.detections import Detections

LIMIT = 2.5
"""Cost of a pair from which on it is none."""


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of boxes of two frames; the arrays run in parallel over M pairs, by rising ``first``.

    Parameters
    ----------
    first, second : ndarray
        ``(M,)`` int64: indices into the one and the other frame's detections, each used once at most.
    cost : ndarray
        ``(M,)`` float64: 0 for a box that stayed as it was.
    """

    first: npt.NDArray[np.int64]
    second: npt.NDArray[np.int64]
    cost: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.first)

    def swapped(self) -> Matches:
        """Return the same pairs seen from the other frame."""
        order = np.argsort(self.second)
        return Matches(self.second[order], self.first[order], self.cost[order])


def pair_costs(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what each pair of boxes costs.

    Parameters
    ----------
    a, b : ndarray
        ``(N, 4)`` and ``(M, 4)`` float64 xyxy in frame pixels.

    Returns
    -------
    ndarray
        ``(N, M)`` float64. Heights are those of the pair, averaged, so that it is the same from either side.
    """
    height_a, height_b = (np.maximum(boxes[:, 3] - boxes[:, 1], 1e-3) for boxes in (a, b))
    step = (a[:, None, :2] + a[:, None, 2:] - b[:, :2] - b[:, 2:]) / 2
    distance = np.hypot(step[..., 0], step[..., 1])
    ratio = np.abs(np.log(height_a)[:, None] - np.log(height_b))
    costs: npt.NDArray[np.float64] = 1 - iou_matrix(a, b) + ratio
    costs += 2 * distance / (height_a[:, None] + height_b)
    return costs


def match_boxes(a: Detections, b: Detections) -> Matches:
    """Match the boxes of two frames.

    Parameters
    ----------
    a, b : Detections
        Of the same model and frame size.

    Returns
    -------
    Matches
        Pairs of one class below `LIMIT`, each box in one pair at most, so that the costs of the pairs plus half of
        `LIMIT` for each box alone are least.
    """
    from scipy.optimize import linear_sum_assignment

    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    for label in np.intersect1d(a.class_id, b.class_id):
        of_a, of_b = np.flatnonzero(a.class_id == label), np.flatnonzero(b.class_id == label)
        costs = pair_costs(a.xyxy[of_a].astype(np.float64), b.xyxy[of_b].astype(np.float64))
        rows, columns = linear_sum_assignment(np.minimum(costs, LIMIT))
        good = costs[rows, columns] < LIMIT
        rows, columns = rows[good], columns[good]
        found.append((of_a[rows], of_b[columns], costs[rows, columns]))
    if not found:
        none = np.zeros(0, np.int64)
        return Matches(none, none.copy(), np.zeros(0))
    first, second, cost = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(first)
    return Matches(first[order], second[order], cost[order])
