"""Texts that stay on the canvas, whatever the shape of the frame that they are written on.

A panel is as wide as its frame lets it be, so how much room there is for words is only known once the figure is laid
out: titles are wrapped then, and notes are moved into their panel and apart from each other.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

WRAPPED, NOTE = "wrapped", "note"  # the ``gid`` of texts that are wrapped to their panel, and moved into it
_MARGIN = 4.0  # pixels
_LEAST_CHARACTERS = 8


def fit_texts(figure: Figure) -> None:
    """Keep every text of a figure on its canvas, and free of mathematics.

    Parameters
    ----------
    figure : Figure
        Finished but for this; its layout is final afterwards.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)  # also of those that were written after `panels` made the figure
    figure.draw_without_rendering()
    for _ in range(3):  # a wrapped title takes height from its panel, which may make that narrower
        if not [text for axes in figure.axes for text in _texts(axes, WRAPPED) if _wrap(text, axes)]:
            break
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
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
    lines = text.get_text().split("\n")
    longest = max(len(line) for line in lines)
    most = max(_LEAST_CHARACTERS, int(longest * room / extent.width))
    text.set_text("\n".join(textwrap.fill(line, most) if line else "" for line in lines))
    return most < longest


def _move_inside(text: Text, axes: Axes, placed: list[Bbox]) -> Bbox:
    """Move a note into its panel, clear of those that were placed before where a step or two will do."""
    own = _plate(text)
    low, high = axes.bbox.min + _MARGIN, axes.bbox.max - _MARGIN
    right = min(max(own.x0, low[0]), max(high[0] - own.width, low[0])) - own.x0
    best = own
    for step in (0, -1, 1, -2, 2, -3, 3):
        wanted = own.y0 + step * 1.1 * own.height
        up = min(max(wanted, low[1]), max(high[1] - own.height, low[1])) - own.y0
        moved = own.translated(right, up)
        if step == 0:
            best = moved
        if not any(moved.overlaps(other) for other in placed):
            best = moved
            break
    transform = text.get_transform()
    x, y = transform.transform(text.get_position())
    text.set_position(transform.inverted().transform((x + best.x0 - own.x0, y + best.y0 - own.y0)))
    return best


def _plate(text: Text) -> Bbox:
    """Return the extent of a note with the plate below it, in pixels."""
    return text.get_window_extent().padded(0.3 * text.get_fontsize() * text.figure.dpi / 72)
