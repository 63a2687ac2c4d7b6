"""The service under load: against the bare session, at 80 % of what it can, and at twice as much.

    python benchmarks/service.py --write                            # ten minutes of overload for each network
    python benchmarks/service.py --minutes 1 --repeats 3            # a shorter look

For the stand-in and, where PEOPLENET_SHARED names them, the real weights: ``peoplenet-nb serve`` runs in a process of
its own; this one sends JPEGs over connections that stay open. In every repeat, in turn: a bare loop of ``session.run``
on prepared inputs, all cores in one inference, and as many clients as ``--clients``, each sending its next picture
when the last one is answered. Clients and service share the machine, so the service pays for both; milliseconds of
processor time tell the same on a machine that others use too.

Then calls on a clock of their own, whether the service keeps up or not: at 80 % of what it did, evenly spaced and at
random (Poisson), and at twice of it. A call's time counts from when it was due. A batch's time is the median of what
the answers say.

The bars: 0.95 of the bare session; 99 % of calls within 2.5 times the batch's time at 80 %; at twice the capacity no
call without an answer, and memory that does not grow.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from results_file import show_section, table
from video_throughput import bare_loop, find_inputs

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.serve.running import listen
from peoplenet_nb.sources import open_source

OVERLOAD_CONNECTIONS = 160  # more than the service lets in


@dataclass
class Told:
    """What the service answered to many calls."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of those with boxes
    network: list[float] = field(default_factory=list)
    lost: int = 0

    def quantile(self, q: float) -> float:
        """Return a quantile of the milliseconds from when calls were due."""
        return 1e3 * float(np.quantile(self.seconds, q))


class Caller:
    """One connection."""

    def __init__(self, port: int, body: bytes) -> None:
        self._port, self._body = port, body
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def call(self, told: Told, due: float) -> None:
        """Send the picture and note the answer."""
        try:
            self._connection.request("POST", "/detect", self._body)
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            told.lost += 1
            self._connection.close()
            return
        told.statuses[answer.status] += 1
        if answer.status == 200:
            told.seconds.append(time.perf_counter() - due)
            told.network.append(json.loads(text)["times"]["network"])


@contextmanager
def serving(model: Path | str) -> Iterator[tuple[int, int]]:
    """Run the service; yield its port and its process."""
    (free,) = listen("127.0.0.1", [0])
    with free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "peoplenet_nb.cli", "serve", "--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PEOPLENET_HOME": home}
        process = subprocess.Popen(
            [*command, "--model", str(model)], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            for _ in range(600):
                time.sleep(0.1)
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/ping")
                    if connection.getresponse().status == 200:
                        break
                except OSError:
                    continue
            yield port, process.pid
        finally:
            process.terminate()
            process.wait()


def busy(port: int, body: bytes, clients: int, seconds: float) -> tuple[int, float]:
    """Return how many answers so many clients get, and in how many seconds, each sending when it was answered."""
    told, until = [Told() for _ in range(clients)], time.perf_counter() + seconds

    def work(own: Told) -> None:
        caller = Caller(port, body)
        while time.perf_counter() < until:
            caller.call(own, time.perf_counter())

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(own,)) for own in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(set(own.statuses) == {200} and not own.lost for own in told)
    return sum(len(own.seconds) for own in told), time.perf_counter() - began


def on_a_clock(port: int, body: bytes, dues: Sequence[float], connections: int) -> Told:
    """Send calls when they are due, seconds from now, whatever becomes of those before."""
    waiting: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    told = [Told() for _ in range(connections)]

    def work(own: Told) -> None:
        caller = Caller(port, body)
        while (due := waiting.get()) is not None:
            caller.call(own, due)

    threads = [threading.Thread(target=work, args=(own,)) for own in told]
    for thread in threads:
        thread.start()
    began = time.perf_counter()
    for due in dues:
        time.sleep(max(0.0, began + due - time.perf_counter()))
        waiting.put(began + due)
    for _ in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    whole = Told()
    for own in told:
        whole.statuses += own.statuses
        whole.seconds += own.seconds
        whole.network += own.network
        whole.lost += own.lost
    return whole


def resident_mb(process: int) -> float:
    """Return the resident memory of a process."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has taken."""
    numbers = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(numbers[11]) + int(numbers[12])) / os.sysconf("SC_CLK_TCK")


def measure(name: str, model: Path | str, video: Path, options: argparse.Namespace) -> list[list[object]]:
    """Return the rows of one network."""
    image = next(iter(open_source(video))).image
    body = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    bare_model = PeopleNet.load(model, device="cpu")
    prepared = [bare_model.preprocess(image)[0]]
    frames = max(5, round(options.seconds / timed(bare_model, prepared, 3)))
    bare, service = [], []
    with serving(model) as (port, process):
        busy(port, body, options.clients, 2.0)
        for _ in range(options.repeats):
            bare.append(1 / timed(bare_model, prepared, frames))
            answered, took = busy(port, body, options.clients, options.seconds)
            service.append(answered / took)
        ratio = statistics.median(s / b for s, b in zip(service, bare, strict=True))
        capacity = statistics.median(service)
        before = processor_seconds(process)
        own = time.process_time()
        answered, _ = busy(port, body, options.clients, options.seconds)
        work = 1e3 * (processor_seconds(process) - before) / answered
        sending = 1e3 * (time.process_time() - own) / answered
        own = time.process_time()
        timed(bare_model, prepared, frames)
        alone = 1e3 * (time.process_time() - own) / frames
        rows: list[list[object]] = [
            [
                name,
                "ms of processor time: bare session, service, clients; bare by both",
                f"{alone:.1f}, {work:.1f}, {sending:.1f}; {alone / (work + sending):.3f}",
            ],
            [name, "bare session, frames a second", f"{statistics.median(bare):.1f}"],
            [name, f"service, {options.clients} clients, answers a second", f"{capacity:.1f}"],
            [name, "**service by bare session** (bar: 0.95)", f"**{ratio:.3f}**"],
        ]
        number = round(0.8 * capacity * 2 * options.seconds)
        random = np.random.default_rng(0).exponential(1 / (0.8 * capacity), number).cumsum()
        even = np.arange(number) / (0.8 * capacity)
        for kind, dues in (("evenly spaced", even), ("at random", random)):
            told = on_a_clock(port, body, dues.tolist(), 64)
            batch = statistics.median(told.network)
            rows.append(
                [
                    name,
                    f"80 % load, {kind}: median, 99 %, in batch's times (bar: 99 % at 2.5)",
                    f"{told.quantile(0.5) / batch:.1f}, {told.quantile(0.99) / batch:.1f}"
                    f" ({told.quantile(0.99):.0f} ms; {told.statuses[200]} of {number} calls)",
                ]
            )
        memory = []
        answers: Counter[int] = Counter()
        lost = 0
        for _ in range(max(2, round(options.minutes * 6))):  # pieces, to see memory between them
            dues = np.arange(round(2 * capacity * 10)) / (2 * capacity)
            told = on_a_clock(port, body, dues.tolist(), OVERLOAD_CONNECTIONS)
            answers += told.statuses
            lost += told.lost
            memory.append(resident_mb(process))
    counted = ", ".join(f"{count} of {status}" for status, count in sorted(answers.items()))
    rows += [
        [
            name,
            f"twice the capacity, {len(memory) / 6:g} minutes: answers; calls without one",
            f"{counted}; {lost}",
        ],
        [
            name,
            "MiB resident after the first 10 s, at most, at the end",
            f"{memory[0]:.0f}, {max(memory):.0f}, {memory[-1]:.0f}",
        ],
    ]
    return rows


def timed(model: PeopleNet, prepared: list, frames: int) -> float:
    """Return the seconds of a frame in the bare loop."""
    began = time.perf_counter()
    bare_loop(model, prepared, frames)
    return (time.perf_counter() - began) / frames


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a measurement")
    parser.add_argument("--minutes", type=float, default=10.0, help="of overload")
    parser.add_argument("--only", choices=["stand-in", "PeopleNet"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    networks: list[tuple[str, Path | str, Path]] = [("stand-in", "standin", demo_clip())]
    if os.environ.get("PEOPLENET_SHARED"):
        networks.append(("PeopleNet", *find_inputs()))
    rows = [
        row
        for name, model, video in networks
        if options.only in (None, name)
        for row in measure(name, model, video, options)
    ]
    lines = [
        f"FP32, `--device cpu`. Medians of {options.repeats} turns; load of the machine before: {load:.1f}.",
        "",
        *table(["network", "what", "measured"], rows),
    ]
    show_section("The service", lines, write=options.write)


if __name__ == "__main__":
    main()
