"""What the other programs make of a frame's raw grids, with the settings that were written for them.

`decode` does what settings say. Here stands what each program does with its file, its slips included, so that the
difference can be told before anything runs there. Sources are named beside each; arithmetic is float64 where they have
float32, which decides ties only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from peoplenet_nb.decoding import Candidates, cell_boxes, check_floor, dbscan, iou_matrix, nms
from peoplenet_nb.decoding.clustering import clusters_of
from peoplenet_nb.decoding.overlap import Floats, Ints, box_area
from peoplenet_nb.decoding.steps import ATHR_THRESHOLD
from peoplenet_nb.detections import Detections
from peoplenet_nb.export.deepstream import crops
from peoplenet_nb.export.targets import Target
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import OWN, ClassSettings, Clustering, Flavour, Settings, bind


def decode_there(grids: Grids, settings: Settings, target: Target) -> Detections:
    """Return the boxes that a program finds in a frame, in its pixels, by class.

    ``settings`` are what its file says: such as the target can take.

    Raises
    ------
    SettingsError
        When the settings are for another fit, or ask for cells that were not saved.
    """
    settings = settings.for_fit(grids.fit.mode)
    bind(settings, grids.labels)
    if grids.floor:
        check_floor(grids, settings)
    rules: dict[Target, Callable[..., _Found]] = {
        Target.NVINFERSERVER: partial(_nvinfer, cropped=False),
        Target.TAO: _tao,
        Target.TRITON: _triton,
        Target.JETSON: _jetson,
        Target.ISAAC: _isaac,
    }
    parts: list[tuple[Candidates, _Found]] = []
    # Isaac reads the boxes of all classes but the first from wrong channels.
    for c, label in enumerate(grids.labels[:1] if target is Target.ISAAC else grids.labels):
        own = replace(settings.for_class(label), **{name: settings.own(label, name) for name in OWN})
        found = _candidates(grids, c, own.threshold, above=target in (Target.TAO, Target.TRITON))
        if len(found) and grids.boxes is not None:
            parts.append((found, rules.get(target, _nvinfer)(grids, settings, own, found)))
    if not parts:
        return Detections.empty(grids.labels)
    rows = []
    for found, (boxes, scores, source) in parts:
        best = source[order := np.argsort(-scores, kind="stable")]
        where = (found.class_id[best], found.row[best], found.col[best])
        rows.append((boxes[order].astype(np.float32), scores[order].astype(np.float32), *where))
    xyxy, confidence, class_id, row, col = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Detections(xyxy, confidence, class_id, row, col, grids.labels)


_Found = tuple[Floats, Floats, Ints]  # of one class: boxes in frame pixels, scores, source


def _candidates(grids: Grids, c: int, threshold: float, *, above: bool) -> Candidates:
    """Return the cells of a class at or above a threshold, with boxes that are not clipped, row by row."""
    least = np.float32(threshold)
    reaches = grids.coverage[c] > least if above else grids.coverage[c] >= least
    row, col = (index.astype(np.int64) for index in np.nonzero(reaches))
    class_id = np.full(len(row), c, np.int64)
    boxes = np.zeros((0, 4)) if grids.boxes is None else cell_boxes(grids, class_id, row, col)
    return Candidates(class_id, row, col, grids.coverage[c, row, col], boxes)


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


def _dense(boxes: Floats, coverage: Floats, own: ClassSettings) -> _Found:
    """Return the clusters of DeepStream's DBSCAN: mean boxes, best coverages, best members."""
    cluster = _clusters(boxes, coverage, own, Flavour.DEEPSTREAM)
    means, total, top, size, best = _means(boxes, coverage, cluster)
    kept = np.sqrt(np.maximum(box_area(means), 0.0)) / (size + 1) <= ATHR_THRESHOLD
    kept &= total >= own.min_sum  # dbscan-min-score
    return means[kept], top[kept], best[kept]


def _clusters(boxes: Floats, coverage: Floats, own: ClassSettings, flavour: Flavour) -> Ints:
    return dbscan(boxes, coverage, own.eps or 0.0, own.min_samples or 0.0, flavour)


def _kept(boxes: Floats, coverage: Floats, own: ClassSettings) -> Ints:
    return nms(boxes, coverage, own.nms_iou or 0.0).kept


def _nvinfer(
    grids: Grids, settings: Settings, own: ClassSettings, found: Candidates, *, cropped: bool = True
) -> _Found:
    """``nvdsinfer_context_impl_output_parsing.cpp``, then ``gstnvinfer_meta_utils.cpp``; Savant runs nvinfer."""
    boxes = _clip(found.network_xyxy, *grids.fit.network_size, last=True)
    members = np.flatnonzero((boxes[:, 2:] >= boxes[:, :2]).all(axis=1))
    boxes, scores = boxes[members], found.coverage[members].astype(np.float64)
    if settings.clustering is Clustering.DBSCAN:
        boxes, scores, best = _dense(boxes, scores, own)
        order = np.argsort(-scores, kind="stable")
        boxes, scores, members = boxes[order], scores[order], members[best[order]]
        passed = scores >= own.min_confidence
    else:
        if settings.clustering is Clustering.HYBRID:
            inside = _clusters(boxes, scores, own, Flavour.DEEPSTREAM) >= 0
            boxes, scores, members = boxes[inside], scores[inside], members[inside]
        kept = _kept(boxes, scores, own)
        boxes, scores, members = boxes[kept], scores[kept], members[kept]
        passed = scores > own.min_confidence
    first = np.flatnonzero(passed)[: own.top_k]
    boxes, scores, members = boxes[first], scores[first], members[first]
    frame = grids.fit.to_frame(boxes)
    width, height = frame[:, 2] - frame[:, 0], frame[:, 3] - frame[:, 1]
    fine = (width >= own.min_width) & (height >= own.min_height)
    fine &= (width <= (own.max_width or np.inf)) & (height <= (own.max_height or np.inf))
    if cropped and crops(settings):
        frame[:, 2:] = np.minimum(frame[:, 2:], grids.fit.frame_size)
        fine &= (frame[:, 2:] > frame[:, :2]).all(axis=1)  # its height would be below 0
    else:
        fine &= (frame[:, 1] >= own.roi_top) & (frame[:, 3] <= grids.fit.frame_size[1] - own.roi_bottom)
    return frame[fine], scores[fine], members[fine]


def _tao(grids: Grids, settings: Settings, own: ClassSettings, found: Candidates) -> _Found:
    """TAO deploy: clustered as they are, clipped at the end; least heights in network pixels."""
    boxes, coverage = found.network_xyxy, found.coverage.astype(np.float64)
    members = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    if settings.clustering is not Clustering.NMS:
        walk = members[np.lexsort((found.row[members], found.col[members]))]
        cluster = np.full(len(found), -1)
        cluster[walk] = _clusters(boxes[walk], coverage[walk], own, Flavour.TAO)
        members = np.flatnonzero(cluster >= 0)
    if settings.clustering is Clustering.DBSCAN:
        means, scores, _, _, source = _means(boxes, coverage, cluster)
    else:
        wide = boxes[members] + (0, 0, 1, 1)  # areas of whole pixels
        source = members[_kept(wide, coverage[members], own)]
        means, scores = boxes[source], coverage[source]
    means = _clip(means, *grids.fit.network_size, last=False)
    passed = (means[:, 3] - means[:, 1] >= own.min_height) & (scores >= own.min_confidence)
    return grids.fit.to_frame(means)[passed], scores[passed], source[passed]


def _triton(grids: Grids, settings: Settings, own: ClassSettings, found: Candidates) -> _Found:
    """As the Triton client: DBSCAN on Euclid's distance between the rows of 1 - IoU, taken for points."""
    from scipy.spatial.distance import cdist

    boxes = _clip(found.network_xyxy, *grids.fit.network_size, last=False)
    coverage = found.coverage.astype(np.float64)
    members = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    walk = members[np.lexsort((found.row[members], found.col[members]))]
    rows = 1.0 - iou_matrix(boxes[walk], boxes[walk])
    first, second = np.nonzero(np.triu(cdist(rows, rows) <= (own.eps or 0.0), 1))
    cluster = np.full(len(found), -1)
    cluster[walk] = clusters_of(first, second, coverage[walk], own.min_samples or 0.0, borders=True)
    means, scores, _, _, source = _means(boxes, coverage, cluster)
    frame = grids.fit.to_frame(means)
    passed = (frame[:, 3] - frame[:, 1] >= own.min_height) & (scores >= own.min_confidence)
    return frame[passed], scores[passed], source[passed]


def _jetson(grids: Grids, settings: Settings, own: ClassSettings, found: Candidates) -> _Found:
    """``detectNet.cpp``: a box that shares enough of the larger of two with a box of its class widens that one."""
    share = 2 * settings.nms_iou / (1 + settings.nms_iou)
    taken: list[int] = []
    kept = np.zeros((0, 4))
    scores: list[float] = []
    for i, box in enumerate(grids.fit.to_frame(found.network_xyxy)):
        sides = np.minimum(kept[:, 2:], box[2:]) - np.maximum(kept[:, :2], box[:2])
        inter = np.maximum(sides, 0.0).prod(axis=1)
        largest = np.maximum(box_area(kept), (box[2] - box[0]) * (box[3] - box[1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            hits = np.flatnonzero(inter / largest > share)
        if len(hits):
            m = int(hits[0])
            kept[m] = (*np.minimum(kept[m, :2], box[:2]), *np.maximum(kept[m, 2:], box[2:]))
            scores[m] = max(scores[m], float(found.coverage[i]))
        else:
            taken.append(i)
            kept = np.vstack((kept, box))
            scores.append(float(found.coverage[i]))
    return _clip(kept, *grids.fit.frame_size, last=True), np.array(scores), np.array(taken)


def _isaac(grids: Grids, settings: Settings, own: ClassSettings, found: Candidates) -> _Found:
    """``detectnet_decoder.cpp``, which clips nothing."""
    means, top, best = _dense(found.network_xyxy, found.coverage.astype(np.float64), own)
    return grids.fit.to_frame(means), top, best
