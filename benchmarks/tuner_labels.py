"""What labels cost in the tuner: figures that follow a slider, and actions that twenty labelled frames take.

    PEOPLENET_SHARED=../shared python benchmarks/tuner_labels.py [--grids RUN] [--frames 2000]

Runs the network over vtest.avi (or takes a run's saved grids), repeats its frames until there are as many as asked for,
all of them labelled, shows the tuner in headless Chromium (the page alone, no Jupyter) and moves one number after the
other. A move is timed from the new value until precision, recall and F1 of the whole clip stand on the page.

The actions are those of a person who is played (tests/labelling.py) and knows the truth of vtest.avi.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from results_file import shared_folder, table, write_section
from tuner_latency import grids_of, percentile

from labelling import Hand, put_right
from peoplenet_nb import open_grids, preset, read_labels, tune_run
from peoplenet_nb.cells import CELLS, CellsWriter, SavedGrids
from peoplenet_nb.labels import Labels
from peoplenet_nb.tuner.choosing import choose_frames, prefilled
from tuner_bare import open_bare
from tuner_lab import browser

MOVE = """async ([name, values]) => {
  const { tunerStats } = document.querySelector('.pnb-tuner');
  const pause = (ms) => new Promise((after) => setTimeout(after, ms));
  const waits = [];
  for (const value of values) {
    await pause(40);
    const from = performance.now();
    window.pnbModel.set(name, value);
    while (!(tunerStats.scored > from)) await pause(0);
    waits.push(tunerStats.scored - from);
  }
  return waits;
}"""
FIRST = "() => { const { scored } = document.querySelector('.pnb-tuner').tunerStats; return scored ?? 0; }"
STEPS = 40


def repeated(saved: SavedGrids, labels: Labels, frames: int, folder: Path) -> Labels:
    """Write a run of so many frames, those of another one again and again, and return its labels."""
    many = len(saved)
    writer = CellsWriter(folder / CELLS)
    for i in range(frames):
        writer.add(i, saved.cells(i % many), time_s=i / 10)
    writer.finish()
    place = {key: i for i, key in enumerate(labels.frames)}
    rows = [np.flatnonzero(labels.frame == place[saved.frames[i % many]]) for i in range(frames)]
    number = np.arange(frames).repeat([len(row) for row in rows])
    row = np.concatenate(rows)
    return Labels(
        labels.classes,
        tuple(range(frames)),
        number,
        labels.class_id[row],
        labels.xyxy[row],
        labels.ignore[row],
        labels.area[row],
        labels.judged,
    )


def measured(run: Path, labels: Labels) -> tuple[float, list[tuple[str, list[float]]]]:
    """Return seconds until the first figures stood there, and milliseconds of the moves by what moved."""
    panel = tune_run(run, labels=labels)
    sweep = lambda low, high: [low + (high - low) * i / STEPS for i in range(STEPS)]  # noqa: E731
    with browser(1440, 1000) as page:
        begun = page.evaluate("() => performance.now()")
        open_bare(page, panel.canvas)
        page.wait_for_function(FIRST, timeout=120_000)
        first = (page.evaluate(FIRST) - begun) / 1000

        def moves(name: str, values: Sequence[float]) -> list[float]:
            return list(page.evaluate(MOVE, [name, list(values)]))

        moves("threshold_0", sweep(0.2, 0.3))  # warming up
        rows = [
            ("threshold of a class, NMS", moves("threshold_0", sweep(0.05, 0.6))),
            ("NMS IoU", moves("nms_iou", sweep(0.3, 0.7))),
            ("least height of a class, NMS", moves("min_height_0", sweep(10, 100))),
        ]
        page.evaluate(MOVE, ["min_height_0", [0]])
        page.evaluate(MOVE, ["clustering", [1]])
        rows += [
            ("least score of a class, DBSCAN", moves("min_confidence_0", sweep(0.1, 0.6))),
            ("threshold of a class, DBSCAN", moves("threshold_0", sweep(0.05, 0.6)[::4])),
            ("eps, DBSCAN", moves("eps", sweep(0.2, 0.6)[::4])),
        ]
    panel.close()
    return first, rows


def by_hand(saved: SavedGrids, labels: Labels, frames: int = 20) -> Hand:
    """Play a person who labels."""
    hand, truth, settings = Hand(), labels.truth("person"), preset("default")
    place = {frame: i for i, frame in enumerate(saved.frames)}
    for frame in choose_frames(saved, settings, ["person"], frames):
        put_right(hand, prefilled(saved[place[frame]], settings, ["person"]), truth[frame])
    return hand


def lines(frames: int, first: float, rows: list[tuple[str, list[float]]], hand: Hand) -> list[str]:
    cells: list[Sequence[Any]] = [
        (what, *(f"{v:.1f}" for v in (min(waits), statistics.median(waits), percentile(waits, 0.95))))
        for what, waits in rows
    ]
    load = f"The machine's load was {os.getloadavg()[0]:.1f} at the end."
    spent = ", ".join(f"{number} {name}" for name, number in sorted(hand.spent.items()))
    return [
        f"From a move of a control until precision, recall and F1 of {frames:,} labelled frames (vtest.avi, repeated)",
        f"stand on the page, in headless Chromium; the first figures stood there after {first:.1f} s. {load}",
        "",
        *table(["what moves", "least, ms", "median, ms", "95 %, ms"], cells),
        "",
        f"Twenty frames of vtest.avi, chosen and labelled by a person who is played: {hand.actions} actions for",
        f"{hand.wanted} people, of whom {hand.right} were right before, so {hand.actions / hand.right:.2f} for each",
        f"that was right already, everything else included ({spent}).",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=Path, help="a run's folder with saved grids of vtest.avi")
    parser.add_argument("--frames", type=int, default=2000)
    options = parser.parse_args()
    shared = shared_folder()
    labels = read_labels(shared / "data" / "vtest_gt.txt")
    with tempfile.TemporaryDirectory() as folder:
        run = options.grids
        if run is None:
            (weights,) = (shared / "models").glob("*/*.onnx")
            run = grids_of(shared / "data" / "vtest.avi", weights, Path(folder) / "street", 795)
        saved = open_grids(run)
        made = repeated(saved, labels, options.frames, Path(folder) / "long")
        first, rows = measured(Path(folder) / "long", made)
        text = lines(options.frames, first, rows, by_hand(saved, labels))
    write_section("The tuner with labels", text)


if __name__ == "__main__":
    main()
