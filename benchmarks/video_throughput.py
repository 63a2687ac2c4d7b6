"""Does a whole run keep up with the bare network? Paired runs, interleaved, medians.

In every repeat, in turn: a bare loop of ``session.run`` over inputs that are already prepared, one thread of
Python, all cores in one inference (the best setting for a bare loop; with ``--bare-threads`` others can be
tried); then `peoplenet_nb.video.run` with video and tables, as it comes and with other numbers of workers.
The bar: the whole run reaches 0.90 of the bare loop's frames per second on two cores.

    python benchmarks/video_throughput.py                       # real weights and video: PEOPLENET_SHARED
    python benchmarks/video_throughput.py --frames 40 --repeats 3

Milliseconds of processor time per frame are printed too: they hold on a busy machine, where frames per second
do not (``load`` well above the number of cores says so).

Without PEOPLENET_SHARED the stand-in runs on the demo clip; its inference is so short that the ratio says more
about encoding than about PeopleNet.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.video import running

BAR = 0.90


def find_inputs() -> tuple[Path | str, Path]:
    """Return model and video: the real ones where PEOPLENET_SHARED names them, else the demo's."""
    shared = os.environ.get("PEOPLENET_SHARED")
    if shared:
        (model,) = (Path(shared) / "models").glob("*/*.onnx")
        return model, Path(shared) / "data" / "vtest.avi"
    from peoplenet_nb.demo import demo_clip

    return "standin", demo_clip()


def bare_loop(model: PeopleNet, inputs: list, frames: int) -> None:
    """Infer `frames` times on prepared inputs, one after the other."""
    for i in range(frames):
        model.backend.run(inputs[i % len(inputs)])


def whole_run(model: PeopleNet, source: Source, workers: int | None) -> None:
    """Run over the video, with video and tables."""
    with tempfile.TemporaryDirectory() as folder:
        running.run(source, model, Settings(), folder, progress=False, workers=workers)


def timed(work: Callable[[], None], frames: int) -> tuple[float, float]:
    """Return frames per second, and milliseconds of processor time per frame."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return frames / (time.perf_counter() - wall), 1e3 * (time.process_time() - processor) / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--model", default=None, help="an .onnx file; left out: see above")
    parser.add_argument("--source", default=None, help="a video; left out: see above")
    parser.add_argument("--frames", type=int, default=60, help="frames of each measurement")
    parser.add_argument("--repeats", type=int, default=5, help="how often each is measured")
    parser.add_argument("--bare-threads", type=int, default=None, help="threads of one bare inference")
    chosen = parser.parse_args()
    found_model, found_video = find_inputs()
    cores = available_threads()
    bare = PeopleNet.load(chosen.model or found_model, device="cpu", threads=chosen.bare_threads or cores)
    single = bare.with_threads(1)  # made once, outside the measurement, as a notebook would
    source = open_source(chosen.source or found_video, frames=chosen.frames)
    inputs = [bare.preprocess(frame.image)[0] for frame in open_source(source.info.spec, frames=8)]
    frames = min(chosen.frames, source.expected or chosen.frames)

    cases: dict[str, Callable[[], None]] = {
        f"bare loop, {bare.backend.threads} threads": lambda: bare_loop(bare, inputs, frames),
        f"video.run, video and tables, {cores} workers": lambda: whole_run(single, source, None),
    }
    if cores > 1:
        cases["video.run, 1 worker, all cores in one inference"] = lambda: whole_run(bare, source, 1)
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    bare_loop(bare, inputs, 3)
    bare_loop(single, inputs, 3)
    for repeat in range(chosen.repeats):
        for name, work in cases.items():
            measured[name].append(timed(work, frames))
        rates = ", ".join(f"{values[-1][0]:.2f}" for values in measured.values())
        print(f"repeat {repeat + 1}/{chosen.repeats}: {rates} fps", file=sys.stderr, flush=True)

    load = os.getloadavg()[0]
    print(
        f"{platform.processor() or platform.machine()}, {cores} cores, load {load:.1f} (this benchmark included)"
    )
    print(f"model {bare.file.path.name}, video {source.info.name}, {frames} frames, {chosen.repeats} repeats")
    base = next(iter(measured.values()))
    reached = {}
    for name, values in measured.items():
        # Paired: each repeat is compared with the bare loop measured beside it.
        reached[name] = statistics.median(
            own[0] / bare_one[0] for own, bare_one in zip(values, base, strict=True)
        )
        speed, processor = (statistics.median(column) for column in zip(*values, strict=True))
        print(
            f"{name:>48}: {speed:7.2f} fps, {reached[name]:.3f} of the bare loop, {processor:6.1f} ms of processor time"
        )
    ratio = list(reached.values())[1]
    print(f"bar {BAR:.2f}: {'reached' if ratio >= BAR else 'NOT reached'} ({ratio:.3f})")


if __name__ == "__main__":
    main()
