"""The result of an evaluation: figures with intervals, errors by kind, curves; as text, HTML, JSON and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.files import write_text
from peoplenet_nb.html_tables import fold, note, table
from peoplenet_nb.metrics.mistakes import Kind, Mistake, count_mistakes
from peoplenet_nb.metrics.scores import ClassScore, Estimate
from peoplenet_nb.settings import Settings

if TYPE_CHECKING:
    from peoplenet_nb.plots import Picture

_FIGURES = {
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "AP 0.5": "ap50",
    "AP 0.75": "ap75",
    "AP 0.5:0.95": "ap",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How good the boxes of some settings are, against labels.

    Parameters
    ----------
    clip : Clip
        What was judged.
    settings : Settings
        Those that were judged.
    scores : dict
        A `ClassScore` for each class that the labels know.
    mistakes : tuple of Mistake
        All errors, by frame.
    """

    clip: Clip = field(repr=False)
    settings: Settings = field(repr=False)
    scores: Mapping[str, ClassScore]
    mistakes: Sequence[Mistake] = field(repr=False)

    @property
    def notes(self) -> list[str]:
        """What the reader should know: what was mapped, left out and not looked at."""
        silent = [label for label in self.clip.labels.classes if label not in self.scores]
        unjudged = (
            [f"The labels know no {' and no '.join(silent)}: those boxes are not judged."] if silent else []
        )
        return [*self.clip.labels.notes, *self.clip.notes, *unjudged]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row of figures for each class, without intervals."""
        return [
            {"class": label, "labelled": score.truths, "found": score.found}
            | {name: getattr(score, key).value for name, key in _FIGURES.items()}
            for label, score in self.scores.items()
        ]

    def errors(self) -> dict[str, dict[str, int]]:
        """Return how many errors of each kind there are, by class."""
        none = dict.fromkeys(map(str, Kind), 0)
        return dict.fromkeys(self.scores, none) | count_mistakes(self.mistakes)

    def _title(self) -> str:
        labels = self.clip.labels
        return (
            f"{self.clip.name}: {len(labels.frames)} labelled frames ({labels.format}), {len(labels)} boxes"
        )

    def __str__(self) -> str:
        head = ["class", "labelled", "found", *_FIGURES]
        lines = [self._title(), "  ".join(f"{name:>11}" for name in head)]
        for label, score in self.scores.items():
            estimates = [getattr(score, key) for key in _FIGURES.values()]
            cells = [label, score.truths, score.found, *(_number(e.value) for e in estimates)]
            lines.append("  ".join(f"{cell:>11}" for cell in cells))
            spans = ["" if math.isnan(e.low) else f"{e.low:.3f}-{e.high:.3f}" for e in estimates]
            lines.append("  ".join(f"{cell:>11}" for cell in ["", "", "95 %:", *spans]).rstrip())
        for label, score in self.scores.items():
            f1, threshold, precision, recall = score.curve.best()
            lines.append(
                f"  {label}: best F1 {f1:.3f} at a confidence of {threshold:.2f} "
                f"(precision {precision:.3f}, recall {recall:.3f})"
            )
            sizes = [
                f"{name} {size.truths}, AP 0.5 {_number(size.ap50)}, recall {_number(size.recall)}"
                for name, size in score.sizes.items()
                if size.truths
            ]
            lines.append(f"  {label} by size: {'; '.join(sizes) or 'none labelled'}")
            lines.append(
                f"  {label} errors: " + ", ".join(f"{n} {kind}" for kind, n in self.errors()[label].items())
            )
        return "\n".join([*lines, *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        rows = [
            {"class": label, "labelled": score.truths, "found": score.found}
            | {name: str(getattr(score, key)) for name, key in _FIGURES.items()}
            for label, score in self.scores.items()
        ]
        sizes = [
            {"class": label, "size": name} | asdict(size)
            for label, score in self.scores.items()
            for name, size in score.sizes.items()
            if size.truths
        ]
        errors = [{"class": label} | counts for label, counts in self.errors().items()]
        caption = f"{self._title()}; in brackets the middle 95 % of the bootstrap"
        return "".join(
            [
                table(rows, caption),
                table(errors, "Errors by kind"),
                fold("By size", table(sizes)),
                *(note(text) for text in self.notes),
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as plain data; None where there is nothing to say."""
        classes = {}
        for label, score in self.scores.items():
            f1, threshold, precision, recall = score.curve.best()
            classes[label] = {
                "labelled": score.truths,
                "found": score.found,
                **{key: _estimate(getattr(score, key)) for key in _FIGURES.values()},
                "best": {"f1": f1, "confidence": threshold, "precision": precision, "recall": recall},
                "sizes": {n: {k: _plain(v) for k, v in asdict(s).items()} for n, s in score.sizes.items()},
                "errors": self.errors()[label],
            }
        labels = self.clip.labels
        return {
            "source": self.clip.name,
            "labels": {"format": labels.format, "frames": len(labels.frames), "boxes": labels.counts()},
            "settings": self.settings.to_dict(),
            "classes": classes,
            "notes": self.notes,
        }

    def to_json(self, path: str | Path) -> Path:
        """Write `to_dict` to a file and return its path."""
        write_text(path, json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n")
        return Path(path)

    def curves(self) -> Picture:
        """Return precision over recall, and F1 over the threshold, with what the settings give marked."""
        from peoplenet_nb.evaluation.pictures import curves

        return curves(self.scores, self.settings)

    def beside(self, before: Evaluation) -> Picture:
        """Return its figures beside those of an evaluation on the same labels, with their intervals."""
        from peoplenet_nb.evaluation.pictures import beside

        return beside(before.scores, self.scores)

    def worst(self, folder: str | Path, count: int = 20) -> Path:
        """Write pictures of the worst errors to a folder, ``count`` at most, and one with all of them; return its path.

        A `SourceError` when the pictures of the source cannot be had any more.
        """
        from peoplenet_nb.evaluation.pictures import contact_sheet

        return contact_sheet(self, Path(folder), count)


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _estimate(estimate: Estimate) -> dict[str, float | None]:
    return {name: _plain(value) for name, value in estimate._asdict().items()}
