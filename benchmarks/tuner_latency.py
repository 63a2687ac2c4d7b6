"""How fast the tuner follows a hand, in headless Chromium driving a real JupyterLab.

    PEOPLENET_SHARED=../shared python benchmarks/tuner_latency.py [--grids FOLDER] [--json FILE]

Runs the network over some frames of vtest.avi (or takes saved grids), opens a notebook with the panel, drags
sliders with real pointer events, and prints:

- *painted*: from the moment the page gets the slider's event until the canvas has its new pixels (read back, so
  that nothing of the drawing is left for later);
- *display*: from the event's own time stamp to a task after the display's frame in which the drawing is shown;
- the same while the kernel sleeps, with the number of drawings the drag made meanwhile;
- how long after the last move Python holds the settings;
- heap and DOM nodes before and after 200 moves back and forth.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from tuner_lab import Notebook, Panel, browser, jupyter_lab, kernel_log, write_notebook

NOTEBOOK = [
    """import json, time
from pathlib import Path
from peoplenet_nb.tuner import tune_run
panel = tune_run({grids!r}, {video!r})
def note():
    row = {{"time": time.time(), "person": panel.settings.for_class("person").threshold}}
    with Path({log!r}).open("a") as out:
        out.write(json.dumps(row) + "\\n")
panel.model.on_change(note)
panel""",
    "time.sleep(15); Path({woke!r}).touch()",
]

# Times every drawing against the newest pointer event.
PROBE = """() => {
  const root = document.querySelector('.pnb-tuner');
  const overlay = [...root.querySelectorAll('.pnb-overlay')].at(-1);
  window.pnbSamples = [];
  let event = null;
  if (window.pnbProbe) window.removeEventListener('pointermove', window.pnbProbe, true);
  window.pnbProbe = (e) => { event = {stamp: e.timeStamp, got: performance.now(), wall: Date.now()}; };
  window.addEventListener('pointermove', window.pnbProbe, true);
  root.tunerStats.onpaint = () => {
    if (!event) return;
    const from = event;
    event = null;
    // Reading a pixel back makes the browser carry out what was drawn.
    overlay.getContext('2d').getImageData(0, 0, 1, 1);
    const sample = {painted: performance.now() - from.got, wall: from.wall};
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        sample.display = performance.now() - from.stamp;
        window.pnbSamples.push(sample);
      };
      channel.port2.postMessage(0);
    });
  };
}"""


def grids_of(video: Path, model_path: Path, folder: Path, frames: int) -> Path:
    from peoplenet_nb.cells import CELLS, Cells, CellsWriter
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    model = PeopleNet.load(model_path, device="cpu")
    writer = CellsWriter(folder / CELLS)
    for frame in open_source(video, frames=frames):
        writer.add(frame.index, Cells.of(model.infer(frame.image)))
    writer.finish()
    return folder


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))]


def measure(panel: Panel, label: str, slider: str, values: list[float]) -> dict[str, Any]:
    page = panel.page
    page.evaluate(PROBE)
    track, mouse = panel.track(slider), page.mouse
    handle = panel.row(slider).locator(".noUi-handle").first.bounding_box()
    y = handle["y"] + handle["height"] / 2
    mouse.move(handle["x"] + handle["width"] / 2, y)
    mouse.down()
    for value in values:
        mouse.move(track["x"] + track["width"] * value, y)
        time.sleep(0.012)
    mouse.up()
    time.sleep(0.1)
    samples = page.evaluate("() => window.pnbSamples")
    row: dict[str, Any] = {"what": label, "drawings": len(samples)}
    for name in ("painted", "display"):
        times = [sample[name] for sample in samples]
        row[f"{name}_p50"], row[f"{name}_p95"] = statistics.median(times), percentile(times, 0.95)
    row["last"] = max(sample["wall"] for sample in samples) / 1000
    print(
        f"{label:44} {row['drawings']:4} drawings"
        f"   painted p50 {row['painted_p50']:5.1f} p95 {row['painted_p95']:5.1f} ms"
        f"   display p50 {row['display_p50']:5.1f} p95 {row['display_p95']:5.1f} ms"
    )
    return row


def sweep(low: float, high: float, steps: int) -> list[float]:
    there = [low + (high - low) * i / steps for i in range(steps + 1)]
    return there + there[::-1]


def memory(page: Any) -> tuple[float, int]:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    return metrics["JSHeapUsedSize"] / 1e6, int(metrics["Nodes"])


def run(grids: Path, video: Path, folder: Path) -> list[dict[str, Any]]:
    log, rows = folder / "log.jsonl", []
    cells = [
        cell.format(grids=str(grids), video=str(video), log=str(log), woke=str(folder / "woke"))
        for cell in NOTEBOOK
    ]
    write_notebook(folder / "bench.ipynb", cells)
    with jupyter_lab(folder) as lab, browser() as page:
        notebook = Notebook(page, lab, "bench.ipynb")
        notebook.run_cell(0)
        panel = Panel(page)
        notebook.idle()
        time.sleep(2)
        measure(panel, "(warming up)", "person", sweep(0.2, 0.6, 30))
        rows.append(measure(panel, "threshold, typical frame", "person", sweep(0.05, 0.6, 100)))
        rows.append(measure(panel, "NMS IoU, typical frame", "NMS IoU", sweep(0.3, 0.7, 100)))
        rows += latencies(panel, log)
        rows.append(grown(panel))
        notebook.run_cell(1)
        time.sleep(0.5)
        rows.append(measure(panel, "threshold, kernel in time.sleep", "person", sweep(0.05, 0.6, 30)))
        rows[-1]["kernel slept"] = not (folder / "woke").exists()
        print(f"{'':44} the kernel slept all the while: {rows[-1]['kernel slept']}")
        while not (folder / "woke").exists():
            time.sleep(0.5)
        for label in ("person", "bag", "face"):
            panel.drag(label, [0.1, -0.05])
        print(panel.summary())
        rows.append(measure(panel, "NMS IoU, all 6120 cells", "NMS IoU", sweep(0.3, 0.7, 60)))
        rows.append(measure(panel, "threshold 0 and back, all 6120 cells", "person", sweep(-0.05, 0.05, 40)))
        print("console errors:", page.problems or "none")
    return rows


def latencies(panel: Panel, log: Path, times: int = 10) -> list[dict[str, Any]]:
    """Measure how long after the last of some moves Python holds the value."""
    waits = []
    for turn in range(times):
        panel.page.evaluate(PROBE)
        panel.drag("person", [0.3, 0.35, 0.4 + 0.02 * turn])
        time.sleep(0.7)
        last = panel.page.evaluate("() => window.pnbSamples.at(-1)?.wall")
        arrived = [entry["time"] * 1000 for entry in kernel_log(log)]
        waits += [arrived[-1] - last] if last and arrived and arrived[-1] > last else []
    print(
        f"state in Python after the last move: p50 {statistics.median(waits):.0f} ms, "
        f"most {max(waits):.0f} ms (of {len(waits)})"
    )
    return [
        {
            "what": "state reaches Python",
            "p50": statistics.median(waits),
            "most": max(waits),
            "drags": len(waits),
        }
    ]


def grown(panel: Panel) -> dict[str, Any]:
    panel.drag("person", sweep(0.2, 0.5, 20))
    time.sleep(1)
    before = memory(panel.page)
    panel.drag("person", [0.2 if i % 2 else 0.5 for i in range(200)])
    time.sleep(1)
    after = memory(panel.page)
    print(
        f"200 moves back and forth: heap {before[0]:.1f} -> {after[0]:.1f} MB, DOM nodes {before[1]} -> {after[1]}"
    )
    return {"what": "200 moves", "heap_mb": [before[0], after[0]], "nodes": [before[1], after[1]]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grids", type=Path, help="saved grids of vtest.avi, instead of running the network")
    parser.add_argument("--frames", type=int, default=200, help="frames to run the network on (default 200)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    asked = parser.parse_args()
    shared = Path(os.environ.get("PEOPLENET_SHARED", "../shared")).resolve()
    video = shared / "data" / "vtest.avi"
    if not video.is_file():
        parser.exit(2, f"No video at {video}: set PEOPLENET_SHARED.\n")
    with tempfile.TemporaryDirectory(prefix="peoplenet-bench-") as name:
        folder = Path(name)
        grids = asked.grids
        if grids is None:
            (model,) = (shared / "models").glob("*/*.onnx")
            grids = grids_of(video, model, folder / "grids", asked.frames)
        rows = run(grids.resolve(), video, folder)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
