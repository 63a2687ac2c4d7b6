"""What Python and the browser exchange, as plain data and bytes.

Numbers of cells travel as little-endian bytes, never as JSON or base64; settings travel as one small table of
per-class lists in the model's class order, because a slider knows its class by number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from peoplenet_nb.draw import hex_colour
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, bind, preset

PER_CLASS: tuple[str, ...] = tuple(f.name for f in fields(ClassSettings))
SHARED = ("clustering", "nms_iou", "eps", "min_samples", "flavour", "score", "top_k")


def shape_of(grids: Grids, dead: Sequence[str] = ()) -> dict[str, Any]:
    """Return what all frames of a clip share, in the browser's names; ``dead`` names heads that cannot work."""
    classes, rows, cols = grids.shape
    return {
        "labels": list(grids.labels),
        "colours": [hex_colour(label, i) for i, label in enumerate(grids.labels)],
        "rows": rows,
        "cols": cols,
        "stride": grids.stride,
        "hasBoxes": grids.boxes is not None,
        "content": list(grids.fit.content_size),
        "scale": list(grids.fit.scale),
        "frameSize": list(grids.fit.frame_size),
        "fit": str(grids.fit.mode),
        "classes": classes,
        "dead": [label in dead for label in grids.labels],
    }


def same_shape(first: Grids, other: Grids) -> bool:
    """Tell whether two frames can be of one clip: same grid, labels, stride, fit and kind of output."""
    return shape_of(first) == shape_of(other)


def numbers_of(settings: Settings, labels: Sequence[str]) -> dict[str, Any]:
    """Return settings as the browser has them: shared values, and per-class lists in class order."""
    bound = bind(settings, labels)
    numbers: dict[str, Any] = {name: [float(v) for v in getattr(bound, name)] for name in PER_CLASS}
    numbers |= {name: getattr(settings, name) for name in SHARED}
    return numbers | {name: str(numbers[name]) for name in ("clustering", "flavour", "score")}


def settings_from(numbers: Mapping[str, Any], labels: Sequence[str], base: Settings) -> Settings:
    """Return ``base`` with the browser's numbers in it; a `SettingsError` for lists and values that do not fit.

    Classes whose numbers did not change are left as ``base`` has them, so that a preset which says nothing
    of a class still says nothing of it.
    """
    before = numbers_of(base, labels)
    changes = {name: numbers[name] for name in SHARED if name in numbers}
    settings = base.replace(**changes)
    for name in PER_CLASS:
        values = numbers.get(name, before[name])
        if not isinstance(values, list | tuple) or len(values) != len(labels):
            what = f"{name} must have one value for each of the {len(labels)} classes"
            raise SettingsError(what, seen=values, next_step="run the cell that shows the tuner again.")
        for label, value, old in zip(labels, values, before[name], strict=True):
            if value != old:
                settings = settings.with_class(label, **{name: float(value)})
    return settings


def preset_numbers(labels: Sequence[str], fit: str) -> dict[str, dict[str, Any]]:
    """Return the numbers of every preset, for the markers on the sliders."""
    return {name: numbers_of(preset(name, fit), labels) for name in PRESETS}


def pack_grids(grids: Grids) -> bytes:
    """Return one frame's coverage and, where there are any, boxes as little-endian float32."""
    parts = [grids.coverage] if grids.boxes is None else [grids.coverage, grids.boxes]
    return b"".join(np.ascontiguousarray(part, "<f4").tobytes() for part in parts)


@dataclass(frozen=True, eq=False)
class PackedClip:
    """The cells of a whole clip whose coverage reaches ``floor``, as bytes.

    Little-endian: F as uint32, ``(F + 1,)`` uint32 offsets of the F frames, ``(N,)`` uint32 flat (class, row,
    column) indices, ``(N,)`` float32 coverage, and ``(N, 4)`` float32 distances where the model has boxes.
    """

    data: bytes
    floor: float
    """The browser's counts are exact for thresholds from here on."""


def pack_clip(clip: Sequence[Grids], *, floors: Sequence[float], limit: int) -> PackedClip:
    """Pack a clip with the first of the rising ``floors`` that keeps it within ``limit`` bytes, else the last."""
    floors = list(floors)
    frames: list[tuple[Any, ...]] = []
    size = 0
    for grids in clip:
        frames.append(_above(grids, floors[0]))
        size += 24 * len(frames[-1][0])
        while size > limit and len(floors) > 1:
            del floors[0]
            frames = [_raised(frame, floors[0]) for frame in frames]
            size = sum(24 * len(frame[0]) for frame in frames)
    lengths = [len(frame[0]) for frame in frames]
    head = np.concatenate([[len(lengths), 0], np.cumsum(lengths)]).astype("<u4")
    columns = [np.concatenate(column) for column in zip(*frames, strict=True)] if frames else []
    return PackedClip(b"".join([head.tobytes(), *(column.tobytes() for column in columns)]), floors[0])


def _above(grids: Grids, floor: float) -> tuple[Any, ...]:
    """Return the cells of a frame that reach a floor: flat indices, coverage, distances if there are any."""
    flat = np.flatnonzero(grids.coverage.reshape(-1) >= floor)
    cells, coverage = flat.astype("<u4"), grids.coverage.reshape(-1)[flat].astype("<f4")
    if grids.boxes is None:
        return cells, coverage
    classes, rows, cols = grids.shape
    class_id, cell = np.divmod(flat, rows * cols)
    distances = grids.boxes.reshape(classes, 4, rows * cols)[class_id, :, cell]
    return cells, coverage, np.ascontiguousarray(distances, "<f4")


def _raised(frame: tuple[Any, ...], floor: float) -> tuple[Any, ...]:
    keep = frame[1] >= floor
    return tuple(column[keep] for column in frame)
