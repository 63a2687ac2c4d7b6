"""Ground truth of rendered frames, read from the id buffer, and how it is written.

A box covers the *visible* part of an object. An object is left out where less of it is visible than
`MIN_VISIBILITY` or where it is smaller than `MIN_SIZE`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from peoplenet_nb.demo import Truth
from tools.standin.patch import BAG, BODY, FACE, Ids, Sprite, figure_id

# Visible share below which an object is left out, per class.
MIN_VISIBILITY = (0.2, 0.3, 0.4)
# Least (width, height) in pixels of a 1280x720 frame; other sizes scale with the width.
MIN_SIZE = ((10.0, 28.0), (11.0, 11.0), (9.0, 12.0))
_REFERENCE_WIDTH = 1280.0
COLUMNS = ("frame", "id", "x", "y", "w", "h", "visibility", "class")


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
        writer = csv.writer(file, lineterminator="\n")
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
