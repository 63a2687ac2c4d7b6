"""A run beside somebody else's boxes of the same frames: what differs, and why it is not here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import CELLS, SavedGrids, open_grids
from peoplenet_nb.errors import OutputError
from peoplenet_nb.explain import explain_point
from peoplenet_nb.export.difference import matched
from peoplenet_nb.export.frames import FoundFrames
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.labels import align, read_labels
from peoplenet_nb.settings import Settings
from peoplenet_nb.video.result import RunResult, load_result

_SHOWN = 10
_WORDS = {"kept": "in the place of another box of A"}
#: ``(N, 4)`` float64 boxes in frame pixels by class.
Boxes = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Comparison:
    """Boxes of two sources, matched one to one from an IoU of 0.5 on.

    Attributes
    ----------
    frames : int
        Frames that both have.
    both, only_a, only_b : Counter
        Boxes by class.
    iou : float
        Mean IoU of those that both have; NaN where there are none.
    why : Counter
        What became here of the boxes that only B has, where A kept its cells: ``below threshold``, ``suppressed``, …
    first : list of int
        The first frames that differ.
    """

    frames: int
    both: Counter[str]
    only_a: Counter[str]
    only_b: Counter[str]
    iou: float
    why: Counter[str] = field(default_factory=Counter)
    first: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"{self.frames} frames: {self.both.total()} boxes in both (IoU {self.iou:.3f} on average), "
            f"{self.only_a.total()} in A alone, {self.only_b.total()} in B alone"
        ]
        if self.why:
            lines.append(
                "  what became in A of those of B: "
                + ", ".join(f"{n} {_WORDS.get(why, why)}" for why, n in self.why.most_common())
            )
        if self.first:
            lines.append(f"  the first frames that differ: {', '.join(map(str, self.first))}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        names = dict.fromkeys([*self.both, *self.only_a, *self.only_b])
        rows = [
            {
                "class": name,
                "both": self.both[name],
                "A alone": self.only_a[name],
                "B alone": self.only_b[name],
            }
            for name in names
        ]
        return note(str(self)) + table(rows)


def compare(a: str | Path | RunResult, b: str | Path | RunResult) -> Comparison:
    """Compare the boxes of a run with those of another run, or of another program.

    Parameters
    ----------
    a : str or Path or RunResult
        A run. Where it was made with saved grids, the reason is told for what it lacks.
    b : str or Path or RunResult
        Another run of the same source, or what `read_labels` reads: DeepStream's KITTI dump
        (``gie-kitti-output-dir``, frames by the numbers in their names), COCO, CVAT, YOLO and so on.

    Returns
    -------
    Comparison

    Raises
    ------
    OutputError
        When A is no run, or the two have no frame in common.
    SourceError
        When B cannot be read, or its frames are not of this source.
    """
    ours = FoundFrames.of(a)
    run = a if isinstance(a, RunResult) else load_result(Path(a).expanduser())
    theirs = _boxes(b, ours)
    saved = open_grids(run.folder) if (run.folder / CELLS).is_file() else None
    settings = Settings.from_dict(run.summary["settings"])
    place = {frame: position for position, frame in enumerate(saved.frames)} if saved is not None else {}
    counts = {name: Counter[str]() for name in ("both", "only_a", "only_b", "why")}
    overlaps: list[float] = []
    first: list[int] = []
    frames = 0
    for frame in ours.walk():
        if frame.number not in theirs:
            continue
        frames += 1
        differs = False
        for index, label in enumerate(ours.labels):
            mine = frame.detections.xyxy[frame.detections.class_id == index].astype(np.float64)
            other = theirs[frame.number].get(label.lower(), np.zeros((0, 4)))
            pairs = matched(mine, other)
            overlaps += [iou for _, _, iou in pairs]
            counts["both"][label] += len(pairs)
            counts["only_a"][label] += len(mine) - len(pairs)
            counts["only_b"][label] += len(other) - len(pairs)
            differs |= len(mine) + len(other) > 2 * len(pairs)
            if saved is not None and frame.number in place:
                extra = np.delete(other, [j for _, j, _ in pairs], axis=0)
                counts["why"] += _why(saved, place[frame.number], settings, extra, label)
        if differs and len(first) < _SHOWN:
            first.append(frame.number)
    if not frames:
        raise OutputError(
            "The two have no frame in common", seen=f"{a} and {b}", next_step="compare runs of one source."
        )
    kept = {name: +counter for name, counter in counts.items()}
    return Comparison(frames, **kept, iou=float(np.mean(overlaps)) if overlaps else np.nan, first=first)


def _why(
    saved: SavedGrids, position: int, settings: Settings, boxes: npt.NDArray[np.float64], label: str
) -> Counter[str]:
    """Return what became of the best cell of a class at the middle of boxes that are not here."""
    if not len(boxes):
        return Counter()
    grids = saved[position]
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    limit = np.array(grids.fit.frame_size) - 1.0
    return Counter(
        explain_point(grids, settings, float(x), float(y), label).fate
        for x, y in np.clip(middles, 0, limit).tolist()
    )


def _boxes(b: str | Path | RunResult, ours: FoundFrames) -> dict[int, Boxes]:
    """Return the boxes of B by the frame's number in A's source, and by class."""
    if isinstance(b, RunResult) or (Path(b).expanduser() / "summary.json").is_file():
        other = FoundFrames.of(b)
        return {
            frame.number: {
                label.lower(): frame.detections.of_class(label).xyxy.astype(np.float64)
                for label in other.labels
            }
            for frame in other.walk()
        }
    frames = list(ours.walk())
    labels = read_labels(b, ours.labels, size=frames[0].size)
    aligned = align(labels, None if ours.video else [frame.name for frame in frames])
    found: dict[int, Boxes] = {}
    for place, key in enumerate(aligned.frames):
        here = aligned.frame == place
        number = int(key) if ours.video else frames[int(key)].number
        found[number] = {
            label: aligned.xyxy[here & (aligned.class_id == index)]
            for index, label in enumerate(aligned.classes)
        }
    return found
