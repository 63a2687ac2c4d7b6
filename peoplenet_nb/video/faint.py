"""Boxes fainter than those of a run's tables, from the cells it saved: they carry tracks on, and are hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from peoplenet_nb.cells import CELLS, open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.settings import Settings
from peoplenet_nb.video.result import RunResult

FAINT = 0.25
"""Coverage from which boxes carry tracks on: about where F1 is best on ``vtest.avi``."""


def fainter(chosen: Settings, labels: Iterable[str], least: float = FAINT) -> Settings:
    """Return settings whose thresholds of people and faces are ``least``, where they are above it."""
    low = chosen
    for name in labels:
        if name.lower() in ("person", "face"):
            own = chosen.for_class(name)
            ours = [t for t in (own.threshold, own.letterbox_threshold) if t is not None]
            low = low.with_class(name, threshold=min(*ours, least))
    return low


def with_faint(
    result: RunResult, frames: Sequence[Detections], numbers: Sequence[int], least: float = FAINT
) -> tuple[list[Detections], bool]:
    """Return the detections of a run with fainter ones in the frames that the network saw, and whether there are such.

    Parameters
    ----------
    result : RunResult
    frames : sequence of Detections
        What its tables say.
    numbers : sequence of int
        Index of each frame.
    least : float
        Coverage of people and faces from which boxes are taken; never above the run's own thresholds.

    Raises
    ------
    GridsError
        When its ``cells.parquet`` is damaged.
    """
    chosen = Settings.from_dict(result.summary["settings"])
    low = fainter(chosen, result.summary["counts"], least)
    found = list(frames)
    if low == chosen or not (result.folder / CELLS).is_file():
        return found, False
    saved, where = open_grids(result.folder), {frame: i for i, frame in enumerate(numbers)}
    for grids, frame in zip(saved, saved.frames, strict=True):
        found[where[frame]] = decode(grids, low).detections
    return found, True
