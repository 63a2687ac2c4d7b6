"""What the page draws that is no decoding, run in Node: where labels go, the heatmap's scale, and zoom."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from javascript import needs_node

pytestmark = needs_node
Run = Callable[[list[dict[str, Any]]], list[Any]]
PICTURE = [0, 0, 640, 360]
FULL, SHORT = {"text": "person 0.90", "width": 80, "height": 16}, {"text": "0.90", "width": 30, "height": 12}


def place(node: Run, boxes: list[list[float]]) -> list[dict[str, Any] | None]:
    job = {"call": "labels", "boxes": boxes, "forms": [[FULL, SHORT]] * len(boxes), "picture": PICTURE}
    return list(node([job])[0])


def plate(found: dict[str, Any]) -> list[float]:
    form = (FULL, SHORT)[found["form"]]
    return [found["x"], found["y"], found["x"] + form["width"], found["y"] + form["height"]]


def shared(a: list[float], b: list[float]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return width * height if width > 0 and height > 0 else 0


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([100, 100, 140, 200], {"form": 0, "x": 100, "y": 84}),
        ([100, 4, 140, 100], {"form": 0, "x": 100, "y": 100}),
        ([100, 4, 300, 358], {"form": 0, "x": 100, "y": 4}),
        ([620, 100, 640, 200], {"form": 0, "x": 560, "y": 84}),
    ],
    ids=["above", "at the top edge: below", "top to bottom: inside", "at the side: pushed in"],
)
def test_a_label_takes_the_first_place_in_the_picture(
    node: Run, box: list[float], expected: dict[str, int]
) -> None:
    assert place(node, [box]) == [expected]


def test_a_label_in_a_crowd_is_short_before_it_moves_away(node: Run) -> None:
    found = place(node, [[100, 100, 130, 200], [220, 100, 250, 200], [185, 100, 215, 200]])
    assert found[0] == {"form": 0, "x": 100, "y": 84}
    assert found[2] == {"form": 1, "x": 185, "y": 88}


def test_a_label_does_not_hide_a_small_person(node: Run) -> None:
    large, small = [100, 100, 200, 300], [110, 84, 118, 99]
    found = place(node, [large, small])
    assert all(shared(plate(one), small) <= 0.25 * 8 * 15 for one in found if one)
    assert found[0] != {"form": 0, "x": 100, "y": 84}


def test_labels_of_a_crowd_meet_neither_each_other_nor_too_much_of_a_box(node: Run) -> None:
    rng = np.random.default_rng(3)
    corner, size = rng.uniform([0, 0], [600, 330], (120, 2)), rng.uniform(4, 60, (120, 2))
    boxes = np.hstack([corner, corner + size]).tolist()
    found = [one for one in place(node, boxes) if one]
    assert 30 < len(found) < 120, "some are left out, not all"
    assert {one["form"] for one in found} == {0, 1}
    plates = [plate(one) for one in found]
    assert all(shared(a, b) == 0 for a, b in combinations(plates, 2))
    for box in boxes:
        area = (box[2] - box[0]) * (box[3] - box[1])
        assert all(shared(one, box) <= 0.2500001 * area for one in plates)


def test_equal_ratios_of_coverage_are_equal_steps_of_colour(node: Run) -> None:
    values = [0.0, 0.001, 0.005, 0.02, 0.08, 1.0]
    places = node([{"call": "heat", "values": values}])[0]
    assert places[0] < 0
    assert places[1] < 0, "fainter than any preset's threshold"
    assert places[2] == pytest.approx(0)
    assert places[3] - places[2] == pytest.approx(places[4] - places[3])
    assert places[3] > 0.25, "a face at 0.02 is seen"
    assert places[5] == 1


def test_zoom_keeps_the_point_under_the_hand_and_the_frame_on_the_stage(node: Run) -> None:
    steps: list[list[Any]] = [
        ["by", 4, {"x": 320, "y": 90}],
        ["moveTo", -50, 10_000],
        ["by", 100, {"x": 0, "y": 360}],
        ["by", 0.001, {"x": 0, "y": 0}],
    ]
    near, moved, most, whole = node([{"call": "zoom", "size": [640, 360], "steps": steps}])[0]
    assert (near["factor"], near["x"], near["y"]) == (4, 240, 67.5), "320, 90 stays at half and a quarter"
    assert near["middle"] == {"x": 320, "y": 112.5}
    assert (moved["x"], moved["y"]) == (0, 270)
    assert most["factor"] == 16
    assert (whole["factor"], whole["x"], whole["y"]) == (1, 0, 0)
