"""Which boxes overlap, and by how much: the geometry under NMS and DBSCAN.

Nothing looks at all N x N pairs. Few boxes are paired through a kept table; many are sorted
by their left edges, and each is compared with the next few in 16-bit numbers that are rounded so that no
pair is missed. What is left is computed in float64, so that the browser's implementation, where numbers are
doubles, decides every tie alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Pairs = tuple[Ints, Ints, Floats, Floats]
Enough = Callable[[Floats, Floats], Mask]

# Up to here the table of all pairs costs less than sorting to avoid it (and its arrays less than 128 KB, above
# which every allocation asks the system for fresh pages).
FEW = 80
# Entries of a band that are compared at once: they stay in the cache, and memory stays bounded when all overlap.
_BAND = 131_072


def box_area(boxes: Floats) -> Floats:
    """Return the areas of ``(N, 4)`` xyxy boxes, in square pixels."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def iou_matrix(first: Floats, second: Floats) -> Floats:
    """Return the ``(N, M)`` IoUs of ``(N, 4)`` and ``(M, 4)`` xyxy boxes, with plain areas; 0 for an empty union."""
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


def overlapping_pairs(boxes: Floats, group: Ints, least_iou: float) -> Pairs:
    """Return the pairs of ``(N, 4)`` xyxy boxes of one group whose IoU is at least ``least_iou``.

    At 0 all pairs of a group come, overlapping or not. Returned are ``(P,)`` indices, the first below the second, and
    the areas of intersection and union.
    """
    # A hair lower than asked for: the caller's own comparison decides, and must see every tie.
    least_iou -= 1e-9
    dense = len(boxes) <= FEW or least_iou <= 0
    enough = lambda inter, union: inter >= least_iou * union  # noqa: E731
    return pairs_that(enough, boxes, group, least_iou, dense=dense)


def pairs_that(enough: Enough, boxes: Floats, group: Ints, least_iou: float, *, dense: bool) -> Pairs:
    """Return the pairs whose intersection and union are ``enough``, as `overlapping_pairs` does.

    Looking at all pairs (``dense``) gives them by ``first`` and then ``second``. The other way needs to know
    that ``enough`` never holds below ``least_iou`` nor for boxes that do not overlap.
    """
    columns = np.empty((5, len(boxes)))
    columns[:4] = boxes.T
    extent = columns[2:4] - columns[:2]
    np.multiply(extent[0], extent[1], out=columns[4])
    if dense:
        first, second = _triangle(len(boxes))
        mixed = (group[1:] != group[:-1]).nonzero()[0].size
        return _chosen(columns, first, second, enough, group if mixed else None)
    # One axis for all groups: shifted so far apart that no reach spans two of them.
    largest = max(columns[:4].max(initial=1.0), -columns[:4].min(initial=0.0))
    shift = group * (4.0 * largest)
    order = (columns[0] + shift).argsort(kind="stable")
    columns, shift = columns.take(order, axis=1), shift.take(order)
    found = []
    for near, further in _in_reach(columns, shift, largest, least_iou):
        near, further, inter, union = _chosen(columns, near, further, enough)  # noqa: PLW2901
        one, other = order.take(near), order.take(further)
        found.append((np.minimum(one, other), np.maximum(one, other), inter, union))
    if len(found) == 1:
        return found[0]
    if not found:
        none = np.zeros(0, np.int64)
        return none, none.copy(), np.zeros(0), np.zeros(0)
    first, second, inter, union = (np.concatenate(column) for column in zip(*found, strict=True))
    return first, second, inter, union


def _chosen(columns: Floats, first: Ints, second: Ints, enough: Enough, group: Ints | None = None) -> Pairs:
    """Return those of the given pairs that are ``enough``; ``columns`` are x1, y1, x2, y2 and area."""
    # ``take`` along the rows needs a fourth of the time of ``columns[:, first]``.
    a, b = columns.take(first, axis=1), columns.take(second, axis=1)
    size = np.minimum(a[2:4], b[2:4])
    size -= np.maximum(a[:2], b[:2])
    np.maximum(size, 0.0, out=size)
    inter, union = size[0], a[4]
    inter *= size[1]
    union += b[4]
    union -= inter
    good = enough(inter, union)
    if group is not None:
        good &= group.take(first) == group.take(second)
    chosen = good.nonzero()[0]
    return first.take(chosen), second.take(chosen), inter.take(chosen), union.take(chosen)


_TRIANGLES: dict[int, tuple[Ints, Ints]] = {}


def _triangle(count: int) -> tuple[Ints, Ints]:
    """Return the indices of all pairs of ``count`` things; the small tables are kept."""
    if count in _TRIANGLES:
        return _TRIANGLES[count]
    made = np.triu_indices(count, 1)
    first, second = (np.ascontiguousarray(index, np.int64) for index in made)
    if count <= FEW:
        _TRIANGLES[count] = first, second
    return first, second


def _in_reach(
    columns: Floats, shift: Floats, largest: float, least_iou: float
) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs whose left and top edges are near enough for that IoU, some at a time.

    IoU >= t needs an intersection at least t times as wide as the wider box and t times as high as the
    higher one. So two left edges are at most ``(1 - t)`` times the width of the left box apart, and two top
    edges at most ``(1 - t)`` times the height of the upper box.

    The boxes come sorted by their (shifted) left edges, so a box's partners are the next few: partner ``d`` of
    all boxes is looked at in one comparison of two slices, and nothing is gathered.
    """
    count = len(shift)
    reach = columns[2:4] - columns[:2]
    reach *= 1.0 - least_iou
    reach += columns[:2]
    reach += 1e-6
    steps = (columns[0] + shift).searchsorted(reach[0] + shift, side="right") - np.arange(1, count + 1)
    deepest = int(steps.max(initial=0))
    if deepest <= 0:
        return
    rows = min(count, max(1, _BAND // deepest))
    partners = steps.astype(np.min_scalar_type(-count))  # the narrower, the faster
    number = np.arange(deepest, dtype=partners.dtype)[:, None]
    edges = np.zeros((2, count + deepest + rows), np.int16)
    unit = 16_000.0 / largest  # half of what 16 bits hold
    np.floor(columns[1] * unit, out=edges[0, :count], casting="unsafe")
    np.ceil(reach[1] * unit, out=edges[1, :count], casting="unsafe")
    # ``ahead[e, p, r]`` is edge e of the box with index ``p + r``.
    step, item = edges.strides
    ahead = np.ndarray((2, count + deepest + 1, rows), np.int16, edges, 0, (step, item, item))
    for start in range(0, count, rows):
        stop = min(count, start + rows)
        here = partners[start:stop]
        depth = int(here.max())
        if depth <= 0:
            continue
        tops, bottoms = ahead[:, start + 1 : start + 1 + depth, : stop - start]
        close = tops <= edges[1, start:stop]
        close &= bottoms >= edges[0, start:stop]
        close &= number[:depth] < here
        near = close.ravel().nonzero()[0]
        further = near // (stop - start)
        near -= further * (stop - start) - start
        further += near
        further += 1
        yield near, further
