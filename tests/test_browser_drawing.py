"""Lines and zones drawn on the tuner's canvas, and its export menu, in a real page: a page and a kernel for both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.cells import CELLS as CELLS_FILE
from peoplenet_nb.cells import Cells, CellsWriter
from peoplenet_nb.settings import Settings
from peoplenet_nb.tracks import Scene
from tuner_lab import CHROMIUM, Notebook, Panel, browser, jupyter_lab, kernel_log, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

SHOWN = """import json
from pathlib import Path
from peoplenet_nb.tuner import tune_run
panel = tune_run("run", "video")
def note(_=None):
    row = {"scene": panel.scene.to_dict(), "errors": panel.errors, "settings": panel.settings.to_dict()}
    with Path("log.jsonl").open("a") as out:
        out.write(json.dumps(row) + "\\n")
panel.canvas.observe(note, names="scene")
panel.model.on_change(note)
note()
panel"""


@dataclass
class Shown:
    page: Any
    notebook: Notebook
    panel: Panel
    folder: Path

    @property
    def last(self) -> dict[str, Any]:
        """What Python last held."""
        return kernel_log(self.folder / "log.jsonl")[-1]

    @property
    def nms_iou(self) -> float:
        return Settings.from_dict(self.last["settings"]).nms_iou

    @property
    def scene(self) -> Scene:
        return Scene.from_dict(self.last["scene"])

    def until(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 20
        while not true():
            assert time.monotonic() < end, f"{what}; Python last held {self.last}"
            time.sleep(0.05)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the frame is on the page."""
        self.page.wait_for_function(  # what moves the picture on the page has come to rest
            """() => new Promise((done) => {
              const top = () => document.querySelector('.pnb-alone .pnb-stage').getBoundingClientRect().top;
              const before = top();
              requestAnimationFrame(() => requestAnimationFrame(() => done(top() === before)));
            })"""
        )
        zoom = self.page.evaluate("() => ({...document.querySelector('.pnb-tuner').tunerStats.zoom})")
        box = self.page.locator(".pnb-stage:visible").bounding_box()
        scale = box["width"] * zoom["factor"] / zoom["width"]
        return box["x"] + (x - zoom["x"]) * scale, box["y"] + (y - zoom["y"]) * scale

    def drag(self, *points: tuple[float, float]) -> None:
        places = [self.at(*point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()

    def click(self, *points: tuple[float, float]) -> None:
        for point in points:
            self.page.mouse.click(*self.at(*point))

    def has(self, kind: str, name: str, points: list[tuple[float, float]]) -> bool:
        """Whether Python holds a line or zone with these points, to the pixels that a mouse can tell apart."""
        shape = getattr(self.scene, kind).get(name)
        return (
            shape is not None
            and len(shape.points) == len(points)
            and bool(np.allclose(shape.points, points, atol=3))
        )


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "video").mkdir()
    writer = CellsWriter(folder / "run" / CELLS_FILE)
    for i in range(4):
        writer.add(i, Cells.of(random_grids(i)))
        cv2.imwrite(str(folder / "video" / f"{i:03d}.png"), np.full((720, 1280, 3), 40 * i, np.uint8))
    writer.finish()
    write_notebook(folder / "tuner.ipynb", [SHOWN])
    with jupyter_lab(folder, PEOPLENET_HOME=str(folder / "home")) as lab, browser(1440, 900) as page:
        notebook = Notebook(page, lab, "tuner.ipynb")
        notebook.run_cell(0)
        panel = Panel(page)
        notebook.idle()
        yield Shown(page, notebook, panel, folder)
        assert page.problems == []


def test_lines_and_zones_are_drawn_kept_and_shown_again(shown: Shown) -> None:
    page, panel = shown.page, shown.panel
    panel.toggle("Draw")
    page.locator(".pnb-drawing-bar").wait_for(state="visible")
    panel.top()
    door = [(300.0, 500.0), (500.0, 620.0)]
    shown.drag(door[0], (350, 520), door[1])
    shown.until(lambda: shown.has("lines", "line 1", door), "no line where the mouse drew one")
    page.keyboard.press("f")
    shown.until(lambda: shown.scene.lines["line 1"].swap, "the arrow was not flipped")
    name = page.locator(".pnb-drawing-bar .pnb-text")
    name.fill("door")
    name.press("Enter")
    shown.until(lambda: list(shown.scene.lines) == ["door"], "the line was not renamed")

    # A zone, in a part of the frame that is shown larger.
    for _ in range(2):
        page.keyboard.press("+")
    page.wait_for_function("() => document.querySelector('.pnb-tuner').tunerStats.zoom.factor > 2")
    panel.toggle("Zone")
    hall = [(500.0, 260.0), (800.0, 280.0), (760.0, 450.0)]
    shown.click(*hall)
    assert shown.scene.zones == {}, "it is not closed yet"
    page.keyboard.press("Enter")
    shown.until(lambda: shown.has("zones", "zone 1", hall), "no zone where the mouse clicked one")
    panel.toggle("Move")
    most = page.locator(".pnb-drawing-bar .pnb-number")
    most.fill("7")
    most.press("Enter")
    shown.until(lambda: shown.scene.zones["zone 1"].most == 7, "the limit did not arrive")
    hall[1] = (820.0, 320.0)
    shown.drag((800, 280), (810, 300), hall[1])
    shown.until(lambda: shown.has("zones", "zone 1", hall), "the corner did not move")
    page.keyboard.press("0")
    page.wait_for_function("() => document.querySelector('.pnb-tuner').tunerStats.zoom.factor === 1")

    # With keys alone: from the middle of the frame to the right.
    panel.toggle("Line")
    for key in ("Space", *["ArrowRight"] * 6, "Space"):
        page.keyboard.press(key)
    shown.until(lambda: shown.has("lines", "line 1", [(640, 360), (640 + 6 * 13, 360)]), "keys draw no line")

    # One that cannot be used is said, and put right by undo.
    panel.toggle("Zone")
    shown.click((100, 100), (300, 300), (300, 100), (100, 300))
    page.keyboard.press("Enter")
    strip = page.locator(".pnb-errors", has_text="edges of the zone 'zone 2' cross")
    strip.wait_for(state="visible", timeout=20_000)
    page.keyboard.press("z")
    strip.wait_for(state="detached", timeout=20_000)
    assert len(shown.last["errors"]) == 1
    panel.toggle("Zone")
    shown.click((100, 100), (300, 300))
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    assert page.locator(".pnb-drawing-bar select option").all_inner_texts() == [
        "none selected", "door", "zone 1", "line 1",
    ]  # fmt: skip

    if find_spec("trackers"):
        page.get_by_role("button", name="Count", exact=True).click()
        hint = page.locator(".pnb-hint")
        shown.until(lambda: "zone 1: visits" in hint.inner_text(), "what was counted is not shown")

    page.get_by_role("button", name="Save", exact=True).click()
    kept = shown.folder / "home" / "scene.yaml"
    shown.until(kept.exists, "nothing was saved")
    assert Scene.from_yaml(kept) == shown.scene
    shown.notebook.run_cell(0)  # shown anew, from the file
    shown.panel = Panel(page)
    texts = page.locator(".pnb-drawing-bar select option")
    shown.until(
        lambda: texts.all_inner_texts() == ["none selected", "door", "line 1", "zone 1"],
        "the kept scene is not shown",
    )
    assert shown.last["errors"] == []


def test_the_menu_exports_what_is_on_screen(shown: Shown) -> None:
    page = shown.page
    page.get_by_text("Export these settings for another program").click()
    menu = page.locator(".widget-dropdown", has=page.locator(".widget-label:text-is('for')")).locator(
        "select"
    )
    text = page.locator(".pnb-export")
    menu.select_option(label="isaac")
    text.get_by_text("isaac cannot do what these settings ask for").wait_for(timeout=20_000)
    page.get_by_role("button", name="Take the nearest").click()
    text.get_by_text("params.yaml").wait_for(timeout=20_000)
    menu.select_option(label="deepstream")
    text.get_by_text("[class-attrs-all]").wait_for(timeout=20_000)
    shown.panel.drag("NMS IoU", [0.6, 0.7])
    shown.until(lambda: shown.nms_iou > 0.65, "the move did not arrive")
    chosen = f"nms-iou-threshold={shown.nms_iou:g}"
    text.get_by_text(chosen).wait_for(timeout=20_000)
    write = page.get_by_role("button", name="Write", exact=True)
    write.click()
    written = shown.folder / "home" / "outputs" / "export" / "deepstream" / "labels.txt"
    shown.until(written.exists, "nothing was written")
    config = written.with_name("config_infer_primary_peoplenet.txt")
    assert chosen in config.read_text()
    page.get_by_text("Written to").wait_for(timeout=20_000)
    config.write_text("mine")
    write.click()
    replace = page.get_by_role("button", name="Replace", exact=True)
    replace.wait_for(state="visible", timeout=20_000)
    assert config.read_text() == "mine", "not unasked"
    replace.click()
    shown.until(lambda: chosen in config.read_text(), "it was not replaced")
    assert shown.last["errors"] == []
