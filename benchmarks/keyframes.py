"""Boxes on key frames beside boxes of every frame: how good they are on all frames, and what they cost.

    PEOPLENET_SHARED=... python benchmarks/keyframes.py [--timed] [--write]

Each video goes through the network once, every frame; then every choice of key frames is filled in by the function that
runs use, and scored on *all* frames against the ground truth: people with a confidence of 0.05 or more (the demo clip:
at the default preset), F1 at its best threshold. The rules were tuned on the first half of ``vtest.avi``, the enlarged
pictures and the demo clip (the stand-in network, its own truth); the second half and the mirrored pictures were held
out. ``--timed`` adds whole runs of `peoplenet_nb.video.run`, tables only, taking turns, over the first frames.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from results_file import shared_folder, show_section, table

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import STANDIN, demo_clip, demo_truth
from peoplenet_nb.detections import Detections
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.tracks import KeyFrames, choose_and_fill, scene_cut, thumbnail, window_frames
from peoplenet_nb.video import run

CHOICES = ("off", "2", "3", "4", "5", "8", "auto")
LOW = preset("default").with_class("person", threshold=0.05)
TIMED_FRAMES = 180


@dataclass
class Clip:
    """Detections of every frame, the truth, and what the choice of key frames depends on."""

    name: str
    found: list[Detections]
    truth: list[Truth]
    cuts: list[bool]
    fps: float
    size: tuple[int, int]

    def part(self, name: str, begin: int, end: int, every: int = 1) -> Clip:
        """Return some of the frames."""
        some = slice(begin, end, every)
        return Clip(name, self.found[some], self.truth[some], self.cuts[some], self.fps / every, self.size)


def look(
    name: str,
    model: PeopleNet,
    video: Path,
    truth: Sequence[Truth],
    change: Callable[[Image], Image] = lambda x: x,
    settings: Settings = LOW,
    **sampling: int,
) -> Clip:
    """Take a video through the network, every frame of it."""
    source, found, small = open_source(video, **sampling), [], []
    for frame in source:
        image = np.ascontiguousarray(change(frame.image))
        found.append(decode(model.infer(image), settings).detections)
        small.append(thumbnail(image))
    cuts = [False, *(scene_cut(before, after) for before, after in pairwise(small))]
    return Clip(name, found, list(truth), cuts, source.info.fps or 25.0, (image.shape[1], image.shape[0]))


def filled(clip: Clip, keyframes: KeyFrames) -> tuple[list[Detections], float]:
    """Return the detections of all frames, and the share that the network saw."""
    count, last = window_frames(keyframes, clip.fps, clip.size), len(clip.found) - 1
    out: list[tuple[Detections, bool]] = []
    for first in range(0, max(last, 1), count):
        end = min(first + count, last)
        window = choose_and_fill(
            end - first + 1,
            lambda i, first=first: clip.found[first + i],  # type: ignore[misc]
            lambda i, first=first: clip.cuts[first + i],  # type: ignore[misc]
            [(first + i) / clip.fps for i in range(end - first + 1)],
            keyframes,
            clip.size,
        )
        out += window if end == last else window[:-1]
    return [boxes for boxes, _ in out], float(np.mean([seen for _, seen in out]))


def figures(found: Sequence[Detections], truth: Sequence[Truth]) -> list[str]:
    people = [(boxes.of_class("person"), wanted) for boxes, wanted in zip(found, truth, strict=True)]
    loose, strict = (
        precision_recall([(boxes.xyxy, boxes.confidence, wanted) for boxes, wanted in people], iou)
        for iou in (0.5, 0.75)
    )
    return [f"{x:.3f}" for x in (loose.average_precision, strict.average_precision, loose.best()[0])]


def moved(truth: Truth, left: int, top: int, scale: float, size: tuple[int, int]) -> Truth:
    """Return the truth in an enlarged part of the picture; who is cut by its edge is neither right nor wrong."""
    whole = (truth.xyxy - np.array([left, top, left, top])) * scale
    inside = np.clip(whole, 0, np.array([*size, *size]))
    area = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (inside, whole)]
    shown = area[0] / np.maximum(area[1], 1e-9)
    seen = shown > 0.02
    return Truth(inside[seen], (truth.ignore | (shown < 0.6))[seen])


def clips(shared: Path) -> Iterator[Clip]:
    (weights,) = (shared / "models").glob("*/*.onnx")
    model, video = PeopleNet.load(weights, device="cpu"), shared / "data" / "vtest.avi"
    people = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    truth = [people[i] for i in range(795)]
    whole = look("vtest.avi", model, video, truth)
    yield whole
    yield whole.part("its second half, held out", 397, 795)
    yield whole.part("at 5 frames per second", 0, 795, 2)
    mirrored = [Truth(t.xyxy[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [768, 0, 768, 0], t.ignore) for t in truth]
    yield look("mirrored, second half", model, video, mirrored[397:], lambda x: x[:, ::-1], start=397)
    for left, top, begin in ((384, 230, 0), (120, 60, 400)):
        part = [moved(t, left, top, 2, whole.size) for t in truth[begin : begin + 395]]
        yield look(
            f"a quarter enlarged, from ({left}, {top}), frames {begin} to {begin + 394}",
            model,
            video,
            part,
            lambda x, left=left, top=top: np.asarray(  # type: ignore[misc]
                cv2.resize(x[top : top + 288, left : left + 384], (768, 576), interpolation=cv2.INTER_CUBIC),
                np.uint8,
            ),
            start=begin,
            frames=395,
        )
    alone = [Truth.of(t.xyxy[t.class_id == 0].astype(np.float64)) for t in demo_truth()]
    standin = PeopleNet.load(STANDIN, device="cpu")
    demo = look("demo clip, stand-in", standin, demo_clip(), alone, settings=preset("default"))
    yield demo
    # What straight lines lose, whatever the network finds: the rendered people swing with every step.
    yield replace(demo, name="demo clip, its truth for a network", found=[perfect(t) for t in alone])


def perfect(truth: Truth) -> Detections:
    """Return the truth as detections."""
    count = len(truth.xyxy)
    cells = np.zeros(count, np.int64)
    return Detections(
        truth.xyxy.astype(np.float32), np.ones(count, np.float32), cells, cells, cells, ("person",)
    )


def timed(shared: Path, repeats: int) -> list[list[str]]:
    """Return the rows of whole runs, taking turns."""
    (weights,) = (shared / "models").glob("*/*.onnx")
    rows = []
    for name, model, video in (
        ("vtest.avi", PeopleNet.load(weights, device="cpu"), shared / "data" / "vtest.avi"),
        ("demo clip, stand-in", PeopleNet.load(STANDIN, device="cpu"), demo_clip()),
    ):
        seconds: dict[str, list[float]] = {}
        share = {}
        for _ in range(repeats):
            for choice in ("off", "3", "auto"):
                with tempfile.TemporaryDirectory() as folder:
                    source = open_source(video, frames=TIMED_FRAMES)
                    began = time.perf_counter()
                    done = run(source, model, output=folder, video=False, progress=False, keyframes=choice)
                    seconds.setdefault(choice, []).append(time.perf_counter() - began)
                share[choice] = done.summary["frames_inferred"] / done.summary["frames"]
        base = seconds["off"]
        for choice, taken in seconds.items():
            ratio = float(np.median([b / t for b, t in zip(base, taken, strict=True)]))
            rows.append(
                [
                    name,
                    choice,
                    f"{share[choice]:.0%}",
                    f"{TIMED_FRAMES / np.median(taken):.1f}",
                    f"{ratio:.2f}",
                ]
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timed", action="store_true", help="measure whole runs too")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    shared, rows = shared_folder(), []
    for clip in clips(shared):
        for choice in CHOICES:
            found, share = filled(clip, KeyFrames.parse(choice))
            rows.append([clip.name, choice, f"{share:.0%}", *figures(found, clip.truth)])
            print(rows[-1], flush=True)
    columns = ("pictures", "keyframes", "frames inferred", "AP 0.5", "AP 0.75", "best F1")
    lines = ["On all frames, people.", "", *table(columns, rows)]
    if options.timed:
        load = os.getloadavg()[0]
        timing = table(
            ("run", "keyframes", "frames inferred", "frames a second", "times off"),
            timed(shared, options.repeats),
        )
        lines += [
            "",
            f"Runs over {TIMED_FRAMES} frames, tables only, medians of {options.repeats}, load before {load:.1f}:",
            "",
            *timing,
        ]
    show_section("Key frames", lines, write=options.write)


if __name__ == "__main__":
    main()
