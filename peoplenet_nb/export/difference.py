"""How many boxes another program loses and gains against settings here: its rules, run on a run's saved cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding import decode, iou_matrix
from peoplenet_nb.decoding.overlap import Floats
from peoplenet_nb.export.rules import decode_there
from peoplenet_nb.export.targets import Target
from peoplenet_nb.files import write_text
from peoplenet_nb.grids import Grids
from peoplenet_nb.html_tables import note
from peoplenet_nb.settings import Settings

#: Frames that are looked at, spread evenly over a longer run.
MOST_FRAMES = 1000
_SAME = 0.5  # least IoU of two boxes that are taken for one


@dataclass(frozen=True)
class Difference:
    """Boxes of the settings here beside those of the other program.

    Attributes
    ----------
    frames : int
        How many were compared.
    same, lost, gained : Counter
        Boxes by class: found by both, here alone, there alone. Two are one where their IoU is at least 0.5.
    iou : float
        Mean IoU of those that both find; NaN where there are none.
    """

    frames: int
    same: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    gained: Counter[str] = field(default_factory=Counter)
    iou: float = np.nan

    def __str__(self) -> str:
        here, there = self.same.total() + self.lost.total(), self.same.total() + self.gained.total()
        text = f"Of {here} boxes in {self.frames} frames {self.lost.total()} are lost there{_by(self.lost)}"
        text += f" and {self.gained.total()} of its {there} are new{_by(self.gained)}"
        return text + (f"; the others overlap by an IoU of {self.iou:.3f} on average" if self.same else "")

    def _repr_html_(self) -> str:
        return note(f"{self}.")


def _by(counts: Counter[str]) -> str:
    return f" ({', '.join(f'{count} {label}' for label, count in counts.items())})" if counts else ""


def expected_difference(
    here: Settings, there: Settings, target: Target, frames: str | Path | Sequence[Grids]
) -> Difference:
    """Return how many boxes a program loses and gains.

    Parameters
    ----------
    here : Settings
        What `decode` is given.
    there : Settings
        What the program's file says.
    target : Target
        The program.
    frames : str or Path or sequence of Grids
        A run that was made with saved grids, or grids.

    Raises
    ------
    GridsError
        When the run has no saved grids.
    SettingsError
        When settings are for another fit than the run's, or ask for cells that were not saved.
    """
    saved = open_grids(frames) if isinstance(frames, str | Path) else frames
    which = range(0, len(saved), -(-len(saved) // MOST_FRAMES) or 1)
    same, lost, gained = Counter[str](), Counter[str](), Counter[str]()
    overlaps: list[float] = []
    for position in which:
        grids = saved[position]
        ours, theirs = decode(grids, here).detections, decode_there(grids, there, target)
        for index, label in enumerate(grids.labels):
            a, b = (found.xyxy[found.class_id == index].astype(np.float64) for found in (ours, theirs))
            shared = matched(a, b)
            overlaps += [iou for _, _, iou in shared]
            for counter, many in ((same, 0), (lost, len(a)), (gained, len(b))):
                counter[label] += abs(many - len(shared))
    iou = float(np.mean(overlaps)) if overlaps else np.nan
    return Difference(len(which), +same, +lost, +gained, iou)


def write_dump(run: str | Path, settings: Settings, target: Target, folder: str | Path) -> Path:
    """Write what a program would find on a run's saved cells, as deepstream-app dumps it (``gie-kitti-output-dir``).

    Parameters
    ----------
    run : str or Path
        A run that was made with saved grids.
    settings : Settings
        What the program's file says.
    target : Target
        The program.
    folder : str or Path
        A file for each frame goes here, ``00_000_FRAME.txt``.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    GridsError
        When the run has no saved grids.
    SettingsError
        When settings are for another fit than the run's, or ask for cells that were not saved.
    OutputError
        When nothing can be written.
    """
    folder, saved = Path(folder), open_grids(run)
    for frame, grids in zip(saved.frames, saved, strict=True):
        found = decode_there(grids, settings, target)
        rows = zip(found.class_name, found.xyxy.tolist(), found.confidence.tolist(), strict=True)
        lines = (
            f"{label} 0.0 0 0.0 {' '.join(f'{v:f}' for v in box)}{' 0.0' * 7} {sure:f}\n"
            for label, box, sure in rows
        )
        write_text(folder / f"00_000_{frame:06d}.txt", "".join(lines))
    return folder


def matched(a: Floats, b: Floats) -> list[tuple[int, int, float]]:
    """Return the pairs of boxes that are one, each box in one pair at most: indices and IoU."""
    from scipy.optimize import linear_sum_assignment

    overlap = iou_matrix(a, b)
    first, second = linear_sum_assignment(np.where(overlap >= _SAME, overlap, 0.0), maximize=True)
    pairs = zip(first.tolist(), second.tolist(), overlap[first, second].tolist(), strict=True)
    return [pair for pair in pairs if pair[2] >= _SAME]
