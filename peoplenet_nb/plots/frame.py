"""Reports over one frame: heatmaps, the grid and what a cell sees, the network's input, final boxes.

Whatever is drawn over a frame is in frame pixels, cells included, so that a number
read off a picture can be used as it is (in `peoplenet_nb.explain.explain_point`, say).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.onnxfile.receptive import ReceptiveField
from peoplenet_nb.plots.canvas import (
    ALARM,
    INK,
    WIDTH_IN,
    Frame,
    draw_box,
    explanation,
    frame_panels,
    note,
    outer_labels,
    panels,
    render,
    show_frame,
)
from peoplenet_nb.plots.picture import Picture, frame_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from peoplenet_nb.explain import FrameReport
    from peoplenet_nb.sources import Frame as SourceFrame

_TILE, _BAND, _GAP = 480, 26, 6  # pixels: a frame on a sheet, the words above it, the gap beside it
_SEEN = 0.02  # coverage below this is left clear in a heatmap
_READING = (
    "A cell lights up where the middle of an object lies. It says nothing about how large the object is: that is in "
    "the box output.\n\nCells below 0.02 are left clear."
)


def boxes(frame: Frame, detections: Detections, caption: str = "") -> Picture:
    """Return the frame with its final boxes, as videos and images show them."""
    counts = ", ".join(f"{n} {label}" for label, n in detections.counts().items())
    return frame_picture(
        draw_detections(frame, detections), f"The frame with its boxes: {counts}.", caption=caption
    )


def contact_sheet(frames: Sequence[SourceFrame], reports: Sequence[FrameReport]) -> Picture:
    """Return some frames, at least one, with the boxes that were found in each on one sheet, two in a row."""
    tiles = []
    for frame, report in zip(frames, reports, strict=True):
        drawn = draw_detections(frame.image, report.decoded.detections, labels=False)
        height = max(1, round(drawn.shape[0] * _TILE / drawn.shape[1]))
        small = cv2.resize(drawn, (_TILE - _GAP, height), interpolation=cv2.INTER_AREA)
        tile = cv2.copyMakeBorder(small, _BAND, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        found = ", ".join(f"{n} {label}" for label, n in report.decoded.detections.counts().items())
        words, font = f"frame {frame.index}: {found}", cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(tile, words, (2, _BAND - 8), font, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
        tiles.append(np.asarray(tile, np.uint8))
    tallest = max(tile.shape[0] for tile in tiles)
    sheet = np.full((-(-len(tiles) // 2) * tallest, 2 * _TILE, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = i // 2 * tallest, i % 2 * _TILE
        sheet[y : y + tile.shape[0], x : x + _TILE] = tile
    indices = ", ".join(str(frame.index) for frame in frames)
    return frame_picture(sheet, f"Frames {indices} of the source with their boxes.")


def heatmaps(frame: Frame, grids: Grids, dead: Sequence[str] = ()) -> Picture:
    """Return the coverage of each class over its BGR frame, on one scale; titles say which heads are ``dead``."""
    classes = len(grids.labels)
    rows = -(-(classes + 1) // 2)
    figure, axes = frame_panels(frame, rows, 2)
    for c, ax in enumerate(axes[:classes]):
        peak = float(grids.coverage[c].max())
        dying = " (dead head)" if grids.labels[c] in dead else ""
        show_frame(ax, frame, f"{grids.labels[c]}{dying}: highest {peak:.2f}", pale=0.45)
        image = _overlay(ax, grids, grids.coverage[c])
    outer_labels(axes, 2)
    for ax in axes[classes:]:
        ax.set_axis_off()
    scale: Any = {"fraction": 0.06, "shrink": 0.7, "label": "coverage of a cell (0 to 1)"}
    figure.colorbar(image, ax=axes[-1], location="left", **scale)
    highest = zip(grids.labels, grids.coverage.max((1, 2)), strict=True)
    peaks = ", ".join(f"{label} up to {peak:.2f}" for label, peak in highest)
    explanation(axes[-1], 0.12, 0.5, _READING, "center")
    return render(figure, f"Coverage heatmaps over the frame, one per class: {peaks}.", photo=True)


def _overlay(axes: Axes, grids: Grids, values: npt.NDArray[np.float32]) -> Any:
    """Lay cell values over a frame; cells the frame does not reach fall outside the axes."""
    _, rows, cols = grids.shape
    right, bottom = grids.fit.to_frame((cols * grids.stride, rows * grids.stride))
    shown = np.ma.masked_less(values, _SEEN)
    limits = {"xlim": axes.get_xlim(), "ylim": axes.get_ylim()}
    look: Any = {"cmap": "viridis", "vmin": 0, "vmax": 1, "alpha": 0.85, "interpolation": "nearest"}
    image = axes.imshow(shown, extent=(0, right, bottom, 0), **look)
    axes.set(**limits)
    return image


def cell_rectangle(grids: Grids, row: int, col: int) -> tuple[float, float, float, float]:
    """Return the square of a cell as ``x1, y1, x2, y2`` in frame pixels."""
    s = grids.stride
    x1, y1, x2, y2 = grids.fit.to_frame((col * s, row * s, (col + 1) * s, (row + 1) * s))
    return float(x1), float(y1), float(x2), float(y2)


def grid_and_field(
    frame: Frame, grids: Grids, field: ReceptiveField, row: int | None = None, col: int | None = None
) -> Picture:
    """Return the grid over its BGR frame, one cell marked, and the part of the frame that this cell sees.

    Left out, the cell is the one with the highest coverage. The field is the model's (`onnxfile.receptive`).
    """
    if row is None or col is None:
        _, row, col = (int(i) for i in np.unravel_index(int(grids.coverage.argmax()), grids.shape))
    _, rows, cols = grids.shape
    figure, (ax,) = frame_panels(frame, 1, 1)
    height, width = frame.shape[:2]
    show_frame(ax, frame, f"{rows} rows x {cols} columns of {grids.stride}-pixel cells", pale=0.25)
    xs = np.arange(cols + 1) * grids.stride * grids.fit.scale[0]
    ys = np.arange(rows + 1) * grids.stride * grids.fit.scale[1]
    ax.vlines(xs, 0, height, color=INK, lw=0.4, alpha=0.55)
    ax.hlines(ys, 0, width, color=INK, lw=0.4, alpha=0.55)
    cell = cell_rectangle(grids, row, col)
    x, y = (cell[0] + cell[2]) / 2, (cell[1] + cell[3]) / 2
    half = np.array((field.width, field.height)) / 2 * grids.fit.scale
    seen = (x - half[0], y - half[1], x + half[0], y + half[1])
    inside = (max(seen[0], 2.0), max(seen[1], 2.0), min(seen[2], width - 2.0), min(seen[3], height - 2.0))
    draw_box(ax, inside, "#0072b2", line="--", width=2.5)
    draw_box(ax, cell, ALARM, width=2.5)
    best = grids.labels[int(grids.coverage[:, row, col].argmax())]
    peak = grids.coverage[:, row, col].max()
    note(ax, cell[2], cell[1], f"cell row {row}, column {col}: {best} {peak:.2f}")
    text = f"It can see {field.width} x {field.height} network pixels"
    text += " (more than the whole input)" if field.covers(grids.fit.network_size) else ""
    note(ax, inside[0] + 6, inside[3] - 6, text)
    alt = (
        f"The frame under a grid of {rows} by {cols} cells; the cell at row {row}, column {col} is marked, and a "
        f"dashed rectangle shows its receptive field of {field.width} by {field.height} network pixels."
    )
    return render(figure, alt, photo=True)


def network_view(frame: Frame, batch: npt.NDArray[np.float32], fit: Fit) -> Picture:
    """Return the BGR frame beside the input ``(1, 3, H, W)``, RGB in 0..1, that the network gets of it."""
    width, height = fit.network_size
    ratios = [frame.shape[1] / frame.shape[0], width / height]
    figure, axes = panels(1, 2, (WIDTH_IN - 1.5) / sum(ratios) + 0.8, width_ratios=ratios)
    show_frame(axes[0], frame, f"the frame, {frame.shape[1]} x {frame.shape[0]}")
    seen = np.ascontiguousarray((batch[0].transpose(1, 2, 0)[..., ::-1] * 255).round().astype(np.uint8))
    show_frame(axes[1], seen, f"the network input, {width} x {height} ({fit.mode})")
    axes[1].set_xlabel("x (network pixels)")
    axes[1].set_ylabel("y (network pixels)")
    scale = fit.scale
    caption = (
        f"1 network pixel is {scale[0]:.3f} x {scale[1]:.3f} frame pixels. Values run from {batch.min():.2f} to "
        f"{batch.max():.2f} (RGB / 255), shape {'x'.join(map(str, batch.shape))}."
    )
    alt = f"Left the frame, right the network input that the {fit.mode} made of it."
    return render(figure, alt, photo=True, caption=caption)
