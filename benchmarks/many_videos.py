"""Many videos: a batch beside one run after another, what a short clip costs besides its frames, memory and handles.

    python benchmarks/many_videos.py [--clips 100] [--rounds 3] [--real] [--write]

Whole commands are timed, each in processes of its own: ``peoplenet-nb detect`` with all videos, and ``peoplenet-nb
batch``, by turns. The videos are made of the demo clip, and the network is the stand-in, or with ``--real``
PeopleNet's on a piece of ``vtest.avi``. What claims cost is measured on lists alone. ``--write``: into RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av
from results_file import shared_folder, show_section, table

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.fleet.claims import STATE, Claims
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.paths import STANDIN


def make(path: Path, source: Path, frames: int, start: int = 0) -> None:
    """Write a video of so many frames, repeating another one from a frame on."""
    pictures: list[av.VideoFrame] = []
    with av.open(str(source)) as opened:
        for number, frame in enumerate(opened.decode(video=0)):
            if number >= start:
                pictures.append(frame)
            if len(pictures) >= min(frames, 120):
                break
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
        for number, frame in zip(range(frames), itertools.cycle(pictures)):
            shown = frame.reformat(format="yuv420p")
            shown.pts, shown.time_base, shown.pict_type = number, Fraction(1, 10), 0
            out.mux(stream.encode(shown))
        out.mux(stream.encode(None))


def command(kind: str, model: str, folder: Path, output: Path, *more: str) -> list[str]:
    shutil.rmtree(output, ignore_errors=True)
    base = [sys.executable, "-m", "peoplenet_nb.cli", kind, str(folder), "-o", str(output), "--model", model]
    return [*base, "--no-progress", *more]


def timed(arguments: list[str], watch: Path | None = None) -> tuple[float, list[tuple[float, float, int]]]:
    """Return the seconds of a command, and now and then (seconds, MiB, open files) of its largest worker."""
    seen = []
    began = time.perf_counter()
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(0.25)
            if watch is not None and (held := holdings(watch)):
                seen.append((time.perf_counter() - began, *held))
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, seen


def holdings(output: Path) -> tuple[float, int] | None:
    """Return the memory and the open files of the worker that has most."""
    found = []
    for path in (output / STATE / "workers").glob("w-*.json"):
        with contextlib.suppress(OSError, ValueError):
            pid = json.loads(path.read_text())["pid"]
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            memory = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
            found.append((memory, sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())))
    return (max(m for m, _ in found), max(f for _, f in found)) if found else None


def claims_cost(videos: int) -> tuple[float, float]:
    """Return the milliseconds of a look at all claims, and of a claim, where half of the videos are done."""
    names = [f"v{number:06d}" for number in range(videos)]
    with tempfile.TemporaryDirectory() as folder:
        claims = Claims(Path(folder), "w")
        claims.beat()
        for name in names[: videos // 2]:
            (Path(folder) / STATE / "claims" / f"{name}.1").write_text("{}")
            (Path(folder) / STATE / "done" / f"{name}.json").write_text("{}")
        looks, takes = [], []
        for _ in range(9):
            began = time.perf_counter()
            claims.survey()
            looks.append(time.perf_counter() - began)
            began = time.perf_counter()
            claims.take(names)
            takes.append(time.perf_counter() - began)
    return 1e3 * statistics.median(looks), 1e3 * statistics.median(takes)


def plan(look_ms: float, take_ms: float) -> list[list[str]]:
    """Return rows on 1 to 100 pods with a worker each, from what claims cost here, on a volume ten times slower.

    10,000 videos of ten minutes at 25 frames per second, 400 frames per second on each pod: 37.5 s a video.
    """
    seconds, slower, videos = 15_000 / 400, 10, 10_000
    rows = []
    for pods in (1, 10, 100):
        taking = slower * take_ms / 1e3  # a look is part of it
        busy = videos / pods * (seconds + taking)
        rows.append([
            str(pods), f"{busy / 3600:.1f}", f"{100 * taking / seconds:.2f} %", f"{pods / seconds:.2f}",
            f"{pods / 2:.1f}", f"{pods / seconds * slower * look_ms / 10:.1f} %",
        ])  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clips", type=int, default=100, help="short clips")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is timed")
    parser.add_argument("--frames", type=int, default=400, help="frames of each of the four long videos")
    parser.add_argument("--real", action="store_true", help="PeopleNet's weights, on a piece of vtest.avi")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    source, model = demo_clip(), str(STANDIN)
    if given.real:
        source = shared_folder() / "data" / "vtest.avi"
        model = str(next((shared_folder() / "models").glob("*/*.onnx")))
    cores = available_threads()
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place), Path(place) / "out"
        for name in ("long", "short", "one"):
            (folder / name).mkdir()
        for number in range(4):
            make(folder / "long" / f"v{number}.mp4", source, given.frames, 10 * number)
        make(folder / "short" / "c0.mp4", source, 10)
        for number in range(1, given.clips):
            shutil.copy(folder / "short" / "c0.mp4", folder / "short" / f"c{number}.mp4")
        make(folder / "one" / "v.mp4", source, 10)
        times: dict[str, list[float]] = {}
        workers = [count for count in (1, 2, 4) if count <= 2 * cores]
        for _ in range(given.rounds):
            times.setdefault("detect", []).append(timed(command("detect", model, folder / "long", out))[0])
            for count in workers:
                arguments = command("batch", model, folder / "long", out, "--workers", str(count))
                times.setdefault(f"batch {count}", []).append(timed(arguments)[0])
        load = os.getloadavg()[0]
        whole, seen = timed(command("batch", model, folder / "short", out), out)
        single, _ = timed(command("batch", model, folder / "one", out))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    total = 4 * given.frames
    rate = total / medians[f"batch {cores if cores in workers else workers[-1]}"]
    ratios = {
        name: statistics.median([a / b for a, b in zip(times["detect"], taken, strict=True)])
        for name, taken in times.items()
    }
    rows = [
        (name if name == "detect" else f"{name.replace('batch', 'batch, workers:')}", f"{total / medians[name]:.1f}",
         f"{ratios[name]:.2f}") for name in times
    ]  # fmt: skip
    overhead = 1e3 * ((whole - single) / (given.clips - 1) - 10 / rate)
    quarter, last = seen[len(seen) // 4], seen[-2]
    costs = {videos: claims_cost(videos) for videos in (100, 1000, 10_000)}
    lines = [
        f"Four videos of {given.frames} frames, {'PeopleNet' if given.real else 'the stand-in'}, whole commands "
        f"with their start, by turns, median of {given.rounds}; load average of the machine {load:.1f}:",
        "",
        *table(("command", "frames per second", "times detect (paired)"), rows),
        "",
        f"{given.clips} clips of 10 frames by `batch`: {whole:.1f} s, one clip {single:.1f} s. Besides its frames a "
        f"clip costs **{overhead:.0f} ms** of the wall's time with {cores} workers (bar: 150).",
        "",
        f"Largest worker after a quarter of the clips: {quarter[1]:.0f} MiB and {quarter[2]} open files; "
        f"at the end: {last[1]:.0f} MiB and {last[2]}.",
        "",
        "What claims cost on this machine's disk, half of the videos done:",
        "",
        *table(
            ("videos", "a look at all, ms", "a claim, ms"),
            [(f"{videos:,}", f"{look:.1f}", f"{take:.1f}") for videos, (look, take) in costs.items()],
        ),
        "",
        "A plan for pods with one GPU and one worker each, computed from the last line, on a volume ten times slower "
        "than this disk: 10,000 videos of ten minutes at 25 frames per second, 400 frames per second on each pod:",
        "",
        *table(
            (
                "pods",
                "hours",
                "time for claims",
                "claims a second",
                "heartbeats a second",
                "listing, of one server's time",
            ),
            plan(*costs[10_000]),
        ),
    ]
    show_section("Many videos", lines, write=given.write)


if __name__ == "__main__":
    main()
