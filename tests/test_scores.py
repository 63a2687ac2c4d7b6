"""Scores of a whole evaluation: COCO's own program, counts by hand, and intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import coco_oracle
from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import demo_clip, demo_truth
from peoplenet_nb.labels import EVERY_CLASS, Labels, align, read_labels
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.metrics.scores import score_class, stretches
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import ClassSettings, Settings
from peoplenet_nb.sources import open_source

LABELS = ("person", "bag", "face")
LOW = Settings(default=ClassSettings(threshold=0.01))


def labels_of(boxes: list, frames: int, ignore: list | None = None, class_id: list | None = None) -> Labels:
    """Labels from ``(frame, x1, y1, x2, y2)``."""
    table = np.array(boxes, np.float64).reshape(-1, 5)
    number = len(table)
    size = table[:, 3:] - table[:, 1:3]
    return Labels(
        LABELS,
        tuple(range(frames)),
        table[:, 0].astype(int),
        np.array(class_id if class_id is not None else [0] * number, int),
        table[:, 1:],
        np.array(ignore if ignore is not None else [False] * number, bool),
        size.prod(axis=1),
        LABELS,
    )


def found_of(boxes: list) -> Found:
    """Boxes from ``(frame, x1, y1, x2, y2, confidence)``."""
    table = np.array(boxes, np.float64).reshape(-1, 6)
    return Found(table[:, 0].astype(int), np.zeros(len(table), int), table[:, 1:5], table[:, 5])


def agrees(found: Found, labels: Labels, class_id: int = 0) -> None:
    mine = score_class(class_id, found, found, labels, stretches(len(labels.frames), True))
    expected = coco_oracle.evaluate(found, labels, class_id)
    made = {name: getattr(mine, name).value for name in ("ap", "ap50", "ap75")}
    made |= {name: size.ap for name, size in mine.sizes.items()}
    for name, value in expected.items():
        assert made[name] == pytest.approx(value, abs=1e-6, nan_ok=True), name


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Found, Labels]:
    """Truths, some of them crowds or for every class, and boxes near them; on whole pixels, so that ties occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames, spread = draw(st.integers(1, 6)), draw(st.sampled_from([20, 60, 300]))
    truths, boxes = [], []
    for frame in range(frames):
        for _ in range(rng.integers(0, 9)):
            x, y = rng.integers(0, spread, 2)
            w, h = rng.choice([8, 12, 16, 30, 40, 64, 97, 150], 2)
            truths.append((frame, x, y, x + w, y + h))
            for _ in range(rng.integers(0, 3)):
                dx, dy, dw, dh = rng.integers(-6, 7, 4)
                score = rng.integers(1, 11) / 10  # equal ones, too
                boxes.append((frame, x + dx, y + dy, x + dx + max(1, w + dw), y + dy + max(1, h + dh), score))
        for _ in range(rng.integers(0, 3)):
            x, y = rng.integers(0, spread, 2)
            boxes.append((frame, x, y, x + rng.integers(1, 200), y + rng.integers(1, 200), rng.random()))
    kinds = rng.choice([0, 0, 0, 0, 1, EVERY_CLASS], len(truths))
    ignore = (rng.random(len(truths)) < draw(st.sampled_from([0, 0.3]))) | (kinds == EVERY_CLASS)
    return found_of(boxes), labels_of(truths, frames, ignore.tolist(), kinds.tolist())


@settings(max_examples=80, deadline=None)
@given(scenes())
def test_average_precision_is_that_of_cocos_program(scene: tuple[Found, Labels]) -> None:
    agrees(*scene)


def test_sizes_go_by_the_area_that_the_labels_say() -> None:
    labels = labels_of([(0, 0, 0, 100, 100), (0, 200, 0, 220, 20)], 1)
    labels = replace(labels, area=np.array([900.0, 400.0]))  # the first is the box of a thin mask
    found = found_of([(0, 0, 0, 100, 100, 0.9), (0, 200, 0, 220, 20, 0.8)])
    agrees(found, labels)
    score = score_class(0, found, found, labels, stretches(1, True))
    assert [size.truths for size in score.sizes.values()] == [2, 0, 0]
    assert np.isnan(score.sizes["large"].ap)


def test_counts_by_hand() -> None:
    labels = labels_of(
        [(0, 0, 0, 10, 10), (1, 0, 0, 10, 10), (2, 0, 0, 10, 10), (3, 0, 0, 50, 50)],
        4,
        ignore=[False, False, False, True],
    )
    final = found_of(
        [(0, 0, 0, 10, 10, 0.9), (1, 50, 0, 60, 10, 0.8), (3, 5, 5, 15, 15, 0.7), (2, 0, 0, 10, 10, 0.6)]
    )
    score = score_class(0, final, final, labels, stretches(4, False))
    assert (score.truths, score.found) == (3, 3)  # a box in the ignored region is neither
    assert (score.precision.value, score.recall.value) == pytest.approx((2 / 3, 2 / 3))
    assert score.f1.value == pytest.approx(2 / 3)
    assert score.f1.low <= 2 / 3 <= score.f1.high


def test_nothing_to_find_or_nothing_found_is_no_figure_or_zero() -> None:
    nothing, box = found_of([]), labels_of([(0, 0, 0, 10, 10)], 2)
    score = score_class(0, nothing, nothing, box, stretches(2, True))
    assert (score.ap.value, score.recall.value) == (0.0, 0.0)
    assert np.isnan(score.precision.value)
    empty = labels_of([], 2)
    some = found_of([(0, 0, 0, 10, 10, 0.9)])
    score = score_class(0, some, some, empty, stretches(2, True))
    assert np.isnan(score.ap.value)
    assert score.precision.value == 0.0
    assert score.found == 1


def test_the_interval_holds_the_figure_and_narrows_with_more_frames() -> None:
    rng = np.random.default_rng(1)

    def interval(frames: int) -> tuple[float, float, float]:
        hits = rng.random(frames) < 0.8
        truths = [(i, 0, 0, 10, 10) for i in range(frames)]
        boxes = [(i, 0, 0, 10, 10, 0.9) if hit else (i, 90, 0, 99, 10, 0.9) for i, hit in enumerate(hits)]
        found = found_of(boxes)
        return score_class(0, found, found, labels_of(truths, frames), stretches(frames, False)).recall

    few, many = interval(50), interval(2000)
    for value, low, high in (few, many):
        assert low < value < high
    # The standard error of a share of 0.8: 0.057 and 0.0089; the middle 95 % is 3.9 of them wide.
    assert 0.12 < few[2] - few[1] < 0.32
    assert 0.025 < many[2] - many[1] < 0.045


def test_stretches_of_a_video_are_drawn_whole() -> None:
    assert len(set(stretches(795, True).tolist())) == 30
    assert (np.diff(stretches(795, True)) >= 0).all()
    assert stretches(4, True).tolist() == [0, 1, 2, 3]
    assert stretches(3, False).tolist() == [0, 1, 2]


def test_the_demo_clip_scores_as_by_cocos_program() -> None:
    model = PeopleNet.load("standin", device="cpu")
    source = open_source(demo_clip(), every=30)
    frames = [(frame.index, decode(model.infer(frame.image), LOW).detections) for frame in source]
    labels = align(read_labels(demo_clip().with_suffix(".csv")), None)
    labels = labels.take([labels.frames.index(i) for i, _ in frames])
    assert labels.counts()["person"] == sum((demo_truth()[i].class_id == 0).sum() for i, _ in frames)
    for class_id in range(3):
        agrees(Found.of([found for _, found in frames]), labels, class_id)


@pytest.mark.real
def test_the_real_video_scores_as_by_cocos_program(shared: Path, real_model_path: Path) -> None:
    model = PeopleNet.load(real_model_path, device="cpu", fit="stretch")
    source = open_source(str(shared / "data" / "vtest.avi"), every=80)
    frames = [(frame.index, decode(model.infer(frame.image), LOW).detections) for frame in source]
    labels = align(read_labels(shared / "data" / "vtest_gt.txt"), None)
    agrees(Found.of([d for _, d in frames]), labels.take([labels.frames.index(i) for i, _ in frames]))
