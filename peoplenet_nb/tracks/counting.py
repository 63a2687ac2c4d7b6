"""Who crossed a line, and who was in a zone for how long.

People are where their feet are: the middle of the lower edge of the box. Boxes tremble, so somebody is on the other
side only after 0.3 seconds there (three frames at ten a second); what counts is then the moment in which they came.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.tracks.scene import Line, Scene, Zone, segments_meet, turn
from peoplenet_nb.tracks.tracked import Floats, Ints, Tracks

if TYPE_CHECKING:
    import pandas as pd

HOLD_S = 0.3
"""How long somebody must be on the new side."""


@dataclass(frozen=True, eq=False)
class Counts:
    """What happened at the lines and in the zones of a scene.

    Parameters
    ----------
    crossings : DataFrame
        A line for each: line, track, class, direction (``in`` or ``out``), frame, time_s; by time.
    visits : DataFrame
        A line for each stay in a zone: zone, track, class, first_frame, last_frame, first_s, last_s, seconds, entered,
        left; ``entered`` tells whether they were seen to come, ``left`` whether they were seen to go.
    presence : DataFrame
        A line for each frame: frame, time_s, and for each zone how many were in it.
    scene : Scene
    """

    crossings: pd.DataFrame
    visits: pd.DataFrame
    presence: pd.DataFrame
    scene: Scene

    def lines(self) -> pd.DataFrame:
        """Return how many went in and out over each line."""
        import pandas as pd

        way = [self.crossings[self.crossings["line"] == name]["direction"] for name in self.scene.lines]
        rows = [
            {"line": name, "in": int((ways == "in").sum()), "out": int((ways == "out").sum())}
            for name, ways in zip(self.scene.lines, way, strict=True)
        ]
        return pd.DataFrame(rows, columns=["line", "in", "out"])

    def zones(self) -> pd.DataFrame:
        """Return for each zone its visits, entries, the most people at once, dwell times, and seconds overcrowded."""
        import pandas as pd

        rows = []
        for name, zone in self.scene.zones.items():
            visits, at_once = self.visits[self.visits["zone"] == name], self.presence[name].to_numpy(np.int64)
            seconds = visits["seconds"].to_numpy(np.float64)
            rows.append(
                {
                    "zone": name,
                    "visits": len(visits),
                    "entries": int(visits["entered"].sum()),
                    "most at once": int(at_once.max(initial=0)),
                    "mean seconds": float(seconds.mean()) if len(seconds) else 0.0,
                    "median seconds": float(np.median(seconds)) if len(seconds) else 0.0,
                    "longest seconds": float(seconds.max(initial=0.0)),
                    "overcrowded seconds": self._overcrowded(at_once, zone),
                }
            )
        return pd.DataFrame(rows, columns=list(rows[0]) if rows else ["zone"])

    def until(self, frame: int) -> dict[str, str]:
        """Return what to write beside each line and zone in a frame: crossings until then, people there now."""
        lines = self._crossed_by
        texts = {}
        for name in self.scene.lines:
            into, out = (int(np.searchsorted(lines[name, way], frame, side="right")) for way in ("in", "out"))
            texts[name] = f"{name}: {into} in, {out} out"
        at = int(np.searchsorted(self.presence["frame"].to_numpy(np.int64), frame, side="right")) - 1
        for name in self.scene.zones:
            texts[name] = f"{name}: {self.presence[name].to_numpy(np.int64)[at] if at >= 0 else 0}"
        return texts

    @cached_property
    def _crossed_by(self) -> dict[tuple[str, str], Ints]:
        """At which frames each line was crossed, by direction."""
        frames = self.crossings["frame"].to_numpy(np.int64)
        line, way = self.crossings["line"].to_numpy(object), self.crossings["direction"].to_numpy(object)
        return {
            (name, to): np.sort(frames[(line == name) & (way == to)])
            for name in self.scene.lines
            for to in ("in", "out")
        }

    def _overcrowded(self, at_once: Ints, zone: Zone) -> float:
        if zone.most is None or len(at_once) < 2:
            return 0.0
        times = self.presence["time_s"].to_numpy(np.float64)
        return float(np.diff(times)[at_once[:-1] > zone.most].sum())

    def _repr_html_(self) -> str:
        from peoplenet_nb.html_tables import table

        shown = [("Lines", self.lines()), ("Zones", self.zones().round(1))]
        return "".join(table(rows, title) for title, rows in shown if len(rows))

    def __str__(self) -> str:
        parts = [rows.round(1).to_string(index=False) for rows in (self.lines(), self.zones()) if len(rows)]
        return "\n".join(parts) or "no lines and no zones"


def count(tracks: Tracks, scene: Scene, *, label: str = "person", hold_s: float = HOLD_S) -> Counts:
    """Count who crossed the lines and stayed in the zones of a scene.

    Parameters
    ----------
    tracks : Tracks
    scene : Scene
        In the pixels of the tracks.
    label : str
        Of which class.
    hold_s : float
        How long somebody must be on the new side of a line or an edge.
    """
    import pandas as pd

    people = tracks.of_class(label)
    all_feet = people.feet
    step = float(np.median(np.diff(tracks.times))) if len(tracks.times) > 1 else hold_s
    hold = max(1, math.ceil(hold_s / step - 0.01))
    crossings: list[dict[str, Any]] = []
    visits: list[dict[str, Any]] = []
    presence = np.zeros((len(tracks.frames), len(scene.zones)), np.int64)
    where = {int(frame): i for i, frame in enumerate(tracks.frames.tolist())}
    for number in people.numbers.tolist():
        of = people.of(number)
        feet, who = all_feet[of], {"track": number, "class": label}
        at = [where[frame] for frame in people.frame[of].tolist()]
        for name, line in scene.lines.items():
            for i, inward in _crossed(feet, line, hold):
                row = {"line": name, **who, "direction": "in" if inward else "out"}
                crossings.append(
                    row | {"frame": int(people.frame[of[i]]), "time_s": float(people.time_s[of[i]])}
                )
        for k, (name, zone) in enumerate(scene.zones.items()):
            for first, last, entered, left in _stays(inside(feet, zone), hold):
                begin, end = (float(people.time_s[of[i]]) for i in (first, last))
                frames = {
                    "first_frame": int(people.frame[of[first]]),
                    "last_frame": int(people.frame[of[last]]),
                }
                times = {"first_s": begin, "last_s": end, "seconds": end - begin}
                visits.append({"zone": name, **who, **frames, **times, "entered": entered, "left": left})
                presence[at[first] : at[last] + 1, k] += 1
    columns = ["line", "track", "class", "direction", "frame", "time_s"]
    crossed = pd.DataFrame(crossings, columns=columns).sort_values(
        ["time_s", "line", "track"], ignore_index=True
    )
    columns = [
        "zone",
        "track",
        "class",
        "first_frame",
        "last_frame",
        "first_s",
        "last_s",
        "seconds",
        "entered",
        "left",
    ]
    stayed = pd.DataFrame(visits, columns=columns).sort_values(
        ["first_s", "zone", "track"], ignore_index=True
    )
    table = pd.DataFrame({"frame": tracks.frames, "time_s": tracks.times})
    table[list(scene.zones)] = presence
    return Counts(crossed, stayed, table, scene)


def inside(points: Floats, zone: Zone) -> npt.NDArray[np.bool_]:
    """Return which of the points ``(N, 2)`` lie in a zone (an odd number of its edges lies to the right of them)."""
    corners = np.array(zone.points, np.float64)
    ahead = np.roll(corners, -1, axis=0)
    x, y = points[:, 0][:, None], points[:, 1][:, None]
    spans = (corners[:, 1] > y) != (ahead[:, 1] > y)
    rise = np.where(ahead[:, 1] == corners[:, 1], 1.0, ahead[:, 1] - corners[:, 1])
    right = x < corners[:, 0] + (y - corners[:, 1]) * (ahead[:, 0] - corners[:, 0]) / rise
    odd: npt.NDArray[np.bool_] = (spans & right).sum(axis=1) % 2 == 1
    return odd


def settled(states: npt.NDArray[np.bool_], hold: int) -> npt.NDArray[np.bool_]:
    """Return states that only change for ``hold`` frames or more; the first state is taken as it is."""
    out = states.copy()
    begins = np.flatnonzero(np.diff(states, prepend=~states[:1]))
    for begin, end in pairwise([*begins.tolist(), len(states)]):
        if begin and end - begin < hold:
            out[begin:end] = out[begin - 1]
    return out


def _crossed(feet: Floats, line: Line, hold: int) -> list[tuple[int, bool]]:
    """Return at which of a track's boxes it crossed a line, and whether inward."""
    corners = np.array(line.points, np.float64)
    found = []
    for a, b in pairwise(corners):
        sides = turn(a, b, feet)
        on = np.flatnonzero(sides)
        if not len(on):
            continue
        # Who stands exactly on the line is still where they were.
        last = on[np.maximum(np.searchsorted(on, np.arange(len(sides)), side="right") - 1, 0)]
        right = settled(sides[last] > 0, hold)
        for i in np.flatnonzero(np.diff(right)).tolist():
            if segments_meet(feet[i], feet[i + 1], a, b):
                found.append((i + 1, bool(right[i + 1]) != line.swap))
    return sorted(found)


def _stays(within: npt.NDArray[np.bool_], hold: int) -> list[tuple[int, int, bool, bool]]:
    """Return first and last box of each stay, and whether it was seen to begin and to end."""
    calm = settled(within, hold)
    edges = np.flatnonzero(np.diff(calm, prepend=False, append=False)).reshape(-1, 2)
    return [(int(a), int(b) - 1, bool(a > 0), bool(b < len(calm))) for a, b in edges]
