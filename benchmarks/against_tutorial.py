"""Whole runs beside the tutorial's loop, in the same process and taking turns; writes its sections of ``RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/against_tutorial.py [--frames 40] [--repeats 3]
    … --only accuracy | engines | keyframes | memory        # one section, or two with a comma between them

The baseline is `tutorial_loop.run_tutorial`. Beside it `peoplenet_nb.video.run` with every variant that runs here:
FP32 as the file is, with the uint8 input, INT8 (calibrated here on 30 frames of the same video), MNN, OpenVINO, CUDA
and TensorRT where they load; each with tables only and with the video too. Each is also held against a bare loop of
its own engine on inputs that are ready, timed right after it. Figures are medians over the repeats; what counts are
the ratios. Every variant is scored against the ground truth too, because a fast wrong answer is no answer.
Runs on key frames have a section of their own (`keyframe_rows.py`), with MNN at FP32 and ONNX Runtime at INT8.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from keyframe_rows import COLUMNS, clips, key_frame_rows, looped, peak_memory
from results_file import shared_folder, table, write_section
from tutorial_loop import run_tutorial

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.devices import precisions_of
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import Target
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_int8, build_uint8
from peoplenet_nb.video import run
from peoplenet_nb.video.writer import VideoWriter


def larger(source: Path, target: Path) -> Path:
    """Write a 720p H.264 copy of a video."""
    with VideoWriter(target, (1280, 720), 10.0) as writer:
        for frame in open_source(source, frames=200):
            writer.write(np.asarray(cv2.resize(frame.image, (1280, 720)), np.uint8), frame.time_s)
    return target


def average_precision(
    model: PeopleNet, video: Path, truth: dict[int, Truth], every: int
) -> tuple[float, float]:
    """Return the average precision of people at IoU 0.5 and 0.75."""
    low = preset("default").with_class("person", threshold=0.01)
    frames = []
    for frame in open_source(video, every=every):
        found = decode(model.infer(frame.image), low).detections.of_class("person")
        frames.append((found.xyxy, found.confidence, truth.get(frame.index, [])))
    at_half, tight = (precision_recall(frames, iou).average_precision for iou in (0.5, 0.75))
    return at_half, tight


def variants(weights: Path, video: Path) -> tuple[dict[str, PeopleNet], list[str]]:
    """Load the model in every variant that runs here, and say why the others do not."""
    made, missing = {"cpu fp32, the file as it is": PeopleNet.load(weights, device="cpu")}, []
    file = read_model_file(weights)
    images = [frame.image for frame in open_source(video, every=26, frames=30)]
    for device in ("cpu", "mnn", "openvino", "cuda", "tensorrt"):
        target = Target.TENSORRT if device == "tensorrt" else Target.CPU
        for precision in precisions_of(device):
            try:
                build_uint8(file, target=target)
                if precision == "int8":
                    build_int8(file, images, target=target)
                made[f"{device} {precision}"] = PeopleNet.load(weights, device=device, precision=precision)
            except PeopleNetError as error:
                missing.append(f"{device} {precision}: {str(error.seen)[:160]}")
    return made, missing


def bare_seconds(model: PeopleNet, video: Path, count: int = 12) -> float:
    """Return the seconds a frame takes in a bare loop: the engine alone, all cores in one inference."""
    engine = model.with_threads(available_threads()).backend
    inputs = [model.preprocess(frame.image)[0] for frame in open_source(video, frames=count)]
    engine.run(inputs[0])
    taken = []
    for batch in inputs:
        began = time.perf_counter()
        engine.run(batch)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def whole_runs(
    models: dict[str, PeopleNet], weights: Path, video: Path, frames: int, repeats: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the rows of both tables: beside the tutorial, and over the bare loop."""
    fps: dict[tuple[str, bool], list[float]] = {}
    over: dict[tuple[str, bool], list[float]] = {}
    alone: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    for repeat in range(repeats):
        for drawn in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                out = Path(folder) / "video.mp4" if drawn else None
                done, seconds = run_tutorial(weights, video, frames, out)
            fps.setdefault(("the tutorial's loop", drawn), []).append(done / seconds)
            for name, model in models.items():
                with tempfile.TemporaryDirectory() as folder:
                    began = time.perf_counter()
                    source = open_source(video, frames=frames)
                    result = run(source, model, preset("default"), folder, video=drawn, progress=False)
                    seconds = (time.perf_counter() - began) / result.summary["frames"]
                gc.collect()
                fps.setdefault((name, drawn), []).append(1 / seconds)
                bare = bare_seconds(model, video)
                over.setdefault((name, drawn), []).append(seconds / bare)
                alone.setdefault(name, []).append(1 / bare)
                first.setdefault(name, []).append(result.summary["speed"]["first_s"])
            print(f"{video.name} {repeat + 1}/{repeats} video={drawn}", {k[0]: v[-1] for k, v in fps.items()})
    beside, over_bare = [], []
    for name, _ in [key for key in fps if not key[1]]:
        plain, with_video = (float(np.median(fps[name, drawn])) for drawn in (False, True))
        bases = [float(np.median(fps["the tutorial's loop", drawn])) for drawn in (False, True)]
        beside.append(
            [
                *(video.name, name, f"{plain:.2f}", f"**{plain / bases[0]:.2f}**"),
                *(f"{with_video:.2f}", f"**{with_video / bases[1]:.2f}**"),
                f"{np.median(alone[name]) / bases[0]:.2f}" if name in models else "",
            ]
        )
        if name in models:
            ratios = [f"{np.median(over[name, drawn]):.3f}" for drawn in (False, True)]
            over_bare.append([video.name, name, *ratios, f"{np.median(first[name]):.2f}"])
    return beside, over_bare


def import_seconds() -> float:
    command = [
        sys.executable,
        "-c",
        "import time; t = time.perf_counter(); import peoplenet_nb; print(time.perf_counter() - t)",
    ]
    return float(np.median([float(subprocess.check_output(command)) for _ in range(5)]))


def difference(value: float, base: float) -> tuple[str, str]:
    return f"{value:.4f}", f"{value - base:+.4f}"


def score(models: dict[str, PeopleNet], video: Path, labels: Path) -> None:
    """Write the section of average precisions."""
    truth = read_labels(labels).truth("person")
    scores = {name: average_precision(model, video, truth, 8) for name, model in models.items()}
    exact = next(iter(scores.values()))
    write_section(
        "Average precision of every variant",
        [
            "People on every 8th frame of vtest.avi against its ground truth, at IoU 0.5 and 0.75.",
            "",
            *table(
                ["variant", "AP 0.5", "against FP32", "AP 0.75", "against FP32"],
                [
                    [
                        name,
                        *(
                            text
                            for ap, base in zip(found, exact, strict=True)
                            for text in difference(ap, base)
                        ),
                    ]
                    for name, found in scores.items()
                ],
            ),
        ],
    )


def engines(
    models: dict[str, PeopleNet], missing: list[str], weights: Path, videos: list[Path], options: Any
) -> None:
    """Write the sections of whole runs in which the network sees every frame."""
    made = [whole_runs(models, weights, path, options.frames, options.repeats) for path in videos]
    write_section(
        "Whole runs beside the tutorial's loop",
        [
            "Frames per second (medians of runs that took turns) and times the tutorial's loop, tables only and",
            "with the video. The last column is the engine alone, on inputs that are ready, one after the other:",
            "about what a loop around it can reach.",
            "",
            *table(
                ["video", "what", "fps", "times", "fps with video", "times", "engine alone, times"],
                [row for b, _ in made for row in b],
            ),
            "",
            *(f"- not measured: {reason}" for reason in missing),
        ],
    )
    write_section(
        "Wall time per frame over a bare loop on the same engine",
        [
            "1.00 would be the engine alone, all cores in one inference; below it, frames side by side waste less.",
            "The last column is the seconds from the start of a run to its first result.",
            "",
            *table(
                ["video", "what", "tables only", "with video", "first, s"],
                [row for _, b in made for row in b],
            ),
        ],
    )


def key_frames(weights: Path, shared: Path, large: Path, options: Any) -> None:
    """Write the section of runs on key frames."""
    made = clips(shared, large)
    images = [frame.image for frame in open_source(made[0].path, every=26, frames=30)]
    build_int8(read_model_file(weights), images)
    models = {"mnn fp32": PeopleNet.load(weights, device="mnn")}
    models["cpu int8"] = PeopleNet.load(weights, device="cpu", precision="int8")
    rows = key_frame_rows(weights, made, models, options.key_frames, options.frames, options.repeats)
    write_section(
        "Key frames beside the tutorial's loop",
        [
            "Whole runs, the start and the joining of the files counted, tables only and with the video: frames per",
            "second and times the tutorial's loop that was timed just before (medians). Average precision of people",
            "on *all* frames of the run, from the default threshold up, inferred and interpolated boxes alike.",
            "`vtest.avi` and its 720p copy have 10 frames a second, where people move far from one to the next; the",
            "demo clip (720p, rendered) has 25. INT8 is ONNX Runtime's, calibrated on 30 frames of `vtest.avi`.",
            "",
            *table(COLUMNS, rows),
        ],
    )


def memory(weights: Path, video: Path, home: Path) -> None:
    """Write the section of memory."""
    long = looped(demo_clip(), home / "demo-ten-times.mp4", 10)
    rows = [peak_memory(weights, video, "cpu", "off", count) for count in (60, 600)]
    rows += [peak_memory(weights, long, "mnn", "auto", count) for count in (150, 1500)]
    write_section(
        "Memory and import",
        [
            "Peak resident memory of a whole run with video, in a process of its own, by the video's length.",
            "The demo clip is 720p, and ten times as long by repetition.",
            "",
            *table(["video", "device", "keyframes", "frames", "MB"], rows),
            "",
            f"`import peoplenet_nb`: {import_seconds():.3f} s (median of 5).",
        ],
    )


SECTIONS = ("accuracy", "engines", "keyframes", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--frames", type=int, default=40, help="of the loop, and of runs that infer every frame"
    )
    parser.add_argument("--key-frames", type=int, default=150, help="of runs on key frames")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between them")
    options = parser.parse_args()
    wanted = set(options.only.split(","))
    if unknown := wanted - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    video = shared / "data" / "vtest.avi"
    with tempfile.TemporaryDirectory() as home:
        os.environ["PEOPLENET_HOME"] = home
        large = larger(video, Path(home) / "vtest-720p.mp4")
        if wanted & {"accuracy", "engines"}:
            models, missing = variants(weights, video)
        if "accuracy" in wanted:
            score(models, video, shared / "data" / "vtest_gt.txt")
        if "engines" in wanted:
            engines(models, missing, weights, [video, large], options)
        if "keyframes" in wanted:
            key_frames(weights, shared, large, options)
        if "memory" in wanted:
            memory(weights, video, Path(home))


if __name__ == "__main__":
    main()
