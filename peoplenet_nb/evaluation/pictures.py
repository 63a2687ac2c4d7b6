"""An evaluation as pictures: curves, and the worst errors as a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.files import writing
from peoplenet_nb.metrics.matching import Floats
from peoplenet_nb.metrics.mistakes import Mistake, worst
from peoplenet_nb.metrics.scores import ClassScore
from peoplenet_nb.plots import Picture
from peoplenet_nb.plots.canvas import DASHES, INK, MARKERS, class_colour, headline, panels, render
from peoplenet_nb.plots.tiles import pictures_of, sheet_of, tile
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.video.parts import write_image

if TYPE_CHECKING:
    from peoplenet_nb.evaluation.result import Evaluation


def curves(scores: Mapping[str, ClassScore], settings: Settings) -> Picture:
    """Return precision over recall, and F1 over the threshold, with what the settings give marked."""
    figure, (left, right) = panels(1, 2, 4.8)
    labels, texts = list(scores), []
    for c, (label, score) in enumerate(scores.items()):
        colour, dash = class_colour(labels, c), DASHES[c % len(DASHES)]
        curve, strict = score.curve, score.strict_curve
        left.plot(curve.recall, curve.precision, color=colour, ls=dash, lw=2.2, label=f"{label}, IoU 0.5")
        left.plot(strict.recall, strict.precision, color=colour, ls=dash, lw=1, label=f"{label}, IoU 0.75")
        right.plot(curve.confidence, curve.f1, color=colour, ls=dash, lw=2.2, label=label)
        marker = MARKERS[c % len(MARKERS)]
        left.plot(score.recall.value, score.precision.value, marker, color=colour, mec=INK, ms=9)
        numbers = settings.for_class(label)
        if numbers.letterbox_threshold is None:  # else there is no one place
            right.plot(numbers.threshold, score.f1.value, marker, color=colour, mec=INK, ms=9)
        f1, best, _, _ = curve.best()
        texts.append(
            f"{label}: AP {score.ap50.value:.3f} at IoU 0.5, {score.ap75.value:.3f} at 0.75, F1 {score.f1.value:.3f} "
            f"now, best {f1:.3f} at {best:.2f}"
        )
    headline(left, "precision over recall (marked: these settings)")
    headline(right, "F1 at IoU 0.5 over the threshold (marked: these settings)")
    left.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall (0 to 1)", ylabel="precision (0 to 1)")
    most = max([1.0, *(float(s.curve.confidence[0]) for s in scores.values() if len(s.curve.confidence))])
    right.set(
        xlim=(0, most), ylim=(0, 1.02), xlabel="threshold of the confidence (0 to 1)", ylabel="F1 (0 to 1)"
    )
    for ax, columns in ((left, 2), (right, 3)):
        ax.grid(color="#e5e5e5")
        ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)
    return render(figure, f"Precision and recall. {'; '.join(texts)}.")


def beside(before: Mapping[str, ClassScore], after: Mapping[str, ClassScore]) -> Picture:
    """Return the figures of two evaluations of the same labels, class by class, with their intervals."""
    figures = {"ap75": "AP 0.75", "ap50": "AP 0.5", "recall": "recall", "precision": "precision", "f1": "F1"}
    labels = [label for label in before if label in after]
    figure, axes = panels(1, len(labels), 3.4, sharey=True)
    texts = []
    for c, (label, ax) in enumerate(zip(labels, axes, strict=True)):
        colour = class_colour(labels, c)
        for scores, lift, face, name in (
            (before, 0.14, "#ffffff", "before"),
            (after, -0.14, colour, "after"),
        ):
            made = [getattr(scores[label], key) for key in figures]
            rows = np.arange(len(made)) + lift
            ax.hlines(rows, [e.low for e in made], [e.high for e in made], color=INK, lw=1.2)
            ax.plot([e.value for e in made], rows, "o", mfc=face, mec=INK, ms=8, label=name)
            texts.append(f"{label} {name}: F1 {scores[label].f1.value:.3f}")
        headline(ax, f"{label} ({before[label].truths} labelled)")
        ax.set(xlim=(0, 1.02), yticks=range(len(figures)), yticklabels=list(figures.values()))
        ax.set_xlabel("0 to 1")
        ax.grid(axis="x", color="#e5e5e5")
    handles, names = axes[0].get_legend_handles_labels()
    why = "lines: 95 % of what other stretches of it might give"
    figure.legend(handles, names, title=why, frameon=False, loc="outside lower left", ncols=2)
    return render(figure, f"Figures before and after. {'; '.join(texts)}.")


def contact_sheet(evaluation: Evaluation, folder: Path, count: int) -> Path:
    """Write the worst errors as pictures, and all of them in one, ``worst.jpg``; return its path."""
    clip = evaluation.clip
    apart = round(clip.rate) if clip.video else 0
    chosen = worst(evaluation.mistakes, count, apart)
    frames = [clip.labels.frames[m.frame] for m in chosen]
    images = pictures_of(clip.source, {int(frame) for frame in frames})
    found = clip.found(evaluation.settings)
    tiles = []
    with writing(folder):
        for number, (mistake, frame) in enumerate(zip(chosen, frames, strict=True), 1):
            kind = str(mistake.kind).replace(" ", "-")
            image, name = images[int(frame)]
            sure = "" if np.isnan(mistake.confidence) else f" {mistake.confidence:.2f}"
            caption = f"{number}. {mistake.kind} {mistake.label}{sure}, {name or f'frame {frame}'}"
            labelled = clip.labels.xyxy[(clip.labels.frame == mistake.frame) & ~clip.labels.ignore]
            tiles.append(_tile(image, mistake, found.xyxy[found.frame == mistake.frame], labelled, caption))
            write_image(folder / f"{number:02d}-{kind}-frame{int(frame):06d}.jpg", tiles[-1])
        sheet = folder / "worst.jpg"
        write_image(sheet, sheet_of(tiles, "found", "labelled", "thick: the error" if tiles else "no errors"))
    return sheet


def _tile(image: Image, mistake: Mistake, found: Floats, labelled: Floats, caption: str) -> Image:
    """Return the surroundings of an error: found boxes with solid lines, labelled ones dashed, its own thicker."""
    boxes = mistake.xyxy if mistake.truth is None else np.stack([mistake.xyxy, mistake.truth])
    own = None if np.isnan(mistake.confidence) else mistake.xyxy
    thick = [box for box in (own, mistake.truth) if box is not None]
    return tile(image, boxes.reshape(-1, 4), found, labelled, caption, thick=np.reshape(thick, (-1, 4)))
