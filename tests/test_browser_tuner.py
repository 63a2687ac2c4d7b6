"""The tuner in a real page: JupyterLab in headless Chromium, a real kernel, real pointer and key events.

All tests share one JupyterLab, one page and one kernel, and go on from where the one before ended.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import make_grids, random_grids, stored, walking
from peoplenet_nb.cells import CELLS as CELLS_FILE
from peoplenet_nb.cells import Cells, CellsWriter, open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.tuner import TunerModel
from peoplenet_nb.tuner.make import Clip
from tuner_lab import CHROMIUM, Notebook, Panel, Watched, browser, jupyter_lab, kernel_log, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow(40),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

FRAMES = 12

IMPORTS = """import json, os, time
from pathlib import Path
from peoplenet_nb.grids import Grids
from peoplenet_nb.tuner import tune, tune_run
def watched(panel, name):
    def note():
        row = {"settings": panel.settings.to_dict(), "frame": panel.model.index,
               "errors": panel.errors, "a": panel.model.a is not None, "undo": panel.model._at}
        with Path(name).open("a") as out:
            out.write(json.dumps(row) + "\\n")
    panel.model.on_change(note)
    note()
    return panel
Path("pid").write_text(str(os.getpid()))
"""
CELLS = [
    IMPORTS + 'watched(tune_run("run", "video"), "log.jsonl")',
    "Path('asleep').touch()\nend = time.time() + 60\n"
    "while not Path('wake').exists() and time.time() < end: time.sleep(0.02)",
    'watched(tune(None, Grids.load("single.npz"), dead=["bag"]), "single.jsonl")',
    'watched(tune_run("keys"), "keys.jsonl")',
]
FALLBACK = IMPORTS.replace('"pid"', '"fallback.pid"') + (
    'watched(tune_run("run", "video", fallback=True), "fallback.jsonl")'
)


# A page with much to show puts the panel in its place long after it was made.
SLOW = """(() => {
  const { get } = Object.getOwnPropertyDescriptor(Node.prototype, 'isConnected');
  Object.defineProperty(Node.prototype, 'isConnected', { configurable: true, get() {
    if (!this.classList?.contains('pnb-tuner')) return get.call(this);
    this.made ??= performance.now();
    return performance.now() - this.made > 400 && get.call(this);
  } });
})()"""


class Page(Watched):
    @property
    def person(self) -> float:
        return self.settings.for_class("person").threshold

    def check_boxes(self, case: str) -> None:
        """The page's final boxes are Python's, for the settings and the frame that Python holds."""
        expected = decode(random_grids(self.last["frame"], objects=20), self.settings).detections
        found = self.panel.detections()
        assert found["class_id"] == expected.class_id.tolist(), case
        np.testing.assert_allclose(np.reshape(found["xyxy"], (-1, 4)), expected.xyxy, atol=1e-3, err_msg=case)
        np.testing.assert_allclose(found["confidence"], expected.confidence, rtol=1e-6, err_msg=case)

    def agrees(self) -> bool:
        try:
            self.check_boxes("")
        except AssertionError:
            return False
        return True

    def choose(self, menu: str, choice: str) -> None:
        self.panel.row(menu).locator("select").select_option(label=choice)

    def stage(self) -> dict[str, float]:
        self.panel.settled()
        return dict(self.page.locator(".pnb-stage:visible").bounding_box())

    def click(self, across: float, down: float) -> None:
        box = self.stage()
        self.page.mouse.click(box["x"] + box["width"] * across, box["y"] + box["height"] * down)

    def in_view(self, part: Any, height: int) -> bool:
        """Whether all of an element is seen in a window of some height."""
        box = (self.page.locator(part) if isinstance(part, str) else part).bounding_box()
        return bool(box["y"] >= 0 and box["y"] + box["height"] <= height)

    def show(self, cell: int, log: str, instead: int) -> None:
        """Show another cell's panel instead of the one that is shown."""
        self.notebook.clear_cell(instead)
        self.page.wait_for_selector(".pnb-tuner", state="detached")
        self.notebook.run_cell(cell)
        self.panel = Panel(self.page)
        self.log = log

    def answer(self) -> str:
        return str(self.page.locator(".pnb-answer").first.inner_text())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "video").mkdir()
    writer = CellsWriter(folder / "run" / CELLS_FILE)
    for i in range(FRAMES):
        writer.add(i, Cells.of(random_grids(i, objects=20)))
        cv2.imwrite(str(folder / "video" / f"{i:03d}.png"), np.full((720, 1280, 3), 15 * i, np.uint8))
    writer.finish()
    stored(folder / "keys", walking(2, 4), [0, 3, 6, 9], "1001", [i / 10 for i in range(10)])
    make_grids({(0, 17, 30): (0.0325, (1, 2, 1, 2))}).save(folder / "single.npz")
    write_notebook(folder / "tuner.ipynb", CELLS)
    home = str(folder / "home")
    with jupyter_lab(folder, PEOPLENET_HOME=home) as lab, browser(1440, 900) as page:
        notebook = Notebook(page, lab, "tuner.ipynb")
        notebook.run_cell(0)
        panel = Panel(page)
        notebook.idle()
        yield Page(page, notebook, panel, folder, lab)


def test_the_page_decodes_as_python_whatever_the_preset(shown: Page) -> None:
    shown.check_boxes("at the start")
    assert "6120 cells" in shown.panel.summary()
    for name in ("deepstream", "tao", "default"):
        shown.choose("preset", name)
        shown.until(lambda name=name: shown.settings.preset == name, "the preset did not arrive")
        shown.until(shown.agrees, f"the page does not show {name}")


def test_a_dragged_slider_moves_boxes_and_python_learns_of_it(shown: Page) -> None:
    for end in (0.62, 0.42, 0.72):
        before = shown.panel.stats()["paints"]
        shown.panel.drag("person", [0.3, 0.35, 0.5, end])
        assert shown.panel.stats()["paints"] >= before + 4, "every move was drawn"
        shown.until(lambda end=end: abs(shown.person - end) < 0.011, "the threshold did not arrive")
    shown.check_boxes("after a drag")


def test_one_slow_drag_is_one_step_of_undo(shown: Page) -> None:
    before = shown.last
    shown.panel.drag("NMS IoU", [0.6, 0.7, 0.8], pause=0.25)
    shown.until(lambda: shown.settings.nms_iou > 0.75, "the move did not arrive")
    assert shown.last["undo"] == before["undo"] + 1
    shown.page.locator(".pnb-tuner").focus()
    shown.page.keyboard.press("z")
    shown.until(lambda: shown.last["settings"] == before["settings"], "one undo does not go back")
    shown.until(shown.agrees, "the page did not follow undo")


@pytest.mark.parametrize(
    ("choice", "idle"),
    [
        ("DBSCAN", {"NMS IoU"}),
        ("hybrid", {"score"}),
        ("NMS", {"eps", "min samples", "DBSCAN of", "score"}),
    ],
)
def test_every_way_to_cluster_disables_what_does_nothing(shown: Page, choice: str, idle: set[str]) -> None:
    shown.choose("clustering", choice)
    shown.until(lambda: shown.settings.clustering == choice.lower(), f"{choice} did not arrive")
    shown.until(shown.agrees, choice)
    names = ("NMS IoU", "eps", "min samples", "DBSCAN of", "score", "top k", "person")
    off = lambda: {n for n in names if shown.panel.row(n).locator(":disabled, [disabled]").count()}  # noqa: E731
    shown.until(lambda: off() == idle, "other controls are disabled")


def test_keys_step_and_the_button_plays(shown: Page) -> None:
    page = shown.page
    page.locator(".pnb-tuner").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    shown.until(lambda: shown.last["frame"] == 2, "the frame did not arrive")
    shown.until(shown.agrees, "the boxes are not those of frame 2")
    shown.panel.toggle("One frame on (key →)")
    shown.until(lambda: shown.last["frame"] == 3, "the button does not step")
    page.locator(".pnb-transport select").select_option(label="4×")
    shown.panel.toggle("▶ Play")
    shown.until(lambda: shown.last["frame"] > 5, "it does not play")
    page.keyboard.press("Space")
    button = page.locator(".pnb-transport button").first
    shown.until(lambda: button.inner_text() == "▶ Play", "it does not stop")
    page.keyboard.press("Home")
    shown.until(lambda: shown.last["frame"] == 0, "Home did not arrive")
    heat = page.locator(".pnb-heat").last
    page.keyboard.press("h")
    heat.wait_for(state="visible", timeout=20_000)
    assert page.locator(".pnb-legend").inner_text().split()[:3] == ["Coverage", "of", "person"]
    page.keyboard.press("h")
    heat.wait_for(state="hidden", timeout=20_000)
    assert page.locator(".jp-Notebook .jp-Cell").count() == len(CELLS), "no key reached the notebook"


def test_a_and_b_stand_side_by_side(shown: Page) -> None:
    shown.choose("preset", "default")
    shown.until(lambda: shown.settings.preset == "default", "the preset did not arrive")
    shown.until(shown.agrees, "what is kept as A is what the page shows, and it has not the preset yet")
    figures = shown.page.locator(".pnb-figure:visible")
    shown.panel.toggle("A/B")
    try:
        shown.panel.drag("person", [0.5, 0.9])
        shown.until(lambda: shown.last["a"] and shown.settings.preset == "custom", "A did not arrive")
        assert figures.count() == 2
        # The page counts after the drag, in its own time.
        text = lambda: shown.page.inner_text(".pnb-summary >> nth=1")  # noqa: E731
        shown.until(lambda: re.match(r"Boxes in A only: [1-9]", text()), "a higher threshold loses boxes")
    finally:
        shown.panel.toggle("A/B")  # later tests look at one picture
        shown.until(lambda: figures.count() == 1, "A is still there")


def best_cell() -> tuple[int, int]:
    row, col = np.unravel_index(np.argmax(random_grids(0, objects=20).coverage[0]), (34, 60))
    return int(row), int(col)


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768)])
def test_the_answer_to_a_click_is_in_view_and_brings_the_box_back(
    shown: Page, width: int, height: int
) -> None:
    shown.page.set_viewport_size({"width": width, "height": height})
    shown.panel.drag("person", [0.99, 1.05])
    shown.until(lambda: shown.person == 1, "the move did not arrive")
    shown.panel.top()
    row, col = best_cell()
    shown.click((col + 0.5) / 60, (row + 0.5) / 34)
    assert "below the threshold 1 of person" in shown.answer()
    clip = shown.page.locator(".pnb-answer").nth(1)
    shown.until(lambda: "whole clip it would add" in clip.inner_text(), "the clip was not counted")
    for part in (".pnb-stage:visible", ".pnb-inspector .pnb-pane >> nth=0"):
        shown.until(lambda part=part: shown.in_view(part, height), f"{part} is not in view")
    button = shown.page.get_by_role("button", name="Set the person threshold")
    wanted = button.inner_text().split()[-1]
    button.click()
    shown.until(lambda: shown.person < 1, "the rescue did not arrive")
    assert float(shown.panel.readout("person")) == float(wanted) == shown.person
    shown.check_boxes("after the rescue")
    shown.until(lambda: "final boxes" in shown.answer() or "part of" in shown.answer(), "the answer is stale")


def test_at_800_pixels_sliders_and_picture_are_seen_together(shown: Page) -> None:
    shown.page.set_viewport_size({"width": 800, "height": 700})
    shown.panel.top()
    shown.page.wait_for_function("() => document.querySelector('.pnb-alone .pnb-stage').clientWidth < 600")
    shown.panel.settled()
    shown.panel.top()
    for name in ("person", "bag", "face"):
        shown.until(lambda name=name: shown.in_view(shown.panel.row(name), 700), f"{name} is not in view")
    assert shown.stage()["width"] > 300
    shown.page.set_viewport_size({"width": 1440, "height": 900})
    shown.page.wait_for_function("() => document.querySelector('.pnb-alone .pnb-stage').clientWidth > 600")
    shown.panel.top()


def test_wheel_double_click_drag_and_pinch_zoom_into_the_frame(shown: Page) -> None:
    page, mouse = shown.page, shown.page.mouse
    shown.panel.top()

    def zoom() -> dict[str, float]:
        text = "() => ({...document.querySelector('.pnb-tuner').tunerStats.zoom})"
        return dict(page.evaluate(text))

    box, (row, col) = shown.stage(), best_cell()
    x, y = box["x"] + box["width"] * (col + 0.5) / 60, box["y"] + box["height"] * (row + 0.5) / 34
    page.wait_for_timeout(400)  # a wheel that still scrolls the page does not zoom
    mouse.move(x, y)
    mouse.wheel(0, -300)
    shown.until(lambda: zoom()["factor"] > 1.5, "the wheel does not zoom")
    mouse.click(x, y)
    assert f"Row {row}, column {col}" in page.inner_text(".pnb-pane-title >> nth=1"), (
        "not what is under the pointer"
    )
    before, asked = zoom(), page.inner_text(".pnb-pane-title >> nth=0")
    mouse.move(x + 90, y + 70)
    mouse.down()
    mouse.move(x + 110, y + 80)
    mouse.move(x + 150, y + 100)
    mouse.up()
    after = zoom()
    assert page.inner_text(".pnb-pane-title >> nth=0") == asked, "a drag asks nothing"
    assert (after["x"], after["y"]) != (before["x"], before["y"]), "a drag does not move the frame"
    shown.until(shown.agrees, "the boxes are still the frame's")
    mouse.dblclick(x, y)
    shown.until(lambda: zoom()["factor"] == 1, "a double click does not go back")
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", 0)):
        points = [{"x": x + side * apart, "y": y, "id": i} for i, side in enumerate((-1, 1)) if apart]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    touch.detach()
    shown.until(lambda: zoom()["factor"] > 2, "a pinch does not zoom")
    page.get_by_role("button", name="whole frame").click()
    shown.until(lambda: zoom()["factor"] == 1, "the button does not go back")


def test_the_slider_moves_boxes_while_the_kernel_is_busy(shown: Page) -> None:
    shown.notebook.run_cell(1)
    shown.until((shown.folder / "asleep").exists, "the kernel did not begin")
    shown.panel.top()
    before, count = shown.panel.summary(), shown.panel.stats()["paints"]
    shown.panel.drag("person", [0.2, 0.1, 0.05])
    assert shown.panel.stats()["paints"] >= count + 3
    shown.until(lambda: shown.panel.summary() != before, "the boxes did not follow")
    (shown.folder / "wake").touch()
    shown.until(lambda: shown.person < 0.06, "the state was lost")


def test_the_slider_moves_boxes_while_the_kernel_is_frozen(shown: Page) -> None:
    """A kernel that sleeps in a cell may still serve widgets from another thread; a stopped one cannot."""
    kernel = int((shown.folder / "pid").read_text())
    os.kill(kernel, signal.SIGSTOP)
    try:
        before = shown.panel.summary()
        shown.panel.drag("person", [0.2, 0.5, 0.8])
        shown.until(lambda: shown.panel.summary() != before, "the boxes did not follow")
        held = shown.person
    finally:
        os.kill(kernel, signal.SIGCONT)
    assert held < 0.1, "Python could not know"
    shown.until(lambda: abs(shown.person - 0.8) < 0.02, "the state was lost")


def test_many_moves_leave_nothing_behind(shown: Page) -> None:
    def measured() -> tuple[float, float]:
        session = shown.page.context.new_cdp_session(shown.page)
        session.send("Performance.enable")
        session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        session.detach()
        return metrics["JSHeapUsedSize"], metrics["Nodes"]

    back_and_forth = [0.2 if i % 2 else 0.5 for i in range(60)]
    shown.panel.drag("person", back_and_forth[:20])
    shown.notebook.idle()
    heap, nodes = measured()
    shown.panel.drag("person", back_and_forth)

    def nothing_left() -> bool:  # once all is dealt with, whenever that is
        heap_after, nodes_after = measured()
        return nodes_after - nodes <= 20 and heap_after - heap < 2_000_000

    shown.until(nothing_left, "something is left behind")


def test_a_reloaded_page_goes_on_where_it_was(shown: Page) -> None:
    shown.page.locator(".pnb-tuner").focus()
    shown.page.keyboard.press("End")
    shown.until(lambda: shown.last["frame"] == FRAMES - 1, "the frame did not arrive")
    shown.notebook.save()
    settings, states = shown.settings, len(kernel_log(shown.folder / shown.log))
    shown.page.add_init_script(SLOW)
    shown.page.reload(wait_until="domcontentloaded")
    shown.notebook.ready()
    shown.panel = Panel(shown.page)
    shown.until(shown.agrees, "the page does not show what Python holds")
    shown.panel.drag("person", [0.6, 0.63])
    shown.until(lambda: abs(shown.person - 0.63) < 0.02, "the move did not arrive")
    assert shown.last["frame"] == FRAMES - 1
    assert shown.settings.replace(classes={}) == settings.replace(classes={}, preset=shown.settings.preset)
    assert len(kernel_log(shown.folder / shown.log)) <= states + 4


def test_nothing_went_wrong_on_the_way(shown: Page) -> None:
    """After the others on purpose: what all tests above left in the console and in ``panel.errors``."""
    assert shown.page.problems == []
    assert shown.last["errors"] == []
    assert not shown.page.locator(".pnb-trouble, .pnb-gone").locator("visible=true").count()


def test_an_error_in_the_page_is_shown_until_it_works_again(shown: Page) -> None:
    probe = "(f) => { document.querySelector('.pnb-tuner').tunerStats.onpaint = f && (() => { throw new Error(f); }); }"
    shown.page.evaluate(probe, "a probe")
    shown.panel.drag("NMS IoU", [0.4, 0.6])
    trouble = shown.page.locator(".pnb-trouble")
    shown.until(lambda: "a probe" in trouble.inner_text(), "the error is not shown")
    shown.until(lambda: any("a probe" in e for e in shown.last["errors"]), "the error did not arrive")
    shown.page.evaluate(probe, None)
    shown.panel.drag("NMS IoU", [0.5, 0.55])
    trouble.wait_for(state="hidden")


def test_between_key_frames_boxes_are_interpolated_with_what_is_chosen(shown: Page) -> None:
    shown.show(3, "keys.jsonl", instead=0)
    panel = shown.panel
    clip = Clip(open_grids(shown.folder / "keys"), 100)
    panel.drag("person", [0.3, 0.35])
    panel.drag("bag", [0.4, 0.35])
    shown.page.locator(".pnb-tuner").focus()
    for position in range(1, 6):
        shown.page.keyboard.press("ArrowRight")
        shown.until(lambda position=position: shown.last["frame"] == position, "the frame did not arrive")
        model = TunerModel(clip, shown.settings, clip.between)
        model.go(position)
        expected, found = model.decoded.detections, panel.detections()
        assert found["class_id"] == expected.class_id.tolist()
        np.testing.assert_allclose(np.reshape(found["xyxy"], (-1, 4)), expected.xyxy, atol=1e-3)
        summary = panel.summary()
        assert ("6120 cells" in summary) if position == 3 else summary == model.decoded.note
    shown.click(0.5, 0.5)
    assert "did not see this frame. Interpolated between frames 3 and 6." in shown.answer()
    assert shown.last["errors"] == []


def test_on_a_single_frame_the_answer_follows_what_is_chosen(shown: Page) -> None:
    shown.show(2, "single.jsonl", instead=3)
    shown.click(30.5 / 60, 17.5 / 34)
    assert "coverage 0.032" in shown.page.inner_text(".pnb-pane-title >> nth=0")
    shown.page.get_by_role("button", name="Set the person threshold to 0.032").click()
    shown.until(lambda: "final boxes" in shown.answer(), "stale after its own button")
    assert shown.panel.readout("person") == "0.032"
    shown.until(lambda: shown.person == 0.032, "Python has another value")
    shown.choose("preset", "deepstream")
    shown.until(lambda: "below the threshold" in shown.answer(), "stale after a preset")
    assert not shown.page.locator(".pnb-transport").count(), "a frame has nothing to play"
    assert "The bag head of this model is dead" in shown.page.inner_text(".pnb-warning")


def test_without_the_canvas_front_end_the_kernel_draws(shown: Page) -> None:
    """The front end of anywidget is kept from loading; the sliders move a picture of the kernel's."""
    page = shown.page.context.new_page()
    page.route("**/extensions/anywidget/**", lambda route: route.abort())
    write_notebook(shown.folder / "fallback.ipynb", [FALLBACK])
    Notebook(page, shown.lab, "fallback.ipynb").run_cell(0)
    page.wait_for_selector(".pnb-row .noUi-handle", timeout=60_000)
    page.locator(".jp-OutputArea img").first.wait_for(state="visible", timeout=20_000)
    Panel.without_canvas(page).drag("person", [0.3, 0.7])
    log = shown.folder / "fallback.jsonl"
    shown.until(
        lambda: abs(kernel_log(log)[-1]["settings"]["classes"]["person"]["threshold"] - 0.7) < 0.02,
        "the slider did not reach the kernel",
    )
    assert kernel_log(log)[-1]["errors"] == []
    page.close()


@pytest.mark.parametrize("how", ["restarted", "killed"])
def test_a_panel_whose_kernel_is_gone_says_so(shown: Page, how: str) -> None:
    gone = shown.page.locator(".pnb-gone").last
    if how == "killed":
        shown.show(0, "log.jsonl", instead=2)
    assert not gone.is_visible()
    if how == "killed":
        os.kill(int((shown.folder / "pid").read_text()), signal.SIGKILL)
    else:
        shown.notebook.restart_kernel()
    gone.wait_for(state="visible", timeout=20_000)
    assert re.search(r"kernel.*is gone.*Run the cell again", gone.inner_text())
    assert gone.bounding_box()["height"] < 40, "one line"
    if how == "restarted":  # else a dialog of JupyterLab's stands before it
        before = shown.panel.summary()
        shown.panel.drag("person", [0.9, 0.01])
        shown.until(lambda: shown.panel.summary() != before, "the sliders do not move boxes any more")
