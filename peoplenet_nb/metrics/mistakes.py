"""What went wrong, sorted as a person looks through it: missed, false, badly placed, double, wrong class.

The kinds are those of TIDE (Bolya and others, "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020)
without its mixed one: a box overlaps a truth from an IoU of 0.5 up, and belongs to it, badly placed, from 0.1 up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.labels import EVERY_CLASS, Labels
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.metrics.matching import Floats, Ints, match_pairs

_RIGHT, _NEAR = 0.5, 0.1
_SAME = 0.3  # IoU from which on two errors in neighbouring frames are one to look at


class Kind(StrEnum):
    """A kind of error."""

    MISSED = "missed"
    FALSE = "false"
    BADLY_PLACED = "badly placed"
    DOUBLE = "double"
    WRONG_CLASS = "wrong class"


@dataclass(frozen=True, eq=False)
class Mistake:
    """One error."""

    kind: Kind  # what is wrong
    frame: int  # index into ``labels.frames``
    label: str  # the class: of the box that was found, or of the one that was missed
    xyxy: Floats  # ``(4,)`` float64, the box found or missed
    confidence: float  # NaN for what was missed
    truth: Floats | None  # ``(4,)`` float64: the labelled box that it belongs to, if any
    # how much it matters, 0..1: the confidence of what is wrong; for what was missed how large it is among all
    weight: float


def find_mistakes(final: Found, labels: Labels) -> list[Mistake]:
    """Return all errors of the classes that the labels know, by frame."""
    made: list[Mistake] = []
    explained = np.zeros(len(labels.frame), bool)  # truths that were found, if badly
    top = max(1.0, float(final.confidence.max(initial=0.0)))  # sums of coverages may exceed 1
    for label in labels.judged:
        class_id = labels.classes.index(label)
        mine, truths, pairs = final.against(labels, class_id, _RIGHT)
        matched: Ints = match_pairs(pairs, _RIGHT)[0]
        explained[truths[matched[matched >= 0]]] = True
        own = np.flatnonzero((labels.class_id == class_id) & ~labels.ignore)
        others = np.flatnonzero(
            (labels.class_id != class_id) & (labels.class_id != EVERY_CLASS) & ~labels.ignore
        )
        for i in np.flatnonzero(matched == -1):
            same, overlap = _nearest(mine, int(i), labels, own)
            other, other_overlap = _nearest(mine, int(i), labels, others)
            kind, truth = Kind.FALSE, -1
            if overlap >= _RIGHT:
                kind, truth = Kind.DOUBLE, same
            elif other_overlap >= _RIGHT:
                kind, truth = Kind.WRONG_CLASS, other
                explained[other] = True
            elif overlap >= _NEAR:
                kind, truth = Kind.BADLY_PLACED, same
                explained[same] = True
            box = None if truth < 0 else labels.xyxy[truth]
            weight, confidence = float(mine.confidence[i]) / top, float(mine.confidence[i])
            made.append(Mistake(kind, int(mine.frame[i]), label, mine.xyxy[i], confidence, box, weight))
    for label in labels.judged:
        own = np.flatnonzero((labels.class_id == labels.classes.index(label)) & ~labels.ignore)
        areas = labels.area[own]
        below, upto = (np.searchsorted(np.sort(areas), areas, side=side) for side in ("left", "right"))
        rank = (below + upto) / 2 / max(len(own), 1)
        for place in np.flatnonzero(~explained[own]):
            box = labels.xyxy[own[place]]
            frame = int(labels.frame[own[place]])
            made.append(Mistake(Kind.MISSED, frame, label, box, np.nan, box, float(rank[place])))
    return sorted(made, key=lambda mistake: mistake.frame)


def _nearest(mine: Found, i: int, labels: Labels, which: Ints) -> tuple[int, float]:
    """Return which labelled box of its frame a box overlaps most, and by how much."""
    # Labels stand by frame.
    first, last = np.searchsorted(labels.frame[which], [mine.frame[i], mine.frame[i] + 1])
    if first == last:
        return -1, 0.0
    overlaps = iou_matrix(mine.xyxy[i : i + 1], labels.xyxy[which[first:last]])[0]
    best = int(np.argmax(overlaps))
    return int(which[first + best]), float(overlaps[best])


def count_mistakes(mistakes: Sequence[Mistake]) -> dict[str, dict[str, int]]:
    """Return for each class how many errors there are of each kind."""
    counts = Counter((m.label, m.kind) for m in mistakes)
    labels = dict.fromkeys(m.label for m in mistakes)
    return {label: {str(kind): counts[label, kind] for kind in Kind} for label in labels}


def worst(mistakes: Sequence[Mistake], count: int = 20, apart: int = 0) -> list[Mistake]:
    """Return the errors that matter most, ``count`` at most, the worst first.

    One kind takes more than half of them only where there are no others. Of a video, errors of one kind at one spot
    less than so many labelled frames ``apart`` are one to look at.
    """
    chosen: list[Mistake] = []
    ranked = sorted(mistakes, key=lambda m: (-m.weight, m.frame))
    for most in (-(-count // 2), count):  # half of them of one kind at most, as long as there are others
        for mistake in ranked:
            same = [m for m in chosen if m.kind is mistake.kind]
            near = [
                m.xyxy for m in same if m.label == mistake.label and abs(m.frame - mistake.frame) <= apart
            ]
            if len(chosen) == count or len(same) >= most or any(mistake is m for m in same):
                continue
            if apart and near and iou_matrix(np.array(near), mistake.xyxy[None]).max() >= _SAME:
                continue
            chosen.append(mistake)
    return sorted(chosen, key=lambda m: (-m.weight, m.frame))
