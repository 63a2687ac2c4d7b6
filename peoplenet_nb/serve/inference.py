"""The one thread that runs the network, and the queue before it.

Two decisions to know. A picture waits for others only where a device gains from batches (`best_batch`), and never
longer than a few milliseconds from when it came; what has piled up meanwhile goes together anyway. And on a CPU
pictures go side by side once there is one for each of its cores (`Job.beside`), because an inference on all cores
spends a part of their time waiting for each other; a picture alone gets them all. The queue itself has no bound,
because the gate has one: what is not in progress cannot be in the queue.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.preprocess import NetworkInput


@dataclass(frozen=True)
class Answer:
    """What the network made of the pictures of one call."""

    grids: list[Grids]
    waited: float  #: seconds in the queue
    network: float  #: seconds in the network, of all that went together
    batch: int  #: pictures that did


@dataclass(eq=False)
class Job:
    """The pictures of one call on their way through the network."""

    model: PeopleNet  #: whose input they are; it stays alive as long as they do
    inputs: NetworkInput
    fits: list[Fit]
    most: int  #: pictures in one batch
    beside: PeopleNet | None = None  #: on a CPU: the model with so few threads that ``most`` run side by side
    answer: Future[Answer] = field(default_factory=Future)
    came: float = field(default_factory=time.perf_counter)


class InferenceThread:
    """Runs what is put into its queue, in order, several at once where that pays.

    Parameters
    ----------
    wait : float
        Seconds that a picture waits for others, from when it came.
    watch : callable, optional
        Told ``(pictures, seconds)`` after each batch.
    """

    def __init__(self, wait: float, watch: Callable[[int, float], None] | None = None) -> None:
        self._wait = wait
        self._watch = watch or (lambda _pictures, _seconds: None)
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._side = ThreadPoolExecutor(available_threads(), "peoplenet-beside")
        self._next: Job | None = None  # taken from the queue, and did not fit into the batch before
        self._thread = threading.Thread(target=self._work, name="peoplenet-inference", daemon=True)
        self._thread.start()

    def put(self, job: Job) -> Future[Answer]:
        """Queue a job; cancelling its future before its batch begins leaves it out."""
        self._queue.put(job)
        return job.answer

    @property
    def waiting(self) -> int:
        """Jobs in the queue, about."""
        return self._queue.qsize()

    def close(self) -> None:
        """Answer what is queued and end the thread."""
        self._queue.put(None)
        self._thread.join()
        self._side.shutdown()

    def _work(self) -> None:
        while True:
            first = self._next or self._queue.get()
            self._next = None
            if first is None:
                return
            jobs, ended = self._batch(first)
            jobs = [job for job in jobs if job.answer.set_running_or_notify_cancel()]
            if jobs:
                self._run(jobs)
            del first, jobs  # or the last job's pictures and model would be kept until the next one comes
            if ended:
                return

    def _batch(self, first: Job) -> tuple[list[Job], bool]:
        """Return the jobs that go together with the first, and whether the queue has ended."""
        jobs, pictures = [first], len(first.fits)
        until = first.came + (0.0 if first.beside else self._wait)
        while pictures < first.most:
            try:
                # One that has waited takes whoever is there, without waiting for more.
                job = self._queue.get(timeout=max(0.0, until - time.perf_counter()))
            except queue.Empty:
                break
            if job is None:
                return jobs, True
            if job.model.backend is not first.model.backend or pictures + len(job.fits) > first.most:
                self._next = job
                break
            jobs.append(job)
            pictures += len(job.fits)
        return jobs, False

    def _run(self, jobs: list[Job]) -> None:
        most, beside = jobs[0].most, jobs[0].beside
        alone = [[job] for job in jobs]
        if beside is not None and len(jobs) == most:
            began = time.perf_counter()
            list(self._side.map(partial(self._infer, model=beside, batch=most), alone))
            self._watch(most, time.perf_counter() - began)
            return
        for some in [jobs] if beside is None else alone:
            began = time.perf_counter()
            pictures = sum(len(job.fits) for job in some)
            self._infer(some, some[0].model, pictures)
            self._watch(pictures, time.perf_counter() - began)

    def _infer(self, jobs: list[Job], model: PeopleNet, batch: int) -> None:
        began = time.perf_counter()
        try:
            inputs = jobs[0].inputs if len(jobs) == 1 else np.concatenate([job.inputs for job in jobs])
            grids = model.infer_input(inputs, [fit for job in jobs for fit in job.fits])
        except Exception as error:
            if len(jobs) > 1:  # one call's values must not cost the others their answers
                for job in jobs:
                    self._infer([job], model, len(job.fits))
            else:
                jobs[0].answer.set_exception(error)
            return
        took, at = time.perf_counter() - began, 0
        for job in jobs:
            own = grids[at : at + len(job.fits)]
            at += len(job.fits)
            job.answer.set_result(Answer(own, began - job.came, took, batch))
