"""Stopping a pod when nobody works: no work on a GPU, no busy kernel, no run written, for so many minutes.

A countdown comes first, that anybody can see and stop. The pod is stopped, never terminated: its volume stays.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from typing import Any
from urllib.parse import urlsplit

import requests

from peoplenet_nb.errors import PeopleNetError, SettingsError
from peoplenet_nb.files import read_text
from peoplenet_nb.html_tables import note
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.runpod.api import PodError, Pods
from peoplenet_nb.web import read_up_to

logger: logging.Logger = logging.getLogger(__name__)

_LOOK_S = 15.0  # between two looks
_WARNING_S = 60.0  # of the countdown
_TRIES, _AGAIN_S = 10, 60.0  # to stop the pod
_GPU_BUSY = 5  # per cent
_UNITS = {"s": 1, "m": 60, "h": 3600}
_DEEPEST = ("*", "*/*", "*/*/*")
_WRITTEN = ("run.json", "summary.json", ".batch/workers")


def duration_s(text: str | float) -> float:
    """Return the seconds of a time such as ``20m``, ``90s`` or ``1.5h``; a number alone is minutes.

    Raises
    ------
    SettingsError
        When it is none, or none of at least ten seconds and at most a week.
    """
    found = re.fullmatch(r"\s*([0-9]{1,7}(?:\.[0-9]{1,6})?)\s*([smh]?)\s*", str(text))
    seconds = float(found[1]) * _UNITS[found[2] or "m"] if found else 0.0
    if not 10 <= seconds <= 7 * 86400:
        step = "write e.g. 20m, 90s or 1.5h."
        raise SettingsError("This is no time to wait for", seen=repr(str(text)), next_step=step)
    return seconds


def activity(folder: Path | None = None, since: float = 0.0) -> str:
    """Return what is going on, in words; empty when nothing is.

    Parameters
    ----------
    folder : Path, optional
        Where runs write; left out, `peoplenet_nb.paths.outputs_dir`.
    since : float
        A time as `time.time` gives it; what was written later counts.
    """
    busiest = max(gpu_use(), default=0)
    if busiest >= _GPU_BUSY:
        return f"a GPU works ({busiest} %)"
    if kernels := busy_kernels():
        return f"{kernels} busy kernel{'s' if kernels > 1 else ''}"
    if written := last_written(folder or outputs_dir(), since):
        return f"a run writes ({written})"
    return ""


def gpu_use() -> list[int]:
    """Return how busy each GPU is, in per cent; empty without one."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(word) for word in done.stdout.split() if word.isdecimal()] if done.returncode == 0 else []


def busy_kernels() -> int:
    """Return how many kernels of the Jupyter servers on this machine are busy."""
    try:
        from jupyter_core.paths import jupyter_runtime_dir
    except ImportError:
        return 0
    busy = 0
    for path in Path(jupyter_runtime_dir()).glob("jpserver-*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError, requests.RequestException):
            server = json.loads(read_text(path, 1 << 16))
            address = urlsplit(server["url"])
            if address.scheme not in ("http", "https"):
                continue
            # The server is on this machine, whatever name it listens by; its token goes nowhere else.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # its certificate is for another name
                answer = requests.get(
                    f"{address.scheme}://127.0.0.1:{int(server['port'])}{server.get('base_url', '/')}api/kernels",
                    headers={"Authorization": f"token {server['token']}"},
                    timeout=(2, 5),
                    allow_redirects=False,
                    stream=True,
                    verify=False,
                )
            data, whole = read_up_to(answer, 1 << 20)
            if answer.status_code == 200 and whole:
                busy += sum(kernel.get("execution_state") == "busy" for kernel in json.loads(data))
    return busy


def last_written(folder: Path, since: float) -> str:
    """Return the run that was written last, where that was after a time; else nothing."""
    newest, name = since, ""
    for pattern in _DEEPEST:
        for mark in _WRITTEN:
            with suppress(OSError):
                for path in folder.glob(f"{pattern}/{mark}"):
                    with suppress(OSError):
                        if (changed := path.stat().st_mtime) > newest:
                            newest, name = changed, str(path.parent.relative_to(folder))
    return name.removesuffix("/.batch")


class StopWhenIdle:
    """Waits until nobody works for a while, counts down, and stops this pod; in a notebook it shows itself.

    Parameters
    ----------
    after : str or float
        How long nothing goes on before: ``20m``.
    folder : Path, optional
        Where runs write.
    dry_run : bool
        Say what would be done, and do nothing.
    pods : Pods, optional
        Whom to ask.
    warning : float
        Seconds of the countdown.

    Raises
    ------
    SettingsError
        When the time makes no sense.
    PodError
        When this is no pod, unless it is a dry run.

    Examples
    --------
    >>> watch = StopWhenIdle("20m")  # doctest: +SKIP
    >>> watch  # shows itself, with a button "keep it"  # doctest: +SKIP
    """

    def __init__(
        self,
        after: str | float = "20m",
        folder: Path | None = None,
        *,
        dry_run: bool = False,
        pods: Pods | None = None,
        warning: float = _WARNING_S,
    ) -> None:
        self._after, self._folder, self._dry_run = duration_s(after), folder, dry_run
        self._pods, self._warning = pods or Pods(), warning
        self._pod = "this pod" if dry_run else self._pods.here
        self._would = "would be" if dry_run else "is"
        self._kept, self._ended = Event(), Event()
        self.said: str = ""
        self._widget: Any = None
        self._thread: Thread | None = None

    def keep(self) -> None:
        """Begin anew: somebody is there."""
        self._kept.set()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()
        self._kept.set()

    def watch(self, say: Callable[[str], object], look_s: float = _LOOK_S) -> bool:
        """Watch until the pod is stopped, or `end`; say what changes.

        Returns
        -------
        bool
            Whether it was stopped (or, in a dry run, would be).

        Raises
        ------
        PodError
            When it could not be stopped, tried for ten minutes.
        """
        last, marked = monotonic(), time()
        while not self._ended.is_set():
            if self._kept.is_set():
                self._kept.clear()
                last, marked = monotonic(), time()
            doing = activity(self._folder, marked)
            if doing:
                last, marked = monotonic(), time()
            idle = monotonic() - last
            left = self._after - idle
            # Whole minutes: the shell writes a line for each text that is new.
            what = doing or f"nothing goes on for {idle // 60:.0f} min"
            if left > self._warning:
                say(f"{what}; {self._pod} {self._would} stopped after {self._after / 60:g} min of that")
                self._kept.wait(min(look_s, left - self._warning))
            elif left > 0:
                say(f"{what}; {self._pod} {self._would} stopped in {left:.0f} s")
                self._kept.wait(min(1.0, look_s, left))
            else:
                break
        if self._ended.is_set():
            return False
        if self._dry_run:
            say(f"dry run: {self._pod} would be stopped now (stopped, not terminated; its volume stays)")
        else:
            say(f"{self._pod} was stopped by {self._stop(say)}; its volume stays, and is billed")
        return True

    def _stop(self, say: Callable[[str], object]) -> str:
        """Stop the pod and return by what; a failure may pass, and giving up at once costs a night."""
        for _ in range(_TRIES - 1):
            try:
                return self._pods.stop(self._pod)
            except PodError as error:
                say(f"{error.what}; tried again in {_AGAIN_S:.0f} s")
                if self._kept.wait(_AGAIN_S):  # somebody is there
                    raise
        return self._pods.stop(self._pod)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        import ipywidgets as widgets

        if self._widget is None:
            text = widgets.HTML()
            keep, end = widgets.Button(description="keep it"), widgets.Button(description="watch no longer")
            keep.on_click(lambda _: self.keep())
            end.on_click(lambda _: self.end())
            self._widget = widgets.VBox([text, widgets.HBox([keep, end])])

            def say(what: str) -> None:
                self.said, text.value = what, note(what)

            def work() -> None:
                try:
                    if not self.watch(say) and self._ended.is_set():
                        say("Nobody watches: the pod runs on, and is billed.")
                except PeopleNetError as error:
                    say(str(error))

            self._thread = Thread(target=work, name="stop-when-idle", daemon=True)
            self._thread.start()
        return self._widget._repr_mimebundle_(**kwargs)
