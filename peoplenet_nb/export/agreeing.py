"""The settings under which a run's cells come nearest to somebody else's boxes: `nearest_to`.

Tried one number after another on a few frames, from the run's own settings and from every preset, because another
program says what it found and not by which numbers. What is kept is the first that leaves the fewest boxes different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.export.difference import _NONE, Boxes, matched
from peoplenet_nb.export.nearest import IDLE
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Clustering, Settings, preset

MOST_FRAMES = 40
_FLOOR = 0.02  # of the thresholds that are tried


@dataclass(frozen=True)
class Agreement:
    """Settings for a run's own cells, and how near they come to somebody else's boxes."""

    settings: Settings
    before: int  # boxes that only one of the two has, with the settings of the run
    left: int  # and with these
    frames: int  # of how many frames
    changes: tuple[str, ...]  # what these settings differ in from the run's

    def __str__(self) -> str:
        count = f"{self.left} of {self.before} differing boxes are left in {self.frames} frames"
        if not self.changes:
            return f"no settings of A come nearer to B ({count})"
        return f"with these settings A comes nearest to B, {count}: {'; '.join(self.changes)}"


def nearest_to(
    theirs: Sequence[Boxes], frames: Sequence[Grids], settings: Settings, known: Settings | None = None
) -> Agreement:
    """Return the settings that come nearest to somebody's boxes, given frame by frame.

    ``frames`` is a run's raw output of the same frames, of one fit, and ``settings`` are those of the run. Where it is
    ``known`` what the boxes were found with, nothing else is tried.
    """
    labels, mode = frames[0].labels, frames[0].fit.mode
    settings = settings.for_fit(mode)
    pool = Pool.of(frames, max(_FLOOR, frames[0].floor))

    def differing(chosen: Settings) -> int:
        for label in labels:
            if chosen.for_class(label).threshold < pool.floor:
                chosen = _with(chosen, label, threshold=pool.floor)
        frame, class_id, boxes, _ = pool.decode(chosen)
        count = 0
        for position, others in enumerate(theirs):
            for c, label in enumerate(labels):
                mine, other = boxes[(frame == position) & (class_id == c)], others.get(label.lower(), _NONE)
                count += len(mine) + len(other) - 2 * len(matched(mine, other))
        return count

    before = differing(settings)
    starts = [preset(name, mode) for name in PRESETS] if known is None else [known.for_fit(mode)]
    best, left = min([(settings, before), *((s, differing(s)) for s in starts)], key=lambda pair: pair[1])
    if known is None:
        for tries in 2 * _tries(theirs, labels):
            for chosen in tries(best):
                if left and (count := differing(chosen)) < left:
                    best, left = chosen.replace(preset="custom"), count
    return Agreement(best, before, left, len(frames), tuple(_changes(settings, best, labels)))


def _with(settings: Settings, label: str, **numbers: Any) -> Settings:
    name = label.lower()
    return settings.replace(classes={**settings.classes, name: replace(settings.for_class(name), **numbers)})


def _tries(theirs: Sequence[Boxes], labels: Sequence[str]) -> list[Callable[[Settings], Iterable[Settings]]]:
    """Return what is tried, a number at a time: each gives settings in place of others."""
    found = {
        label: [others[label.lower()] for others in theirs if label.lower() in others] for label in labels
    }
    every = {label: np.concatenate([_NONE, *boxes]) for label, boxes in found.items()}
    most = max((len(boxes) for listed in found.values() for boxes in listed), default=0)

    def thresholds(label: str, near: bool) -> Callable[[Settings], Iterable[Settings]]:
        def tried(now: Settings) -> Iterator[Settings]:
            here = now.for_class(label).threshold
            values = here + np.arange(-0.04, 0.05, 0.01) if near else (*np.arange(0.05, 0.75, 0.05), 1.0)
            for value in values:
                yield _with(now, label, threshold=float(np.clip(round(value, 3), 0, 1)))

        return tried

    def overlaps(now: Settings) -> Iterator[Settings]:
        name = "eps" if now.clustering is Clustering.DBSCAN else "nms_iou"
        return (now.replace(**{name: round(0.2 + step / 20, 2)}) for step in range(13))

    def limits(now: Settings) -> Iterator[Settings]:
        yield from (now.replace(top_k=k) for k in (None, max(1, most)))

    def sizes(now: Settings) -> Iterator[Settings]:
        for label, boxes in every.items():
            least = np.floor((boxes[:, 2:] - boxes[:, :2]).min(axis=0, initial=np.inf))
            for name, value in zip(("min_width", "min_height"), least.tolist(), strict=True):
                if len(boxes):
                    yield _with(now, label, **{name: value})

    coarse, fine = ([thresholds(label, near) for label in labels] for near in (False, True))
    return [*coarse, overlaps, limits, sizes, *fine]


def _changes(before: Settings, after: Settings, labels: Sequence[str]) -> Iterator[str]:
    """Say what differs, a number at a time."""
    shared = ("fit", "clustering", "flavour", "score")
    for name in shared if after.clustering is not Clustering.NMS else shared[:2]:
        if getattr(after, name) != getattr(before, name):
            yield f"{name} {getattr(after, name)} (was {getattr(before, name)})"
    for name in (field.name for field in fields(ClassSettings)):
        if name in IDLE[after.clustering]:
            continue
        rows = [[s.own(label, name) for label in labels] for s in (after, before)]
        if len(set(rows[0])) == 1 and len(set(rows[1])) == 1:
            rows = [row[:1] for row in rows]
        for label, new, old in zip(labels, *rows, strict=False):
            if new != old:
                whose = "" if len(rows[0]) < len(labels) else f"{label}: "
                yield f"{whose}{name} {_shown(new)} (was {_shown(old)})"


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
