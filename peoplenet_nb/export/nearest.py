"""The nearest settings that a target can take, and in what they differ: one small step a limit.

Only what changes which boxes there are is a change; where another number says exactly the same (a least confidence
after NMS is a higher threshold), the number is rewritten and nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from peoplenet_nb.export.targets import ABILITIES, Ability, Target
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Flavour, Score, Settings, preset


def nearest_settings(
    settings: Settings, target: Target, labels: Sequence[str]
) -> tuple[Settings, tuple[str, ...]]:
    """Return the nearest settings that a target can take, and what had to change, a sentence each.

    Parameters
    ----------
    settings : Settings
        Any.
    target : Target
        The program.
    labels : sequence of str
        The model's classes; settings of other classes are left out.
    """
    labels = [label.strip().lower() for label in labels]
    kept = {label: value for label, value in settings.classes.items() if label in labels}
    settings = settings.replace(classes=kept)
    changes: list[str] = []
    for step in (_fit, _clustering, _dbscan, _confidence, _sizes, _top_k, _one_for_all):
        settings, said = step(settings, ABILITIES[target], labels)
        changes += said
    return settings, tuple(changes)


_Step = tuple[Settings, list[str]]


def _each(settings: Settings, **changes: float | Callable[[ClassSettings], float]) -> Settings:
    """Return settings with some numbers changed in every class; a function is given what the class had."""

    def changed(old: ClassSettings) -> ClassSettings:
        new: dict[str, Any] = {name: f(old) if callable(f) else f for name, f in changes.items()}
        return replace(old, **new)

    classes = {label: changed(value) for label, value in settings.classes.items()}
    return settings.replace(default=changed(settings.default), classes=classes)


def _all(settings: Settings) -> Iterator[ClassSettings]:
    yield from (settings.default, *settings.classes.values())


def _fit(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if settings.fit is FitMode.STRETCH or can.letterbox:
        return settings, []
    what = "it stretches frames; these thresholds were chosen for letterboxed ones"
    return settings.replace(fit=FitMode.STRETCH), [f"fit: stretch instead of letterbox ({what})"]


def _clustering(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    before = settings.clustering
    if before in can.clusterings:
        return settings, []
    # Hybrid is NMS without the outliers; else the neighbourhood of the one is the overlap of the other.
    after = Clustering.NMS if Clustering.NMS in can.clusterings else can.clusterings[0]
    says = [f"clustering: {after} instead of {before}"]
    if after is Clustering.NMS:
        if before is Clustering.DBSCAN:
            settings = settings.replace(nms_iou=round(1 - settings.eps, 6))
            says[0] += f", with an IoU of {settings.nms_iou:g} (1 - eps)"
            if settings.score is Score.SUM:
                base = preset("default", settings.fit)
                known = {label: base.for_class(label) for label in labels}
                classes = {
                    label: replace(
                        settings.for_class(label), threshold=now.threshold, min_confidence=now.min_confidence
                    )
                    for label, now in known.items()
                }
                settings = _each(settings, threshold=base.default.threshold, min_confidence=0.0)
                settings = settings.replace(classes=classes)
                says.append(
                    "thresholds: those of the preset 'default' (a sum of coverages has no counterpart)"
                )
    else:
        settings = settings.replace(
            eps=round(1 - settings.nms_iou, 6), flavour=can.flavour, min_samples=1.0, score=can.score
        )
        if not can.whole_samples:  # so that every candidate counts, as it does for NMS
            settings = settings.replace(min_samples=min(value.threshold for value in _all(settings)))
        says[0] += f", with eps {settings.eps:g} (1 - IoU) and min_samples {settings.min_samples:g}"
        if can.score is Score.SUM and any(value.min_confidence for value in _all(settings)):
            settings = _each(
                settings,
                threshold=lambda old: min(1.0, max(old.threshold, old.min_confidence)),
                min_confidence=0.0,
            )
    return settings.replace(clustering=after), says


def _dbscan(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if settings.clustering is Clustering.NMS:
        return settings, []
    says = []
    if settings.flavour is not can.flavour:
        says.append(
            f"flavour: {can.flavour} instead of {settings.flavour}, with min_samples 1 (one counts neighbours, the "
            "other weighs them by coverage)"
        )
        settings = settings.replace(flavour=can.flavour, min_samples=1.0)
    # A least sum picks the same clusters, whatever their confidence is then called.
    asked = Score.MAX if can.sums and settings.score is Score.SUM else settings.score
    if settings.clustering is Clustering.DBSCAN and asked is not can.score:
        what = "the best coverage" if can.score is Score.MAX else "a sum of coverages"
        says.append(
            f"score: {can.score} instead of {settings.score} (a cluster's confidence is {what} there)"
        )
        settings = settings.replace(score=can.score)
        if any(value.min_confidence for value in _all(settings)):
            says.append("min_confidence: 0 (it was chosen for the other kind of score)")
            settings = _each(settings, min_confidence=0.0)
    samples = settings.min_samples
    if settings.flavour is Flavour.DEEPSTREAM:
        # A count reaches 2.3 when it reaches 3, and a box is always its own neighbour.
        settings = settings.replace(min_samples=float(max(1, -int(-samples // 1))))
    elif can.whole_samples and (samples < 1 or samples % 1):
        settings = settings.replace(min_samples=float(max(1, round(samples))))
        says.append(f"min_samples: {settings.min_samples:g} instead of {samples:g} (a whole number there)")
    return settings, says


def _confidence(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    summed = can.sums and settings.clustering is Clustering.DBSCAN and settings.score is Score.SUM
    if summed and can.one_sum:
        sums = {settings.for_class(label).min_confidence for label in labels}
        one = settings.for_class(labels[0]).min_confidence
        says = [f"min_confidence: {one:g} for all, {labels[0]}'s (one for all classes there)"]
        return _each(settings, min_confidence=one), says if len(sums) > 1 else []
    if summed or settings.clustering in can.confidence or not any(v.min_confidence for v in _all(settings)):
        return settings, []
    if settings.clustering is not Clustering.DBSCAN and all(v.min_confidence <= 1 for v in _all(settings)):
        # Whatever suppresses a box is better than it. For hybrid the outliers may be others, but no target wants that.
        raised = _each(
            settings, threshold=lambda old: max(old.threshold, old.min_confidence), min_confidence=0.0
        )
        return raised, []
    return _each(settings, min_confidence=0.0), [
        "min_confidence: 0 (there is no threshold after clustering there)"
    ]


def _sizes(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    says = []
    for name, able in (("min_width", can.width), ("min_height", can.height)):
        values = sorted({getattr(value, name) for value in _all(settings)})
        if not able and any(values):
            settings = _each(settings, **{name: 0.0})
            says.append(f"{name}: 0 (no such limit there)")
        elif any(value % 1 for value in values):
            settings = _each(settings, **{name: lambda old, name=name: float(round(getattr(old, name)))})
            says.append(f"{name}: rounded (a whole number there)")
    return settings, says


def _top_k(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    if settings.top_k is None or can.top_k:
        return settings, []
    return settings.replace(top_k=None), [f"top_k: none instead of {settings.top_k} (no such limit there)"]


def _one_for_all(settings: Settings, can: Ability, labels: Sequence[str]) -> _Step:
    thresholds = {settings.for_class(label).threshold for label in labels}
    if can.per_class:
        return settings, []
    chosen = settings.for_class(labels[0])
    says = [f"thresholds: {chosen.threshold:g} for all, {labels[0]}'s (one for all classes there)"]
    return settings.replace(default=chosen, classes={}), says if len(thresholds) > 1 else []
