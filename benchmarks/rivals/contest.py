"""Contestants, their turns, and whether they came to the same result.

One decision to know: a ratio is the median of the ratios within a repeat, so that what slows the machine for a
while slows both sides of it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rivals.environments import NotMeasured
from rivals.worker import Worker

Workers = dict[str, Worker | NotMeasured]


@dataclass
class Entry:
    """A contestant in one table: which worker does what, and whom it is compared with."""

    label: str
    worker: str
    job: str
    arguments: dict[str, Any] = field(default_factory=dict)
    against: str = ""
    answers: list[dict[str, Any]] = field(default_factory=list)
    missing: NotMeasured | None = None

    def seconds(self) -> list[float]:
        """Return the seconds of each turn."""
        return [answer["seconds"] for answer in self.answers]


def take_turns(
    entries: Sequence[Entry], workers: Workers, repeats: int, **arguments: Any
) -> dict[str, Entry]:
    """Give every entry a turn in every repeat; one that fails is left out from then on."""
    for _ in range(repeats):
        for entry in entries:
            worker = workers[entry.worker]
            try:
                if isinstance(worker, NotMeasured):
                    raise worker
                if not entry.missing:
                    entry.answers.append(worker.ask(entry.job, **entry.arguments, **arguments))
            except NotMeasured as why:
                if entry.worker == "ours":
                    raise
                entry.missing = why
    return {entry.label: entry for entry in entries}


def ratio(first: Entry, second: Entry) -> float:
    """Return the median of the paired ratios of two entries' seconds."""
    return statistics.median(a / b for a, b in zip(first.seconds(), second.seconds(), strict=True))


def not_measured(entry: Entry, columns: int) -> list[str]:
    """Return the cells of an entry without figures."""
    return [f"not measured: {entry.missing}".replace("|", "/"), *[""] * (columns - 1)]


def agreement(ours: list[int], theirs: list[int], what: str) -> str:
    """Say whether two results are the same: boxes kept, or clusters whatever their numbers."""
    if what == "kept":
        differ = len(set(ours) ^ set(theirs))
        return f"yes, {len(ours)}" if not differ else f"no: {differ} differ"
    pairs = {(a, b) for a, b in zip(ours, theirs, strict=True) if a >= 0 or b >= 0}
    mine, others = [a for a, _ in pairs], [b for _, b in pairs]
    # The same cluster: it meets one of the other's, which meets no second one.
    same = sum(a >= 0 and b >= 0 and mine.count(a) == others.count(b) == 1 for a, b in pairs)
    clusters = len({a for a in mine if a >= 0})
    return f"yes, {clusters}" if same == len(pairs) else f"no: {same} of {clusters} are"
