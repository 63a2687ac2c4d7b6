"""The cells of one frame that reach a floor, and the grids that they are a part of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids

FLOOR = 0.005
"""The least coverage that is kept: the lowest threshold of any preset (Triton's and TAO's)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What all frames of one network share."""

    labels: tuple[str, ...]  # one name per class
    rows: int  # rows, cols: of the grid
    cols: int
    stride: int  # network pixels per cell
    has_boxes: bool  # whether the model has a box output

    @classmethod
    def of(cls, grids: Grids) -> Layout:
        """Return the layout of one frame's grids."""
        _, rows, cols = grids.shape
        return cls(grids.labels, rows, cols, grids.stride, grids.boxes is not None)

    @property
    def size(self) -> int:
        """Cells of all classes."""
        return len(self.labels) * self.rows * self.cols

    @property
    def network_size(self) -> tuple[int, int]:
        """Width and height of the network's input in pixels."""
        return (self.cols * self.stride, self.rows * self.stride)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The N cells of one frame whose coverage reaches a floor, in the order class, row, column."""

    flat: npt.NDArray[np.uint32]  # ``(N,)`` uint32: ``(class * rows + row) * cols + column``, rising
    coverage: npt.NDArray[np.float32]  # ``(N,)`` float32
    # ``(N, 4)`` float32: left, top, right and bottom over 35, as in `Grids`; None for a coverage-only model
    distances: npt.NDArray[np.float32] | None
    fit: Fit  # how the frame was resized to the network's input
    layout: Layout  # of the grids
    floor: float  # the least coverage that was kept

    def __len__(self) -> int:
        return len(self.flat)

    @classmethod
    def of(cls, grids: Grids, floor: float = FLOOR) -> Cells:
        """Return the cells of a frame from a coverage of ``floor`` up, or of the grids' own where that is higher."""
        classes, rows, cols = grids.shape
        coverage = grids.coverage.reshape(-1)
        flat = np.flatnonzero(coverage >= np.float32(floor))
        distances = None
        if grids.boxes is not None:
            class_id, cell = np.divmod(flat, rows * cols)
            distances = np.ascontiguousarray(
                grids.boxes.reshape(classes, 4, rows * cols)[class_id, :, cell], np.float32
            )
        floor = max(floor, grids.floor)
        return cls(flat.astype(np.uint32), coverage[flat], distances, grids.fit, Layout.of(grids), floor)

    def above(self, floor: float) -> Cells:
        """Return those that reach a higher floor."""
        keep = self.coverage >= np.float32(floor)
        distances = None if self.distances is None else self.distances[keep]
        return replace(
            self, flat=self.flat[keep], coverage=self.coverage[keep], distances=distances, floor=floor
        )

    def grids(self) -> Grids:
        """Return whole grids that know their floor: what was not kept stands there as 0."""
        layout = self.layout
        shape = (len(layout.labels), layout.rows, layout.cols)
        coverage = np.zeros(layout.size, np.float32)
        coverage[self.flat] = self.coverage
        boxes = None
        if self.distances is not None:
            planes = np.zeros((shape[0], 4, layout.rows * layout.cols), np.float32)
            class_id, cell = np.divmod(self.flat, layout.rows * layout.cols)
            planes[class_id, :, cell] = self.distances
            boxes = planes.reshape(4 * shape[0], *shape[1:])
        return Grids(coverage.reshape(shape), boxes, self.fit, layout.labels, layout.stride, self.floor)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """All frames of a run, also those that the network did not see: between key frames boxes are interpolated."""

    frames: list[int]  # all of them, by their 0-based index in the source
    times: npt.NDArray[
        np.float64
    ]  # ``(len(frames),)`` float64: when each is shown, in seconds; NaN for images
    # A digit for each key frame. Boxes are interpolated within a chain of key frames, which knows nothing of those
    # before and after it: with a ``1`` a chain begins that shares this frame with the one before, with a ``2`` (a
    # cut) one that does not; ``0`` goes on
    begins: str


class SavedGrids(Sequence[Grids]):
    """The grids of a run's frames, in their order, read when asked for.

    ``frames`` says which they are, by their 0-based index in the source; ``timeline`` has all frames of the run, and is
    None for what an earlier version saved.
    """

    frames: list[int]
    timeline: Timeline | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @abstractmethod
    def cells(self, position: int) -> Cells:
        """Return what was saved of ``frames[position]``; a `GridsError` when the file is damaged there."""

    def __getitem__(self, position: int) -> Grids:  # type: ignore[override]
        return self.cells(position).grids()
