"""A run's saved cells: room on the disk, time to reach a frame, and how a run of 100,000 frames opens in the tuner.

    python benchmarks/saved_cells.py RUN [--frames 100000] [--write]

RUN is the folder of a run with ``--save-grids`` (of all of ``vtest.avi``, for the figures in RESULTS.md). The long
run is made of its frames, repeated. The panel is opened in a process of its own, whose memory counts with all that it
imports. ``--write`` puts the table into RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results_file import show_section, table

from peoplenet_nb.cells import CELLS, CellsWriter, SavedGrids, open_grids

OPEN = """
import json, sys, time
from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.tuner import tune_run
before, began, worked = peak_memory_mb(), time.perf_counter(), time.process_time()
panel = tune_run(sys.argv[1])
took = time.perf_counter() - began, time.process_time() - worked
print(json.dumps([*took, before, peak_memory_mb(), len(panel.model.clip), len(panel.canvas.clip)]))
"""


def to_reach_a_frame(saved: SavedGrids, times: int = 300) -> tuple[float, float]:
    """Return the median and the 99th percentile of the milliseconds to whole grids, in no order."""
    taken = []
    for position in np.random.default_rng(0).integers(0, len(saved), times).tolist():
        began = time.perf_counter()
        saved[position]
        taken.append(1e3 * (time.perf_counter() - began))
    return float(np.median(taken)), float(np.quantile(taken, 0.99))


def repeated(saved: SavedGrids, frames: int, out: Path) -> float:
    """Write a run of so many frames; return the seconds it took."""
    cells = [saved.cells(position) for position in range(len(saved))]
    began = time.perf_counter()
    writer = CellsWriter(out)
    for frame in range(frames):
        writer.add(frame, cells[frame % len(cells)])
    writer.finish()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    before_all = os.getloadavg()[0]
    saved = open_grids(asked.run)
    cells = sum(len(saved.cells(position)) for position in range(len(saved)))
    median, high = to_reach_a_frame(saved)
    rows: list[tuple[str, str]] = [
        ("frames of the run", f"{len(saved)}"),
        ("cells a frame", f"{cells / len(saved):.0f}"),
        ("bytes a frame", f"{(asked.run / CELLS).stat().st_size / len(saved):.0f}"),
        ("ms to the grids of any frame: median, 99 %", f"{median:.2f}, {high:.2f}"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        took = repeated(saved, asked.frames, Path(folder) / CELLS)
        long = open_grids(folder)
        median, high = to_reach_a_frame(long)
        done = subprocess.run(
            [sys.executable, "-c", OPEN, folder], check=True, capture_output=True, text=True
        )
        opened, worked, before, peak, shown, packed = json.loads(done.stdout)
        size = (Path(folder) / CELLS).stat().st_size
    rows += [
        (f"{asked.frames:,} frames: MB on the disk", f"{size / 1e6:.0f}"),
        ("microseconds to write a frame", f"{1e6 * took / asked.frames:.0f}"),
        ("ms to the grids of any of its frames: median, 99 %", f"{median:.2f}, {high:.2f}"),
        ("seconds until the tuner is open over it, of which CPU", f"{opened:.1f}, {worked:.1f}"),
        ("frames in the tuner, MB sent to the browser", f"{shown}, {packed / 1e6:.1f}"),
        ("MB of that process at most, of which imports", f"{peak:.0f}, {before:.0f}"),
    ]
    load = f"Load of the machine before: {before_all:.1f}."
    show_section("Saved cells", [load, "", *table(("what", "measured"), rows)], write=asked.write)


if __name__ == "__main__":
    main()
