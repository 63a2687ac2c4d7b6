"""The frames of a clip that the network did not see: their boxes are interpolated under the settings of the moment.

The same is done in the browser (``static/between.js``), which is tested against this.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from peoplenet_nb.cells import Timeline
from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks import association, interpolate, interpolation, link_frames

_FPS = 25.0  # where the times do not rise, as in a run
_CONTEXT = 2  # links before and after one that have a say in it: boxes are matched twice


@dataclass(frozen=True, eq=False)
class Between:
    """Where in a clip the key frames are, and what goes on between them.

    Parameters
    ----------
    frames : sequence of int
        The clip's frames, by their index in the source.
    keys : sequence of int
        Positions of the key frames in the clip, rising, from 0 to the last frame.
    times : sequence of float
        When each frame is shown, in seconds.
    begins : str
        As in `peoplenet_nb.cells.Timeline`.
    """

    frames: Sequence[int]
    keys: Sequence[int]
    times: Sequence[float]
    begins: str

    @classmethod
    def of(cls, timeline: Timeline, key_frames: Sequence[int]) -> Between:
        """Return that of a run, up to its last key frame."""
        frames = timeline.frames[: timeline.frames.index(key_frames[-1]) + 1]
        seen = set(key_frames)
        keys = [position for position, frame in enumerate(frames) if frame in seen]
        return cls(frames, keys, timeline.times[: len(frames)].tolist(), timeline.begins)

    def to_browser(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return what the browser needs for the same, as plain data."""
        carried = [association.HEIGHTS.get(label.lower(), 1.0) for label in labels]
        return {
            "keys": list(self.keys),
            "times": list(self.times),
            "begins": self.begins,
            "reach": association.REACH,
            "speed": [association.SPEED * heights for heights in carried],
            "vertical": association.VERTICAL,
            "size": association.SIZE,
            "known": association.KNOWN,
            "fading": interpolation.FADING,
            "leastLeft": interpolation.LEAST_LEFT,
            "rounded": interpolation.ROUNDED,
        }

    def after(self, position: int) -> int | None:
        """Return which of the key frames is the next one, or None for a key frame."""
        number = bisect_left(self.keys, position)
        return None if self.keys[number] == position else number

    def note(self, position: int) -> str:
        """Return what to say of a frame; "" of a key frame."""
        number = self.after(position)
        if number is None:
            return ""
        a, b = (self.frames[self.keys[i]] for i in (number - 1, number))
        return f"Interpolated between frames {a} and {b}."

    def detections(
        self, position: int, detect: Callable[[int], Detections], frame_size: tuple[int, int]
    ) -> Detections:
        """Return the boxes of a frame between key frames.

        Parameters
        ----------
        position : int
            Of the frame in the clip.
        detect : callable
            Gives the detections at a key frame's position in the clip.
        frame_size : tuple of int
            Width and height in pixels.
        """
        number = self.after(position)
        if number is None:
            return detect(position)
        first, last = self._chain(number)
        rise = all(a < b for a, b in pairwise(self.times[self.keys[first] : self.keys[last] + 1]))
        low, high = max(first, number - 1 - _CONTEXT), min(last, number + _CONTEXT)
        keys = self.keys[low : high + 1]
        now, *times = (self.times[p] if rise else p / _FPS for p in (position, *keys))
        found, here = [detect(p) for p in keys], number - 1 - low
        link = link_frames(found, times)[here]
        share = (now - times[here]) / link.seconds
        return interpolate(found[here], found[here + 1], share, frame_size, link)

    def _chain(self, number: int) -> tuple[int, int]:
        """Return the first and the last key frame of the chain in which a key frame has another before it."""
        first, last = number - 1, number
        while first > 0 and self.begins[first] == "0":
            first -= 1
        while self.begins[last] == "0" and last + 1 < len(self.keys) and self.begins[last + 1] != "2":
            last += 1
        return first, last
