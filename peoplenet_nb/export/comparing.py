"""A run beside somebody else's boxes of the same frames: what differs, why, and the settings that would agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import CELLS, SavedGrids, open_grids
from peoplenet_nb.errors import OutputError, PeopleNetError, SourceError
from peoplenet_nb.export.agreeing import MOST_FRAMES, Agreement, nearest_to
from peoplenet_nb.export.difference import Boxes, Differing, beside, by_class
from peoplenet_nb.export.frames import FoundFrames
from peoplenet_nb.export.reasons import explained
from peoplenet_nb.fit import FitMode
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.labels import align, read_labels
from peoplenet_nb.plots import Picture, frame_picture
from peoplenet_nb.plots.tiles import pictures_of, sheet_of, tile
from peoplenet_nb.settings import Settings
from peoplenet_nb.video.result import RunResult, is_run, load_result

_SHOWN = 10
_WORDS = {"B": {"kept": "in the place of another box"}, "A": {"kept": "no reason known"}}
_Box = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """Boxes of two sources, matched one to one from an IoU of 0.5 on."""

    frames: int  # frames that both have
    both: Counter[str]  # both, only_a, only_b: boxes by class
    only_a: Counter[str]
    only_b: Counter[str]
    iou: float  # mean IoU of those that both have; NaN where there are none
    # what became in A of the boxes that only B has, where A kept its cells: ``below threshold``, ``suppressed``, …
    why: Counter[str]
    why_a: Counter[str]  # what becomes of those that only A has, under the settings that agree
    first: list[int]  # the first frames that differ
    differing: list[Differing]  # the first boxes that differ
    agreement: (
        Agreement | None
    )  # the settings that come nearest to B; None where A kept no cells or nothing differs
    source: str  # where the frames' pictures are
    _shown: dict[int, tuple[_Box, _Box]] = field(repr=False)

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
        alt = "; ".join(
            f"frame {d.frame}: a {d.label} that {d.side} alone has, {d.why}" for d in self.differing
        )
        return frame_picture(sheet, alt or "nothing differs", width=sheet.shape[1])


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
    run, known = load_result(a), None
    if isinstance(b, RunResult) or is_run(b):
        ours = FoundFrames.of(run, sized=False)
        theirs, known = _of_run(load_result(b))
    else:
        ours = FoundFrames.of(run)
        theirs = _of_labels(b, ours)
    frames = [frame for frame in ours.frames if frame.number in theirs]
    if not frames:
        raise OutputError(
            "The two have no frame in common", seen=f"{a} and {b}", next_step="compare runs of one source."
        )
    both, only_a, only_b, iou, alone = beside(
        (frame.number, by_class(frame.detections), theirs[frame.number]) for frame in frames
    )
    settings, agreement = Settings.from_dict(run.summary["settings"]), None
    if alone and (run.folder / CELLS).is_file():
        saved = open_grids(run.folder)
        agreement = _agreement(saved, theirs, settings, known)
        there = agreement.settings if agreement is not None and agreement.changes else None
        alone = explained(alone, saved, settings, there)
    why, why_a = (Counter(one.why for one in alone if one.side == side and one.why) for side in "BA")
    shown = alone[:_SHOWN]
    boxes = {
        frame.number: (
            frame.detections.xyxy.astype(np.float64),
            np.concatenate([np.zeros((0, 4)), *theirs[frame.number].values()]),
        )
        for frame in frames
        if frame.number in {one.frame for one in shown}
    }
    first = list(dict.fromkeys(one.frame for one in alone))[:_SHOWN]
    return Comparison(
        len(frames), both, only_a, only_b, iou, why, why_a, first, shown, agreement, ours.source, boxes
    )


def _agreement(
    saved: SavedGrids, theirs: Mapping[int, Boxes], settings: Settings, known: Settings | None
) -> Agreement | None:
    """Return the settings that come nearest to B on some frames of one fit; None where A kept no cells of them."""
    place = {frame: position for position, frame in enumerate(saved.frames) if frame in theirs}
    some = list(place)[:: -(-len(place) // MOST_FRAMES) or 1]
    grids = {number: saved[place[number]] for number in some}
    if not some:
        return None
    mode = grids[some[0]].fit.mode
    some = [number for number in some if grids[number].fit.mode is mode]
    if known is not None and known.fit not in (mode, FitMode.AUTO):
        known = None
    return nearest_to([theirs[n] for n in some], [grids[n] for n in some], settings, known)


def _of_run(run: RunResult) -> tuple[dict[int, Boxes], Settings]:
    """Return the boxes of a run by the frame's number and class, and its settings."""
    found = FoundFrames.of(run, sized=False).frames
    boxes = {frame.number: _lower(by_class(frame.detections)) for frame in found}
    return boxes, Settings.from_dict(run.summary["settings"])


def _lower(boxes: Boxes) -> Boxes:
    return {label.lower(): of for label, of in boxes.items()}


def _of_labels(b: str | Path, ours: FoundFrames) -> dict[int, Boxes]:
    """Return the boxes of a file or folder of labels by the frame's number in A's source and class."""
    if not (path := Path(b).expanduser()).exists():
        step = "name the folder of a run, or boxes of another program: a file, or a folder with one for each frame."
        raise SourceError("There is nothing to compare with", seen=path, next_step=step)
    sizes = {frame.size for frame in ours.frames}
    size = sizes.pop() if len(sizes) == 1 else None
    labels = read_labels(b, ours.labels, size=size, images=None if size else ours.source)
    aligned = align(labels, None if ours.video else [frame.name for frame in ours.frames])
    found: dict[int, Boxes] = {}
    for place, key in enumerate(aligned.frames):
        here = aligned.frame == place
        number = int(key) if ours.video else ours.frames[int(key)].number
        found[number] = {
            label: aligned.xyxy[here & (aligned.class_id == index)]
            for index, label in enumerate(aligned.classes)
        }
    return found
