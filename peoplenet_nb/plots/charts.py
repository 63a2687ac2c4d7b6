"""Reports that are charts: candidates per threshold, counts over time, confidences, latencies, head health.

Classes differ in dash, marker or hatch as well as in colour, so that a chart printed
in grey, or seen by somebody who does not see colours, still tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from peoplenet_nb.draw import hex_colour
from peoplenet_nb.explain import CANDIDATE_THRESHOLDS
from peoplenet_nb.grids import Grids
from peoplenet_nb.onnxfile import HeadHealth
from peoplenet_nb.plots.canvas import (
    ALARM,
    DASHES,
    FAINT,
    INK,
    MARKERS,
    class_colour,
    headline,
    panels,
    render,
)
from peoplenet_nb.plots.picture import Picture
from peoplenet_nb.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

_HATCHES = ("", "///", "...", "xx")
_BINS = 20


def candidates_per_threshold(grids: Grids, settings: Settings | None = None) -> Picture:
    """Return how many cells of each class reach each threshold, with those of settings marked."""
    steps = np.linspace(0.02, 0.98, 49)
    figure, (ax,) = panels(1, 1, 3.4)
    texts = []
    for c, label in enumerate(grids.labels):
        colour, dash = class_colour(grids.labels, c), DASHES[c % len(DASHES)]
        counts, at = (
            [int((grids.coverage[c] >= t).sum()) for t in thresholds]
            for thresholds in (steps, CANDIDATE_THRESHOLDS)
        )
        ax.plot(steps, counts, label=label, color=colour, ls=dash, lw=2.2)
        ax.plot(CANDIDATE_THRESHOLDS, at, MARKERS[c % len(MARKERS)], color=colour, mec=INK, ms=6)
        texts.append(f"{label} {', '.join(map(str, at))}")
        if settings is not None:
            threshold = settings.for_fit(grids.fit.mode).for_class(label).threshold
            ax.axvline(threshold, color=colour, ls=dash, lw=1)
    ax.set_yscale("symlog", linthresh=1)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set(xlim=(0, 1), ylim=(0, None), xlabel="coverage threshold (0 to 1)", ylabel="candidate cells")
    marked = " (vertical lines: the thresholds in use)" if settings is not None else ""
    headline(ax, f"candidates per threshold{marked}")
    ax.legend(frameon=False)
    ax.grid(axis="y", color="#e5e5e5")
    thresholds = ", ".join(map(str, CANDIDATE_THRESHOLDS))
    return render(figure, f"Candidate cells at thresholds {thresholds}: {'; '.join(texts)}.")


def counts_over_time(frames: pd.DataFrame, labels: Sequence[str]) -> Picture:
    """Return how many objects of each class there are in each frame of a run, whose ``frames.csv`` is given."""
    from matplotlib.ticker import MaxNLocator

    timed = "time_s" in frames and frames["time_s"].notna().all()
    x = frames["time_s" if timed else "frame"]
    figure, axes = panels(len(labels), 1, 0.9 + 1.25 * len(labels), sharex=True)
    texts = []
    for c, (label, ax) in enumerate(zip(labels, axes, strict=True)):
        counts = frames[label]
        ax.fill_between(x, counts, step="mid", color=hex_colour(label, c), alpha=0.35, lw=0)
        ax.step(x, counts, where="mid", color=hex_colour(label, c), lw=1.8)
        ax.step(x, counts, where="mid", color=INK, lw=0.5)
        ax.set_ylabel(f"{label}\nper frame")
        ax.set_ylim(0, max(1.0, float(counts.max())) * 1.15)
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        ax.grid(axis="y", color="#e5e5e5")
        texts.append(f"{label} {counts.mean():.1f} on average, {int(counts.max())} at most")
    headline(axes[0], f"boxes in each of {len(frames)} frames")
    axes[-1].set_xlabel("time in the video (seconds)" if timed else "frame")
    return render(figure, f"Boxes per frame over the run: {'; '.join(texts)}.")


def confidence_histogram(
    detections: pd.DataFrame, labels: Sequence[str], settings: Settings | None = None
) -> Picture:
    """Return the distribution of a run's confidences (``detections.csv``), with the thresholds of settings marked."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = panels(1, len(labels), 2.9, sharey=False)
    top = max(1.0, float(detections["confidence"].max())) if len(detections) else 1.0
    edges = np.linspace(0, top, _BINS + 1)
    texts = []
    for c, (label, ax) in enumerate(zip(labels, axes, strict=True)):
        values = detections.loc[detections["class"] == label, "confidence"].to_numpy(float)
        hatch = _HATCHES[c % len(_HATCHES)]
        ax.hist(values, edges.tolist(), color=hex_colour(label, c), ec=INK, lw=0.6, hatch=hatch)
        headline(ax, f"{label}: {len(values)} boxes")
        ax.set(xlim=(0, top), ylim=(0, max(1.0, ax.get_ylim()[1])), xlabel="confidence")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
        if settings is not None:
            numbers = settings.for_class(label)
            threshold, other = numbers.threshold, numbers.letterbox_threshold
            ax.axvline(threshold, color=ALARM, ls="--", lw=1.5)
            where: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
            plate = {"fc": "#ffffff", "ec": "none", "alpha": 0.85, "pad": 1}
            text = f"threshold {threshold:g}"
            if other is not None:
                ax.axvline(other, color=ALARM, ls=":", lw=1.5)
                text += f"\n(letterboxed {other:g})"
            ax.annotate(text, (threshold, 1), (4, -3), color=ALARM, fontsize=9, bbox=plate, **where)
        texts.append(
            f"{label} median {np.median(values):.2f} of {len(values)}" if len(values) else f"no {label}"
        )
    axes[0].set_ylabel("boxes")
    return render(figure, f"Histogram of confidences per class: {'; '.join(texts)}.")


def latency_bars(rows: Sequence[dict[str, Any]]) -> Picture:
    """Return milliseconds per frame as bars, of rows with ``device``, ``batch`` and ``ms_per_frame``."""
    figure, (ax,) = panels(1, 1, 0.9 + 0.42 * max(1, len(rows)))
    names = [f"{row['device']}, batch {row['batch']}" for row in rows]
    values = [float(row["ms_per_frame"]) for row in rows]
    bars = ax.barh(names, values, color="#56b4e9", ec=INK, lw=0.6, height=0.65)
    ax.bar_label(bars, [f" {v:.1f} ms = {1000 / v:.1f} frames/s" for v in values], fontsize=9.5)
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.35 * max(values, default=1)), xlabel="milliseconds per frame, network only (median)")
    values_text = "; ".join(f"{n} {v:.1f} ms" for n, v in zip(names, values, strict=True))
    return render(figure, f"Latency per device and batch size: {values_text}.")


def speed_bars(rows: Sequence[dict[str, Any]]) -> Picture:
    """Return frames per second of whole runs as bars, with the bare loop of each marked.

    Rows have ``device``, ``precision``, ``fps`` and ``bare_fps``, and ``batch`` where it is not 1.
    """
    figure, (ax,) = panels(1, 1, 0.9 + 0.42 * max(1, len(rows)))
    names = [_configuration(row) for row in rows]
    values = [float(row["fps"]) for row in rows]
    bare = [float(row["bare_fps"]) for row in rows]
    ax.barh(names, values, color="#56b4e9", ec=INK, lw=0.6, height=0.65)
    ax.plot(bare, names, ls="none", marker="|", ms=16, mew=2.5, color=ALARM)
    longest = max([*values, *bare], default=1.0)
    for i, (v, b) in enumerate(zip(values, bare, strict=True)):
        text = f"{v:.1f} ({v / b:.2f} of the bare loop's {b:.1f})"
        ax.annotate(
            text, (max(v, b), i), (8, 0), textcoords="offset points", va="center", fontsize=9.5, color=INK
        )
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.6 * longest), xlabel="frames per second of the whole run; | bare loop")
    values_text = "; ".join(f"{n} {v:.1f}" for n, v in zip(names, values, strict=True))
    return render(figure, f"Frames per second of whole runs: {values_text}.")


def stage_bars(rows: Sequence[dict[str, Any]], stages: Sequence[str]) -> Picture:
    """Return where the time of a frame goes: one bar a stage, for one or a few configurations.

    Rows have ``device``, ``precision`` and the milliseconds per frame of each stage.
    """
    colours = ("#56b4e9", "#e69f00", "#009e73", "#cc79a7")
    figure, (ax,) = panels(1, 1, 1.0 + 0.26 * len(stages) * max(1, len(rows)))
    height = 0.8 / max(1, len(rows))
    longest, texts = 1.0, []
    for r, row in enumerate(rows):
        values = np.nan_to_num([float(row[stage]) if row[stage] is not None else 0.0 for stage in stages])
        whole, name = float(values.sum()) or 1.0, _configuration(row)
        style: dict[str, Any] = {"color": colours[r % 4], "hatch": _HATCHES[r % 4], "ec": INK, "lw": 0.6}
        bars = ax.barh(np.arange(len(stages)) + r * height, values, height=height, label=name, **style)
        ax.bar_label(bars, [f" {v:.2f} ms, {v / whole:.1%}" for v in values], fontsize=9)
        longest = max(longest, float(values.max()))
        texts.append(f"{name}: " + ", ".join(f"{s} {v:.2f} ms" for s, v in zip(stages, values, strict=True)))
    ax.set_yticks(np.arange(len(stages)) + (len(rows) - 1) * height / 2, list(stages))
    ax.invert_yaxis()
    ax.set(xlim=(0, 1.25 * longest), xlabel="milliseconds per frame, as seen by the stage's own thread")
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=max(1, len(rows)))
    return render(figure, f"Time of each stage: {'; '.join(texts)}.")


def _configuration(row: dict[str, Any]) -> str:
    batch = row.get("batch", 1)
    return f"{row['device']}, {row['precision']}" + (f", batch {batch:.0f}" if batch > 1 else "")


def head_bars(heads: Sequence[HeadHealth]) -> Picture:
    """Return the size of each class head's weights, on a logarithmic scale; dead heads are hatched."""
    figure, axes = panels(1, 2, 0.9 + 0.5 * max(1, len(heads)), sharey=True)
    names = [f"{head.label} ({'alive' if head.alive else 'DEAD'})" for head in heads]
    kinds = (("coverage head", "coverage_weight_norm"), ("box head", "box_weight_norm"))
    for ax, (title, field) in zip(axes, kinds, strict=True):
        norms = np.nan_to_num([float(getattr(head, field)) for head in heads])
        shown = np.maximum(norms, 1e-9)
        colours = [hex_colour(head.label, i) if head.alive else "#ffffff" for i, head in enumerate(heads)]
        hatches = ["" if head.alive else "////" for head in heads]
        bars = ax.barh(names, shown, height=0.6, ec=INK, lw=0.6, color=colours, hatch=hatches)
        ax.bar_label(bars, [f"{norm:.1e}" for norm in norms], padding=4, fontsize=9)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlim(1e-9, 1e4)
        ax.set_xticks([1e-9, 1e-6, 1e-3, 1, 1e3])
        headline(ax, title)
        ax.set_xlabel("size of the weights (L2 norm)")
        ax.axvline(1e-4, color=FAINT, ls=":", lw=1)
    axes[0].invert_yaxis()
    dead = [head.label for head in heads if not head.alive]
    verdict = f"dead: {', '.join(dead)}" if dead else "all alive"
    caption = " ".join(f"{head.label}{': ' if head.alive else ' is '}{head.reason}." for head in heads)
    if dead:
        caption += f" No threshold brings back {', '.join(dead)}."
    return render(figure, f"Weights of each class head, {verdict}.", caption=caption)
