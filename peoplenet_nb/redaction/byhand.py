"""What a person adds or takes away after looking: ``redact.yaml`` in the run's folder.

    hide:
      - {from: 12.3, to: 15.0, box: [100, 50, 140, 90]}
      - {from: 20, to: 21.5, box: [100, 50, 140, 90], then: [180, 50, 220, 90]}
    show:
      - {track: 7}
      - {from: 3, to: 4, box: [300, 200, 400, 300]}

Times are seconds of the video, boxes left, top, right, bottom in its pixels. A box with ``then`` moves there from
``from`` to ``to``. What ``show`` names is not hidden: a track, or what has its middle within a box, for a time or
always.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.files import read_yaml, write_text
from peoplenet_nb.redaction.regions import CORNERS, REGIONS
from peoplenet_nb.tracks.tracked import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

BY_HAND = "redact.yaml"
_ROUNDED_S = 0.001
_TEMPLATE = """\
# What you add to a redacted video or take away from it; then run `peoplenet-nb redact` again. This file is yours: it is
# read and never written over. Times are seconds of the video; a box is [left, top, right, bottom] in its pixels.
# Numbers of tracks stand in redacted.csv and doubtful.csv.
hide: []
#  - {from: 12.3, to: 15.0, box: [100, 50, 140, 90]}
#  - {from: 20, to: 21.5, box: [100, 50, 140, 90], then: [180, 50, 220, 90]}   # moves from the one to the other
show: []
#  - {track: 7}
#  - {from: 3, to: 4, box: [300, 200, 400, 300]}   # all that has its middle in there
"""
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Part:
    first: float
    last: float
    box: Box | None = None
    then: Box | None = None
    track: int | None = None


@dataclass(frozen=True)
class ByHand:
    """What to hide and to show besides."""

    hidden: tuple[_Part, ...] = ()
    shown: tuple[_Part, ...] = ()

    @classmethod
    def read(cls, path: Path) -> ByHand:
        """Read the file, or refuse it (`SettingsError`); one that explains itself is written where there is none."""
        if not path.exists():
            write_text(path, _TEMPLATE)
            return cls()
        try:
            data = read_yaml(path, 1 << 20)
        except (OSError, ValueError) as error:
            what = "What was changed by hand cannot be read"
            step = "check that it is YAML, or delete it to begin anew."
            raise SettingsError(what, seen=f"{path}: {error}", next_step=step) from error
        if data is not None and not isinstance(data, dict):
            raise _refused("It has two parts, hide and show", data)
        data = data or {}
        refuse_unknown(data, ("hide", "show"), f"key of {path.name}")
        parts = {name: data.get(name) or [] for name in ("hide", "show")}
        for name, rows in parts.items():
            if not isinstance(rows, list):
                raise _refused(f"{name} is a list", rows)
        return cls(tuple(map(_hidden, parts["hide"])), tuple(map(_shown, parts["show"])))

    def changed(self, regions: pd.DataFrame, frames: Ints, times: Floats) -> pd.DataFrame:
        """Return regions of a video's ``(F,)`` frames with what was added and without what was taken away."""
        import pandas as pd

        time_s, track = regions["time_s"].to_numpy(np.float64), regions["track"].to_numpy(np.int64)
        corners = regions[CORNERS].to_numpy(np.float64).reshape(-1, 4)
        middle, gone = (corners[:, :2] + corners[:, 2:]) / 2, np.zeros(len(regions), bool)
        for part in self.shown:
            which = (time_s >= part.first) & (time_s <= part.last)
            if part.track is not None:
                which &= track == part.track
            if part.box is not None:
                which &= ((middle >= part.box[:2]) & (middle <= part.box[2:])).all(axis=1)
            gone |= which
        tables = [regions[~gone]]
        for part in self.hidden:
            assert part.box is not None
            # From the frame that is on the screen at that moment; tables round times to a thousandth.
            first, stop = np.searchsorted(times, [part.first + _ROUNDED_S, part.last + _ROUNDED_S], "right")
            at = np.arange(max(0, int(first) - 1), int(stop))
            share = np.clip((times[at] - part.first) / max(part.last - part.first, 1e-9), 0, 1)
            begin, end = np.array(part.box), np.array(part.then or part.box)
            table = pd.DataFrame(begin + share[:, None] * (end - begin), columns=CORNERS)
            table["frame"], table["time_s"], table["track"] = frames[at], times[at], 0
            table["part"] = table["origin"] = "by hand"
            tables.append(table[REGIONS])
        joined = pd.concat([one for one in tables if len(one)] or tables[:1])
        return joined.sort_values(["frame", "part", "track"], ignore_index=True)


def _hidden(row: object) -> _Part:
    values = _mapping(row, ("from", "to", "box", "then"))
    if "box" not in values:
        raise _refused("What is hidden by hand has a box", row)
    then = _box(values["then"]) if "then" in values else None
    if then is not None and "to" not in values:  # it would never get there
        raise _refused("A box that moves says until when: from, to, box and then", row)
    return _Part(*_span(values, row), _box(values["box"]), then)


def _shown(row: object) -> _Part:
    values = _mapping(row, ("from", "to", "box", "track"))
    track = values.get("track")
    if not {"box", "track"} & values.keys():
        raise _refused("What is shown by hand is a track, or lies in a box", row)
    if track is not None and (not isinstance(track, int) or isinstance(track, bool) or track < 1):
        raise _refused("A track is a number from 1", track)
    return _Part(*_span(values, row), _box(values["box"]) if "box" in values else None, None, track)


def _mapping(row: object, known: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise _refused("Each line is a mapping", row)
    refuse_unknown(row, known, f"key of a line in {BY_HAND}")
    return row


def _span(values: dict[str, Any], row: object) -> tuple[float, float]:
    first, last = values.get("from", 0.0), values.get("to", math.inf)
    if not (_number(first) and (_number(last) or last == math.inf) and first <= last):
        raise _refused("from and to are seconds, and to is not before from", row)
    return float(first), float(last)


def _box(value: object) -> Box:
    if not (isinstance(value, list) and len(value) == 4 and all(map(_number, value))):
        raise _refused("A box is four numbers: left, top, right, bottom", value)
    x1, y1, x2, y2 = map(float, value)
    if not (x1 < x2 and y1 < y2):
        raise _refused("A box has its left before its right and its top above its bottom", value)
    return x1, y1, x2, y2


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _refused(what: str, seen: object) -> SettingsError:
    step = "write for example  - {from: 12.3, to: 15.0, box: [100, 50, 140, 90]}"
    return SettingsError(what, seen=seen, next_step=f"{step} in {BY_HAND}.")
