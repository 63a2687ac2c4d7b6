"""Labels as values: boxes that people drew, frame by frame, whatever file they came from.

Pixels and frames count from 0, right and lower edges are exclusive. What is *ignored* (a crowd, a region that nobody
labelled, a box too hard to judge) is neither to be found nor wrong to find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import refuse_unknown
from peoplenet_nb.html_tables import note, table

Key = int | str
EVERY_CLASS = -1


@dataclass(frozen=True, eq=False)
class Truth:
    """Ground truth of one class in one frame."""

    xyxy: npt.NDArray[np.float64]  # ``(M, 4)`` float64 in frame pixels
    ignore: npt.NDArray[np.bool_]  # ``(M,)`` bool: neither to be found nor wrong to find

    @classmethod
    def of(cls, truth: Truth | npt.ArrayLike) -> Truth:
        """Return ground truth from itself or from bare boxes ``(M, 4)``, none of them ignored."""
        if isinstance(truth, Truth):
            return truth
        boxes = np.asarray(truth, np.float64).reshape(-1, 4)
        return cls(boxes, np.zeros(len(boxes), bool))

    def __len__(self) -> int:
        """How many boxes are to be found."""
        return int((~self.ignore).sum())


@dataclass(frozen=True, eq=False)
class Labels:
    """What people labelled; arrays run in parallel over N boxes.

    Parameters
    ----------
    classes : tuple of str
        The model's classes, which ``class_id`` counts.
    frames : tuple of int or str
        The labelled frames, those without boxes too: 0-based indices in a video, or file names of images.
    frame : ndarray
        ``(N,)`` int64, index into ``frames``.
    class_id : ndarray
        ``(N,)`` int64; -1 for a region that is ignored for every class.
    xyxy : ndarray
        ``(N, 4)`` float64 in frame pixels.
    ignore : ndarray
        ``(N,)`` bool.
    area : ndarray
        ``(N,)`` float64, square pixels: of the mask where the file says it, else of the box.
    judged : tuple of str
        Classes that the file knows; a box of any other class is neither right nor wrong.
    format : str
        What kind of file it was.
    notes : tuple of str
        What was mapped, ignored and left out, for the reader.
    """

    classes: tuple[str, ...]
    frames: tuple[Key, ...]
    frame: npt.NDArray[np.int64]
    class_id: npt.NDArray[np.int64]
    xyxy: npt.NDArray[np.float64]
    ignore: npt.NDArray[np.bool_]
    area: npt.NDArray[np.float64]
    judged: tuple[str, ...]
    format: str = "labels"
    notes: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def none(cls, classes: Sequence[str], frames: Sequence[Key]) -> Labels:
        """Return no labels of some frames."""
        number, boxes = np.zeros(0, np.int64), np.zeros((0, 4))
        return cls(
            tuple(label.lower() for label in classes),
            tuple(frames),
            number,
            number,
            boxes,
            number.astype(bool),
            boxes[:, 0],
            (),
            "none",
        )

    def __len__(self) -> int:
        """How many boxes are to be found."""
        return int((~self.ignore).sum())

    def __repr__(self) -> str:
        counts = ", ".join(f"{number} {label}" for label, number in self.counts().items())
        return f"Labels({self.format}: {len(self.frames)} frames, {counts}, {int(self.ignore.sum())} ignored)"

    def _repr_html_(self) -> str:
        rows = [{"class": label, "boxes": number} for label, number in self.counts().items()]
        title = f"{self.format}: {len(self.frames)} labelled frames, {int(self.ignore.sum())} ignored regions"
        return table(rows, title) + "".join(note(text) for text in self.notes)

    def counts(self) -> dict[str, int]:
        """Return the number of boxes to be found of each class that the file knows."""
        return {
            label: int(((self.class_id == self.classes.index(label)) & ~self.ignore).sum())
            for label in self.judged
        }

    def truth(self, label: str) -> dict[Key, Truth]:
        """Return the ground truth of one class by frame, empty frames included."""
        refuse_unknown([label.lower()], self.classes, "class")
        mine = np.isin(self.class_id, (self.classes.index(label.lower()), EVERY_CLASS))
        order = np.flatnonzero(mine)[np.argsort(self.frame[mine], kind="stable")]
        cuts = np.searchsorted(self.frame[order], np.arange(1, len(self.frames)))
        parts = np.split(order, cuts)
        return {
            key: Truth(self.xyxy[part], self.ignore[part])
            for key, part in zip(self.frames, parts, strict=True)
        }

    def take(self, which: Sequence[int], frames: Sequence[Key] | None = None) -> Labels:
        """Return the labels of some frames.

        Parameters
        ----------
        which : sequence of int
            Indices into ``frames``, each once.
        frames : sequence of int or str, optional
            What to call them; left out, as they were called.
        """
        number = np.full(len(self.frames), -1)
        number[list(which)] = np.arange(len(which))
        kept = np.flatnonzero(number[self.frame] >= 0)
        kept = kept[np.argsort(number[self.frame[kept]], kind="stable")]
        return Labels(
            self.classes,
            tuple(self.frames[i] for i in which) if frames is None else tuple(frames),
            number[self.frame[kept]],
            self.class_id[kept],
            self.xyxy[kept],
            self.ignore[kept],
            self.area[kept],
            self.judged,
            self.format,
            self.notes,
        )
