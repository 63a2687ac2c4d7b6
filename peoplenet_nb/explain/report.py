"""What the network said of a frame, in tables a person can read: raw outputs, candidates, fates, final boxes."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peoplenet_nb.decoding import Decoded, Fate, decode
from peoplenet_nb.grids import Grids
from peoplenet_nb.html_tables import fold, table
from peoplenet_nb.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

# The tutorial's thresholds: for values of a whole output, and for the candidates of a class.
VALUE_THRESHOLDS = (0.1, 0.3, 0.5)
CANDIDATE_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)


def output_table(grids: Grids) -> pd.DataFrame:
    """Return shape, range and mean of each output, and how many of its values pass 0.1, 0.3 and 0.5."""
    import pandas as pd

    rows = []
    for name, array in (("coverage", grids.coverage), ("boxes", grids.boxes)):
        if array is None:
            continue
        row: dict[str, object] = {"output": name, "shape": "x".join(map(str, array.shape))}
        row |= {kind: float(getattr(array, kind)()) for kind in ("min", "max", "mean")}
        rows.append(row | {f"> {t}": int((array > t).sum()) for t in VALUE_THRESHOLDS})
    return pd.DataFrame(rows)


def candidate_table(grids: Grids, thresholds: tuple[float, ...] = CANDIDATE_THRESHOLDS) -> pd.DataFrame:
    """Return per class the highest coverage and the number of candidate cells at each threshold."""
    import pandas as pd

    rows = []
    for label, coverage in zip(grids.labels, grids.coverage, strict=True):
        counts = {f">= {t}": int((coverage >= t).sum()) for t in thresholds}
        rows.append({"class": label, "max": float(coverage.max())} | counts)
    return pd.DataFrame(rows)


def fate_name(fate: Fate) -> str:
    """Return a fate in words."""
    return fate.name.lower().replace("_", " ")


def fate_table(decoded: Decoded) -> pd.DataFrame:
    """Return how many candidates of each class met which fate."""
    import pandas as pd

    candidates, fate, labels = decoded.candidates, decoded.outcome.fate, decoded.detections.labels
    rows = []
    for class_id, label in enumerate(labels):
        fates = fate[candidates.class_id == class_id]
        counts = {fate_name(f): int((fates == f).sum()) for f in Fate}
        rows.append({"class": label, "candidates": len(fates)} | counts)
    table = pd.DataFrame(rows).set_index("class")
    used = [c for c in table.columns if c in ("candidates", "kept") or table[c].any()]
    return table[used].reset_index()


@dataclass(frozen=True, eq=False)
class FrameReport:
    """Everything the tutorial prints of a frame, and its boxes.

    ``str()`` gives plain text for a shell; Jupyter shows tables.
    """

    grids: Grids
    decoded: Decoded
    title: str = ""

    def _sections(self) -> list[tuple[str, pd.DataFrame]]:
        _, rows, cols = self.grids.shape
        return [
            ("Raw outputs", output_table(self.grids)),
            (f"Candidate cells per threshold (grid {rows}x{cols})", candidate_table(self.grids)),
            ("What became of the candidates", fate_table(self.decoded)),
            (f"Final boxes: {len(self.decoded.detections)}", self.decoded.detections.to_pandas()),
        ]

    def _head(self) -> list[str]:
        fit = self.grids.fit
        (width, height), (network_width, network_height) = fit.frame_size, fit.network_size
        lines = [self.title] if self.title else []
        lines.append(
            f"Frame {width}x{height} -> network input 1x3x{network_height}x{network_width} ({fit.mode}; "
            f"{fit.scale[0]:.3f} x {fit.scale[1]:.3f} frame pixels per network pixel)"
        )
        return lines + ([self.decoded.note] if self.decoded.note else [])

    def __str__(self) -> str:
        lines = self._head()
        for title, rows in self._sections():
            shown = rows.to_string(index=False, float_format="{:.3f}".format)
            lines += ["", title, shown if len(rows) else "  none"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(line)}</p>" for line in self._head()]
        for title, rows in self._sections():
            shown = rows.to_html(index=False, border=0, float_format="{:.3f}".format)
            parts += [f"<h4>{html.escape(title)}</h4>", shown if len(rows) else "none"]
        return "\n".join(parts)


def report_frame(grids: Grids, settings: Settings, *, title: str = "") -> FrameReport:
    """Report on what the network said of a frame, and on the boxes that the settings make of it."""
    return FrameReport(grids, decode(grids, settings), title)


class FrameReports(tuple[FrameReport, ...]):
    """The reports of several frames (`report_frame`, with titles that tell them apart).

    Jupyter shows a line of counts for each, and each whole report behind a fold.
    """

    def _rows(self) -> list[dict[str, object]]:
        rows = []
        for report in self:
            row: dict[str, object] = {"frame": report.title}
            for label, coverage in zip(report.grids.labels, report.grids.coverage, strict=True):
                row[f"highest {label}"] = float(coverage.max())
            row["candidates"] = len(report.decoded.candidates)
            row |= {f"{label} boxes": n for label, n in report.decoded.detections.counts().items()}
            rows.append(row)
        return rows

    def __str__(self) -> str:
        return "\n\n".join(str(report) for report in self)

    def _repr_html_(self) -> str:
        folds = [fold(f"what the network said of {report.title}", report._repr_html_()) for report in self]
        return table(self._rows()) + "".join(folds)
