"""Which frames of a video the network sees, and what stands in the others.

The frames come in windows. A window's two ends are always seen by the network, and its last frame is the first one of
the next window, so that what comes out of a window depends on nothing outside of it: a run that was cut and continued
gives what an uncut one gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks.association import Matches, match_boxes
from peoplenet_nb.tracks.interpolation import interpolate

_WINDOW_S = 0.8  # at most so far apart are two frames that the network sees
_WINDOW_BYTES = 96_000_000
_UNKNOWN_FPS = 25.0
_CONFIDENT = 0.25
_FAR = 1.2  # cost of a match that is not trusted
_BORDER = 0.02  # of the frame: who is nearer to its edge comes or goes


@dataclass(frozen=True)
class KeyFrames:
    """How the frames are chosen that the network sees.

    Parameters
    ----------
    every : int, optional
        The distance of two such frames; 1 is every frame. None: by what moves (``auto``).
    """

    every: int | None = 1

    @classmethod
    def parse(cls, value: KeyFrames | str | int) -> KeyFrames:
        """Return what a person asked for: ``"off"``, ``"auto"``, or a number as such or as text.

        Raises
        ------
        SettingsError
            For anything else.
        """
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

    Parameters
    ----------
    keyframes : KeyFrames
    fps : float, optional
        Of the frames that are read: that of the video over ``every``. Left out, 25 is assumed.
    frame_size : tuple of int
        Width and height in pixels: the window's frames take 96 MB at most, at three bytes a pixel (one frame apart
        is the least).
    """
    if keyframes.every is not None:
        return keyframes.every
    fps = fps if fps is not None and fps > 0 else _UNKNOWN_FPS
    room = _WINDOW_BYTES // max(1, 3 * frame_size[0] * frame_size[1])
    return max(1, min(round(_WINDOW_S * fps), room))


def choose_and_fill(
    count: int,
    detect: Callable[[int], Detections],
    is_cut: Callable[[int], bool],
    times: Sequence[float] | None,
    keyframes: KeyFrames,
    frame_size: tuple[int, int],
) -> list[tuple[Detections, bool]]:
    """Return the detections of every frame of a window, most of them without the network.

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
        When each frame is shown, in seconds; left out, they are equally far apart.
    keyframes : KeyFrames
    frame_size : tuple of int
        Width and height in pixels.

    Returns
    -------
    list of tuple
        For each frame its detections and whether they are inferred (else they are interpolated).
    """
    window = _Window(detect, times if times is not None else range(count), frame_size, keyframes.auto)
    cuts = [i for i in range(1, count) if is_cut(i)]
    shots = list(zip([0, *cuts], [*(cut - 1 for cut in cuts), count - 1], strict=True))
    found: list[tuple[Detections, bool]] = []
    for first, last in shots:
        if keyframes.off:
            found += [(detect(i), True) for i in range(first, last + 1)]
        else:
            found.append((window.at(first), True))
            found += window.between(first, last)
    return found


class _Window:
    """The frames of one window, the network's detections of some of them."""

    def __init__(
        self,
        detect: Callable[[int], Detections],
        times: Sequence[float],
        frame_size: tuple[int, int],
        bisects: bool,
    ) -> None:
        self._detect, self._times, self._size, self._bisects = detect, times, frame_size, bisects
        self._seen: dict[int, Detections] = {}

    def at(self, index: int) -> Detections:
        """Return what the network finds in a frame."""
        if index not in self._seen:
            self._seen[index] = self._detect(index)
        return self._seen[index]

    def between(self, first: int, last: int) -> list[tuple[Detections, bool]]:
        """Return the frames after ``first`` to ``last``."""
        if last == first:
            return []
        before, after = self.at(first), self.at(last)
        if last == first + 1:
            return [(after, True)]
        matches = match_boxes(before, after)
        if self._bisects and _poor(before, after, matches, self._size):
            middle = (first + last) // 2
            return self.between(first, middle) + self.between(middle, last)
        filled = [
            (interpolate(before, after, self._share(first, i, last), self._size, matches), False)
            for i in range(first + 1, last)
        ]
        return [*filled, (after, True)]

    def _share(self, first: int, index: int, last: int) -> float:
        """Return how far on the way a frame is, in time; by its number where the times do not rise."""
        begin, now, end = (float(self._times[i]) for i in (first, index, last))
        share = (now - begin) / (end - begin) if end > begin else -1.0
        return share if 0 < share < 1 else (index - first) / (last - first)


def _poor(a: Detections, b: Detections, matches: Matches, frame_size: tuple[int, int]) -> bool:
    """Tell whether too much happened between two frames to know what was in the middle."""
    confident = np.minimum(a.confidence[matches.first], b.confidence[matches.second]) >= _CONFIDENT
    if (matches.cost[confident] > _FAR).any():
        return True
    appeared = _inside(a, matches.first, frame_size) + _inside(b, matches.second, frame_size)
    return appeared > 1


def _inside(detections: Detections, matched: np.ndarray, frame_size: tuple[int, int]) -> int:
    """Return how many confident boxes are alone although no edge of the frame is near."""
    alone = np.ones(len(detections), bool)
    alone[matched] = False
    alone &= detections.confidence >= _CONFIDENT
    width, height = frame_size
    margin_x, margin_y = _BORDER * width, _BORDER * height
    x1, y1, x2, y2 = detections.xyxy.T
    alone &= (x1 > margin_x) & (x2 < width - margin_x) & (y1 > margin_y) & (y2 < height - margin_y)
    return int(alone.sum())
