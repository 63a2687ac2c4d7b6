"""The reason for each box that is or isn't there.

Nothing is computed twice: the reasons are read from the fates that `decode` recorded; only for a cell below its
threshold, which never became a candidate, the report decodes again with the threshold lowered to that cell, and so
says truly what would happen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import Decoded, Fate, cell_boxes, decode, iou_matrix
from peoplenet_nb.errors import GridsError, refuse_unknown
from peoplenet_nb.explain.report import fate_name
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Settings

_ALREADY_FOUND = 0.3  # a cell whose box overlaps a final one this much is about the same object
# Of the frame; of people that fill more, `near` finds twice as many (`benchmarks/photographs.py`).
_MUCH = 0.1


@dataclass(frozen=True)
class CellReport:
    """Why a cell did or did not become a box."""

    label: str
    row: int
    col: int
    coverage: float
    threshold: float  # of the cell's class
    fate: str  # a name of `Fate` in lower case, or "below threshold"
    sentence: str  # the reason in words, with the next thing to try
    xyxy: tuple[float, float, float, float] | None  # what the cell predicts, frame pixels, before clustering
    rescue: float | None = (
        None  # the threshold at which its own object would be found, where lowering it helps
    )
    added: int = 0  # how many more boxes of the class that threshold brings into this frame


def explain_cell(grids: Grids, settings: Settings, class_id: int, row: int, col: int) -> CellReport:
    """Say what one cell predicts and what became of it; a `GridsError` when there is no such class or cell."""
    classes, rows, cols = grids.shape
    if not (0 <= class_id < classes and 0 <= row < rows and 0 <= col < cols):
        what = f"No such cell in a grid of {classes} classes, {rows} rows and {cols} columns"
        fix = "count classes, rows and columns from 0."
        raise GridsError(what, seen=(class_id, row, col), next_step=fix)
    label, settings = grids.labels[class_id], settings.for_fit(grids.fit.mode)
    threshold = settings.for_class(label).threshold
    coverage = float(grids.coverage[class_id, row, col])
    xyxy = None
    decoded = decode(grids, settings)
    if coverage < grids.floor:
        sentence = f"Its coverage is below {grids.floor:g}, and weaker cells were not saved."
        return CellReport(label, row, col, coverage, threshold, "below threshold", sentence, xyxy)
    if grids.boxes is not None:
        box = grids.fit.to_frame(cell_boxes(grids, [class_id], [row], [col]))[0]
        xyxy = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    index = decoded.candidates.find(class_id, row, col)
    if index is not None:
        sentence = _fate_sentence(decoded, index, settings)
        fate = fate_name(Fate(int(decoded.outcome.fate[index])))
        return CellReport(label, row, col, coverage, threshold, fate, sentence, xyxy)

    least = max(grids.floor, np.floor(coverage * 1000) / 1000)
    if least == 0:
        sentence = "Its coverage is below 0.001: a threshold that takes it would take every cell."
        return CellReport(label, row, col, coverage, threshold, "below threshold", sentence, xyxy)
    lower = settings.with_class(label, threshold=least)
    after = decode(grids, lower)
    again = after.candidates.find(class_id, row, col)
    added = len(after.detections.of_class(label)) - len(decoded.detections.of_class(label))
    sentence = f"Its coverage {coverage:.3f} is below the threshold {threshold:g} of {label}."
    rescue = None
    if again is not None and after.outcome.fate[again] in (Fate.KEPT, Fate.MERGED):
        rescue = lower.for_class(label).threshold
        back = f" A threshold of {rescue:g} would bring it back and add"
        sentence += f"{back} {added} {label} box(es) to this frame."
    elif again is not None:
        sentence += " Lowering the threshold alone would not help: " + _fate_sentence(after, again, lower)
    if xyxy is not None and grids.fit.mode is not FitMode.NEAR and _fills(xyxy, grids.fit.frame_size):
        sentence += (
            " Its box fills much of the frame: people near the camera are found better with the fit near."
        )
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
        boxes = _boxes_of(grids, class_id)
        covers = (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])
        if covers.any():
            best = int(np.argmax(np.where(covers, coverage.ravel(), -1.0)))
            row, col = divmod(best, coverage.shape[1])
    return explain_cell(grids, settings, class_id, row, col)


def explain_missing(grids: Grids, settings: Settings, label: str = "person") -> CellReport:
    """Say why nobody was found at the most promising place without a box.

    That is the cell with the highest coverage among those that gave no box and whose box overlaps no final one.
    """
    class_id = class_index(grids.labels, label)
    coverage = grids.coverage[class_id].astype(np.float64).copy()
    if grids.boxes is not None:
        found = decode(grids, settings).detections.of_class(label).xyxy.astype(np.float64)
        taken = iou_matrix(_boxes_of(grids, class_id), found).max(axis=1, initial=0.0) >= _ALREADY_FOUND
        coverage[taken.reshape(coverage.shape)] = -1.0
    row, col = divmod(int(coverage.argmax()), coverage.shape[1])
    return explain_cell(grids, settings, class_id, row, col)


def _fills(xyxy: tuple[float, float, float, float], frame_size: tuple[int, int]) -> bool:
    """Whether a box covers so much of the frame that its object is near the camera, and coverage low for that."""
    x1, y1, x2, y2 = (min(max(v, 0.0), float(frame_size[i % 2])) for i, v in enumerate(xyxy))
    return (x2 - x1) * (y2 - y1) >= _MUCH * frame_size[0] * frame_size[1]


def _boxes_of(grids: Grids, class_id: int) -> npt.NDArray[np.float64]:
    """Return the boxes that all cells predict for a class, ``(rows * cols, 4)`` in frame pixels."""
    rows, cols = np.divmod(np.arange(grids.coverage[class_id].size), grids.coverage.shape[2])
    return grids.fit.to_frame(cell_boxes(grids, np.full(rows.size, class_id), rows, cols))


def class_index(labels: Sequence[str], label: str) -> int:
    """Return the index of a class by name, whatever its case; a `SettingsError` when there is none."""
    names = [name.lower() for name in labels]
    refuse_unknown([label.lower()], names, "class", "the model's classes are")
    return names.index(label.lower())


def _fate_sentence(decoded: Decoded, index: int, settings: Settings) -> str:
    """Return the reason for a candidate's fate, in words."""
    candidates, outcome = decoded.candidates, decoded.outcome
    label = decoded.detections.labels[candidates.class_id[index]]
    own = settings.for_class(label)
    by = int(outcome.by[index])
    cell = f"row {candidates.row[by]}, column {candidates.col[by]}" if by >= 0 else ""
    sentences = {
        Fate.KEPT: "It is one of the final boxes.",
        Fate.EMPTY: "Its box has no area inside the frame.",
        Fate.SUPPRESSED: (
            f"A better box (coverage {candidates.coverage[by]:.3f}, {cell}) overlaps it with IoU "
            f"{outcome.iou[index]:.2f}, above the NMS threshold {settings.own(label, 'nms_iou'):g}."
        ),
        Fate.MERGED: f"It is part of cluster {outcome.cluster[index]}, whose best cell is at {cell}.",
        Fate.NOISE: (
            f"DBSCAN (eps {settings.own(label, 'eps'):g}, min_samples {settings.own(label, 'min_samples'):g}) "
            "found too little around it: raise eps or lower min_samples."
        ),
        Fate.SPARSE: "Its cluster is large and has few members, which DeepStream's DBSCAN drops.",
        Fate.TOO_SMALL: f"Its box is smaller than {own.min_width:g}x{own.min_height:g} frame pixels.",
        Fate.LOW_CONFIDENCE: f"Its confidence is below the {own.min_confidence:g} asked for after clustering.",
        Fate.BEYOND_TOP_K: f"There are {settings.own(label, 'top_k')} better boxes of {label}, and top_k stops there.",
        Fate.NO_BOX: decoded.note,
        Fate.TOO_LARGE: (
            f"Its box is larger than {own.max_width or math.inf:g}x{own.max_height or math.inf:g} frame pixels."
        ),
        Fate.OUTSIDE_ROI: (
            f"Its box reaches into the upper {own.roi_top:g} or the lower {own.roi_bottom:g} frame pixels, which are "
            "left out."
        ),
        Fate.LOW_SUM: f"The coverages of its cluster are less than {own.min_sum:g} together.",
    }
    return sentences[Fate(int(outcome.fate[index]))]
