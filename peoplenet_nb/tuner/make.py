"""From a frame or the folder of a run to a panel.

A clip's cells are read from the saved grids once and sent to the browser in one piece: everything with a
coverage that any preset could ask for, within a limit of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import GridsError
from peoplenet_nb.grids import Grids, GridsFolder
from peoplenet_nb.preprocess import check_frame
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.panel import Tuner
from peoplenet_nb.tuner.pictures import VideoPictures, jpeg
from peoplenet_nb.tuner.wire import pack_clip, same_shape

if TYPE_CHECKING:
    from peoplenet_nb.sources import Source

# The lowest threshold of any preset is 0.005 (Triton, TAO); longer clips leave weaker cells out.
FLOORS = (0.005, 0.01, 0.02, 0.05)
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
    model = TunerModel([grids], settings or preset("default", grids.fit.mode))
    return Tuner(model, b"" if frame is None else jpeg(frame), dead=dead, fallback=fallback)


def tune_run(
    folder: str | Path | GridsFolder,
    source: str | Path | Source | None = None,
    settings: Settings | None = None,
    *,
    most: int = 2000,
    dead: Sequence[str] = (),
    fallback: bool = False,
) -> Tuner:
    """Make a panel for the saved grids of a run; the network is not needed.

    Parameters
    ----------
    folder : str or Path or GridsFolder
        A run's folder, or the ``grids`` folder in it.
    source : str, Path or Source, optional
        The video or folder of images that was run, for the pictures; boxes are drawn on dark without it.
    most : int
        How many frames to take at most, evenly spaced over a longer run.
    settings, dead, fallback
        As in `tune`, which also says what is returned.

    Raises
    ------
    GridsError
        When there are no saved grids, or they are not all of one kind.
    SourceError
        When the source cannot be opened.
    """
    if not isinstance(folder, GridsFolder):
        inside = Path(folder) / "grids"
        folder = GridsFolder(inside if inside.is_dir() else folder)
    clip = Clip(folder, most)
    model = TunerModel(clip, settings or preset("default", clip[0].fit.mode))
    packed = pack_clip(clip, floors=FLOORS, limit=CLIP_BYTES)
    pictures = VideoPictures(source, clip.frames) if source is not None else None
    return Tuner(
        model,
        pictures.first() if pictures else b"",
        pictures=pictures,
        packed=packed,
        frame_names=clip.frames,
        fps=min(30.0, (pictures.fps if pictures else None) or 10.0),
        dead=dead,
        fallback=fallback,
    )


class Clip(Sequence[Grids]):
    """At most so many of a run's frames, which must all be alike, since the browser has one shape for all."""

    def __init__(self, folder: GridsFolder, most: int) -> None:
        self._folder = folder
        self._every = max(1, -(-len(folder) // max(1, most)))
        self.frames = folder.frames[:: self._every]
        """The frames' places in the source."""
        self._first = folder[0]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Grids:  # type: ignore[override]
        if index >= len(self):
            raise IndexError(index)
        path = self._folder.paths[index * self._every]
        grids = Grids.load(path)
        if not same_shape(self._first, grids):
            what = "The frames of this run are not all of one size or kind"
            seen = f"{path.name} differs from {self._folder.paths[0].name}"
            fix = "run images of one size on their own, or tune single frames with tune()."
            raise GridsError(what, seen=seen, next_step=fix)
        return grids
