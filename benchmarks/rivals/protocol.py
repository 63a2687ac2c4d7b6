"""What a worker and `side_by_side.py` say to each other: a line of JSON each way, nothing but the standard library.

A worker is started as ``python with_NAME.py TASK.json``, in an environment of its own. It says what it is
(versions, notes), then answers each ``{"do": job, ...}`` on its standard input with one line: seconds and what
came out, or ``{"error": ...}``. So the contestants take turns in one run, however different their Pythons are.

One decision to know: the standard output belongs to the answers alone. Libraries that print (Ultralytics does)
find it turned into the error stream, which goes to a log.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

Task = Mapping[str, Any]
Answer = dict[str, Any]
Jobs = dict[str, Callable[..., Answer]]


def serve(build: Callable[[Task], tuple[Answer, Jobs]]) -> None:
    """Run a worker until its standard input ends.

    Parameters
    ----------
    build : callable
        Takes the task; returns what the worker says of itself and its jobs. Heavy imports belong into it, so
        that one that fails becomes an answer instead of a traceback that nobody reads.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    jobs: Jobs = {}

    def answer(make: Callable[[], Answer]) -> None:
        try:
            result = make()
        except Exception as error:
            result = {"error": reason(error)}
        print(json.dumps(result), file=answers, flush=True)

    def begin() -> Answer:
        about, made = build(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
        jobs.update(made)
        return about

    answer(begin)
    for line in sys.stdin:
        request = json.loads(line)
        answer(lambda request=request: jobs[request.pop("do")](**request))


def reason(error: BaseException) -> str:
    """Return an exception as one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def about(*distributions: str, notes: tuple[str, ...] = ()) -> Answer:
    """Return what a worker says of itself: the versions of what it measures, and what a reader must know."""
    return {"versions": {name: version(name) for name in distributions}, "notes": list(notes)}


def per_call(job: Callable[[], object], seconds: float = 0.2, least: int = 3) -> float:
    """Return the median seconds of one call, over as many as fit into ``seconds`` and at least ``least``."""
    job()  # the turn before was another's: caches are cold
    taken: list[float] = []
    ends = time.perf_counter() + seconds
    while len(taken) < least or time.perf_counter() < ends:
        began = time.perf_counter()
        job()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def once(job: Callable[[], int]) -> Answer:
    """Time one run of a job that returns how many frames it did."""
    began = time.perf_counter()
    frames = job()
    return {"seconds": time.perf_counter() - began, "frames": frames}
