"""What a source is: frames in order, with what is known of where they come from.

``Frame.index`` is the 0-based place in the source, whatever is sampled. Frames that are skipped are decoded (later
ones build on them) but never converted to pixels; those that are given are converted when somebody looks at them.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, Self

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.html_tables import note, pairs
from peoplenet_nb.sources.feed import Feed
from peoplenet_nb.sources.names import folder_name

Image = npt.NDArray[np.uint8]


class Decoder(StrEnum):
    """What decodes a video."""

    CPU = "cpu"
    NVDEC = "nvdec"


class Pixels(Protocol):
    """A picture that is not converted yet."""

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of `image`."""
        ...

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` BGR uint8."""
        ...

    @property
    def grey(self) -> Image:
        """``(H, W)`` uint8 brightness; it may lie as it is stored, where `image` is turned."""
        ...


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a source.

    Attributes
    ----------
    index : int
        0-based place in the source.
    time_s : float
        Seconds from the start of the video; NaN for images, which have no time.
    pixels : ndarray or Pixels
        The picture as it came; `image` gives it.
    name : str
        The file's name for images, empty for frames of a video.
    """

    index: int
    time_s: float
    pixels: Image | Pixels
    name: str = ""

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` BGR uint8; a video's frame is converted each time it is asked for."""
        return self.pixels if isinstance(self.pixels, np.ndarray) else self.pixels.image

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)``."""
        if isinstance(self.pixels, np.ndarray):
            return self.pixels.shape[1], self.pixels.shape[0]
        return self.pixels.size

    @property
    def grey(self) -> Image:
        """``(H, W)`` uint8 brightness, to compare frames by; where it is stored so, without converting the frame."""
        if isinstance(self.pixels, np.ndarray):
            return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_BGR2GRAY), np.uint8)
        return self.pixels.grey


@dataclass
class SourceInfo:
    """What is known of a source before and while it is read; None where the container does not state it."""

    name: str  #: short: a file's name, the last part of an address, a video's YouTube id
    spec: str  #: what was asked for, without user names, passwords and query
    kind: str  #: ``video``, ``image`` or ``images``
    #: In pixels, of the frames as they are given (after rotation); of the first where images differ.
    width: int
    height: int
    fps: float | None = None  #: mean frames per second; None for images too
    frame_count: int | None = None
    duration_s: float | None = None
    #: Degrees counter-clockwise that rotation data asked to turn the frames by: 0, 90, 180, 270.
    rotation: int = 0
    #: Width of a pixel over its height, other than 1 for anamorphic video. Boxes are in pixels as stored.
    pixel_aspect: Fraction = Fraction(1)
    fingerprint: str = ""  #: stands for the content, so that a run is only continued on the same video
    notes: list[str] = field(default_factory=list)  #: sentences for the reader

    @property
    def stem(self) -> str:
        """The name as a folder name."""
        return folder_name(Path(self.name).stem if self.kind != "images" else self.name)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that could be had: `pixels` returns its picture, and None when it is damaged."""

    index: int
    time_s: float
    pixels: Callable[[], Image | Pixels | None]
    name: str = ""


class Source(ABC):
    """Frames in order; make one with `open_source`. It can be iterated over more than once.

    Attributes
    ----------
    info : SourceInfo
        What is known of it.
    every, frames, start : int
        The sampling: each ``every``-th frame from ``start``, ``frames`` of them (None: to the end).
    decoder : Decoder
        What really decodes it.
    opened : str
        What it was opened by and can be opened by again; it may hold a password, so it is never shown.
    live : bool
        Whether frames come by themselves, and those that nobody takes are lost.
    """

    live = False

    def __init__(self, info: SourceInfo) -> None:
        self.info = info
        self.opened: str = info.spec
        self.every = 1
        self.frames: int | None = None
        self.start = 0
        self.decoder = Decoder.CPU

    @abstractmethod
    def _walk(self) -> Generator[Candidate]:
        """Go through the source from its start without making pixels."""

    def __iter__(self) -> Iterator[Frame]:
        given, due = 0, self.start
        if self.frames is not None and self.frames <= 0:
            return
        with closing(self._walk()) as walk:
            for candidate in walk:
                if candidate.index < due:
                    continue
                pixels = candidate.pixels()
                if pixels is None:
                    continue
                yield Frame(candidate.index, candidate.time_s, pixels, candidate.name)
                given += 1
                if self.frames is not None and given >= self.frames:
                    return
                due = self._next_due(candidate.index)

    def _next_due(self, index: int) -> int:
        """Return the first sampled index after ``index``; a lost frame is replaced by the next good one."""
        return self.start + ((index - self.start) // self.every + 1) * self.every

    @property
    def files(self) -> list[Path]:
        """The files on this machine that it is read from; none for an address that is read as it comes."""
        return []

    @property
    def expected(self) -> int | None:
        """How many frames iterating will give, as far as is known; an estimate where only a duration is."""
        total = self.info.frame_count
        if total is None and self.info.duration_s and self.info.fps:
            total = round(self.info.duration_s * self.info.fps)
        if total is None:
            return self.frames
        sampled = max(0, -(-(total - self.start) // self.every))
        return sampled if self.frames is None else min(sampled, self.frames)

    def sampled(self, every: int = 1, frames: int | None = None, start: int = 0) -> Self:
        """Return the same source with another sampling.

        Raises
        ------
        SettingsError
            When a number makes no sense.
        """
        given: Any = (("every", every, 1), ("frames", frames, 1), ("start", start, 0))
        for name, value, least in given:
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if value is not None and not (whole and value >= least):
                raise SettingsError(
                    f"{name} must be a whole number of at least {least}",
                    seen=value,
                    next_step="every=100, frames=5 reads five frames, a hundred apart.",
                )
        return self._with(every, frames, start)

    def spread(self, count: int, apart: int = 100) -> Self:
        """Return ``count`` frames, ``apart`` from each other or, where the source is too short, spread over it."""
        total = self.info.frame_count
        if total is not None and total < (count - 1) * apart + 1:
            apart = max(1, total // max(1, count))
        return self.sampled(apart, count)

    def frame(self, index: int | None = None) -> Frame:
        """Return one frame by its place in the source, whatever is sampled; left out, the middle one.

        Raises
        ------
        SettingsError
            When the source has no frame of that number.
        """
        total = self.info.frame_count
        wanted = (total or 1) // 2 if index is None else index
        for frame in self.sampled(1, 1, wanted):
            if frame.index == wanted or index is None:
                return frame
        known = f"choose one from 0 to {total - 1}." if total else "choose a smaller one."
        raise SettingsError("The source has no frame of that number", seen=wanted, next_step=known)

    def after(self, index: int, given: int) -> Self:
        """Return the rest of this source: what comes after ``index``, when ``given`` frames were given."""
        left = None if self.frames is None else self.frames - given
        return self._with(self.every, left, self._next_due(index))

    def decoded_by(self, decoder: Decoder) -> Self:
        """Return the same source with another decoder; images have one only."""
        return self._with(self.every, self.frames, self.start)

    @property
    def feed(self) -> Feed | None:
        """The reading in progress of a live source, or its last one; None of any other."""
        return None

    def since(self, began: datetime, last_s: float) -> Self:
        """Return a live source that goes on from an earlier reading, whose last frame came at a second of it."""
        return self

    def end(self) -> None:  # noqa: B027 - most sources end by themselves
        """Let an iteration in another thread come to its end, where it would go on for ever."""

    def _with(self, every: int, frames: int | None, start: int) -> Self:
        other = copy.copy(self)
        other.info = replace(self.info, notes=list(self.info.notes))
        other.every, other.frames, other.start = every, frames, start
        return other

    def __repr__(self) -> str:
        info = self.info
        return f"{type(self).__name__}({info.name!r}, {info.width}x{info.height}, {self.expected} frames)"

    def _repr_html_(self) -> str:
        info = self.info
        facts: list[tuple[str, object]] = [
            ("source", info.spec),
            ("frames", "not known" if self.expected is None else self.expected),
            ("size", f"{info.width} x {info.height} pixels"),
        ]
        if info.fps:
            facts.append(("frames per second", f"{info.fps:.4g}"))
        return pairs(facts) + "".join(note(text) for text in info.notes)
