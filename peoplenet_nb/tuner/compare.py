"""Two settings side by side: which boxes only one of them has, and which moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.detections import Detections

SAME_OBJECT = 0.5
"""IoU from which boxes of two settings are taken for one object."""
SAME_BOX = 0.95
"""IoU from which such a box counts as not moved."""


@dataclass(frozen=True, eq=False)
class Differences:
    """Where the detections of two settings differ, as indices of boxes."""

    only_a: list[int]
    only_b: list[int]
    """Boxes that have no counterpart of their class in the other."""
    moved: list[tuple[int, int]]
    """Counterparts whose IoU is below `SAME_BOX`."""


def compare(a: Detections, b: Detections) -> Differences:
    """Match the detections of two settings, greedily by IoU within a class, and return what differs."""
    iou = iou_matrix(a.xyxy.astype(np.float64), b.xyxy.astype(np.float64))
    iou[a.class_id[:, None] != b.class_id[None, :]] = 0.0
    first, second = np.nonzero(iou >= SAME_OBJECT)
    free_a, free_b, moved = set(range(len(a))), set(range(len(b))), []
    for p in np.lexsort((second, first, -iou[first, second])):
        i, j = int(first[p]), int(second[p])
        if i in free_a and j in free_b:
            free_a.remove(i)
            free_b.remove(j)
            if iou[i, j] < SAME_BOX:
                moved.append((i, j))
    return Differences(sorted(free_a), sorted(free_b), sorted(moved))
