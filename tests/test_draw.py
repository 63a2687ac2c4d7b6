"""Pictures: the right pixels change, the frame itself never does."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import LABELS, make_grids, stretched
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import PALETTE, colour_of, draw_detections, draw_grid, draw_heatmap, hex_colour


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
