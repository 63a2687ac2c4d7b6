"""What INT8 costs, calibrated on one video and used on another; writes its section of ``RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/int8_accuracy.py [--every 8] [--calibrate 30] [--repeats 30] [--write]

INT8 is built twice from the real weights: calibrated on ``vtest.avi`` and on the demo clip. Each is scored against the
ground truth of ``vtest.avi``, and its boxes are compared with FP32's on held-out frames of its own video, on frames of
the other video and on pictures unlike both (`peoplenet_nb.network.agreement.unlike`). The speed is the median of the
ratios of single inferences on the CPU, FP32 and INT8 in turn, both with a uint8 input.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from time import perf_counter

import numpy as np
from results_file import shared_folder, show_section, table

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.agreement import compare, infer_all
from peoplenet_nb.network.engines import open_backend
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_int8, build_uint8


def accuracy(found: Sequence[Grids], truth: Sequence[Truth]) -> list[str]:
    """Return the average precision of people at IoU 0.5 and 0.75, candidates from 0.01."""
    low = preset("default").with_class("person", threshold=0.01)
    people = [decode(grids, low).detections.of_class("person") for grids in found]
    frames = [(d.xyxy, d.confidence, boxes) for d, boxes in zip(people, truth, strict=True)]
    return [f"{precision_recall(frames, iou).average_precision:.3f}" for iou in (0.5, 0.75)]


def speed_ratio(one: ModelFile, other: ModelFile, frame: np.ndarray, repeats: int) -> float:
    """Return how many times as fast the second file is, both with a uint8 input, in turns."""
    batch, _ = Preprocessor(one.network_size, "stretch", as_bytes=True)(frame)
    engines, ratios = [open_backend(file) for file in (one, other)], []
    for repeat in range(repeats + 2):
        taken = []
        for engine in engines:
            began = perf_counter()
            engine.run(batch)
            taken.append(perf_counter() - began)
        if repeat >= 2:
            ratios.append(taken[0] / taken[1])
    return float(np.median(ratios))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=8)
    parser.add_argument("--calibrate", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    source = read_model_file(weights)
    videos = {"vtest.avi": shared / "data" / "vtest.avi", "the demo clip": demo_clip()}
    spread = {
        name: [frame.image for frame in open_source(path, every=26 if "vtest" in name else 10)]
        for name, path in videos.items()
    }
    boxes = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    scored = list(open_source(videos["vtest.avi"], every=options.every))
    images = [frame.image for frame in scored]
    truth = [boxes.get(frame.index, Truth.of([])) for frame in scored]
    with tempfile.TemporaryDirectory() as home:
        os.environ["PEOPLENET_HOME"] = home
        exact = read_model_file(build_uint8(source).path)
        rows = [["FP32", "", *accuracy(infer_all(exact, images), truth), "", "", "", "1.00"]]
        for name, frames in spread.items():
            variant = build_int8(source, frames[: options.calibrate], force=True)
            int8 = read_model_file(variant.path)
            (other,) = [few[::3] for key, few in spread.items() if key != name]
            on_other = compare(infer_all(exact, other), infer_all(int8, other))
            agreements = [f"{a.ap50:.3f} / {a.ap75:.3f}" for a in (*variant.agreements, on_other)]
            times = speed_ratio(exact, int8, images[0], options.repeats)
            scores = accuracy(infer_all(int8, images), truth)
            rows.append([f"INT8, {variant.recipe['method']}", name, *scores, *agreements, f"{times:.2f}"])
            print(rows[-1])
    columns = ["precision", "calibrated on", "AP 0.5", "AP 0.75", "held out", "unlike", "the other video"]
    show_section(
        "INT8 on the video that calibrated it and on others",
        [
            f"AP of people on every {options.every}th frame of vtest.avi against its ground truth. Then AP at",
            "IoU 0.5 / 0.75 with FP32's own boxes as truth, all classes: on held-out frames of the calibration's",
            "video, on pictures unlike them (people enlarged, the demo clip), and on the other video. Last the speed",
            "of a single inference on the CPU: times FP32's, median of pairs.",
            "",
            *table([*columns, "times as fast"], rows),
        ],
        write=options.write,
    )


if __name__ == "__main__":
    main()
