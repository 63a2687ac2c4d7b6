"""Whole runs beside the tutorial's loop, in the same process and taking turns; writes ``benchmarks/RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/against_tutorial.py [--frames 40] [--repeats 3]

The baseline is `tutorial_loop.run_tutorial`. Beside it `peoplenet_nb.video.run` in FP32 as the file is, with the
uint8 input, in INT8 (calibrated here on 30 frames of the same film) and in OpenVINO where it is installed; each
with tables only and with the film too. Figures are medians over the repeats; what counts are the ratios.
INT8 is also scored against the ground truth, because a fast wrong answer is no answer.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from decode_speed import medians
from tutorial_loop import preprocess_frame, run_tutorial

from peoplenet_nb.decode import decode
from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.evaluate import precision_recall, read_mot
from peoplenet_nb.film import FilmWriter
from peoplenet_nb.model import PeopleNet
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.optimise import build_int8, build_uint8
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.presets import preset
from peoplenet_nb.runtime import available_threads, has_int8_instructions
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import run

RESULTS = Path(__file__).with_name("RESULTS.md")


def larger(source: Path, target: Path) -> Path:
    """Write a 720p H.264 copy of a film."""
    with FilmWriter(target, (1280, 720), 10.0) as writer:
        for frame in open_source(str(source), frames=200):
            writer.write(np.asarray(cv2.resize(frame.image, (1280, 720)), np.uint8), frame.time_s)
    return target


def average_precision(model: PeopleNet, film: Path, truth: dict[int, np.ndarray], every: int) -> float:
    low = preset("default").with_class("person", threshold=0.01)
    frames = []
    for frame in open_source(str(film), every=every):
        found = decode(model.infer(frame.image), low).detections.of_class("person")
        frames.append((found.xyxy, found.confidence, truth.get(frame.index, np.zeros((0, 4)))))
    return precision_recall(frames).average_precision


def forms(weights: Path, film: Path) -> dict[str, PeopleNet]:
    """Load the model in every form; the file as it is comes first, before the others are built."""
    made = {"FP32": PeopleNet.load(weights, device="cpu")}
    file = read_model_file(weights)
    build_uint8(file)
    made["FP32, uint8 input"] = PeopleNet.load(weights, device="cpu")
    build_int8(file, [frame.image for frame in open_source(str(film), every=26, frames=30)])
    made["INT8"] = PeopleNet.load(weights, device="cpu", precision="int8")
    try:
        made["OpenVINO FP32"] = PeopleNet.load(weights, device="openvino")
    except PeopleNetError as error:
        print(f"not measured: {error}")
    return made


def whole_runs(
    models: dict[str, PeopleNet], weights: Path, film: Path, frames: int, repeats: int
) -> list[str]:
    jobs: dict[str, Callable[[Path], float]] = {}
    for drawn in (False, True):
        suffix = ", film" if drawn else ""

        def tutorial(folder: Path, drawn: bool = drawn) -> float:
            done, seconds = run_tutorial(weights, film, frames, folder / "film.mp4" if drawn else None)
            return done / seconds

        jobs["tutorial" + suffix] = tutorial
        for name, model in models.items():

            def ours(folder: Path, model: PeopleNet = model, drawn: bool = drawn) -> float:
                began = time.perf_counter()
                source = open_source(str(film), frames=frames)
                result = run(source, model, preset("default"), folder, film=drawn, progress=False)
                return float(result.summary["frames"] / (time.perf_counter() - began))

            jobs[name + suffix] = ours
    fps: dict[str, list[float]] = {name: [] for name in jobs}
    for repeat in range(repeats):
        for name, job in jobs.items():
            with tempfile.TemporaryDirectory() as folder:
                fps[name].append(job(Path(folder)))
            print(f"{film.name} {repeat + 1}/{repeats} {name}: {fps[name][-1]:.2f} fps", flush=True)
    rows = []
    for name, values in fps.items():
        base = np.median(fps["tutorial, film" if name.endswith("film") else "tutorial"])
        rows.append(f"| {film.name} | {name} | {np.median(values):.2f} | {np.median(values) / base:.2f} |")
    return rows


def preprocessing(film: Path) -> list[str]:
    (frame,) = (frame.image for frame in open_source(str(film), frames=1))
    as_floats, as_bytes = Preprocessor((960, 544)), Preprocessor((960, 544), as_bytes=True)
    floats, planes = as_floats(frame)[0], as_bytes(frame)[0]
    taken = medians(
        {
            "tutorial": lambda: preprocess_frame(frame),
            "ours, float input": lambda: as_floats(frame, floats),
            "ours, uint8 input": lambda: as_bytes(frame, planes),
        },
        200,
    )
    return [f"| {name} | {us:.0f} | {us / taken['tutorial']:.2f} |" for name, us in taken.items()]


def import_seconds() -> float:
    command = [
        sys.executable,
        "-c",
        "import time; t = time.perf_counter(); import peoplenet_nb; print(time.perf_counter() - t)",
    ]
    return float(np.median([float(subprocess.check_output(command)) for _ in range(5)]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    shared = Path(os.environ["PEOPLENET_SHARED"])
    (weights,) = (shared / "models").glob("*/*.onnx")
    film = shared / "data" / "vtest.avi"
    with tempfile.TemporaryDirectory() as home:
        os.environ["PEOPLENET_HOME"] = home
        models = forms(weights, film)
        films = [film, larger(film, Path(home) / "vtest-720p.mp4")]
        rows = [
            row
            for path in films
            for row in whole_runs(models, weights, path, options.frames, options.repeats)
        ]
        truth = read_mot(shared / "data" / "vtest_gt.txt")
        scored = [
            f"| {name} | {average_precision(model, film, truth, 8):.3f} |" for name, model in models.items()
        ]
    cpu = next(
        (
            x.split(":")[1].strip()
            for x in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in x
        ),
        "?",
    )
    vnni = "with" if has_int8_instructions() else "without"
    lines = [
        "# Results",
        "",
        "Written by `python benchmarks/against_tutorial.py "
        f"--frames {options.frames} --repeats {options.repeats}`; not edited by hand.",
        "",
        f"{datetime.date.today()}, {cpu} ({platform.machine()}), {available_threads()} cores, {vnni} VNNI or AMX. "
        "GPU: not measured.",
        "",
        "## Whole runs, frames per second (median) and times the tutorial's loop",
        "",
        "| film | what | fps | ratio |",
        "|---|---|---|---|",
        *rows,
        "",
        "## Average precision for people on every 8th frame of vtest.avi, IoU 0.5",
        "",
        "| form | AP |",
        "|---|---|",
        *scored,
        "",
        "## Preprocessing of one frame, microseconds and times the tutorial's",
        "",
        "| what | us | ratio |",
        "|---|---|---|",
        *preprocessing(film),
        "",
        f"`import peoplenet_nb`: {import_seconds():.3f} s (median of 5).",
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
