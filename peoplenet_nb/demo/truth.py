"""Ground truth of the demo clip's frames, and how it is read from its file.

A box covers the *visible* part of an object, as in the annotations that PeopleNet was trained on.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.settings import PEOPLENET_LABELS


@dataclass(frozen=True)
class Truth:
    """What is in one frame.

    Parameters
    ----------
    frame : int
        0-based frame index.
    xyxy : ndarray, shape (N, 4), float32
        Boxes of the visible parts in frame pixels; right and lower edges are exclusive.
    class_id : ndarray, shape (N,), int
        Index into `peoplenet_nb.settings.PEOPLENET_LABELS`.
    track_id : ndarray, shape (N,), int
        The same object keeps its number through a scene; a person, their bag and their face have three.
    visibility : ndarray, shape (N,), float32
        Visible share of the object, 0..1, of what it would show unoccluded and unclipped.
    """

    frame: int
    xyxy: npt.NDArray[np.float32]
    class_id: npt.NDArray[np.int64]
    track_id: npt.NDArray[np.int64]
    visibility: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.class_id)

    @property
    def labels(self) -> list[str]:
        """Class names of the boxes."""
        return [PEOPLENET_LABELS[c] for c in self.class_id.tolist()]

    @classmethod
    def from_rows(cls, frame: int, rows: Sequence[tuple[Sequence[float], int, int, float]]) -> Truth:
        """Make it from (box, class, track, visibility) rows."""
        return cls(
            frame,
            np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
            np.array([r[1] for r in rows], np.int64),
            np.array([r[2] for r in rows], np.int64),
            np.array([r[3] for r in rows], np.float32),
        )


def load_truth(path: Path, frames: int) -> list[Truth]:
    """Read ground truth from CSV: ``frame, id, x, y, w, h, visibility, class``, in frame pixels.

    Parameters
    ----------
    path : Path
    frames : int
        How many frames the video has; those without objects come as empty `Truth`.
    """
    rows: dict[int, list[tuple[Sequence[float], int, int, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[k]) for k in ("x", "y", "w", "h"))
            entry = (
                (x, y, x + w, y + h),
                PEOPLENET_LABELS.index(row["class"]),
                int(row["id"]),
                float(row["visibility"]),
            )
            rows.setdefault(int(row["frame"]), []).append(entry)
    return [Truth.from_rows(k, rows.get(k, [])) for k in range(frames)]
