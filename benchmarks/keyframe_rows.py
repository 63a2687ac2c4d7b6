"""Runs on key frames beside the tutorial's loop; `against_tutorial.py` calls this and writes the section.

In every repeat, on every clip, the tutorial's loop and each of our runs take turns, and each run is held against the
loop that was timed just before. All runs of a clip see the same frames, and the boxes that they write are scored on
all of them: average precision of people from the threshold of the default settings up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
from tutorial_loop import run_tutorial

from peoplenet_nb.demo import demo_clip, demo_truth
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import run

COLUMNS = [
    *("video", "what", "frames", "inferred", "fps", "times", "fps with video", "times"),
    *("AP 0.5", "AP 0.75"),
]
LOOP = "the tutorial's loop"


@dataclass
class Clip:
    """A video with its people, in its own pixels."""

    path: Path
    truth: dict[int, Truth]

    def scores(self, found: pd.DataFrame, frames: int) -> list[str]:
        """Return the average precision of people in a run's table, at IoU 0.5 and 0.75."""
        people = dict(list(found[found["class"] == "person"].groupby("frame")))
        none = found.iloc[:0]
        rows = [
            (
                boxes[["x1", "y1", "x2", "y2"]].to_numpy(),
                boxes["confidence"].to_numpy(),
                self.truth.get(i, []),
            )
            for i in range(frames)
            for boxes in [people.get(i, none)]
        ]
        return [f"{precision_recall(rows, iou).average_precision:.3f}" for iou in (0.5, 0.75)]


def clips(shared: Path, large: Path) -> list[Clip]:
    """Return the street video as it is and as 720p H.264, 10 frames a second, and the demo clip at 25."""
    people = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    scale = np.array([1280 / 768, 720 / 576] * 2)
    scaled = {frame: Truth(truth.xyxy * scale, truth.ignore) for frame, truth in people.items()}
    rendered = enumerate(demo_truth())
    demo = {i: Truth.of(t.xyxy[t.class_id == 0].astype(np.float64)) for i, t in rendered}
    return [Clip(shared / "data" / "vtest.avi", people), Clip(large, scaled), Clip(demo_clip(), demo)]


@dataclass
class Measured:
    """What was measured of one choice on one clip."""

    fps: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    times: dict[bool, list[float]] = field(default_factory=lambda: {False: [], True: []})
    about: list[str] = field(default_factory=lambda: ["", "", "", ""])  # frames, inferred, both scores

    def add(self, drawn: bool, fps: float, base: float) -> None:
        """Keep a run's frames per second, and the loop's beside it."""
        self.fps[drawn].append(fps)
        self.times[drawn].append(fps / base)

    def row(self) -> list[str]:
        """Return the cells behind the names."""
        speed = [
            text
            for drawn in (False, True)
            for text in (f"{np.median(self.fps[drawn]):.2f}", f"**{np.median(self.times[drawn]):.2f}**")
        ]
        return [*self.about[:2], *speed, *self.about[2:]]


def key_frame_rows(
    weights: Path,
    made: list[Clip],
    models: dict[str, PeopleNet],
    frames: int,
    loop_frames: int,
    repeats: int,
) -> list[list[str]]:
    """Return the table's rows, of models by what they are called there."""
    rows = []
    for clip in made:
        measured: dict[tuple[str, ...], Measured] = {}
        for repeat in range(repeats):
            for drawn in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    out = Path(folder) / "video.mp4" if drawn else None
                    done, seconds = run_tutorial(weights, clip.path, loop_frames, out)
                base = done / seconds
                measured.setdefault((LOOP,), Measured()).add(drawn, base, base)
                for called, model in models.items():
                    for keyframes in ("off", 3, "auto"):
                        one = measured.setdefault((called, str(keyframes)), Measured())
                        _run(clip, model, keyframes, frames, drawn, base, one)
            print(f"{clip.path.name} {repeat + 1}/{repeats}", {k: v.times for k, v in measured.items()})
        for what, one in measured.items():
            name = LOOP if what == (LOOP,) else f"{what[0]}, keyframes={what[1]}"
            rows.append([clip.path.name, name, *one.row()])
    return rows


def _run(
    clip: Clip,
    model: PeopleNet,
    keyframes: str | int,
    frames: int,
    drawn: bool,
    base: float,
    one: Measured,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        source = open_source(clip.path, frames=frames)
        options: dict[str, Any] = {"video": drawn, "keyframes": keyframes, "progress": False}
        result = run(source, model, preset("default"), folder, **options)
        seconds = time.perf_counter() - began
        count = result.summary["frames"]
        one.add(drawn, count / seconds, base)
        inferred = result.summary["frames_inferred"]
        one.about = [
            *(f"{count}", f"{inferred} ({inferred / count:.0%})"),
            *clip.scores(result.to_pandas(), count),
        ]


MEMORY = """
import sys, tempfile
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import preset
from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.video import run
video, weights, device, keyframes, frames = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    run(video, PeopleNet.load(weights, device=device), preset("default"), folder, frames=int(frames),
        keyframes=keyframes, progress=False)
print(round(peak_memory_mb()))
"""


def peak_memory(weights: Path, video: Path, device: str, keyframes: str, frames: int) -> list[str]:
    """Return a row: the peak resident memory of a whole run with video, in a process of its own."""
    about = [device, keyframes, str(frames)]
    command = [sys.executable, "-c", MEMORY, str(video), str(weights), *about]
    peak = int(subprocess.check_output(command, text=True).split()[-1])
    return [video.name, *about, str(peak)]


def looped(source: Path, target: Path, times: int) -> Path:
    """Write a video several times over, without encoding it again."""
    with av.open(str(target), "w") as out:
        stream: Any = None
        begin = end = 0
        for _ in range(times):
            with av.open(str(source)) as one:
                if stream is None:
                    stream = out.add_stream_from_template(one.streams.video[0])
                for packet in one.demux(one.streams.video[0]):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + begin, packet.dts + begin, stream
                    end = max(end, packet.pts + (packet.duration or 1))
                    out.mux(packet)
            begin = end
    return target
