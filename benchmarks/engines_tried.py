"""Engines that compute the same network on a CPU, tried and mostly left: MNN in FP32 and INT8, OpenCV's dnn.

    PEOPLENET_SHARED=... python benchmarks/engines_tried.py [--every 16] [--write]

Each is timed in turn with ONNX Runtime in FP32, all cores in one inference, and scored: average precision of people
against the ground truth of vtest.avi, and against FP32's own boxes on pictures unlike those that calibrated INT8
(people enlarged, the demo clip). MNN's tools run in processes of their own: they print, and one calibration crashes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from results_file import shared_folder, show_section, table

from peoplenet_nb.decoding import decode
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import precision_recall
from peoplenet_nb.network.agreement import compare, unlike
from peoplenet_nb.network.engines import open_backend
from peoplenet_nb.network.engines.mnn import quiet
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source

Array = npt.NDArray[Any]
Run = Callable[[Array], Sequence[Array]]
_TOOL = "import _tools, sys; getattr(_tools, sys.argv[1])(sys.argv[1:])"
_PAIRS = 7


def mnn_tool(*words: object) -> None:
    """Run one of MNN's tools; `MNN.tools` is not used, which would install packages and report over the network."""
    subprocess.run([sys.executable, "-P", "-c", _TOOL, *map(str, words)], capture_output=True, check=True)


def with_mnn(file: ModelFile, path: Path, **options: str) -> Run:
    with quiet():
        import MNN

        net = MNN.Interpreter(str(path))
        wanted = {"backend": "CPU", "numThread": available_threads(), "precision": "high", **options}
        session = net.createSession(wanted)
    taken, plain = net.getSessionInput(session), MNN.Tensor_DimensionType_Caffe

    def run(batch: Array) -> list[Array]:
        taken.copyFrom(MNN.Tensor(batch.shape, MNN.Halide_Type_Float, batch, plain))
        net.runSession(session)
        made = []
        for tensor in (file.coverage, file.boxes):
            found = net.getSessionOutput(session, tensor.name)
            host = MNN.Tensor(
                found.getShape(),
                MNN.Halide_Type_Float,
                np.empty(found.getShape(), np.float32),
                plain,
            )
            found.copyToHostTensor(host)
            made.append(host.getNumpyData().copy())
        return made

    return run


def with_opencv(file: ModelFile, engine: int) -> Run:
    net = cv2.dnn.readNetFromONNX(str(file.path), engine)
    net.enableWinograd(True)

    def run(batch: Array) -> Sequence[Array]:
        net.setInput(batch)
        made: Sequence[Array] = net.forward([file.coverage.name, file.boxes.name])
        return made

    return run


def candidates(
    file: ModelFile, folder: Path, calibration: Sequence[Array]
) -> tuple[dict[str, Run], list[str]]:
    """Return what loads here, ONNX Runtime first, and why the rest does not."""
    floats, light, images = folder / "fp32.mnn", folder / "weights.mnn", folder / "images"
    convert = ("mnnconvert", "-f", "ONNX", "--modelFile", file.path, "--bizCode", "x", "--MNNModel")
    mnn_tool(*convert, floats)
    mnn_tool(*convert, light, "--weightQuantBits", 8)
    images.mkdir()
    for i, frame in enumerate(calibration):
        cv2.imwrite(str(images / f"{i}.png"), frame)

    def quantized(method: str) -> Run:
        width, height = file.network_size
        config = {
            "format": "RGB",
            "mean": [0.0] * 3,
            "normal": [1 / 255] * 3,
            "width": width,
            "height": height,
            "path": f"{images}/",
            "used_sample_num": len(calibration),
            "feature_quantize_method": method,
            "weight_quantize_method": "MAX_ABS",
        }
        (folder / f"{method}.json").write_text(json.dumps(config))
        mnn_tool("mnnquant", floats, folder / f"{method}.mnn", folder / f"{method}.json")
        return with_mnn(file, folder / f"{method}.mnn")

    tried: dict[str, Callable[[], Run]] = {
        "ONNX Runtime FP32": lambda: open_backend(file).run,
        "MNN FP32": lambda: with_mnn(file, floats),
        "MNN INT8, KL": lambda: quantized("KL"),
        "MNN INT8, EMA": lambda: quantized("EMA"),
        "MNN INT8, ADMM": lambda: quantized("ADMM"),
        "MNN, weights in 8 bits, memory low": lambda: with_mnn(file, light, memory="low"),
        "OpenCV dnn, classic, Winograd": lambda: with_opencv(file, cv2.dnn.ENGINE_CLASSIC),
        "OpenCV dnn, new": lambda: with_opencv(file, cv2.dnn.ENGINE_NEW),
    }
    made, missing = {}, []
    for name, load in tried.items():
        try:
            made[name] = load()
        except (subprocess.CalledProcessError, AttributeError, cv2.error) as error:
            reason = str(error).rpartition("' ")[2]  # a command that failed names all its words first
            missing.append(f"{name}: {' '.join(reason.split())[-120:]}")
    return made, missing


def infer(file: ModelFile, run: Run, frames: Sequence[Array]) -> list[Grids]:
    preprocess = Preprocessor(file.network_size, "stretch")
    made = []
    for frame in frames:
        batch, fit = preprocess(frame)
        coverage, boxes = run(batch)
        made.append(Grids(np.clip(coverage[0], 0, 1), boxes[0], fit, file.labels, file.stride))
    return made


def speeds(file: ModelFile, engines: dict[str, Run]) -> dict[str, float]:
    """Return how many times as fast as the first each is: the median of rounds in which they take turns."""
    batch = np.random.default_rng(0).random((1, 3, *file.network_size[::-1]), np.float32)
    taken: dict[str, list[float]] = {name: [] for name in engines}
    for _ in range(_PAIRS + 1):
        for name, run in engines.items():
            began = perf_counter()
            run(batch)
            taken[name].append(perf_counter() - began)
    first = np.array(next(iter(taken.values()))[1:])
    return {name: float(np.median(first / np.array(times[1:]))) for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="put it into RESULTS.md")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    file = read_model_file(weights)
    video = shared / "data" / "vtest.avi"
    truth = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    low = preset("default").with_class("person", threshold=0.01)
    frames = [(frame.index, frame.image) for frame in open_source(video, every=options.every)]
    images = [image for _, image in frames]
    with tempfile.TemporaryDirectory() as folder:
        engines, missing = candidates(file, Path(folder), [f.image for f in open_source(video, every=66)])
        times = speeds(file, engines)
        exact = infer(file, engines["ONNX Runtime FP32"], images)
        others = unlike(images[::12], exact[::12])
        exact_others = infer(file, engines["ONNX Runtime FP32"], others)
        rows = []
        for name, run in engines.items():
            grids = infer(file, run, images)
            found = [decode(one, low).detections.of_class("person") for one in grids]
            scored = [
                (one.xyxy, one.confidence, truth.get(i, []))
                for one, (i, _) in zip(found, frames, strict=True)
            ]
            ap = " / ".join(f"{precision_recall(scored, iou).average_precision:.4f}" for iou in (0.5, 0.75))
            alike, far = compare(exact, grids), compare(exact_others, infer(file, run, others))
            close = f"{max(alike.coverage, far.coverage):.1e} / {max(alike.box_px, far.box_px):.2g} px"
            rows.append([name, f"{times[name]:.2f}", ap, f"{far.ap50:.3f} / {far.ap75:.3f}", close])
            print(*rows[-1], sep=" | ")
    lines = [
        f"People on every {options.every}th frame of vtest.avi against its ground truth; FP32's own boxes as truth on",
        "pictures unlike those that calibrated INT8; the largest differences in coverage, and in edges of cells above",
        "0.1. The speed is that of a single inference with all cores, the median of rounds that took turns.",
        f"Load of the machine before them: {load:.1f}.",
        "",
        *table(
            ["engine", "times as fast", "AP 0.5 / 0.75", "unlike, AP 0.5 / 0.75", "coverage / edges"], rows
        ),
        "",
        *(f"- does not run: {reason}" for reason in missing),
    ]
    show_section("Other engines on a CPU", lines, write=options.write)


if __name__ == "__main__":
    main()
