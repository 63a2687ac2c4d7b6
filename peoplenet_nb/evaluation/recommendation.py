"""Recommended settings as a value: what was chosen, what it is worth on frames left aside, and a file to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peoplenet_nb.evaluation.goals import Goal
from peoplenet_nb.files import refuse_existing
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.metrics.scores import Estimate
from peoplenet_nb.settings import Settings


@dataclass(frozen=True)
class Choice:
    """The threshold of one class."""

    threshold: float  # of the coverage; with DBSCAN of the confidence
    plateau: tuple[float, float]  # the thresholds around it where what is wanted is within 0.01 of the best
    labelled: int  # boxes that it was chosen on


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Settings that were found, and what they are worth on frames that they were not found on.

    Parameters
    ----------
    settings : Settings
        What is recommended.
    base : Settings
        What was there before.
    goal : Goal
        What they were chosen for.
    choices : dict
        A `Choice` by class; classes with too few boxes keep what they had.
    figures : dict
        ``(before, after, gain)`` by name, each an `Estimate`: cross-validated F1, precision and recall, the mean over
        classes, and ``false alarms an hour`` for that goal. Empty where there were no labels to tell.
    tried, seconds : int, float
        How many settings, in what time.
    name : str
        Of the source.
    frames, labelled : int
        What it was chosen on.
    notes : tuple of str
        For the reader.
    """

    settings: Settings
    base: Settings
    goal: Goal
    choices: Mapping[str, Choice]
    figures: Mapping[str, tuple[Estimate, Estimate, Estimate]]
    tried: int
    seconds: float
    name: str
    frames: int
    labelled: int
    notes: Sequence[str] = field(default=(), repr=False)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the settings as a YAML file and return its path; an `OutputError` when it is there already."""
        if not overwrite:
            refuse_existing(path, "The settings file")
        return self.settings.to_yaml(path)

    def _title(self) -> str:
        return (
            f"{self.name}: chosen on {self.frames} frames with {self.labelled} boxes for {self.goal}; "
            f"{self.tried:,} settings in {self.seconds:.1f} s"
        )

    def _rows(self) -> list[dict[str, object]]:
        return [
            {
                "figure": name,
                "before": str(before),
                "after": str(after),
                "gain": f"{gain.value:+.3f}",
                "95 %": _span(gain),
            }
            for name, (before, after, gain) in self.figures.items()
        ]

    def verdict(self) -> str:
        """Return whether the change is worth making, in a sentence."""
        if not self.figures:
            return "Chosen without labels: what it gains is not known; the whole plateau is as good a choice."
        name = {"recall": "recall", "f1": "F1"}.get(self.goal.kind, "false alarms an hour")
        _, after, gain = self.figures[name]
        if self.goal.kind == "recall":
            met = after.value >= self.goal.value
            return f"On frames it was not chosen on, recall is {after}: the goal is {'met' if met else 'not met'}."
        if self.goal.kind == "false-alarms":
            met = after.value <= self.goal.value
            return (
                f"On frames it was not chosen on, {after} {name}: the goal is {'met' if met else 'not met'}."
            )
        if gain.low > 0:
            return f"The gain of {gain.value:.3f} F1 is more than chance ({_span(gain)})."
        return f"A change of {gain.value:+.3f} F1 may be chance ({_span(gain)}): what was there is as good."

    def __str__(self) -> str:
        lines = [
            self._title(),
            f"  clustering: {_clustering(self.settings)} (before: {_clustering(self.base)})",
        ]
        for label, choice in self.choices.items():
            now = self.base.for_class(label).threshold
            low, high = choice.plateau
            lines.append(
                f"  {label}: threshold {choice.threshold:g} (before {now:g}); {low:g} to {high:g} is within 0.01"
            )
        lines += [
            f"  {row['figure']}: {row['before']} -> {row['after']}, {row['gain']} ({row['95 %']})"
            for row in self._rows()
        ]
        return "\n".join([*lines, f"  {self.verdict()}", *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        choices: list[dict[str, Any]] = [
            {
                "class": label,
                "threshold": choice.threshold,
                "before": self.base.for_class(label).threshold,
                "as good within 0.01": "{:g} to {:g}".format(*choice.plateau),
                "chosen on boxes": choice.labelled,
            }
            for label, choice in self.choices.items()
        ]
        about = f"Clustering: {_clustering(self.settings)} (before: {_clustering(self.base)})."
        figures = "On frames that they were not chosen on (cross-validated; the middle 95 %)"
        return (
            table(choices, self._title())
            + (table(self._rows(), figures) if self.figures else "")
            + note(self.verdict(), "ok")
            + "".join(note(text) for text in [about, *self.notes])
        )


def _span(gain: Estimate) -> str:
    return "no interval" if math.isnan(gain.low) else f"{gain.low:+.3f} to {gain.high:+.3f}"


def _clustering(settings: Settings) -> str:
    if settings.clustering == "nms":
        return f"NMS at IoU {settings.nms_iou:g}"
    return f"{settings.clustering}, eps {settings.eps:g}, min_samples {settings.min_samples:g}, score {settings.score}"
