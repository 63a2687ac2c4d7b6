"""What was found in a frame: parallel arrays, with a table and a picture of themselves in Jupyter.

Each detection keeps the grid cell it came from, so "why is this box here" has an
answer after the fact.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import GridsError, InstallationError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one frame; all arrays run in parallel over N detections.

    Parameters
    ----------
    xyxy : ndarray
        ``(N, 4)`` float32: left, top, right, bottom in frame pixels.
    confidence : ndarray
        ``(N,)`` float32; coverage, or a sum of coverages (`peoplenet_nb.settings.Score`).
    class_id : ndarray
        ``(N,)`` int64, index into ``labels``.
    row, col : ndarray
        ``(N,)`` int64: the cell whose box this is, or the best cell of its cluster.
    labels : tuple of str
        Names of the model's classes.

    Raises
    ------
    GridsError
        When the arrays do not go together.
    """

    xyxy: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    class_id: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    col: npt.NDArray[np.int64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.xyxy.ndim != 2 or self.xyxy.shape[1] != 4:
            raise GridsError("xyxy must have the shape (N, 4)", seen=self.xyxy.shape, next_step="reshape it.")
        for name in ("confidence", "class_id", "row", "col"):
            shape = getattr(self, name).shape
            if shape != (len(self.xyxy),):
                raise GridsError(
                    f"{name} must have one value for each of the {len(self.xyxy)} boxes",
                    seen=shape,
                    next_step="slice all arrays alike.",
                )

    @classmethod
    def empty(cls, labels: tuple[str, ...]) -> Detections:
        """Return no detections."""
        none = np.zeros(0, np.int64)
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), none, none, none, labels)

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, which: int | slice | npt.ArrayLike) -> Detections:
        """Return some of them: an index, a slice, a mask or a list of indices."""
        index = np.arange(len(self))[which]  # type: ignore[index]
        index = np.atleast_1d(index)
        arrays = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "labels"}
        return Detections(**arrays, labels=self.labels)

    def of_class(self, label: str) -> Detections:
        """Return the detections of one class; no such class, no detections."""
        names = [name.lower() for name in self.labels]
        wanted = names.index(label.lower()) if label.lower() in names else -1
        return self[self.class_id == wanted]

    @property
    def class_name(self) -> list[str]:
        """The class of each detection, as text."""
        return [self.labels[i] for i in self.class_id]

    def counts(self) -> dict[str, int]:
        """Return the number of detections of every class."""
        numbers = np.bincount(self.class_id, minlength=len(self.labels))
        return {label: int(n) for label, n in zip(self.labels, numbers, strict=True)}

    def to_pandas(self) -> pd.DataFrame:
        """Return a table: class, confidence, x1, y1, x2, y2 (frame pixels), row, col."""
        import pandas as pd

        corners = {name: self.xyxy[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
        return pd.DataFrame(
            {
                "class": self.class_name,
                "confidence": self.confidence,
                **corners,
                "row": self.row,
                "col": self.col,
            }
        )

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections`` with the class names and cells in ``data``.

        Raises
        ------
        InstallationError
            When supervision is not installed.
        """
        try:
            import supervision as sv
        except ImportError as error:
            raise InstallationError(
                "supervision is not installed here",
                seen=str(error),
                next_step="bash setup_runpod.sh installs it, or pip install supervision.",
            ) from error

        return sv.Detections(
            xyxy=self.xyxy.copy(),
            confidence=self.confidence.copy(),
            class_id=self.class_id.astype(int),
            data={"class_name": np.array(self.class_name), "row": self.row.copy(), "col": self.col.copy()},
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {label}" for label, n in self.counts().items())
        return f"Detections({len(self)}: {counts})"

    def _repr_html_(self) -> str:
        table = self.to_pandas().round({"confidence": 3, "x1": 1, "y1": 1, "x2": 1, "y2": 1})
        return f"<p>{html.escape(repr(self))}</p>" + str(table.to_html(index=False, border=0))
