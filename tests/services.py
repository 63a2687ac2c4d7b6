"""A service that runs in this process, for tests, and networks that do as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
import uvicorn

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.serve import Limits, Service, make_app
from peoplenet_nb.serve.running import Server, listen
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources import open_source

WAIT = 60.0  # seconds: generous, for a busy machine


def picture() -> np.ndarray:
    """The first frame of the demo clip."""
    return next(iter(open_source(demo_clip()))).image


def encoded(image: np.ndarray, suffix: str = ".jpg") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; a test that waits for what never comes says so."""
    end = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def standin() -> PeopleNet:
    return PeopleNet.load("standin", device="cpu")


class Gated:
    """An engine that answers with zeros, when it is let; it remembers the size of each batch."""

    device, precision, providers, threads = Device.CPU, Precision.FP32, ("test",), 1

    def __init__(self, *, open_: bool = False, seconds: float = 0.0) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.batches: list[int] = []
        self.seconds = seconds
        if open_:
            self.open.set()

    def run(self, batch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.entered.set()
        self.batches.append(len(batch))
        assert self.open.wait(WAIT)
        time.sleep(self.seconds)
        coverage = np.zeros((len(batch), 3, 34, 60), np.float32)
        # What came in can be told from what goes out.
        coverage[:, 0, 0, 0] = batch.reshape(len(batch), -1)[:, 0]
        return coverage, np.zeros((len(batch), 12, 34, 60), np.float32)


def gated(engine: Gated) -> PeopleNet:
    """The stand-in's file with another engine."""
    return PeopleNet(standin().file, engine)


@dataclass
class Running:
    url: str
    service: Service
    server: Server
    thread: threading.Thread


@contextmanager
def running(
    load: Callable[[], PeopleNet] = standin,
    read: Callable[[], Settings] = preset,
    *,
    token: str = "",
    limits: Limits | None = None,
    settings_file=None,
    wait: bool = True,
) -> Iterator[Running]:
    """A service on a free port, ready unless ``wait`` is false."""
    service = Service(load, read, settings_file=settings_file, limits=limits)
    (socket,) = listen("127.0.0.1", [0])
    config = uvicorn.Config(
        make_app(service, token), access_log=False, log_config=None, timeout_graceful_shutdown=3
    )
    server = Server(config, service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    service.start()
    until(lambda: server.started)
    if wait:
        until(lambda: service.state.state == "ready" or service.failure is not None)
    try:
        yield Running(f"http://127.0.0.1:{socket.getsockname()[1]}", service, server, thread)
    finally:
        service.stop()
        server.should_exit = True
        thread.join(WAIT)
        assert not thread.is_alive()
        socket.close()
