"""The pictures behind the grids of a clip, as JPEG bytes, any of them at any time.

Videos can only be read well from front to back, but a hand scrubs to and fro. So a thread reads the video once
and leaves a JPEG of each frame in a temporary folder; who asks for a frame that is not there yet is called back
when it is.
"""

from __future__ import annotations

import logging
import math
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import SourceError

if TYPE_CHECKING:
    from peoplenet_nb.sources import Source

log: logging.Logger = logging.getLogger(__name__)

LONGEST_SIDE = 1280
"""Pixels; a panel shows no more."""
_MANY = 1500
"""From so many pictures on they are kept half as large, so that a long clip takes some 100 MB of disk."""
_QUALITY = 82

Arrived = Callable[[int, bytes], None]


def jpeg(frame: npt.NDArray[np.uint8], limit: int = LONGEST_SIDE) -> bytes:
    """Return a BGR frame as JPEG, no side longer than ``limit`` pixels."""
    longest = max(frame.shape[:2])
    if longest > limit:
        share = limit / longest
        size = (max(1, round(frame.shape[1] * share)), max(1, round(frame.shape[0] * share)))
        frame = np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        fix = "pass BGR uint8 frames."
        raise SourceError("A frame cannot be made a JPEG", seen=frame.shape, next_step=fix)
    return data.tobytes()


class VideoPictures:
    """Pictures of some frames of a source, which are named by their 0-based places in it, rising."""

    def __init__(self, source: Source, frames: Sequence[int]) -> None:
        self._limit = LONGEST_SIDE if len(frames) < _MANY else LONGEST_SIDE // 2
        self._position = {frame: position for position, frame in enumerate(frames)}
        step = math.gcd(*(frame - frames[0] for frame in frames)) or 1
        self._source = source.sampled(step, None, frames[0])
        self.fps: float | None = self._source.info.fps / step if self._source.info.fps else None
        """How many of these frames a second has; None where the source does not say."""
        self._left = tempfile.TemporaryDirectory(prefix="peoplenet-tuner-", ignore_cleanup_errors=True)
        self._folder = Path(self._left.name)
        self._lock = threading.Lock()
        self._waiting: dict[int, list[Arrived]] = {}
        self._finished = False
        self._closed = threading.Event()
        self.error: Exception | None = None
        self._first = threading.Event()
        self._reader = threading.Thread(target=self._read, name="tuner-pictures", daemon=True)
        self._reader.start()

    def _path(self, position: int) -> Path:
        return self._folder / f"{position}.jpg"

    def _picture(self, position: int) -> bytes:
        path = self._path(position)
        return path.read_bytes() if path.is_file() else b""

    def first(self, timeout: float = 20.0) -> bytes:
        """Return the first frame's picture, waiting for it; empty when there is none."""
        self._first.wait(timeout)
        return self._picture(0)

    def ask(self, position: int, arrived: Arrived) -> None:
        """Have ``arrived(position, jpeg)`` called: at once when it is there, else from the reading thread.

        A frame that the video turns out not to have comes as empty bytes.
        """
        with self._lock:
            if not self._finished and not self._path(position).is_file():
                self._waiting.setdefault(position, []).append(arrived)
                return
        arrived(position, self._picture(position))

    def _read(self) -> None:
        try:
            missing = set(self._position.values())
            for frame in self._source:
                if self._closed.is_set() or not missing:
                    break
                position = self._position.get(frame.index)
                if position is not None:
                    self._keep(position, jpeg(frame.image, self._limit))
                    missing.discard(position)
        except Exception as error:
            # Whatever a damaged video brings: the boxes can be tuned without its pictures.
            if self._folder.is_dir():
                log.warning("The video's pictures end early: %s", error)
                self.error = error
        finally:
            with self._lock:
                self._finished = True
                left = [(p, call) for p, calls in self._waiting.items() for call in calls]
                self._waiting.clear()
            self._first.set()
            for position, call in left:
                call(position, b"")

    def _keep(self, position: int, data: bytes) -> None:
        partial = self._folder / f"{position}.part"
        partial.write_bytes(data)
        with self._lock:
            partial.replace(self._path(position))
            calls = self._waiting.pop(position, [])
        if position == 0:
            self._first.set()
        for call in calls:
            call(position, data)

    def close(self) -> None:
        """Stop reading and take the pictures away."""
        self._closed.set()
        if threading.current_thread() is not self._reader:
            self._reader.join(5.0)  # it may be writing the next picture
        self._left.cleanup()
