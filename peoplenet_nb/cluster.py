"""NMS and weighted DBSCAN on plain arrays; nothing here knows of grids.

One decision to know: every function says not only what survives but what became of the rest (suppressed by
which box, in which cluster, noise), since the reason for each box that is *not* there is what this project
is for.

Both work on the list of pairs of boxes that overlap enough, which `overlapping_pairs` finds without looking
at all N x N of them, and then on whole arrays; the groups (classes) go through together. All geometry is
float64, so that the browser's implementation, where numbers are doubles, decides every tie alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.settings import Flavour

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Up to here the N x N table of all pairs costs less than sorting to avoid it.
_DENSE = 96
# Pairs looked at in one go: their arrays stay in the cache, and memory bounded when all overlaps all.
_CHUNK = 32_000


def box_area(boxes: Floats) -> Floats:
    """Return the areas of ``(N, 4)`` xyxy boxes, in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def iou_matrix(first: Floats, second: Floats) -> Floats:
    """Return the IoU of every pair of boxes.

    Parameters
    ----------
    first, second : ndarray
        ``(N, 4)`` and ``(M, 4)`` float64 xyxy, with plain areas (no +1 pixel).

    Returns
    -------
    ndarray
        ``(N, M)`` float64; 0 where the union is empty.
    """
    inter, union = _overlap(first.T[:, :, None], second.T[:, None, :])
    return np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)


def _overlap(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Return intersection and union areas of boxes given as ``(4, ...)`` columns that broadcast."""
    inter = np.minimum(a[2], b[2])
    inter -= np.maximum(a[0], b[0])
    height = np.minimum(a[3], b[3])
    height -= np.maximum(a[1], b[1])
    np.maximum(inter, 0.0, out=inter)
    np.maximum(height, 0.0, out=height)
    inter *= height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    union -= inter
    return inter, union


def overlapping_pairs(boxes: Floats, group: Ints, least_iou: float) -> tuple[Ints, Ints, Floats, Floats]:
    """Return the pairs of boxes of one group whose IoU is at least ``least_iou``.

    Parameters
    ----------
    boxes : ndarray
        ``(N, 4)`` float64 xyxy.
    group : ndarray
        ``(N,)``; boxes of different groups never make a pair.
    least_iou : float
        0..1; at 0 all pairs of a group come, overlapping or not.

    Returns
    -------
    first, second : ndarray
        ``(P,)`` int64 indices, ``first < second``.
    inter, union : ndarray
        ``(P,)`` float64 areas of each pair.
    """
    # A hair lower than asked for: the caller's own comparison decides, and must see every tie.
    least_iou -= 1e-9
    columns = np.ascontiguousarray(boxes.T)
    dense = len(boxes) <= _DENSE or least_iou <= 0
    found = []
    for first, second in _all_pairs(group) if dense else _pairs_in_reach(columns, group, least_iou):
        inter, union = _overlap(columns[:, first], columns[:, second])
        enough = np.flatnonzero(inter >= least_iou * union)
        first, second = first[enough], second[enough]  # noqa: PLW2901
        swap = first > second
        ends = np.where(swap, second, first), np.where(swap, first, second)
        found.append((*ends, inter[enough], union[enough]))
    if not found:
        none = np.zeros(0, np.int64)
        return none, none.copy(), np.zeros(0), np.zeros(0)
    if len(found) == 1:
        return found[0]
    first, second, inter, union = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, second, inter, union


def _all_pairs(group: Ints) -> Iterator[tuple[Ints, Ints]]:
    first, second = _triangle(len(group))
    same = group[first] == group[second]
    if not same.all():
        first, second = first[same], second[same]
    yield first, second


_TRIANGLES: dict[int, tuple[Ints, Ints]] = {}


def _triangle(count: int) -> tuple[Ints, Ints]:
    """Return the indices of all pairs of ``count`` things; the small tables are kept."""
    if count > _DENSE:
        return np.triu_indices(count, 1)
    if count not in _TRIANGLES:
        _TRIANGLES[count] = np.triu_indices(count, 1)
    return _TRIANGLES[count]


def _pairs_in_reach(columns: Floats, group: Ints, least_iou: float) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs whose left and top edges are near enough for that IoU, some at a time.

    IoU >= t needs an intersection at least t times as wide as the wider box and t times as high as the
    higher one. So two left edges are at most ``(1 - t)`` times the width of the left box apart, and two top
    edges at most ``(1 - t)`` times the height of the upper box.
    """
    # One axis for all groups: shifted so far apart that no reach spans two of them.
    left, top = columns[0] + group * (4.0 * np.abs(columns).max(initial=1.0)), columns[1]
    right = left + (1.0 - least_iou) * (columns[2] - columns[0]) + 1e-6
    bottom = top + (1.0 - least_iou) * (columns[3] - columns[1]) + 1e-6
    order = np.argsort(left, kind="stable")
    left, right, top, bottom = left[order], right[order], top[order], bottom[order]
    partners = np.maximum(np.searchsorted(left, right, side="right") - np.arange(1, len(left) + 1), 0)
    ends = np.cumsum(partners)
    start = 0
    while start < len(left):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, side="right")))
        counts = partners[start:stop]
        first = np.repeat(np.arange(start, stop), counts)
        second = np.arange(1, len(first) + 1) + np.repeat(
            np.arange(start, stop) - np.cumsum(counts) + counts, counts
        )
        near = np.flatnonzero((top[second] <= bottom[first]) & (top[first] <= bottom[second]))
        yield order[first[near]], order[second[near]]
        start = stop


@dataclass(frozen=True, slots=True, eq=False)
class Suppression:
    """What NMS did with N boxes.

    Parameters
    ----------
    kept : ndarray
        ``(K,)`` int64 indices of the survivors, by group and then best first.
    suppressor : ndarray
        ``(N,)`` int64: the best kept box that suppressed this one, or -1 for survivors.
    iou : ndarray
        ``(N,)`` float64: IoU with the suppressor; 0 for survivors.
    """

    kept: Ints
    suppressor: Ints
    iou: Floats


def nms(
    boxes: Floats, scores: npt.NDArray[np.floating], iou_threshold: float, group: Ints | None = None
) -> Suppression:
    """Greedy non-maximum suppression, as DeepStream's cluster-mode 2 does it.

    The best box of a group is kept and suppresses those whose IoU with it is *above* the threshold, and so
    on. Equal scores keep their order.

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
    better, worse, inter, union = overlapping_pairs(boxes[order], group[order], iou_threshold)
    over = inter > iou_threshold * union
    better, worse, inter, union = better[over], worse[over], inter[over], union[over]
    kept = _undisputed(count, better, worse)

    by_kept = kept[better]
    better, worse, inter, union = better[by_kept], worse[by_kept], inter[by_kept], union[by_kept]
    first = np.full(count, count, np.int64)
    np.minimum.at(first, worse, better)
    decisive = first[worse] == better
    suppressor, iou = np.full(count, -1, np.int64), np.zeros(count)
    suppressor[order[worse[decisive]]] = order[better[decisive]]
    iou[order[worse[decisive]]] = inter[decisive] / union[decisive]
    return Suppression(order[kept], suppressor, iou)


def _undisputed(count: int, better: Ints, worse: Ints) -> npt.NDArray[np.bool_]:
    """Return the mask of what greedy suppression keeps, given who would suppress whom."""
    kept = np.ones(count, bool)
    if not len(better):
        return kept
    undecided = np.ones(count, bool)
    kept[:] = False
    while len(better):
        now = undecided.copy()
        now[worse] = False
        kept |= now
        undecided[now] = False
        undecided[worse[now[better]]] = False
        open_ = undecided[better] & undecided[worse]
        better, worse = better[open_], worse[open_]
    return kept | undecided


def dbscan(
    boxes: Floats,
    weights: npt.NDArray[np.floating],
    eps: float,
    min_mass: float,
    flavour: Flavour,
    group: Ints | None = None,
) -> Ints:
    """Weighted DBSCAN on the distance 1 - IoU.

    A box whose neighbourhood has mass enough is a core point; clusters are the connected core points; a
    border point near them joins the first cluster that reaches it (TAO) or is left out (DeepStream).

    Parameters
    ----------
    boxes : ndarray
        ``(N, 4)`` float64 xyxy.
    weights : ndarray
        ``(N,)`` coverages.
    eps : float
        Neighbours are ``1 - IoU <= eps`` (TAO) or ``< eps`` (DeepStream); a box is always its own.
    min_mass : float
        Least sum of neighbours' weights (TAO) or least number of neighbours (DeepStream).
    flavour : Flavour
        Whose rules.
    group : ndarray, optional
        ``(N,)`` int64, e.g. classes: boxes of different groups are no neighbours.

    Returns
    -------
    ndarray
        ``(N,)`` int64 cluster of each box, numbered in the order of their first core point; -1 for noise.

    Notes
    -----
    TAO deploy and scikit-learn's ``DBSCAN`` agree with the ``tao`` flavour.
    """
    count = len(boxes)
    group = np.zeros(count, np.int64) if group is None else group
    first, second, inter, union = overlapping_pairs(boxes, group, 1.0 - eps)
    distance = 1.0 - np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    near = distance < eps if flavour is Flavour.DEEPSTREAM else distance <= eps
    first, second = first[near], second[near]

    mass = np.ones(count) if flavour is Flavour.DEEPSTREAM else weights.astype(np.float64)
    neighbours = mass + np.bincount(first, mass[second], count) + np.bincount(second, mass[first], count)
    core = neighbours >= min_mass
    joined = core[first] & core[second]
    root = _components(count, first[joined], second[joined])
    # Roots are the least member, so numbering them in order numbers clusters by their first core point.
    roots = np.unique(root[core])
    cluster = np.where(core, np.searchsorted(roots, root), -1)
    if flavour is Flavour.TAO:
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
