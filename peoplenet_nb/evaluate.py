"""Detections against ground truth: matching, average precision, precision, recall and F1.

Average precision is the 101-point one of COCO at a single IoU. Matching is greedy by confidence within a frame; each
truth is used once, and boxes on an *ignored* truth count neither as hits nor as false, as COCO treats its crowds.
That is the convention behind every figure this project prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.errors import SourceError

_RECALL_POINTS = np.linspace(0.0, 1.0, 101)

IGNORED = -2
"""What `match` returns for a box on an ignored truth: neither a hit nor false."""


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of one class in one frame.

    Parameters
    ----------
    xyxy : ndarray
        ``(M, 4)`` float64 in frame pixels.
    ignore : ndarray
        ``(M,)`` bool: neither to be found nor wrong to find.
    """

    xyxy: npt.NDArray[np.float64]
    ignore: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, truth: Truth | npt.ArrayLike) -> Truth:
        """Return ground truth from itself or from bare boxes ``(M, 4)``, none of them ignored."""
        if isinstance(truth, Truth):
            return truth
        boxes = np.asarray(truth, np.float64).reshape(-1, 4)
        return cls(boxes, np.zeros(len(boxes), bool))

    def __len__(self) -> int:
        """How many boxes are to be found."""
        return int((~self.ignore).sum())


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """How detections of one class fare as the threshold falls.

    Parameters
    ----------
    confidence, precision, recall : ndarray
        ``(N,)`` float64, by falling confidence: what is reached when everything down to this confidence
        is taken.
    truths : int
        Number of ground-truth boxes.
    """

    confidence: npt.NDArray[np.float64]
    precision: npt.NDArray[np.float64]
    recall: npt.NDArray[np.float64]
    truths: int

    @property
    def f1(self) -> npt.NDArray[np.float64]:
        """F1 at each confidence."""
        total = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0)

    @property
    def average_precision(self) -> float:
        """Mean over 101 recall levels of the best precision at that recall or beyond; 0 without truths."""
        if not len(self.recall) or not self.truths:
            return 0.0
        envelope = np.maximum.accumulate(self.precision[::-1])[::-1]
        index = np.searchsorted(self.recall, _RECALL_POINTS - 1e-12, side="left")
        return float(
            np.mean(np.where(index < len(envelope), envelope[np.minimum(index, len(envelope) - 1)], 0.0))
        )

    def best(self) -> tuple[float, float, float, float]:
        """Return ``(f1, confidence, precision, recall)`` where F1 is greatest; zeros without detections."""
        if not len(self.recall):
            return (0.0, 0.0, 0.0, 0.0)
        i = int(np.argmax(self.f1))
        return (float(self.f1[i]), float(self.confidence[i]), float(self.precision[i]), float(self.recall[i]))


def match(
    boxes: npt.ArrayLike, confidence: npt.ArrayLike, truth: Truth | npt.ArrayLike, iou: float = 0.5
) -> npt.NDArray[np.int64]:
    """Match one frame's boxes of one class to its ground truth.

    Parameters
    ----------
    boxes : array_like
        ``(N, 4)`` xyxy in the pixels of the truth.
    confidence : array_like
        ``(N,)``; the most confident box chooses first, and takes the truth it overlaps most.
    truth : Truth or array_like
        What is to be found, or its boxes ``(M, 4)``.
    iou : float
        Least IoU of a match. A box without one is `IGNORED` when at least this part of it lies on an ignored truth.

    Returns
    -------
    ndarray
        ``(N,)`` int64: the index of the matched truth, -1 for a false box, or `IGNORED`.
    """
    found, wanted = np.asarray(boxes, np.float64).reshape(-1, 4), Truth.of(truth)
    matched = np.full(len(found), -1, np.int64)
    if not len(wanted.xyxy):
        return matched
    on_ignored = _covered(found, wanted.xyxy[wanted.ignore]) >= iou
    overlap = iou_matrix(found, wanted.xyxy)
    overlap[:, wanted.ignore] = -1.0
    for i in np.argsort(-np.asarray(confidence, np.float64), kind="stable"):
        best = int(np.argmax(overlap[i]))
        if overlap[i, best] >= iou:
            matched[i] = best
            overlap[:, best] = -1.0
        elif on_ignored[i]:
            matched[i] = IGNORED
    return matched


def _covered(boxes: npt.NDArray[np.float64], regions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return for each box the largest part of its area that lies in one region, 0..1."""
    if not len(regions):
        return np.zeros(len(boxes))
    low, high = np.maximum(boxes[:, None, :2], regions[:, :2]), np.minimum(boxes[:, None, 2:], regions[:, 2:])
    inside, area = np.clip(high - low, 0, None).prod(axis=2), (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    part: npt.NDArray[np.float64] = inside.max(axis=1) / np.maximum(area, 1e-12)
    return part


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
    scores, hits, truths = [np.zeros(0)], [np.zeros(0, bool)], 0
    for boxes, confidence, truth in frames:
        matched = match(boxes, confidence, truth, iou)
        counts = matched != IGNORED
        scores.append(np.asarray(confidence, np.float64)[counts])
        hits.append(matched[counts] >= 0)
        truths += len(Truth.of(truth))
    confidences, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-confidences, kind="stable")
    true_positives = np.cumsum(hit[order])
    number = np.arange(1, len(order) + 1)
    return PrecisionRecall(
        confidences[order], true_positives / number, true_positives / max(truths, 1), truths
    )


def read_mot(path: str | Path) -> dict[int, Truth]:
    """Read ground truth in the MOTChallenge 2015 format.

    Parameters
    ----------
    path : str or Path
        Lines ``frame, id, left, top, width, height, flag, ...``. Frames and pixels count from 1; a flag of 0
        marks a box to be ignored.

    Returns
    -------
    dict
        By 0-based frame index, boxes in 0-based frame pixels.

    Raises
    ------
    SourceError
        When the file is missing or not in that format.
    """
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(7))
    except (OSError, ValueError) as error:
        raise SourceError(
            "The ground truth cannot be read", seen=f"{path}: {error}", next_step="pass a file in MOT format."
        ) from error
    corner = rows[:, 2:4] - 1
    boxes, ignore = np.concatenate([corner, corner + rows[:, 4:6]], axis=1), rows[:, 6] == 0
    frames = rows[:, 0].astype(int)
    return {int(n) - 1: Truth(boxes[frames == n], ignore[frames == n]) for n in np.unique(frames)}
