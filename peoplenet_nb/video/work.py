"""What a worker does with a window of frames: the network, decode, the boxes between key frames, and drawing.

What comes out of a window depends on nothing but its own frames and the first one of the next, so it does not matter
how many workers there are, and a run that was cut goes on from the end of any window.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
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
from peoplenet_nb.tracks import KeyFrames, choose_and_fill
from peoplenet_nb.video.writer import Planes, planes_of

_NO_PIXELS = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Done:
    """One frame after the workers."""

    frame: Frame  #: without its pixels
    detections: Detections
    inferred: bool  #: by the network, else interpolated between the two nearest frames that are
    picture: (
        Image | Planes | None
    )  #: the frame with what was found drawn on it: BGR of an image, else for the video
    grids: Grids | None  #: where they are to be kept and the frame is inferred
    seconds: dict[str, float]  #: how long each stage took, as seen by its own thread
    begins: int = 0  #: `peoplenet_nb.cells.Timeline.begins`: what begins with it


@dataclass(frozen=True, slots=True)
class Found:
    """What the network found in a frame."""

    detections: Detections
    grids: Grids
    seconds: dict[str, float]  #: as in `Done`


class Taken:
    """One frame on its way, and what the network found in it, for whichever of two windows asks first.

    Parameters
    ----------
    frame : Frame
    read_s : float
        Seconds that reading it took.
    cut : bool
        Whether a shot begins with it.
    """

    def __init__(self, frame: Frame, read_s: float, cut: bool = False) -> None:
        self.frame, self.read_s, self.cut = frame, read_s, cut
        self.lock = threading.Lock()
        self.found: Found | None = None


class Worker:
    """Takes windows to what is written of them; used by several threads at once.

    Parameters
    ----------
    model, settings
        As in `peoplenet_nb.video.run`.
    keyframes : KeyFrames
        Which frames the network sees.
    draw : bool
        Whether to draw what was found.
    video_size : tuple of int, optional
        ``(width, height)`` of the video that pictures are drawn for; None for images.
    overlay : str
        A line on every picture.
    keep_grids : bool
        Whether the raw grids come out too.

    Attributes
    ----------
    gone : threading.Event
        Set it when nobody takes results any more.
    """

    def __init__(
        self,
        model: PeopleNet,
        settings: Settings,
        keyframes: KeyFrames,
        *,
        draw: bool,
        video_size: tuple[int, int] | None,
        overlay: str,
        keep_grids: bool,
    ) -> None:
        self._model, self._settings, self._keyframes = model, settings, keyframes
        self._draw, self._video_size, self._overlay = draw, video_size, overlay
        self._keep_grids = keep_grids
        self.gone = threading.Event()

    def __call__(self, taken: Sequence[Taken], count: int) -> list[Done]:
        """Return what is to be written of the first ``count`` frames; one that follows is the next window's first."""
        if self._keyframes.off:
            for one, found in zip(taken, self._infer([one.frame for one in taken]), strict=True):
                one.found = found
            outcome, seconds = [(one.found.detections, True) for one in taken if one.found], 0.0
        else:
            outcome, seconds = self._interpolate(taken)
        return [
            replace(self._finish(one, *which, seconds), begins=2 if one.cut else int(one is taken[0]))
            for one, which in zip(taken[:count], outcome[:count], strict=True)
        ]

    def _interpolate(self, taken: Sequence[Taken]) -> tuple[list[tuple[Detections, bool]], float]:
        """Return detections and whether they are inferred for each frame, and the seconds a frame beside inferring."""
        inferring, began = 0.0, perf_counter()

        def detect(index: int) -> Detections:
            nonlocal inferring
            start = perf_counter()
            one = taken[index]
            with one.lock:
                if one.found is None:
                    (one.found,) = self._infer([one.frame])
            inferring += perf_counter() - start
            return one.found.detections

        outcome = choose_and_fill(
            len(taken),
            detect,
            lambda index: taken[index].cut,
            [one.frame.time_s for one in taken],
            self._keyframes,
            taken[0].frame.size,
        )
        return outcome, (perf_counter() - began - inferring) / len(taken)

    def _infer(self, frames: Sequence[Frame]) -> list[Found]:
        """Take frames through the network at once, and each to its detections."""
        if self.gone.is_set():
            raise CancelledError
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

    def _finish(self, one: Taken, detections: Detections, inferred: bool, seconds: float) -> Done:
        """Draw what was found in a frame, and let go of its pixels."""
        marks, grids = [perf_counter()], None
        picture: Image | Planes | None = None
        spent = {"read": one.read_s, "convert": 0.0, "interpolate": seconds}
        if inferred and one.found is not None:
            spent |= one.found.seconds
            grids = one.found.grids if self._keep_grids else None
        if self._draw:
            image, theirs = one.frame.image, isinstance(one.frame.pixels, np.ndarray)
            marks.append(perf_counter())
            picture = draw_detections(image, detections, note=self._overlay, copy=theirs)
            if self._video_size is not None:
                picture = planes_of(picture, self._video_size)
            marks.append(perf_counter())
            drawing = _lengths(("convert", "draw"), marks)
            spent |= {"convert": spent["convert"] + drawing["convert"], "draw": drawing["draw"]}
        one.frame = replace(one.frame, pixels=_NO_PIXELS)
        return Done(one.frame, detections, inferred, picture, grids, spent)


def _lengths(stages: Sequence[str], marks: Sequence[float], count: int = 1) -> dict[str, float]:
    """Return the seconds of stages between marks, for each of ``count`` frames."""
    return {name: (end - begin) / count for name, (begin, end) in zip(stages, pairwise(marks), strict=True)}
