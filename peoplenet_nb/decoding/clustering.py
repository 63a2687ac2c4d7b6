"""NMS and weighted DBSCAN on plain arrays; nothing here knows of grids.

Every function returns not only what survives but what became of the rest (suppressed by
which box, in which cluster, noise), since the reason for each box that is *not* there is what this project
is for.

Both work on the list of pairs of boxes that overlap enough, which `peoplenet_nb.decoding.overlap` finds, and then on
whole arrays; the groups (classes) go through together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.overlap import FEW, Floats, Ints, Mask, overlapping_pairs, pairs_that
from peoplenet_nb.settings import Flavour


@dataclass(frozen=True, slots=True, eq=False)
class Suppression:
    """What NMS did with N boxes."""

    kept: Ints  # ``(K,)`` int64 indices of the survivors, by group and then best first
    suppressor: Ints  # ``(N,)`` int64: the best kept box that suppressed this one, or -1 for survivors
    iou: Floats  # ``(N,)`` float64: IoU with the suppressor; 0 for survivors


def nms(
    boxes: Floats, scores: npt.NDArray[np.floating], iou_threshold: float, group: Ints | None = None
) -> Suppression:
    """Greedy non-maximum suppression, as DeepStream's cluster-mode 2 does it.

    The best box of a group is kept and suppresses those whose IoU with it is *above* the threshold, and so on. Equal
    scores keep their order.

    Parameters
    ----------
    boxes : ndarray
        ``(N, 4)`` float64 xyxy.
    scores : ndarray
        ``(N,)``.
    iou_threshold : float
        0..1.
    group : ndarray, optional
        ``(N,)`` int64, e.g. classes: boxes of different groups do not meet. One group when left out.

    Notes
    -----
    Worked off in rounds instead of box by box: whatever no undecided better box overlaps is kept, what it
    overlaps is out, until all is decided. That gives the same survivors as the loop, which a test holds
    beside it, and takes a handful of rounds on a picture.
    """
    count = len(boxes)
    group = np.zeros(count, np.int64) if group is None else group
    # By group, then by falling score, then as they came (lexsort is stable).
    order = np.lexsort((-scores, group))
    few = count <= FEW
    better, worse, inter, union = pairs_that(
        lambda inter, union: inter > iou_threshold * union,
        boxes.take(order, axis=0),
        group.take(order),
        iou_threshold - 1e-9,
        dense=few,
    )
    decisive = (_one_by_one if few else _in_rounds)(count, better, worse)
    worse = worse.take(decisive)
    lost = order.take(worse)
    suppressor, iou, survives = np.empty(count, np.int64), np.zeros(count), np.ones(count, bool)
    suppressor.fill(-1)
    suppressor[lost] = order.take(better.take(decisive))
    iou[lost] = inter.take(decisive) / union.take(decisive)
    survives[worse] = False
    return Suppression(order.compress(survives), suppressor, iou)


def _one_by_one(count: int, better: Ints, worse: Ints) -> Ints:
    """Return the pair that decides on each suppressed box; for few pairs, sorted by ``better``."""
    fallen = [False] * count
    decisive = []
    losers = worse.tolist()
    for pair, winner in enumerate(better.tolist()):
        # All that could suppress the winner has been before.
        if not fallen[winner] and not fallen[losers[pair]]:
            fallen[losers[pair]] = True
            decisive.append(pair)
    return np.array(decisive, np.int64)


def _in_rounds(count: int, better: Ints, worse: Ints) -> Ints:
    """Return the pair that decides on each suppressed box; for many pairs, in any order."""
    kept = _undisputed(count, better, worse)
    by_kept = kept.take(better).nonzero()[0]
    better, worse = better.take(by_kept), worse.take(by_kept)
    first = np.full(count, count, np.int64)
    np.minimum.at(first, worse, better)
    decisive: Ints = by_kept.take((first.take(worse) == better).nonzero()[0])
    return decisive


def _undisputed(count: int, better: Ints, worse: Ints) -> Mask:
    """Return the mask of what greedy suppression keeps, given who would suppress whom."""
    kept = np.zeros(count, bool)
    undecided = np.ones(count, bool)
    while len(better):
        now = undecided.copy()
        now[worse] = False
        kept |= now
        undecided[now] = False
        undecided[worse.compress(now.take(better))] = False
        open_ = (undecided.take(better) & undecided.take(worse)).nonzero()[0]
        better, worse = better.take(open_), worse.take(open_)
    return kept | undecided


def dbscan(
    boxes: Floats,
    weights: npt.NDArray[np.floating],
    eps: float,
    min_samples: float,
    flavour: Flavour,
    group: Ints | None = None,
) -> Ints:
    """Weighted DBSCAN on the distance 1 - IoU, as TAO deploy and scikit-learn do it, or DeepStream.

    A box whose neighbourhood weighs enough is a core point; clusters are the connected core points; a border point near
    them joins the first cluster that reaches it (TAO) or is left out (DeepStream).

    Parameters
    ----------
    boxes : ndarray
        ``(N, 4)`` float64 xyxy.
    weights : ndarray
        ``(N,)`` coverages.
    eps : float
        Neighbours are ``1 - IoU <= eps`` (TAO) or ``< eps`` (DeepStream); a box is always its own.
    min_samples : float
        Least sum of neighbours' weights (TAO) or least number of neighbours (DeepStream).
    flavour : Flavour
        Whose rules.
    group : ndarray, optional
        As for `nms`.

    Returns
    -------
    ndarray
        ``(N,)`` int64 cluster of each box, numbered in the order of their first core point; -1 for noise.
    """
    count = len(boxes)
    group = np.zeros(count, np.int64) if group is None else group
    first, second, inter, union = overlapping_pairs(boxes, group, 1.0 - eps)
    distance = 1.0 - np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    near = distance < eps if flavour is Flavour.DEEPSTREAM else distance <= eps
    first, second = first[near], second[near]

    weight = np.ones(count) if flavour is Flavour.DEEPSTREAM else weights.astype(np.float64)
    return clusters_of(first, second, weight, min_samples, borders=flavour is Flavour.TAO)


def clusters_of(first: Ints, second: Ints, weight: Floats, least: float, *, borders: bool) -> Ints:
    """Return DBSCAN's cluster of each point, -1 for noise, given the pairs of neighbours.

    A point is core where it and its neighbours weigh at least ``least``. With ``borders`` a point beside core points
    joins the first of their clusters.
    """
    count = len(weight)
    neighbours = (
        weight + np.bincount(first, weight[second], count) + np.bincount(second, weight[first], count)
    )
    core = neighbours >= least
    joined = core[first] & core[second]
    root = _components(count, first[joined], second[joined])
    # Roots are the least member, so numbering them in order numbers clusters by their first core point.
    roots = np.unique(root[core])
    cluster = np.where(core, np.searchsorted(roots, root), -1)
    if borders:
        reached = np.full(count, len(roots), np.int64)
        for border, by in ((first, second), (second, first)):
            reaches = core[by] & ~core[border]
            np.minimum.at(reached, border[reaches], cluster[by[reaches]])
        cluster = np.where(core | (reached == len(roots)), cluster, reached)
    return cluster


def _components(count: int, first: Ints, second: Ints) -> Ints:
    """Return for each of ``count`` nodes the least node it is connected to through the given edges."""
    root = np.arange(count)
    while True:
        low = np.minimum(root[first], root[second])
        before = root.copy()
        np.minimum.at(root, root[first], low)
        np.minimum.at(root, root[second], low)
        while not np.array_equal(root, root[root]):
            root = root[root]
        if np.array_equal(root, before):
            return root
