"""From a frame or the folder of a run to a panel.

A clip's cells are read from the saved grids once and sent to the browser in one piece: everything with a
coverage that any preset could ask for, within a limit of bytes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from peoplenet_nb.cells import FLOOR, Cells, Layout, SavedGrids
from peoplenet_nb.errors import GridsError
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Labels
from peoplenet_nb.labels.values import Key
from peoplenet_nb.preprocess import check_frame
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.tuner.between import Between
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.opening import OpenedRun
from peoplenet_nb.tuner.panel import Tuner
from peoplenet_nb.tuner.pictures import VideoPictures, jpeg
from peoplenet_nb.tuner.truth import labels_of_clip, to_browser
from peoplenet_nb.tuner.wire import pack_clip

if TYPE_CHECKING:
    from peoplenet_nb.sources import Source

FLOORS = (FLOOR, 0.01, 0.02, 0.05)  # longer clips leave weaker cells out
CLIP_BYTES = 24_000_000


def tune(
    frame: npt.NDArray[np.uint8] | None,
    grids: Grids,
    settings: Settings | None = None,
    *,
    dead: Sequence[str] = (),
    fallback: bool = False,
) -> Tuner:
    """Make a panel for one frame.

    Parameters
    ----------
    frame : ndarray or None
        BGR uint8 ``(H, W, 3)`` that the grids came from; None for a dark background.
    grids : Grids
        Its raw grids.
    settings : Settings, optional
        Where to start; this project's default when left out.
    dead : sequence of str
        Classes whose head in the model file cannot work (``head.label for head in head_health(path) if not
        head.alive``); the panel says so, since no threshold brings them back.
    fallback : bool
        Whether the kernel draws, for front ends without anywidget.

    Returns
    -------
    Tuner
        Shown by being the last line of a cell; ``.settings`` is what is on screen.

    Raises
    ------
    SourceError
        When the frame is no BGR picture.
    GridsError
        When it has another size than the grids came from.
    """
    if frame is not None:
        height, width = check_frame(frame).shape[:2]
        if (width, height) != grids.fit.frame_size:
            what = "The frame has another size than the one that the grids came from"
            seen = f"frame {width}x{height}, grids of {grids.fit.frame_size[0]}x{grids.fit.frame_size[1]}"
            raise GridsError(what, seen=seen, next_step="pass the frame that was given to infer().")
    model = TunerModel([grids], settings or preset())
    return Tuner(model, b"" if frame is None else jpeg(frame), dead=dead, fallback=fallback)


def tune_run(
    folder: str | Path | SavedGrids,
    source: str | Path | Source | None = None,
    settings: Settings | None = None,
    *,
    labels: str | Path | Labels | None = None,
    classes: Mapping[str, str] | None = None,
    most: int = 2000,
    dead: Sequence[str] = (),
    fallback: bool = False,
) -> Tuner:
    """Make a panel for the saved grids of a run; the network is not needed.

    Parameters
    ----------
    folder : str or Path or SavedGrids
        A run's folder, or what `peoplenet_nb.open_grids` opened.
    source : str, Path or Source, optional
        The video or folder of images that was run, for the pictures; boxes are drawn on dark without it.
    labels : str, Path or Labels, optional
        Ground truth, as `evaluate` takes it. Precision, recall and F1 of the labelled frames then follow the sliders,
        with the curve and each class's best threshold; boxes are marked as right and false, truths as missed. Of a run
        on key frames those are judged. Not with ``fallback``.
    classes : mapping, optional
        What class names of the labels mean, as in `evaluate`.
    most : int
        How many frames to take at most, evenly spaced over a longer run, labelled ones first. Of a run on key frames
        that has no more, all frames are shown, interpolated as in the run but with the settings of the moment; of a
        longer one key frames.
    settings, dead, fallback
        As in `tune`, which also says what is returned.

    Raises
    ------
    GridsError
        When there are no saved grids, or they are not all of one kind.
    SettingsError
        When a threshold is below the floor from which cells were saved.
    SourceError
        When the source cannot be opened or is not what was run, or the labels cannot be read or are of other frames.
    """
    opened = OpenedRun(folder)
    source, names = (None, None) if source is None else opened.pictures(source)
    first = opened.saved[0]
    aligned = None if labels is None else labels_of_clip(labels, opened.run, first, names, classes)
    clip = Clip(opened.saved, most, () if aligned is None else aligned.frames)
    tiles = None if opened.run is None else opened.run.summary["settings"].get("tiles", 1)
    model = TunerModel(clip, settings or preset(), clip.between, tiles)
    packed = pack_clip(map(clip.cells, clip.keys), floors=FLOORS, limit=CLIP_BYTES)
    pictures = VideoPictures(source, clip.frames) if source is not None else None
    rate = (source.info.fps if source is not None else None) or 10.0
    return Tuner(
        model,
        pictures.first() if pictures else b"",
        pictures=pictures,
        packed=packed,
        between=clip.between,
        truth=None if aligned is None else to_browser(aligned, clip.frames, clip.keys),
        frame_names=clip.frames,
        times=clip.times or [frame / rate for frame in clip.frames],
        fps=min(30.0, (pictures.fps if pictures else None) or 10.0),
        dead=dead,
        fallback=fallback,
    )


def every(most: int, frames: Sequence[int]) -> Sequence[int]:
    """Return at most so many of some frames, evenly spaced."""
    return frames[:: max(1, -(-len(frames) // most))] if most > 0 else ()


class Clip(Sequence[Grids]):
    """At most so many of a run's frames, which must all be alike, since the browser has one shape for all.

    Of a run on key frames all frames, if there is room for them; else key frames only. Of a longer run those that are
    ``wanted`` are there, and others evenly between.
    """

    def __init__(self, saved: SavedGrids, most: int, wanted: Collection[Key] = ()) -> None:
        self._saved, line = saved, saved.timeline
        self._first = saved.cells(0)
        self.between: Between | None = None
        """What stands in the frames that the network did not see, where the clip has such."""
        self.keys: Sequence[int]
        """Positions of the others."""
        if line is not None and len(saved) < len(line.frames) <= most:
            self.between = Between.of(line, saved.frames)
            self.frames, self.keys = list(self.between.frames), self.between.keys
        else:
            asked = set(wanted)
            kept = every(most, [frame for frame in saved.frames if frame in asked])
            more = every(most - len(kept), saved.frames)
            self.frames = sorted({*kept, *more})
            self.keys = range(len(self.frames))
        self._where = {frame: position for position, frame in enumerate(saved.frames)}

    @property
    def times(self) -> list[float] | None:
        """When each frame is shown, in seconds; None where the run does not know."""
        if (line := self._saved.timeline) is None:
            return None
        when = dict(zip(line.frames, line.times.tolist(), strict=True))
        times = np.array([when[frame] for frame in self.frames])
        return times.tolist() if np.isfinite(times).all() and (np.diff(times) > 0).all() else None

    def __len__(self) -> int:
        return len(self.frames)

    def cells(self, index: int) -> Cells:
        """Return the cells of a frame that the network saw, from the least floor up."""
        cells = self._saved.cells(self._where[self.frames[index]])
        self._refuse_other(index, cells.layout, cells.fit)
        return cells

    def __getitem__(self, index: int) -> Grids:  # type: ignore[override]
        if index >= len(self):
            raise IndexError(index)
        position = self._where.get(self.frames[index])
        if position is None:
            return replace(self._first.above(np.inf), floor=self._first.floor).grids()
        grids = self._saved[position]
        self._refuse_other(index, Layout.of(grids), grids.fit)
        return grids

    def _refuse_other(self, index: int, layout: Layout, fit: Fit) -> None:
        if (layout, fit) != (self._first.layout, self._first.fit):
            what = "The frames of this run are not all of one size or kind"
            seen = f"frame {self.frames[index]} differs from frame {self.frames[0]}"
            fix = "run images of one size on their own, or tune single frames with tune()."
            raise GridsError(what, seen=seen, next_step=fix)
