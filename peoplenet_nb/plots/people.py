"""People over time: who is who in a frame, where they walked, who crossed lines and stayed in zones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from peoplenet_nb.draw import PALETTE
from peoplenet_nb.plots.canvas import ALARM, INK, headline, panels, render
from peoplenet_nb.plots.picture import Picture, frame_picture
from peoplenet_nb.sources import Frame
from peoplenet_nb.tracks import Counts, Tracks, draw_footprints, draw_tracks

_MOST_PANELS = 8
_BINS = 12
_IN, _OUT = (f"#{r:02x}{g:02x}{b:02x}" for b, g, r in (PALETTE[5], PALETTE[6]))  # blue and vermilion


def who_is_who(
    frame: Frame, tracks: Tracks, counts: Counts | None = None, *, label: str = "person"
) -> Picture:
    """Return a frame with numbers and trails of a class, and the lines, zones and counters of a scene."""
    people = tracks.of_class(label)
    here = people.track[people.at(frame.index)].tolist()
    numbers = ", ".join(map(str, here)) or "nobody"
    picture = draw_tracks(frame.image, people, frame.index, counts=counts)
    about = f"Frame {frame.index} at {frame.time_s:.1f} s: {numbers}."
    return frame_picture(picture, f"A frame with a number for each {label}. {about}", caption=about)


def footprints(frame: Frame, tracks: Tracks, *, label: str = "person") -> Picture:
    """Return a frame with a heat map of feet over it: brighter where they were for longer."""
    people = tracks.of_class(label)
    picture = draw_footprints(frame.image, people)
    alt = f"Heat map of where {len(people)} tracks stood and walked, over a frame of the video."
    return frame_picture(picture, alt, caption="Brighter where people were for longer.")


def over_time(counts: Counts) -> Picture:
    """Return curves over time: how many crossed each line until then, how many were in each zone."""
    from matplotlib.ticker import MaxNLocator

    names = [*counts.scene.lines, *counts.scene.zones][:_MOST_PANELS]
    figure, axes = panels(max(1, len(names)), 1, 0.9 + 1.5 * max(1, len(names)), sharex=True)
    times, texts = counts.presence["time_s"].to_numpy(np.float64), []
    for name, ax in zip(names, axes, strict=False):
        if name in counts.scene.lines:
            texts.append(_crossings(ax, counts, name, times))
        else:
            texts.append(_presence(ax, counts, name, times))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        ax.grid(axis="y", color="#e5e5e5")
    if not names:
        headline(axes[0], "no lines and no zones were drawn")
    axes[-1].set_xlabel("time in the video (seconds)")
    return render(figure, f"Crossings and people over time: {'; '.join(texts) or 'nothing was drawn'}.")


def _crossings(ax: Any, counts: Counts, name: str, times: np.ndarray) -> str:
    of = counts.crossings[counts.crossings["line"] == name]
    totals = []
    for way, colour, dash in (("in", _IN, "-"), ("out", _OUT, "--")):
        moments = np.sort(of[of["direction"] == way]["time_s"].to_numpy(np.float64))
        until = np.searchsorted(moments, times, side="right")
        ax.step(times, until, where="post", color=colour, ls=dash, lw=2, label=f"{len(moments)} {way}")
        totals.append(f"{len(moments)} {way}")
    ax.set_ylim(0, max(1, *(int(t.split()[0]) for t in totals)) * 1.15)
    ax.legend(loc="upper left", frameon=False)
    headline(ax, f"line {name}: crossed until then")
    return f"{name} {' and '.join(totals)}"


def _presence(ax: Any, counts: Counts, name: str, times: np.ndarray) -> str:
    there, most = counts.presence[name].to_numpy(np.int64), counts.scene.zones[name].most
    ax.fill_between(times, there, step="mid", color=_IN, alpha=0.25, lw=0)
    ax.step(times, there, where="mid", color=INK, lw=1.2)
    if most is not None:
        ax.axhline(most, color=ALARM, ls="--", lw=1.2, label=f"{most} are allowed")
        ax.legend(loc="upper left", frameon=False)
    ax.set_ylim(0, max(1, int(there.max(initial=0)), most or 0) * 1.15)
    headline(ax, f"zone {name}: people in it")
    return f"{name} {int(there.max(initial=0))} at most"


def dwell_times(counts: Counts) -> Picture:
    """Return for each zone how long people stayed, as a distribution; stays that the video cuts short are lighter."""
    from matplotlib.ticker import MaxNLocator

    names = list(counts.scene.zones)[:_MOST_PANELS]
    figure, axes = panels(max(1, len(names)), 1, 0.9 + 1.7 * max(1, len(names)), sharex=True)
    longest = max(1.0, float(counts.visits["seconds"].max()) if len(counts.visits) else 1.0)
    edges, texts = np.linspace(0, longest, _BINS + 1), []
    for name, ax in zip(names, axes, strict=False):
        of = counts.visits[counts.visits["zone"] == name]
        whole = of["entered"].to_numpy(bool) & of["left"].to_numpy(bool)
        seconds = of["seconds"].to_numpy(np.float64)
        ax.hist(
            [seconds[whole], seconds[~whole]],
            edges.tolist(),
            stacked=True,
            color=[_IN, "#a9cce3"],
            edgecolor="white",
            label=["came and went", "was there before or after"],
        )
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        ax.set_ylim(0, max(1.0, ax.get_ylim()[1]) * 1.35)  # room for the legend
        ax.legend(loc="upper right", frameon=False, ncols=2)
        ax.set_ylabel("stays")
        median = f"{np.median(seconds):.1f} s" if len(seconds) else "none"
        headline(ax, f"zone {name}: how long people stayed, median {median}")
        texts.append(f"{name} {len(of)} stays, median {median}")
    if not names:
        headline(axes[0], "no zones were drawn")
    axes[-1].set_xlabel("seconds in the zone")
    return render(figure, f"Dwell times: {'; '.join(texts) or 'no zones'}.")


def doubtful(sheets: Sequence[Path]) -> Picture | str:
    """Return the first contact sheet of a redaction, for a notebook; a sentence where there is none."""
    image = cv2.imread(str(sheets[0])) if sheets else None
    if image is None:
        return "No moment stands out."
    left = f" {len(sheets) - 1} more sheets lie beside it." if len(sheets) > 1 else ""
    alt = "Doubtful moments of a redacted video, each just before, at and just after it."
    return frame_picture(np.asarray(image, np.uint8), alt, caption=f"{sheets[0].name}.{left}")
