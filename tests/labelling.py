"""A person who labels, played: what they would do with a frame's first boxes until it is as the truth says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peoplenet_nb.labels import Truth
from peoplenet_nb.metrics.matching import IGNORED, match

FINE = 0.65
"""IoU from which on a person leaves a box as it stands."""
Action = list[Any]


@dataclass
class Hand:
    """What was done, in calls of ``LabelWork`` (``static/labelwork.js``), and the presses, drags and keys it took."""

    calls: list[Action] = field(default_factory=list)
    actions: int = 0
    right: int = 0
    """Boxes that were right before anything was done."""
    wanted: int = 0
    spent: dict[str, int] = field(default_factory=dict)

    def do(self, actions: int, *call: Any) -> None:
        self.calls.append(list(call))
        self.actions += actions
        self.spent[call[0]] = self.spent.get(call[0], 0) + actions


def put_right(hand: Hand, boxes: list[dict[str, Any]], truth: Truth) -> None:
    """Do with one frame what its truth asks for, and go on to the next."""
    xyxy = np.array([one["box"] for one in boxes], np.float64).reshape(-1, 4)
    # The sure ones first, as a person sees them; one in doubt is accepted only where nothing else is.
    matched = match(xyxy, [one["sure"] + one["score"] for one in boxes], truth)
    hand.wanted += len(truth)
    for i, (one, target) in enumerate(zip(boxes, matched.tolist(), strict=True)):
        if target >= 0:
            goal = truth.xyxy[target]
            hand.right += one["sure"]
            if not one["sure"]:
                hand.do(1, "accept", i)
            if overlap(xyxy[i], goal) < FINE:
                # A drag of a corner puts two edges right; two opposite corners all four.
                off = np.abs(xyxy[i] - goal) > 0.08 * np.tile(goal[2:] - goal[:2], 2)
                drags = 2 if (off[0] and off[2]) or (off[1] and off[3]) else 1
                hand.do(drags, "setBox", i, goal.tolist())
    for target in np.flatnonzero(~truth.ignore):
        if target not in matched:
            hand.do(1, "add", 0, truth.xyxy[target].tolist())
    for i in reversed(range(len(boxes))):
        if boxes[i]["sure"] and matched[i] == -1:
            hand.do(1, "remove", i)
    assert IGNORED not in matched or truth.ignore.any()
    hand.do(1, "finish")


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    inside = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(inside / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - inside))
