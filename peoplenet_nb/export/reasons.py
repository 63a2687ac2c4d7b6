"""Why a box that one source has is not in another: the fate of its cell under the other's settings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from peoplenet_nb.cells import SavedGrids
from peoplenet_nb.decoding import cell_boxes, iou_matrix
from peoplenet_nb.explain import class_index, explain_cell
from peoplenet_nb.export.difference import Differing
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Settings

_LEAST = 0.005  # coverage of a cell whose box is looked at


def explained(
    alone: list[Differing], saved: SavedGrids, settings: Settings, agreeing: Settings | None
) -> list[Differing]:
    """Say what became of boxes: of those of B under A's settings, of those of A under the settings that agree.

    ``saved`` are A's cells.
    """
    place = {frame: position for position, frame in enumerate(saved.frames)}
    told, last = [], (-1, saved[0])
    for one in alone:
        chosen = settings if one.side == "B" else agreeing
        if chosen is not None and one.frame in place:
            if last[0] != one.frame:
                last = one.frame, saved[place[one.frame]]
            if chosen.fit in (last[1].fit.mode, FitMode.AUTO):
                one = replace(one, why=_fate(last[1], chosen, one))  # noqa: PLW2901
        told.append(one)
    return told


def _fate(grids: Grids, settings: Settings, one: Differing) -> str:
    """Return what becomes of the cell whose own box is nearest to a box."""
    index = class_index(grids.labels, one.label)
    rows, cols = np.nonzero(grids.coverage[index] >= max(grids.floor, _LEAST))
    if not len(rows) or grids.boxes is None:
        return "below threshold"
    boxes = grids.fit.to_frame(cell_boxes(grids, np.full(len(rows), index), rows, cols))
    boxes = np.clip(boxes, 0, np.tile(grids.fit.frame_size, 2))
    nearest = int(iou_matrix(one.xyxy[None], boxes)[0].argmax())
    return explain_cell(grids, settings, index, int(rows[nearest]), int(cols[nearest])).fate
