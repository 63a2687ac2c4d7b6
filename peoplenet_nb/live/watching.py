"""A stream through the network in a thread of its own, watched only or recorded, with what was seen of late.

What is recorded is a run like any other (`peoplenet_nb.video.run`), with its cells, so that thresholds can be moved
over it afterwards; it keeps the settings that it began with, whatever sliders do meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.decoding import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.grids import Grids
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame, Source
from peoplenet_nb.tracks import Counts, Scene, count, track_boxes
from peoplenet_nb.video import RunResult, run
from peoplenet_nb.video.pipeline import Pipeline
from peoplenet_nb.video.work import Worker

_REMEMBERED_S = 300.0
_MOST = 20_000  # frames that are remembered, however many a second there are
_TRACKED_S = 60.0
_MOST_TRACKED = 600  # frames; what tracking them costs is a second


@dataclass(frozen=True, eq=False)
class Seen:
    """A frame and what the network made of it."""

    number: int  #: of the frames that were seen, from 1
    frame: Frame
    grids: Grids
    at: float  #: ``time.monotonic()`` when its grids were there
    arrived: float  #: ``time.time()`` when it arrived


class Watching:
    """A live source, watched in a thread.

    Parameters
    ----------
    source : Source
        One that is live.
    model, settings
        As in `peoplenet_nb.run`; ``settings`` may be assigned anew at any time.
    output : str or Path, optional
        Where recordings go, as in `peoplenet_nb.run`.
    follow : bool
        Whether to follow people, for `people` and `lines`; it takes a second of a core every few.
    scene : Scene, optional
        Lines and zones to count at, which follows people too.

    Attributes
    ----------
    settings : Settings
        What boxes are told by from the next frame on.
    results : list of RunResult
        What was recorded.
    error : Exception or None
        What ended it.
    """

    def __init__(
        self,
        source: Source,
        model: PeopleNet,
        settings: Settings,
        output: str | Path | None = None,
        *,
        follow: bool = False,
        scene: Scene | None = None,
    ) -> None:
        if not source.live:
            step = "open it with live=True: open_source(..., live=True)."
            raise SettingsError("Only what is live can be watched", seen=source.info.spec, next_step=step)
        if scene is not None:
            scene.check_size((source.info.width, source.info.height))
        self.source, self.model, self.settings = source, model, settings
        self.scene, self.follow, self._output = scene, follow or scene is not None, output
        self.recording = False
        self.results: list[RunResult] = []
        self.error: Exception | None = None
        self.latest: Seen | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._kept: deque[tuple[float, Detections]] = deque(maxlen=_MOST)
        self._late: deque[float] = deque(maxlen=600)
        self._listeners: list[Callable[[], None]] = []

    # -- what a caller does

    @property
    def running(self) -> bool:
        """Whether it is being watched."""
        return self._thread is not None and self._thread.is_alive()

    def on_frame(self, listener: Callable[[], None]) -> None:
        """Call a function after each frame, from the thread that saw it."""
        self._listeners.append(listener)

    def start(self, record: bool = False) -> None:
        """Begin to watch, or to record; what is running otherwise is ended for that, which costs a second."""
        if self.running and record == self.recording:
            return
        self.stop()
        self.error, self.recording = None, record
        self._thread = threading.Thread(target=self._go, args=(record,), name="live", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 60.0) -> None:
        """Let go of the stream; what was recorded is joined to whole files meanwhile."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            ends = time.monotonic() + seconds
            while thread.is_alive() and time.monotonic() < ends:
                self.source.end()  # again and again: it may just be about to begin
                thread.join(0.1)
        self.recording = self.recording and self.running

    def _go(self, record: bool) -> None:
        try:
            if record:
                name = f"{self.source.info.stem}-{datetime.now():%Y%m%d-%H%M%S}"
                where: Any = {"output": self._output, "name": name, "save_grids": True, "progress": False}
                self.results.append(run(self.source, self.model, self.settings, **where, watch=self._saw))
                return
            pipeline = Pipeline(self.source, Worker(self.model, self.settings, draw=False, watch=self._saw))
            with closing(iter(pipeline)) as windows:
                for window in windows:
                    for _ in window:
                        pass
        except Exception as error:
            self.error = error
        finally:
            self.recording = False

    def _saw(self, frame: Frame, grids: Grids) -> None:
        found, now = decode(grids, self.settings).detections, time.monotonic()
        feed = self.source.feed
        with self._lock:
            late = 0.0 if feed is None else feed.now_s - frame.time_s
            self._late.append(late)
            self._kept.append((now, found))
            while self._kept[0][0] < now - _REMEMBERED_S:
                self._kept.popleft()
            number = 1 if self.latest is None else self.latest.number + 1
            self.latest = Seen(number, frame, grids, now, time.time() - late)
        for listener in self._listeners:
            listener()

    # -- what was seen of late

    def _recent(self, seconds: float) -> list[tuple[float, Detections]]:
        now = time.monotonic()
        with self._lock:
            return [one for one in self._kept if one[0] >= now - seconds]

    @property
    def fps(self) -> float:
        """Frames a second that the network saw, over the last five seconds."""
        recent = self._recent(5.0)
        span = recent[-1][0] - recent[0][0] if len(recent) > 1 else 0.0
        return (len(recent) - 1) / span if span > 0 else 0.0

    def latency_ms(self) -> tuple[float, float] | None:
        """Return p50 and p95 from arrival to boxes, of the last frames."""
        with self._lock:
            late = list(self._late)
        if not late:
            return None
        p50, p95 = np.percentile(late, (50, 95))
        return round(1e3 * float(p50), 1), round(1e3 * float(p95), 1)

    def counts(self, points: int = 120) -> list[list[float]]:
        """Return mean boxes of each class over the last minutes: how many seconds ago, then a number a class."""
        recent, now = self._recent(_REMEMBERED_S), time.monotonic()
        if not recent:
            return []
        step = max(1.0, (now - recent[0][0]) / points)
        bins: dict[int, list[list[int]]] = {}
        for at, found in recent:
            bins.setdefault(int((now - at) / step), []).append(list(found.counts().values()))
        return [
            [round(ago * step, 1), *np.mean(rows, axis=0).round(2).tolist()]
            for ago, rows in sorted(bins.items(), reverse=True)
        ]

    def people(self) -> tuple[int, Counts | None]:
        """Return how many different people there were in the last minute, and what was counted in the scene."""
        recent = self._recent(_TRACKED_S)[-_MOST_TRACKED:]
        if len(recent) < 2:
            return 0, None
        tracks = track_boxes([found for _, found in recent], [at - recent[0][0] for at, _ in recent])
        number = len(tracks.of_class("person").numbers)
        return number, None if self.scene is None else count(tracks, self.scene)

    @property
    def trouble(self) -> str:
        """Why nothing comes at this moment; empty when all is well."""
        if self.error is not None:
            return str(self.error)
        feed = self.source.feed
        if not self.running or feed is None or not feed.trouble:
            return ""
        return f"No frames for {feed.silent_s:.0f} s: {feed.trouble}"
