"""Matching and average precision on cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from peoplenet_nb.metrics import IGNORED, Truth, match, precision_recall

A, B, C = [0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]
NONE = np.zeros((0, 4))


def test_the_confident_box_chooses_first_and_a_truth_is_used_once() -> None:
    near_a = [1, 0, 11, 10]
    assert match([near_a, A], [0.5, 0.9], [A]).tolist() == [-1, 0]
    assert match([near_a, A], [0.9, 0.5], [A]).tolist() == [0, -1]
    assert match([A], [0.9], NONE).tolist() == [-1]
    assert match(NONE, [], [A]).tolist() == []


@pytest.mark.parametrize(("iou", "expected"), [(0.5, 0), (0.51, -1)])
def test_iou_on_the_threshold_matches(iou: float, expected: int) -> None:
    assert match([[0, 0, 10, 5]], [1.0], [A], iou).tolist() == [expected]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([([A, B], [0.9, 0.8], [A, B])], 1.0),
        ([([A], [0.9], [A, B])], 51 / 101),
        # A false box ahead of both true ones: precision 1/2 then 2/3, the envelope is 2/3 everywhere.
        ([([C, A, B], [0.9, 0.8, 0.7], [A, B])], 2 / 3),
        ([([A, C, B], [0.9, 0.8, 0.7], [A, B])], (51 + 50 * 2 / 3) / 101),
        ([([A], [0.9], NONE)], 0.0),
        ([(NONE, [], [A])], 0.0),
        ([([A], [0.9], [A]), (NONE, [], NONE)], 1.0),
    ],
    ids=["all", "half", "false first", "false between", "no truth", "nothing found", "empty frame"],
)
def test_average_precision(frames: list, expected: float) -> None:
    assert precision_recall(frames).average_precision == pytest.approx(expected)


def test_best_f1_names_its_threshold() -> None:
    curve = precision_recall([([A, B, C], [0.9, 0.6, 0.3], [A, B])])
    assert curve.best() == (1.0, 0.6, 1.0, 1.0)
    assert precision_recall([]).best() == (0.0, 0.0, 0.0, 0.0)


def test_boxes_on_an_ignored_truth_are_neither_right_nor_wrong() -> None:
    truth = Truth(np.array([A, B], float), np.array([False, True]))
    inside_b, half_in_b = [102, 2, 106, 8], [105, 0, 115, 10]
    assert match([A, B, inside_b, half_in_b, C], [0.9] * 5, truth).tolist() == [
        0,
        IGNORED,
        IGNORED,
        IGNORED,
        -1,
    ]
    assert match([half_in_b], [0.9], truth, iou=0.51).tolist() == [-1]
    curve = precision_recall([([B, inside_b, A], [0.9, 0.8, 0.7], truth)])
    assert (curve.truths, curve.precision.tolist(), curve.recall.tolist()) == (1, [1.0], [1.0])
    assert len(truth) == 1


def test_a_box_on_both_prefers_the_truth_that_counts() -> None:
    truth = Truth(np.array([A, A], float), np.array([True, False]))
    assert match([A, A], [0.5, 0.9], truth).tolist() == [IGNORED, 1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("iou", [0.5, 0.75])
def test_average_precision_is_that_of_a_plain_implementation(seed: int, iou: float) -> None:
    rng = np.random.default_rng(seed)
    frames, plain = [], []
    for _ in range(6):
        corner = rng.uniform(0, 40, (8, 2))
        truth = np.concatenate([corner, corner + rng.uniform(5, 30, (8, 2))], axis=1)
        ignore = rng.random(8) < 0.25
        found = np.concatenate([truth + rng.normal(0, 2, truth.shape), truth[:3] + 9])
        confidence = rng.permutation(len(found)) / len(found) + rng.uniform(0, 1e-3)
        frames.append((found, confidence, Truth(truth, ignore)))
        plain.append((found, confidence, truth, ignore))
    assert precision_recall(frames, iou).average_precision == pytest.approx(
        reference.average_precision(plain, iou), abs=1e-12
    )


def test_of_equally_confident_boxes_the_first_chooses() -> None:
    # Enough of them that a sort which is not stable would show.
    boxes, confidence = [A] * 40, [0.5] * 20 + [0.9] * 20
    assert match(boxes, confidence, [A]).tolist() == [-1] * 20 + [0] + [-1] * 19
    frames = [([C] * 30 + [A], [0.5] * 31, [A])]
    curve = precision_recall(frames)
    assert curve.recall.tolist() == [0.0] * 30 + [1.0]


def test_of_equally_overlapped_truths_the_later_is_taken() -> None:
    """As COCO's program does; here it decides whether the second box finds one."""
    left, right, middle = [0, 0, 10, 10], [10, 0, 20, 10], [4, 0, 16, 10]
    boxes = [middle, right]
    assert match(boxes, [0.9, 0.8], [left, right], iou=0.3).tolist() == [1, -1]
    assert match(boxes, [0.9, 0.8], [right, left], iou=0.3).tolist() == [1, 0]


def test_boxes_beside_an_ignored_one_are_false_however_small_they_are() -> None:
    truth = Truth(np.array([[100.0, 100, 110, 110]]), np.array([True]))
    beside, tiny_inside = [90, 100, 92, 102], [101, 101, 101.5, 101.5]
    assert match([beside, tiny_inside], [0.9, 0.8], truth, iou=0.2).tolist() == [-1, IGNORED]
    assert match([[1, 1, 1, 1]], [0.9], truth).tolist() == [-1], "a box without area"


def test_whole_numbers_are_boxes_too() -> None:
    boxes = np.array([A, B], np.uint8)
    assert match(boxes, np.array([1, 0]), boxes).tolist() == [0, 1]
    assert match(boxes, np.array([1, 0], np.uint8), Truth.of(boxes)).tolist() == [0, 1]
