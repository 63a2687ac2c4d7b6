"""The picture in the browser: a live picture with boxes over it, for a stream and for the browser's own camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets as t

from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import hex_colour
from peoplenet_nb.tuner.bundle import STATIC, joined, style_sheet

_STATIC = Path(__file__).resolve().parent / "static"
_MODULES = ("liveview", "camera", "stream", "live")  # each after the ones it uses


class LiveCanvas(anywidget.AnyWidget):
    """What the browser shows; made by `LivePanel` and `BrowserCamera`.

    Messages to Python are ``next`` (the browser has shown what it got and wants the newest), ``frame`` (a JPEG of its
    camera), ``keep``, ``start``, ``stop``, ``record``, ``echo`` and ``error``; from Python ``picture``, ``boxes``,
    ``state`` and ``echo``. Of each kind one is under way at a time, so that nothing piles up behind a slow network.
    """

    _esm = joined([STATIC / "kernel.js", *(_STATIC / f"{name}.js" for name in _MODULES)])
    _css = style_sheet("tuner") + (_STATIC / "live.css").read_text(encoding="utf-8")

    mode: t.Unicode[str, str | bytes] = t.Unicode("stream").tag(sync=True)
    """``stream``: pictures come from Python; ``camera``: from the browser."""
    labels: Any = t.List().tag(sync=True)
    colours: Any = t.List().tag(sync=True)
    note: t.Unicode[str, str | bytes] = t.Unicode("").tag(sync=True)
    """A line on the picture, e.g. that the network is the stand-in."""

    def __init__(self, labels: Sequence[str], **more: Any) -> None:
        colours = [hex_colour(label, i) for i, label in enumerate(labels)]
        super().__init__(labels=list(labels), colours=colours, **more)


def boxes_of(detections: Detections) -> list[list[float]]:
    """Return ``[x1, y1, x2, y2, class, confidence]`` of each box, in frame pixels."""
    rows = zip(
        detections.xyxy.round(1).tolist(),
        detections.class_id.tolist(),
        detections.confidence.tolist(),
        strict=True,
    )
    return [[*box, class_id, round(confidence, 3)] for box, class_id, confidence in rows]
