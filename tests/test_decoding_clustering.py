"""NMS and DBSCAN against loops, and DBSCAN against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from peoplenet_nb.decoding import dbscan, iou_matrix, nms, overlap
from peoplenet_nb.decoding.overlap import FEW, overlapping_pairs
from peoplenet_nb.settings import Flavour


def some_boxes(seed: int, count: int, *, coarse: bool) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in heaps, so that there is much to suppress; coarse ones have ties in place and score."""
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 300, (max(1, count // 6), 2))[rng.integers(0, max(1, count // 6), count)]
    corner = centre + rng.normal(0, 8, (count, 2))
    size = rng.uniform(4, 60, (count, 2))
    boxes = np.concatenate([corner, corner + size], axis=1)
    scores = rng.uniform(0, 1, count)
    if coarse:
        boxes, scores = np.round(boxes / 16) * 16, np.round(scores * 4) / 4
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 16)
    return boxes, scores


cases = {
    "seed": st.integers(0, 10_000),
    # At FEW the search for pairs changes its way.
    "count": st.sampled_from([0, 1, 2, 7, 40, FEW, FEW + 1, 180]),
    "coarse": st.booleans(),
}


@settings(max_examples=60, deadline=None)
@given(threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), **cases)
def test_nms_equals_the_textbook_loop(seed: int, count: int, coarse: bool, threshold: float) -> None:
    boxes, scores = some_boxes(seed, count, coarse=coarse)
    kept, suppressed = reference.nms(boxes, scores, threshold)
    result = nms(boxes, scores, threshold)
    assert result.kept.tolist() == kept
    assert {i: int(s) for i, s in enumerate(result.suppressor) if s >= 0} == suppressed
    for i, by in suppressed.items():
        assert result.iou[i] == pytest.approx(reference.iou(boxes[by], boxes[i]))


@settings(max_examples=30, deadline=None)
@given(**cases)
def test_groups_do_not_meet(seed: int, count: int, coarse: bool) -> None:
    boxes, scores = some_boxes(seed, count, coarse=coarse)
    group = np.sort(np.random.default_rng(seed).integers(0, 3, count))
    together = nms(boxes, scores, 0.4, group)
    apart = [
        np.flatnonzero(group == g)[nms(boxes[group == g], scores[group == g], 0.4).kept] for g in range(3)
    ]
    assert together.kept.tolist() == np.concatenate(apart).tolist()


@settings(max_examples=60, deadline=None)
@given(
    eps=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    min_samples=st.sampled_from([0.0, 0.05, 0.5, 1.0, 3.0]),
    flavour=st.sampled_from(list(Flavour)),
    **cases,
)
def test_dbscan_equals_the_textbook_loop(
    seed: int, count: int, coarse: bool, eps: float, min_samples: float, flavour: Flavour
) -> None:
    boxes, scores = some_boxes(seed, min(count, 97), coarse=coarse)
    expected = reference.dbscan(boxes, scores, eps, min_samples, deepstream=flavour is Flavour.DEEPSTREAM)
    assert dbscan(boxes, scores, eps, min_samples, flavour).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(eps=st.sampled_from([0.2, 0.3, 0.7]), min_samples=st.sampled_from([1, 2, 3]), **cases)
def test_dbscan_agrees_with_scikit_learn(
    seed: int, count: int, coarse: bool, eps: float, min_samples: int
) -> None:
    """Where it applies: whole min_samples, weights as sample weights, TAO's rules."""
    from sklearn.cluster import DBSCAN  # loads for long

    boxes, scores = some_boxes(seed, max(count, 1), coarse=coarse)
    scores[0] = 1.0  # scikit-learn refuses weights that are all zero
    distance = 1.0 - iou_matrix(boxes, boxes)
    np.fill_diagonal(distance, 0.0)
    theirs = DBSCAN(eps=eps, min_samples=min_samples, metric="precomputed").fit_predict(
        np.clip(distance, 0, None), sample_weight=scores
    )
    assert dbscan(boxes, scores, eps, min_samples, Flavour.TAO).tolist() == theirs.tolist()


def test_border_point_joins_a_cluster_in_tao_and_is_left_out_in_deepstream() -> None:
    # Three equal boxes, one at IoU 3/7 with them, and one that only the fourth reaches: the last is a border
    # point where four neighbours make a core.
    boxes = np.array([[0, 0, 10, 10]] * 3 + [[4, 0, 14, 10], [8, 0, 18, 10]], float)
    assert dbscan(boxes, np.ones(5), 0.6, 4, Flavour.TAO).tolist() == [0, 0, 0, 0, 0]
    assert dbscan(boxes, np.ones(5), 0.6, 4, Flavour.DEEPSTREAM).tolist() == [0, 0, 0, 0, -1]


def test_border_point_between_two_clusters_joins_the_first() -> None:
    def heap(x: int, count: int) -> list[list[int]]:
        return [[x, 0, x + 10, 10]] * count

    # Each overlaps the next at IoU 1/4. Only the heaps of three beside the middle weigh 8 with their neighbours.
    boxes = np.array(heap(16, 1) + heap(22, 3) + heap(28, 4) + heap(10, 3) + heap(4, 4), float)
    assert dbscan(boxes, np.ones(15), 0.75, 8, Flavour.TAO).tolist() == [0] * 8 + [1] * 7


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),
        ((0, 0, 10, 10), (10, 0, 20, 10), 0.0),
        ((0, 0, 10, 10), (5, 0, 15, 10), 1 / 3),
        ((0, 0, 10, 10), (20, 20, 30, 30), 0.0),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0.0),
        ((0, 0, 0.5, 0.5), (0, 0, 0.5, 1.0), 0.5),
        ((0, 0, 10, 10), (20, -10, 30, 0), 0.0),
    ],
    ids=["same", "touching", "half", "apart", "empty", "less than a pixel", "apart in both"],
)
def test_iou(first: tuple[float, ...], second: tuple[float, ...], expected: float) -> None:
    assert iou_matrix(np.array([first], float), np.array([second], float))[0, 0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(least=st.sampled_from([0.01, 0.3, 0.5, 0.95]), **cases)
def test_no_overlapping_pair_is_missed(seed: int, count: int, coarse: bool, least: float) -> None:
    boxes, _ = some_boxes(seed, count, coarse=coarse)
    group = np.random.default_rng(seed).integers(0, 2, count)
    first, second, inter, union = overlapping_pairs(boxes, group, least)
    found = set(zip(first.tolist(), second.tolist(), strict=True))
    table = iou_matrix(boxes, boxes)
    expected = {
        (i, j)
        for i in range(count)
        for j in range(i + 1, count)
        if group[i] == group[j] and table[i, j] >= least
    }
    assert expected <= found
    assert all(inter / union >= least - 1e-6)


@pytest.mark.parametrize("band", [1, 300, 131_072], ids=["row by row", "in pieces", "at once"])
def test_pairs_do_not_depend_on_how_many_are_looked_at_in_one_go(
    band: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes, scores = some_boxes(5, 300, coarse=True)
    group = np.random.default_rng(5).integers(0, 3, 300)
    expected = nms(boxes, scores, 0.3, group)
    monkeypatch.setattr(overlap, "_BAND", band)
    found = nms(boxes, scores, 0.3, group)
    assert found.kept.tolist() == expected.kept.tolist()
    assert found.suppressor.tolist() == expected.suppressor.tolist()
    assert found.iou.tolist() == expected.iou.tolist()


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9]),
    scale=st.sampled_from([1e-3, 1.0, 1e5]),
    shift=st.sampled_from([-1e4, 0.0, 3e4]),
)
def test_few_boxes_and_many_are_treated_alike(
    seed: int, threshold: float, scale: float, shift: float
) -> None:
    """The two ways of finding pairs, on the same boxes; also far from 0, where 16 bits are coarse."""
    boxes, scores = some_boxes(seed, FEW, coarse=bool(seed % 2))
    boxes = boxes * scale + shift
    group = np.random.default_rng(seed).integers(0, 2, FEW)
    few = nms(boxes, scores, threshold, group)
    # Boxes of a group of their own, and apart, turn few into many and meet nobody.
    more = np.array([[k, 0.0, k + 0.5, 1.0] for k in range(10)]) * scale + shift
    many = nms(
        np.concatenate([boxes, more]),
        np.concatenate([scores, np.ones(10)]),
        threshold,
        np.concatenate([group, np.full(10, 7)]),
    )
    assert many.kept.tolist()[: len(few.kept)] == few.kept.tolist()
    assert many.suppressor[:FEW].tolist() == few.suppressor.tolist()
    assert many.iou[:FEW].tolist() == few.iou.tolist()


def test_many_boxes_in_one_place_leave_the_best() -> None:
    boxes = np.tile([[3.0, 4.0, 13.0, 24.0]], (700, 1))
    scores = np.linspace(0, 1, 700)
    result = nms(boxes, scores, 0.5)
    assert result.kept.tolist() == [699]
    assert (result.suppressor[:699] == 699).all()
    assert (result.iou[:699] == 1.0).all()


@pytest.mark.parametrize("flavour", Flavour)
def test_dbscan_keeps_groups_apart_and_sees_boxes_below_a_pixel(flavour: Flavour) -> None:
    boxes = np.array([[0, 0, 0.5, 0.5]] * 4)
    assert dbscan(boxes, np.ones(4), 0.5, 2, flavour, np.array([0, 0, 1, 1])).tolist() == [0, 0, 1, 1]
    assert dbscan(boxes, np.ones(4), 0.5, 3, flavour, np.array([0, 0, 1, 1])).tolist() == [-1] * 4
    assert dbscan(boxes, np.ones(4), 0.5, 3, flavour).tolist() == [0] * 4


def test_boxes_without_area_are_neighbours_of_nobody() -> None:
    point = np.array([[3.0, 3, 3, 3]] * 2)
    assert dbscan(point, np.ones(2), 0.9, 2, Flavour.TAO).tolist() == [-1, -1]
    # At eps 1 even boxes that do not meet are neighbours.
    assert dbscan(point, np.ones(2), 1.0, 2, Flavour.TAO).tolist() == [0, 0]
    assert dbscan(point, np.ones(2), 1.0, 2, Flavour.DEEPSTREAM).tolist() == [-1, -1]
