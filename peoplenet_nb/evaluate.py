"""Detections against ground truth: matching, average precision, precision, recall and F1.

One decision to know: average precision is the 101-point one of COCO at a single IoU, and matching is greedy
by confidence within a frame, each truth used once. That is the convention behind every figure this project
prints.
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
    boxes: npt.ArrayLike, confidence: npt.ArrayLike, truth: npt.ArrayLike, iou: float = 0.5
) -> npt.NDArray[np.int64]:
    """Match one frame's boxes of one class to its ground truth.

    Parameters
    ----------
    boxes, truth : array_like
        ``(N, 4)`` and ``(M, 4)`` xyxy in the same pixels.
    confidence : array_like
        ``(N,)``; the most confident box chooses first, and takes the truth it overlaps most.
    iou : float
        Least IoU of a match.

    Returns
    -------
    ndarray
        ``(N,)`` int64: the index of the matched truth, or -1.
    """
    found = np.asarray(boxes, np.float64).reshape(-1, 4)
    wanted = np.asarray(truth, np.float64).reshape(-1, 4)
    matched = np.full(len(found), -1, np.int64)
    if not len(wanted):
        return matched
    overlap = iou_matrix(found, wanted)
    for i in np.argsort(-np.asarray(confidence, np.float64), kind="stable"):
        best = int(np.argmax(overlap[i]))
        if overlap[i, best] >= iou:
            matched[i] = best
            overlap[:, best] = -1.0
    return matched


def precision_recall(
    frames: Sequence[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]], iou: float = 0.5
) -> PrecisionRecall:
    """Return precision and recall over frames.

    Parameters
    ----------
    frames : sequence of tuple
        ``(boxes (N, 4), confidence (N,), truth (M, 4))`` per frame, one class.
    iou : float
        Least IoU of a match.
    """
    scores, hits, truths = [np.zeros(0)], [np.zeros(0, bool)], 0
    for boxes, confidence, truth in frames:
        scores.append(np.asarray(confidence, np.float64))
        hits.append(match(boxes, confidence, truth, iou) >= 0)
        truths += len(np.asarray(truth).reshape(-1, 4))
    confidences, hit = np.concatenate(scores), np.concatenate(hits)
    order = np.argsort(-confidences, kind="stable")
    true_positives = np.cumsum(hit[order])
    number = np.arange(1, len(order) + 1)
    return PrecisionRecall(
        confidences[order], true_positives / number, true_positives / max(truths, 1), truths
    )


def read_mot(path: str | Path) -> dict[int, npt.NDArray[np.float64]]:
    """Read ground truth in the MOTChallenge 2015 format.

    Parameters
    ----------
    path : str or Path
        Lines ``frame, id, left, top, width, height, ...``; frames count from 1. All boxes are taken, also
        those that MOT's seventh column marks as hard.

    Returns
    -------
    dict
        By 0-based frame index: ``(M, 4)`` float64 xyxy.

    Raises
    ------
    SourceError
        When the file is missing or not in that format.
    """
    try:
        rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(6))
    except (OSError, ValueError) as error:
        raise SourceError(
            "The ground truth cannot be read", seen=f"{path}: {error}", next_step="pass a file in MOT format."
        ) from error
    boxes = np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)
    return {int(frame) - 1: boxes[rows[:, 0] == frame] for frame in np.unique(rows[:, 0])}
