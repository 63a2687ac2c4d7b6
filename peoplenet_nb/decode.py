"""From raw grids to boxes: the one code path.

One decision to know: `decode` returns *candidates with fates*; detections are the candidates that survived.
Sliders, video and evaluation all call it, so "why is it missing" is answered by the same arrays
that produced what is there. Its two halves, `find_candidates` and `cluster_candidates`, can be timed apart.

The formula itself is in `peoplenet_nb.cells`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import BBOX_NORM, BBOX_OFFSET, box_columns, cell_boxes, lattice
from peoplenet_nb.cluster import Floats, Ints, box_area, dbscan, nms
from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import BoundSettings, Clustering, Flavour, Score, Settings
from peoplenet_nb.thresholds import bind

__all__ = [
    "BBOX_NORM",
    "BBOX_OFFSET",
    "COVERAGE_ONLY",
    "Candidates",
    "Decoded",
    "Fate",
    "cell_boxes",
    "cluster_candidates",
    "decode",
    "find_candidates",
]

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


_KEPT = np.uint8(Fate.KEPT)  # comparing with the enum takes five times as long


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
    return _settle(find_candidates(grids, settings), grids, settings)


def find_candidates(grids: Grids, settings: Settings) -> Candidates:
    """Return the cells whose coverage reaches the threshold of their class, with their clipped boxes.

    Parameters
    ----------
    grids : Grids
        Raw output of one frame.
    settings : Settings
        Thresholds.

    Returns
    -------
    Candidates
        Each as yet `Fate.KEPT`, `Fate.EMPTY`, or `Fate.NO_BOX` when the model has no box output.

    Raises
    ------
    SettingsError
        When the settings name a class that the model has not.
    """
    bound = bind(settings, grids.labels)
    places = lattice(grids.shape, grids.stride)
    cells = (grids.coverage.reshape(len(bound.reached), -1) >= bound.reached).ravel().nonzero()[0]
    count = len(cells)
    fate, none = np.zeros(count, np.uint8), np.empty(count, np.int64)
    none.fill(-1)
    if grids.boxes is None:
        boxes = np.zeros((count, 4))
        fate.fill(Fate.NO_BOX)
    else:
        columns = box_columns(grids, cells)
        width, height = grids.fit.content_size
        np.maximum(columns, 0.0, out=columns)
        np.minimum(columns[::2], width, out=columns[::2])
        np.minimum(columns[1::2], height, out=columns[1::2])
        empty = columns[2:] <= columns[:2]
        np.logical_or(empty[0], empty[1], out=fate.view(bool))  # Fate.KEPT is 0 and Fate.EMPTY is 1
        boxes = np.ascontiguousarray(columns.T)
    return Candidates(
        places.class_id.take(cells),
        places.row.take(cells),
        places.col.take(cells),
        grids.coverage.reshape(-1).take(cells),
        boxes,
        fate,
        none,
        np.zeros(count),
        none.copy(),
    )


def cluster_candidates(candidates: Candidates, grids: Grids, settings: Settings) -> Decoded:
    """Cluster and sift candidates; what `decode` does after `find_candidates`.

    Parameters
    ----------
    candidates : Candidates
        As `find_candidates` returned them; they stay as they are.
    grids : Grids
        Where they were found.
    settings : Settings
        Clustering, least sizes and confidences.

    Returns
    -------
    Decoded
        With candidates of its own.

    Raises
    ------
    SettingsError
        When the settings name a class that the model has not.
    """
    fates = {name: getattr(candidates, name).copy() for name in ("fate", "by", "iou", "cluster")}
    return _settle(replace(candidates, **fates), grids, settings)


def _settle(candidates: Candidates, grids: Grids, settings: Settings) -> Decoded:
    """Decide the fates, in the very arrays of the candidates."""
    bound = bind(settings, grids.labels)
    if grids.boxes is None:
        return Decoded(candidates, Detections.empty(grids.labels), np.zeros(0, np.int64), COVERAGE_ONLY)
    network, scores, source = _cluster(candidates, (candidates.fate == _KEPT).nonzero()[0], settings)
    xyxy = grids.fit.to_frame(network)
    if bound.sizes or bound.confidences or settings.top_k is not None:
        passed = _sift(candidates, xyxy, scores, source, bound.numbers, settings.top_k)
        xyxy, scores, source = xyxy[passed], scores[passed], source[passed]
    detections = Detections(
        xyxy.astype(np.float32),
        scores.astype(np.float32),
        candidates.class_id.take(source),
        candidates.row.take(source),
        candidates.col.take(source),
        grids.labels,
    )
    return Decoded(candidates, detections, source)


def _cluster(candidates: Candidates, members: Ints, settings: Settings) -> tuple[Floats, Floats, Ints]:
    """Cluster every class; return network boxes, scores and source candidates, by class and best first."""
    boxes, group = candidates.network_xyxy.take(members, axis=0), candidates.class_id.take(members)
    coverage = candidates.coverage.take(members).astype(np.float64)
    if settings.clustering is not Clustering.NMS:
        cluster = dbscan(boxes, coverage, settings.eps, settings.min_samples, settings.flavour, group)
        candidates.cluster[members] = cluster
        inside = cluster >= 0
        candidates.fate[members[~inside]] = Fate.NOISE
        members, boxes, coverage, group = members[inside], boxes[inside], coverage[inside], group[inside]
        if settings.clustering is Clustering.DBSCAN:
            return _merge(candidates, members, boxes, coverage, settings)
        # Hybrid, as nvinfer: DBSCAN only drops the outliers, NMS chooses among the rest.
    result = nms(boxes, coverage, settings.nms_iou, group)
    lost = (result.suppressor >= 0).nonzero()[0]
    losers = members.take(lost)
    candidates.fate[losers] = Fate.SUPPRESSED
    candidates.by[losers] = members.take(result.suppressor.take(lost))
    candidates.iou[losers] = result.iou.take(lost)
    return boxes.take(result.kept, axis=0), coverage.take(result.kept), members.take(result.kept)


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
