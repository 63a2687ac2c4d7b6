"""The nearest settings that a target can take, and in what they differ: one small step a limit.

Only what changes which boxes there are is a change; where another number says exactly the same (a least confidence
after NMS is a higher threshold), the number is rewritten and nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from peoplenet_nb.export.deepstream import PIXELS
from peoplenet_nb.export.targets import ABILITIES, Ability, Target
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import OWN, ClassSettings, Clustering, Flavour, Score, Settings, preset

#: Numbers that nothing comes of under a clustering.
IDLE = {
    Clustering.NMS: ("eps", "min_samples", "min_sum"),
    Clustering.DBSCAN: ("nms_iou",),
    Clustering.HYBRID: ("min_sum",),
}


def nearest_settings(
    settings: Settings, target: Target, labels: Sequence[str]
) -> tuple[Settings, tuple[str, ...]]:
    """Return the nearest settings that a target can take, and what had to change, a sentence each.

    Settings of other classes than the model's ``labels`` are left out.
    """
    labels = [label.strip().lower() for label in labels]
    kept = {label: value for label, value in settings.classes.items() if label in labels}
    settings = settings.replace(classes=kept)
    changes: list[str] = []
    for step in (_fit, _clustering, _dbscan, _confidence, _numbers):
        settings, said = step(settings, ABILITIES[target], labels)
        changes += said
    return settings, tuple(changes)


_Step = tuple[Settings, list[str]]


def _each(settings: Settings, **changes: Any) -> Settings:
    """Return settings with some numbers changed in every class; a function is given what the class had."""

    def changed(old: ClassSettings) -> ClassSettings:
        return replace(old, **{name: f(old) if callable(f) else f for name, f in changes.items()})

    classes = {label: changed(value) for label, value in settings.classes.items()}
    return settings.replace(default=changed(settings.default), classes=classes)


def _everywhere(settings: Settings, name: str, change: Callable[[Any], Any]) -> Settings:
    """Return settings with a number of the clustering changed, that of all and each class's own."""
    settings = settings.replace(**{name: change(getattr(settings, name))})
    own = lambda old: None if getattr(old, name) is None else change(getattr(old, name))  # noqa: E731
    return _each(settings, **{name: own})


def _values(settings: Settings, name: str, labels: Sequence[str]) -> list[Any]:
    """Return a number as it holds for each class."""
    return [settings.own(label, name) for label in labels]


def _fit(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if settings.tiles != 1:
        settings, says = _fit(settings.replace(tiles=1), can, labels)
        return settings, ["tiles: none (the whole frame alone there)", *says]
    if settings.fit is FitMode.STRETCH or (can.letterbox and settings.fit is FitMode.LETTERBOX):
        return settings, []
    there = FitMode.LETTERBOX if can.letterbox else FitMode.STRETCH
    what = f"{there} is what it has; these thresholds were chosen for {settings.fit}"
    return settings.replace(fit=there), [f"fit: {there} instead of {settings.fit} ({what})"]


def _clustering(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    before = settings.clustering
    if before in can.clusterings:
        return settings, []
    # Hybrid is NMS without the outliers; else the neighbourhood of the one is the overlap of the other.
    after = Clustering.NMS if Clustering.NMS in can.clusterings else can.clusterings[0]
    says = [f"clustering: {after} instead of {before}"]
    if after is Clustering.NMS and before is Clustering.HYBRID:
        return settings.replace(clustering=after), says
    there, here = ("nms_iou", "eps") if after is Clustering.NMS else ("eps", "nms_iou")
    settings = settings.replace(**{there: getattr(settings, here)})
    settings = _each(settings, **{there: lambda old: getattr(old, here)})
    settings = _everywhere(settings, there, lambda value: round(1 - value, 6))
    if after is Clustering.NMS:
        says[0] += f", with an IoU of {settings.nms_iou:g} (1 - eps)"
        if any(_values(settings, "min_sum", labels)) or settings.score is Score.SUM:
            base = preset("default", settings.fit)
            settings = _each(settings, threshold=base.default.threshold, min_confidence=0.0, min_sum=0.0)
            classes = {
                label: replace(settings.for_class(label), threshold=base.for_class(label).threshold)
                for label in labels
            }
            settings = settings.replace(classes=classes)
            says.append("thresholds: those of the preset 'default' (a sum of coverages has no counterpart)")
        return settings.replace(clustering=after), says
    samples = 1.0 if can.whole_samples else min(_values(settings, "threshold", labels))
    settings = _each(settings, min_samples=None).replace(
        flavour=can.flavour, min_samples=samples, score=can.score, clustering=after
    )
    says[0] += f", with eps {settings.eps:g} (1 - IoU) and min_samples {settings.min_samples:g}"
    return _each(settings, threshold=_raised, min_confidence=0.0, min_sum=0.0), says


def _raised(old: ClassSettings) -> float:
    """Return the threshold that says what a least confidence does: whatever suppresses a box is better than it."""
    return min(1.0, max(old.threshold, old.min_confidence))


def _dbscan(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if settings.clustering is Clustering.NMS:
        return settings, []
    says = []
    if settings.flavour is not can.flavour:
        says.append(
            f"flavour: {can.flavour} instead of {settings.flavour}, with min_samples 1 (one counts neighbours, the "
            "other weighs them by coverage)"
        )
        settings = _everywhere(settings.replace(flavour=can.flavour), "min_samples", lambda _: 1.0)
    if settings.clustering is Clustering.DBSCAN:
        settings, more = _score(settings, can, labels)
        says += more
    if settings.flavour is Flavour.DEEPSTREAM:
        # A count reaches 2.3 when it reaches 3, and a box is always its own neighbour.
        return _everywhere(settings, "min_samples", lambda n: float(max(1, math.ceil(n)))), says
    if can.whole_samples:
        whole = _everywhere(settings, "min_samples", lambda n: float(max(1, round(n))))
        before, after = (_values(one, "min_samples", labels) for one in (settings, whole))
        for old, new in dict(zip(before, after, strict=True)).items():
            if old != new:
                says.append(f"min_samples: {new:g} instead of {old:g} (a whole number there)")
        settings = whole
    return settings, says


def _score(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    """Say a least sum of a cluster's coverages as the target does, and its kind of confidence."""
    says: list[str] = []
    total = lambda old: max(old.min_sum, old.min_confidence)  # noqa: E731
    if settings.score is can.score:
        if can.score is Score.SUM:
            settings = _each(settings, min_confidence=total, min_sum=0.0)
        return settings, says
    if can.score is Score.SUM:
        says.append(
            f"score: sum instead of {settings.score} (a cluster's confidence is a sum of coverages there)"
        )
        if any(_values(settings, "min_confidence", labels)):
            says.append("min_confidence: not taken along (it was chosen for the other kind of score)")
        settings = _each(settings, min_confidence=lambda old: old.min_sum, min_sum=0.0)
    else:
        # The same clusters, whatever their confidence is then called; but the best of them may be others.
        settings = _each(settings, min_sum=total, min_confidence=0.0)
        if any(_values(settings, "top_k", labels)):
            says.append("score: max instead of sum (top_k keeps the clusters with the best cell there)")
    return settings.replace(score=can.score), says


def _confidence(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if "min_confidence" in can.own or settings.clustering is Clustering.DBSCAN:
        return settings, []
    if max(_values(settings, "min_confidence", labels)) > 1:
        return settings, []
    # For hybrid the outliers may be others, but no target wants that.
    return _each(settings, threshold=_raised, min_confidence=0.0), []


def _whole(pixels: float, name: str) -> float:
    least = 1 if pixels and name.startswith("max") else 0  # 0 is no limit
    return float(max(least, round(pixels)))


def _numbers(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    """Take what a class can have, what is one for all, and nothing else."""
    says: list[str] = []
    neutral = ClassSettings()
    common = can.common - (
        {"top_k"} if settings.clustering is Clustering.DBSCAN else set()
    )  # NMS alone has it
    for name in (field.name for field in fields(ClassSettings)):
        values = _values(settings, name, labels)
        if name in IDLE[settings.clustering]:
            settings = _each(settings, **{name: getattr(neutral, name)})
        elif name in common:
            if len(set(values)) > 1:
                says.append(f"{name}: {values[0]} for all, {labels[0]}'s (one for all classes there)")
            if name in OWN:
                settings = _each(settings, **{name: None}).replace(**{name: values[0]})
            else:
                settings = _each(settings, **{name: values[0]})
        elif name not in can.own:
            settings = _each(settings, **{name: getattr(neutral, name)})
            if name in OWN:
                settings = settings.replace(**{name: getattr(Settings(), name)})
            if any(values):
                says.append(f"{name}: none (no such limit there)")
        elif name in PIXELS.values():
            if any(value % 1 for value in values):
                says.append(f"{name}: rounded (a whole number there)")
            settings = _each(settings, **{name: lambda old, name=name: _whole(getattr(old, name), name)})
    return (settings if can.own else settings.replace(classes={})), says
