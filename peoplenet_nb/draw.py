"""Pixels: boxes, coverage heatmaps and the grid, on a copy of the frame.

One decision to know: colours come from the Okabe-Ito set, which people with any common colour blindness can
tell apart, and a class has the same colour in every picture, video and widget of the project. Colours here
are BGR, like the frames; `hex_colour` gives the same for the web and matplotlib.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

# Okabe and Ito (2008), as BGR: orange, sky blue, reddish purple, bluish green, yellow, blue, vermilion.
PALETTE: tuple[Colour, ...] = (
    (0, 159, 230),
    (233, 180, 86),
    (167, 121, 204),
    (115, 158, 0),
    (66, 228, 240),
    (178, 114, 0),
    (0, 94, 213),
)
_BY_LABEL = {"person": PALETTE[0], "bag": PALETTE[1], "face": PALETTE[2]}
_INK: Colour = (20, 20, 20)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_of(label: str, class_id: int = 0) -> Colour:
    """Return the BGR colour of a class; PeopleNet's own have fixed ones, others take them in turn."""
    return _BY_LABEL.get(label.lower(), PALETTE[class_id % len(PALETTE)])


def hex_colour(label: str, class_id: int = 0) -> str:
    """Return the colour of a class as ``#rrggbb``."""
    blue, green, red = colour_of(label, class_id)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _unit(frame: Frame) -> float:
    """Line and letter sizes follow the picture's: 1 at 720 lines."""
    height, width = frame.shape[:2]
    return float(max(0.5, min(height, width) / 720.0))


def draw_detections(frame: Frame, detections: Detections, *, labels: bool = True, note: str = "") -> Frame:
    """Return a copy of the frame with boxes, and class and confidence above each.

    Parameters
    ----------
    frame : ndarray
        BGR uint8.
    detections : Detections
        In the pixels of this frame.
    labels : bool
        Whether to write class and confidence.
    note : str
        A line at the bottom left, e.g. which model this is.
    """
    picture = frame.copy()
    unit = _unit(frame)
    thick = max(1, round(2 * unit))
    # Weak ones first, so that the confident stand in front.
    for i in np.argsort(detections.confidence, kind="stable"):
        class_id = int(detections.class_id[i])
        label = detections.labels[class_id]
        colour = colour_of(label, class_id)
        x1, y1, x2, y2 = (round(float(v)) for v in detections.xyxy[i])
        cv2.rectangle(picture, (x1, y1), (x2, y2), _INK, thick + max(1, thick // 2), cv2.LINE_AA)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
        if labels:
            _write(picture, f"{label} {detections.confidence[i]:.2f}", (x1, y1), colour, unit)
    if note:
        _write(picture, note, (0, picture.shape[0]), (235, 235, 235), unit)
    return picture


def _write(picture: Frame, text: str, corner: tuple[int, int], colour: Colour, unit: float) -> None:
    """Write dark text on a coloured plate whose bottom left is at the corner, kept inside the picture."""
    scale = 0.5 * unit
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    pad = max(1, round(2 * unit))
    x = min(max(0, corner[0]), max(0, picture.shape[1] - width - 2 * pad))
    y = max(height + base + 2 * pad, min(corner[1], picture.shape[0]))
    cv2.rectangle(picture, (x, y - height - base - 2 * pad), (x + width + 2 * pad, y), colour, cv2.FILLED)
    cv2.putText(
        picture, text, (x + pad, y - base - pad), _FONT, scale, _INK, max(1, round(unit)), cv2.LINE_AA
    )


def draw_heatmap(frame: Frame, grids: Grids, class_id: int = 0, *, opacity: float = 0.6) -> Frame:
    """Return the frame with one class's coverage over it: each cell a square, brighter where it is higher.

    Parameters
    ----------
    frame : ndarray
        BGR uint8, of the size that the grids came from.
    grids : Grids
        Raw output of this frame.
    class_id : int
        Whose coverage.
    opacity : float
        How strongly a coverage of 1 covers the picture, 0..1.
    """
    coverage = _on_frame(grids.coverage[class_id], frame, grids)
    hot = cv2.applyColorMap(np.rint(coverage * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    weight = (opacity * (0.25 + 0.75 * coverage))[..., None]
    return np.asarray(np.rint(frame * (1 - weight) + hot * weight), np.uint8)


def _on_frame(values: npt.NDArray[np.float32], frame: Frame, grids: Grids) -> npt.NDArray[np.float32]:
    """Return cell values as a picture of the frame's size; cells keep their edges."""
    width, height = grids.fit.content_size
    square = np.repeat(np.repeat(values, grids.stride, axis=0), grids.stride, axis=1)[:height, :width]
    resized = cv2.resize(square, (frame.shape[1], frame.shape[0]), interpolation=cv2.INTER_NEAREST)
    return np.clip(np.asarray(resized, np.float32), 0.0, 1.0)


def draw_grid(frame: Frame, grids: Grids, *, colour: Colour = (200, 200, 200), opacity: float = 0.4) -> Frame:
    """Return the frame with the network's cells drawn over it (16 network pixels for PeopleNet)."""
    lines = frame.copy()
    _, rows, cols = grids.shape
    scale_x, scale_y = grids.fit.scale
    for col in range(cols + 1):
        x = round(col * grids.stride * scale_x)
        cv2.line(lines, (x, 0), (x, frame.shape[0]), colour, 1)
    for row in range(rows + 1):
        y = round(row * grids.stride * scale_y)
        cv2.line(lines, (0, y), (frame.shape[1], y), colour, 1)
    return np.asarray(cv2.addWeighted(lines, opacity, frame, 1 - opacity, 0), np.uint8)
