"""Texts that stay on the canvas, whatever the shape of the frame that they are written on.

A panel is as wide as its frame lets it be, so how much room there is for words is only known once the figure is laid
out: titles are wrapped then, and notes are moved into their panel and apart from each other.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

WRAPPED, NOTE = "wrapped", "note"  # the ``gid`` of texts that are wrapped to their panel, and moved into it
_MARGIN = 4.0  # pixels
_LEAST_CHARACTERS = 8


def fit_texts(figure: Figure) -> None:
    """Keep every text of a finished figure on its canvas, and free of mathematics; its layout is final afterwards."""
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # also of those that were written after `panels` made the figure
    images = [image for image in figure.findobj(AxesImage) if image.get_visible()]
    for image in images:  # resampled at each drawing, which is most of the time, and nothing depends on them
        image.set_visible(False)
    figure.draw_without_rendering()
    for _ in range(3):  # a wrapped title takes height from its panel, which may make that narrower
        if not [text for axes in figure.axes for text in _texts(axes, WRAPPED) if _wrap(text, axes)]:
            break
        figure.draw_without_rendering()
    for image in images:
        image.set_visible(True)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        for text in _texts(axes, WRAPPED):
            text.set_in_layout(True)
        placed: list[Bbox] = []
        for text in _texts(axes, NOTE):
            _wrap(text, axes, whole=True)
            placed.append(_move_inside(text, axes, placed))


def _texts(axes: Axes, gid: str) -> list[Text]:
    from matplotlib.text import Text

    return [text for text in axes.findobj(Text) if text.get_gid() == gid and text.get_text()]


def _wrap(text: Text, axes: Axes, *, whole: bool = False) -> bool:
    """Break a text into lines that its panel has room for, from where it begins or over all of its width."""
    extent = text.get_window_extent()
    begins = axes.bbox.x0 + 2 * _MARGIN if whole else extent.x0
    room = axes.bbox.x1 - begins - _MARGIN
    if extent.width <= room:
        return False
    longest = max(len(line) for line in text.get_text().split("\n"))
    most = max(_LEAST_CHARACTERS, int(longest * room / extent.width))
    written = vars(text).setdefault("_written", text.get_text())  # lines broken before would be broken again
    text.set_text("\n".join(textwrap.fill(line, most) if line else "" for line in written.split("\n")))
    return most < longest


def _move_inside(text: Text, axes: Axes, placed: list[Bbox]) -> Bbox:
    """Move a note into its panel, clear of those that were placed before where a step or two will do."""
    own = _plate(text)
    low = np.add(axes.bbox.min, _MARGIN)
    high = np.maximum(np.subtract(axes.bbox.max, _MARGIN) - own.size, low)
    x, y = np.clip(own.min, low, high) - own.min
    tried = [
        own.translated(x, np.clip(own.y0 + y + step * 1.1 * own.height, low[1], high[1]) - own.y0)
        for step in (0, -1, 1, -2, 2, -3, 3)
    ]
    best = next((moved for moved in tried if not any(moved.overlaps(other) for other in placed)), tried[0])
    transform = text.get_transform()
    moved = transform.transform(text.get_position()) + np.subtract(best.min, own.min)
    x, y = (float(value) for value in transform.inverted().transform(moved))
    text.set_position((x, y))
    return best


def _plate(text: Text) -> Bbox:
    """Return the extent of a note with the plate below it, in pixels."""
    em = float(text.get_fontsize()) * text.figure.dpi / 72
    return text.get_window_extent().padded(0.3 * em)
