"""The service under load: against the bare session, at 80 % of what it can, and at twice as much.

    python benchmarks/service.py --write                 # rates and times, on a machine that nobody else uses
    python benchmarks/service.py --overload --write      # ten minutes at twice the capacity, on any

For the stand-in and, where PEOPLENET_SHARED names them, the real weights: ``peoplenet-nb serve`` runs in a process of
its own; this one sends JPEGs over connections that stay open. In every repeat, in turn: a bare loop of ``session.run``
on prepared inputs, all cores in one inference; the same with the JPEG decoded and preprocessed before each, in one
thread; and as many clients as ``--clients``, each sending its next picture when the last one is answered. Clients and
service share the machine; milliseconds of processor time tell the same on one that others use too.

Then calls on a clock of their own, whether the service keeps up or not: at 80 % of what it did, evenly spaced and at
random (Poisson), or at twice of it. A call's time counts from when it was due. Beside it stands what one queue, first
come first served, makes of the same arrivals where each picture takes what the capacity says (M/D/1 if at random).

The bars: 0.95 of the bare session; 99 % of calls within 2.5 times a picture's time at 80 %; at twice the capacity no
call without an answer, and memory that does not grow.
"""

from __future__ import annotations

import argparse
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
from load_generator import busy, on_a_clock, one_queue
from results_file import show_section, table
from video_throughput import find_inputs

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.serve.running import listen
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.stills import decode_image

OVERLOAD_CONNECTIONS = 160  # more than the service lets in


@contextmanager
def serving(model: Path | str) -> Iterator[tuple[int, psutil.Process]]:
    """Run the service; yield its port and its process."""
    (free,) = listen("127.0.0.1", [0])
    with free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "peoplenet_nb.cli", "serve", "--port", str(port), "--device", "cpu"]
    command += ["--model", str(model)]
    with tempfile.TemporaryDirectory() as home:
        quiet = {"env": os.environ | {"PEOPLENET_HOME": home}, "stdout": subprocess.DEVNULL}
        process = subprocess.Popen(command, **quiet)
        try:
            for _ in range(600):
                time.sleep(0.1)
                with suppress(OSError):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    connection.request("GET", "/ping")
                    if connection.getresponse().status == 200:
                        break
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def memory_of(process: psutil.Process) -> Iterator[list[float]]:
    """Note the resident MiB of a process every ten seconds while the block runs."""
    noted: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(10.0):
            noted.append(process.memory_info().rss / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    yield noted
    over.set()
    watching.join()


Row = Callable[[str, str], None]


def rates(
    row: Row, port: int, process: psutil.Process, body: bytes, model: PeopleNet, options: argparse.Namespace
) -> None:
    """Compare the service with the session alone and with a chain in one thread; then load it to 80 %."""
    prepared = model.preprocess(decode_image(body, "the picture"))[0]

    def bare() -> None:
        model.backend.run(prepared)

    def chain() -> None:
        model.backend.run(model.preprocess(decode_image(body, "the picture"))[0])

    frames = max(5, round(options.seconds / timed(bare, 3)[0]))
    turns = []
    for _ in range(options.repeats):
        alone, one_thread = timed(bare, frames), timed(chain, frames)
        before, own = sum(process.cpu_times()[:2]), time.process_time()
        answered, took = busy(port, body, options.clients, options.seconds)
        work, sending = sum(process.cpu_times()[:2]) - before, time.process_time() - own
        turns.append(
            (alone[0], one_thread[0], took / answered, alone[1], work / answered, sending / answered)
        )
    per_frame = [statistics.median(column) for column in zip(*turns, strict=True)]
    capacity = 1 / per_frame[2]
    for at, what, bar in ((0, "bare session", " (bar: 0.95)"), (1, "JPEG to grids in one thread", "")):
        row(f"{what}, frames a second", f"{1 / per_frame[at]:.1f}")
        row(
            f"**service by {what}**{bar}",
            f"**{statistics.median(turn[at] / turn[2] for turn in turns):.3f}**",
        )
    row(f"service, {options.clients} clients, answers a second", f"{capacity:.1f}")
    session, work, sending = (1e3 * seconds for seconds in per_frame[3:])
    row(
        "ms of processor time: bare session, service, clients; bare by both",
        f"{session:.1f}, {work:.1f}, {sending:.1f}; {session / (work + sending):.3f}",
    )
    number = round(0.8 * capacity * 2 * options.seconds)
    random = np.random.default_rng(0).exponential(1 / (0.8 * capacity), number).cumsum()
    for kind, dues in (("evenly spaced", np.arange(number) / (0.8 * capacity)), ("at random", random)):
        told = on_a_clock(port, body, dues.tolist(), 64)
        half, most = np.quantile(told.seconds, (0.5, 0.99))
        row(
            f"80 % load, {kind}: median, 99 % in a picture's times (bar: 2.5); 99 % of one queue",
            f"{capacity * half:.1f}, {capacity * most:.1f}; {capacity * one_queue(dues.tolist(), 1 / capacity):.1f}"
            f" ({1e3 * most:.0f} ms; {told.statuses[200]} of {number} calls)",
        )


def overload(row: Row, port: int, process: psutil.Process, body: bytes, options: argparse.Namespace) -> None:
    """Send twice what the service can do, and look at its memory."""
    answered, took = busy(port, body, options.clients, options.seconds)
    rate = 2 * answered / took
    dues = (np.arange(rate * 60 * options.minutes) / rate).tolist()
    with memory_of(process) as memory:
        told = on_a_clock(port, body, dues, OVERLOAD_CONNECTIONS)
    counted = ", ".join(f"{count} of {status}" for status, count in sorted(told.statuses.items()))
    row("answers a second before; calls a second then", f"{rate / 2:.1f}; {rate:.1f}")
    row(
        f"{options.minutes:g} minutes: answers; calls without one (bar: 0)",
        f"{counted}; {dict(told.lost) or 0}",
    )
    at = {minutes: memory[6 * minutes - 1] for minutes in (1, 5) if 6 * minutes <= len(memory)}
    shown = [f"{memory[0]:.0f} at 10 s", *(f"{mb:.0f} at {minutes} min" for minutes, mb in at.items())]
    row("MiB resident", f"{', '.join(shown)}, {memory[-1]:.0f} at the end; {max(memory):.0f} at most")


def timed(work: Callable[[], None], times: int) -> tuple[float, float]:
    """Return the seconds of doing something once, and those of processor time."""
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(times):
        work()
    return (time.perf_counter() - wall) / times, (time.process_time() - own) / times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a measurement")
    parser.add_argument("--overload", action="store_true", help="ten minutes at twice the capacity instead")
    parser.add_argument("--minutes", type=float, default=10.0, help="of overload")
    parser.add_argument("--only", choices=["stand-in", "PeopleNet"])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    before = os.getloadavg()[0]
    networks: list[tuple[str, Path | str, Path]] = [("stand-in", "standin", demo_clip())]
    if os.environ.get("PEOPLENET_SHARED"):
        networks.append(("PeopleNet", *find_inputs()))
    rows: list[list[object]] = []
    for name, model, video in networks:
        if options.only not in (None, name):
            continue
        image = next(iter(open_source(video))).image
        body = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()

        def row(what: str, measured: str, name: str = name) -> None:
            rows.append([name, what, measured])
            print(f"{name}: {what}: {measured}", file=sys.stderr, flush=True)

        with serving(model) as (port, process):
            busy(port, body, options.clients, 2.0)
            if options.overload:
                overload(row, port, process, body, options)
                show(f"The service at twice its capacity: {name}", rows, before, options)
                rows.clear()
            else:
                rates(row, port, process, body, PeopleNet.load(model, device="cpu"), options)
    if rows:
        show("The service", rows, before, options)


def show(title: str, rows: list[list[object]], before: float, options: argparse.Namespace) -> None:
    load = f"load of the machine before: {before:.1f}, after: {os.getloadavg()[0]:.1f}"
    turns = "" if options.overload else f" Medians of {options.repeats} turns;"
    lines = [f"FP32, `--device cpu`.{turns} {load}.", "", *table(["network", "what", "measured"], rows)]
    show_section(title, lines, write=options.write)


if __name__ == "__main__":
    main()
