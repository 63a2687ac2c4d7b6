"""Which frames of a video the network sees, and what stands in the others.

The frames come in windows. A window's two ends are always seen by the network, and its last frame is the first one of
the next window, so that what comes out of a window depends on nothing outside of it: a run that was cut and continued
gives what an uncut one gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks.association import Floats, Ints
from peoplenet_nb.tracks.interpolation import interpolate
from peoplenet_nb.tracks.motion import Link, link_frames

_WINDOW_S = 1.8
_WINDOW_BYTES = 96_000_000
_APART_S = 0.45  # at most so far apart are two frames that the network sees
_UNKNOWN_FPS = 25.0
# Chosen on the clips of benchmarks/keyframes.py, which says on which of them; flat around these.
_CLOSE = 0.05  # cost by which another pair must be dearer
_EDGE = 0.02  # of the frame's width and height
_FORESEEN = 0.5  # of the doubt about a box without a partner goes where it is known how it moved
_DOUBT_S = 0.07  # seconds of doubt for each box


@dataclass(frozen=True)
class KeyFrames:
    """How the frames are chosen that the network sees."""

    every: int | None = 1  # the distance of two such frames; 1 is every frame. None: by what moves (``auto``)

    @classmethod
    def parse(cls, value: KeyFrames | str | int) -> KeyFrames:
        """Return what a person asked for: ``off``, ``auto``, or a number as such or as text; else a `SettingsError`."""
        if isinstance(value, KeyFrames):
            return value
        text = str(value).strip().lower()
        if text in ("off", "auto"):
            return cls(1 if text == "off" else None)
        if not isinstance(value, bool) and text.isascii() and text.isdigit() and 1 <= int(text) <= 1000:
            return cls(int(text))
        raise SettingsError(
            "The network can see every frame, every N-th one, or those that it must",
            seen=f"keyframes={value!r}",
            next_step='pass "off", a whole number from 1 to 1000, or "auto".',
        )

    @property
    def off(self) -> bool:
        """Whether the network sees every frame."""
        return self.every == 1

    @property
    def auto(self) -> bool:
        """Whether what moves decides."""
        return self.every is None

    def __str__(self) -> str:
        return "auto" if self.auto else "off" if self.off else str(self.every)


def window_frames(keyframes: KeyFrames, fps: float | None, frame_size: tuple[int, int]) -> int:
    """Return the number of frames from the first one of a window to the first one of the next.

    ``fps`` is that of the frames that are read, 25 where it is not known. A window's frames take 96 MB at most, at
    three bytes a pixel; with ``every`` it is a multiple of that, and one of it at least.
    """
    fps = fps if fps is not None and fps > 0 else _UNKNOWN_FPS
    room = _WINDOW_BYTES // max(1, 3 * frame_size[0] * frame_size[1])
    frames = max(1, min(round(_WINDOW_S * fps), room))
    every = keyframes.every or 1
    return max(1, frames // every) * every


def choose_and_fill(
    count: int,
    detect: Callable[[int], Detections],
    is_cut: Callable[[int], bool],
    times: Sequence[float] | None,
    keyframes: KeyFrames,
    frame_size: tuple[int, int],
    announce: Callable[[Sequence[int]], object] | None = None,
) -> list[tuple[Detections, bool]]:
    """Return the detections of every frame of a window, and whether each is inferred (else it is interpolated).

    Parameters
    ----------
    count : int
        Frames of the window, at least 1; the last one is the next window's first (or the video's last).
    detect : callable
        Gives the detections of frame ``i`` by the network; called once at most for a frame, not in order.
    is_cut : callable
        Whether a shot ends between frames ``i - 1`` and ``i``, for ``1 <= i < count``. Both are then inferred, and
        nothing is interpolated across.
    times : sequence of float, optional
        When each frame is shown, in seconds; left out, or where they do not rise, 25 frames a second.
    keyframes, frame_size
        As for `window_frames`.
    announce : callable, optional
        Told which frames ``detect`` is asked for next, so that others can begin with them.
    """
    cuts = [i for i in range(1, count) if is_cut(i)]
    if times is None or any(later <= earlier for earlier, later in pairwise(times)):
        times = [i / _UNKNOWN_FPS for i in range(count)]
    found: list[tuple[Detections, bool]] = []
    for first, last in zip([0, *cuts], [*(cut - 1 for cut in cuts), count - 1], strict=True):
        found += _Shot(first, last, detect, times, frame_size, announce).filled(keyframes)
    return found


class _Shot:
    """The frames of one shot in a window, and what the network finds in some of them."""

    def __init__(
        self,
        first: int,
        last: int,
        detect: Callable[[int], Detections],
        times: Sequence[float],
        frame_size: tuple[int, int],
        announce: Callable[[Sequence[int]], object] | None,
    ) -> None:
        self._first, self._last, self._detect, self._announce = first, last, detect, announce
        self._times, self._size = times, frame_size
        self._seen: dict[int, Detections] = {}

    def filled(self, keyframes: KeyFrames) -> list[tuple[Detections, bool]]:
        """Return every frame."""
        keys = self._at_first(keyframes)
        links = self._linked(keys)
        while keyframes.auto:
            more = [
                (a + b) // 2
                for (a, b), link in zip(pairwise(keys), links, strict=True)
                if b > a + 1 and doubtful(self._seen[a], self._seen[b], link, self._size)
            ]
            if not more:
                break
            keys = sorted([*keys, *more])
            links = self._linked(keys)
        found = [(self._seen[keys[0]], True)]
        for (a, b), link in zip(pairwise(keys), links, strict=True):
            for i in range(a + 1, b):
                share = (self._times[i] - self._times[a]) / link.seconds
                found.append((interpolate(self._seen[a], self._seen[b], share, self._size, link), False))
            found.append((self._seen[b], True))
        return found

    def _at_first(self, keyframes: KeyFrames) -> list[int]:
        """Return the frames that the network sees in any case: the ends, and some evenly between."""
        if keyframes.every is not None:
            return sorted({*range(self._first, self._last, keyframes.every), self._last})
        length, seconds = self._last - self._first, self._times[self._last] - self._times[self._first]
        parts = max(1, min(length, math.ceil(seconds / _APART_S - 1e-6)))  # a timestamp may jump by years
        return sorted({self._first + round(length * part / parts) for part in range(parts + 1)})

    def _linked(self, keys: Sequence[int]) -> list[Link]:
        missing = [i for i in keys if i not in self._seen]
        if self._announce is not None:
            self._announce(missing)
        for i in missing:
            self._seen[i] = self._detect(i)
        return link_frames([self._seen[i] for i in keys], [self._times[i] for i in keys])


def doubtful(a: Detections, b: Detections, link: Link, frame_size: tuple[int, int]) -> bool:
    """Tell whether too much happened between two key frames to know what was in the middle.

    Doubt comes from people who could as well be somebody else (another pair is hardly dearer) and from people without
    a partner away from the frame's edges. It is weighed against everybody who is there, by the square of confidence:
    a box that flickers about a low threshold calls for nothing. And it counts by the time between the frames, because
    so long are the wrong boxes seen.
    """
    weight_a, weight_b = (np.minimum(frame.confidence, 1.0) ** 2 for frame in (a, b))
    matches = link.matches
    of_pairs = np.maximum(weight_a[matches.first], weight_b[matches.second])
    doubt = float(of_pairs[matches.margin < _CLOSE].sum())
    doubt += _alone(a, weight_a, matches.first, link.before, frame_size)
    doubt += _alone(b, weight_b, matches.second, link.after, frame_size)
    return doubt * link.seconds > _DOUBT_S * float(weight_a.sum() + weight_b.sum()) / 2


def _alone(
    frame: Detections,
    weight: npt.NDArray[np.float32],
    matched: Ints,
    motion: Floats,
    frame_size: tuple[int, int],
) -> float:
    """Return the weight of boxes without a partner; who may have come or gone at an edge of the frame is left out."""
    left, top, right, bottom = frame.xyxy.T
    width, height = frame_size
    inside = (left > _EDGE * width) & (right < (1 - _EDGE) * width)
    inside &= (top > _EDGE * height) & (bottom < (1 - _EDGE) * height)
    inside[matched] = False
    return float(weight[inside].sum() - _FORESEEN * weight[inside & ~np.isnan(motion[:, 0])].sum())
