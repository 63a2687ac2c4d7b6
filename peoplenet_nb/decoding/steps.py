"""From raw grids to detections: the one code path, and what became of every candidate.

`decode` returns candidates, their outcomes and the detections, so "why is it missing" is answered by the same
arrays that produced what is there. Its two halves, `find_candidates` and `cluster_candidates`, can be timed apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.candidates import Candidates, find_candidates
from peoplenet_nb.decoding.clustering import dbscan, nms
from peoplenet_nb.decoding.overlap import Floats, Ints, box_area
from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Clustering, Flavour, PerClass, Score, Settings, bind

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
    """A better box of its class overlaps it (NMS); `Outcome.by` is that box."""
    MERGED = 3
    """It is part of a DBSCAN cluster; `Outcome.by` is the cluster's best cell."""
    NOISE = 4
    """DBSCAN found too little around it."""
    SPARSE = 5
    """Its DeepStream cluster is large and has few members."""
    TOO_SMALL = 6
    LOW_CONFIDENCE = 7
    BEYOND_TOP_K = 8
    NO_BOX = 9
    """The model has no box output."""
    TOO_LARGE = 10
    OUTSIDE_ROI = 11
    """It reaches into the edge that `ClassSettings.roi_top` or ``roi_bottom`` leaves out."""
    LOW_SUM = 12
    """The coverages of its DBSCAN cluster are too little together."""


_LIMITS = (Fate.TOO_SMALL, Fate.TOO_LARGE, Fate.OUTSIDE_ROI, Fate.LOW_CONFIDENCE)
_KEPT = np.uint8(Fate.KEPT)  # comparing with the enum takes five times as long


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of N candidates; arrays run in parallel with `Candidates`."""

    fate: npt.NDArray[np.uint8]  # ``(N,)`` uint8, `Fate`
    by: Ints  # ``(N,)`` int64: the candidate that suppressed or absorbed this one, or -1
    iou: Floats  # ``(N,)`` float64: IoU with the box that suppressed it
    cluster: Ints  # ``(N,)`` int64: DBSCAN cluster, -1 for none


@dataclass(frozen=True, eq=False)
class Decoded:
    """The outcome of one decode.

    Parameters
    ----------
    candidates : Candidates
        The cells that reached their threshold.
    outcome : Outcome
        What became of each.
    detections : Detections
        The survivors, by class and then by falling confidence.
    source : ndarray
        ``(len(detections),)`` int64: the candidate behind each detection.
    note : str
        Why there can be no boxes, when the model has none; else empty.
    """

    candidates: Candidates
    outcome: Outcome
    detections: Detections
    source: Ints
    note: str = ""

    def stages(self) -> dict[str, int]:
        """Return how many were left after each step: candidates, with a box, after clustering, detections."""
        fate = self.outcome.fate
        after_clustering = np.isin(fate, (Fate.KEPT, Fate.BEYOND_TOP_K, *_LIMITS))
        return {
            "candidates": len(fate),
            "with a box": int(np.sum((fate != Fate.EMPTY) & (fate != Fate.NO_BOX))),
            "after clustering": int(after_clustering.sum()),
            "detections": len(self.detections),
        }


def decode(grids: Grids, settings: Settings) -> Decoded:
    """Turn raw grids into detections, and record what became of every candidate.

    Cells whose coverage is at least the threshold of their class become candidates; their boxes are clipped
    to the frame, clustered per class, and filtered by size, confidence and number.

    Parameters
    ----------
    grids : Grids
        Raw output of one frame.
    settings : Settings
        Thresholds and clustering, for the fit of these grids.

    Returns
    -------
    Decoded

    Raises
    ------
    SettingsError
        When the settings are for another fit than the grids', name a class that the model has not, or have a
        threshold below the floor of saved grids.
    """
    return cluster_candidates(find_candidates(grids, settings), grids, settings)


def cluster_candidates(candidates: Candidates, grids: Grids, settings: Settings) -> Decoded:
    """Cluster and filter what `find_candidates` returned: the rest of `decode`, whose errors it has."""
    numbers = bind(settings, grids.labels, grids.fit.mode)
    count = len(candidates)
    fate, by, cluster = np.zeros(count, np.uint8), np.full(count, -1), np.full(count, -1)
    outcome = Outcome(fate, by, np.zeros(count), cluster)
    if grids.boxes is None:
        fate.fill(Fate.NO_BOX)
        none = Detections.empty(grids.labels)
        return Decoded(candidates, outcome, none, np.zeros(0, np.int64), COVERAGE_ONLY)
    boxes = candidates.network_xyxy
    # Fate.KEPT is 0 and Fate.EMPTY is 1.
    np.logical_or(boxes[:, 2] <= boxes[:, 0], boxes[:, 3] <= boxes[:, 1], out=fate.view(bool))
    members = (fate == _KEPT).nonzero()[0]
    network, scores, source = cluster_groups(candidates, outcome, members, settings, numbers)
    xyxy = grids.fit.to_frame(network)
    if numbers.measures or numbers.counts:
        fates = _filter(candidates.class_id[source], xyxy, scores, grids.fit.frame_size[1], numbers)
        fate[source] = fates
        passed = fates == _KEPT
        xyxy, scores, source = xyxy[passed], scores[passed], source[passed]
    detections = Detections(
        xyxy.astype(np.float32),
        scores.astype(np.float32),
        candidates.class_id.take(source),
        candidates.row.take(source),
        candidates.col.take(source),
        grids.labels,
    )
    return Decoded(candidates, outcome, detections, source)


def cluster_groups(
    candidates: Candidates, outcome: Outcome, members: Ints, settings: Settings, numbers: PerClass
) -> tuple[Floats, Floats, Ints]:
    """Cluster every class by itself; return network boxes, scores and source candidates, by class and best first."""
    if not numbers.varies:
        return _cluster(candidates, outcome, members, settings, numbers, 0)
    classes = len(numbers.threshold)
    class_id = candidates.class_id.take(members) % classes  # a pool of frames counts on
    parts = [
        _cluster(candidates, outcome, members[class_id == c], settings, numbers, c) for c in range(classes)
    ]
    boxes, scores, source = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = candidates.class_id.take(source).argsort(kind="stable")
    return boxes[order], scores[order], source[order]


def _cluster(
    candidates: Candidates, outcome: Outcome, members: Ints, settings: Settings, numbers: PerClass, which: int
) -> tuple[Floats, Floats, Ints]:
    """Cluster members by the numbers of one class."""
    boxes, group = candidates.network_xyxy.take(members, axis=0), candidates.class_id.take(members)
    coverage = candidates.coverage.take(members).astype(np.float64)
    if settings.clustering is not Clustering.NMS:
        # NVIDIA's programs walk the cells column by column, which decides whose a border point is and the order
        # of equally good clusters.
        walk = np.lexsort((candidates.row.take(members), candidates.col.take(members), group))
        cluster = np.empty(len(members), np.int64)
        eps, least = float(numbers.eps[which]), float(numbers.min_samples[which])
        cluster[walk] = dbscan(boxes[walk], coverage[walk], eps, least, settings.flavour, group[walk])
        inside = cluster >= 0
        outcome.fate[members[~inside]] = Fate.NOISE
        members, boxes, coverage, cluster = members[inside], boxes[inside], coverage[inside], cluster[inside]
        outcome.cluster[members] = cluster + outcome.cluster.max(initial=-1) + 1
        if settings.clustering is Clustering.DBSCAN:
            return _merge(candidates, outcome, members, boxes, coverage, cluster, settings, numbers)
        # Hybrid, as nvinfer: DBSCAN only drops the outliers, NMS chooses among the rest.
        group = group[inside]
    result = nms(boxes, coverage, float(numbers.nms_iou[which]), group)
    lost = (result.suppressor >= 0).nonzero()[0]
    losers = members.take(lost)
    outcome.fate[losers] = Fate.SUPPRESSED
    outcome.by[losers] = members.take(result.suppressor.take(lost))
    outcome.iou[losers] = result.iou.take(lost)
    return boxes.take(result.kept, axis=0), coverage.take(result.kept), members.take(result.kept)


def _merge(
    candidates: Candidates,
    outcome: Outcome,
    members: Ints,
    boxes: Floats,
    coverage: Floats,
    cluster: Ints,
    settings: Settings,
    numbers: PerClass,
) -> tuple[Floats, Floats, Ints]:
    """Make one box of every DBSCAN cluster, the coverage-weighted mean; by class and best first."""
    if not len(members):
        return boxes, coverage, members
    total, size = np.bincount(cluster, coverage).astype(np.float64), np.bincount(cluster)
    # Coverage can be exactly 0 when the threshold is: such a cluster's members count alike.
    weights = np.where(total[cluster] > 0, coverage, 1.0)
    sums = np.stack([np.bincount(cluster, boxes[:, k] * weights) for k in range(4)], axis=1)
    means = sums / np.bincount(cluster, weights)[:, None]

    # The best cell of each cluster, the first of equals, stands for it in outcomes and in the table.
    ordered = np.lexsort((-coverage, cluster))
    best = ordered[np.searchsorted(cluster[ordered], np.arange(len(size)))]
    source = members[best]
    outcome.fate[members] = Fate.MERGED
    outcome.by[members] = source[cluster]
    outcome.fate[source] = Fate.KEPT
    outcome.by[source] = -1
    scores: Floats = total if settings.score is Score.SUM else coverage[best]
    least = numbers.min_sum[candidates.class_id[source] % len(numbers.min_sum)]
    sparse = np.sqrt(box_area(means)) / (size + 1) > ATHR_THRESHOLD
    sparse &= settings.flavour is Flavour.DEEPSTREAM
    for fate, dropped in ((Fate.LOW_SUM, total < least), (Fate.SPARSE, sparse)):
        gone = members[dropped[cluster]]
        outcome.fate[gone], outcome.by[gone] = fate, -1
    kept = ~sparse & (total >= least)
    means, scores, source = means[kept], scores[kept], source[kept]
    order = np.lexsort((-scores, candidates.class_id[source]))
    return means[order], scores[order], source[order]


def beyond_limits(
    xyxy: Floats, scores: Floats, class_id: Ints, frame_height: Ints | int, numbers: PerClass
) -> list[tuple[Fate, npt.NDArray[np.bool_]]]:
    """Return which of N final boxes are too small, too large, outside the region or too weak, as masks."""
    width, height = xyxy[:, 2] - xyxy[:, 0], xyxy[:, 3] - xyxy[:, 1]
    small = (width < numbers.min_width[class_id]) | (height < numbers.min_height[class_id])
    large = (width > numbers.max_width[class_id]) | (height > numbers.max_height[class_id])
    outside = xyxy[:, 1] < numbers.roi_top[class_id]
    outside |= xyxy[:, 3] > frame_height - numbers.roi_bottom[class_id]
    return list(zip(_LIMITS, (small, large, outside, scores < numbers.min_confidence[class_id]), strict=True))


def _filter(
    class_id: Ints, xyxy: Floats, scores: Floats, frame_height: int, numbers: PerClass
) -> npt.NDArray[np.uint8]:
    """Return the fates of N final boxes: beyond a limit, too many of their class, or kept."""
    fates = np.zeros(len(xyxy), np.uint8)
    limits = beyond_limits(xyxy, scores, class_id, frame_height, numbers) if numbers.measures else []
    for fate, gone in limits:
        fates[gone & (fates == _KEPT)] = fate
    for which in np.flatnonzero(np.isfinite(numbers.top_k)) if numbers.counts else ():
        beyond = np.flatnonzero((fates == _KEPT) & (class_id == which))[int(numbers.top_k[which]) :]
        fates[beyond] = Fate.BEYOND_TOP_K
    return fates
