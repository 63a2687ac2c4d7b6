"""One frame made ready for the network: the tutorial's way, ours, and the bare work that both contain.

    PEOPLENET_SHARED=... python benchmarks/preprocess_speed.py [--repeats 100] [--write]

Interleaved runs in one process, of 768x576 (an enlargement) and 1280x720 (a reduction), with one OpenCV thread and
with two. The tutorial returns a transposed *view* that ONNX Runtime copies into order inside ``session.run``; its
second row has that copy (numpy's, which is quicker than ONNX Runtime's). Where ``PEOPLENET_SHARED`` names the real
weights, the last tables are taken in a loop with the network, whose work empties the caches before each frame.
Every way is checked to give the tutorial's values to the bit. ``--write`` puts the tables into RESULTS.md.

The tutorial's new 6 MB arrays come from memory that the process already has, as late in a long run; where the
system has to find fresh pages for them, its call takes several times as long.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from decode_speed import Jobs, spread
from results_file import show_section, table
from tutorial_loop import preprocess_frame

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.sources import open_source

NETWORK = (960, 544)
SIZES = ((768, 576), (1280, 720))
WHOLE = "tutorial, copied into order"


def jobs_for(frame: np.ndarray) -> Jobs:
    as_floats, as_bytes = (Preprocessor(NETWORK, "stretch", as_bytes=raw) for raw in (False, True))
    floats, packed, resized = as_floats(frame)[0], as_bytes(frame)[0], cv2.resize(frame, NETWORK)
    if not np.array_equal(floats, preprocess_frame(frame)) or not np.array_equal(packed[0], resized):
        raise RuntimeError("not the tutorial's values")
    return {
        "tutorial, as it returns": lambda: preprocess_frame(frame),
        WHOLE: lambda: np.ascontiguousarray(preprocess_frame(frame)),
        "bare resize": lambda: cv2.resize(frame, NETWORK, dst=resized),
        "bare writing of so many floats": lambda: floats.fill(0.5),
        "ours, float input": lambda: as_floats(frame, floats),
        "ours, uint8 input": lambda: as_bytes(frame, packed),
    }


def in_the_loop(jobs: Jobs, network: Callable[[], object], repeats: int) -> dict[str, tuple[float, float]]:
    """As `spread`, with the network run before each."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            network()
            began = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - began)
    return {name: (1e6 * min(times), 1e6 * float(np.median(times))) for name, times in taken.items()}


def rows_of(times: dict[str, tuple[float, float]], *first: object) -> list[tuple[object, ...]]:
    returned, whole = times["tutorial, as it returns"][1], times[WHOLE][1]
    return [
        (*first, name, f"{least:.0f}", f"{median:.0f}", f"{median / returned:.2f}", f"{median / whole:.2f}")
        for name, (least, median) in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    options = parser.parse_args()
    shared = os.environ.get("PEOPLENET_SHARED")
    video = str(Path(shared) / "data" / "vtest.avi") if shared else str(demo_clip())
    (picture,) = (frame.image for frame in open_source(video, frames=1))
    frames = {size: cv2.resize(picture, size) for size in SIZES}
    columns = ("what", "least, us", "median, us", "of the tutorial's call", "of the tutorial's with the copy")

    rows: list[tuple[object, ...]] = []
    for size, frame in frames.items():
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            name = f"{size[0]}x{size[1]}"
            rows += rows_of(spread(jobs_for(frame), options.repeats), name, threads)
    lines = ["One frame after the other.", "", *table(("frame", "OpenCV threads", *columns), rows)]
    if shared:
        (weights,) = (Path(shared) / "models").glob("*/*.onnx")
        session = onnxruntime.InferenceSession(str(weights), providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: np.zeros((1, 3, *NETWORK[::-1]), np.float32)}
        rows = []
        for size, frame in frames.items():
            times = in_the_loop(
                jobs_for(frame), lambda: session.run(None, feed), max(5, options.repeats // 5)
            )
            rows += rows_of(times, f"{size[0]}x{size[1]}")
        lines += ["", "With the network in between, two threads.", "", *table(("frame", *columns), rows)]
    show_section("Preprocessing", lines, write=options.write)


if __name__ == "__main__":
    main()
