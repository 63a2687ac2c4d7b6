"""Record the tuner in motion for the README: a real run in headless Chromium, written as a small animation.

    PEOPLENET_SHARED=../shared python tools/record_tuner.py [--out docs/images/tuner.webp]

Uses vtest.avi with the real weights where PEOPLENET_SHARED names them, else the demo clip with the stand-in.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tuner_lab import Notebook, Panel, browser, jupyter_lab, write_notebook

NOTEBOOK = """from peoplenet_nb.tuner import tune_run
panel = tune_run({grids!r}, {video!r})
panel.model.go({start})
panel"""
LIMIT = 300_000

# Screenshots have no pointer; this one follows the mouse.
POINTER = """() => {
  const dot = document.createElement('div');
  dot.style.cssText = 'position:fixed;z-index:99999;width:16px;height:16px;border-radius:50%;pointer-events:none;' +
    'border:2px solid #fff;background:rgba(11,102,195,.75);box-shadow:0 0 4px #000;transform:translate(-50%,-50%)';
  document.body.append(dot);
  window.addEventListener('pointermove', (e) => {
    dot.style.left = e.clientX + 'px';
    dot.style.top = e.clientY + 'px';
  }, true);
}"""


def video_and_model() -> tuple[Path, Path]:
    """Return what to record with."""
    named = os.environ.get("PEOPLENET_SHARED")
    if named:
        shared = Path(named).resolve()
        (model,) = (shared / "models").glob("*/*.onnx")
        return shared / "data" / "vtest.avi", model
    from peoplenet_nb import demo

    return demo.demo_clip(), demo.STANDIN


def save_grids(video: Path, model: Path, folder: Path, frames: int) -> Path:
    """Run the network and save its grids."""
    from peoplenet_nb.cells import CELLS, Cells, CellsWriter
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    network = PeopleNet.load(model, device="cpu")
    source = open_source(video)
    # The busier second half of the video, where there is one.
    start = 450 if (source.info.frame_count or 0) > 700 else 0
    writer = CellsWriter(folder / CELLS)
    for frame in open_source(video, every=3, frames=frames, start=start):
        writer.add(frame.index, Cells.of(network.infer(frame.image)))
    writer.finish()
    return folder


def liveliest(grids: Path) -> int:
    """Return the frame where a threshold changes most: boxes at 0.1 that are gone at 0.9."""
    import numpy as np

    from peoplenet_nb.cells import open_grids
    from peoplenet_nb.settings import preset
    from peoplenet_nb.tuner import TunerModel

    clip = open_grids(grids)
    model = TunerModel(clip, preset("default"))
    counts = []
    for threshold in (0.1, 0.9):
        model.set(model.settings.with_class("person", threshold=threshold))
        counts.append([found.counts()["person"] for found in model.detections()])
    return int(np.argmax(np.subtract(*counts)[: max(1, len(clip) - 12)]))


class Hand:
    """Moves the mouse as a person would, a picture at each step."""

    def __init__(self, panel: Panel, camera: Any) -> None:
        self.panel, self.camera, self.mouse = panel, camera, panel.page.mouse

    def slide(self, label: str, values: list[float]) -> Iterator[Any]:
        """Drag a slider."""
        track = self.panel.track(label)
        handle = self.panel.row(label).locator(".noUi-handle").first.bounding_box()
        y = handle["y"] + handle["height"] / 2
        self.mouse.move(handle["x"] + handle["width"] / 2, y)
        self.mouse.down()
        for value in values:
            self.mouse.move(track["x"] + track["width"] * value, y)
            yield self.camera()
        self.mouse.up()
        time.sleep(0.4)
        yield self.camera()

    def press(self, name: str, pictures: int = 2) -> Iterator[Any]:
        """Press a button."""
        button = self.panel.page.get_by_role("button", name=name, exact=True)
        box = button.bounding_box()
        self.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        button.click()
        time.sleep(0.3)
        for _ in range(pictures):
            yield self.camera()

    def step(self, times: int) -> Iterator[Any]:
        """Step through the clip with the arrow key."""
        self.panel.page.evaluate("() => document.querySelector('.pnb-tuner').focus({preventScroll: true})")
        for _ in range(times):
            self.panel.page.keyboard.press("ArrowRight")
            time.sleep(0.15)
            yield self.camera()

    def line(self, start: tuple[float, float], end: tuple[float, float], steps: int) -> Iterator[Any]:
        """Draw a line, from one share of the frame's width and height to another."""
        box = self.panel.page.locator(".pnb-stage:visible").bounding_box()
        x, y = ([box["x"] + box["width"] * p[0] for p in (start, end)],
                [box["y"] + box["height"] * p[1] for p in (start, end)])  # fmt: skip
        self.mouse.move(x[0], y[0])
        self.mouse.down()
        for share in sweep(0, 1, steps):
            self.mouse.move(x[0] + share * (x[1] - x[0]), y[0] + share * (y[1] - y[0]))
            yield self.camera()
        self.mouse.up()
        time.sleep(0.5)
        for _ in range(3):
            yield self.camera()


def sweep(start: float, end: float, steps: int) -> list[float]:
    """Return evenly spaced values after the start, the end included."""
    return [start + (end - start) * (i + 1) / steps for i in range(steps)]


def scenes(hand: Hand) -> Iterator[Any]:
    """Go through what the animation shows."""
    yield hand.camera()
    yield from hand.slide("person", sweep(0.4, 0.95, 4) + sweep(0.95, 0.1, 5))
    yield from hand.press("Heatmap")
    yield from hand.press("Heatmap", 1)
    yield from hand.step(3)
    yield from hand.slide("person", sweep(0.1, 0.4, 2))
    yield from hand.press("A/B", 1)
    yield from hand.slide("person", sweep(0.4, 0.8, 3))
    yield from hand.press("A/B", 1)
    yield from hand.press("Draw", 1)
    yield from hand.line((0.35, 0.5), (0.6, 0.75), 3)


def record(video: Path, grids: Path, folder: Path, width: int) -> list[Any]:
    """Open the panel in JupyterLab and take the pictures."""
    from PIL import Image

    write_notebook(
        folder / "tuner.ipynb", [NOTEBOOK.format(grids=str(grids), video=str(video), start=liveliest(grids))]
    )
    # The panel shows the path of settings.yaml: a pod's, not that of the machine that records.
    with jupyter_lab(folder, PEOPLENET_HOME="/workspace/peoplenet") as lab, browser(1180, 1000) as page:
        notebook = Notebook(page, lab, "tuner.ipynb")
        notebook.run_all()
        panel = Panel(page)
        notebook.idle()
        page.evaluate(POINTER)
        page.evaluate("() => document.querySelector('.pnb-marks').closest('.jp-OutputArea').scrollIntoView()")
        time.sleep(2)
        area = page.locator(".jp-OutputArea-output").first.bounding_box()
        clip = {"x": area["x"], "y": area["y"], "width": area["width"], "height": min(area["height"], 860)}

        def camera() -> Any:
            picture = Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")
            return picture.resize(
                (width, round(width * picture.height / picture.width)), Image.Resampling.LANCZOS
            )

        return list(scenes(Hand(panel, camera)))


def write(pictures: list[Any], out: Path) -> int:
    """Write the animation with the best quality that stays below 300 KB."""
    out.parent.mkdir(parents=True, exist_ok=True)
    for quality in (60, 50, 40, 30, 20, 10):
        data = io.BytesIO()
        pictures[0].save(
            data,
            "WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=280,
            loop=0,
            quality=quality,
            method=6,
            minimize_size=True,
        )
        if data.tell() < LIMIT:
            break
    out.write_bytes(data.getvalue())
    return quality


def main() -> None:
    """Record, write, and say what was written."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/images/tuner.webp"))
    parser.add_argument("--grids", type=Path, help="saved grids, instead of running the network")
    parser.add_argument("--width", type=int, default=800, help="pixels across (default 800)")
    asked = parser.parse_args()
    video, model = video_and_model()
    with tempfile.TemporaryDirectory(prefix="peoplenet-record-") as name:
        folder = Path(name)
        grids = asked.grids.resolve() if asked.grids else save_grids(video, model, folder / "grids", 60)
        pictures = record(video, grids, folder, asked.width)
    quality = write(pictures, asked.out)
    size = asked.out.stat().st_size
    print(
        f"{asked.out}: {len(pictures)} pictures, {size / 1e3:.0f} KB at quality {quality}, video {video.name}"
    )


if __name__ == "__main__":
    main()
