"""Thousands of settings on the candidates of a clip: what each gives, stretch by stretch.

A clustering is run once over all frames; all thresholds of confidence are then read off one matching, since greedy
matching of the most confident boxes does not change when less confident ones are left out. What is kept of a clustering
is a table of right and false boxes by stretch and threshold, from which any choice of stretches is scored in no time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.metrics.matching import Floats, Ints, Mask, match_pairs
from peoplenet_nb.settings import Clustering, Flavour, Score, Settings

LEAST = 0.02
"""The lowest threshold that is tried."""
_THRESHOLDS = np.round(np.arange(LEAST, 0.951, 0.01), 2)
_SUMS = np.round(np.geomspace(0.1, 20.0, len(_THRESHOLDS)), 2)  # of coverages
_NMS_IOUS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
_EPS = (0.3, 0.45, 0.6, 0.7)
_MIN_SAMPLES = (0.05, 0.5, 1.0)
_DBSCAN_THRESHOLDS = (0.1, 0.2, 0.3)
_IOU, _NEAR = 0.5, 0.1
_SAME = 0.3  # IoU from which on two false boxes within a second are one alarm


@dataclass(frozen=True, eq=False)
class Counts:
    """What one clustering gives of one class; ``U`` stretches, ``T`` thresholds."""

    hits: Floats  # hits, false: ``(U, T)`` float64: right and false boxes
    false: Floats
    # ``(U, T)`` float64: false alarms, where they were asked for. A box that only sits badly on a truth is none
    alarms: Floats | None


@dataclass(frozen=True, eq=False)
class Variant:
    """One clustering: its settings, the thresholds that were tried on it, and what they give by class."""

    settings: Settings
    thresholds: Floats
    counts: dict[str, Counts]

    def chosen(self, thresholds: dict[str, float]) -> Settings:
        """Return settings with a threshold for some classes: of the coverage, or of the confidence with DBSCAN."""
        made = self.settings
        for label, value in thresholds.items():
            if self.settings.clustering is Clustering.DBSCAN:
                made = made.with_class(
                    label, threshold=self.settings.for_class(label).threshold, min_confidence=value
                )
            else:
                made = made.with_class(label, threshold=value, min_confidence=0.0)
        return made


def clusterings(
    base: Settings, classes: tuple[str, ...], *, thresholds_only: bool
) -> Iterator[tuple[Settings, Floats]]:
    """Yield clusterings with opened thresholds, that of the base first, and the thresholds to try on each."""

    def opened(settings: Settings, threshold: float) -> Settings:
        for label in classes:
            settings = settings.with_class(label, threshold=threshold, min_confidence=0.0)
        return settings

    def scores(settings: Settings) -> Floats:
        summed = settings.clustering is Clustering.DBSCAN and settings.score is Score.SUM
        return _SUMS if summed else _THRESHOLDS

    first = base
    if base.clustering is Clustering.NMS:
        first = opened(base, LEAST)
    else:
        for label in classes:
            first = first.with_class(label, min_confidence=0.0)
    yield first, scores(base)
    if thresholds_only:
        return
    for label in classes:  # a number of its own would stand in place of each that is tried
        base = base.with_class(label, nms_iou=None, eps=None, min_samples=None)
    for iou in _NMS_IOUS:
        if (made := opened(base.replace(clustering=Clustering.NMS, nms_iou=iou), LEAST)) != first:
            yield made, _THRESHOLDS
    # No summed scores: they rank by size, and what they gain on one kind of pictures they lose on the next.
    dbscan = base.replace(clustering=Clustering.DBSCAN, flavour=Flavour.TAO, score=Score.MAX)
    for eps, least, threshold in product(_EPS, _MIN_SAMPLES, _DBSCAN_THRESHOLDS):
        yield opened(dbscan.replace(eps=eps, min_samples=least), threshold), _THRESHOLDS


def count(
    clip: Clip, settings: Settings, thresholds: Floats, classes: tuple[str, ...], unit: Ints, gap: int
) -> Variant:
    """Return what a clustering, with opened thresholds, gives of classes at all ``(T,)`` thresholds, which rise.

    ``unit`` is the stretch of each frame. False boxes at one spot within ``gap`` frames are one alarm; 0 asks for none.
    """
    found, counts = clip.found(settings), {}
    for label in classes:
        mine, matched, near = match_class(found, clip, label)
        hit, false = (matched >= 0), (matched == -1)
        alarms = None
        if gap:
            wrong = mine[false & ~near]
            first, peak = _alarms(wrong, gap)
            alarms = _above(unit[first], peak, thresholds, unit)
        counts[label] = Counts(
            _above(unit[mine.frame[hit]], mine.confidence[hit], thresholds, unit),
            _above(unit[mine.frame[false]], mine.confidence[false], thresholds, unit),
            alarms,
        )
    return Variant(settings, thresholds, counts)


def match_class(found: Found, clip: Clip, label: str) -> tuple[Found, Ints, Mask]:
    """Return the boxes of a class, what became of them at IoU 0.5, and which are on or beside a truth at all."""
    mine, _, pairs = found.against(clip.labels, clip.labels.classes.index(label), _NEAR)
    near = np.zeros(len(mine), bool)
    near[pairs.box] = True
    return mine, match_pairs(pairs, _IOU)[0], near


def _above(unit: Ints, confidence: Floats, thresholds: Floats, units: Ints) -> Floats:
    """Return ``(U, T)``: how many of each stretch reach each threshold."""
    place = np.searchsorted(thresholds, confidence, side="right")
    shape = (int(units.max(initial=-1)) + 1, len(thresholds) + 1)
    histogram = np.bincount(unit * shape[1] + place, minlength=shape[0] * shape[1]).reshape(shape)
    reached: Floats = histogram[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:].astype(np.float64)
    return reached


def _alarms(wrong: Found, gap: int) -> tuple[Ints, Floats]:
    """Join false boxes at one spot; return the first frame and the highest confidence of each alarm."""
    first, peak = list[int](), list[float]()
    open_boxes, open_frame, open_alarm = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    cuts = np.flatnonzero(np.diff(wrong.frame, prepend=-1))
    for begin, end in pairwise([*cuts, len(wrong)] if len(wrong) else []):
        frame, boxes = int(wrong.frame[begin]), wrong.xyxy[begin:end]
        near = open_frame >= frame - gap
        open_boxes, open_frame, open_alarm = open_boxes[near], open_frame[near], open_alarm[near]
        overlap, joined = iou_matrix(boxes, open_boxes), set[int]()
        for i, box in enumerate(boxes):
            best = int(np.argmax(overlap[i])) if overlap.shape[1] else -1
            confidence = float(wrong.confidence[begin + i])
            if best >= 0 and overlap[i, best] >= _SAME and best not in joined:
                joined.add(best)
                alarm = int(open_alarm[best])
                peak[alarm] = max(peak[alarm], confidence)
                open_boxes[best], open_frame[best] = box, frame
            else:
                first.append(frame)
                peak.append(confidence)
                open_boxes = np.vstack([open_boxes, box])
                open_frame, open_alarm = np.append(open_frame, frame), np.append(open_alarm, len(first) - 1)
    return np.array(first, np.int64), np.array(peak)
