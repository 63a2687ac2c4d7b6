"""What a worker does with a window of frames: the network, decode and drawing.

What comes out of a window depends on nothing but its own frames, so it does not matter how many workers there are, and
a run that was cut goes on from the end of any window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np

from peoplenet_nb.decoding import cluster_candidates, find_candidates
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame, Image

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Done:
    """One frame after the workers."""

    frame: Frame  #: without its pixels
    detections: Detections
    picture: Image | None  #: the frame with what was found drawn on it, ``(H, W, 3)`` BGR uint8
    grids: Grids | None  #: where they are to be kept
    seconds: dict[str, float]  #: how long each stage took, as seen by its own thread


@dataclass(frozen=True, slots=True)
class Found:
    """What the network found in a frame."""

    detections: Detections
    grids: Grids
    seconds: dict[str, float]  #: as in `Done`


class Worker:
    """Takes windows to what is written of them; used by several threads at once.

    Parameters
    ----------
    model, settings
        As in `peoplenet_nb.video.run`.
    draw : bool
        Whether to draw what was found.
    overlay : str
        A line on every picture.
    keep_grids : bool
        Whether the raw grids come out too.
    """

    def __init__(
        self, model: PeopleNet, settings: Settings, *, draw: bool, overlay: str, keep_grids: bool
    ) -> None:
        self._model, self._settings = model, settings
        self._draw, self._overlay, self._keep_grids = draw, overlay, keep_grids

    def __call__(self, window: Sequence[tuple[Frame, float]]) -> list[Done]:
        """Return what is to be written of frames, each of which comes with the seconds that reading it took."""
        found = self._infer([frame for frame, _ in window])
        return [self._finish(frame, read, one) for (frame, read), one in zip(window, found, strict=True)]

    def _infer(self, frames: Sequence[Frame]) -> list[Found]:
        """Take frames through the network at once, and each to its detections."""
        marks = [perf_counter()]
        images = [frame.image for frame in frames]
        marks.append(perf_counter())
        batch, fits = self._model.preprocess_all(images)
        marks.append(perf_counter())
        all_grids = self._model.infer_input(batch, fits)
        marks.append(perf_counter())
        together = _lengths(("convert", "preprocess", "infer"), marks, len(frames))
        return [self._decode(grids, together) for grids in all_grids]

    def _decode(self, grids: Grids, before: dict[str, float]) -> Found:
        marks = [perf_counter()]
        candidates = find_candidates(grids, self._settings)
        marks.append(perf_counter())
        detections = cluster_candidates(candidates, grids, self._settings).detections
        marks.append(perf_counter())
        return Found(detections, grids, before | _lengths(("decode", "cluster"), marks))

    def _finish(self, frame: Frame, read: float, found: Found) -> Done:
        """Draw what was found in a frame, and let go of its pixels."""
        began = perf_counter()
        picture = None
        if self._draw:
            picture = draw_detections(frame.image, found.detections, note=self._overlay)
        seconds = found.seconds | {"read": read, "draw": perf_counter() - began}
        grids = found.grids if self._keep_grids else None
        return Done(replace(frame, pixels=_NO_PIXELS), found.detections, picture, grids, seconds)


def _lengths(stages: Sequence[str], marks: Sequence[float], count: int = 1) -> dict[str, float]:
    """Return the seconds of stages between marks, for each of ``count`` frames."""
    return {name: (end - begin) / count for name, (begin, end) in zip(stages, pairwise(marks), strict=True)}
