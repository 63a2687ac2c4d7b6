"""How many boxes another program loses and gains against settings here: its rules, run on a run's saved cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding import decode, iou_matrix
from peoplenet_nb.decoding.overlap import Floats
from peoplenet_nb.detections import Detections
from peoplenet_nb.export.rules import decode_there
from peoplenet_nb.export.targets import Target
from peoplenet_nb.files import write_text
from peoplenet_nb.grids import Grids
from peoplenet_nb.html_tables import note
from peoplenet_nb.settings import Settings

#: Frames that are looked at, spread evenly over a longer run.
MOST_FRAMES = 1000
_SAME = 0.5  # least IoU of two boxes that are taken for one
_NONE = np.zeros((0, 4))
#: Boxes by class, in frame pixels.
Boxes = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Difference:
    """Boxes of the settings here beside those of the other program."""

    frames: int  # how many were compared
    # same, lost, gained: boxes by class: found by both, here alone, there alone. Two are one where their IoU is at
    # least 0.5
    same: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    gained: Counter[str] = field(default_factory=Counter)
    iou: float = np.nan  # mean IoU of those that both find; NaN where there are none

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
    """Return how many boxes a program loses and gains on a run that was made with saved grids, or on grids.

    ``here`` is what `decode` is given, ``there`` what the program's file says.

    Raises
    ------
    GridsError
        When the run has no saved grids.
    SettingsError
        When settings are for another fit than the run's, or ask for cells that were not saved.
    """
    saved = open_grids(frames) if isinstance(frames, str | Path) else frames
    which = range(0, len(saved), -(-len(saved) // MOST_FRAMES) or 1)

    def found(position: int) -> tuple[int, Boxes, Boxes]:
        grids = saved[position]
        ours = by_class(decode(grids, here).detections)
        return position, ours, by_class(decode_there(grids, there, target))

    same, lost, gained, iou, _ = beside(map(found, which))
    return Difference(len(which), same, lost, gained, iou)


def write_dump(run: str | Path, settings: Settings, target: Target, folder: str | Path) -> Path:
    """Write what a program would find on a run's saved cells, as deepstream-app dumps it (``gie-kitti-output-dir``).

    The run, settings and errors are those of `expected_difference`. A file for each frame, ``00_000_FRAME.txt``, goes
    to the folder, which is returned.
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


def by_class(found: Detections) -> Boxes:
    """Return boxes by class, in frame pixels."""
    return {label: found.of_class(label).xyxy.astype(np.float64) for label in found.labels}


def beside(
    frames: Iterable[tuple[int, Boxes, Boxes]],
) -> tuple[Counter[str], Counter[str], Counter[str], float, list[Differing]]:
    """Match the boxes that two have of frames, given with their numbers.

    Returns the boxes by class that both have, A alone and B alone; the mean IoU of the first, NaN where there are none;
    and the others one by one. Classes are those of A.
    """
    both, only = Counter[str](), {side: Counter[str]() for side in "AB"}
    overlaps, alone = list[float](), list[Differing]()
    for number, a, b in frames:
        others = {label.lower(): boxes for label, boxes in b.items()}
        for label, mine in a.items():
            other = others.get(label.lower(), _NONE)
            pairs = matched(mine, other)
            both[label] += len(pairs)
            overlaps += [iou for _, _, iou in pairs]
            taken = [i for i, _, _ in pairs], [j for _, j, _ in pairs]
            for side, boxes, gone in zip("AB", (mine, other), taken, strict=True):
                rest = np.delete(boxes, gone, axis=0)
                only[side][label] += len(rest)
                alone += [Differing(number, label, side, box) for box in rest]
    iou = float(np.mean(overlaps)) if overlaps else np.nan
    return +both, +only["A"], +only["B"], iou, alone


@dataclass(frozen=True, eq=False)
class Differing:
    """A box that only one of two sources has."""

    frame: int  # its number in the source
    label: str
    side: str  # ``A`` or ``B``: who has it
    xyxy: Floats  # ``(4,)`` in frame pixels
    why: str = (
        ""  # what became of it with the other's settings (a `Fate` in words); empty where A kept no cells
    )


def matched(a: Floats, b: Floats) -> list[tuple[int, int, float]]:
    """Return the pairs of boxes that are one, each box in one pair at most: indices and IoU."""
    from scipy.optimize import linear_sum_assignment

    overlap = iou_matrix(a, b)
    first, second = linear_sum_assignment(np.where(overlap >= _SAME, overlap, 0.0), maximize=True)
    pairs = zip(first.tolist(), second.tolist(), overlap[first, second].tolist(), strict=True)
    return [pair for pair in pairs if pair[2] >= _SAME]
