"""What a worker does with a window of frames: the network, decode, the boxes between key frames, and drawing.

What comes out of a window depends on nothing but its own frames and the first one of the next, so it does not matter
how many workers there are, and a run that was cut goes on from the end of any window.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace
from itertools import pairwise
from time import monotonic, perf_counter

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
_EVERY_FRAME = KeyFrames()


@dataclass(frozen=True, slots=True)
class Done:
    """One frame after the workers."""

    frame: Frame  #: without its pixels
    detections: Detections
    inferred: bool  #: by the network, else interpolated between the two nearest frames that are
    #: The frame with what was found drawn on it: BGR of an image, else for the video.
    picture: Image | Planes | None
    grids: Grids | None  #: where they are to be kept and the frame is inferred
    seconds: dict[str, float]  #: how long each stage took, as seen by its own thread
    begins: int = 0  #: `peoplenet_nb.cells.Timeline.begins`: what begins with it
    last: bool = False  #: of a shot, as far as its window tells
    found_s: float = 0.0  #: ``time.monotonic()`` when its boxes were known, for a frame that the network saw


@dataclass(frozen=True, slots=True)
class Found:
    """What the network found in a frame."""

    detections: Detections
    grids: Grids
    seconds: dict[str, float]  #: as in `Done`
    at: float  #: ``time.monotonic()`` when it was known


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
        self.image: Image | None = None  # where it was converted a moment ago


@dataclass(frozen=True, slots=True)
class Decided:
    """A frame of which is known what is in it, not drawn yet."""

    taken: Taken
    detections: Detections
    inferred: bool
    begins: int
    seconds: float  #: of its window's, beside inferring
    last: bool = False  #: as in `Done`


Window = Sequence[Done | Decided]
Watch = Callable[[Frame, Grids], object]


@dataclass
class Worker:
    """Takes windows to what is written of them; used by several threads at once."""

    model: PeopleNet
    settings: Settings
    keyframes: KeyFrames = _EVERY_FRAME  #: which frames the network sees
    draw: bool = True  #: what was found
    video_size: tuple[int, int] | None = None  #: ``(width, height)`` of what is drawn for; None for images
    overlay: str = ""  #: a line on every picture
    keep_grids: bool = False  #: whether the raw grids come out too
    #: Called with each frame that the network saw, its picture still there, and its raw grids.
    watch: Watch | None = None
    #: Set when nobody takes results any more.
    gone: threading.Event = field(default_factory=threading.Event, init=False)

    def infer(self, taken: Sequence[Taken]) -> Window:
        """Take frames through the network at once, and each to what is to be written of it."""
        for one, found in zip(taken, self._infer(taken), strict=True):
            one.found = found
        return [self.finish(Decided(one, one.found.detections, True, 1, 0.0)) for one in taken if one.found]

    def decide(
        self, taken: Sequence[Taken], count: int, hand_out: Callable[[Callable[..., object], Taken], object]
    ) -> Window:
        """Find out what is in each frame of a window with key frames.

        Parameters
        ----------
        taken : sequence of Taken
            Its frames; the last one may be the next window's first.
        count : int
            How many are its own.
        hand_out : callable
            Given a function and what to call it with; other workers may do that, this one does not wait for them.
        """
        inferring, began = 0.0, perf_counter()

        def detect(index: int) -> Detections:
            nonlocal inferring
            start = perf_counter()
            detections = self._look(taken[index]).detections
            inferring += perf_counter() - start
            return detections

        def announce(indices: Sequence[int]) -> None:
            for index in reversed(indices[1:]):  # this worker begins at the front, the others at the back
                hand_out(self._look, taken[index])

        outcome = choose_and_fill(
            len(taken),
            detect,
            lambda index: taken[index].cut,
            [one.frame.time_s for one in taken],
            self.keyframes,
            taken[0].frame.size,
            announce,
        )
        seconds = (perf_counter() - began - inferring) / len(taken)
        own, ends = taken[:count], [one.cut for one in taken[1 : count + 1]] + [True] * (count == len(taken))
        decided = [
            Decided(one, *what, begins=2 if one.cut else int(one is taken[0]), seconds=seconds, last=last)
            for one, what, last in zip(own, outcome[:count], ends, strict=True)
        ]
        return decided if self.draw else [self.finish(one) for one in decided]

    def _look(self, one: Taken) -> Found:
        """Return what the network finds in a frame, unless another worker has done so."""
        with one.lock:
            if one.found is None:
                (one.found,) = self._infer([one])
                one.image = None  # until it is drawn, the frame itself takes half as much
            return one.found

    def _infer(self, taken: Sequence[Taken]) -> list[Found]:
        if self.gone.is_set():
            raise CancelledError
        marks = [perf_counter()]
        images = [one.frame.image for one in taken]
        for one, image in zip(taken, images, strict=True):
            one.image = image
        marks.append(perf_counter())
        batch, fits = self.model.preprocess_all(images)
        marks.append(perf_counter())
        all_grids = self.model.joined(self.model.infer_input(batch, fits))
        marks.append(perf_counter())
        together = _lengths(("convert", "preprocess", "infer"), marks, len(taken))
        if self.watch is not None:
            for one, grids in zip(taken, all_grids, strict=True):
                self.watch(one.frame, grids)
        return [self._decode(grids, together) for grids in all_grids]

    def _decode(self, grids: Grids, before: dict[str, float]) -> Found:
        marks = [perf_counter()]
        candidates = find_candidates(grids, self.settings)
        marks.append(perf_counter())
        detections = cluster_candidates(candidates, grids, self.settings).detections
        marks.append(perf_counter())
        return Found(detections, grids, before | _lengths(("decode", "cluster"), marks), monotonic())

    def finish(self, decided: Decided) -> Done:
        """Draw what was found in a frame, and let go of its pixels."""
        one, detections = decided.taken, decided.detections
        marks, grids = [perf_counter()], None
        picture: Image | Planes | None = None
        spent = {"read": one.read_s, "convert": 0.0, "interpolate": decided.seconds}
        if decided.inferred and one.found is not None:
            spent |= one.found.seconds
            grids = one.found.grids if self.keep_grids else None
        if self.draw:
            theirs = isinstance(one.frame.pixels, np.ndarray)
            image = one.frame.image if one.image is None else one.image
            marks.append(perf_counter())
            picture = draw_detections(image, detections, note=self.overlay, copy=theirs)
            if self.video_size is not None:
                picture = planes_of(picture, self.video_size)
            marks.append(perf_counter())
            drawing = _lengths(("convert", "draw"), marks)
            spent |= {"convert": spent["convert"] + drawing["convert"], "draw": drawing["draw"]}
        one.frame, one.image = replace(one.frame, pixels=_NO_PIXELS), None
        inferred, begins, last = decided.inferred, decided.begins, decided.last
        found_s = one.found.at if inferred and one.found is not None else 0.0
        return Done(one.frame, detections, inferred, picture, grids, spent, begins, last, found_s)


def _lengths(stages: Sequence[str], marks: Sequence[float], count: int = 1) -> dict[str, float]:
    """Return the seconds of stages between marks, for each of ``count`` frames."""
    return {name: (end - begin) / count for name, (begin, end) in zip(stages, pairwise(marks), strict=True)}
