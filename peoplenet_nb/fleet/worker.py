"""One worker of a batch: it takes a video that is free, runs it to its end, and takes the next.

A process of its own, started by `peoplenet_nb.fleet.local`, or an actor of Ray's. The network is loaded once. It ends
when there is nothing to be had, when it is told to stop, or when something is wrong that is not the video's fault: a
full disk, a model that does not load. Told to stop, it gives back the video that it has, whatever it is doing then.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import ModelError, OutputError, PeopleNetError
from peoplenet_nb.fleet.claims import HEARTBEAT_S, Claims
from peoplenet_nb.fleet.listing import Job, live_refused
from peoplenet_nb.fleet.picture import save_picture
from peoplenet_nb.fleet.request import Request, error_data
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.network.devices import Device
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.videofile import VideoFile
from peoplenet_nb.urls import hide_secrets_in
from peoplenet_nb.video import run
from peoplenet_nb.video.result import RunResult
from peoplenet_nb.video.several import COMMON

logger: logging.Logger = logging.getLogger(__name__)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE}


class Worker:
    """Works through the videos of a start.

    Parameters
    ----------
    output : Path
        The batch's folder.
    start : dict
        What the coordinator wrote of this start: ``id``, ``request``, ``jobs`` in the order to try them, ``tries``,
        ``stale_s``.
    token : str
        This worker's name.
    """

    def __init__(self, output: Path, start: dict[str, Any], token: str) -> None:
        self.output = output
        self.request: Request = Request(**start["request"])
        self.jobs: dict[str, Job] = {job["name"]: Job(**job) for job in start["jobs"]}
        self.claims: Claims = Claims(output, token, start["tries"], start["stale_s"])
        self.claims.state.start = start["id"]
        self.stopping: threading.Event = threading.Event()
        self._claim: tuple[str, int] | None = None
        self._running = False  # a video, which may be interrupted at any moment
        self._loaded: PeopleNet | None = None
        self._ended = threading.Event()
        self.told = True  #: whether its state says what ended it

    def work(self) -> None:
        """Take videos until there is none; what ended it early stands in its state."""
        beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beating.start()
        try:
            self.claims.beat()
            while not self.stopping.is_set() and (claim := self.claims.take(self.jobs)):
                self._claim = claim
                self._one(*claim)
        except KeyboardInterrupt:
            logger.info("stopped")
        except PeopleNetError as error:
            self.claims.state.error = error_data(error)
        finally:
            self._ended.set()
            beating.join()
            if self._claim:
                with suppress(OutputError):
                    self.claims.leave(*self._claim)
            if self.claims.state.error:
                self.told = False
                with suppress(OutputError):  # the disk may be full
                    self.claims.beat()
                    self.told = True
            else:
                self.claims.close()

    def _one(self, name: str, number: int) -> None:
        job, state, began = self.jobs[name], self.claims.state, time.perf_counter()
        state.name, state.frames, state.expected = name, 0, None
        try:
            result = self._run(job)
            save_picture(result, self.output, name)
        except Exception as error:
            if isinstance(error, COMMON) or _machine_fault(error):  # wrong with every video
                raise
            logger.warning("%s failed: %s", name, hide_secrets_in(traceback.format_exc(), job.source))
            self.claims.fail(name, number, hide_secrets_in(_reason(error), job.source))
        else:
            summary = result.summary
            self.claims.finish(
                name,
                {
                    "state": "complete",
                    "source": job.shown,
                    "stamp": job.stamp,
                    "frames": summary["frames"],
                    "duration_s": _duration(summary),
                    "counts": summary["counts"],
                    "seconds": round(time.perf_counter() - began, 2),
                    "tries": number,
                    "host": state.host,
                    "notes": result.notes,
                },
            )
        self._claim = None
        state.name, state.expected = "", None

    def interrupt(self, *_: object) -> None:
        """Stop soon: a signal reaches the main thread in whatever it does, and only a run bears being interrupted."""
        self.stopping.set()
        if self._running:
            self._running = False
            raise KeyboardInterrupt

    def _run(self, job: Job) -> RunResult:
        self._running = True
        try:
            if self.stopping.is_set():
                raise KeyboardInterrupt
            return self._run_video(job)
        finally:
            self._running = False

    def _run_video(self, job: Job) -> RunResult:
        asked, state = self.request, self.claims.state
        settings = Settings.from_dict(job.settings or asked.settings)
        source = open_source(
            job.source,
            every=asked.every,
            frames=asked.frames,
            start=asked.start,
            progress=False,
            decoder=asked.decoder,
        )
        if isinstance(source, VideoFile) and source.endless:
            raise live_refused(job.shown)
        state.expected = source.expected

        def tick() -> None:
            state.frames += 1
            state.total += 1
            # The main thread is interrupted by a signal, which ends the part in progress; an actor has only this.
            if self.stopping.is_set() and threading.current_thread() is not threading.main_thread():
                raise KeyboardInterrupt

        return run(
            source,
            self._model(),
            settings,
            self.output,
            name=job.name,
            video=asked.video,
            save_grids=asked.save_grids,
            keyframes=asked.keyframes,
            batch=asked.batch,
            encoder=asked.encoder,
            resume=True,
            progress=tick,
        )

    def _model(self) -> PeopleNet:
        """Return the network, loaded once, with the threads that a run takes; settings choose the fit."""
        if self._loaded is None:
            model = PeopleNet.load(self.request.model, self.request.device, precision=self.request.precision)
            if model.file.sha256 != self.request.model_sha256:
                raise ModelError(
                    "The model is another one than this batch began with",
                    seen=f"{model.file.path}, {model.file.sha256}",
                    next_step="use the same on all machines, or choose another --output.",
                )
            self._loaded = (
                model.with_threads(1) if model.backend.device in (Device.CPU, Device.MNN) else model
            )
        return self._loaded

    def _beat(self) -> None:
        """Say every few seconds that this worker lives; end it at once where a video was taken from it meanwhile."""
        while not self._ended.wait(HEARTBEAT_S if self._claim and self.claims.state.frames else 0.5):
            try:
                claim = self._claim
                if claim and self.claims.lost(*claim):
                    logger.error("%s was taken over: this worker was not heard of for long", claim[0])
                    os._exit(os.EX_TEMPFAIL)  # two writers would spoil each other's parts
                self.claims.beat()
            except PeopleNetError as error:  # the run itself meets it, too
                logger.warning("%s", error)


def _machine_fault(error: Exception) -> bool:
    """Return whether something is the machine's fault and would meet the next video too: a full disk, say."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL and isinstance(error, OutputError):
            return True
        cause = cause.__cause__
    return False


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, PeopleNetError) else f"{type(error).__name__}: {error}"


def _duration(summary: dict[str, Any]) -> float | None:
    """Return the seconds of video that were run over, as far as its rate is known."""
    fps = summary["source"]["fps"]
    return round(summary["frames"] * summary["sampling"]["every"] / fps, 2) if fps else None


def _stop_with_parent(worker: Worker) -> None:
    """Finish the part in progress and end, when the coordinator says so by closing the pipe, or is gone."""
    while os.read(0, 1):  # not sys.stdin: Python aborts at its end where a thread still waits in that
        pass
    worker.stopping.set()
    os.kill(os.getpid(), signal.SIGINT)  # a run ends its part on it


def main(start: bytes) -> None:
    """Work for a start, as JSON; the batch's folder and the worker's name are the process's arguments."""
    output, token = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s: %(message)s")
    worker = Worker(Path(output), json.loads(start), token)
    signal.signal(signal.SIGINT, worker.interrupt)
    threading.Thread(target=_stop_with_parent, args=(worker,), daemon=True).start()
    worker.work()
    code = os.EX_SOFTWARE if worker.told else os.EX_IOERR
    sys.exit(code if worker.claims.state.error else 0)
