"""Precision and recall as the threshold falls, and the average precision under that curve.

Average precision is the 101-point one of COCO; a box on an ignored truth counts neither as a hit nor as false. That
is the convention behind every figure this project prints. The number of boxes a frame may have is not limited (COCO's
own program takes the best 100).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.labels import Truth
from peoplenet_nb.metrics.matching import IGNORED, Floats, Ints, Mask, find_pairs, match_pairs

_RECALL_POINTS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """How detections of one class fare as the threshold falls."""

    # confidence, precision, recall: ``(N,)`` float64, by falling confidence: what is reached when everything down to
    # this confidence is taken
    confidence: Floats
    precision: Floats
    recall: Floats
    truths: int  # number of ground-truth boxes

    @classmethod
    def of(cls, confidence: Floats, matched: Ints, truths: int) -> PrecisionRecall:
        """Return the curve of boxes, frame by frame, and what `match_pairs` made of them."""
        counts = np.flatnonzero(matched != IGNORED)
        order = counts[np.argsort(-confidence[counts], kind="stable")]
        hits = np.cumsum(matched[order] >= 0)
        return cls(confidence[order], hits / np.arange(1, len(order) + 1), hits / max(truths, 1), truths)

    @property
    def f1(self) -> Floats:
        """F1 at each confidence."""
        return f1_of(self.precision, self.recall)

    @property
    def average_precision(self) -> float:
        """Mean over 101 recall levels of the best precision at that recall or beyond; 0 without truths."""
        if not self.truths:
            return 0.0
        return average_precision(self.precision, self.recall)

    def best(self) -> tuple[float, float, float, float]:
        """Return ``(f1, confidence, precision, recall)`` where F1 is greatest; zeros without detections."""
        if not len(self.recall):
            return (0.0, 0.0, 0.0, 0.0)
        i = int(np.argmax(self.f1))
        return (float(self.f1[i]), float(self.confidence[i]), float(self.precision[i]), float(self.recall[i]))


def f1_of(precision: npt.ArrayLike, recall: npt.ArrayLike) -> Floats:
    """Return the harmonic mean; 0 where both are 0."""
    p, r = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    total = p + r
    return np.divide(2 * p * r, total, out=np.zeros_like(total), where=total > 0)


def average_precision(precision: Floats, recall: Floats) -> float:
    """Return the 101-point mean of a curve by falling confidence (``pycocotools`` ``cocoeval.py``, `accumulate`)."""
    if not len(recall):
        return 0.0
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(np.mean(envelope[np.searchsorted(recall, _RECALL_POINTS, side="left")]))


def precision_recall(
    frames: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, Truth | npt.ArrayLike]], iou: float = 0.5
) -> PrecisionRecall:
    """Return precision and recall over frames.

    Parameters
    ----------
    frames : sequence of tuple
        ``(boxes (N, 4), confidence (N,), truth)`` per frame, one class, as for `match`.
    iou : float
        Least IoU of a match.
    """
    boxes = [np.asarray(boxes, np.float64).reshape(-1, 4) for boxes, _, _ in frames]
    truths = [Truth.of(truth) for _, _, truth in frames]
    confidence = np.concatenate([np.zeros(0), *(np.asarray(scores, np.float64) for _, scores, _ in frames)])
    ignore: Mask = np.concatenate([np.zeros(0, bool), *(t.ignore for t in truths)])
    none, number = np.zeros((0, 4)), np.arange(len(frames))
    pairs = find_pairs(
        number.repeat([len(b) for b in boxes]),
        np.concatenate([none, *boxes]),
        confidence,
        number.repeat([len(t.xyxy) for t in truths]),
        np.concatenate([none, *(t.xyxy for t in truths)]),
        ignore,
        iou,
    )
    return PrecisionRecall.of(confidence, match_pairs(pairs, iou)[0], int((~ignore).sum()))
