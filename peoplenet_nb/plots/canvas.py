"""What all reports have in common: figures of one width, frames with axes in pixels, one colour per class.

Figures are made without pyplot, so nothing is kept open, no backend is chosen and a
notebook shows each picture exactly once. Matplotlib takes a tenth of a second a figure: it is for reports,
never for what follows a slider.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.draw import hex_colour
from peoplenet_nb.plots.picture import Picture
from peoplenet_nb.plots.texts import NOTE, WRAPPED, fit_texts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Frame = npt.NDArray[np.uint8]
Box = Sequence[float] | npt.NDArray[np.floating]

WIDTH_IN = 9.6
_TALLEST_IN = 5.0  # one panel, so that a picture and its words fit on a screen
_PAGE_DPI, _FILE_DPI = 100, 150  # drawn sharper than shown, for screens with more pixels
INK, FAINT, ALARM = "#222222", "#8a8a8a", "#a50f15"
# Classes differ in dash and marker as well as in colour.
DASHES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "#ffffff",
    "axes.facecolor": "#ffffff",
    "savefig.facecolor": "#ffffff",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a "$" in a label or a file's name begins no formula
}
_MARGIN_IN = 0.06
_LEAST_IN = (2.6, 1.3)  # of a panel, so that words have room beside a frame of any shape


def panels(
    rows: int, cols: int, height_in: float, width_in: float = WIDTH_IN, **kwargs: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure of so many inches, at 100 page pixels each, and its axes (`Figure.subplots`), row by row."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as NewFigure

    with rc_context(_STYLE):
        figure = NewFigure(figsize=(width_in, height_in), layout="constrained", dpi=_FILE_DPI)
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, cols, squeeze=False, **kwargs)
    return figure, list(axes.ravel())


def frame_panels(frame: Frame, rows: int, cols: int, *, extra_in: float = 0.75) -> tuple[Figure, list[Axes]]:
    """Return a figure whose panels have the frame's proportions; ``extra_in`` is for each row's labels."""
    ratio = frame.shape[1] / frame.shape[0]
    wide = min((WIDTH_IN - 0.75 * cols) / cols, _TALLEST_IN * ratio)
    tall = max(wide / ratio, _LEAST_IN[1])
    return panels(rows, cols, rows * (tall + extra_in), cols * (max(wide, _LEAST_IN[0]) + 0.75))


def render(figure: Figure, alt: str, *, photo: bool = False, caption: str = "") -> Picture:
    """Return a figure as a picture: WebP where there is a photograph in it, else PNG."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    kind = "webp" if photo else "png"
    options: dict[str, Any] = {"pil_kwargs": {"quality": 86, "method": 4}} if photo else {}
    with rc_context(_STYLE):
        fit_texts(figure)
        # Panels of a fixed shape are laid out only nearly right: the page is what is really drawn.
        page = figure.get_tightbbox().padded(_MARGIN_IN)
        figure.savefig(buffer, format=kind, dpi=_FILE_DPI, bbox_inches=page, **options)
    return Picture(buffer.getvalue(), f"image/{kind}", alt, round(page.width * _PAGE_DPI), caption)


def show_frame(
    axes: Axes, frame: Frame, title: str = "", *, pale: float = 0.0, window: Box | None = None
) -> None:
    """Put a BGR frame, or the ``window`` of it (``x1, y1, x2, y2``), on axes whose numbers are frame pixels.

    It is blended to white by ``pale``, 0..1, so that what is drawn over it stands out.
    """
    picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    if pale:
        picture = cv2.addWeighted(picture, 1 - pale, np.full_like(picture, 255), pale, 0)
    height, width = frame.shape[:2]
    axes.imshow(picture, extent=(0, width, height, 0), interpolation="antialiased")
    x1, y1, x2, y2 = (0, 0, width, height) if window is None else window
    axes.set(xlim=(x1, x2), ylim=(y2, y1))
    headline(axes, title)
    axes.set_xlabel("x (frame pixels)")
    axes.set_ylabel("y (frame pixels)")
    axes.tick_params(labelsize=8.5)


def window_around(boxes: npt.NDArray[np.floating], frame: Frame, *, least: float = 0.4) -> list[float]:
    """Return the part ``x1, y1, x2, y2`` of a frame around ``(N, 4)`` boxes, all in its pixels and its proportions.

    It is ``least`` of the frame's width, 0..1, or more; without boxes the whole frame.
    """
    height, width = frame.shape[:2]
    if not len(boxes):
        return [0.0, 0.0, float(width), float(height)]
    low = np.maximum(boxes[:, :2].min(0), 0)
    high = np.minimum(boxes[:, 2:].max(0), (width, height))
    share = float(np.clip(max(least, *((high - low) * 1.15 / (width, height))), 0, 1))
    size = np.array((width, height)) * share
    start = np.clip((low + high) / 2 - size / 2, 0, np.array((width, height)) - size)
    return [*start.tolist(), *(start + size).tolist()]


def outer_labels(axes: Sequence[Axes], cols: int) -> None:
    """Keep the axis labels of the left column and the bottom row only."""
    for i, ax in enumerate(axes):
        if i % cols:
            ax.set_ylabel("")
        if i + cols < len(axes):
            ax.set_xlabel("")


def draw_box(
    axes: Axes, box: Box, colour: str, *, line: str = "-", width: float = 2.0, **kwargs: Any
) -> None:
    """Draw a box ``x1, y1, x2, y2`` with a dark rim, so that it shows on any ground."""
    from matplotlib.patheffects import Normal, Stroke

    rim = [Stroke(linewidth=width + 1.6, foreground=INK), Normal()] if line == "-" else []
    rectangle(axes, box, fill=False, ec=colour, lw=width, ls=line, path_effects=rim, **kwargs)


def rectangle(axes: Axes, box: Box, **kwargs: Any) -> None:
    """Add the rectangle ``x1, y1, x2, y2`` to axes."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = (float(v) for v in box)
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **kwargs))


def headline(axes: Axes, text: str) -> None:
    """Write a title above the panel, on the left; `render` wraps it."""
    axes.set_title(text, loc="left", gid=WRAPPED)


def explanation(axes: Axes, x: float, y: float, text: str, va: str) -> None:
    """Write a text, `render` wraps it, into a panel of its own; ``x`` and ``y`` are shares of it."""
    axes.set_axis_off()
    at: Any = {"transform": axes.transAxes, "va": va, "gid": WRAPPED, "in_layout": False}
    axes.text(x, y, text, fontsize=10, **at)


def note(axes: Axes, x: float, y: float, text: str, **kwargs: Any) -> None:
    """Write dark text on a light plate at a point of the axes; `render` moves it inside them."""
    style: dict[str, Any] = {"fontsize": 9, "color": INK, "va": "bottom", "gid": NOTE, "in_layout": False}
    plate = {"boxstyle": "round,pad=0.2", "fc": "#ffffff", "ec": "#bbbbbb", "alpha": 0.92}
    axes.text(x, y, text, bbox=plate, **(style | kwargs))


def class_colour(labels: Sequence[str], class_id: int) -> str:
    """Return the colour of a class as ``#rrggbb``, the same as in videos and widgets."""
    return hex_colour(labels[class_id], class_id)
