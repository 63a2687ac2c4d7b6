"""Key frames linked: who is who from one to the next, and how each of them moves there.

Boxes are matched twice. The first matching knows nothing; from it follows how each box moved on its way to a key frame
and moves on from it, and the second matching counts what differs from that. A second apart, that is the difference
between a person's next position and that of who walks behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks.association import Floats, Matches, centres, match_boxes


@dataclass(frozen=True, eq=False)
class Link:
    """What two neighbouring key frames have to do with each other."""

    matches: Matches  # who is who
    seconds: float  # how far apart they are
    # before, after: ``(N, 2)`` and ``(M, 2)`` float64, pixels a second: how each box of the earlier one came there
    # from the key frame before, and how each box of the later one goes on to the key frame after it; NaN where
    # unknown
    before: Floats
    after: Floats


def link_frames(frames: Sequence[Detections], times: Sequence[float]) -> list[Link]:
    """Link key frames of one shot, each to the next one; ``times``, in seconds, rise."""
    apart = [later - earlier for earlier, later in pairwise(times)]
    pairs = list(zip(pairwise(frames), apart, strict=True))
    matches = [match_boxes(a, b, seconds) for (a, b), seconds in pairs]
    if len(matches) > 1:
        before, after = _motions(frames, matches, apart)
        matches = [
            match_boxes(a, b, seconds, before[i], after[i + 1]) for i, ((a, b), seconds) in enumerate(pairs)
        ]
    before, after = _motions(frames, matches, apart)
    return [Link(matches[i], seconds, before[i], after[i + 1]) for i, seconds in enumerate(apart)]


def _motions(
    frames: Sequence[Detections], matches: Sequence[Matches], apart: Sequence[float]
) -> tuple[list[Floats], list[Floats]]:
    """Return for each frame how its boxes came there, and how they go on."""
    before, after = ([np.full((len(frame), 2), np.nan) for frame in frames] for _ in range(2))
    for i, (found, seconds) in enumerate(zip(matches, apart, strict=True)):
        step = centres(frames[i + 1])[found.second] - centres(frames[i])[found.first]
        after[i][found.first] = before[i + 1][found.second] = step / seconds
    return before, after
