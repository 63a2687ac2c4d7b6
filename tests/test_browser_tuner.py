"""The tuner in a real page: JupyterLab in headless Chromium, a real kernel, real pointer and key events."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.settings import Settings
from tuner_lab import CHROMIUM, Notebook, Panel, browser, jupyter_lab, kernel_log, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

FRAMES = 12
SLEEP = 6

CELLS = [
    """import json, os, time
from pathlib import Path
from peoplenet_nb.tuner import tune_run
panel = tune_run("run", "video")
def note():
    row = {"time": time.time(), "settings": panel.settings.to_dict(), "frame": panel.model.index,
           "errors": panel.errors, "a": panel.model.a is not None}
    with Path("log.jsonl").open("a") as out:
        out.write(json.dumps(row) + "\\n")
panel.model.on_change(note)
note()
Path("pid").write_text(str(os.getpid()))
panel""",
    f"Path('asleep').touch(); time.sleep({SLEEP}); Path('woke').touch()",
]


@dataclass
class Page:
    page: Any
    notebook: Notebook
    panel: Panel
    folder: Path
    lab: str
    log: str = "log.jsonl"

    @property
    def last(self) -> dict[str, Any]:
        """What Python last held."""
        return kernel_log(self.folder / self.log)[-1]

    @property
    def settings(self) -> Settings:
        return Settings.from_dict(self.last["settings"])

    def until(self, true: Callable[[], bool], what: str, seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what}; Python last held {self.last}"
            time.sleep(0.05)

    def check_boxes(self, case: str) -> None:
        """The page's final boxes are Python's, for the settings and the frame that Python holds."""
        expected = decode(random_grids(self.last["frame"], objects=20), self.settings).detections
        found = self.panel.detections()
        assert found["class_id"] == expected.class_id.tolist(), case
        np.testing.assert_allclose(np.reshape(found["xyxy"], (-1, 4)), expected.xyxy, atol=1e-3, err_msg=case)
        np.testing.assert_allclose(found["confidence"], expected.confidence, rtol=1e-6, err_msg=case)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "video").mkdir()
    for i in range(FRAMES):
        random_grids(i, objects=20).save(folder / "run" / "grids" / f"{i:06d}.npz")
        cv2.imwrite(str(folder / "video" / f"{i:03d}.png"), np.full((720, 1280, 3), 15 * i, np.uint8))
    write_notebook(folder / "tuner.ipynb", CELLS)
    home = str(folder / "home")
    with jupyter_lab(folder, PEOPLENET_HOME=home) as lab, browser(1280, 900) as page:
        notebook = Notebook(page, lab, "tuner.ipynb")
        notebook.run_cell(0)
        panel = Panel(page)
        notebook.idle()
        yield Page(page, notebook, panel, folder, lab)


def test_the_page_decodes_as_python(shown: Page) -> None:
    shown.check_boxes("at the start")
    assert "6120 cells" in shown.panel.summary()


def test_a_dragged_slider_moves_boxes_and_python_learns_of_it(shown: Page) -> None:
    def person() -> float:
        return shown.settings.for_class("person").threshold

    waits = []
    for end in (0.62, 0.42, 0.72):
        before = shown.panel.stats()["paints"]
        shown.panel.drag("person", [0.3, 0.35, 0.5, end])
        moved = shown.panel.painted_at()
        assert shown.panel.stats()["paints"] >= before + 4, "every move was drawn"
        shown.until(lambda end=end: abs(person() - end) < 0.011, "the threshold did not arrive")
        waits.append(shown.last["time"] - moved)
    assert statistics.median(waits) <= 0.3, f"Python knew after {waits} s"
    shown.check_boxes("after a drag")


@pytest.mark.parametrize("name", ["deepstream", "triton", "tao", "default"])
def test_a_preset_from_the_menu(shown: Page, name: str) -> None:
    shown.panel.row("preset").locator("select").select_option(label=name)
    shown.until(lambda: shown.settings.preset == name, "the preset did not arrive")
    shown.until(lambda: _agrees(shown, name), f"the page does not show {name}")


def _agrees(shown: Page, case: str) -> bool:
    try:
        shown.check_boxes(case)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize(
    ("menu", "choice", "field", "value"),
    [
        ("clustering", "DBSCAN", "clustering", "dbscan"),
        ("score", "sum of cells", "score", "sum"),
        ("DBSCAN of", "DeepStream (count)", "flavour", "deepstream"),
        ("clustering", "hybrid", "clustering", "hybrid"),
        ("clustering", "NMS", "clustering", "nms"),
    ],
)
def test_every_way_to_cluster(shown: Page, menu: str, choice: str, field: str, value: str) -> None:
    shown.panel.row(menu).locator("select").select_option(label=choice)
    shown.until(lambda: getattr(shown.settings, field) == value, f"{choice} did not arrive")
    shown.check_boxes(choice)


def test_undo_by_key_goes_back(shown: Page) -> None:
    before = shown.settings
    shown.panel.drag("NMS IoU", [0.6, 0.8])
    shown.until(lambda: shown.settings.nms_iou > 0.7, "the move did not arrive")
    shown.page.locator(".pnb-tuner").focus()
    shown.page.keyboard.press("z")
    shown.until(lambda: shown.settings.nms_iou == before.nms_iou, "undo did not arrive")
    shown.until(lambda: _agrees(shown, "undo"), "the page did not follow undo")


def test_keys_step_play_and_toggle(shown: Page) -> None:
    page = shown.page
    page.locator(".pnb-tuner").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    shown.until(lambda: shown.last["frame"] == 2, "the frame did not arrive")
    shown.until(lambda: _agrees(shown, "frame 2"), "the boxes are not those of frame 2")
    heat = page.get_by_role("button", name="Heatmap", exact=True)
    page.keyboard.press("h")
    assert heat.get_attribute("aria-pressed") == "true"
    assert page.locator(".pnb-heat").last.is_visible()
    page.keyboard.press("h")
    assert not page.locator(".pnb-heat").last.is_visible()
    page.keyboard.press("Space")
    shown.until(lambda: shown.last["frame"] > 4, "it does not play")
    page.keyboard.press("Space")
    page.keyboard.press("Home")
    shown.until(lambda: shown.last["frame"] == 0, "Home did not arrive")
    assert shown.page.locator(".jp-Notebook .jp-Cell").count() == len(CELLS), "no key reached the notebook"


def test_a_and_b_stand_side_by_side(shown: Page) -> None:
    shown.panel.toggle("A/B")
    shown.panel.drag("person", [0.5, 0.9])
    shown.until(lambda: shown.last["a"] and shown.settings.preset == "custom", "A did not arrive")
    assert shown.page.locator(".pnb-figure:visible").count() == 2
    text = shown.page.inner_text(".pnb-summary >> nth=1")
    assert text.startswith("A has ")
    assert not text.startswith("A has 0 "), "a higher threshold loses boxes"
    shown.panel.toggle("A/B")
    assert shown.page.locator(".pnb-figure:visible").count() == 1


def test_a_click_says_what_is_missing_and_brings_it_back(shown: Page) -> None:
    box = shown.page.locator(".pnb-stage:visible").bounding_box()
    expected = random_grids(0, objects=20)
    row, col = np.unravel_index(np.argmax(expected.coverage[0]), (34, 60))
    x, y = (col + 0.5) / 60, (row + 0.5) / 34
    shown.panel.drag("person", [0.99, 1.05])
    shown.until(lambda: shown.settings.for_class("person").threshold == 1, "the move did not arrive")
    shown.page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    answer = shown.page.locator(".pnb-answer").first
    assert "below the threshold 1 of person" in answer.inner_text()
    clip = shown.page.locator(".pnb-answer").nth(1)
    shown.until(lambda: "whole clip it would add" in clip.inner_text(), "the clip was not counted")
    before = shown.panel.summary()
    shown.page.get_by_role("button", name="Set the person threshold").click()
    shown.until(lambda: shown.settings.for_class("person").threshold < 1, "the rescue did not arrive")
    assert shown.panel.summary() != before
    shown.check_boxes("after the rescue")


def test_hovering_tells_of_the_cell(shown: Page) -> None:
    box = shown.page.locator(".pnb-stage:visible").bounding_box()
    shown.page.mouse.move(box["x"] + box["width"] * 30.5 / 60, box["y"] + box["height"] * 17.5 / 34)
    shown.page.wait_for_function(
        "() => document.querySelector('.pnb-pane-title').textContent === 'Row 17, column 30'"
    )


def test_the_slider_moves_boxes_while_the_kernel_is_busy(shown: Page) -> None:
    shown.notebook.run_cell(1)
    shown.until((shown.folder / "asleep").exists, "the kernel did not begin")
    before, count = shown.panel.summary(), shown.panel.stats()["paints"]
    shown.panel.drag("person", [0.2, 0.1, 0.05])
    assert shown.panel.stats()["paints"] >= count + 3
    assert shown.panel.summary() != before
    assert not (shown.folder / "woke").exists(), "the kernel was asleep all the while"
    shown.until((shown.folder / "woke").exists, "the kernel did not wake")
    shown.until(lambda: shown.settings.for_class("person").threshold < 0.06, "the state was lost")


def test_the_slider_moves_boxes_while_the_kernel_is_frozen(shown: Page) -> None:
    """A kernel that sleeps in a cell may still serve widgets from another thread; a stopped one cannot."""
    kernel = int((shown.folder / "pid").read_text())
    os.kill(kernel, signal.SIGSTOP)
    try:
        before = shown.panel.summary()
        shown.panel.drag("person", [0.2, 0.5, 0.8])
        assert shown.panel.summary() != before
        held = shown.settings.for_class("person").threshold
    finally:
        os.kill(kernel, signal.SIGCONT)
    assert held < 0.1, "Python could not know"
    shown.until(lambda: abs(shown.settings.for_class("person").threshold - 0.8) < 0.02, "the state was lost")


def test_many_moves_leave_nothing_behind(shown: Page) -> None:
    def measured() -> tuple[float, float]:
        session = shown.page.context.new_cdp_session(shown.page)
        session.send("Performance.enable")
        session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        session.detach()
        return metrics["JSHeapUsedSize"], metrics["Nodes"]

    back_and_forth = [0.2 if i % 2 else 0.5 for i in range(200)]
    shown.panel.drag("person", back_and_forth[:20])
    shown.notebook.idle()
    heap, nodes = measured()
    shown.panel.drag("person", back_and_forth)
    shown.notebook.idle()
    time.sleep(0.4)
    heap_after, nodes_after = measured()
    assert nodes_after - nodes <= 20
    assert heap_after - heap < 2_000_000


def test_nothing_went_wrong_on_the_way(shown: Page) -> None:
    """After the others on purpose: what all tests above left in the console and in ``panel.errors``."""
    assert shown.page.problems == []
    assert shown.last["errors"] == []
    assert not shown.page.locator(".pnb-trouble").is_visible()


def test_an_error_in_the_page_is_shown_and_reaches_python(shown: Page) -> None:
    shown.page.evaluate(
        "() => { document.querySelector('.pnb-tuner').tunerStats.onpaint = () => { throw new Error('a probe'); }; }"
    )
    shown.panel.drag("NMS IoU", [0.4, 0.6])
    shown.page.evaluate("() => { document.querySelector('.pnb-tuner').tunerStats.onpaint = null; }")
    assert "a probe" in shown.page.locator(".pnb-trouble").inner_text()
    shown.until(lambda: any("a probe" in e for e in shown.last["errors"]), "the error did not arrive")
    assert "a probe" in shown.page.locator(".pnb-errors").inner_text()


def test_without_the_canvas_front_end_the_kernel_draws(shown: Page) -> None:
    """The front end of anywidget is kept from loading; the same sliders then move a picture of the kernel's."""
    source = CELLS[0].replace("log.jsonl", "fallback.jsonl").replace('"pid"', '"fallback.pid"')
    write_notebook(shown.folder / "fallback.ipynb", [source])
    page = shown.page.context.new_page()
    page.route("**/extensions/anywidget/**", lambda route: route.abort())
    Notebook(page, shown.lab, "fallback.ipynb").run_cell(0)
    page.wait_for_selector(".pnb-row .noUi-handle", timeout=30_000)
    Panel.drag(Panel.without_canvas(page), "person", [0.3, 0.7])
    image = page.locator(".jp-OutputArea img").first
    image.wait_for(state="visible", timeout=15_000)
    log = shown.folder / "fallback.jsonl"
    shown.until(
        lambda: abs(kernel_log(log)[-1]["settings"]["classes"]["person"]["threshold"] - 0.7) < 0.02,
        "the slider did not reach the kernel",
    )
    assert kernel_log(log)[-1]["errors"] == []
    page.close()


LATE = """from peoplenet_nb.tuner.canvas import TunerCanvas
says = 'model.send({ type: "ready" });'
assert TunerCanvas._esm.count(says) == 1
TunerCanvas._esm = TunerCanvas._esm.replace(says, "window.sayReady = () => " + says)
"""


def test_a_canvas_that_is_heard_of_late_takes_its_place_back(shown: Page) -> None:
    """The canvas's first word is held back, as a slow proxy does, until the kernel draws in its place."""
    source = LATE + CELLS[0].replace("log.jsonl", "late.jsonl").replace('"pid"', '"late.pid"')
    write_notebook(shown.folder / "late.ipynb", [source])
    page = shown.page.context.new_page()
    Notebook(page, shown.lab, "late.ipynb").run_cell(0)
    late = Page(page, shown.notebook, Panel(page), shown.folder, shown.lab, log="late.jsonl")
    image, canvas = page.locator(".jp-OutputArea img").first, page.locator(".pnb-tuner")
    late.panel.drag("person", [0.3, 0.7])
    image.wait_for(state="visible", timeout=15_000)
    canvas.wait_for(state="hidden", timeout=5_000)
    page.evaluate("() => window.sayReady()")
    canvas.wait_for(state="visible", timeout=5_000)
    image.wait_for(state="hidden", timeout=5_000)
    late.until(lambda: _agrees(late, "late"), "the canvas does not show what was moved before")
    late.panel.drag("person", [0.5, 0.4])
    late.until(lambda: abs(late.settings.for_class("person").threshold - 0.4) < 0.02, "the state was lost")
    late.check_boxes("after the canvas came late")
    assert late.last["errors"] == []
    page.close()
