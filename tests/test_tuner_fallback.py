"""The kernel's picture: what it shows, and that the same sliders move it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.settings import preset
from peoplenet_nb.tracks import Line, Scene, Zone
from peoplenet_nb.tuner import Tuner, TunerModel, tune
from peoplenet_nb.tuner.fallback import render
from peoplenet_nb.tuner.pictures import jpeg

FRAME = np.full((720, 1280, 3), 90, np.uint8)


@pytest.fixture
def panel() -> Tuner:
    return tune(FRAME, random_grids(1), fallback=True)


def picture_of(panel: Tuner) -> np.ndarray:
    data = np.frombuffer(panel.kernel_picture.image.value, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR).astype(int)


def test_fallback_follows_the_sliders(panel: Tuner) -> None:
    first = picture_of(panel)
    assert first.shape == (720, 1280, 3)
    assert np.abs(first - 90).max() > 50, "there are boxes"
    for c in range(3):
        panel.controls.tied[f"threshold_{c}"].value = 1.0
    assert panel.settings.for_class("person").threshold == 1.0
    assert np.abs(picture_of(panel) - 90).max() < 12, "and now there are none"
    panel.controls.undo.click()
    assert panel.controls.tied["threshold_2"].value == 0.2
    assert panel.errors == []


def test_moves_of_one_slider_are_one_step_of_undo(panel: Tuner) -> None:
    for iou in (0.6, 0.65, 0.7):
        panel.controls.tied["nms_iou"].value = iou
    panel.controls.undo.click()
    assert panel.settings.nms_iou == panel.controls.tied["nms_iou"].value == 0.5


def test_either_the_canvas_or_the_kernels_picture_is_on_the_page(panel: Tuner) -> None:
    for one in (panel, tune(FRAME, random_grids(1))):
        left = one.children[2].children[0]
        assert (one.canvas in left.children) != one.fallback
        assert (one.kernel_picture in left.children) == one.fallback


def test_with_a_canvas_only_its_own_state_moves_python() -> None:
    panel = tune(FRAME, random_grids(1))
    panel.controls.tied["nms_iou"].value = 0.6
    assert panel.settings.nms_iou == 0.5
    assert panel.kernel_picture.image.value == b"", "nothing is drawn for nobody"


@pytest.mark.parametrize(
    ("clustering", "idle"),
    [
        ("nms", {"eps", "min_samples", "flavour", "score"}),
        ("dbscan", {"nms_iou"}),
        ("hybrid", {"score"}),
    ],
)
def test_controls_that_do_nothing_are_disabled(panel: Tuner, clustering: str, idle: set[str]) -> None:
    panel.settings = preset("default").replace(clustering=clustering)
    assert {name for name, control in panel.controls.tied.items() if control.disabled} == idle


def test_lines_and_zones_are_drawn(panel: Tuner) -> None:
    before = picture_of(panel)
    corner = ((900.0, 500.0), (1200.0, 500.0), (1200.0, 700.0), (900.0, 700.0))
    panel.scene = Scene((1280, 720), {"door": Line(((100, 600), (400, 600)))}, {"yard": Zone(corner)})
    drawn = np.abs(picture_of(panel) - before).max(2) > 60
    assert drawn[596:605, 200:240].any(), "the line"
    assert drawn[496:505, 1000:1100].any(), "the zone's edge"
    assert not drawn[560:640, 950:1150].any(), "and nothing in it"
    assert panel.errors == []


@pytest.mark.parametrize("toggle", ["heatmap", "grid", "candidates", "suppressed", "labels", "boxes"])
def test_every_toggle_of_the_fallback_draws(toggle: str) -> None:
    model = TunerModel([random_grids(2, objects=30)], preset("default"))
    view = {"boxes": toggle == "labels", "labels": False}
    with_it, without = (render(model, jpeg(FRAME), view | {toggle: on}) for on in (True, False))
    assert with_it != without
