"""Pixels: boxes, coverage heatmaps and the grid, on a copy of the frame.

Colours come from the Okabe-Ito set, which people with any common colour blindness can tell apart, and a class has the
same colour in every picture, video and widget of the project. Colours here are BGR, like the frames; `hex_colour` gives
the same for the web and matplotlib.

Labels hide neither small people nor each other, by the rule of the tuner's ``labels.js``: the best box first, a label
stands above its box (at its left side, pushed in at the picture's edge, else ending at its right side), in full or,
where it is crowded, as the confidence alone in smaller letters; else below the box or inside at its top, in full or
short. It takes the first of these places that lies in the picture, meets no label placed before and hides no more than
a quarter of any box. Where there is none it is left out, and above 150 boxes all of them are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PEOPLENET_LABELS

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]

MOST_HIDDEN = 0.25  # of any box, by a label
MOST_LABELS = 150
_SHORT = 5 / 6  # size of the letters of a short label
# Above the box in full and short, then below and inside in full, then below and inside in short.
_ORDER = (0, 1, 5, 6, 2, 3, 4, 7, 8, 9)

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
_BY_LABEL = dict(zip(PEOPLENET_LABELS, PALETTE, strict=False))
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


def draw_detections(
    frame: Frame, detections: Detections, *, labels: bool = True, note: str = "", copy: bool = True
) -> Frame:
    """Return the frame with boxes, and class and confidence beside each where there is room.

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
    copy : bool
        Whether to draw on a copy and leave the frame as it is.
    """
    picture = frame.copy() if copy else frame
    height, width = frame.shape[:2]
    unit = _unit(frame)
    thick = max(1, round(2 * unit))
    best_first = np.argsort(-detections.confidence, kind="stable")
    boxes = np.rint(detections.xyxy[best_first]).astype(int)
    colours = [colour_of(detections.labels[i], int(i)) for i in detections.class_id[best_first]]
    # The confident stand in front of the weak, and no line crosses a label.
    for (x1, y1, x2, y2), colour in zip(boxes[::-1].tolist(), reversed(colours), strict=True):
        cv2.rectangle(picture, (x1, y1), (x2, y2), _INK, thick + max(1, thick // 2), cv2.LINE_AA)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, thick, cv2.LINE_AA)
    taken: list[Sequence[int]] = []
    if note:
        plate = _Plate.of(note, 0.5 * unit)
        taken.append((0, height - plate.height, plate.width, height))
        plate.write(picture, (0, max(0, height - plate.height)), (235, 235, 235))
    if labels and len(boxes) <= MOST_LABELS:
        plates = [
            (_Plate.of(f"{label} {score:.2f}", 0.5 * unit), _Plate.of(f"{score:.2f}", 0.5 * unit * _SHORT))
            for label, score in zip(
                detections[best_first].class_name, detections.confidence[best_first], strict=True
            )
        ]
        sizes = [[(plate.width, plate.height) for plate in both] for both in plates]
        for place, both, colour in zip(
            place_labels(boxes, sizes, (width, height), taken), plates, colours, strict=True
        ):
            if place is not None:
                both[place[0]].write(picture, place[1:], colour)
    return picture


def place_labels(
    boxes: npt.NDArray[np.int_],
    sizes: Sequence[Sequence[tuple[int, int]]],
    frame_size: tuple[int, int],
    taken: Sequence[Sequence[int]] = (),
) -> list[tuple[int, int, int] | None]:
    """Return where labels go so that they hide neither people nor each other; the rule is this module's.

    Parameters
    ----------
    boxes : ndarray
        ``(N, 4)``: left, top, right, bottom in frame pixels, the most confident first.
    sizes : sequence
        For each box ``(width, height)`` of its label in full and short.
    frame_size : tuple of int
        ``(width, height)``.
    taken : sequence of sequence of int
        Left, top, right, bottom of places that are not free.

    Returns
    -------
    list of tuple of int or None
        For each box: 0 for the full label or 1 for the short one, left and top; None where it is left out.
    """
    if not len(boxes):
        return []
    x1, y1, x2, y2 = boxes.T[..., None]
    w, h = np.moveaxis(np.asarray(sizes), 2, 0)
    left, right = np.clip(x1, 0, np.maximum(0, frame_size[0] - w)), np.maximum(0, x2 - w)
    below, inside = np.broadcast_to(y2, h.shape), np.broadcast_to(np.maximum(0, y1), h.shape)
    x = np.stack([left, right, left, right, left], axis=2)  # each of five places in two sizes
    y = np.stack([y1 - h, y1 - h, below, below, inside], axis=2)
    plates = np.stack([x, y, x + w[..., None], y + h[..., None]], axis=3).reshape(-1, 10, 4)[:, _ORDER]
    free = (plates >= 0).all(axis=2) & (plates[..., 2:] <= frame_size).all(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    free &= ~(_shared(plates.reshape(-1, 4), boxes) > MOST_HIDDEN * areas).any(axis=1).reshape(free.shape)
    used, found = list(taken), list[tuple[int, int, int] | None]()
    for places, good in zip(plates.tolist(), free.tolist(), strict=True):
        candidates = (
            i for i, place in enumerate(places) if good[i] and not any(_meet(place, u) for u in used)
        )
        best = next(candidates, None)
        if best is not None:
            used.append(places[best])
        found.append(None if best is None else (_ORDER[best] // 5, *places[best][:2]))
    return found


def _shared(a: npt.NDArray[np.int_], b: npt.NDArray[np.int_]) -> npt.NDArray[np.int_]:
    """Return the area that each of N rectangles shares with each of M."""
    width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    return np.asarray(width.clip(0) * height.clip(0))


def _meet(a: Sequence[int], b: Sequence[int]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True, slots=True)
class _Plate:
    """Dark letters on a coloured plate; sizes in pixels."""

    text: str
    scale: float
    width: int
    height: int
    base: int
    pad: int

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, text: str, scale: float) -> _Plate:
        (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
        pad = max(1, round(4 * scale))
        return cls(text, scale, width + 2 * pad, height + base + 2 * pad, base, pad)

    def write(self, picture: Frame, corner: tuple[int, int], colour: Colour) -> None:
        x, y = corner
        bottom = y + self.height
        cv2.rectangle(picture, (x, y), (x + self.width - 1, bottom - 1), colour, cv2.FILLED)
        start = (x + self.pad, bottom - self.base - self.pad)
        cv2.putText(
            picture, self.text, start, _FONT, self.scale, _INK, max(1, round(2 * self.scale)), cv2.LINE_AA
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
