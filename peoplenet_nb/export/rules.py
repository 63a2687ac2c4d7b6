"""What the other programs make of a frame's raw grids, with the settings that were written for them.

`decode` does what settings say. Here stands what each program does with its file, its slips included, so that the
difference can be told before anything runs there. Sources are named beside each; arithmetic is float64 where they have
float32, which decides ties only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import Candidates, cell_boxes, check_floor, dbscan, iou_matrix, nms
from peoplenet_nb.decoding.overlap import Floats, Ints, box_area
from peoplenet_nb.decoding.steps import ATHR_THRESHOLD
from peoplenet_nb.detections import Detections
from peoplenet_nb.export.targets import Target
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Clustering, Flavour, Score, Settings, bind


def decode_there(grids: Grids, settings: Settings, target: Target) -> Detections:
    """Return the boxes that a program finds, in frame pixels.

    Parameters
    ----------
    grids : Grids
        Raw output of one frame.
    settings : Settings
        What its file says: settings that the target can take.
    target : Target
        The program.

    Returns
    -------
    Detections
        By class.

    Raises
    ------
    SettingsError
        When the settings are for another fit, or ask for cells that were not saved.
    """
    bind(settings, grids.labels, grids.fit.mode)
    if grids.floor:
        check_floor(grids, settings)
    rules = {Target.TAO: _tao, Target.TRITON: _triton, Target.JETSON: _jetson, Target.ISAAC: _isaac}
    found = _candidates(grids, settings, above=target in (Target.TAO, Target.TRITON))
    if not len(found) or grids.boxes is None:
        return Detections.empty(grids.labels)
    boxes, scores, source = rules.get(target, _nvinfer)(grids, settings, found)
    return Detections(
        boxes.astype(np.float32),
        scores.astype(np.float32),
        found.class_id[source],
        found.row[source],
        found.col[source],
        grids.labels,
    )


_Found = tuple[Floats, Floats, Ints]  # boxes in frame pixels, scores, source


def _candidates(grids: Grids, settings: Settings, *, above: bool) -> Candidates:
    """Return the cells at or above their threshold, with boxes that are not clipped, class by class, row by row."""
    threshold = bind(settings, grids.labels).threshold.astype(np.float32)[:, None, None]
    reaches = grids.coverage > threshold if above else grids.coverage >= threshold
    class_id, row, col = (index.astype(np.int64) for index in np.nonzero(reaches))
    boxes = np.zeros((0, 4)) if grids.boxes is None else cell_boxes(grids, class_id, row, col)
    return Candidates(class_id, row, col, grids.coverage[class_id, row, col], boxes)


def _clip(boxes: Floats, width: float, height: float, *, last: bool) -> Floats:
    """Return boxes within a picture; where ``last``, what is beyond it ends at its last pixel."""
    size = np.array((width, height, width, height))
    beyond = boxes >= size
    return np.maximum(np.where(beyond, size - 1 if last else size, boxes), 0.0)


def _means(boxes: Floats, coverage: Floats, cluster: Ints) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """Return of each cluster: mean box, weighted by coverage, sum and best of coverage, size, best member."""
    inside = np.flatnonzero(cluster >= 0)
    order = inside[np.lexsort((-coverage[inside], cluster[inside]))]
    number, first = np.unique(cluster[order], return_index=True)
    size = np.bincount(cluster[order]).astype(np.float64)
    best = order[first]
    weights = np.where(coverage[inside] > 0, coverage[inside], 1e-12)
    total: Floats = np.bincount(cluster[inside], weights, len(number)).astype(np.float64)
    sums = [np.bincount(cluster[inside], boxes[inside, k] * weights, len(number)) for k in range(4)]
    return np.stack(sums, axis=1) / total[:, None], total, coverage[best], size, best


def _nvinfer(grids: Grids, settings: Settings, found: Candidates) -> _Found:
    """``nvdsinfer_context_impl_output_parsing.cpp``, then ``gstnvinfer_meta_utils.cpp``; Savant runs nvinfer."""
    numbers = bind(settings, grids.labels)
    width, height = grids.fit.network_size
    boxes = _clip(found.network_xyxy, width, height, last=True)
    members = np.flatnonzero((boxes[:, 2:] >= boxes[:, :2]).all(axis=1))
    coverage, group = found.coverage.astype(np.float64), found.class_id
    scores = coverage
    if settings.clustering is not Clustering.NMS:
        cluster = np.full(len(found), -1)
        cluster[members] = _deepstream_clusters(boxes[members], coverage[members], settings, group[members])
        members = np.flatnonzero(cluster >= 0)
    if settings.clustering is Clustering.DBSCAN:
        means, total, top, size, best = _means(boxes, coverage, cluster)
        dense = np.sqrt(box_area(means)) / (size + 1) <= ATHR_THRESHOLD
        if sums := settings.score is Score.SUM:  # dbscan-min-score
            dense &= total >= numbers.min_confidence[group[best]]
        boxes, members, scores = boxes.copy(), best[dense], coverage.copy()
        boxes[members], scores[members] = means[dense], top[dense]
        kept = members[np.lexsort((-scores[members], group[members]))]
        passed = (scores[kept] >= numbers.min_confidence[group[kept]]) | sums
    else:
        kept = members[nms(boxes[members], coverage[members], settings.nms_iou, group[members]).kept]
        passed = scores[kept] > numbers.min_confidence[group[kept]]
    kept = kept[passed]
    if settings.top_k is not None:
        kept = np.concatenate([kept[group[kept] == c][: settings.top_k] for c in range(len(grids.labels))])
    frame = grids.fit.to_frame(boxes[kept])
    size_xy = frame[:, 2:] - frame[:, :2]
    large = size_xy[:, 0] >= numbers.min_width[group[kept]]
    large &= size_xy[:, 1] >= numbers.min_height[group[kept]]
    return frame[large], scores[kept][large], kept[large]


def _deepstream_clusters(boxes: Floats, coverage: Floats, settings: Settings, group: Ints) -> Ints:
    return dbscan(boxes, coverage, settings.eps, settings.min_samples, Flavour.DEEPSTREAM, group)


def _tao(grids: Grids, settings: Settings, found: Candidates) -> _Found:
    """TAO deploy: clustered as they are, clipped at the end; least heights in network pixels."""
    numbers = bind(settings, grids.labels)
    boxes, coverage, group = found.network_xyxy, found.coverage.astype(np.float64), found.class_id
    members = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if settings.clustering is not Clustering.NMS:
        walk = members[np.lexsort((found.row[members], found.col[members], group[members]))]
        cluster = np.full(len(found), -1)
        cluster[walk] = dbscan(
            boxes[walk], coverage[walk], settings.eps, settings.min_samples, Flavour.TAO, group[walk]
        )
        members = np.flatnonzero(cluster >= 0)
    if settings.clustering is Clustering.DBSCAN:
        means, scores, _, _, source = _means(boxes, coverage, cluster)
    else:
        wide = boxes[members] + (0, 0, 1, 1)  # areas of whole pixels
        source = members[nms(wide, coverage[members], settings.nms_iou, group[members]).kept]
        means, scores = boxes[source], coverage[source]
    means = _clip(means, *grids.fit.network_size, last=False)
    passed = means[:, 3] - means[:, 1] >= numbers.min_height[group[source]]
    passed &= scores >= numbers.min_confidence[group[source]]
    return _by_class(grids.fit.to_frame(means)[passed], scores[passed], source[passed], group)


def _triton(grids: Grids, settings: Settings, found: Candidates) -> _Found:
    """As the Triton client: DBSCAN on Euclid's distance between the rows of 1 - IoU, taken for points."""
    numbers = bind(settings, grids.labels)
    boxes = _clip(found.network_xyxy, *grids.fit.network_size, last=False)
    coverage, group = found.coverage.astype(np.float64), found.class_id
    members = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    cluster = np.full(len(found), -1)
    begin = 0
    for which in np.unique(group[members]):
        of_class = members[group[members] == which]
        walk = of_class[np.lexsort((found.row[of_class], found.col[of_class]))]
        rows = 1.0 - iou_matrix(boxes[walk], boxes[walk])
        near = _euclid(rows) <= settings.eps
        clusters = _weighted(near, coverage[walk], settings.min_samples)
        cluster[walk] = np.where(clusters >= 0, clusters + begin, -1)
        begin = max(begin, int(cluster.max()) + 1)
    if begin == 0:
        return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    means, scores, _, _, source = _means(boxes, coverage, cluster)
    frame = grids.fit.to_frame(means)
    passed = frame[:, 3] - frame[:, 1] >= numbers.min_height[group[source]]
    passed &= scores >= numbers.min_confidence[group[source]]
    return _by_class(frame[passed], scores[passed], source[passed], group)


def _euclid(rows: Floats) -> Floats:
    from scipy.spatial.distance import cdist

    distances: Floats = cdist(rows, rows)
    return distances


def _weighted(near: npt.NDArray[np.bool_], weights: Floats, least: float) -> Ints:
    """Return the clusters of a weighted DBSCAN whose neighbours are given; a border point joins the first."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    core = near @ weights >= least
    cluster = np.full(len(near), -1)
    members = np.flatnonzero(core)
    # Numbered in the order of their first member.
    _, found = connected_components(csr_array(near[np.ix_(members, members)]), directed=False)
    _, first, number = np.unique(found, return_index=True, return_inverse=True)
    cluster[members] = np.argsort(np.argsort(first))[number]
    for border in np.flatnonzero(~core):
        reached = cluster[members[near[border, members]]]
        if len(reached):
            cluster[border] = reached.min()
    return cluster


def _by_class(boxes: Floats, scores: Floats, source: Ints, group: Ints) -> _Found:
    order = np.lexsort((-scores, group[source]))
    return boxes[order], scores[order], source[order]


def _jetson(grids: Grids, settings: Settings, found: Candidates) -> _Found:
    """``detectNet.cpp``: a box that shares enough of the larger of two with a box of its class widens that one."""
    share = 2 * settings.nms_iou / (1 + settings.nms_iou)
    frame = grids.fit.to_frame(found.network_xyxy)
    taken: list[int] = []
    kept = np.zeros((0, 4))
    scores: list[float] = []
    for i, box in enumerate(frame):
        inter = np.maximum(np.minimum(kept[:, 2:], box[2:]) - np.maximum(kept[:, :2], box[:2]), 0.0).prod(
            axis=1
        )
        largest = np.maximum(box_area(kept), (box[2] - box[0]) * (box[3] - box[1]))
        same = found.class_id[taken] == found.class_id[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            hits = np.flatnonzero(same & (inter / largest > share))
        if len(hits):
            m = int(hits[0])
            kept[m] = (*np.minimum(kept[m, :2], box[:2]), *np.maximum(kept[m, 2:], box[2:]))
            scores[m] = max(scores[m], float(found.coverage[i]))
        else:
            taken.append(i)
            kept = np.vstack((kept, box))
            scores.append(float(found.coverage[i]))
    kept = _clip(kept, *grids.fit.frame_size, last=True)
    return _by_class(kept, np.array(scores), np.array(taken), found.class_id)


def _isaac(grids: Grids, settings: Settings, found: Candidates) -> _Found:
    """``detectnet_decoder.cpp``, the first class alone: it reads the boxes of all others from wrong channels."""
    mine = np.flatnonzero(found.class_id == 0)
    boxes, coverage = found.network_xyxy[mine], found.coverage[mine].astype(np.float64)
    cluster = _deepstream_clusters(boxes, coverage, settings, np.zeros(len(mine), np.int64))
    means, total, top, size, best = _means(boxes, coverage, cluster)
    dense = np.sqrt(np.maximum(box_area(means), 0.0)) / (size + 1) <= ATHR_THRESHOLD
    dense &= total >= settings.default.min_confidence
    return _by_class(grids.fit.to_frame(means[dense]), top[dense], mine[best[dense]], found.class_id)
