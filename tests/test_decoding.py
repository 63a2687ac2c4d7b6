"""The formula with its golden vectors, the fates, and the fast decode against a slow one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
from conftest import make_grids, random_grids, stretched
from peoplenet_nb.decoding import (
    Candidates,
    Decoded,
    Fate,
    Outcome,
    cell_boxes,
    cluster_candidates,
    decode,
    find_candidates,
)
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, preset

ALL = Settings(default=ClassSettings(threshold=0.5))

# Worked out by hand from the formula in decoding/boxes.py.
GOLDEN = [
    ((17, 30), (1, 2, 1, 2), (445.5, 202.5, 515.5, 342.5), (445.5, 202.5, 515.5, 342.5)),
    ((0, 0), (0, 0, 0.5, 1), (0.5, 0.5, 18.0, 35.5), (0.5, 0.5, 18.0, 35.5)),
    ((33, 59), (0.5, 0.5, 1, 1), (927.0, 511.0, 979.5, 563.5), (927.0, 511.0, 960.0, 544.0)),
]


@pytest.mark.parametrize(("cell", "distances", "raw", "clipped"), GOLDEN)
@pytest.mark.parametrize("class_id", [0, 1, 2])
def test_golden_vectors(
    cell: tuple[int, int],
    distances: tuple[float, float, float, float],
    raw: tuple[float, ...],
    clipped: tuple[float, ...],
    class_id: int,
) -> None:
    grids = make_grids({(class_id, *cell): (0.9, distances)})
    np.testing.assert_allclose(cell_boxes(grids, [class_id], [cell[0]], [cell[1]])[0], raw, atol=1e-5)
    found = decode(grids, ALL).detections
    assert found.class_id.tolist() == [class_id]
    assert (found.row[0], found.col[0]) == cell
    np.testing.assert_allclose(found.xyxy[0], clipped, atol=1e-4)
    assert found.confidence[0] == np.float32(0.9)


def test_boxes_come_back_in_frame_pixels() -> None:
    cell = {(0, 17, 30): (0.9, (1, 2, 1, 2))}
    wide = decode(make_grids(cell, fit=stretched((1920, 1088))), ALL).detections
    np.testing.assert_allclose(wide.xyxy[0], np.array(GOLDEN[0][2]) * 2, atol=1e-3)
    tall = decode(
        make_grids(cell, fit=Fit.of((480, 544), (960, 544), "letterbox")), ALL.replace(fit="letterbox")
    ).detections
    np.testing.assert_allclose(
        tall.xyxy[0], [445.5, 202.5, 480, 342.5], err_msg="a letterbox ends with the frame"
    )


@pytest.mark.parametrize(
    ("coverage", "threshold", "found"),
    [(0.5, 0.5, 1), (0.4999, 0.5, 0), (0.0, 0.0, 1), (1.0, 1.0, 1)],
    ids=["on the threshold is in", "below is out", "zero takes all", "one takes only certainty"],
)
def test_threshold_accepts_what_reaches_it(coverage: float, threshold: float, found: int) -> None:
    grids = make_grids({(0, 5, 5): (coverage, (1, 1, 1, 1))})
    result = decode(grids, Settings(default=ClassSettings(threshold=threshold)))
    assert len(result.detections) == found


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 9999), threshold=st.sampled_from([0.05, 0.2, 0.5]), ties=st.booleans())
def test_equals_the_straightforward_decode(seed: int, threshold: float, ties: bool) -> None:
    grids = random_grids(seed, ties=ties)
    found = decode(grids, Settings(nms_iou=0.5, default=ClassSettings(threshold=threshold))).detections
    expected = reference.decode_nms(grids, [threshold] * 3, 0.5)
    assert list(zip(found.class_id, found.row, found.col, strict=True)) == [e[:3] for e in expected]
    if expected:
        np.testing.assert_allclose(found.xyxy, [e[4] for e in expected], atol=1e-3)


@st.composite
def _any_settings(draw: st.DrawFn) -> Settings:
    """Settings with every number that a class can have."""
    pixels = st.sampled_from([0.0, 0.0, 20.0, 60.0, 200.0])

    def numbers() -> ClassSettings:
        return ClassSettings(
            threshold=draw(st.sampled_from([0.1, 0.2, 0.4])),
            min_confidence=draw(st.sampled_from([0.0, 0.5])),
            min_sum=draw(st.sampled_from([0.0, 0.8, 2.0])),
            nms_iou=draw(st.sampled_from([None, 0.2, 0.7])),
            eps=draw(st.sampled_from([None, 0.3, 0.8])),
            min_samples=draw(st.sampled_from([None, 1.0, 2.0])),
            top_k=draw(st.sampled_from([None, 1, 3])),
            **{name: draw(pixels) for name in ("min_width", "min_height", "roi_top", "roi_bottom")},
            **{name: draw(st.sampled_from([0.0, 90.0, 250.0])) for name in ("max_width", "max_height")},
        )

    return Settings(
        clustering=draw(st.sampled_from(["nms", "dbscan", "hybrid"])),
        flavour=draw(st.sampled_from(["tao", "deepstream"])),
        score=draw(st.sampled_from(["max", "sum"])),
        top_k=draw(st.sampled_from([None, 5])),
        default=numbers(),
        classes={label: numbers() for label in draw(st.sets(st.sampled_from(["person", "face"])))},
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), chosen=_any_settings())
def test_everything_settings_can_say_is_done_as_the_plain_loops_do_it(seed: int, chosen: Settings) -> None:
    grids = random_grids(seed, objects=20)
    result = decode(grids, chosen)
    expected = reference.decode_all(grids, chosen)
    found = result.detections
    assert found.class_id.tolist() == [c for c, _, _ in expected]
    np.testing.assert_allclose(found.confidence, [score for _, score, _ in expected], rtol=1e-6)
    np.testing.assert_allclose(found.xyxy, np.reshape([box for *_, box in expected], (-1, 4)), atol=1e-3)
    check_fates(result.candidates, result.outcome, result)
    pooled = Pool.of([make_grids(), grids, grids], 0.1).decode(chosen)
    for frame in (1, 2):
        np.testing.assert_allclose(pooled[2][pooled[0] == frame], found.xyxy, atol=1e-3)


def check_fates(candidates: Candidates, outcome: Outcome, result: Decoded) -> None:
    """Whatever the settings: every candidate has one fate, and the fates tell the same story as the boxes."""
    assert sorted(np.flatnonzero(outcome.fate == Fate.KEPT)) == sorted(result.source)
    for i in range(len(candidates)):
        fate, by = Fate(int(outcome.fate[i])), int(outcome.by[i])
        if fate is Fate.SUPPRESSED:
            assert candidates.class_id[by] == candidates.class_id[i]
            assert candidates.coverage[by] >= candidates.coverage[i]
            assert outcome.iou[i] == pytest.approx(
                reference.iou(candidates.network_xyxy[by], candidates.network_xyxy[i])
            )
        elif fate is Fate.MERGED:
            assert outcome.cluster[by] == outcome.cluster[i] >= 0
        else:
            assert by == -1


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), ties=st.booleans(), name=st.sampled_from(PRESETS))
def test_every_candidate_has_its_fate(seed: int, ties: bool, name: str) -> None:
    grids = random_grids(seed, ties=ties)
    for chosen in (preset(name), preset(name).replace(clustering="hybrid", top_k=2)):
        result = decode(grids, chosen.with_class("person", min_height=20))
        check_fates(result.candidates, result.outcome, result)
        stages = list(result.stages().values())
        assert stages == sorted(stages, reverse=True)


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        ({}, Fate.KEPT),
        ({"default": ClassSettings(threshold=0.5, min_width=71)}, Fate.TOO_SMALL),
        ({"default": ClassSettings(threshold=0.5, min_height=141)}, Fate.TOO_SMALL),
        ({"default": ClassSettings(threshold=0.5, min_confidence=0.91)}, Fate.LOW_CONFIDENCE),
        ({"default": ClassSettings(threshold=0.5, max_width=69)}, Fate.TOO_LARGE),
        ({"default": ClassSettings(threshold=0.5, max_height=139)}, Fate.TOO_LARGE),
        ({"default": ClassSettings(threshold=0.5, roi_top=203)}, Fate.OUTSIDE_ROI),
        ({"default": ClassSettings(threshold=0.5, roi_bottom=202)}, Fate.OUTSIDE_ROI),
        (
            {"clustering": "dbscan", "min_samples": 0.1, "default": ClassSettings(0.5, min_sum=0.91)},
            Fate.LOW_SUM,
        ),
        ({"clustering": "dbscan", "min_samples": 0.95}, Fate.NOISE),
        ({"clustering": "hybrid", "min_samples": 0.95}, Fate.NOISE),
        ({"clustering": "dbscan", "min_samples": 0.9 - 1e-6}, Fate.KEPT),
        ({"clustering": "dbscan", "min_samples": 1, "flavour": "deepstream"}, Fate.KEPT),
    ],
)
def test_fate_of_a_single_candidate(changes: dict[str, object], fate: Fate) -> None:
    grids = make_grids({(0, 17, 30): (0.9, (1, 2, 1, 2))})  # a box of 70 x 140 pixels
    result = decode(grids, ALL.replace(**changes))
    assert result.outcome.fate.tolist() == [fate]
    assert len(result.detections) == (fate is Fate.KEPT)


def test_a_box_without_area_is_empty_and_never_suppresses() -> None:
    grids = make_grids({(0, 5, 5): (0.9, (-1, 1, -1, 1)), (0, 5, 6): (0.8, (1, 1, 1, 1))})
    result = decode(grids, ALL)
    assert result.outcome.fate.tolist() == [Fate.EMPTY, Fate.KEPT]


def test_deepstream_dbscan_drops_large_sparse_clusters() -> None:
    # sqrt(area) / (n + 1) > 60 for one box of 350 x 350: 175.
    grids = make_grids({(0, 17, 30): (0.9, (5, 5, 5, 5))})
    base = ALL.replace(clustering="dbscan", min_samples=0.5)
    assert decode(grids, base).outcome.fate.tolist() == [Fate.KEPT]
    assert decode(grids, base.replace(flavour="deepstream")).outcome.fate.tolist() == [Fate.SPARSE]


@pytest.mark.parametrize(("score", "confidence"), [("max", 0.75), ("sum", 1.25)])
def test_dbscan_box_is_the_weighted_mean(score: str, confidence: float) -> None:
    # Two cells of one object whose boxes differ by 8 pixels in width.
    grids = make_grids(
        {(0, 17, 30): (0.75, (1, 2, 1, 2)), (0, 17, 31): (0.5, (1 + 16 / 35, 2, 1 - 8 / 35, 2))}
    )
    found = decode(grids, ALL.replace(clustering="dbscan", score=score)).detections
    assert len(found) == 1
    assert found.confidence[0] == pytest.approx(confidence)
    first, second = np.array([445.5, 202.5, 515.5, 342.5]), np.array([445.5, 202.5, 523.5, 342.5])
    np.testing.assert_allclose(found.xyxy[0], (0.75 * first + 0.5 * second) / 1.25, atol=1e-3)
    assert (found.row[0], found.col[0]) == (17, 30), "the best cell stands for the cluster"


def test_top_k_counts_per_class() -> None:
    cells = {(c, 5, 5 + 10 * k): (0.6 + 0.1 * k, (0.2, 0.2, 0.2, 0.2)) for c in (0, 2) for k in range(4)}
    result = decode(make_grids(cells), ALL.replace(top_k=3))
    assert result.detections.counts() == {"person": 3, "bag": 0, "face": 3}
    assert (result.outcome.fate == Fate.BEYOND_TOP_K).sum() == 2
    assert result.detections.confidence.min() == pytest.approx(0.7), "the weakest goes"


def test_every_cell_can_be_a_candidate() -> None:
    zero = Settings(default=ClassSettings(threshold=0.0))
    result = decode(random_grids(3), zero)
    assert len(result.candidates) == 6120
    check_fates(result.candidates, result.outcome, result)


def test_border_point_joins_the_cluster_that_a_walk_by_columns_meets_first() -> None:
    """As TAO deploy and the Triton client: scikit-learn's DBSCAN over cells column by column."""

    def cell(row: int, col: int, x: int, weight: float) -> tuple:
        """A cell with a box of 100x100 whose left edge is x; each overlaps the next 60 px along at IoU 1/4."""
        gx, gy = 16 * col + 0.5, 16 * row + 0.5
        return (0, row, col), (weight, tuple(v / 35 for v in (gx - x, gy - 100, x + 100 - gx, 200 - gy)))

    right = [cell(0, 40, 220, 3 / 8), cell(0, 41, 280, 4 / 8)]
    left = [cell(9, 10, 100, 3 / 8), cell(9, 11, 40, 4 / 8)]
    border = cell(5, 20, 160, 1 / 8)
    grids = make_grids(dict([*right, *left, border]))
    chosen = Settings(clustering="dbscan", eps=0.76, min_samples=0.99, default=ClassSettings(threshold=0.1))
    decoded = decode(grids, chosen)
    cluster = dict(zip(decoded.candidates.col.tolist(), decoded.outcome.cluster.tolist(), strict=True))
    assert cluster == {10: 0, 11: 0, 20: 0, 40: 1, 41: 1}, (
        "row by row the border would be the right cluster's"
    )


def test_all_zero_coverage_makes_no_nan_in_dbscan() -> None:
    zero = Settings(default=ClassSettings(threshold=0.0), clustering="dbscan", min_samples=0.0)
    found = decode(make_grids({(0, 5, 5): (0.0, (1, 1, 1, 1))}), zero).detections
    assert np.isfinite(found.xyxy).all()
    assert len(found) == 1


def test_coverage_only_model_says_why_there_are_no_boxes() -> None:
    grids = make_grids({(0, 5, 5): (0.9, (1, 1, 1, 1))})
    bare = Grids(grids.coverage, None, grids.fit, grids.labels)
    result = decode(bare, ALL)
    assert len(result.detections) == 0
    assert result.outcome.fate.tolist() == [Fate.NO_BOX]
    assert "coverage output only" in result.note


def test_settings_for_another_fit_are_refused_and_replace_is_the_way_out() -> None:
    grids = make_grids({(0, 5, 5): (0.45, (1, 1, 1, 1))})
    assert len(decode(grids, preset()).detections) == 1
    with pytest.raises(SettingsError, match=r"another preprocessing.*'letterbox'.*replace\(fit='stretch'\)"):
        decode(grids, preset(fit="letterbox"))
    assert len(decode(grids, preset(fit="letterbox").replace(fit="stretch")).detections) == 0


def test_settings_for_other_classes_are_refused_but_presets_fit_any_model() -> None:
    cars = make_grids({(1, 5, 5): (0.9, (1, 1, 1, 1))}, labels=("car", "sign"))
    assert decode(cars, preset("deepstream")).detections.class_name == ["sign"]
    with pytest.raises(SettingsError, match=r"Unknown class.*persn.*car, sign"):
        decode(cars, Settings(classes={"persn": ClassSettings()}))


ARRAYS = ("class_id", "row", "col", "coverage", "network_xyxy")
OUTCOMES = ("fate", "by", "iou", "cluster")


@pytest.mark.parametrize("name", PRESETS)
def test_the_two_halves_make_the_whole_and_leave_what_they_are_given(name: str) -> None:
    grids, chosen = random_grids(11), preset(name)
    found = find_candidates(grids, chosen)
    before = {array: getattr(found, array).copy() for array in ARRAYS}
    first, second = (cluster_candidates(found, grids, chosen) for _ in range(2))
    whole = decode(grids, chosen)
    for array in ARRAYS:
        assert np.array_equal(getattr(found, array), before[array]), f"{array} was written to"
        assert np.array_equal(getattr(first.candidates, array), getattr(whole.candidates, array)), array
    for array in OUTCOMES:
        assert np.array_equal(getattr(first.outcome, array), getattr(whole.outcome, array)), array
        assert np.array_equal(getattr(second.outcome, array), getattr(whole.outcome, array)), array
    assert np.array_equal(first.detections.xyxy, whole.detections.xyxy)
    assert np.array_equal(first.source, whole.source)


def test_candidates_of_one_frame_can_be_clustered_in_several_ways() -> None:
    grids = random_grids(12)
    found = find_candidates(grids, ALL)
    for changes in ({"nms_iou": 0.1}, {"clustering": "dbscan"}, {"top_k": 1}):
        changed = ALL.replace(**changes)
        expected = decode(grids, changed)
        again = cluster_candidates(found, grids, changed)
        assert again.outcome.fate.tolist() == expected.outcome.fate.tolist()
        assert again.detections.xyxy.tolist() == expected.detections.xyxy.tolist()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 1 / 3], ids=str)
def test_threshold_is_compared_as_a_double(threshold: float) -> None:
    """The float32 nearest to a threshold may lie below it, and then does not reach it."""
    nearest = np.float32(threshold)
    above, below = np.nextafter(nearest, np.float32(1)), np.nextafter(nearest, np.float32(0))
    for coverage in (below, nearest, above):
        grids = make_grids({(0, 5, 5): (coverage, (1, 1, 1, 1))})
        found = find_candidates(grids, Settings(default=ClassSettings(threshold=threshold)))
        assert len(found) == (float(coverage) >= threshold)


def test_settings_are_not_mixed_up_between_calls() -> None:
    """What was bound for one pair of settings and labels is not used for another."""
    cells = {(c, 5, 5): (0.5, (1, 1, 1, 1)) for c in range(3)}
    mine, other = make_grids(cells), make_grids(cells, labels=("face", "bag", "person"))
    strict = ALL.with_class("person", threshold=0.9)
    for _ in range(2):
        assert decode(mine, strict).detections.counts() == {"person": 0, "bag": 1, "face": 1}
        assert decode(other, strict).detections.counts() == {"face": 1, "bag": 1, "person": 0}
        assert len(decode(mine, ALL).detections) == 3


@pytest.mark.parametrize("half", [find_candidates, decode])
def test_coverage_only_model_gives_candidates_without_boxes(half: Callable[..., object]) -> None:
    grids = make_grids({(0, 5, 5): (0.9, (1, 1, 1, 1))})
    bare = Grids(grids.coverage, None, grids.fit, grids.labels)
    result = half(bare, ALL)
    candidates = result.candidates if isinstance(result, Decoded) else result
    assert isinstance(candidates, Candidates)
    assert candidates.network_xyxy.tolist() == [[0.0] * 4]
    with pytest.raises(ValueError, match="predicts no boxes"):
        cell_boxes(bare, [0], [5], [5])


def square(row: int, col: int, side: float, coverage: float) -> tuple:
    """A cell whose box is a square around its middle, in network pixels."""
    return (0, row, col), (coverage, (side / 70,) * 4)


def test_stages_count_what_each_step_leaves() -> None:
    cells = dict([square(5, 5, 40, 0.9), square(5, 6, 40, 0.8), square(20, 40, 10, 0.9)])
    cells[0, 30, 30] = (0.9, (-1, -1, -1, -1))
    result = decode(
        make_grids(cells), Settings(nms_iou=0.3, default=ClassSettings(threshold=0.5, min_width=20))
    )
    assert result.stages() == {"candidates": 4, "with a box": 3, "after clustering": 2, "detections": 1}


@pytest.mark.parametrize(("side", "fate"), [(180.0, Fate.KEPT), (180.5, Fate.SPARSE)])
def test_deepstream_drops_clusters_whose_side_is_above_60_for_each_member_and_one(
    side: float, fate: Fate
) -> None:
    # sqrt(area) / (2 + 1) against 60: two members hold up a square of 180.
    cells = dict([square(15, 30, side, 0.9), square(15, 31, side, 0.8)])
    chosen = Settings(clustering="dbscan", flavour="deepstream", eps=0.3, min_samples=2, default=ALL.default)
    decoded = decode(make_grids(cells), chosen)
    assert decoded.outcome.fate.tolist() == [fate, Fate.MERGED if fate is Fate.KEPT else Fate.SPARSE]
    assert decoded.outcome.by.tolist() == ([-1, 0] if fate is Fate.KEPT else [-1, -1])
    assert len(decoded.detections) == (fate is Fate.KEPT)


def test_dbscan_gives_the_best_of_a_class_first() -> None:
    cells = dict([square(5, 10, 40, 0.6), square(5, 40, 40, 0.9), square(25, 20, 40, 0.7)])
    chosen = Settings(clustering="dbscan", eps=0.3, min_samples=0.5, default=ALL.default)
    assert decode(make_grids(cells), chosen).detections.col.tolist() == [40, 20, 10]


@pytest.mark.parametrize("changes", [{"min_width": 40.0}, {"min_height": 40.0}, {"min_confidence": 0.875}])
def test_what_is_just_on_a_limit_stays(changes: dict[str, float]) -> None:
    grids = make_grids(dict([square(10, 10, 40, 0.875)]))
    assert decode(grids, Settings(default=ClassSettings(threshold=0.5))).detections.xyxy.tolist() == [
        [140.5, 140.5, 180.5, 180.5]
    ]
    assert len(decode(grids, Settings(default=ClassSettings(threshold=0.5, **changes))).detections) == 1


def test_top_k_counts_each_class_for_itself() -> None:
    cells = dict([square(5, col, 30, 0.9) for col in (5, 15, 25)])
    cells |= {(2, row, col): value for (_, row, col), value in cells.items()}
    found = decode(make_grids(cells), Settings(top_k=2, default=ALL.default)).detections
    assert found.counts() == {"person": 2, "bag": 0, "face": 2}


def test_clusters_of_zero_coverage_weigh_their_members_alike() -> None:
    cells = dict([square(10, 10, 64, 0.0), square(10, 11, 64, 0.0)])
    chosen = Settings(
        clustering="dbscan", flavour="deepstream", eps=0.6, min_samples=2, default=ClassSettings(threshold=0)
    )
    found = decode(make_grids(cells), chosen).detections.of_class("person")
    assert [136.5, 128.5, 200.5, 192.5] in found.xyxy.tolist(), "the mean of both"


@pytest.mark.parametrize(
    ("cell", "words"),
    [((3, 0, 0), "class 3"), ((0, 34, 0), "row 34"), ((0, 0, 60), "column 60"), ((0, -1, 0), "row -1")],
)
def test_cells_that_are_not_there(cell: tuple[int, int, int], words: str) -> None:
    with pytest.raises(IndexError, match=f"there is no {words}"):
        cell_boxes(make_grids(), *([index] for index in cell))
