"""A scene as the configuration of DeepStream's ``nvdsanalytics``: line crossings, regions and overcrowding.

The keys are those of the plugin's own sample (`config_nvdsanalytics.txt`): a line stands there as the direction that
counts, two points, and then the line itself. What counts there is one way over a line, so each line of a scene is
written twice, as ``NAME-in`` and ``NAME-out``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.files import write_text
from peoplenet_nb.tracks import Line, Scene
from peoplenet_nb.tracks.scene import Point

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PERSON = 0


def export_scene(scene: Scene, path: str | Path, *, stream: int = 0, class_id: int = _PERSON) -> Path:
    """Write a scene for ``nvdsanalytics`` and return the path.

    The plugin takes its frame size as that of the stream muxer's output. ``stream`` is which of the pipeline's streams,
    and ``class_id`` of which class; a person is 0.

    Raises
    ------
    SettingsError
        For names that cannot be keys there, or a line with a bend.
    """
    for name in (*scene.lines, *scene.zones):
        if not _NAME.fullmatch(name):
            what = "A name in nvdsanalytics is made of letters, digits, - and _"
            raise SettingsError(what, seen=repr(name), next_step="rename the line or zone.")
    width, height = scene.frame_size
    text = _section("property", {"enable": 1, "config-width": width, "config-height": height, "osd-mode": 2})
    if scene.lines:
        crossing: dict[str, object] = {"enable": 1}
        for name, line in scene.lines.items():
            inward, outward = _directions(name, line)
            ends = _numbers(line.points)
            crossing[f"line-crossing-{name}-in"] = f"{inward};{ends}"
            crossing[f"line-crossing-{name}-out"] = f"{outward};{ends}"
        crossing |= {"class-id": class_id, "extended": 0, "mode": "balanced"}
        text += _section(f"line-crossing-stream-{stream}", crossing)
    regions: dict[str, object] = {f"roi-{name}": _numbers(zone.points) for name, zone in scene.zones.items()}
    if regions:
        rest = {"inverse-roi": 0, "class-id": class_id}
        text += _section(f"roi-filtering-stream-{stream}", {"enable": 1, **regions, **rest})
    # One threshold holds for a whole group there: the least of those that the zones name.
    most = {name: zone.most for name, zone in scene.zones.items() if zone.most is not None}
    if most:
        crowded = {f"roi-{name}": regions[f"roi-{name}"] for name in most}
        rest = {"class-id": class_id, "object-threshold": min(most.values())}
        text += _section(f"overcrowding-stream-{stream}", {"enable": 1, **crowded, **rest})
    write_text(path, text)
    return Path(path)


def _directions(name: str, line: Line) -> tuple[str, str]:
    """Return the ways in and out: from the middle of the line to its right, or to its left."""
    if len(line.points) != 2:
        what = f"nvdsanalytics knows straight lines only, and {name!r} has a bend"
        raise SettingsError(what, seen=f"{len(line.points)} points", next_step="draw a line for each part.")
    ((ax, ay), (bx, by)) = line.points
    middle = ((ax + bx) / 2, (ay + by) / 2)
    across = (-(by - ay) / 2, (bx - ax) / 2)
    left, right = ((middle[0] + sign * across[0], middle[1] + sign * across[1]) for sign in (-1, 1))
    ways = _numbers((left, right)), _numbers((right, left))
    return (ways[1], ways[0]) if line.swap else ways


def _numbers(points: Sequence[Point]) -> str:
    """Return points as the plugin reads them: whole pixels, none below 0."""
    return ";".join(f"{max(0, round(x))};{max(0, round(y))}" for x, y in points)


def _section(title: str, values: dict[str, object]) -> str:
    return f"[{title}]\n" + "".join(f"{key}={value}\n" for key, value in values.items()) + "\n"
