"""How old boxes are over a live stream, and in the browser: the figures of RESULTS.md's section on live streams.

    python benchmarks/live_latency.py [--minutes 10] [--model standin] [--no-browser] [--write]

Three things are measured, each in one go with what it is compared with:

- a run over a stream (the demo clip from an RTSP server where GStreamer has one, else at its own pace): from a
  frame's arrival to its boxes, in five parts of the time, beside a bare inference on the same frames;
- the browser's camera at 640x480 (Chromium's fake camera): from the picture to its boxes on the page, beside the
  network and beside messages of the same size that ask for nothing;
- the panel over a running stream through a link of 200 ms there and back and 1 Mbit/s: how old the picture on the
  page is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from results_file import show_section, table

import peoplenet_nb as pn
from peoplenet_nb.live.rtsp import demo_stream

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from live_streams import SlowLink
from test_browser_live import as_motion_jpeg
from tuner_lab import CHROMIUM, Notebook, browser, jupyter_lab, write_notebook

CAMERA = "import peoplenet_nb as pn\nmodel = pn.PeopleNet.load({model!r})\ncamera = pn.BrowserCamera(model)\ncamera"
PANEL = "panel = pn.watch({source!r}, model)\npanel"
PAINTED = "([i, n]) => document.querySelectorAll('.pnb-live')[i]?.liveStats.shown > n"
STATS = "(i) => JSON.parse(JSON.stringify(document.querySelectorAll('.pnb-live')[i].liveStats))"
ECHO = "(n) => document.querySelector('.pnb-live').liveStats.echo(n)"


def bare_ms(model: Any, images: list[Any]) -> float:
    """Return the median time of the network alone, with its input ready, one after the other."""
    took = []
    for image in images:
        batch, fit = model.preprocess(image)
        began = time.perf_counter()
        model.infer_input(batch, [fit])
        took.append(1e3 * (time.perf_counter() - began))
    return statistics.median(took)


def over_a_stream(model: Any, address: str, seconds: float) -> dict[str, Any]:
    """Run over a stream for some time; return how old boxes were, in five parts of the time."""
    source = pn.open_source(address, live=True, seconds=seconds)
    images = [frame.image for _, frame in zip(range(20), pn.open_source("demo", every=5), strict=False)]
    model = model.looking(model.fit.of_frame(*images[0].shape[1::-1]), model.tiles)
    before, late = bare_ms(model, images), []

    def saw(frame: Any, _: Any) -> None:
        late.append((frame.time_s, 1e3 * (source.feed.now_s - frame.time_s)))

    with tempfile.TemporaryDirectory() as folder:
        result = pn.run(source, model, None, folder, progress=False, watch=saw, keep=60.0)
    bare = (before + bare_ms(model, images)) / 2
    parts = np.array_split(np.array(late[5:]), 5)
    return {
        "fps": source.info.fps,
        "bare": bare,
        "parts": [np.percentile(part[:, 1], (50, 95)).tolist() for part in parts],
        "live": result.summary["live"],
        "ran": result.summary["speed"],
    }


def in_the_browser(model: str | None, source: str, seconds: float) -> dict[str, Any]:
    """Return what the page measured of its camera, and of the panel before and behind a slow link."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        video = as_motion_jpeg(root / "camera.mjpeg")
        write_notebook(root / "live.ipynb", [CAMERA.format(model=model), PANEL.format(source=source)])
        with jupyter_lab(root) as lab, SlowLink(lab) as link, browser(1440, 1300, camera=video) as page:
            notebook = Notebook(page, link.address, "live.ipynb")
            notebook.run_cell(0)
            page.get_by_role("button", name="Start camera").click(timeout=60_000)
            page.wait_for_function(PAINTED, arg=[0, 120], timeout=180_000)
            camera = page.evaluate(STATS, 0)
            page.get_by_role("button", name="Stop", exact=True).click()
            echoes = sorted(page.evaluate(ECHO, camera["bytes"]) for _ in range(40))
            notebook.run_cell(1)
            page.wait_for_function(PAINTED, arg=[1, 40], timeout=90_000)
            fast = page.evaluate(STATS, 1)
            link.slow(delay_s=0.1, bits=1e6)
            page.wait_for_timeout(8_000)  # pictures get smaller
            shown = page.evaluate(STATS, 1)["shown"]
            page.wait_for_timeout(1e3 * seconds)
            slow = page.evaluate(STATS, 1)
    count = slow["shown"] - shown
    ages = slow["ages"][-count:]
    return {
        "trip": statistics.median(camera["roundTrips"][20:]),
        "network": statistics.median(camera["network"][20:]),
        "kernel": statistics.median(camera["kernel"][20:]),
        "echo": statistics.median(echoes),
        "bytes": camera["bytes"],
        "fast": np.percentile(fast["ages"], (50, 95)).tolist(),
        "fast_bytes": fast["bytes"],
        "slow": np.percentile(ages, (50, 95)).tolist(),
        "halves": [statistics.median(half.tolist()) for half in np.array_split(np.array(ages), 2)],
        "slow_bytes": slow["bytes"],
        "slow_fps": count / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="standin")
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    load, stream = os.getloadavg()[0], demo_stream()
    model = pn.PeopleNet.load(options.model)
    run = over_a_stream(model, stream.address, 60 * options.minutes)
    frame = 1e3 / run["fps"]
    fifth = options.minutes * 60 / 5
    lines = [
        f"Network: {model.file.path.name}, {model.device}. Load before: {load:.1f}. Stream: {stream.note}",
        "",
        f"**A run over a stream of {run['fps']:.0f} frames a second**, {options.minutes:g} minutes, the video written. "
        f"A bare inference takes {run['bare']:.1f} ms; of {run['live']['arrived']} frames {run['live']['dropped']} "
        "were dropped. From a frame's arrival to its boxes, in ms:",
        "",
    ]
    rows = [
        (
            f"{i * fifth:.0f} to {(i + 1) * fifth:.0f} s",
            f"{p50:.0f}",
            f"{p95:.0f}",
            f"{(p50 - run['bare']) / frame:.2f}",
        )
        for i, (p50, p95) in enumerate(run["parts"])
    ]
    lines += table(("part of the time", "p50", "p95", "p50 above a bare inference, in frames' time"), rows)
    if not options.no_browser and CHROMIUM is not None:
        seen = in_the_browser(options.model, stream.address, 20.0)
        beyond = seen["trip"] - seen["network"] - seen["echo"]
        lines += [
            "",
            f"**The browser's camera**, 640x480, {seen['bytes'] / 1e3:.0f} KB a picture, medians: {seen['trip']:.1f} "
            f"ms from the picture to its boxes on the page, of which the network takes {seen['network']:.1f} and a "
            f"message of that size there and a word back {seen['echo']:.1f}: {beyond:.1f} ms beyond both (the kernel "
            f"alone, for the JPEG and the decode: {seen['kernel'] - seen['network']:.1f}).",
            "",
            "**The panel**, age of the picture on the page in ms, from its arrival in the kernel:",
            "",
        ]
        halves = f"{seen['halves'][0]:.0f}, {seen['halves'][1]:.0f}"
        slow = f"{seen['slow_bytes'] / 1e3:.0f} KB, {seen['slow_fps']:.1f} a second"
        rows = [
            ("this machine", *(f"{ms:.0f}" for ms in seen["fast"]), f"{seen['fast_bytes'] / 1e3:.0f} KB", ""),
            ("200 ms there and back, 1 Mbit/s", *(f"{ms:.0f}" for ms in seen["slow"]), slow, halves),
        ]
        lines += table(
            ("link", "p50", "p95", "pictures", "p50 of the first and the second ten seconds"), rows
        )
    show_section("Live streams", lines, write=options.write)


if __name__ == "__main__":
    main()
