"""What is drawn, exported, judged and labelled over a clip, in a real page: one page and one kernel for all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.cells import CELLS as CELLS_FILE
from peoplenet_nb.cells import Cells, CellsWriter
from peoplenet_nb.decoding import decode
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.evaluation import Evaluation, evaluate
from peoplenet_nb.evaluation.clip import FLOOR, Clip
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Labels, align, read_labels
from peoplenet_nb.metrics import match
from peoplenet_nb.settings import ClassSettings, Settings, preset
from peoplenet_nb.tracks import Scene
from peoplenet_nb.tuner import label
from tuner_bare import open_bare
from tuner_lab import CHROMIUM, Notebook, Panel, Watched, browser, jupyter_lab, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow(30),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

FRAMES = 5
CELLS = [
    """import json
from pathlib import Path
from peoplenet_nb.tuner import label, tune_run
panel = tune_run("run", "video", labels="truth.json")
def note(_=None):
    row = {"scene": panel.scene.to_dict(), "settings": panel.settings.to_dict(), "errors": panel.errors}
    with Path("log.jsonl").open("a") as out:
        out.write(json.dumps(row) + "\\n")
panel.canvas.observe(note, names="scene")
panel.model.on_change(note)
note()
panel""",
    """labeller = label("run", "video", "made.json", frames=3, classes=["person", "bag"])
labeller""",
    'Path("errors.json").write_text(json.dumps(labeller.errors))',
]


def grids_of(i: int) -> Grids:
    """Grids with people in two corners whom the default settings just miss."""
    grids = random_grids(i)
    coverage, boxes = grids.coverage.copy(), grids.boxes.copy()
    for row, col in ((3, 3), (31, 57)):
        coverage[0, row, col], boxes[:4, row, col] = 0.12, 0.9
    return Grids(coverage, boxes, grids.fit, grids.labels)


def truth_file(path: Path) -> Path:
    """Most of what can be found, and somebody whom nothing finds, in every frame but one."""
    images, annotations = [], list[dict[str, Any]]()
    for i in range(FRAMES - 1):
        images.append({"id": i, "file_name": f"{i:03d}.png", "width": 1280, "height": 720})
        found = decode(grids_of(i), Settings(default=ClassSettings(threshold=0.3))).detections
        boxes = [(int(c), *box.tolist()) for c, box in zip(found.class_id, found.xyxy, strict=True)][i::2]
        for c, x1, y1, x2, y2 in [*boxes, (0, 3.0, 3.0, 43.0, 103.0)]:
            bbox = [x1, y1, x2 - x1, y2 - y1]
            row = {"id": len(annotations), "image_id": i, "category_id": c, "bbox": bbox, "iscrowd": 0}
            annotations.append(row)
    categories = [{"id": c, "name": name} for c, name in enumerate(("person", "bag", "face"))]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


class Shown(Watched):
    @property
    def scene(self) -> Scene:
        return Scene.from_dict(self.last["scene"])

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

    def evaluated(self) -> Evaluation:
        """What `evaluate` says of the settings that Python holds."""
        labels = align(read_labels(self.folder / "truth.json"), [f"{i:03d}.png" for i in range(FRAMES)])
        pool = Pool.of([grids_of(int(i)) for i in labels.frames], FLOOR)
        clip = Clip("made", False, None, labels, preset("default"), pool, None, "")
        return evaluate(clip, settings=self.settings)

    def rows(self) -> dict[str, list[str]]:
        """The page's table of figures."""
        rows = self.page.locator(".pnb-scores tbody tr").all_inner_texts()
        return {cells[0].strip(): cells[1:] for cells in (row.split("\t") for row in rows)}

    def agrees(self) -> bool:
        """Whether the page's figures are those of `evaluate`."""
        rows = self.rows()
        for name, score in self.evaluated().scores.items():
            expected = [score.precision.value, score.recall.value, score.f1.value]
            if rows[name][:3] != ["–" if np.isnan(v) else f"{v:.3f}" for v in expected]:
                return False
        return True

    def signs(self) -> list[str]:
        """What is right, false and missed in the first frame."""
        labels, found = (
            read_labels(self.folder / "truth.json"),
            decode(grids_of(0), self.settings).detections,
        )
        counts = np.zeros(3, int)
        for name in labels.judged:
            truth, mine = labels.truth(name)["000.png"], found.of_class(name)
            matched = match(mine.xyxy, mine.confidence, truth)
            right = int((matched >= 0).sum())
            counts += [right, int((matched == -1).sum()), len(truth) - right]
        return [f"{n} {what}" for n, what in zip(counts.tolist(), ("right", "false", "missed"), strict=True)]

    def label_in(self, before: int) -> None:
        """Take one cell's output away and show the labelling."""
        self.notebook.clear_cell(before)
        self.page.wait_for_function("() => !document.querySelector('.pnb-tuner')")
        self.notebook.run_cell(1)
        self.panel = Panel(self.page)

    def records(self) -> list[dict[str, Any]]:
        """What the page holds."""
        return list(
            self.page.evaluate("() => document.querySelector('.pnb-labelling').tunerStats.work().records")
        )

    def position(self) -> int:
        return int(
            self.page.evaluate("() => document.querySelector('.pnb-labelling').tunerStats.work().position")
        )

    def saved(self) -> Labels:
        """What is on disk once the page says that it is all there."""
        self.until(
            lambda: "Saved in" in self.page.inner_text(".pnb-saved"), "the page does not say that it is saved"
        )
        return read_labels(self.folder / "made.json")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "video").mkdir()
    writer = CellsWriter(folder / "run" / CELLS_FILE)
    for i in range(FRAMES):
        writer.add(i, Cells.of(grids_of(i)))
        cv2.imwrite(str(folder / "video" / f"{i:03d}.png"), np.full((720, 1280, 3), 40 + 15 * i, np.uint8))
    writer.finish()
    truth_file(folder / "truth.json")
    write_notebook(folder / "labels.ipynb", CELLS)
    with jupyter_lab(folder, PEOPLENET_HOME=str(folder / "home")) as lab, browser(1440, 1000) as page:
        notebook = Notebook(page, lab, "labels.ipynb")
        notebook.run_cell(0)
        panel = Panel(page)
        notebook.idle()
        yield Shown(page, notebook, panel, folder, lab)


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
    shown.until(lambda: shown.settings.nms_iou > 0.65, "the move did not arrive")
    chosen = f"nms-iou-threshold={shown.settings.nms_iou:g}"
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


def test_figures_follow_the_sliders_and_the_best_threshold_is_marked(shown: Shown) -> None:
    page, panel = shown.page, shown.panel
    shown.until(shown.agrees, "the page's figures are not those of evaluate")
    before = shown.rows()["person"]
    panel.drag("person", [0.4, 0.6, 0.85])
    shown.until(
        lambda: abs(shown.settings.for_class("person").threshold - 0.85) < 0.02,
        "the threshold did not arrive",
    )
    shown.until(shown.agrees, "the figures did not follow")
    assert shown.rows()["person"] != before
    panel.drag("NMS IoU", [0.5, 0.3, 0.2])
    shown.until(lambda: shown.settings.nms_iou < 0.25, "the move did not arrive")
    shown.until(shown.agrees, "the figures did not follow NMS")
    best = shown.evaluated().scores["person"].curve.best()
    mark = panel.row("person").locator("xpath=..").locator(".pnb-best")
    shown.until(lambda: f"{best[0]:.3f}" in mark.inner_text(), "no mark where F1 is best")
    page.get_by_role("button", name="Set the person threshold that gives the best F1").click()
    wanted = int(best[1] * 1000) / 1000
    shown.until(lambda: shown.settings.for_class("person").threshold == wanted, "the best was not taken over")
    shown.until(shown.agrees, "the figures are not the best")
    assert float(panel.readout("person")) == wanted
    shown.until(lambda: page.inner_text(".pnb-signs").split("\n") == shown.signs(), "the signs are others")
    page.locator(".pnb-tuner").focus()
    page.keyboard.press("End")
    shown.until(lambda: "pnb-off" in page.locator(".pnb-signs").get_attribute("class"), "no labels there")
    assert shown.last["errors"] == []


def test_frames_are_labelled_with_pointer_and_keys_and_are_on_disk(shown: Shown) -> None:
    page = shown.page
    shown.label_in(0)
    first = shown.records()
    doubt = next(one for one in first[0]["boxes"] if not one["sure"])
    clear = free_spot(first[0]["boxes"])
    # One in doubt is accepted by a click, another box drawn, its corner dragged, and its class chosen.
    x1, y1, x2, y2 = doubt["box"]
    page.mouse.click(*shown.at((x1 + x2) / 2, (y1 + y2) / 2))
    shown.until(
        lambda: sum(one["sure"] for one in shown.records()[0]["boxes"]) > sure_in(first[0]), "not accepted"
    )
    shown.drag(clear, (clear[0] + 20, clear[1] + 20), (clear[0] + 60, clear[1] + 90))
    shown.until(lambda: len(shown.records()[0]["boxes"]) == len(first[0]["boxes"]) + 1, "nothing was drawn")
    shown.drag(
        (clear[0] + 60, clear[1] + 90), (clear[0] + 70, clear[1] + 100), (clear[0] + 80, clear[1] + 110)
    )
    target = [*clear, clear[0] + 80, clear[1] + 110]
    shown.until(lambda: np.allclose(shown.records()[0]["boxes"][-1]["box"], target, atol=4), "not resized")
    page.keyboard.press("2")
    shown.until(lambda: shown.records()[0]["boxes"][-1]["c"] == 1, "its class did not change")
    page.keyboard.press("Enter")
    shown.until(lambda: shown.position() == 1, "Enter does not go on")
    # In the next frame one is deleted, brought back, and deleted again.
    many = len(shown.records()[1]["boxes"])
    x1, y1, x2, y2 = next(one for one in first[1]["boxes"] if one["sure"])["box"]
    page.mouse.move(*shown.at((x1 + x2) / 2, (y1 + y2) / 2))
    for key, expected in (("d", many - 1), ("z", many), ("y", many - 1)):
        page.keyboard.press(key)
        shown.until(lambda n=expected: len(shown.records()[1]["boxes"]) == n, f"{key} did nothing")
    page.keyboard.press("Enter")
    shown.until(lambda: shown.position() == 2, "Enter does not go on")
    shown.until(lambda: len(shown.saved().frames) == 2, "the file has not both frames")
    labels = shown.saved()
    assert labels.judged == ("person", "bag")
    for place, made in enumerate(shown.records()[:2]):
        boxes = labels.xyxy[labels.frame == place]
        np.testing.assert_allclose(boxes, [one["box"] for one in made["boxes"]], atol=0.11)
        assert all(one["sure"] for one in made["boxes"])
    assert any(np.allclose(box, target, atol=4) for box in labels.xyxy[labels.class_id == 1])


def sure_in(record: dict[str, Any]) -> int:
    return sum(one["sure"] for one in record["boxes"])


def free_spot(boxes: list[dict[str, Any]]) -> tuple[float, float]:
    """A corner from which 110 pixels of the frame are free."""
    for x in range(20, 1150, 10):
        for y in range(20, 590, 10):
            if all(
                x + 130 < one["box"][0]
                or one["box"][2] + 20 < x
                or y + 130 < one["box"][1]
                or one["box"][3] + 20 < y
                for one in boxes
            ):
                return float(x), float(y)
    raise AssertionError("the frame is full")


def test_tomorrow_it_goes_on_from_there(shown: Shown) -> None:
    before = shown.records()
    shown.label_in(1)
    assert [record["done"] for record in shown.records()] == [True, True, False]
    assert shown.position() == 2, "the first that is not done is shown"
    for one, other in zip(shown.records(), before, strict=True):
        np.testing.assert_allclose(
            [a["box"] for a in one["boxes"]], [b["box"] for b in other["boxes"]], atol=0.11
        )
    shown.page.locator(".pnb-labelling").focus()
    shown.page.keyboard.press("Enter")
    shown.until(lambda: len(shown.saved().frames) == 3, "the last frame is not on disk")
    assert "3 of 3 frames done" in shown.page.inner_text(".pnb-saved")
    shown.notebook.run_cell(2)
    shown.until((shown.folder / "errors.json").exists, "the kernel does not answer")
    shown.notebook.idle()
    assert json.loads((shown.folder / "errors.json").read_text()) == []
    assert shown.page.problems == []


def test_a_key_held_down_finishes_one_frame_and_what_is_not_saved_keeps_the_page(shown: Shown) -> None:
    page = shown.page.context.new_page()
    panel = label(shown.folder / "run", shown.folder / "video", shown.folder / "bare.json", frames=3)
    open_bare(page, panel.canvas)

    def asks() -> bool:
        """Whether the browser asks before it leaves the page."""
        return not page.evaluate(
            "() => window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
        )

    assert not asks()
    page.locator(".pnb-labelling").focus()
    for _ in range(3):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    assert page.evaluate("() => document.querySelector('.pnb-labelling').tunerStats.work().done") == 1
    assert asks()
    page.evaluate("() => window.pnbModel.set('saved', 1)")
    assert not asks()
    panel.close()
    page.close()
