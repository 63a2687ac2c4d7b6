"""The main claim, on the real weights and the real video: the boxes are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import reference
from peoplenet_nb.decoding import decode
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.onnxfile import head_health
from peoplenet_nb.settings import PRESETS, preset
from peoplenet_nb.sources import open_source

pytestmark = [pytest.mark.real, pytest.mark.slow(40), pytest.mark.timeout(600)]

Clip = list[tuple[Grids, Truth]]


@pytest.fixture(scope="module", params=["stretch", "letterbox"])
def clip(request: pytest.FixtureRequest, shared: Path, real_model_path: Path) -> Clip:
    """Raw output and ground truth of every 12th frame from the first; letterboxed, of every 24th."""
    every, count, people = {"stretch": (12, 67, 380), "letterbox": (24, 34, 193)}[request.param]
    truth = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    model = PeopleNet.load(real_model_path, device="cpu", fit=request.param)
    frames = open_source(str(shared / "data" / "vtest.avi"), every=every)
    made = [(model.infer(frame.image), truth[frame.index]) for frame in frames]
    assert len(made) == count
    assert sum(len(boxes) for _, boxes in made) == people  # and some that are marked to be ignored
    return made


def test_average_precision_of_people(clip: Clip) -> None:
    mode = clip[0][0].fit.mode
    low = preset("default", mode).with_class("person", threshold=0.01)
    found = [(decode(grids, low).detections.of_class("person"), truth) for grids, truth in clip]
    curve = precision_recall([(d.xyxy, d.confidence, truth) for d, truth in found])
    assert curve.average_precision >= 0.91, f"{mode}: AP {curve.average_precision:.3f}"
    strict = precision_recall([(d.xyxy, d.confidence, truth) for d, truth in found], iou=0.75)
    assert strict.average_precision >= 0.26
    assert curve.best()[0] >= 0.93


def test_decode_agrees_with_the_straightforward_one_on_every_frame(clip: Clip) -> None:
    chosen = preset("default", clip[0][0].fit.mode)
    thresholds = [chosen.for_class(label).threshold for label in clip[0][0].labels]
    for grids, _ in clip:
        found = decode(grids, chosen).detections
        expected = reference.decode_nms(grids, thresholds, chosen.nms_iou)
        assert [e[:3] for e in expected] == list(zip(found.class_id, found.row, found.col, strict=True))
        np.testing.assert_allclose(found.xyxy, np.array([e[4] for e in expected]).reshape(-1, 4), atol=1e-4)


def test_presets_find_the_people(clip: Clip) -> None:
    for name in PRESETS:
        chosen = preset(name, clip[0][0].fit.mode)
        found = [(decode(grids, chosen).detections.of_class("person"), truth) for grids, truth in clip]
        curve = precision_recall([(d.xyxy, d.confidence, truth) for d, truth in found])
        last = 2 * curve.precision[-1] * curve.recall[-1] / (curve.precision[-1] + curve.recall[-1])
        assert last >= 0.91, f"{name}: F1 {last:.3f}"


def test_bag_head_of_these_weights_is_dead(real_model_path: Path) -> None:
    assert {head.label: head.alive for head in head_health(real_model_path)} == {
        "person": True,
        "bag": False,
        "face": True,
    }


def test_letterbox_finds_the_face_that_stretching_loses(real_model_path: Path) -> None:
    import cv2
    from matplotlib import cbook

    frame = cv2.imread(str(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    highest = {
        fit: PeopleNet.load(real_model_path, device="cpu", fit=fit).infer(frame).coverage[2].max()
        for fit in ("stretch", "letterbox")
    }
    assert highest["letterbox"] > 0.2 > highest["stretch"]
    # The fragments of a face that is too large for the letterbox become one box at half the size.
    model = PeopleNet.load(real_model_path, device="cpu")
    assert len(model.detect(frame, preset("default")).of_class("face")) == 2
    near = model.detect(frame, preset(fit="near")).of_class("face")
    assert near.confidence[0] > 0.9
    assert len(near) == 1
