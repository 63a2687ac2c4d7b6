"""What the network said, in tables a person can read, and the reason for each box that is or isn't there.

Nothing is computed twice: the reasons are read from the fates that `decode` recorded;
only for a cell below its threshold, which never became a candidate, the report decodes again with the
threshold lowered to that cell, and so says truly what would happen.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.decoding import Decoded, Fate, cell_boxes, decode
from peoplenet_nb.errors import GridsError, SettingsError
from peoplenet_nb.grids import Grids
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
        row: dict[str, object] = {
            "output": name,
            "shape": "x".join(map(str, array.shape)),
            "min": float(array.min()),
            "max": float(array.max()),
            "mean": float(array.mean()),
        }
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


def fate_table(decoded: Decoded) -> pd.DataFrame:
    """Return how many candidates of each class met which fate."""
    import pandas as pd

    candidates, fate, labels = decoded.candidates, decoded.outcome.fate, decoded.detections.labels
    rows = []
    for class_id, label in enumerate(labels):
        fates = fate[candidates.class_id == class_id]
        rows.append(
            {"class": label, "candidates": len(fates)} | {_name(f): int((fates == f).sum()) for f in Fate}
        )
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
        for title, table in self._sections():
            lines += ["", title]
            lines.append(
                table.to_string(index=False, float_format="{:.3f}".format) if len(table) else "  none"
            )
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(line)}</p>" for line in self._head()]
        for title, table in self._sections():
            parts.append(f"<h4>{html.escape(title)}</h4>")
            parts.append(
                table.to_html(index=False, border=0, float_format="{:.3f}".format) if len(table) else "none"
            )
        return "\n".join(parts)


def report_frame(grids: Grids, settings: Settings, *, title: str = "") -> FrameReport:
    """Report on what the network said of a frame, and on the boxes that the settings make of it."""
    return FrameReport(grids, decode(grids, settings), title)


@dataclass(frozen=True)
class CellReport:
    """Why a cell did or did not become a box.

    Parameters
    ----------
    label, row, col : str, int, int
        The class and the cell.
    coverage, threshold : float
        The network's coverage of the cell, and the threshold of its class.
    fate : str
        A name of `Fate` in lower case, or ``"below threshold"``.
    sentence : str
        The reason in words, with the next thing to try.
    xyxy : tuple of float or None
        The box that the cell predicts, frame pixels, before clustering.
    rescue : float or None
        The class threshold at which the cell's own object would be found, where lowering it helps.
    added : int
        How many more boxes of the class that threshold brings into this frame.
    """

    label: str
    row: int
    col: int
    coverage: float
    threshold: float
    fate: str
    sentence: str
    xyxy: tuple[float, float, float, float] | None
    rescue: float | None = None
    added: int = 0


def explain_cell(grids: Grids, settings: Settings, class_id: int, row: int, col: int) -> CellReport:
    """Say what one cell predicts and what became of it.

    Raises
    ------
    GridsError
        When there is no such class or cell.
    """
    classes, rows, cols = grids.shape
    if not (0 <= class_id < classes and 0 <= row < rows and 0 <= col < cols):
        raise GridsError(
            f"No such cell in a grid of {classes} classes, {rows} rows and {cols} columns",
            seen=(class_id, row, col),
            next_step="count classes, rows and columns from 0.",
        )
    label = grids.labels[class_id]
    threshold = settings.for_class(label).threshold
    coverage = float(grids.coverage[class_id, row, col])
    xyxy = None
    if grids.boxes is not None:
        box = grids.fit.to_frame(cell_boxes(grids, [class_id], [row], [col]))[0]
        xyxy = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    decoded = decode(grids, settings)
    index = decoded.candidates.find(class_id, row, col)
    if index is not None:
        sentence = _fate_sentence(decoded, index, settings)
        fate = _name(Fate(int(decoded.outcome.fate[index])))
        return CellReport(label, row, col, coverage, threshold, fate, sentence, xyxy)

    lower = settings.with_class(label, threshold=max(0.0, np.floor(coverage * 1000) / 1000))
    after = decode(grids, lower)
    again = after.candidates.find(class_id, row, col)
    added = int(
        (after.detections.class_id == class_id).sum() - (decoded.detections.class_id == class_id).sum()
    )
    sentence = f"Its coverage {coverage:.3f} is below the threshold {threshold:g} of {label}."
    rescue = None
    if again is not None and after.outcome.fate[again] in (Fate.KEPT, Fate.MERGED):
        rescue = lower.for_class(label).threshold
        sentence += (
            f" A threshold of {rescue:g} would bring it back and add {added} {label} box(es) to this frame."
        )
    elif again is not None:
        sentence += " Lowering the threshold alone would not help: " + _fate_sentence(after, again, lower)
    return CellReport(label, row, col, coverage, threshold, "below threshold", sentence, xyxy, rescue, added)


def explain_point(grids: Grids, settings: Settings, x: float, y: float, label: str = "person") -> CellReport:
    """Say why there is or isn't an object at a point: the report of the best cell whose box covers it.

    Parameters
    ----------
    x, y : float
        Frame pixels.
    label : str
        The class that is looked for.

    Raises
    ------
    SettingsError
        When the model has no such class.
    GridsError
        When the point is outside the frame.
    """
    class_id = class_index(grids.labels, label)
    cell = grids.cell_at(x, y)
    if cell is None:
        raise GridsError("The point is outside the frame", seen=(x, y), next_step="pass frame pixels.")
    row, col = cell
    coverage = grids.coverage[class_id]
    if grids.boxes is not None:
        rows, cols = np.divmod(np.arange(coverage.size), coverage.shape[1])
        boxes = grids.fit.to_frame(cell_boxes(grids, np.full(coverage.size, class_id), rows, cols))
        covers = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
        if covers.any():
            best = int(np.argmax(np.where(covers, coverage.ravel(), -1.0)))
            row, col = divmod(best, coverage.shape[1])
    return explain_cell(grids, settings, class_id, row, col)


def class_index(labels: Sequence[str], label: str) -> int:
    """Return the index of a class by name; case does not matter.

    Raises
    ------
    SettingsError
        When there is no such class.
    """
    names = [name.lower() for name in labels]
    if label.lower() not in names:
        known = ", ".join(names)
        raise SettingsError("Unknown class", seen=repr(label), next_step=f"the model's classes are: {known}.")
    return names.index(label.lower())


def _name(fate: Fate) -> str:
    return fate.name.lower().replace("_", " ")


def _fate_sentence(decoded: Decoded, index: int, settings: Settings) -> str:
    """Return the reason for a candidate's fate, in words."""
    candidates = decoded.candidates
    label = decoded.detections.labels[candidates.class_id[index]]
    own = settings.for_class(label)
    outcome = decoded.outcome
    by = int(outcome.by[index])
    cell = f"row {candidates.row[by]}, column {candidates.col[by]}" if by >= 0 else ""
    sentences = {
        Fate.KEPT: "It is one of the final boxes.",
        Fate.EMPTY: "Its box has no area inside the frame.",
        Fate.SUPPRESSED: (
            f"A better box (coverage {candidates.coverage[by]:.3f}, {cell}) overlaps it with IoU "
            f"{outcome.iou[index]:.2f}, above the NMS threshold {settings.nms_iou:g}."
        ),
        Fate.MERGED: f"It is part of cluster {outcome.cluster[index]}, whose best cell is at {cell}.",
        Fate.NOISE: (
            f"DBSCAN (eps {settings.eps:g}, min_samples {settings.min_samples:g}) found too little around it: "
            "raise eps or lower min_samples."
        ),
        Fate.SPARSE: "Its cluster is large and has few members, which DeepStream's DBSCAN drops.",
        Fate.TOO_SMALL: f"Its box is smaller than {own.min_width:g}x{own.min_height:g} frame pixels.",
        Fate.LOW_CONFIDENCE: f"Its confidence is below the {own.min_confidence:g} asked for after clustering.",
        Fate.BEYOND_TOP_K: f"There are {settings.top_k} better boxes of {label}, and top_k stops there.",
        Fate.NO_BOX: decoded.note,
    }
    return sentences[Fate(int(outcome.fate[index]))]
