"""Side by side with what people would pick instead: each in an environment of its own, same frames, same run.

    PEOPLENET_SHARED=... python benchmarks/side_by_side.py [--only supervision] [--frames 60] [--repeats 5]

supervision (NMS and ``process_video``), scikit-learn's DBSCAN as NVIDIA's Triton client uses it, torchvision's
NMS, OpenCV's NMS and Ultralytics' predict loop. The environments are made once, under ``--environments``
(~1 GB each with a CPU build of PyTorch, several with CUDA's). ``--torch torch==X`` chooses the build: it is
installed first, by pip, whose settings may name it, and what comes after must go with it.

In every repeat each contestant has one turn, ours too, each in a process of its own that waits for its turn;
a ratio is the median over the repeats of theirs by ours, measured side by side. A rival that cannot be installed
or does not work is a row with the reason. Without PEOPLENET_SHARED the stand-in runs on the demo clip.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from decode_speed import heap
from results_file import RESULTS, table, write_section
from rivals.contest import Entry, Workers, agreement, not_measured, ratio, take_turns
from rivals.environments import REQUIREMENTS, NotMeasured, environment
from rivals.worker import Worker
from video_throughput import find_inputs

from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import open_source
from peoplenet_nb.video.writer import VideoWriter

COUNTS = (50, 500, 2040)
IOU, EPS, LEAST = 0.5, 0.3, {"tao": 1, "deepstream": 3}
VIDEO_WORKERS = {"supervision", "ultralytics"}
LIMIT = 900.0  # seconds an answer may take
SCRIPTS = {"ours": "with_ours.py"} | {
    name: f"with_{name.replace('scikit-learn', 'sklearn')}.py" for name in REQUIREMENTS
}

_NMS = Entry("ours, with every box's fate", "ours", "nms")
_TAO = Entry("ours, TAO's rules", "ours", "dbscan", {"flavour": "tao"})
_DEEPSTREAM = Entry("ours, DeepStream's rules", "ours", "dbscan", {"flavour": "deepstream"})
NMS = (
    _NMS,
    Entry("OpenCV `NMSBoxes`", "ours", "opencv_nms", {}, _NMS.label),
    Entry("supervision `box_non_max_suppression`", "supervision", "nms", {}, _NMS.label),
    Entry("torchvision `batched_nms`", "torchvision", "nms", {}, _NMS.label),
)
DBSCAN = (
    _TAO,
    Entry("scikit-learn, TAO's rules", "scikit-learn", "dbscan", {"way": "weighted"}, _TAO.label),
    Entry(
        "scikit-learn as the Triton client calls it", "scikit-learn", "dbscan", {"way": "client"}, _TAO.label
    ),
    _DEEPSTREAM,
    Entry(
        "scikit-learn, DeepStream's rules", "scikit-learn", "dbscan", {"way": "counted"}, _DEEPSTREAM.label
    ),
)
_BARE = Entry("bare", "ours", "bare")
_BARE_THEIRS = Entry("bare, Ultralytics", "ultralytics", "bare")
_WITH_VIDEO = Entry("`video.run`, video and tables", "ours", "run", {"video": True}, _BARE.label)
_SUPERVISION = Entry("supervision `process_video`, video", "supervision", "video", {}, _BARE.label)
VIDEOS = (
    _BARE,
    Entry("`video.run`, tables only", "ours", "run", {"video": False}, _BARE.label),
    _WITH_VIDEO,
    _SUPERVISION,
    _BARE_THEIRS,
    Entry("Ultralytics `predict`, results only", "ultralytics", "run", {"video": False}, _BARE_THEIRS.label),
    Entry("Ultralytics `predict`, video", "ultralytics", "run", {"video": True}, _BARE_THEIRS.label),
)


def those_of(entries: Sequence[Entry], workers: Workers) -> list[Entry]:
    """Return the entries, without answers, whose workers take part; none where ours would stand alone."""
    chosen = [replace(entry, answers=[], missing=None) for entry in entries if entry.worker in workers]
    return chosen if {entry.worker for entry in chosen} != {"ours"} else []


def clustering(entries: Sequence[Entry], workers: Workers, repeats: int, what: str) -> list[list[object]]:
    """Return the rows of NMS or DBSCAN for each number of candidates; ``what`` names the answer's result."""
    rows: list[list[object]] = []
    for count in COUNTS:
        done = take_turns(those_of(entries, workers), workers, repeats, count=count)
        for entry in done.values():
            if entry.missing:
                rows.append([count, entry.label, *not_measured(entry, 3)])
                continue
            ours = done[entry.against or entry.label]
            same = agreement(ours.answers[0][what], entry.answers[0][what], what) if entry.against else ""
            microseconds = 1e6 * statistics.median(entry.seconds())
            rows.append([count, entry.label, f"{microseconds:.0f}", f"{ratio(entry, ours):.2f}", same])
    return rows


def videos(workers: Workers, repeats: int, frames: int, ours: str) -> list[str]:
    """Return the lines about whole videos; ``ours`` names the network of this project's loops."""
    done = take_turns(those_of(VIDEOS, workers), workers, repeats)
    rows: list[list[object]] = []
    for entry in done.values():
        if any(answer["frames"] != frames for answer in entry.answers):
            entry.missing = NotMeasured(f"it did {entry.answers[0]['frames']} of {frames} frames")
        if not entry.against:
            continue
        bare = done[entry.against]
        network = ours if bare.worker == "ours" else "its own, untrained"
        if entry.missing or bare.missing:
            entry.missing = entry.missing or bare.missing
            rows.append([entry.label, network, *not_measured(entry, 5)])
            continue
        whole, alone = ([1e3 * s / frames for s in one.seconds()] for one in (entry, bare))
        beyond = statistics.median(a - b for a, b in zip(whole, alone, strict=True))
        median = statistics.median(whole)
        figures = f"{1e3 / median:.2f} {median:.1f} {statistics.median(alone):.1f} {beyond:+.1f}".split()
        rows.append([entry.label, network, *figures, f"{ratio(entry, bare):.3f}"])
    columns = [
        "loop",
        "network",
        "fps",
        "ms a frame",
        "bare `session.run`, ms",
        "beyond it, ms",
        "times bare",
    ]
    lines = ["", f"### A whole video, {frames} frames", "", *table(columns, rows)]
    theirs = done.get(_SUPERVISION.label)
    if theirs and not theirs.missing:
        times = ratio(theirs, done[_WITH_VIDEO.label])
        lines += [
            "",
            f"`video.run` with video does {times:.2f} times the frames of supervision's `process_video`.",
        ]
    return lines


def cut(video: Path, frames: int, target: Path) -> int:
    """Write the first frames of a video as H.264, so that everybody reads the same whole file; return how many."""
    source = open_source(video, frames=frames)
    done = 0
    with VideoWriter(target, (source.info.width, source.info.height), source.info.fps or 25.0) as writer:
        for frame in source:
            writer.write(frame.image, frame.time_s)
            done += 1
    return done


def begin(
    only: list[str], environments: Path, torch: str | None, task: dict[str, Any], folder: Path
) -> Workers:
    """Make the environments and start the workers; what fails stands there with its reason."""
    workers: Workers = {}
    for name in ["ours", *only]:
        try:
            python = Path(sys.executable) if name == "ours" else environment(name, environments, torch)
            own = task | {"environment": str(environments / name)}
            workers[name] = Worker(python, SCRIPTS[name], own, folder, LIMIT)
        except NotMeasured as why:
            if name == "ours":
                raise
            workers[name] = why
        print(f"{name}: {described(workers[name])}", file=sys.stderr, flush=True)
    return workers


def described(worker: Worker | NotMeasured) -> str:
    """Return a worker's versions, or why there is none."""
    if isinstance(worker, NotMeasured):
        return f"not measured: {worker}"
    return ", ".join(f"{name} {number}" for name, number in worker.about["versions"].items())


def measure(workers: Workers, repeats: int, frames: int, network: str) -> list[str]:
    """Return the lines of the section."""
    load = os.getloadavg()[0]  # the figures of a busy machine are worth less, and it should be seen
    lines = [f"- {name}: {described(worker)}" for name, worker in workers.items()]
    for title, entries, what, column in (
        (f"NMS at IoU {IOU}", NMS, "kept", "same boxes kept"),
        (f"DBSCAN, eps {EPS}", DBSCAN, "clusters", "same clusters"),
    ):
        if those_of(entries, workers):
            rows = clustering(entries, workers, repeats, what)
            lines += ["", f"### {title}", "", *table(["candidates", "who", "µs", "times ours", column], rows)]
    if VIDEO_WORKERS & set(workers):
        lines += videos(workers, repeats, frames, network)
    notes = [
        note for worker in workers.values() if isinstance(worker, Worker) for note in worker.about["notes"]
    ]
    return [
        *lines,
        "",
        f"Medians of {repeats} turns each; load before them: {load:.1f}.",
        *(f"- {note}." for note in ["", *notes] if note),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environments", type=Path, default=cache_dir() / "benchmarks")
    parser.add_argument("--only", action="append", choices=list(REQUIREMENTS), help="may be given again")
    parser.add_argument("--frames", type=int, default=60, help="frames of a whole video")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--torch", help="a requirement, e.g. torch==2.13.0")
    parser.add_argument(
        "--results", type=Path, help=f"the file to write to; {RESULTS.name} unless --only is given"
    )
    options = parser.parse_args()
    chosen = options.only or list(REQUIREMENTS)
    model, video = find_inputs()
    workers: Workers = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        candidates, clip = folder / "candidates.npz", folder / "clip.mp4"
        arrays = {
            f"{what}{count}": array
            for count in COUNTS
            for what, array in zip(("boxes", "scores", "classes"), heap(count), strict=True)
        }
        np.savez(candidates, **arrays)
        task = {"candidates": str(candidates), "iou": IOU, "eps": EPS, "least": LEAST}
        task |= {"threads": available_threads(), "folder": str(folder)}
        if VIDEO_WORKERS & set(chosen):
            task |= {"model": str(model), "size": read_model_file(resolve_model(model)).network_size}
            task |= {"clip": str(clip), "frames": cut(video, options.frames, clip)}
        try:
            workers = begin(chosen, options.environments, options.torch, task, folder)
            network = "the stand-in" if model == "standin" else "PeopleNet, FP32"
            lines = measure(workers, options.repeats, task.get("frames", 0), network)
        finally:
            for worker in workers.values():
                if isinstance(worker, Worker):
                    worker.close()
    path = options.results or (None if options.only else RESULTS)
    if path:
        write_section("Side by side with what people would pick instead", lines, path)
    else:
        print("\n".join(lines))


if __name__ == "__main__":
    main()
