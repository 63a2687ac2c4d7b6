"""What sends pictures to a service for `service.py`: clients that wait for their answers, and calls on a clock."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

IDLE = 30.0  # seconds after which a client opens another connection


@dataclass
class Told:
    """What the service answered to many calls."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of those with boxes
    lost: Counter[str] = field(default_factory=Counter)


class Caller:
    """One connection."""

    def __init__(self, port: int, body: bytes) -> None:
        self._body = body
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._used = time.perf_counter()

    def call(self, told: Told, due: float) -> None:
        """Send the picture and note the answer."""
        if time.perf_counter() - self._used > IDLE:
            self._connection.close()  # and it opens another: the service closes those that are idle for 75 s
        try:
            self._connection.request("POST", "/detect", self._body)
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException) as error:
            told.lost[type(error).__name__] += 1
            self._connection.close()
            return
        finally:
            self._used = time.perf_counter()
        told.statuses[answer.status] += 1
        if answer.status == 200:
            told.seconds.append(time.perf_counter() - due)


@contextmanager
def connections(number: int, work: Callable[[Told], None]) -> Iterator[list[Told]]:
    """Run something in so many threads while the block runs, and wait for them; each notes what it was told."""
    told = [Told() for _ in range(number)]
    threads = [threading.Thread(target=work, args=(own,)) for own in told]
    for thread in threads:
        thread.start()
    yield told
    for thread in threads:
        thread.join()


def busy(port: int, body: bytes, clients: int, seconds: float) -> tuple[int, float]:
    """Return how many answers so many clients get, and in how many seconds, each sending when it was answered."""
    began = time.perf_counter()

    def work(own: Told) -> None:
        caller = Caller(port, body)
        while time.perf_counter() < began + seconds:
            caller.call(own, time.perf_counter())

    with connections(clients, work) as told:
        pass
    assert all(set(own.statuses) == {200} and not own.lost for own in told)
    return sum(len(own.seconds) for own in told), time.perf_counter() - began


def on_a_clock(port: int, body: bytes, dues: Sequence[float], number: int) -> Told:
    """Send calls when they are due, seconds from now, whatever becomes of those before."""
    waiting: queue.SimpleQueue[float | None] = queue.SimpleQueue()

    def work(own: Told) -> None:
        caller = Caller(port, body)
        while (due := waiting.get()) is not None:
            caller.call(own, due)

    with connections(number, work) as told:
        began = time.perf_counter()
        for due in dues:
            time.sleep(max(0.0, began + due - time.perf_counter()))
            waiting.put(began + due)
        for _ in told:
            waiting.put(None)
    return Told(
        sum((own.statuses for own in told), Counter()),
        [seconds for own in told for seconds in own.seconds],
        sum((own.lost for own in told), Counter()),
    )


def one_queue(dues: Sequence[float], service: float) -> float:
    """Return the 99 % of the times from when calls are due, one after another, each taking the same time."""
    done, times = 0.0, []
    for due in dues:
        done = max(done, due) + service
        times.append(done - due)
    return float(np.quantile(times, 0.99))
