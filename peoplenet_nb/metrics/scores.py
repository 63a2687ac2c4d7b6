"""The figures of an evaluation: average precision, precision, recall and F1, per class and size, with intervals.

Intervals are of the bootstrap: the frames are drawn anew, with replacement, some hundred times, and the middle 95 % of
what comes out is given. Neighbouring frames of a video show the same people, so there whole stretches are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.curves import PrecisionRecall, average_precision, f1_of
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.metrics.matching import IGNORED, Floats, Ints, Mask, match_pairs

IOUS = np.linspace(0.5, 0.95, 10)
"""COCO's ten."""
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's areas, in square pixels of the frame."""
_DRAWS = 400
_STRETCHES = 30  # of a video
_MIDDLE = (2.5, 97.5)  # percent


class Estimate(NamedTuple):
    """A figure, and the interval in which 95 % of the bootstrap's lie; NaN where there is nothing to say."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return "" if np.isnan(self.value) else f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class SizeScore:
    """How the boxes of one size fare; figures are NaN where there is no truth of that size."""

    truths: int
    ap: float
    ap50: float
    ap75: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class ClassScore:
    """How one class fares."""

    label: str  # the class
    truths: int  # truths, found: boxes to be found, and boxes found that are right or false
    found: int
    ap: Estimate  # ap, ap50, ap75: average precision: mean over IoU 0.5 to 0.95, at 0.5, and at 0.75
    ap50: Estimate
    ap75: Estimate
    precision: Estimate  # precision, recall, f1: of the boxes that the settings give, at IoU 0.5
    recall: Estimate
    f1: Estimate
    curve: PrecisionRecall  # curve, strict_curve: at IoU 0.5 and 0.75, down to the lowest confidence there is
    strict_curve: PrecisionRecall
    sizes: dict[str, SizeScore]  # a `SizeScore` for each of `SIZES`


def stretches(frames: int, video: bool) -> Ints:
    """Return for each frame what it is drawn together with: stretches of a video, each image alone."""
    return np.arange(frames) * min(frames, _STRETCHES) // max(frames, 1) if video else np.arange(frames)


def score_class(
    class_id: int, low: Found, final: Found, labels: Labels, drawn: Ints, seed: int = 0
) -> ClassScore:
    """Score one class, which is an index into ``labels.classes``.

    ``low`` are all boxes down to a low confidence, ``final`` those that the settings give; their frames count as
    ``labels.frames``. The bootstrap draws `stretches`.
    """
    curve_of, final_of = _Class(class_id, low, labels), _Class(class_id, final, labels)
    weights = draw_units(int(drawn.max(initial=-1)) + 1, seed)
    matched = curve_of.match(IOUS)
    draws = curve_of.average_precisions(matched, np.vstack([np.ones(len(labels.frames)), weights[:, drawn]]))
    hits, wrong, wanted = final_of.outcomes(drawn)
    totals = np.vstack([np.ones(weights.shape[1]), weights]) @ np.stack([hits, wrong, wanted], axis=1)
    precision, recall = _share(totals[:, 0], totals[:, 0] + totals[:, 1]), _share(totals[:, 0], totals[:, 2])
    truths = int(curve_of.counts.sum())
    return ClassScore(
        labels.classes[class_id],
        truths,
        int(hits.sum() + wrong.sum()),
        estimate(draws.mean(axis=1)),
        estimate(draws[:, 0]),
        estimate(draws[:, 5]),
        estimate(precision),
        estimate(recall),
        estimate(np.where(np.isnan(recall), np.nan, f1_of(np.nan_to_num(precision), np.nan_to_num(recall)))),
        PrecisionRecall.of(curve_of.found.confidence, matched[0], truths),
        PrecisionRecall.of(curve_of.found.confidence, matched[5], truths),
        {name: _size_score(curve_of, final_of, limits) for name, limits in SIZES.items()},
    )


class _Class:
    """The boxes and truths of one class, and their overlaps."""

    def __init__(self, class_id: int, found: Found, labels: Labels) -> None:
        self.found, mine, self.pairs = found.against(labels, class_id, IOUS[0])
        self.frame, self.area = labels.frame[mine], labels.area[mine]
        self.counts: Mask = ~labels.ignore[mine]

    def within(self, limits: tuple[float, float]) -> tuple[Mask, Mask]:
        """Return which truths to be found, and which boxes, have an area within limits."""
        size = self.found.xyxy[:, 2:] - self.found.xyxy[:, :2]
        areas = (self.area, size.prod(axis=1))
        truths, boxes = ((area >= limits[0]) & (area <= limits[1]) for area in areas)
        return self.counts & truths, boxes

    def match(self, ious: Floats, limits: tuple[float, float] | None = None) -> Ints:
        """Match; beyond the limits truths are ignored, and boxes without one too."""
        if limits is None:
            return match_pairs(self.pairs, ious)
        counts, boxes = self.within(limits)
        matched = match_pairs(self.pairs, ious, counts)
        return np.where((matched == -1) & ~boxes, IGNORED, matched)

    def average_precisions(self, matched: Ints, weights: Floats) -> Floats:
        """Return ``(draws, IoUs)`` average precisions, where each frame counts as often as ``(draws, frames)`` says."""
        wanted = weights @ np.bincount(self.frame[self.counts], minlength=weights.shape[1])
        made = np.full((len(weights), len(matched)), np.nan)
        order = np.argsort(-self.found.confidence, kind="stable")
        frame = self.found.frame[order]
        # The best precision at a recall is that of a hit, so only hits are looked at, and what is ignored before them.
        kinds = [(np.flatnonzero(row >= 0), np.flatnonzero(row == IGNORED)) for row in matched[:, order]]
        before = [np.searchsorted(ignored, at) for at, ignored in kinds]
        for draw, (weight, truths) in enumerate(zip(weights, wanted.tolist(), strict=True)):
            times = weight[frame]
            taken = np.cumsum(times)
            for i, (at, ignored) in enumerate(kinds if truths else ()):
                hits = np.cumsum(times[at])
                judged = taken[at] - np.append(0.0, np.cumsum(times[ignored]))[before[i]]
                precision = np.divide(hits, judged, out=np.zeros_like(hits), where=judged > 0)
                made[draw, i] = average_precision(precision, hits / truths)
        return made

    def outcomes(self, unit: Ints) -> tuple[Ints, Ints, Ints]:
        """Return hits, false boxes and truths of each unit of frames."""
        matched, units = self.match(IOUS[:1])[0], int(unit.max(initial=-1)) + 1
        frames = (self.found.frame[matched >= 0], self.found.frame[matched == -1], self.frame[self.counts])
        hits, wrong, wanted = (np.bincount(unit[frame], minlength=units) for frame in frames)
        return hits, wrong, wanted


def _size_score(low: _Class, final: _Class, limits: tuple[float, float]) -> SizeScore:
    counts, _ = low.within(limits)
    truths, confidence = int(counts.sum()), low.found.confidence
    if not truths:
        return SizeScore(0, *[np.nan] * 6)
    aps = [PrecisionRecall.of(confidence, row, truths).average_precision for row in low.match(IOUS, limits)]
    matched = final.match(IOUS[:1], limits)[0]
    hits, wrong = int((matched >= 0).sum()), int((matched == -1).sum())
    precision, recall = hits / (hits + wrong) if hits + wrong else np.nan, hits / truths
    f1 = float(f1_of(np.nan_to_num(precision), recall))
    return SizeScore(truths, float(np.mean(aps)), aps[0], aps[5], precision, recall, f1)


def draw_units(units: int, seed: int = 0) -> Floats:
    """Return how often each of some units is drawn, ``(draws, units)``; no draws of a single one."""
    if units < 2:
        return np.zeros((0, units))
    return (
        np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), _DRAWS).astype(np.float64)
    )


def estimate(values: Floats) -> Estimate:
    """Return the first value with the interval of the rest, NaN where nothing could be drawn."""
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(drawn, _MIDDLE) if len(drawn) and not np.isnan(values[0]) else (np.nan, np.nan)
    return Estimate(float(values[0]), float(low), float(high))


def _share(part: Floats, whole: Floats) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return share
