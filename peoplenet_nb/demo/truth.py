"""Ground truth of rendered frames, read from the id buffer, and its file.

One decision to know: a box covers the *visible* part of an object, as PeopleNet's annotations do, and an
object is left out where less of it is visible than `MIN_VISIBILITY` or it is smaller than `MIN_SIZE`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.demo.patch import BAG, BODY, FACE, Ids, Sprite, figure_id

LABELS = ("person", "bag", "face")
# Visible share below which an object is left out, per class.
MIN_VISIBILITY = (0.2, 0.3, 0.4)
# Least (width, height) in pixels of a 1280x720 frame; other sizes scale with the width.
MIN_SIZE = ((10.0, 28.0), (11.0, 11.0), (9.0, 12.0))
_REFERENCE_WIDTH = 1280.0
COLUMNS = ("frame", "id", "x", "y", "w", "h", "visibility", "class")


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
        Index into `LABELS`.
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
        return [LABELS[c] for c in self.class_id.tolist()]

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


def read_truth(frame: int, ids: Ids, sprites: Iterable[tuple[int, Sprite]]) -> Truth:
    """Read the boxes of a frame from its id buffer.

    Parameters
    ----------
    frame : int
        Frame index to note.
    ids : ndarray, shape (H, W), uint16
        What is on top at each pixel.
    sprites : iterable of (figure number, Sprite)
        The figures in the frame; only their regions are searched.

    Returns
    -------
    Truth
    """
    factor = ids.shape[1] / _REFERENCE_WIDTH
    rows: list[tuple[Sequence[float], int, int, float]] = []
    for number, sprite in sprites:
        where = sprite.window(*ids.shape)
        if where is None:
            continue
        region = ids[where[0], where[1]]
        body, bag, face = (region == figure_id(number, part) for part in (BODY, BAG, FACE))
        for class_id, mask in enumerate((body | face, bag, face)):
            seen = int(np.count_nonzero(mask))
            visibility = seen / max(sprite.whole[class_id], 1)
            if seen == 0 or visibility < MIN_VISIBILITY[class_id]:
                continue
            ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            x1, x2 = where[1].start + int(xs[0]), where[1].start + int(xs[-1]) + 1
            y1, y2 = where[0].start + int(ys[0]), where[0].start + int(ys[-1]) + 1
            least_w, least_h = MIN_SIZE[class_id]
            if x2 - x1 < least_w * factor or y2 - y1 < least_h * factor:
                continue
            rows.append(((x1, y1, x2, y2), class_id, 3 * number + class_id + 1, min(visibility, 1.0)))
    return Truth.from_rows(frame, rows)


def write_truth(path: Path, truths: Iterable[Truth]) -> None:
    """Write ground truth as CSV: MOT-like columns (x, y, w, h in frame pixels) and the class by name."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for truth in truths:
            for box, track, visible, label in zip(
                truth.xyxy.tolist(),
                truth.track_id.tolist(),
                truth.visibility.tolist(),
                truth.labels,
                strict=True,
            ):
                x1, y1, x2, y2 = (round(v) for v in box)
                writer.writerow((truth.frame, track, x1, y1, x2 - x1, y2 - y1, f"{visible:.3f}", label))


def load_truth(path: Path, frames: int) -> list[Truth]:
    """Read back what `write_truth` wrote; frames without objects come as empty `Truth`."""
    rows: dict[int, list[tuple[Sequence[float], int, int, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            x, y, w, h = (float(row[k]) for k in ("x", "y", "w", "h"))
            entry = (
                (x, y, x + w, y + h),
                LABELS.index(row["class"]),
                int(row["id"]),
                float(row["visibility"]),
            )
            rows.setdefault(int(row["frame"]), []).append(entry)
    return [Truth.from_rows(k, rows.get(k, [])) for k in range(frames)]
