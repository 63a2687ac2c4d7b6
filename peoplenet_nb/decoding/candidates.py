"""Candidates: the cells whose coverage reaches the threshold of their class, with the boxes they predict."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.boxes import box_columns, lattice
from peoplenet_nb.decoding.overlap import Floats, Ints
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Settings, bind


@dataclass(frozen=True, eq=False)
class Candidates:
    """The cells whose coverage reached the threshold of their class.

    Arrays run in parallel over N candidates, in the order class, row, column.
    """

    class_id: Ints  # class_id, row, col: ``(N,)`` int64
    row: Ints
    col: Ints
    coverage: npt.NDArray[np.float32]  # ``(N,)`` float32
    # ``(N, 4)`` float64 in network pixels, clipped to the part that the frame covers; zeros when the model has no box
    # output
    network_xyxy: Floats

    def __len__(self) -> int:
        return len(self.class_id)

    def find(self, class_id: int, row: int, col: int) -> int | None:
        """Return the index of a cell's candidate, or None if it is below the threshold."""
        hits = np.flatnonzero((self.class_id == class_id) & (self.row == row) & (self.col == col))
        return int(hits[0]) if len(hits) else None


def find_candidates(grids: Grids, settings: Settings) -> Candidates:
    """Return the cells whose coverage reaches the threshold of their class, with their clipped boxes.

    Raises
    ------
    SettingsError
        When the settings name a class that the model has not, or a threshold is below the floor of saved grids.
    """
    if grids.floor:
        check_floor(grids, settings)
    least = bind(settings, grids.labels, grids.fit.mode).least_coverage
    where = lattice(grids.shape, grids.stride)
    cells = (grids.coverage.reshape(len(least), -1) >= least).ravel().nonzero()[0]
    if grids.boxes is None:
        boxes = np.zeros((len(cells), 4))
    else:
        columns = box_columns(grids, cells)
        width, height = grids.fit.content_size
        np.maximum(columns, 0.0, out=columns)
        np.minimum(columns[::2], width, out=columns[::2])
        np.minimum(columns[1::2], height, out=columns[1::2])
        boxes = np.ascontiguousarray(columns.T)
    return Candidates(
        where.class_id.take(cells),
        where.row.take(cells),
        where.col.take(cells),
        grids.coverage.reshape(-1).take(cells),
        boxes,
    )


def check_floor(grids: Grids, settings: Settings) -> None:
    """Refuse thresholds that ask for cells which were not saved, with a `SettingsError`."""
    threshold = bind(settings, grids.labels, grids.fit.mode).threshold
    if threshold.min() < grids.floor:
        label = grids.labels[int(threshold.argmin())]
        raise SettingsError(
            f"Of these grids only cells with a coverage of {grids.floor:g} or more were saved",
            seen=f"a threshold of {threshold.min():g} for {label}",
            next_step=f"choose thresholds from {grids.floor:g} up; for lower ones take the grids of single frames "
            "from model.infer().",
        )
