"""The tables of a finished run, read as what was found in each frame, and tables written beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.files import atomic, writing
from peoplenet_nb.tracks.tracked import Ints
from peoplenet_nb.video.result import RunResult

if TYPE_CHECKING:
    import pandas as pd

_CORNERS = ["x1", "y1", "x2", "y2"]
_TIMES = ["time_s", "first_s", "last_s", "seconds"]


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table, its numbers rounded, and move it into place."""
    rounded = table.round({"confidence": 4} | dict.fromkeys(_CORNERS, 2) | dict.fromkeys(_TIMES, 3))
    with writing(path.parent), atomic(path) as partial:
        rounded.to_csv(partial, index=False)


def read_frames(result: RunResult) -> tuple[list[Detections], list[float], list[int]]:
    """Return what a run of a video found: detections, time in seconds and index of each frame.

    Raises
    ------
    SourceError
        When the run is of images, which have no time.
    OutputError
        When its tables cannot be read.
    """
    if result.summary["source"]["kind"] != "video":
        raise SourceError(
            "A run of images has no time in which people could be followed",
            seen=result.summary["source"]["name"],
            next_step="pass the run of a video.",
        )
    looked_at, frames = read_tables(result)
    return frames, _rising(looked_at["time_s"].tolist(), result), looked_at["frame"].tolist()


def read_tables(result: RunResult) -> tuple[pd.DataFrame, list[Detections]]:
    """Return the table of a run's frames, and what was found in each of them.

    Raises
    ------
    OutputError
        When they cannot be read, or do not go together.
    """
    looked_at = frames_table(result)
    with _readable(result):
        return looked_at, _from_table(result, looked_at["frame"].to_numpy())


def frames_table(result: RunResult) -> pd.DataFrame:
    """Return the table of a run's frames; an `OutputError` when it cannot be read."""
    with _readable(result):
        return result.frames_to_pandas().astype({"frame": np.int64, "time_s": np.float64})


@contextmanager
def _readable(result: RunResult) -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError, TypeError, OSError) as error:  # of pandas too
        raise OutputError(
            "The tables of the run cannot be read",
            seen=f"{result.folder}: {error!r}",
            next_step="run it again with --overwrite.",
        ) from error


def _from_table(result: RunResult, numbers: Ints) -> list[Detections]:
    labels, table = tuple(result.summary["counts"]), result.to_pandas()
    frame = table["frame"].to_numpy(np.int64)
    place = np.searchsorted(numbers, frame)
    if (np.diff(numbers) <= 0).any() or (np.diff(place) < 0).any() or not np.isin(frame, numbers).all():
        raise ValueError("their frames are not in order, or not the same")
    xyxy = table[_CORNERS].to_numpy(np.float32)
    confidence = table["confidence"].to_numpy(np.float32)
    class_id = np.array([labels.index(name) for name in table["class"]], np.int64)
    row, col = (table[name].to_numpy(np.int64) for name in ("row", "col"))
    bounds = np.searchsorted(place, np.arange(len(numbers) + 1)).tolist()
    frames = []
    for first, last in pairwise(bounds):
        of = slice(first, last)
        frames.append(Detections(xyxy[of], confidence[of], class_id[of], row[of], col[of], labels))
    return frames


def _rising(times: list[float], result: RunResult) -> list[float]:
    """Return the times; where they do not rise (a damaged video), those of the frame rate."""
    if all(np.isfinite(times)) and (np.diff(times) > 0).all():
        return times
    rate = (result.summary["source"]["fps"] or 25.0) / result.summary["sampling"]["every"]
    return [i / rate for i in range(len(times))]
