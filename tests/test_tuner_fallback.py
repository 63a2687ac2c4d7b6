"""The kernel's picture: when it takes the canvas's place and gives it back, and what it shows."""

from __future__ import annotations

import asyncio

import cv2
import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.settings import preset
from peoplenet_nb.tuner import Tuner, TunerModel, tune, wire
from peoplenet_nb.tuner.fallback import LatestWins, render
from peoplenet_nb.tuner.pictures import jpeg

FRAME = np.full((720, 1280, 3), 90, np.uint8)


@pytest.fixture
def panel() -> Tuner:
    return tune(FRAME, random_grids(1))


def picture_of(panel: Tuner) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(panel.kernel_picture.image.value, np.uint8), cv2.IMREAD_COLOR).astype(
        int
    )


def test_fallback_follows_the_sliders() -> None:
    panel = tune(FRAME, random_grids(1), fallback=True)
    assert panel.canvas.layout.display == "none"
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


def is_canvas_shown(panel: Tuner) -> bool:
    canvas, picture = panel.canvas.layout.display, panel.kernel_picture.box.layout.display
    assert (canvas, picture) in [(None, "none"), ("none", None)], "one of the two"
    return canvas is None and not panel.fallback


def test_a_canvas_that_never_comes_up_brings_the_fallback_after_a_while(
    panel: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peoplenet_nb.tuner.fallback.GRACE", 0.1)

    async def page() -> None:
        panel._repr_mimebundle_()
        panel.controls.tied["nms_iou"].value = 0.6
        assert is_canvas_shown(panel), "it may still come"
        assert panel.settings.nms_iou == 0.6, "Python follows the slider meanwhile"
        await asyncio.sleep(0.3)

    asyncio.run(page())
    assert not is_canvas_shown(panel)
    assert len(panel.kernel_picture.image.value) > 1000
    assert panel.errors == []


def test_a_panel_that_nobody_touches_stays_as_it_is(panel: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that runs without a browser must keep its canvas for those who read it later."""
    monkeypatch.setattr("peoplenet_nb.tuner.fallback.GRACE", 0.05)

    async def page() -> None:
        panel._repr_mimebundle_()
        await asyncio.sleep(0.15)

    asyncio.run(page())
    assert is_canvas_shown(panel)


def test_a_move_long_after_display_brings_the_fallback_at_once(
    panel: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peoplenet_nb.tuner.fallback.GRACE", 0.05)

    async def page() -> None:
        panel._repr_mimebundle_()
        await asyncio.sleep(0.1)
        panel.controls.tied["nms_iou"].value = 0.6
        assert not is_canvas_shown(panel)

    asyncio.run(page())


@pytest.mark.parametrize("late", [False, True], ids=["within the grace", "after the fallback"])
def test_a_canvas_that_comes_up_after_a_move_is_shown(
    panel: Tuner, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr("peoplenet_nb.tuner.fallback.GRACE", 0.1)
    revision = panel.canvas.revision

    async def page() -> None:
        panel._repr_mimebundle_()
        panel.controls.tied["nms_iou"].value = 0.6
        await asyncio.sleep(0.3 if late else 0)
        assert panel.fallback == late
        panel._on_message(None, {"type": "ready"}, [])
        assert is_canvas_shown(panel)
        await asyncio.sleep(0.3)

    asyncio.run(page())
    assert is_canvas_shown(panel), "and stays"
    assert panel.canvas.revision == revision + 1, "the canvas is asked for what it shows"
    panel.controls.tied["nms_iou"].value = 0.7
    assert panel.settings.nms_iou == 0.6, "the browser's own state will tell"
    numbers = wire.numbers_of(panel.settings, panel.model.labels) | {"nms_iou": 0.7}
    panel.canvas.state = {"settings": numbers, "frame": 0, "revision": panel.canvas.revision}
    assert panel.settings.nms_iou == 0.7
    assert panel.errors == []


@pytest.mark.parametrize("at_once", [True, False], ids=["fallback=True", "use_fallback()"])
def test_a_fallback_that_was_asked_for_stays(at_once: bool) -> None:
    panel = tune(FRAME, random_grids(1), fallback=at_once)
    panel.use_fallback()
    panel._on_message(None, {"type": "ready"}, [])
    assert not is_canvas_shown(panel)
    panel.controls.tied["nms_iou"].value = 0.6
    assert panel.settings.nms_iou == 0.6, "the sliders still move the kernel's picture"


def test_a_slider_that_moves_with_a_canvas_does_not(panel: Tuner) -> None:
    panel._on_message(None, {"type": "ready"}, [])
    panel.controls.tied["nms_iou"].value = 0.6
    assert not panel.fallback
    assert panel.settings.nms_iou == 0.5, "the browser's own state will tell"


def test_latest_wins_draws_once_for_many_requests() -> None:
    drawn: list[int] = []
    latest = LatestWins(lambda: drawn.append(1))
    latest.ask()
    assert len(drawn) == 1, "without a loop at once"

    async def many() -> None:
        for _ in range(50):
            latest.ask()
        await asyncio.sleep(0.05)
        latest.ask()
        await asyncio.sleep(0.05)

    asyncio.run(many())
    assert len(drawn) == 3


@pytest.mark.parametrize("toggle", ["heatmap", "grid", "candidates", "suppressed", "labels", "boxes"])
def test_every_toggle_of_the_fallback_draws(toggle: str) -> None:
    model = TunerModel([random_grids(2, objects=30)], preset("default"))
    view = {"boxes": toggle == "labels", "labels": False}
    with_it, without = (render(model, jpeg(FRAME), view | {toggle: on}) for on in (True, False))
    assert with_it != without
