"""What answers: a model, settings, the inference thread; and how both are replaced while it runs.

One decision to know: a call takes what is served at its beginning, one value that never changes, and keeps it to its
end. So a new model or settings file is a new value, and no call sees half of it or is lost.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from peoplenet_nb.errors import PeopleNetError, SettingsError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.network.batching import best_batch
from peoplenet_nb.network.devices import Device
from peoplenet_nb.serve.inference import InferenceThread
from peoplenet_nb.serve.limits import Gate, Limits
from peoplenet_nb.serve.metrics import Metrics
from peoplenet_nb.serve.refusals import RefusedError
from peoplenet_nb.serve.values import Served, State
from peoplenet_nb.settings import PRESETS, Settings, bind, preset

logger: logging.Logger = logging.getLogger(__name__)

Stamp = tuple[int, ...]

_FRAME = (1280, 720)  # what batches are probed with
_LOOKS = 0.5  # seconds between two looks at the files
_SMOOTH = 0.1  # weight of the newest batch in the time of a call


def hash_of(settings: Settings) -> str:
    """Return twelve hexadecimal digits that name what settings say, whatever their preset is called."""
    data = settings.to_dict() | {"preset": ""}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and settings that go together, as calls take them."""

    model: PeopleNet
    settings: Settings
    batch: int
    beside: PeopleNet | None = (
        None  #: the model with fewer threads, of which ``batch`` run side by side (a CPU)
    )

    @cached_property
    def _models(self) -> dict[tuple[FitMode, int], PeopleNet]:
        return {(fit, tiles): self.model.looking(fit, tiles) for fit in FitMode for tiles in (1, 2)}

    def looking(self, settings: Settings) -> PeopleNet:
        """Return the model that looks at pictures as settings want it; all share one session."""
        return self._models[settings.fit, settings.tiles]

    def choose(
        self,
        own: Settings | None = None,
        name: str | None = None,
        fit: FitMode | None = None,
        thresholds: Mapping[str, float] | None = None,
    ) -> Settings:
        """Return the settings of a call.

        Parameters
        ----------
        own : Settings, optional
            That the call brings, whole.
        name : str, optional
            A preset, in place of the service's own settings.
        fit : FitMode, optional
            How to preprocess, where the settings serve more than one.
        thresholds : mapping, optional
            By class.

        Raises
        ------
        SettingsError
            When they make no sense, exclude each other, or name a class that the model has not.
        """
        if own is not None and (name or fit or thresholds):
            step = "send the one or the others."
            raise SettingsError("Whole settings exclude preset, fit and threshold", next_step=step)
        settings = preset(name, fit or FitMode.AUTO) if name else own or self.settings
        if fit and not name:
            settings = settings.for_fit(fit)
        for label, threshold in (thresholds or {}).items():
            settings = settings.with_class(label, threshold=threshold)
        bind(settings, self.model.labels)
        return settings

    def about(self, limits: Limits) -> Served:
        """Return what a client may know of it."""
        file = self.model.file
        return Served(
            model=file.path.name,
            model_sha256=file.sha256,
            standin=file.standin,
            device=self.model.device,
            precision=str(self.model.precision),
            batch=self.batch,
            labels=list(file.labels),
            network_size=file.network_size,
            settings=self.settings.to_dict(),
            settings_hash=hash_of(self.settings),
            presets=list(PRESETS),
            limits=asdict(limits),
        )


def settings_of(text: str) -> Settings:
    """Return settings from JSON.

    Raises
    ------
    SettingsError
        When it is no JSON, or no settings.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        step = 'write them as {"classes": {"face": {"threshold": 0.1}}}; /settings shows those in use.'
        raise SettingsError("The settings are no JSON", seen=error, next_step=step) from error
    return Settings.from_dict(data)


class Service:
    """A model behind a queue.

    Parameters
    ----------
    load : callable
        Returns the model; called in a thread of its own, and again when its file has changed.
    read : callable
        Returns the settings; called again when their file has changed.
    settings_file : Path, optional
        Where they are read from.
    limits : Limits
    """

    def __init__(
        self,
        load: Callable[[], PeopleNet],
        read: Callable[[], Settings] = preset,
        *,
        settings_file: Path | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.limits: Limits = limits or Limits()
        self.gate: Gate = Gate(self.limits)
        self.metrics: Metrics = Metrics()
        self.metrics.follow(self)
        self.failure: Exception | None = None  #: why nothing could be loaded at the start
        self._load, self._read, self._settings_file = load, read, settings_file
        self._loaded: Loaded | None = None
        self._served: tuple[Stamp | None, Stamp | None] = (None, None)
        self._note = ""
        self._stopping = threading.Event()
        self._thread = InferenceThread(self.limits.wait_ms / 1e3, self._batch_done)
        self.put = self._thread.put

    def start(self, failed: Callable[[], None] = lambda: None) -> None:
        """Begin to load, and then watch the files; ``failed`` is called when there is nothing to serve."""
        threading.Thread(target=self._keep, args=(failed,), name="peoplenet-files", daemon=True).start()

    @property
    def state(self) -> State:
        """Whether it answers."""
        name: Literal["stopping", "ready", "loading"] = (
            "stopping" if self._stopping.is_set() else "ready" if self._loaded else "loading"
        )
        return State(state=name, note=self._note)

    @property
    def waiting(self) -> int:
        """Calls in the queue before the network."""
        return self._thread.waiting

    @property
    def loaded(self) -> Loaded:
        """What is served now.

        Raises
        ------
        RefusedError
            503 while it is being loaded, and when the service is stopping.
        """
        if self._stopping.is_set():
            step = "send the call to another one."
            raise RefusedError(503, "The service is stopping", None, step, retry_after=5)
        if self._loaded is None:
            step = "try again in some seconds."
            raise RefusedError(503, "The model is being loaded", None, step, retry_after=2)
        return self._loaded

    def stop(self) -> None:
        """Refuse new calls from now on; those that are in are answered."""
        self._stopping.set()

    def drained(self, seconds: float) -> bool:
        """Wait until the calls that were in are answered, and return whether they were in time."""
        until = time.monotonic() + seconds
        while self.gate.calls and time.monotonic() < until:
            time.sleep(0.02)
        return not self.gate.calls

    def close(self) -> None:
        """Stop, and end the inference thread."""
        self.stop()
        self._thread.close()

    def reload(self, *, model: bool = True) -> None:
        """Read the settings, and load the model too, and serve them from now on; what fails changes nothing."""
        before, now = self._loaded, self._look()
        if model or before is None:
            loaded = self._load()
            batch, beside = _together(loaded, self.limits.max_batch)
        else:
            loaded, batch, beside = before.model, before.batch, before.beside
        settings = self._read()
        bind(settings, loaded.labels)
        # Known before anybody is answered, or a file that is replaced at once would never be looked at.
        self._served = (now[0] or _stamp(loaded.file.path), now[1])
        self._loaded = Loaded(loaded, settings, batch, beside)
        self._note = ""
        self.metrics.loaded(self._loaded.about(self.limits))

    def _look(self) -> tuple[Stamp | None, Stamp | None]:
        """Return what changes with the model's file and with the settings'."""
        path = self._loaded.model.file.path if self._loaded else None
        return _stamp(path), _stamp(self._settings_file)

    def _keep(self, failed: Callable[[], None]) -> None:
        try:
            self.reload()
        except Exception as error:
            self.failure = error
            failed()
            return
        tried = last = self._served
        while not self._stopping.wait(_LOOKS):
            now = self._look()
            settled, last = now == last, now  # a file that is being written is looked at again
            if now == tried or not settled:
                continue
            tried = now
            try:
                self.reload(model=now[0] != self._served[0])
                logger.warning("the model or the settings have changed: the new ones are served now")
            except Exception as error:
                # The note is for everybody, without a token: no paths, no values.
                short = whole = type(error).__name__
                if isinstance(error, PeopleNetError):
                    short, whole = error.what, str(error)
                self._note = f"what was changed is not served: {short}"
                self.metrics.reload_failures.inc()
                logger.warning("what was changed is not served: %s", whole)

    def _batch_done(self, pictures: int, seconds: float) -> None:
        self.metrics.batch_size.observe(pictures)
        self.metrics.network_seconds.observe(seconds)
        gate = self.gate
        gate.seconds_a_call += _SMOOTH * (seconds / pictures - gate.seconds_a_call)


def _together(model: PeopleNet, most: int) -> tuple[int, PeopleNet | None]:
    """Return how many pictures go together, and on a CPU the model of which so many run side by side."""
    cores = model.backend.threads
    if model.backend.device is not Device.CPU or min(cores, most) == 1:
        return min(most, best_batch(model, _FRAME)), None
    return min(most, cores), model.with_threads(max(1, cores // most))


def _stamp(path: Path | None) -> Stamp | None:
    """Return what changes with a file; None while it is not there."""
    try:
        status = path.stat() if path else None
    except OSError:
        status = None
    return (status.st_mtime_ns, status.st_size, status.st_ino) if status else None
