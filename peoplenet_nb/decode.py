"""From raw grids to boxes: the one formula, the one code path.

One decision to know: `decode` returns *candidates with fates*; detections are the candidates that survived.
Sliders, video and evaluation all call it, so "why is it missing" is answered by the same arrays
that produced what is there.

The formula (NVIDIA TAO DetectNet_v2, ``bbox_objective.py``): for cell ``(row j, column i)`` and class ``c``
with distances ``L, T, R, B`` in channels ``4c .. 4c + 3``::

    gx, gy = 16 i + 0.5, 16 j + 0.5
    x1, y1, x2, y2 = gx - 35 L, gy - 35 T, gx + 35 R, gy + 35 B      # network pixels
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cluster import Floats, Ints, box_area, dbscan, nms
from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import BoundSettings, Clustering, Flavour, Score, Settings

BBOX_NORM = 35.0  # TAO DetectNet_v2 box scale
BBOX_OFFSET = 0.5  # TAO DetectNet_v2 offset in pixels, not in cells
# nvinfer's DBSCAN mode drops clusters of large boxes with few members: sqrt(area) / (n + 1) above this.
ATHR_THRESHOLD = 60.0
COVERAGE_ONLY = (
    "This model has a coverage output only. Coverage says where the middle of an object is, not how large it is: "
    "there are no boxes to decode. Use a model with both outputs (output_cov and output_bbox)."
)


class Fate(IntEnum):
    """What became of a candidate."""

    KEPT = 0
    EMPTY = 1
    """Its box has no area inside the network input."""
    SUPPRESSED = 2
    """A better box of its class overlaps it (NMS); `Candidates.by` is that box."""
    MERGED = 3
    """It is part of a DBSCAN cluster; `Candidates.by` is the cluster's best cell."""
    NOISE = 4
    """DBSCAN found too little around it."""
    SPARSE = 5
    """Its DeepStream cluster is large and has few members."""
    TOO_SMALL = 6
    LOW_CONFIDENCE = 7
    BEYOND_TOP_K = 8
    NO_BOX = 9
    """The model has no box output."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The cells whose coverage reached the threshold of their class, and what became of each.

    Arrays run in parallel over N candidates, in the order class, row, column.

    Parameters
    ----------
    class_id, row, col : ndarray
        ``(N,)`` int64.
    coverage : ndarray
        ``(N,)`` float32.
    network_xyxy : ndarray
        ``(N, 4)`` float64 in network pixels, clipped to the part that the frame covers.
    fate : ndarray
        ``(N,)`` uint8, `Fate`.
    by : ndarray
        ``(N,)`` int64: the candidate that suppressed or absorbed this one, or -1.
    iou : ndarray
        ``(N,)`` float64: IoU with the box that suppressed it.
    cluster : ndarray
        ``(N,)`` int64: DBSCAN cluster, -1 for none.
    """

    class_id: Ints
    row: Ints
    col: Ints
    coverage: npt.NDArray[np.float32]
    network_xyxy: Floats
    fate: npt.NDArray[np.uint8]
    by: Ints
    iou: Floats
    cluster: Ints

    def __len__(self) -> int:
        return len(self.class_id)

    def find(self, class_id: int, row: int, col: int) -> int | None:
        """Return the index of a cell's candidate, or None if it is below the threshold."""
        hits = np.flatnonzero((self.class_id == class_id) & (self.row == row) & (self.col == col))
        return int(hits[0]) if len(hits) else None


@dataclass(frozen=True, eq=False)
class Decoded:
    """The outcome of one decode.

    Parameters
    ----------
    candidates : Candidates
        With fates.
    detections : Detections
        The survivors, by class and then by falling confidence.
    source : ndarray
        ``(len(detections),)`` int64: the candidate behind each detection.
    note : str
        Why there can be no boxes, when the model has none; else empty.
    """

    candidates: Candidates
    detections: Detections
    source: Ints
    note: str = ""

    def stages(self) -> dict[str, int]:
        """Return how many were left after each step: candidates, with a box, after clustering, detections."""
        fate = self.candidates.fate
        after_clustering = np.isin(fate, (Fate.KEPT, Fate.TOO_SMALL, Fate.LOW_CONFIDENCE, Fate.BEYOND_TOP_K))
        return {
            "candidates": len(fate),
            "with a box": int(np.sum((fate != Fate.EMPTY) & (fate != Fate.NO_BOX))),
            "after clustering": int(after_clustering.sum()),
            "detections": len(self.detections),
        }


def cell_boxes(grids: Grids, class_id: npt.ArrayLike, row: npt.ArrayLike, col: npt.ArrayLike) -> Floats:
    """Return the boxes that cells predict, unclipped.

    Parameters
    ----------
    grids : Grids
        With a box output.
    class_id, row, col : array_like
        ``(N,)`` whole numbers.

    Returns
    -------
    ndarray
        ``(N, 4)`` float64 xyxy in network pixels.

    Raises
    ------
    ValueError
        When the model has no box output.
    """
    if grids.boxes is None:
        raise ValueError("a coverage-only model predicts no boxes")
    classes, rows, cols = grids.shape
    row, col = np.asarray(row), np.asarray(col)
    cells = row * cols + col
    distances = grids.boxes.reshape(classes, 4, rows * cols)[np.asarray(class_id), :, cells]
    boxes = distances.astype(np.float64)
    boxes *= (-BBOX_NORM, -BBOX_NORM, BBOX_NORM, BBOX_NORM)
    x, y = col * grids.stride + BBOX_OFFSET, row * grids.stride + BBOX_OFFSET
    boxes += np.stack((x, y, x, y), axis=1)
    return boxes


def decode(grids: Grids, settings: Settings) -> Decoded:
    """Turn raw grids into detections, and give every candidate its fate.

    Cells whose coverage is at least the threshold of their class become candidates; their boxes are clipped
    to the frame, clustered per class, and sifted by size, confidence and number.

    Parameters
    ----------
    grids : Grids
        Raw output of one frame.
    settings : Settings
        Thresholds and clustering.

    Returns
    -------
    Decoded

    Raises
    ------
    SettingsError
        When the settings name a class that the model has not.
    """
    bound = settings.bind(grids.labels)
    classes, rows, cols = grids.shape
    flat = np.flatnonzero(grids.coverage.reshape(classes, -1) >= bound.threshold[:, None])
    class_id, cell = np.divmod(flat, rows * cols)
    row, col = np.divmod(cell, cols)
    coverage = grids.coverage.reshape(-1)[flat]
    count = len(flat)
    if grids.boxes is None:
        return _without_boxes(grids, class_id, row, col, coverage)

    boxes = cell_boxes(grids, class_id, row, col)
    width, height = grids.fit.content_size
    np.clip(boxes, 0.0, (width, height, width, height), out=boxes)
    empty = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
    candidates = Candidates(
        class_id,
        row,
        col,
        coverage,
        boxes,
        np.where(empty, np.uint8(Fate.EMPTY), np.uint8(Fate.KEPT)),
        np.full(count, -1, np.int64),
        np.zeros(count, np.float64),
        np.full(count, -1, np.int64),
    )
    network, scores, source = _cluster(candidates, np.flatnonzero(~empty), settings)
    xyxy = grids.fit.to_frame(network)
    passed = _sift(candidates, xyxy, scores, source, bound, settings.top_k)
    source = source[passed]
    detections = Detections(
        xyxy[passed].astype(np.float32),
        scores[passed].astype(np.float32),
        class_id[source],
        row[source],
        col[source],
        grids.labels,
    )
    return Decoded(candidates, detections, source)


def _cluster(candidates: Candidates, members: Ints, settings: Settings) -> tuple[Floats, Floats, Ints]:
    """Cluster every class; return network boxes, scores and source candidates, by class and best first."""
    boxes, group = candidates.network_xyxy[members], candidates.class_id[members]
    coverage = candidates.coverage[members].astype(np.float64)
    if settings.clustering is not Clustering.NMS:
        cluster = dbscan(boxes, coverage, settings.eps, settings.min_mass, settings.flavour, group)
        candidates.cluster[members] = cluster
        inside = cluster >= 0
        candidates.fate[members[~inside]] = Fate.NOISE
        members, boxes, coverage, group = members[inside], boxes[inside], coverage[inside], group[inside]
        if settings.clustering is Clustering.DBSCAN:
            return _merge(candidates, members, boxes, coverage, settings)
        # Hybrid, as nvinfer: DBSCAN only drops the outliers, NMS chooses among the rest.
    result = nms(boxes, coverage, settings.nms_iou, group)
    lost = result.suppressor >= 0
    candidates.fate[members[lost]] = Fate.SUPPRESSED
    candidates.by[members[lost]] = members[result.suppressor[lost]]
    candidates.iou[members[lost]] = result.iou[lost]
    return boxes[result.kept], coverage[result.kept], members[result.kept]


def _merge(
    candidates: Candidates, members: Ints, boxes: Floats, coverage: Floats, settings: Settings
) -> tuple[Floats, Floats, Ints]:
    """Make one box of every DBSCAN cluster, the coverage-weighted mean; by class and best first."""
    if not len(members):
        return boxes, coverage, members
    cluster = candidates.cluster[members]
    total, size = np.bincount(cluster, coverage).astype(np.float64), np.bincount(cluster)
    # Coverage can be exactly 0 when the threshold is: such a cluster's members count alike.
    weights = np.where(total[cluster] > 0, coverage, 1.0)
    sums = np.stack([np.bincount(cluster, boxes[:, k] * weights) for k in range(4)], axis=1)
    means = sums / np.bincount(cluster, weights)[:, None]

    # The best cell of each cluster, the first of equals, stands for it in fates and in the table.
    ordered = np.lexsort((-coverage, cluster))
    best = ordered[np.searchsorted(cluster[ordered], np.arange(len(size)))]
    source = members[best]
    candidates.fate[members] = Fate.MERGED
    candidates.by[members] = source[cluster]
    candidates.fate[source] = Fate.KEPT
    candidates.by[source] = -1
    scores: Floats = total if settings.score is Score.SUM else coverage[best]
    if settings.flavour is Flavour.DEEPSTREAM:
        sparse = np.sqrt(box_area(means)) / (size + 1) > ATHR_THRESHOLD
        candidates.fate[members[sparse[cluster]]] = Fate.SPARSE
        candidates.by[members[sparse[cluster]]] = -1
        means, scores, source = means[~sparse], scores[~sparse], source[~sparse]
    order = np.lexsort((-scores, candidates.class_id[source]))
    return means[order], scores[order], source[order]


def _sift(
    candidates: Candidates,
    xyxy: Floats,
    scores: Floats,
    source: Ints,
    bound: BoundSettings,
    top_k: int | None,
) -> npt.NDArray[np.bool_]:
    """Drop what is too small, too weak or too many of its class; return the mask of the rest."""
    class_id = candidates.class_id[source]
    small = xyxy[:, 2] - xyxy[:, 0] < bound.min_width[class_id]
    small |= xyxy[:, 3] - xyxy[:, 1] < bound.min_height[class_id]
    weak = ~small & (scores < bound.min_confidence[class_id])
    candidates.fate[source[small]] = Fate.TOO_SMALL
    candidates.fate[source[weak]] = Fate.LOW_CONFIDENCE
    passed = ~(small | weak)
    if top_k is not None:
        for which in np.unique(class_id):
            beyond = np.flatnonzero(passed & (class_id == which))[top_k:]
            candidates.fate[source[beyond]] = Fate.BEYOND_TOP_K
            passed[beyond] = False
    return passed


def _without_boxes(
    grids: Grids, class_id: Ints, row: Ints, col: Ints, coverage: npt.NDArray[np.float32]
) -> Decoded:
    count = len(class_id)
    none = np.full(count, -1, np.int64)
    candidates = Candidates(
        class_id,
        row,
        col,
        coverage,
        np.zeros((count, 4)),
        np.full(count, Fate.NO_BOX, np.uint8),
        none,
        np.zeros(count),
        none.copy(),
    )
    return Decoded(candidates, Detections.empty(grids.labels), np.zeros(0, np.int64), COVERAGE_ONLY)
