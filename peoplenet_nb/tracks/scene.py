"""Lines that people cross and zones that they are in: drawn on a frame, kept in a file (``scene.yaml``).

    frame_size: [1920, 1080]
    lines:
      door: {points: [[400, 300], [400, 900]]}
    zones:
      hall: {points: [[500, 300], [1500, 300], [1500, 900], [500, 900]], most: 10}

Pixels are those of the frame. Who goes *in* over a line comes from its left side to its right side, as seen by somebody
who walks from its first point to its second; ``swap: true`` turns that round. A line has two points or more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.files import read_yaml, write_text
from peoplenet_nb.tracks.tracked import Floats

_MOST_POINTS = 1000
Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line that is crossed."""

    points: tuple[Point, ...]  # two or more, in frame pixels
    swap: bool = False  # whether in and out are turned round


@dataclass(frozen=True)
class Zone:
    """An area that people are in."""

    points: tuple[Point, ...]  # its corners in order, three or more, in frame pixels; its edges do not cross
    most: int | None = None  # how many people it may hold; more of them are overcrowding


@dataclass(frozen=True)
class Scene:
    """Lines and zones in the frames of one camera.

    Parameters
    ----------
    frame_size : tuple of int
        Width and height in pixels of the frames in which they were drawn.
    lines, zones : mapping
        By name.

    Raises
    ------
    SettingsError
        For a line of one point, a zone without area or whose edges cross, points that are no numbers or lie outside of
        the frame, names that are no text or used twice.
    """

    frame_size: tuple[int, int]
    lines: Mapping[str, Line] = field(default_factory=dict)
    zones: Mapping[str, Zone] = field(default_factory=dict)

    def __post_init__(self) -> None:
        size: Sequence[object] = self.frame_size
        if len(size) != 2 or not all(_whole(n) and 0 < n <= 100_000 for n in self.frame_size):
            raise _refused(
                "A scene names the size of its frames", self.frame_size, "frame_size: [1920, 1080]"
            )
        if twice := set(self.lines) & set(self.zones):
            raise _refused(
                "A line and a zone have the same name", sorted(twice), "give each a name of its own"
            )
        for name, line in self.lines.items():
            self._check(name, line.points, 2)
            if not isinstance(line.swap, bool):
                raise _refused(f"swap of {name!r} is true or false", line.swap, "swap: true")
            if all(point == line.points[0] for point in line.points):
                raise _refused(
                    f"The line {name!r} has no length", line.points, "draw it from one point to another"
                )
        for name, zone in self.zones.items():
            self._check(name, zone.points, 3)
            if name in ("frame", "time_s"):
                raise _refused("Columns of presence.csv have that name", name, "call the zone otherwise")
            if zone.most is not None and not (_whole(zone.most) and zone.most >= 0):
                raise _refused(f"most of {name!r} is a number of people", zone.most, "most: 10")
            if _crosses_itself(np.array(zone.points)):
                raise _refused(
                    f"The edges of the zone {name!r} cross, or it has no area",
                    zone.points,
                    "name its corners in the order in which one walks around it",
                )

    def _check(self, name: object, points: Sequence[Point], least: int) -> None:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise _refused("A line or zone has a name", repr(name), "write one or more letters")
        if not least <= len(points) <= _MOST_POINTS:
            what = f"{name!r} needs {least} points or more"
            raise _refused(what, f"{len(points)} points", "points: [[400, 300], [400, 900], …]")
        for x, y in points:
            if not (0 <= x <= self.frame_size[0] and 0 <= y <= self.frame_size[1]):  # not a number neither
                raise _refused(
                    f"A point of {name!r} lies outside of the frame",
                    f"({x:g}, {y:g}) in {self.frame_size[0]}x{self.frame_size[1]}",
                    "count pixels from the upper left corner, and check frame_size",
                )

    def check_size(self, frame_size: tuple[int, int]) -> None:
        """Refuse frames of another size than those that the scene was drawn in, with a `SettingsError`."""
        if tuple(frame_size) != tuple(self.frame_size):
            raise SettingsError(
                "The scene was drawn in frames of another size",
                seen=f"{self.frame_size[0]}x{self.frame_size[1]}, and these are {frame_size[0]}x{frame_size[1]}",
                next_step="draw it on a frame of this video, or pass `scene.scaled(frame_size)`.",
            )

    def scaled(self, frame_size: tuple[int, int]) -> Scene:
        """Return the same scene in frames of another size."""
        width, height = map(int, frame_size)

        def moved(points: Sequence[Point]) -> tuple[Point, ...]:
            # Multiplied first: what lies on an edge stays there, and not a hair outside.
            return tuple((x * width / self.frame_size[0], y * height / self.frame_size[1]) for x, y in points)

        return Scene(
            (width, height),
            {name: Line(moved(line.points), line.swap) for name, line in self.lines.items()},
            {name: Zone(moved(zone.points), zone.most) for name, zone in self.zones.items()},
        )

    @classmethod
    def example(cls, frame_size: tuple[int, int]) -> Scene:
        """Return a line down the middle and a zone in the middle, to begin with."""
        width, height = map(int, frame_size)
        left, right, top, low = width // 4, 3 * width // 4, height // 4, 7 * height // 8
        corners = ((left, top), (right, top), (right, low), (left, low))
        line = Line(((width // 2, 0), (width // 2, height)))
        return cls((width, height), {"middle": line}, {"centre": Zone(corners)})

    @classmethod
    def from_yaml(cls, path: str | Path) -> Scene:
        """Read a scene; a `SettingsError` when the file cannot be read, or is none."""
        try:
            data = read_yaml(path)
        except (OSError, ValueError) as error:
            what = "The file of the scene cannot be read"
            raise SettingsError(
                what, seen=f"{path}: {error}", next_step="check the path, and that it is YAML."
            ) from error
        return cls.from_dict(data)

    @classmethod
    def from_dict(cls, data: object) -> Scene:
        """Make it from what `to_dict` returns; a `SettingsError` for anything else."""
        whole = _mapping(data, "a scene", ("frame_size", "lines", "zones"))
        size = whole.get("frame_size", ())
        if not isinstance(size, list | tuple):
            size = ()
        lines = {
            name: Line(_points(name, one), one.get("swap", False))
            for name, one in _named(whole, "lines", ("points", "swap"))
        }
        zones = {
            name: Zone(_points(name, one), one.get("most"))
            for name, one in _named(whole, "zones", ("points", "most"))
        }
        return cls(tuple(size), lines, zones)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "frame_size": list(self.frame_size),
            "lines": {
                name: {"points": [list(point) for point in line.points]}
                | ({"swap": True} if line.swap else {})
                for name, line in self.lines.items()
            },
            "zones": {
                name: {"points": [list(point) for point in zone.points]}
                | ({} if zone.most is None else {"most": zone.most})
                for name, zone in self.zones.items()
            },
        }

    def to_yaml(self, path: str | Path) -> Path:
        """Write it and return the path."""
        write_text(
            path, yaml.safe_dump(self.to_dict(), sort_keys=False, default_flow_style=None, allow_unicode=True)
        )
        return Path(path)


def _refused(what: str, seen: object, example: str) -> SettingsError:
    return SettingsError(what, seen=seen, next_step=f"{example}.")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _mapping(data: object, what: str, known: Sequence[str]) -> dict[Any, Any]:
    if not isinstance(data, dict):
        raise _refused(
            f"What stands for {what} cannot be read as one", data, f"it is a mapping with {', '.join(known)}"
        )
    refuse_unknown(data, known, f"key of {what}")
    return data


def _named(whole: Mapping[str, Any], kind: str, known: Sequence[str]) -> list[tuple[Any, dict[str, Any]]]:
    every = whole.get(kind) or {}
    if not isinstance(every, dict):
        raise _refused(f"{kind} of a scene have names", every, f"{kind}: {{door: {{points: …}}}}")
    return [(name, _mapping(one, f"{kind[:-1]} {name!r}", known)) for name, one in every.items()]


def _points(name: object, one: Mapping[str, Any]) -> tuple[Point, ...]:
    try:
        return tuple((float(x), float(y)) for x, y in one.get("points", ()))
    except (TypeError, ValueError, OverflowError):
        seen = one.get("points")
        raise _refused(
            f"The points of {name!r} are pairs of numbers", seen, "points: [[400, 300], [400, 900]]"
        ) from None


def _crosses_itself(corners: Floats) -> bool:
    """Tell whether edges of a polygon that are no neighbours touch, or all of it lies on a line."""
    ahead = np.roll(corners, -1, axis=0)
    area = np.sum(corners[:, 0] * ahead[:, 1] - corners[:, 1] * ahead[:, 0]) / 2
    if abs(area) < 1e-6:
        return True
    count = len(corners)
    return any(
        bool(segments_meet(corners[i], ahead[i], corners[j], ahead[j]))
        for i in range(count)
        for j in range(i + 2, count)
        if (j + 1) % count != i
    )


def segments_meet(a: Floats, b: Floats, c: Floats, d: Floats) -> bool:
    """Tell whether the segments from ``a`` to ``b`` and from ``c`` to ``d`` have a point in common."""
    first, second = (turn(a, b, point) for point in (c, d))
    third, fourth = (turn(c, d, point) for point in (a, b))
    if first * second < 0 and third * fourth < 0:
        return True
    ends = ((first, a, b, c), (second, a, b, d), (third, c, d, a), (fourth, c, d, b))
    return any(side == 0 and _within(begin, end, point) for side, begin, end, point in ends)


def turn(a: Floats, b: Floats, points: Floats) -> Any:
    """Return on which side of the way from ``a`` to ``b`` points ``(…, 2)`` lie: above 0 on the right, as is shown."""
    return (b[0] - a[0]) * (points[..., 1] - a[1]) - (b[1] - a[1]) * (points[..., 0] - a[0])


def _within(a: Floats, b: Floats, point: Floats) -> bool:
    return bool((np.minimum(a, b) <= point).all() and (point <= np.maximum(a, b)).all())
