"""Many videos: a batch beside one run after another, what a short clip costs besides its frames, memory and handles.

    python benchmarks/many_videos.py [--frames 600] [--clips 1000] [--rounds 2] [--real] [--write]

Whole commands are timed, by turns: ``peoplenet-nb batch`` with some workers, and beside it the same videos one after
another in as many processes, each ``peoplenet-nb detect`` with its share of the videos and of the cores. Both for
videos of a minute and for videos of a few seconds, where starting a process counts. The videos are made of the demo
clip, and the network is the stand-in, or with ``--real`` PeopleNet's on a piece of ``vtest.avi``. The processor's
time of all processes stands beside the wall's, because on a machine with other work only that tells. What claims cost
is measured on lists alone. ``--write``: into RESULTS.md.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from results_file import shared_folder, show_section, table

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.fleet.claims import STATE, Claims
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.paths import STANDIN


@dataclass
class Timing:
    """What commands took."""

    wall: float
    processor: float  #: seconds of all their processes
    seen: list[tuple[float, int]]  #: MiB and open files of the largest worker, now and then


Pair = tuple[Timing, Timing]
_HEAD = (
    "workers",
    "one after another, frames per second",
    "batch",
    "ratio (paired)",
    "ratio of processor's time",
)
_PLAN = (
    "pods",
    "hours",
    "time for claims",
    "claims a second",
    "heartbeats a second",
    "listing, of one server's time",
)


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


def command(kind: str, model: str, videos: list[Path], output: Path, *more: str) -> list[str]:
    base = [
        sys.executable,
        "-m",
        "peoplenet_nb.cli",
        kind,
        *map(str, videos),
        "-o",
        str(output),
        "--model",
        model,
    ]
    return [*base, "--no-progress", *more]


def processor_s() -> float:
    """Return the processor's seconds of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(
    commands: list[list[str]], output: Path, cores: int | None = None, *, watch: bool = False
) -> Timing:
    """Return the seconds of commands side by side, and what the largest worker held now and then."""
    shutil.rmtree(output, ignore_errors=True)
    environment = os.environ | ({"PEOPLENET_CORES": str(cores)} if cores else {})
    seen: list[tuple[float, int]] = []
    used, began = processor_s(), time.perf_counter()
    started = [subprocess.Popen(one, stdout=subprocess.DEVNULL, env=environment) for one in commands]
    while any(process.poll() is None for process in started):
        time.sleep(0.25 if watch else 0.02)
        if watch and (held := holdings(output)):
            seen.append(held)
    if any(process.returncode for process in started):
        raise SystemExit(f"{commands} ended with {[process.returncode for process in started]}")
    return Timing(time.perf_counter() - began, processor_s() - used, seen)


def beside(
    model: str, videos: list[Path], out: Path, rounds: int, workers: list[int]
) -> dict[int, list[Pair]]:
    """Return, for each number of workers, pairs of one run after another in as many processes and a batch."""
    pairs: dict[int, list[Pair]] = {count: [] for count in workers}
    for _ in range(rounds):
        for count in workers:
            shares = [videos[first::count] for first in range(count)]
            commands = [command("detect", model, share, out / str(n)) for n, share in enumerate(shares)]
            plain = timed(commands, out, max(1, available_threads() // count))
            batch = timed([command("batch", model, videos, out, "--workers", str(count))], out)
            pairs[count].append((plain, batch))
    return pairs


def rows_of(pairs: dict[int, list[Pair]], frames: int) -> list[list[str]]:
    """Return a row for each number of workers."""
    rows = []
    for count, timings in pairs.items():
        plain, batch = (statistics.median(frames / pair[which].wall for pair in timings) for which in (0, 1))
        wall, used = (
            statistics.median(getattr(pair[0], what) / getattr(pair[1], what) for pair in timings)
            for what in ("wall", "processor")
        )
        rows.append([str(count), f"{plain:.1f}", f"{batch:.1f}", f"**{wall:.2f}**", f"{used:.2f}"])
    return rows


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


def take_all(folder: str, videos: int) -> None:
    """Take all claims that are free, as a worker does."""
    claims = Claims(Path(folder), f"w-{os.getpid()}")
    claims.beat()
    names = [f"v{number:06d}" for number in range(videos)]
    while claims.take(names):
        pass


def claims_at_once(workers: int, videos: int) -> float:
    """Return the claims a second that processes make who all want the same ones."""
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(workers) as pool:
        list(pool.map(time.sleep, [0.1] * workers))  # they are there
        began = time.perf_counter()
        list(pool.map(take_all, [folder] * workers, [videos] * workers))
        return videos / (time.perf_counter() - began)


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


def speed(model: str, source: Path, rounds: int, lengths: tuple[int, int]) -> list[str]:
    """Return the lines on a batch beside one run after another, and on claims."""
    cores = available_threads()
    load, tables = [os.getloadavg()[0]], []
    with tempfile.TemporaryDirectory() as place:
        for frames in lengths:
            videos = [Path(place) / f"{frames}-{number}.mp4" for number in range(4)]
            for number, path in enumerate(videos):
                make(path, source, frames, 10 * number)
            pairs = beside(
                model, videos, Path(place) / "out", rounds, [n for n in (1, 2, 4) if n <= 2 * cores]
            )
            tables += ["", f"Four videos of {frames} frames:", "", *table(_HEAD, rows_of(pairs, 4 * frames))]
            load.append(os.getloadavg()[0])
    costs = {videos: claims_cost(videos) for videos in (100, 1000, 10_000)}
    at_once = ", ".join(f"{count}: {claims_at_once(count, 500):.0f} a second" for count in (1, 2, 4))
    return [
        f"Whole commands with their start, by turns, medians of {rounds}. One after another: `detect` in as many "
        f"processes as workers, each with its share of the videos and of the {cores} cores. Load average of the "
        f"machine {min(load):.1f} to {max(load):.1f}. The bar is 0.97. Where the load is above the cores, only the "
        "ratio of the processor's time tells: of a busy machine, more processes get more.",
        *tables,
        "",
        "What claims cost on this machine's disk, half of the videos done:",
        "",
        *table(
            ("videos", "a look at all, ms", "a claim, ms"),
            [(f"{videos:,}", f"{look:.1f}", f"{take:.1f}") for videos, (look, take) in costs.items()],
        ),
        "",
        f"Claims that processes make at once, who all want the same 500 videos: {at_once}.",
        "",
        "A plan for pods with one GPU and one worker each, computed from the table's last line, on a volume ten times "
        "slower than this disk: 10,000 videos of ten minutes at 25 frames per second, 400 frames per second on each "
        "pod. How it is computed stands in docs/scale.md.",
        "",
        *table(_PLAN, plan(*costs[10_000])),
    ]


def short_clips(model: str, source: Path, clips: int, frames: int) -> list[str]:
    """Return the lines on what a short clip costs besides its frames, and on memory and open files."""
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as place:
        folder, out = Path(place) / "clips", Path(place) / "out"
        folder.mkdir()
        make(folder / "c0.mp4", source, frames)
        for number in range(1, clips):
            shutil.copy(folder / "c0.mp4", folder / f"c{number}.mp4")
        videos = [Path(place) / f"v{number}.mp4" for number in range(4)]
        for path in videos:
            make(path, source, clips * frames // 4)
        few = timed([command("batch", model, videos, out)], out)
        many = timed([command("batch", model, [folder], out)], out, watch=True)
        load.append(os.getloadavg()[0])
    held = [many.seen[len(many.seen) * part // 4] for part in (1, 2, 3)] + [many.seen[-2]]
    wall, used = (
        1e3 * (getattr(many, one) - getattr(few, one)) / (clips - 4) for one in ("wall", "processor")
    )
    return [
        f"{clips:,} clips of {frames} frames by `batch` with {available_threads()} workers: {many.wall:.0f} s; the "
        f"same number of frames in four videos: {few.wall:.0f} s. So a clip costs **{wall:.0f} ms** of the wall's time "
        f"besides its frames (bar: 150), and {used:.0f} ms of the processor's. Load average of the machine "
        f"{min(load):.1f} to {max(load):.1f}.",
        "",
        *table(
            ("largest worker, after", "a quarter", "half", "three quarters", "the end"),
            [
                ("MiB", *(f"{memory:.0f}" for memory, _ in held)),
                ("open files", *(files for _, files in held)),
            ],
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=("speed", "clips"), help="one of the two sections")
    parser.add_argument("--frames", type=int, default=600, help="frames of each of the four long videos")
    parser.add_argument("--short", type=int, default=100, help="frames of each of the four short videos")
    parser.add_argument("--rounds", type=int, default=2, help="how often each command is timed")
    parser.add_argument("--clips", type=int, default=1000, help="short clips")
    parser.add_argument("--clip-frames", type=int, default=2, help="frames of each of them")
    parser.add_argument("--real", action="store_true", help="PeopleNet's weights, on a piece of vtest.avi")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    source, model = demo_clip(), str(STANDIN)
    if given.real:
        source = shared_folder() / "data" / "vtest.avi"
        model = str(next((shared_folder() / "models").glob("*/*.onnx")))
    network = f"The network is {'PeopleNet' if given.real else 'the stand-in'}. "
    if given.only != "clips":
        first, *lines = speed(model, source, given.rounds, (given.frames, given.short))
        show_section("Many videos", [network + first, *lines], write=given.write)
    if given.only != "speed":
        first, *lines = short_clips(model, source, given.clips, given.clip_frames)
        show_section("Many short clips", [network + first, *lines], write=given.write)


if __name__ == "__main__":
    main()
