"""A run beside somebody else's boxes of the same frames: what differs, why, and the settings that would agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import CELLS, open_grids
from peoplenet_nb.errors import OutputError, PeopleNetError, SourceError
from peoplenet_nb.export.agreeing import MOST_FRAMES, Agreement, Boxes, nearest_to
from peoplenet_nb.export.difference import matched
from peoplenet_nb.export.frames import FoundFrames, FrameBoxes
from peoplenet_nb.export.reasons import Differing, explained
from peoplenet_nb.fit import FitMode
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.labels import align, read_labels
from peoplenet_nb.plots import Picture
from peoplenet_nb.plots.tiles import pictures_of, sheet_of, tile
from peoplenet_nb.settings import Settings
from peoplenet_nb.video.result import RunResult, is_run, load_result

_SHOWN = 10
_WORDS = {"B": {"kept": "in the place of another box"}, "A": {"kept": "no reason known"}}
_Box = npt.NDArray[np.float64]


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
        What became in A of the boxes that only B has, where A kept its cells: ``below threshold``, ``suppressed``, …
    why_a : Counter
        What becomes of those that only A has, under the settings that agree.
    first : list of int
        The first frames that differ.
    differing : list of Differing
        The first boxes that differ.
    agreement : Agreement or None
        The settings that come nearest to B; None where A kept no cells or nothing differs.
    source : str
        Where the frames' pictures are.
    """

    frames: int
    both: Counter[str]
    only_a: Counter[str]
    only_b: Counter[str]
    iou: float
    why: Counter[str] = field(default_factory=Counter)
    why_a: Counter[str] = field(default_factory=Counter)
    first: list[int] = field(default_factory=list)
    differing: list[Differing] = field(default_factory=list)
    agreement: Agreement | None = None
    source: str = ""
    _shown: dict[int, tuple[_Box, _Box]] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        lines = [
            f"{self.frames} frames: {self.both.total()} boxes in both (IoU {self.iou:.3f} on average), "
            f"{self.only_a.total()} in A alone, {self.only_b.total()} in B alone"
        ]
        told = {
            "B": ("what became in A of those of B", self.why),
            "A": ("why B may lack those of A", self.why_a),
        }
        for side, (text, counter) in told.items():
            if counter:
                counts = (f"{n} {_WORDS[side].get(why, why)}" for why, n in counter.most_common())
                lines.append(f"  {text}: {', '.join(counts)}")
        if self.first:
            lines.append(f"  the first frames that differ: {', '.join(map(str, self.first))}")
        if self.agreement is not None:
            lines.append(f"  {self.agreement}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            {
                "class": name,
                "both": self.both[name],
                "A alone": self.only_a[name],
                "B alone": self.only_b[name],
            }
            for name in dict.fromkeys([*self.both, *self.only_a, *self.only_b])
        ]
        parts = [*(note(line.strip()) for line in str(self).splitlines()), table(rows)]
        if self.differing:
            try:
                parts.append(self.picture().to_html())
            except PeopleNetError as error:
                parts.append(note(f"No pictures: {error}"))
        return "".join(parts)

    def picture(self) -> Picture:
        """Return the first boxes that differ on pictures of their frames: A's solid, B's dashed, the one thicker.

        Raises
        ------
        SourceError
            When the source of A cannot be read any more.
        """
        images = pictures_of(self.source, {one.frame for one in self.differing})
        tiles = []
        for number, one in enumerate(self.differing, 1):
            a, b = self._shown[one.frame]
            caption = f"{number}. {one.label}, {one.side} alone, frame {one.frame}"
            caption += f": {_WORDS[one.side].get(one.why, one.why)}" if one.why else ""
            box = one.xyxy[None]
            tiles.append(tile(images[one.frame][0], box, a, b, caption, thick=box))
        sheet = sheet_of(tiles, "A", "B", "thick: what only one of them has")
        data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        alt = "; ".join(
            f"frame {d.frame}: a {d.label} that {d.side} alone has, {d.why}" for d in self.differing
        )
        return Picture(data, "image/jpeg", alt or "nothing differs", sheet.shape[1])


def compare(a: str | Path | RunResult, b: str | Path | RunResult) -> Comparison:
    """Compare the boxes of a run with those of another run, or of another program.

    Parameters
    ----------
    a : str or Path or RunResult
        A run. Where it was made with saved grids, the reasons are told, and the settings that would agree.
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
    run = load_result(a)
    ours = FoundFrames.of(run)
    theirs, known = _boxes(b, ours)
    frames = [frame for frame in ours.walk() if frame.number in theirs]
    if not frames:
        raise OutputError(
            "The two have no frame in common", seen=f"{a} and {b}", next_step="compare runs of one source."
        )
    counts = {name: Counter[str]() for name in ("both", "only_a", "only_b")}
    overlaps: list[float] = []
    alone: list[Differing] = []
    for frame in frames:
        for index, label in enumerate(ours.labels):
            mine = _of_class(frame, index)
            other = theirs[frame.number].get(label.lower(), np.zeros((0, 4)))
            pairs = matched(mine, other)
            overlaps += [iou for _, _, iou in pairs]
            counts["both"][label] += len(pairs)
            taken = [i for i, _, _ in pairs], [j for _, j, _ in pairs]
            for side, boxes, gone in zip("AB", (mine, other), taken, strict=True):
                rest = np.delete(boxes, gone, axis=0)
                counts[f"only_{side.lower()}"][label] += len(rest)
                alone += [Differing(frame.number, label, side, box) for box in rest]
    settings = Settings.from_dict(run.summary["settings"])
    saved = open_grids(run.folder) if (run.folder / CELLS).is_file() and alone else None
    agreement = None
    if saved is not None:
        place = {frame: position for position, frame in enumerate(saved.frames)}
        there = [frame.number for frame in frames if frame.number in place]
        some = there[:: -(-len(there) // MOST_FRAMES) or 1]
        if some:
            grids = {number: saved[place[number]] for number in some}
            mode = grids[some[0]].fit.mode
            some = [number for number in some if grids[number].fit.mode is mode]
            if known is not None and known.fit not in (mode, FitMode.AUTO):
                known = None
            agreement = nearest_to([theirs[n] for n in some], [grids[n] for n in some], settings, known)
        alone = explained(alone, saved, place, settings, agreement)
    why = {side: Counter(one.why for one in alone if one.side == side and one.why) for side in "AB"}
    shown = alone[:_SHOWN]
    every = {
        number: (frame.detections.xyxy.astype(np.float64), np.concatenate([*theirs[number].values(), _NONE]))
        for number, frame in ((frame.number, frame) for frame in frames)
        if number in {one.frame for one in shown}
    }
    first = list(dict.fromkeys(one.frame for one in alone))[:_SHOWN]
    kept = {name: +counter for name, counter in counts.items()}
    iou = float(np.mean(overlaps)) if overlaps else np.nan
    return Comparison(
        len(frames), **kept, iou=iou, why=why["B"], why_a=why["A"], first=first, differing=shown,
        agreement=agreement, source=ours.source, _shown=every
    )  # fmt: skip


_NONE = np.zeros((0, 4))


def _of_class(frame: FrameBoxes, index: int) -> _Box:
    boxes: _Box = frame.detections.xyxy[frame.detections.class_id == index].astype(np.float64)
    return boxes


def _boxes(b: str | Path | RunResult, ours: FoundFrames) -> tuple[dict[int, Boxes], Settings | None]:
    """Return the boxes of B by the frame's number in A's source, and by class; and the settings of a run."""
    if isinstance(b, RunResult) or is_run(b):
        run = load_result(b)
        other = FoundFrames.of(run)
        runs: dict[int, Boxes] = {
            frame.number: {
                label.lower(): frame.detections.of_class(label).xyxy.astype(np.float64)
                for label in other.labels
            }
            for frame in other.walk()
        }
        return runs, Settings.from_dict(run.summary["settings"])
    if not (path := Path(b).expanduser()).exists():
        step = "name the folder of a run, or boxes of another program: a file, or a folder with one for each frame."
        raise SourceError("There is nothing to compare with", seen=path, next_step=step)
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
    return found, None
