"""Why a box that one source has is not in another: the fate of its cell under the other's settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import SavedGrids
from peoplenet_nb.decoding import cell_boxes, iou_matrix
from peoplenet_nb.explain import class_index, explain_cell
from peoplenet_nb.export.agreeing import Agreement
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Settings

_LEAST = 0.005  # coverage of a cell whose box is looked at


@dataclass(frozen=True, eq=False)
class Differing:
    """A box that only one of the two has.

    Attributes
    ----------
    frame : int
        Its number in the source.
    label : str
        Its class.
    side : str
        ``A`` or ``B``: who has it.
    xyxy : ndarray
        ``(4,)`` float64 in frame pixels.
    why : str
        What became of it with the other's settings (a `Fate` in words); empty where A kept no cells.
    """

    frame: int
    label: str
    side: str
    xyxy: npt.NDArray[np.float64]
    why: str = ""


def explained(
    alone: list[Differing],
    saved: SavedGrids,
    place: dict[int, int],
    settings: Settings,
    agreement: Agreement | None,
) -> list[Differing]:
    """Say what became of boxes: of those of B under A's settings, of those of A under the settings that agree.

    Parameters
    ----------
    alone : list of Differing
        The boxes.
    saved : SavedGrids
        A's cells.
    place : dict
        Where a frame stands among them.
    settings : Settings
        Of A.
    agreement : Agreement or None
        The settings that agree.
    """
    there = agreement.settings if agreement is not None and agreement.changes else None
    told, last = [], (-1, saved[0])
    for one in alone:
        chosen = settings if one.side == "B" else there
        if chosen is None or one.frame not in place:
            told.append(one)
            continue
        if last[0] != one.frame:
            last = one.frame, saved[place[one.frame]]
        if chosen.fit not in (last[1].fit.mode, FitMode.AUTO):
            told.append(one)
            continue
        told.append(replace(one, why=_fate(last[1], chosen, one)))
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
