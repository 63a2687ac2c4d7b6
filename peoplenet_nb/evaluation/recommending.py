"""Settings that are recommended: found on labelled frames, and tested on frames that they were not found on.

The frames are cut into stretches. For each of five parts of them the whole choice is made on the other four and counted
on that part: what comes out does not flatter itself, as a score on the very frames that were tuned on would. The
settings that are recommended are then chosen on all frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np

from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.evaluation.goals import Goal
from peoplenet_nb.evaluation.reading import read_clip
from peoplenet_nb.evaluation.recommendation import Choice, Recommendation
from peoplenet_nb.evaluation.sweep import Variant, clusterings, count
from peoplenet_nb.evaluation.tracklets import tracklet_labels
from peoplenet_nb.fit import FitMode
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.curves import f1_of
from peoplenet_nb.metrics.matching import Floats, Ints, Mask
from peoplenet_nb.metrics.scores import Estimate, draw_units, estimate, stretches
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.video.result import RunResult

_PARTS = 5
_LEAST_BOXES = 40  # of a class, to choose a threshold for it
_LEAST_ALARMS = 3.0  # in all labelled frames
_FLAT = 0.002  # F1 within this of the best is as good: its middle is taken, not the very peak
_PLATEAU = 0.01
_WORTH_A_CHANGE = 0.003  # what another clustering must gain to be taken


def recommend(
    what: str | Path | Source | RunResult | Clip,
    labels: str | Path | Labels | None = None,
    goal: Goal | str = "f1",
    settings: Settings | None = None,
    model: PeopleNet | None = None,
    *,
    classes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Recommendation:
    """Find the settings that serve a source best, on saved raw output or on what the network finds now.

    Parameters
    ----------
    what : str, Path, Source or RunResult
        As for `evaluate`; a run needs its raw output (``save_grids=True``).
    labels : str, Path or Labels, optional
        Ground truth. Left out, what was seen of a video for two seconds and clearly once is taken for it; only
        thresholds are then chosen, and the result says so.
    goal : Goal or str
        ``"f1"``, ``"recall=0.95"`` or ``"false-alarms=2"`` (an hour).
    settings : Settings, optional
        Where to start from: least sizes and ``top_k`` stay. Left out, the run's own or the default.
    model, classes, progress
        As for `evaluate`.

    Returns
    -------
    Recommendation

    Raises
    ------
    SourceError
        As `evaluate`, and when there are too few labelled boxes or people to choose on.
    OutputError
        When the run kept no raw output.
    SettingsError
        For an unknown goal, and as `evaluate`.

    Examples
    --------
    >>> import peoplenet_nb as pn
    >>> found = pn.recommend("out/street", "street.json", "recall=0.95")  # doctest: +SKIP
    >>> found.save("street.yaml")  # doctest: +SKIP
    """
    goal = Goal.parse(goal)
    clip = (
        what
        if isinstance(what, Clip)
        else read_clip(what, labels, settings, model, classes=classes, progress=progress, raw=True)
    )
    if clip.pool is None:
        raise OutputError(
            "The run kept no raw output, so no settings can be tried on it",
            seen=clip.name,
            next_step="run it again with --save-grids (save_grids=True).",
        )
    base = (settings or clip.settings).for_fit(clip.pool.fit)
    began, notes = perf_counter(), [*clip.labels.notes, *clip.notes]
    if clip.pool.fit is FitMode.AUTO:
        notes.append(
            "Wide and narrow frames: one threshold was chosen for both. Apart each would have its own."
        )
    guessed = labels is None and not isinstance(what, Clip)
    if guessed:
        clip = tracklet_labels(clip, base)
        notes = [*clip.notes]
    counts = clip.labels.counts()
    judged = tuple(label for label, number in counts.items() if number >= _LEAST_BOXES)
    if not judged or len(clip.labels.frames) < 2 * _PARTS:
        raise SourceError(
            "There is too little to choose settings on",
            seen=f"{len(clip.labels.frames)} labelled frames, "
            + ", ".join(f"{n} {label}" for label, n in counts.items()),
            next_step=f"label more: at least {2 * _PARTS} frames and {_LEAST_BOXES} boxes of a class.",
        )
    if few := [label for label in counts if label not in judged]:
        notes.append(f"Too few boxes to choose on, kept as before: {', '.join(few)}.")
    return _Search(clip, base, goal, judged, guessed=guessed).run(began, notes)


class _Search:
    """The tables of all variants, and choices from them."""

    def __init__(
        self, clip: Clip, base: Settings, goal: Goal, classes: tuple[str, ...], *, guessed: bool
    ) -> None:
        self.clip, self.base, self.goal, self.classes, self.guessed = clip, base, goal, classes, guessed
        frames = len(clip.labels.frames)
        self.unit = stretches(frames, clip.video)
        units = int(self.unit.max()) + 1
        # Stretches that follow each other are one part of a video; of images any are as far apart.
        self.part = np.arange(units) * _PARTS // units if clip.video else np.arange(units) % _PARTS
        gap = max(1, round(clip.rate)) if goal.kind == "false-alarms" else 0
        self.hours = np.bincount(self.unit) / clip.rate / 3600
        if gap and (allowed := goal.value * float(self.hours.sum())) < _LEAST_ALARMS:
            raise SourceError(
                "The labelled frames are too few to tell so few false alarms",
                seen=f"{float(self.hours.sum()) * 60:.1f} minutes, in which {goal} makes {allowed:.1f}",
                next_step=f"label more, or allow {_LEAST_ALARMS / float(self.hours.sum()):.0f} an hour or more.",
            )
        self.wanted = {label: self._wanted(label) for label in classes}
        self.variants: list[Variant] = []
        self.tried = 0
        for settings, thresholds in clusterings(base, classes, thresholds_only=guessed):
            self.variants.append(count(clip, settings, thresholds, classes, self.unit, gap))
            self.tried += len(thresholds) * len(classes)
        self.before = count(clip, base, np.zeros(1), classes, self.unit, gap)

    def _wanted(self, label: str) -> Floats:
        labels = self.clip.labels
        mine = (labels.class_id == labels.classes.index(label)) & ~labels.ignore
        return np.bincount(self.unit[labels.frame[mine]], minlength=int(self.unit.max()) + 1).astype(
            np.float64
        )

    def worth(self, variant: Variant, label: str, units: Mask) -> Floats:
        """Return what each threshold is worth on some stretches."""
        counts, alarms = variant.counts[label], None
        if counts.alarms is not None:
            alarms = counts.alarms[units].sum(axis=0) / max(float(self.hours[units].sum()), 1e-9)
        hits, false = counts.hits[units].sum(axis=0), counts.false[units].sum(axis=0)
        return self.goal.worth(hits, false, float(self.wanted[label][units].sum()), alarms)

    def choose(self, units: Mask) -> tuple[Variant, dict[str, int]]:
        """Return the best clustering on some stretches, and the best threshold of each class on it, as indices."""
        rated = []
        for variant in self.variants:
            worths = {label: self.worth(variant, label, units) for label in self.classes}
            rated.append((float(np.mean([worth.max() for worth in worths.values()])), variant, worths))
        best = max(rated, key=lambda one: one[0])
        _, variant, worths = best if best[0] > rated[0][0] + _WORTH_A_CHANGE else rated[0]
        flat = _FLAT if self.goal.kind == "f1" else 0.0
        return variant, {label: sum(_around(worth, flat)) // 2 for label, worth in worths.items()}

    def run(self, began: float, notes: list[str]) -> Recommendation:
        """Choose on all frames, and test the way of choosing on frames left aside."""
        everything = np.ones(len(self.part), bool)
        variant, indices = self.choose(everything)
        choices = {}
        for label, i in indices.items():
            low, high = _around(self.worth(variant, label, everything), _PLATEAU)
            plateau = (float(variant.thresholds[low]), float(variant.thresholds[high]))
            choices[label] = Choice(float(variant.thresholds[i]), plateau, int(self.wanted[label].sum()))
        made = variant.chosen({label: choice.threshold for label, choice in choices.items()})
        return Recommendation(
            made.replace(preset="recommended"),
            self.base,
            self.goal,
            choices,
            {} if self.guessed else self.validated(),
            self.tried,
            perf_counter() - began,
            self.clip.name,
            len(self.clip.labels.frames),
            len(self.clip.labels),
            tuple(notes),
        )

    def validated(self) -> dict[str, tuple[Estimate, Estimate, Estimate]]:
        """Return cross-validated figures before, after, and what was gained."""
        before = {label: _column(self.before, label, 0) for label in self.classes}
        after = {label: np.zeros_like(table) for label, table in before.items()}
        for part in range(_PARTS):
            aside = self.part == part
            variant, indices = self.choose(~aside)
            for label, i in indices.items():
                after[label][aside] = _column(variant, label, i)[aside]
        weights = np.vstack([np.ones(len(self.part)), draw_units(len(self.part))])
        figures: dict[str, tuple[Estimate, Estimate, Estimate]] = {}
        old, new = self._figures(before, weights), self._figures(after, weights)
        for name, values in old.items():
            figures[name] = (estimate(values), estimate(new[name]), estimate(new[name] - values))
        return figures

    def _figures(self, tables: Mapping[str, Floats], weights: Floats) -> dict[str, Floats]:
        """Return F1, precision and recall, the mean over classes, for each draw of stretches."""
        rows = []
        for label, columns in tables.items():
            hits, false, alarms = (weights @ columns).T
            precision, recall = (
                hits / np.maximum(hits + false, 1),
                hits / np.maximum(weights @ self.wanted[label], 1),
            )
            rows.append(
                (f1_of(precision, recall), precision, recall, alarms / np.maximum(weights @ self.hours, 1e-9))
            )
        f1, precision, recall, alarms = np.mean(rows, axis=0)
        made = {"F1": f1, "precision": precision, "recall": recall}
        return made | ({"false alarms an hour": alarms} if self.goal.kind == "false-alarms" else {})


def _column(variant: Variant, label: str, i: int) -> Floats:
    """Return ``(U, 3)``: right boxes, false boxes and alarms at one threshold."""
    counts = variant.counts[label]
    alarms = np.zeros_like(counts.hits) if counts.alarms is None else counts.alarms
    return np.stack([counts.hits[:, i], counts.false[:, i], alarms[:, i]], axis=1)


def _around(worth: Floats, within: float) -> tuple[int, int]:
    """Return the first and last threshold around the best whose worth is that of the best but for a little."""
    best = int(np.argmax(worth))
    worse: Ints = np.flatnonzero(worth < worth[best] - within)
    low = int(worse[worse < best].max(initial=-1)) + 1
    high = int(worse[worse > best].min(initial=len(worth))) - 1
    return low, high
