"""Precision, recall and F1 that follow the sliders: the browser's figures, run in Node or Deno, are `evaluate`'s."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import LABELS, random_grids, stored
from javascript import Run, needs_node
from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import SourceError
from peoplenet_nb.evaluation import evaluate
from peoplenet_nb.evaluation.clip import FLOOR, Clip
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import EVERY_CLASS, Labels
from peoplenet_nb.metrics.curves import PrecisionRecall
from peoplenet_nb.settings import ClassSettings, Settings, preset
from peoplenet_nb.tuner import tune_run, wire

LABELLED = [1, 2, 5, 6, 7, 9]


def labels_for(frames: list[Grids], which: list[int], seed: int, judged: tuple[str, ...] = LABELS) -> Labels:
    """Truths near what can be found, some of them ignored; some that nothing finds; and a region for all classes."""
    rng = np.random.default_rng(seed)
    rows = []
    for place, frame in enumerate(which):
        found = decode(frames[frame], Settings(default=ClassSettings(threshold=0.2))).detections
        for box, class_id in zip(found.xyxy, found.class_id, strict=True):
            if rng.random() < 0.8:
                spread = (0.05, 0.15, 0.3)[rng.integers(3)]
                moved = box + rng.normal(0, spread, 4) * np.tile(box[2:] - box[:2], 2)
                if (moved[2:] > moved[:2]).all():
                    rows.append((place, class_id, rng.random() < 0.15, *moved))
        rows.append((place, rng.integers(3), False, 5, 5, 60, 90))
        rows.append((place, EVERY_CLASS, True, 600, 300, 1000, 700))
    table = np.array([row for row in rows if row[1] < 0 or LABELS[int(row[1])] in judged], np.float64)
    xyxy = table[:, 3:]
    area = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1)
    number, class_id, ignore = table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2].astype(bool)
    return Labels(LABELS, tuple(which), number, class_id, xyxy, ignore, area, judged)


DBSCAN = preset("default").replace(
    clustering="dbscan", eps=0.6, min_samples=0.3, default=ClassSettings(threshold=0.1), classes={}
)
SETTINGS = {
    "default": preset("default"),
    "deepstream": preset("deepstream"),
    "tao": preset("tao"),
    "DBSCAN": DBSCAN,
    "DBSCAN, one threshold moved": DBSCAN.with_class("person", threshold=0.5),
    "DBSCAN, sums": DBSCAN.replace(score="sum").with_class("bag", min_confidence=0.8),
    "triton": preset("triton"),
    "low": Settings(default=ClassSettings(threshold=0.006)),
    "one class moved": Settings(default=ClassSettings(threshold=0.006)).with_class("bag", threshold=0.4),
    "NMS at 0.3": Settings(nms_iou=0.3, default=ClassSettings(threshold=0.1)),
    "NMS at 0.8, the best three": Settings(nms_iou=0.8, top_k=3, default=ClassSettings(threshold=0.1)),
    "sizes": Settings(default=ClassSettings(threshold=0.1, min_width=60, min_height=90)),
    "limits": Settings(
        default=ClassSettings(threshold=0.1, max_height=300, roi_bottom=40, nms_iou=0.7, top_k=2)
    ),
    "confidence": Settings(default=ClassSettings(threshold=0.1, min_confidence=0.45)),
    "hybrid": DBSCAN.replace(clustering="hybrid").with_class("face", min_confidence=0.3),
    "nothing found": Settings(default=ClassSettings(threshold=1.0)),
    "default again": preset("default"),
}


@pytest.fixture(scope="module")
def frames() -> list[Grids]:
    return [random_grids(i, objects=15) for i in range(10)]


def scores(
    node: Run, run: Path, labels: Labels, settings: list[Settings], **more: Any
) -> list[list[dict[str, Any]]]:
    """The browser's figures, for what the panel sends it."""
    panel = tune_run(run, labels=labels, **more)
    truth = dict(panel.canvas.truth)
    truth["rows"] = base64.b64encode(truth["rows"]).decode()
    numbers = [wire.numbers_of(one, LABELS) for one in settings]
    canvas = panel.canvas
    asked = {"shape": canvas.shape, "clip": canvas.clip, "between": canvas.between}
    (found,) = node([{"call": "scores", "truth": truth, "settings": numbers} | asked])
    assert panel.errors == []
    return list(found)


def check_same(found: list[dict[str, Any]], clip: Clip, settings: Settings, case: str) -> None:
    expected = evaluate(clip, settings=settings)
    for score, (label, wanted) in zip(found, expected.scores.items(), strict=True):
        where = f"{case}, {label}"
        assert score["truths"] == wanted.truths, where
        assert score["right"] + score["wrong"] == wanted.found, where
        for name in ("precision", "recall", "f1"):
            value = math.nan if score[name] is None else score[name]
            np.testing.assert_allclose(
                value, getattr(wanted, name).value, atol=1e-12, err_msg=f"{where}: {name}"
            )
        np.testing.assert_allclose(score["confidence"], wanted.curve.confidence, rtol=1e-6, err_msg=where)
        hits = wanted.curve.precision * np.arange(1, len(wanted.curve.precision) + 1)
        np.testing.assert_allclose(score["hits"], hits, atol=1e-6, err_msg=where)
        f1, confidence, *_ = wanted.curve.best()
        assert score["best"]["f1"] == pytest.approx(f1), where
        if f1:
            assert score["best"]["confidence"] == pytest.approx(confidence, rel=1e-6), where


@needs_node
@pytest.mark.parametrize("judged", [LABELS, LABELS[:1]], ids=["all classes", "people only"])
def test_figures_are_those_of_evaluate(
    node: Run, tmp_path: Path, frames: list[Grids], judged: tuple[str, ...]
) -> None:
    run = stored(tmp_path, frames, list(range(10)), "1000000000", [i / 10 for i in range(10)])
    labels = labels_for(frames, LABELLED, 5, judged)
    saved = open_grids(run)
    pool = Pool.of([saved[i] for i in LABELLED], FLOOR)
    clip = Clip("made", True, 10.0, labels, preset("default"), pool, None, "")
    found = scores(node, run, labels, list(SETTINGS.values()))
    for (case, settings), answer in zip(SETTINGS.items(), found, strict=True):
        something = [row["right"] * row["wrong"] * row["missed"] > 0 for row in answer]
        assert all(something) or case in ("tao", "nothing found", "limits", "sizes", "triton"), case
        check_same(answer, clip, settings, case)


@needs_node
def test_of_thresholds_that_are_equally_good_the_first_is_taken_as_in_python(node: Run) -> None:
    confidence = [0.9, 0.8, 0.7, 0.6, 0.5]
    verdicts = [1, 2, 2, 2, 1]  # F1 is 0.5 of three at the first and again at the last
    expected = PrecisionRecall.of(np.array(confidence), np.array([0, -1, -1, -1, 1]), 3).best()
    rows = list(zip(confidence, verdicts, strict=True))
    (best,) = node([{"call": "curve", "truths": 3, "rows": rows}])
    assert (best["f1"], best["confidence"]) == expected[:2] == (0.5, 0.9)


@needs_node
def test_of_a_run_on_key_frames_those_are_judged(node: Run, tmp_path: Path, frames: list[Grids]) -> None:
    keys = [0, 3, 6, 9]
    run = stored(tmp_path, [frames[i] for i in keys], keys, "1000", [i / 10 for i in range(10)])
    labels = labels_for(frames, LABELLED, 5)
    saved = open_grids(run)
    pool = Pool.of([saved[2], saved[3]], FLOOR)
    clip = Clip("made", True, 10.0, labels.take([3, 5]), preset("default"), pool, None, "")
    (found,) = scores(node, run, labels, [preset("default")])
    check_same(found, clip, preset("default"), "frames 6 and 9")


def test_labelled_frames_of_a_long_run_are_all_there(tmp_path: Path, frames: list[Grids]) -> None:
    run = stored(tmp_path, frames, list(range(10)), "1000000000", [i / 10 for i in range(10)])
    panel = tune_run(run, labels=labels_for(frames, [1, 7], 5), most=5)
    assert panel.canvas.frame_names == [0, 1, 4, 7, 8]
    assert [panel.canvas.frame_names[i] for i in panel.canvas.truth["frames"]] == [1, 7]
    assert panel.errors == []


def test_labels_of_other_frames_or_classes_are_refused(tmp_path: Path, frames: list[Grids]) -> None:
    run = stored(tmp_path, frames[:3], [0, 1, 2], "100", [0.0, 0.1, 0.2])
    with pytest.raises(SourceError, match="None of the labelled frames"):
        tune_run(run, labels=Labels.none(LABELS, [50]))
    with pytest.raises(SourceError, match="other classes"):
        tune_run(run, labels=Labels.none(("car",), [1]))
    with pytest.raises(SourceError, match="No such file"):
        tune_run(run, labels=tmp_path / "none.json")
