"""Which box of one frame is which box of another: an optimal assignment, each class by itself.

A pair costs ``(step / reach)² + (log(height ratio) / 0.35)²``. The step is that of the boxes' centres in heights of the
pair, and how far one reaches grows with the time between the frames, so people are the same at every distance from
the camera and every frame rate. Steps up and down count 2.5 times: people walk, mostly, across what the camera sees.
Squares, because then a step that all have in common (the camera turns, a crowd walks one way) changes nothing in who
is whose. IoU is not part of it: a second apart, a walker's boxes overlap with somebody else's, not with their own;
measured on people who walk, it doubled the wrong pairs.

Nothing is matched at a cost of 1 or more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REACH = 0.3  # heights, at once: boxes tremble
SPEED = 1.8  # heights a second: somebody who runs
VERTICAL = 2.5
SIZE = 0.35  # of the logarithm of the heights' ratio
KNOWN = 0.6  # of the reach is left where it is known how a box moves
_RIVAL = 0.5  # of somebody's confidence is what a rival has at least
# A person's heights in heights of what they carry along.
HEIGHTS = {"face": 7.0, "bag": 3.0}


@dataclass(frozen=True, eq=False)
class Matches:
    """Pairs of boxes of two frames; the arrays run in parallel over M pairs, by rising ``first``."""

    # first, second: ``(M,)`` int64: indices into the one and the other frame's detections, each used once at most
    first: Ints
    second: Ints
    cost: Floats  # ``(M,)`` float64: 0 for a box that stayed as it was (or moved as foreseen), below 1
    # ``(M,)`` float64: how much more the next best pair of either box costs, with a box that is half as sure or more;
    # below 0 where a pair yielded to another one
    margin: Floats

    def __len__(self) -> int:
        return len(self.first)


def centres(detections: Detections) -> Floats:
    """Return the middle of each box, ``(N, 2)`` float64."""
    corners = detections.xyxy.astype(np.float64)
    middle: Floats = (corners[:, :2] + corners[:, 2:]) / 2
    return middle


def heights(detections: Detections) -> Floats:
    """Return the height of each box, ``(N,)`` float64, never 0."""
    height: Floats = np.maximum(detections.xyxy[:, 3] - detections.xyxy[:, 1], 1e-3).astype(np.float64)
    return height


def pair_costs(
    a: Detections,
    b: Detections,
    seconds: float,
    motion_a: Floats | None = None,
    motion_b: Floats | None = None,
) -> Floats:
    """Return what each pair of boxes costs, ``(N, M)`` float64; infinite for boxes of different classes.

    Parameters
    ----------
    a, b : Detections
        Of two frames of one video.
    seconds : float
        How far apart they are.
    motion_a, motion_b : ndarray, optional
        ``(N, 2)`` and ``(M, 2)`` float64, in pixels a second: how each box moved before ``a``, and moves after
        ``b``; NaN where that is unknown.
    """
    height_a, height_b = heights(a)[:, None], heights(b)
    step = centres(b) - centres(a)[:, None]
    known = [np.full((len(a), 2), np.nan) if motion_a is None else motion_a]
    known += [np.full((len(b), 2), np.nan) if motion_b is None else motion_b]
    both = np.stack(np.broadcast_arrays(known[0][:, None], known[1]))
    foreseen = ~np.isnan(both[..., 0])
    number = foreseen.sum(axis=0)
    mean = np.where(foreseen[..., None], both, 0.0).sum(axis=0) / np.maximum(number, 1)[..., None]
    step = (step - mean * seconds) / ((height_a + height_b) / 2)[..., None]
    carried = np.array([HEIGHTS.get(label.lower(), 1.0) for label in a.labels] or [1.0])
    reach = REACH + SPEED * seconds * carried[a.class_id][:, None]
    reach = np.where(number > 0, KNOWN * reach, reach)
    costs: Floats = (step[..., 0] ** 2 + (VERTICAL * step[..., 1]) ** 2) / reach**2
    costs += (np.log(height_a / height_b) / SIZE) ** 2
    costs[a.class_id[:, None] != b.class_id] = np.inf
    return costs


def match_boxes(
    a: Detections,
    b: Detections,
    seconds: float,
    motion_a: Floats | None = None,
    motion_b: Floats | None = None,
) -> Matches:
    """Match the boxes of two frames, given as for `pair_costs`.

    Pairs are of one class and cost less than 1, each box is in one pair at most, so that the costs of the pairs plus
    one half for each box that stays alone are least.
    """
    from scipy.optimize import linear_sum_assignment

    costs = pair_costs(a, b, seconds, motion_a, motion_b)
    rows, columns = linear_sum_assignment(np.minimum(costs, 1.0))
    good = costs[rows, columns] < 1.0
    first, second = rows[good].astype(np.int64), columns[good].astype(np.int64)
    cost = costs[first, second]
    # Who could be there instead: others of the class, unless they are much fainter than who is.
    instead_of_b = np.where(b.confidence >= _RIVAL * b.confidence[second][:, None], costs[first], np.inf)
    instead_of_a = np.where(a.confidence >= _RIVAL * a.confidence[first][:, None], costs[:, second].T, np.inf)
    instead_of_b[np.arange(len(first)), second] = instead_of_a[np.arange(len(first)), first] = np.inf
    rivals = (instead.min(axis=1, initial=np.inf) for instead in (instead_of_a, instead_of_b))
    next_best: Floats = np.minimum(*rivals)
    return Matches(first, second, cost, next_best - cost)
