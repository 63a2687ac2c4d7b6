"""Detections of people who walk, made up: for the tests of matching, interpolation, key frames and tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from peoplenet_nb.detections import Detections

LABELS = ("person", "bag", "face")
SIZE = (640, 480)


def detections(rows) -> Detections:
    """Return detections from rows ``(x1, y1, x2, y2, confidence, class)``; the cell is the row's number."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    number = np.arange(len(table))
    xyxy, confidence = table[:, :4].astype(np.float32), table[:, 4].astype(np.float32)
    return Detections(xyxy, confidence, table[:, 5].astype(np.int64), number, number + 100, LABELS)


def walkers(steps, time_s: float, *, height: float = 100.0, confidence: float = 0.8) -> Detections:
    """Return people at a time: ``steps`` are ``(x, y, dx, dy)`` of feet, in pixels and pixels a second."""
    rows = []
    for x, y, dx, dy in steps:
        left, bottom = x + dx * time_s - height / 5, y + dy * time_s
        rows.append((left, bottom - height, left + 0.4 * height, bottom, confidence, 0))
    return detections(rows)


@st.composite
def frames(draw, most: int = 6) -> Detections:
    """Any boxes within the frame, of any class and confidence."""
    rows = []
    for _ in range(draw(st.integers(0, most))):
        x, y = draw(st.integers(0, 600)), draw(st.integers(0, 440))
        w, h = draw(st.integers(1, 640 - x)), draw(st.integers(1, 480 - y))
        confidence = draw(st.integers(1, 1000)) / 1000
        rows.append((x, y, x + w, y + h, confidence, draw(st.integers(0, 2))))
    return detections(rows)


def rows_of(found: Detections) -> np.ndarray:
    """Return the boxes with everything they have, one a row, in an order of their own."""
    rows = np.column_stack([found.xyxy, found.confidence, found.class_id, found.row, found.col])
    return rows[np.lexsort(rows.round(2).T)]


def reordered(found: Detections, order) -> Detections:
    """Return the same boxes in another order."""
    return replace(found[np.asarray(order, int)], labels=found.labels)
