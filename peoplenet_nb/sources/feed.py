"""The newest frame of a live stream: a thread reads, whoever asks gets what came last, and what was missed is counted.

The thread connects again, for ever, when a stream ends, stalls or refuses: the end of a live stream is a fault of the
network until somebody says otherwise. Times are those of this machine's clock, because a camera's own begin anew with
every connection.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from peoplenet_nb.errors import SourceError

logger: logging.Logger = logging.getLogger(__name__)

_LOOK_S = 0.5  # how often a waiting reader looks at the clock
_MOST_GAPS = 10_000  # kept; a camera that comes and goes every minute for a week


class Buffer(StrEnum):
    """What becomes of a frame that nobody has taken when the next one comes."""

    #: The newest takes its place: a slow network sees fewer frames, never older ones.
    DROP_OLDEST = "drop_oldest"
    #: The stream waits: no frame is left out, and the delay grows.
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a stream counts as gone, and how soon it is asked for again; in seconds."""

    open_s: float = 15.0  #: until the first frame of a connection
    frame_s: float = 5.0  #: between two frames
    least_pause_s: float = 0.5  #: before it is connected to again; doubled with every failure ...
    most_pause_s: float = 15.0  #: ... up to this


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without frames, in seconds from the start of the reading."""

    begins_s: float
    ends_s: float
    reason: str  #: without secrets


class Arrived(NamedTuple):
    """A frame as it came."""

    number: int  #: of all that arrived, those that were dropped too
    time_s: float  #: of its arrival, from the start of the reading
    pixels: Any


#: ``time.monotonic()`` and a picture; None for data that is none yet.
Connection = Generator[tuple[float, Any]]


class Feed:
    """One reading of a live stream; `start` it, `take` frames, and `stop` it.

    Parameters
    ----------
    connect : callable
        Connects and yields what arrives; it ends or raises a `SourceError` when the connection does.
    limits : Limits
    buffer : Buffer
    seconds : float, optional
        How long to read; until `stop` when left out.
    name : str
        What the stream is called in the log.
    began : datetime, optional
        When it was begun, where this reading goes on from an earlier one.
    first : int
        Index of the first frame.
    last_s : float, optional
        When the last frame of the earlier reading came.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        limits: Limits,
        buffer: Buffer = Buffer.DROP_OLDEST,
        *,
        seconds: float | None = None,
        name: str = "stream",
        began: datetime | None = None,
        first: int = 0,
        last_s: float | None = None,
    ) -> None:
        self._connect, self._limits, self._buffer, self._name = connect, limits, buffer, name
        now = datetime.now(UTC)
        self.began: datetime = began or now  #: wall-clock time of second 0
        # Never before the last frame: a machine's clock may have been put back since.
        self._zero = time.monotonic() - max(0.0, last_s or 0.0, (now - self.began).total_seconds())
        self._seconds = seconds
        self.arrived: int = first  #: frames that came
        self.dropped: int = 0  #: those of them that a newer one replaced
        self.gaps: list[Gap] = []
        self._last_s: float = self.now_s if last_s is None else last_s  # when the last frame came
        self._first = True  # no frame came yet
        self._reason = "" if last_s is None else "the run was interrupted"  # why the connection is gone
        self._warned = False
        self._slot: Arrived | None = None
        self._error: BaseException | None = None
        self._over = threading.Event()
        self._changed = threading.Condition()  # reentrant: Ctrl-C may call `stop` from within any method
        self.thread: threading.Thread = threading.Thread(target=self._read, name="stream", daemon=True)

    @property
    def now_s(self) -> float:
        """Seconds from the start of the reading."""
        return time.monotonic() - self._zero

    def start(self) -> None:
        """Begin to read."""
        _running.add(self)
        self.thread.start()

    def stop(self) -> None:
        """Read no further; the thread ends with what it waits for, within the limits."""
        with self._changed:
            if not self._over.is_set():
                self._over.set()
                if trouble := self.trouble:
                    self._note_gap(Gap(self._last_s, self.now_s, trouble))
            self._changed.notify_all()

    @property
    def trouble(self) -> str:
        """Why no frames come at this moment; empty when all is well."""
        with self._changed:
            late = self.now_s - self._last_s > (self._limits.open_s if self._first else self._limits.frame_s)
            return self._reason or ("no frame came" if late else "")

    @property
    def silent_s(self) -> float:
        """Seconds since the last frame."""
        return self.now_s - self._last_s

    def at(self, time_s: float) -> datetime:
        """Return the wall-clock time of a second of the reading."""
        return self.began + timedelta(seconds=time_s)

    def clock(self, monotonic: float) -> float:
        """Return the second of the reading at which ``time.monotonic()`` was so."""
        return monotonic - self._zero

    def take(self) -> Arrived | None:
        """Return the next frame, when there is one; None at the end."""
        with self._changed:
            while True:
                left = float("inf") if self._seconds is None else self._seconds - self.now_s
                if self._error is not None:
                    raise self._error
                if left <= 0:
                    self.stop()
                if self._over.is_set():
                    return None
                if self._slot is not None:
                    frame, self._slot = self._slot, None
                    self._changed.notify_all()
                    return frame
                if not self._warned and (trouble := self.trouble):
                    self._warned = True
                    logger.warning("%s: no frames at the moment: %s", self._name, trouble)
                self._changed.wait(min(left, _LOOK_S))

    def _put(self, at: float, pixels: Any) -> None:
        with self._changed:
            time_s = max(at - self._zero, self._last_s)
            if trouble := self.trouble:
                self._note_gap(Gap(self._last_s, time_s, trouble))
                if self._warned:
                    logger.warning("%s: frames come again, after %.1f s", self._name, time_s - self._last_s)
            self._last_s, self._first, self._reason, self._warned = time_s, False, "", False
            while self._slot is not None and self._buffer is Buffer.WAIT and not self._over.is_set():
                self._changed.wait(_LOOK_S)
                self._last_s = self.now_s  # a stream that waits for us is not gone
            self.dropped += self._slot is not None
            self._slot = Arrived(self.arrived, time_s, pixels)
            self.arrived += 1
            self._changed.notify_all()

    def _note_gap(self, gap: Gap) -> None:
        if len(self.gaps) < _MOST_GAPS:
            self.gaps.append(gap)

    def _read(self) -> None:
        pause = self._limits.least_pause_s
        try:
            while not self._over.is_set():
                try:
                    reason, frames = self._read_once()
                except SourceError as error:
                    reason, frames = error.what, 0
                if self._over.is_set():
                    return
                with self._changed:
                    self._reason = f"{self._reason.split('; ')[0]}; {reason}" if self._reason else reason
                pause = self._limits.least_pause_s if frames else min(2 * pause, self._limits.most_pause_s)
                logger.info("%s: %s; connecting again in %.1f s", self._name, reason, pause)
                self._over.wait(pause)
        except BaseException as error:  # a fault of ours: whoever takes frames shall see it
            with self._changed:
                self._error = error
                self._changed.notify_all()
        finally:
            _running.discard(self)

    def _read_once(self) -> tuple[str, int]:
        """Read a connection to its end; return why that came, and how many frames did before."""
        frames, last = 0, time.monotonic()
        with closing(self._connect()) as connection:
            for at, pixels in connection:
                if self._over.is_set():
                    return "it was stopped", frames
                if pixels is not None:
                    frames, last = frames + 1, at
                    self._put(at, pixels)
                    last = max(last, time.monotonic() if self._buffer is Buffer.WAIT else last)
                elif at - last > (self._limits.frame_s if frames else self._limits.open_s):
                    return "data comes, but no pictures", frames
        return "the connection ended", frames


_running: weakref.WeakSet[Feed] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Let no thread be in FFmpeg when Python goes away: that ends in a crash."""
    for feed in list(_running):
        feed.stop()
    for feed in list(_running):
        feed.thread.join(feed._limits.open_s + 2 * feed._limits.frame_s)
