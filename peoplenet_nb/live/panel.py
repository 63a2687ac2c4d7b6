"""A panel over a running stream: picture, boxes, counts over the last minutes, the tuner's sliders.

The stream runs in the kernel, whether or not a page looks at it. A page asks for the newest picture when it has shown
the last, and pictures get smaller while that takes long: nothing piles up behind a slow connection.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peoplenet_nb.decoding import decode
from peoplenet_nb.live.canvas import boxes_of
from peoplenet_nb.live.sliders import SliderPanel
from peoplenet_nb.live.watching import Seen, Watching
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.tracks import Scene
from peoplenet_nb.tuner.pictures import jpeg

_LEAST, _MOST = 320, 1280  # pixels of a picture's longer side
_SLOW_S, _FAST_S = 0.6, 0.3  # from a picture being sent to the next being asked for
_EVERY_S = 1.0  # that a page hears how things are, though no frame came
_TRACK_EVERY_S = 3.0

_panels: dict[str, LivePanel] = {}


def watch(
    source: str | Path | Source,
    model: PeopleNet | None = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    *,
    follow: bool = False,
    scene: Scene | None = None,
) -> LivePanel:
    """Return a panel over a live stream, watching it; where there is one over the same stream, that one.

    Parameters
    ----------
    source : str, Path or Source
        What `peoplenet_nb.open_source` takes; what is not live by its kind is opened with ``live=True``.
    model, settings, output
        As in `peoplenet_nb.run`.
    follow : bool
        Whether to say how many different people there were in the last minute.
    scene : Scene, optional
        Lines to count at.

    Raises
    ------
    SourceError
        When it cannot be opened.
    SettingsError
        When it is no video, or the scene is drawn for another size.
    """
    key = source.opened if isinstance(source, Source) else str(source)
    there = _panels.get(key)
    if there is not None and (model is None or model.file == there.model.file):
        there.watching.start(record=there.watching.recording)
        return there
    if not isinstance(source, Source):
        source = open_source(source, live=True)
    if there is not None:  # nobody could stop it any more
        there.close()
    panel = LivePanel(source, model or PeopleNet.load(), settings, output, follow=follow, scene=scene)
    _panels[key] = panel
    panel.watching.start()
    return panel


class LivePanel(SliderPanel):
    """The panel; made by `watch`.

    Attributes
    ----------
    watching : Watching
        What runs behind it: start, stop, results.
    """

    def __init__(
        self,
        source: Source,
        model: PeopleNet,
        settings: Settings | None = None,
        output: str | Path | None = None,
        *,
        follow: bool = False,
        scene: Scene | None = None,
    ) -> None:
        self._changes = threading.Condition()
        self._asked: Mapping[str, Any] | None = None  # what the page waits for
        self._stale = False  # the settings changed since the last picture
        self._side, self._sent = _MOST // 2, 0.0
        self._people: dict[str, Any] = {"tracks": None, "lines": []}
        super().__init__(model, settings, (source.info.width, source.info.height), "stream")
        self.watching: Watching = Watching(
            source, self.model, self.settings, output, follow=follow, scene=scene
        )
        self.watching.on_frame(self._wake)
        for target in (self._serve, self._follow) if self.watching.follow else (self._serve,):
            threading.Thread(target=target, name="live-panel", daemon=True).start()

    @property
    def results(self) -> list[Any]:
        """What was recorded, the last one last."""
        return self.watching.results

    def close(self) -> None:
        """Stop watching and take the panel away."""
        self.watching.stop()
        with self._changes:
            self._closed = True
            self._changes.notify_all()
        for key in [key for key, panel in _panels.items() if panel is self]:
            del _panels[key]
        super().close()

    _closed = False

    def _changed(self) -> None:
        if hasattr(self, "watching"):
            self.watching.settings = self.settings
            self._stale = True
            self._wake()

    def _wake(self) -> None:
        with self._changes:
            self._changes.notify_all()

    def _answer(self, content: Mapping[str, Any], _: Any) -> None:
        kind = content.get("type")
        if kind == "next":
            with self._changes:
                self._adapt(time.monotonic() - self._sent, int(content.get("width") or 0))
                self._asked = content
                self._changes.notify_all()
        elif kind in ("start", "record"):
            self.watching.start(record=kind == "record")
        elif kind == "stop":
            # Joining an hour of video takes a while, and the page shall see how it goes.
            threading.Thread(target=self.watching.stop, name="live-stop", daemon=True).start()

    def _adapt(self, took: float, width: int) -> None:
        """Make pictures smaller while they take long to come, and larger while they do not."""
        if self._asked is None and self._sent:
            wanted = self._side * (0.75 if took > _SLOW_S else 1.15 if took < _FAST_S else 1.0)
            self._side = round(max(_LEAST, min(wanted, _MOST, max(width, _LEAST))))

    # -- threads of its own

    def _serve(self) -> None:
        """Answer the page: with a picture when there is a new one, else now and then with how things are."""
        while not self._closed:
            with self._changes:
                fresh = self._changes.wait_for(self._due, _EVERY_S)
                asked, self._stale = self._asked, self._stale and not fresh
                if fresh:
                    self._asked = None
            try:
                latest = self.watching.latest
                if fresh and asked is not None and latest is not None:
                    self._send(latest)
                elif asked is not None:
                    self.canvas.send({"type": "state", "state": self.state()})
                self._failed("serve", self.watching.error)
            except Exception as error:
                self._failed("serve", error)

    def _due(self) -> bool:
        latest = self.watching.latest
        if self._closed or self._asked is None or latest is None:
            return self._closed
        return self._stale or latest.number != self._asked.get("seen")

    def _send(self, latest: Seen) -> None:
        image = latest.frame.image
        content = {
            "type": "picture",
            "n": latest.number,
            "boxes": boxes_of(decode(latest.grids, self.settings).detections),
            "size": [image.shape[1], image.shape[0]],
            "clock": 1e3 * latest.arrived,
            "state": self.state(),
        }
        data = jpeg(image, self._side)
        self._sent = time.monotonic()
        self.canvas.send(content, [data])

    def _follow(self) -> None:
        while not self._closed:
            time.sleep(_TRACK_EVERY_S)
            try:
                if self.watching.running:
                    number, counted = self.watching.people()
                    rows = (
                        [] if counted is None else counted.lines()[["line", "in", "out"]].to_numpy().tolist()
                    )
                    self._people = {"tracks": number, "lines": rows}
                self._failed("tracks", None)
            except Exception as error:
                self._failed("tracks", error)

    def state(self) -> dict[str, Any]:
        """Return what the page shows beside the picture."""
        watching, feed = self.watching, self.watching.source.feed
        late = watching.latency_ms()
        words = ""
        if watching.results and not watching.running:
            words = f"Recorded to {watching.results[-1].folder}"
        elif watching.recording:
            words = "Recording"
        return {
            "name": watching.source.info.name,
            "running": watching.running,
            "recording": watching.recording,
            "trouble": watching.trouble,
            "error": "" if watching.error is None else str(watching.error),
            "fps": watching.fps,
            "arrived": feed.arrived if feed else 0,
            "dropped": feed.dropped if feed else 0,
            "p50": late[0] if late else None,
            "p95": late[1] if late else None,
            "counts": watching.counts(),
            "words": words,
            **self._people,
        }
