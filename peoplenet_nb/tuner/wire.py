"""What Python and the browser exchange, as plain data and bytes.

Numbers of cells travel as little-endian bytes, never as JSON or base64; settings travel as one small table of
per-class lists in the model's class order, because a slider knows its class by number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from peoplenet_nb.cells import Cells
from peoplenet_nb.draw import hex_colour
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, bind, preset

PER_CLASS = ("threshold", "min_width", "min_height", "min_confidence")
"""Of `ClassSettings`: what has a slider. The rest travels along as it is (``more``)."""
_MORE = tuple(f.name for f in fields(ClassSettings) if f.name not in PER_CLASS)
_NEUTRAL = ClassSettings()
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
        "floor": grids.floor,
    }


def numbers_of(settings: Settings, labels: Sequence[str]) -> dict[str, Any]:
    """Return settings as the browser has them: shared values, and per-class lists in class order."""
    bind(settings, labels)
    rows = [settings.for_class(label) for label in labels]
    numbers: dict[str, Any] = {name: [float(getattr(row, name)) for row in rows] for name in PER_CLASS}
    more = {name: [getattr(row, name) for row in rows] for name in _MORE}
    numbers["more"] = {
        name: values for name, values in more.items() if any(v != getattr(_NEUTRAL, name) for v in values)
    }
    numbers |= {name: getattr(settings, name) for name in SHARED}
    return numbers | {name: str(numbers[name]) for name in ("clustering", "flavour", "score")}


def settings_from(
    numbers: Mapping[str, Any], labels: Sequence[str], base: Settings, fit: FitMode | None = None
) -> Settings:
    """Return ``base`` with the browser's numbers in it; a `SettingsError` for lists and values that do not fit.

    Classes whose numbers did not change are left as ``base`` has them, so that a preset which says nothing
    of a class still says nothing of it. Where ``base`` is for any ``fit``, the thresholds are those of the one given.
    """
    before = numbers_of(base.for_fit(fit or base.fit), labels)
    changes = {name: numbers[name] for name in SHARED if name in numbers}
    settings = base.replace(**changes)
    more = numbers.get("more", before["more"])
    for name in (*PER_CLASS, *_MORE):
        usual = [getattr(_NEUTRAL, name)] * len(labels)
        old_values = before[name] if name in PER_CLASS else before["more"].get(name, usual)
        values = numbers.get(name, old_values) if name in PER_CLASS else more.get(name, usual)
        if not isinstance(values, list | tuple) or len(values) != len(labels):
            what = f"{name} must have one value for each of the {len(labels)} classes"
            raise SettingsError(what, seen=values, next_step="run the cell that shows the tuner again.")
        for label, value, old in zip(labels, values, old_values, strict=True):
            if value != old:
                number = float(value) if name in PER_CLASS else value
                settings = _changed(settings, label, name, number, fit)
    return settings


def _changed(settings: Settings, label: str, name: str, value: Any, fit: FitMode | None) -> Settings:
    if fit is None or name != "threshold" or settings.fit is not FitMode.AUTO:
        return settings.with_class(label, **{name: value})
    row = settings.for_class(label)
    stretch, letterbox = (
        value if one is fit else row.for_fit(one).threshold for one in (FitMode.STRETCH, FitMode.LETTERBOX)
    )
    apart = None if stretch == letterbox else letterbox
    return settings.with_class(label, threshold=stretch, letterbox_threshold=apart)


def preset_numbers(labels: Sequence[str], fit: str) -> dict[str, dict[str, Any]]:
    """Return the numbers of every preset, for the markers on the sliders."""
    return {name: numbers_of(preset(name, fit), labels) for name in PRESETS}


def pack_grids(grids: Grids) -> bytes:
    """Return one frame's coverage and, where there are any, boxes as little-endian float32.

    Of saved grids, which have a floor, the cells that were saved, as a clip of one frame (`PackedClip`).
    """
    if grids.floor:
        return pack_clip([Cells.of(grids, grids.floor)], floors=[grids.floor], limit=0).data
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


def pack_clip(clip: Iterable[Cells], *, floors: Sequence[float], limit: int) -> PackedClip:
    """Pack a clip with the first of the rising ``floors`` that keeps it within ``limit`` bytes, else the last."""
    floors = list(floors)
    frames: list[Cells] = []
    size = 0
    for cells in clip:
        frames.append(cells.above(floors[0]))
        size += 24 * len(frames[-1])
        while size > limit and len(floors) > 1:
            del floors[0]
            frames = [frame.above(floors[0]) for frame in frames]
            size = sum(24 * len(frame) for frame in frames)
    head = np.concatenate([[len(frames), 0], np.cumsum([len(frame) for frame in frames])])
    columns = [head.astype("<u4"), *(frame.flat.astype("<u4") for frame in frames)]
    columns += [frame.coverage.astype("<f4") for frame in frames]
    columns += [frame.distances.astype("<f4") for frame in frames if frame.distances is not None]
    return PackedClip(b"".join(column.tobytes() for column in columns), floors[0])
