"""Candidates of many frames, found once and clustered together: how thousands of settings are tried.

`decode` answers for one frame what became of every candidate; here only the boxes matter, of whole videos. Frame and
class together are the groups in which the same clustering works, so every box is the one that `decode` gives.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding.candidates import Candidates, find_candidates
from peoplenet_nb.decoding.overlap import Floats, Ints
from peoplenet_nb.decoding.steps import Outcome, beyond_limits, cluster_groups
from peoplenet_nb.errors import GridsError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import ClassSettings, Settings, bind

#: Frame ``(N,)``, class ``(N,)``, boxes ``(N, 4)`` in frame pixels and confidence ``(N,)``, by frame and class.
Boxes = tuple[Ints, Ints, Floats, Floats]


@dataclass(frozen=True, eq=False)
class Pool:
    """The candidates of many frames."""

    candidates: Candidates  # those with a box; ``class_id`` counts frame times classes plus class
    scale: Floats  # ``(frames, 2)``: frame pixels per network pixel
    height: Ints  # ``(frames,)``: of the frames, in pixels
    labels: tuple[str, ...]  # the model's classes
    modes: npt.NDArray[np.str_]  # ``(frames,)``: the `FitMode` of each frame
    floor: float  # the least coverage that was looked at; settings below it cannot be tried

    @classmethod
    def of(cls, frames: Iterable[Grids], floor: float) -> Pool:
        """Find the candidates of frames, in their order.

        Raises
        ------
        GridsError
            When there is no frame, the frames are not of one model, or the model has no boxes.
        """
        parts: list[Candidates] = []
        scales, heights, modes, labels = [], [], [], None
        low = Settings(fit=FitMode.AUTO, default=ClassSettings(threshold=floor))
        for grids in frames:
            labels = labels or grids.labels
            if grids.labels != labels or grids.boxes is None:
                raise GridsError(
                    "The frames are not of one model with boxes",
                    seen=f"{grids.labels}, after {labels}",
                    next_step="take the grids of one run.",
                )
            parts.append(find_candidates(grids, low))
            scales.append(grids.fit.scale)
            heights.append(grids.fit.frame_size[1])
            modes.append(str(grids.fit.mode))
        if labels is None:
            raise GridsError("There is no frame to look at", next_step="run the network on some first.")
        frame = np.arange(len(parts)).repeat([len(part) for part in parts])
        class_id, row, col, coverage, boxes = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("class_id", "row", "col", "coverage", "network_xyxy")
        )
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        group = frame * len(labels) + class_id
        kept = Candidates(group[real], row[real], col[real], coverage[real], boxes[real])
        sizes = np.array(scales), np.array(heights, np.int64)
        return cls(kept, *sizes, labels, np.array(modes), floor)

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.scale)

    @property
    def fit(self) -> FitMode:
        """How the frames were resized; ``auto`` where not all in one way."""
        return FitMode(self.modes[0]) if (self.modes == self.modes[0]).all() else FitMode.AUTO

    def take(self, frames: npt.ArrayLike) -> Pool:
        """Return some frames, each once and in rising order, numbered anew."""
        which = np.asarray(frames, np.int64)
        number = np.full(len(self), -1)
        number[which] = np.arange(len(which))
        frame, class_id = np.divmod(self.candidates.class_id, len(self.labels))
        rows = np.flatnonzero(number[frame] >= 0)
        group = number[frame[rows]] * len(self.labels) + class_id[rows]
        kept = self._rows(rows, group)
        sizes = self.scale[which], self.height[which]
        return Pool(kept, *sizes, self.labels, self.modes[which], self.floor)

    def _rows(self, rows: Ints, group: Ints) -> Candidates:
        c = self.candidates
        return Candidates(group, c.row[rows], c.col[rows], c.coverage[rows], c.network_xyxy[rows])

    def decode(self, settings: Settings) -> Boxes:
        """Return the boxes that `decode` gives, of all frames; the settings are refused as there."""
        numbers = bind(settings, self.labels, self.fit)
        fits = (
            [bind(settings, self.labels, fit) for fit in (FitMode.STRETCH, FitMode.LETTERBOX)]
            if (self.fit is FitMode.AUTO)
            else [numbers, numbers]
        )
        of_frame, classes = np.divmod(self.candidates.class_id, len(self.labels))
        least = np.stack([each.least_coverage[:, 0] for each in fits])
        least = least[(self.modes == FitMode.LETTERBOX)[of_frame].astype(np.int64), classes]
        rows = np.flatnonzero(self.candidates.coverage >= least)
        found = self._rows(rows, self.candidates.class_id[rows])
        none = np.full(len(rows), -1)
        outcome = Outcome(np.zeros(len(rows), np.uint8), none, np.zeros(len(rows)), none.copy())
        network, scores, source = cluster_groups(found, outcome, np.arange(len(rows)), settings, numbers)
        group = found.class_id[source]
        frame, class_id = np.divmod(group, len(self.labels))
        xyxy = network * np.tile(self.scale[frame], 2)
        passed = np.ones(len(source), bool)
        for _, gone in beyond_limits(xyxy, scores, class_id, self.height[frame], numbers):
            passed &= ~gone
        left = np.flatnonzero(passed)
        first = np.searchsorted(group[left], group[left])
        passed[left[np.arange(len(left)) - first >= numbers.top_k[class_id[left]]]] = False
        return frame[passed], class_id[passed], xyxy[passed], scores[passed]
