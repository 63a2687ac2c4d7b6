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


_KEPT = np.uint8(Fate.KEPT)  # comparing with the enum takes five times as long


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of N candidates; arrays run in parallel with `Candidates`.

    Parameters
    ----------
    fate : ndarray
        ``(N,)`` uint8, `Fate`.
    by : ndarray
        ``(N,)`` int64: the candidate that suppressed or absorbed this one, or -1.
    iou : ndarray
        ``(N,)`` float64: IoU with the box that suppressed it.
    cluster : ndarray
        ``(N,)`` int64: DBSCAN cluster, -1 for none.
    """

    fate: npt.NDArray[np.uint8]
    by: Ints
    iou: Floats
    cluster: Ints


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
        after_clustering = np.isin(fate, (Fate.KEPT, Fate.TOO_SMALL, Fate.LOW_CONFIDENCE, Fate.BEYOND_TOP_K))
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
    """Cluster and filter candidates; what `decode` does after `find_candidates`.

    Parameters
    ----------
    candidates : Candidates
        As `find_candidates` returned them.
    grids : Grids
        Where they were found.
    settings : Settings
        Clustering, least sizes and confidences.

    Raises
    ------
    SettingsError
        As `decode`.
    """
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
    network, scores, source = cluster_groups(candidates, outcome, (fate == _KEPT).nonzero()[0], settings)
    xyxy = grids.fit.to_frame(network)
    if numbers.limits_size or numbers.limits_confidence or settings.top_k is not None:
        passed = _filter(candidates, outcome, xyxy, scores, source, numbers, settings.top_k)
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
    candidates: Candidates, outcome: Outcome, members: Ints, settings: Settings
) -> tuple[Floats, Floats, Ints]:
    """Cluster every class by itself; return network boxes, scores and source candidates, by class and best first."""
    boxes, group = candidates.network_xyxy.take(members, axis=0), candidates.class_id.take(members)
    coverage = candidates.coverage.take(members).astype(np.float64)
    if settings.clustering is not Clustering.NMS:
        # NVIDIA's programs walk the cells column by column, which decides whose a border point is and the order
        # of equally good clusters.
        walk = np.lexsort((candidates.row.take(members), candidates.col.take(members), group))
        cluster = np.empty(len(members), np.int64)
        cluster[walk] = dbscan(
            boxes[walk], coverage[walk], settings.eps, settings.min_samples, settings.flavour, group[walk]
        )
        outcome.cluster[members] = cluster
        inside = cluster >= 0
        outcome.fate[members[~inside]] = Fate.NOISE
        members, boxes, coverage, group = members[inside], boxes[inside], coverage[inside], group[inside]
        if settings.clustering is Clustering.DBSCAN:
            return _merge(candidates, outcome, members, boxes, coverage, settings)
        # Hybrid, as nvinfer: DBSCAN only drops the outliers, NMS chooses among the rest.
    result = nms(boxes, coverage, settings.nms_iou, group)
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
    settings: Settings,
) -> tuple[Floats, Floats, Ints]:
    """Make one box of every DBSCAN cluster, the coverage-weighted mean; by class and best first."""
    if not len(members):
        return boxes, coverage, members
    cluster = outcome.cluster[members]
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
    if settings.flavour is Flavour.DEEPSTREAM:
        sparse = np.sqrt(box_area(means)) / (size + 1) > ATHR_THRESHOLD
        outcome.fate[members[sparse[cluster]]] = Fate.SPARSE
        outcome.by[members[sparse[cluster]]] = -1
        means, scores, source = means[~sparse], scores[~sparse], source[~sparse]
    order = np.lexsort((-scores, candidates.class_id[source]))
    return means[order], scores[order], source[order]


def _filter(
    candidates: Candidates,
    outcome: Outcome,
    xyxy: Floats,
    scores: Floats,
    source: Ints,
    numbers: PerClass,
    top_k: int | None,
) -> npt.NDArray[np.bool_]:
    """Drop what is too small, too weak or too many of its class; return the mask of the rest."""
    class_id = candidates.class_id[source]
    small = xyxy[:, 2] - xyxy[:, 0] < numbers.min_width[class_id]
    small |= xyxy[:, 3] - xyxy[:, 1] < numbers.min_height[class_id]
    weak = ~small & (scores < numbers.min_confidence[class_id])
    outcome.fate[source[small]] = Fate.TOO_SMALL
    outcome.fate[source[weak]] = Fate.LOW_CONFIDENCE
    passed = ~(small | weak)
    if top_k is not None:
        for which in np.unique(class_id):
            beyond = np.flatnonzero(passed & (class_id == which))[top_k:]
            outcome.fate[source[beyond]] = Fate.BEYOND_TOP_K
            passed[beyond] = False
    return passed
