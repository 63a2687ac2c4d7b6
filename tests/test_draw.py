"""Pictures: the right pixels change, the frame itself never does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import LABELS, make_grids, stretched
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import (
    PALETTE,
    colour_of,
    draw_detections,
    draw_grid,
    draw_heatmap,
    hex_colour,
    place_labels,
)


def one(box: tuple[float, ...], class_id: int = 0) -> Detections:
    index = np.array([class_id])
    return Detections(np.array([box], np.float32), np.array([0.5], np.float32), index, index, index, LABELS)


def test_box_is_drawn_in_its_colour_on_a_copy() -> None:
    frame = np.full((720, 1280, 3), 128, np.uint8)
    picture = draw_detections(frame, one((100, 200, 300, 600), class_id=2), labels=False)
    assert (frame == 128).all()
    assert tuple(picture[400, 100]) == colour_of("face")
    assert (picture[400, 200] == 128).all(), "inside stays free"


@pytest.mark.parametrize("size", [(24, 32), (720, 1280), (1, 1)])
@pytest.mark.parametrize("box", [(-50, -50, 20, 20), (5, 5, 5000, 5000), (0, 0, 0, 0)])
def test_odd_boxes_and_small_frames_do_no_harm(size: tuple[int, int], box: tuple[float, ...]) -> None:
    frame = np.zeros((*size, 3), np.uint8)
    assert draw_detections(frame, one(box), note="stand-in").shape == frame.shape


def test_heatmap_lights_the_cell_where_the_coverage_is() -> None:
    grids = make_grids({(1, 10, 20): (1.0, (0, 0, 0, 0))}, fit=stretched((480, 272)))
    frame = np.full((272, 480, 3), 100, np.uint8)
    change = np.abs(draw_heatmap(frame, grids, 1).astype(int) - draw_heatmap(frame, grids, 0)).sum(axis=2)
    rows, cols = np.nonzero(change)
    assert (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1) == (80, 88, 160, 168)


def test_grid_lines_stand_at_cell_edges() -> None:
    frame = np.zeros((544, 960, 3), np.uint8)
    picture = draw_grid(frame, make_grids())
    assert picture[5, 16].sum() > 0
    assert picture[5, 8].sum() == 0


def test_colours_are_distinct_and_the_same_on_the_web() -> None:
    assert len({colour_of(label, i) for i, label in enumerate(LABELS)}) == 3
    assert colour_of("car", 9) in PALETTE
    assert hex_colour("person") == "#e69f00"


# ---------------------------------------------------------------- where labels go

FULL, SHORT = (60, 12), (30, 10)


def place(*boxes: tuple[int, int, int, int], **options: object) -> list[tuple[int, int, int] | None]:
    return place_labels(np.array(boxes), [(FULL, SHORT)] * len(boxes), (640, 480), **options)


def test_a_label_stands_above_its_box_and_is_pushed_in_at_the_edge() -> None:
    assert place((100, 100, 140, 300)) == [(0, 100, 88)]
    assert place((620, 100, 640, 300)) == [(0, 580, 88)]


def test_a_label_goes_below_where_there_is_no_room_above() -> None:
    assert place((100, 0, 140, 40)) == [(0, 100, 40)]


def test_a_tall_box_without_room_above_and_below_has_its_label_inside() -> None:
    assert place((100, 0, 300, 480)) == [(0, 100, 0)]


def test_labels_of_a_group_stand_above_below_and_inside() -> None:
    best, second, third = place((100, 100, 120, 200), (122, 100, 142, 200), (144, 100, 164, 200))
    assert (best, second, third) == ((0, 100, 88), (0, 122, 200), (0, 144, 100))


def test_a_crowded_label_is_short() -> None:
    taken = [(0, 0, 290, 480), (340, 0, 640, 480)]
    assert place((300, 100, 340, 200), taken=taken) == [(1, 300, 90)], "50 pixels are free, not 60"


def test_no_label_hides_a_small_person() -> None:
    """The far one stands where the near one's label would be."""
    near, _far = place((100, 100, 200, 300), (102, 80, 112, 98))
    assert near is not None
    assert near[1:] != (100, 88)


def test_labels_keep_off_the_note() -> None:
    assert place((0, 460, 40, 480), taken=[(0, 400, 640, 480)]) == [None]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-50, 600)] * 2, *[st.integers(0, 200)] * 2), min_size=1, max_size=25))
def test_labels_lie_in_the_picture_apart_and_off_the_boxes(rows: list[tuple[int, ...]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in rows])
    used: list[tuple[int, int, int, int]] = []
    for found in place(*map(tuple, boxes.tolist())):
        if found is None:
            continue
        short, x, y = found
        w, h = (FULL, SHORT)[short]
        assert min(x, y) >= 0
        assert x + w <= 640
        assert y + h <= 480
        assert not any(x < b[2] and b[0] < x + w and y < b[3] and b[1] < y + h for b in used)
        used.append((x, y, x + w, y + h))
        for x1, y1, x2, y2 in boxes.tolist():
            shared = max(0, min(x + w, x2) - max(x, x1)) * max(0, min(y + h, y2) - max(y, y1))
            assert shared <= (x2 - x1) * (y2 - y1) / 4


def test_too_many_boxes_have_no_labels() -> None:
    frame = np.full((720, 1280, 3), 128, np.uint8)
    for count, labelled in ((150, True), (151, False)):
        boxes = np.array([(8 * i, 300, 8 * i + 6, 310) for i in range(count)], np.float32)
        zeros = np.zeros(count, np.int64)
        found = Detections(boxes, np.full(count, 0.5, np.float32), zeros, zeros, zeros, LABELS)
        with_labels = draw_detections(frame, found)
        assert (with_labels != draw_detections(frame, found, labels=False)).any() == labelled
