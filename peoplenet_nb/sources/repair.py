"""What keeps a reader going over imperfect videos: a clock, a frame counter, a tally of damage, upright frames.

Frames that were lost leave a gap in the frame numbers (by the timestamps of the packets that went in), so that what
comes after a damaged stretch still has the index an annotator would give it.
"""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from peoplenet_nb.sources.frames import Image

_CUT = 4  # so many frames in a row behind the time reached are a cut between recordings, not disorder
_LEAST_STEP_S = 0.001
_WAITING = 1000  # more packets than any decoder holds back
UPRIGHT = np.array([[1, 0], [0, 1]])


class Clock:
    """Timestamps in seconds from the video's start, strictly rising whatever the container says.

    The stream begins at ``start``, in ticks (None: with the first frame); ``tick`` is the seconds of one, ``step`` the
    seconds per frame where there is no timestamp.
    """

    def __init__(self, start: int | None, tick: Fraction, step: float) -> None:
        self._start, self._tick, self._step = start, tick, step
        self._shift, self._run = 0.0, 0
        self.last: float | None = None
        self.missing = self.backward = 0
        self.shortest, self.longest = float("inf"), 0.0

    def __call__(self, pts: int | None) -> float:
        """Return the time of the next frame."""
        before = self.last
        if pts is None:
            self.missing += 1
            time = 0.0 if before is None else before + self._step
        else:
            if self._start is None:
                self._start = pts
            time = float((pts - self._start) * self._tick) + self._shift
            if before is None:
                time = max(0.0, time)
            elif time > before:
                self._run = 0
            else:
                self.backward += 1
                self._run += 1
                # A straggler is moved a little; a video that stays behind was cut together, and is shifted.
                step = _LEAST_STEP_S if self._run < _CUT else self._step
                if self._run >= _CUT:
                    self._shift += before + step - time
                time = before + step
        if before is not None:
            self.shortest, self.longest = min(self.shortest, time - before), max(self.longest, time - before)
        self.last = time
        return time

    @property
    def variable(self) -> bool:
        """Whether frames stand at clearly different distances (rounding to milliseconds does not count)."""
        return self.longest > 1.5 * self.shortest + 0.002


class FrameCounter:
    """Numbers frames; once there was damage, frames that went in and did not come out are counted too."""

    def __init__(self) -> None:
        self.next = 0
        self.damaged = False
        self._waiting: list[int] = []
        self._dts: int | None = None
        self._blind = False  # timestamps that do not order the packets: only counting is left

    def went_in(self, packet: Any) -> None:
        """Take note of a packet before it is decoded."""
        if packet.is_discard or not packet.size:
            return
        behind = packet.dts is not None and self._dts is not None and packet.dts < self._dts
        self._dts = packet.dts
        if packet.pts is None or behind:  # two recordings cut together start their clock anew
            self._blind = True
        else:
            heapq.heappush(self._waiting, packet.pts)
            if len(self._waiting) > _WAITING:
                heapq.heappop(self._waiting)

    def came_out(self, pts: int | None) -> int | None:
        """Return the index of a decoded frame, None for a straggler whose place has been passed over."""
        passed = 0
        while pts is not None and self._waiting and self._waiting[0] <= pts:
            heapq.heappop(self._waiting)
            passed += 1
        # Only after damage: healthy VP8 has packets that show nothing, and they must not leave gaps.
        if not self.damaged or self._blind or pts is None:
            passed = 1
        if passed == 0:
            return None
        self.next += passed
        return self.next - 1


class Damage:
    """What could not be read of a video."""

    def __init__(self) -> None:
        self.packets = self.frames = self.holes = self.corrupt_packets = 0
        self.broke_off = ""

    def __bool__(self) -> bool:
        return bool(self.packets or self.frames or self.holes or self.corrupt_packets)

    def sentence(self) -> str:
        """Return a note on the damage, empty when there is none."""
        if not self:
            return ""
        parts = (
            (self.packets, "frame", "could not be decoded"),
            (self.frames, "frame", "came out partly damaged"),
            (self.holes, "stretch", "could not be read"),
        )
        lost = [f"{some(number, word)} {fate}" for number, word, fate in parts if number]
        if not lost:
            return "The video is damaged or cut together: some data is marked as corrupt, frames may be missing there."
        gaps = " Lost frames leave gaps in the frame numbers." if self.packets or self.holes else ""
        return f"The video is damaged: {', '.join(lost)}. The rest was read.{gaps}"


def some(number: int, word: str) -> str:
    """Return ``1 frame``, ``2 frames``, ``3 stretches``, ``4 boxes``."""
    plural = "" if number == 1 else "es" if word.endswith(("ch", "x")) else "s"
    return f"{number} {word}{plural}"


def turn_of(frame: Any) -> Any:
    """Return how a frame must be turned: ``[[xx, xy], [yx, yy]]`` of its display matrix, as -1, 0 and 1.

    New x is ``xx * x + xy * y``, new y is ``yx * x + yy * y`` (FFmpeg's ``libavutil/display.h``). Anything
    that is no right angle or mirror leaves the frame as it is.
    """
    for data in frame.side_data:
        if "DISPLAYMATRIX" in str(data.type):
            m = np.frombuffer(bytes(data), np.int32)[:9].reshape(3, 3) / 65536.0
            turn = np.rint(m[:2, :2].T).astype(int)
            if np.abs(np.linalg.det(turn)) == 1 and np.abs(turn).sum() == 2:
                return turn
    return UPRIGHT


def turned(image: Image, turn: Any) -> Image:
    """Return a picture turned and mirrored as `turn_of` says."""
    if np.array_equal(turn, UPRIGHT):
        return image
    if turn[0, 0] == 0:
        image = np.asarray(cv2.transpose(image), np.uint8)
    flip_x, flip_y = turn[0].sum() < 0, turn[1].sum() < 0
    if flip_x or flip_y:
        image = np.asarray(cv2.flip(image, -1 if flip_x and flip_y else int(flip_x)), np.uint8)
    return image


def early_end(stated: int | None, duration: float | None, count: int, last_s: float) -> str:
    """Return a sentence where a video ends before the frames or seconds that it states; nothing where it does not."""
    if stated is not None and count < stated - max(2, stated // 50):
        return f"The video is incomplete: it states {stated} frames and {count} could be reached."
    if stated is None and duration is not None and last_s < 0.95 * duration - 1.0:
        return f"The video is incomplete: it states {duration:.1f} s and breaks off at {last_s:.1f} s."
    return ""
