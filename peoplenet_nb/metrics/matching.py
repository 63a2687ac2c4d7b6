"""Which box found which truth: greedy by confidence within a frame, as COCO's own program does it.

The most confident box of a frame chooses first and takes the truth it overlaps most (the later of equals); each truth
is used once. What is ignored is chosen only where nothing that counts is left: a *crowd* by any number of boxes that
lie in it (the share of the box inside counts, not the IoU), any other ignored truth once.
Rules: ``pycocotools`` ``cocoeval.py``, `evaluateImg`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.labels import Truth

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

IGNORED = -2
"""What matching returns for a box on an ignored truth: neither a hit nor false."""
_AT_ONCE = 1 << 21  # pairs whose overlap is computed together


@dataclass(frozen=True, eq=False)
class Pairs:
    """Boxes and the truths of their frame that they overlap, by the turn in which a frame's boxes choose."""

    boxes: int  # boxes, truths: how many there are of each
    truths: int
    box: Ints  # box, truth: ``(P,)`` int64 indices
    truth: Ints
    overlap: Floats  # ``(P,)`` float64: the IoU; with a crowd the share of the box that lies in it
    turns: Ints  # where in the pairs each turn begins, and the end of the last
    crowd: Mask  # ``(truths,)`` bool


def find_pairs(
    frame: Ints,
    xyxy: Floats,
    confidence: Floats,
    truth_frame: Ints,
    truth_xyxy: Floats,
    crowd: Mask,
    least: float,
) -> Pairs:
    """Return the pairs of boxes and truths of one class, in all frames, that overlap by at least ``least``."""
    by_frame = np.argsort(truth_frame, kind="stable")
    ordered = truth_frame[by_frame]
    first, last = np.searchsorted(ordered, frame, "left"), np.searchsorted(ordered, frame, "right")
    turn = np.lexsort((-confidence, frame))
    turn = turn[(last > first)[turn]]
    many = (last - first)[turn]
    parts = []
    for part in np.split(turn, np.searchsorted(np.cumsum(many), np.arange(_AT_ONCE, many.sum(), _AT_ONCE))):
        number = (last - first)[part]
        box = part.repeat(number)
        offset = np.arange(len(box)) - (np.cumsum(number) - number).repeat(number)
        truth = by_frame[first[box] + offset]
        overlap = _overlaps(xyxy[box], truth_xyxy[truth], crowd[truth])
        enough = overlap >= least
        parts.append((box[enough], truth[enough], overlap[enough]))
    box, truth, overlap = (
        np.concatenate(column) if parts else np.zeros(0, kind)
        for column, kind in zip(
            zip(*parts, strict=True) if parts else ((),) * 3, (int, int, float), strict=True
        )
    )
    # Boxes of a frame stand in the order of their turns; a box's turn is its place among those of its frame.
    starts = np.flatnonzero(np.diff(box, prepend=-1))
    frames = frame[box[starts]]
    begins = np.flatnonzero(np.diff(frames, prepend=-1))
    turn_of = np.arange(len(starts)) - begins.repeat(np.diff(begins, append=len(starts)))
    of_pair = turn_of.repeat(np.diff(starts, append=len(box)))
    order = np.argsort(of_pair, kind="stable")
    turns = np.searchsorted(of_pair[order], np.arange(int(of_pair.max(initial=-1)) + 2))
    return Pairs(len(frame), len(truth_frame), box[order], truth[order], overlap[order], turns, crowd)


def _overlaps(a: Floats, b: Floats, crowd: Mask) -> Floats:
    """Return the IoU of boxes pair by pair; in a crowd the share of the first that lies in it."""
    inside = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None).prod(axis=1)
    own, other = (a[:, 2:] - a[:, :2]).prod(axis=1), (b[:, 2:] - b[:, :2]).prod(axis=1)
    union = np.where(crowd, own, own + other - inside)
    overlap: Floats = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)
    return overlap


def match_pairs(pairs: Pairs, ious: npt.ArrayLike, counts: Mask | None = None) -> Ints:
    """Match at several IoUs at once.

    ``ious`` are ``(T,)`` least overlaps, none below what the pairs were found with; ``counts`` says which truths are to
    be found, all that are no crowds where it is left out. Returned is ``(T, boxes)`` int64: the matched truth, -1 for
    none, `IGNORED` for one that does not count.
    """
    least = np.minimum(np.asarray(ious, np.float64).reshape(-1, 1), 1 - 1e-10)
    counts = ~pairs.crowd if counts is None else counts & ~pairs.crowd
    matched = np.full((len(least), pairs.boxes), -1)
    used = np.zeros((len(least), pairs.truths), bool)
    for begin, end in zip(pairs.turns[:-1], pairs.turns[1:], strict=True):
        box, truth, overlap = pairs.box[begin:end], pairs.truth[begin:end], pairs.overlap[begin:end]
        starts = np.flatnonzero(np.diff(box, prepend=-1))
        own = np.arange(len(starts)).repeat(np.diff(starts, append=len(box)))
        free = (overlap >= least) & ~used[:, truth]
        value = np.where(free, np.where(counts[truth], overlap, overlap - 2.0), -3.0)
        best = np.maximum.reduceat(value, starts, axis=1)
        place = np.where(value == best[:, own], np.arange(len(box)), -1)
        chosen = truth[np.maximum.reduceat(place, starts, axis=1)]
        at, which = np.nonzero(best > -3.0)
        taken = chosen[at, which]
        matched[at, box[starts][which]] = np.where(counts[taken], taken, IGNORED)
        used[at, taken] = ~pairs.crowd[taken]
    return matched


def match(
    boxes: npt.ArrayLike, confidence: npt.ArrayLike, truth: Truth | npt.ArrayLike, iou: float = 0.5
) -> Ints:
    """Match one frame's boxes of one class to its ground truth.

    Parameters
    ----------
    boxes : array_like
        ``(N, 4)`` xyxy in the pixels of the truth.
    confidence : array_like
        ``(N,)``; the most confident box chooses first.
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
    one, other = np.zeros(len(found), np.int64), np.zeros(len(wanted.xyxy), np.int64)
    scores = np.asarray(confidence, np.float64)
    result: Ints = match_pairs(find_pairs(one, found, scores, other, wanted.xyxy, wanted.ignore, iou), iou)[0]
    return result
