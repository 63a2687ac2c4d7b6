"""Lines and zones in the tuner: what the hand draws (in Node), the scene that Python keeps, and its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import make_grids, random_grids, stored
from javascript import needs_node
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.settings import preset
from peoplenet_nb.tracks import Line, Scene, Zone
from peoplenet_nb.tracks.scene import turn
from peoplenet_nb.tuner import Tuner, TunerModel, tune, tune_run
from peoplenet_nb.tuner.drawing import Drawing, in_words
from peoplenet_nb.tuner.wire import numbers_of
from videos import make_video

Run = Callable[[list[dict[str, Any]]], list[Any]]
REACH = 9
SQUARE = [(100, 100), (300, 100), (300, 250), (100, 250)]


def at(x: float, y: float) -> dict[str, float]:
    return {"x": x, "y": y}


def drawn(node: Run, *steps: list[Any]) -> list[Any]:
    return list(node([{"call": "scene", "size": [640, 360], "steps": list(steps)}])[0])


def click(x: float, y: float) -> list[list[Any]]:
    return [["press", at(x, y), REACH], ["release", at(x, y), REACH]]


def drag(*points: tuple[float, float]) -> list[list[Any]]:
    first, *between, last = points
    moves = [["move", at(*point)] for point in between]
    return [["press", at(*first), REACH], *moves, ["release", at(*last), REACH]]


def clicks(points: list[tuple[float, float]]) -> list[list[Any]]:
    return [step for point in points for step in click(*point)]


# -- the hand


@needs_node
def test_a_line_is_pressed_dragged_and_let_go(node: Run) -> None:
    pressed, moved, done = drawn(node, *drag((10.4, -20), (50, 60), (100.6, 700)))
    assert pressed["draft"]["points"] == [[10, 0], [10, 0]]
    assert moved["draft"]["points"] == [[10, 0], [50, 60]]
    assert moved["sent"] == 0, "Python learns of what is finished"
    assert done["lines"] == {"line 1": {"points": [[10, 0], [101, 360]]}}, "whole pixels, within the frame"
    assert (done["draft"], done["selected"], done["sent"]) == (None, 0, 1)


@needs_node
def test_a_line_without_a_length_is_none(node: Run) -> None:
    done = drawn(node, *click(50, 50))[-1]
    assert (done["lines"], done["draft"], done["sent"]) == ({}, None, 0)
    assert "has a length" in done["hint"]


@needs_node
@pytest.mark.parametrize(
    "end",
    [
        pytest.param(click(104, 97), id="on the first corner"),
        pytest.param(click(101, 249), id="double click: on the last corner"),
        pytest.param([["finish"]], id="Enter"),
    ],
)
def test_a_zone_is_clicked_and_closed(node: Run, end: list[list[Any]]) -> None:
    steps = [["choose", "zone"], *clicks(SQUARE), *end]
    *_, before, done = drawn(node, *steps[: len(steps) - len(end)], *end)[-1 - len(end) :]
    assert before["zones"] == {} or end[0][0] == "press"
    assert done["zones"] == {"zone 1": {"points": [list(corner) for corner in SQUARE]}}
    assert (done["draft"], done["sent"]) == (None, 1)


@needs_node
def test_a_zone_of_two_corners_does_not_close(node: Run) -> None:
    steps = [["choose", "zone"], *clicks(SQUARE[:2]), *click(*SQUARE[1]), *click(*SQUARE[0]), ["finish"]]
    *_, twice, _, on_first, enter = drawn(node, *steps)
    assert len(twice["draft"]["points"]) == 2, "a double click adds no corner"
    assert on_first["zones"] == enter["zones"] == {}
    short = drawn(node, ["choose", "zone"], *clicks(SQUARE[:2]), ["finish"])[-1]
    assert short["zones"] == {}
    assert "three corners" in short["hint"]


@needs_node
def test_escape_abandons_and_undo_takes_back(node: Run) -> None:
    steps: list[list[Any]] = [
        *drag((10, 10), (200, 10)),
        ["choose", "zone"],
        *clicks(SQUARE[:3]),
        ["undo"],
        ["abandon"],
        ["undo"],
    ]
    *_, corner, abandoned, empty = drawn(node, *steps)
    assert len(corner["draft"]["points"]) == 2
    assert (abandoned["draft"], abandoned["answer"]) == (None, True)
    assert list(abandoned["lines"]) == ["line 1"], "what was there before stays"
    assert (empty["lines"], empty["sent"]) == ({}, 2)


@needs_node
def test_points_and_shapes_are_moved_within_the_frame(node: Run) -> None:
    line: dict[str, Any] = {"lines": {"door": {"points": [[100, 100], [300, 100]], "swap": True}}}
    move: list[Any] = ["choose", "move"]
    point = drawn(node, ["load", line], move, *drag((102, 101), (110, 160), (120, 180)))[-1]
    assert point["lines"]["door"] == {"points": [[118, 179], [300, 100]], "swap": True}
    whole = drawn(node, ["load", line], move, *drag((200, 104), (100, 100), (-900, 154)))[-1]
    assert whole["lines"]["door"]["points"] == [[0, 150], [200, 150]], "it keeps its length at the edge"
    assert whole["sent"] == 1, "one drag, one step of undo"
    held = drawn(node, ["load", line], move, ["press", at(102, 101), REACH], ["move", at(9, 9)], ["abandon"])[
        -1
    ]
    assert held["lines"]["door"]["points"][0] == [100, 100], "Escape puts it back"
    beside = drawn(node, ["load", line], move, ["press", at(200, 200), REACH])[-1]
    assert beside["answer"] is False, "a drag beside all shapes moves the picture"
    still = drawn(node, ["load", line], move, *click(100, 100))[-1]
    assert (still["selected"], still["sent"]) == (0, 0), "a click only selects"


@needs_node
def test_shapes_are_renamed_flipped_and_deleted(node: Run) -> None:
    line: list[Any] = [
        "load",
        {"lines": {"door": {"points": [[0, 0], [9, 9]]}}, "zones": {"hall": {"points": SQUARE, "most": 4}}},
    ]
    steps: list[list[Any]] = [line, ["select", 0], ["rename", " gate "], ["flip"], ["flip"], ["select", 1]]
    steps += [["rename", "gate"], ["rename", " "], ["flip"], ["remove"], ["undo"]]
    _, _, renamed, flipped, back, _, taken, empty, no_line, removed, undone = drawn(node, *steps)
    assert renamed["lines"] == {"gate": {"points": [[0, 0], [9, 9]]}}
    assert flipped["lines"]["gate"]["swap"] is True
    assert back["lines"] == renamed["lines"]
    assert "“gate” already" in taken["hint"]
    assert "has a name" in empty["hint"]
    assert taken["zones"] == no_line["zones"] == {"hall": {"points": [list(c) for c in SQUARE], "most": 4}}
    assert (removed["zones"], removed["selected"]) == ({}, -1)
    assert undone["zones"] == no_line["zones"]


@needs_node
def test_a_zone_holds_so_many(node: Run) -> None:
    data = {"lines": {"door": {"points": [[0, 0], [9, 9]]}}, "zones": {"hall": {"points": SQUARE}}}
    limits = [["limit", text] for text in ("12", "12", "-3", "")]
    on_line: list[list[Any]] = [["select", 0], ["limit", "4"]]
    _, _, once, again, least, free, _, line = drawn(node, ["load", data], ["select", 1], *limits, *on_line)
    assert [one["zones"]["hall"].get("most") for one in (once, again, least, free)] == [12, 12, 0, None]
    assert [one["sent"] for one in (once, again, least, free, line)] == [1, 1, 2, 3, 3], "a line has no limit"


@needs_node
def test_names_are_free_ones(node: Run) -> None:
    steps = [*drag((10, 10), (99, 10)), *drag((10, 30), (99, 30)), ["select", 0], ["remove"]]
    done = drawn(node, *steps, *drag((10, 50), (99, 50)))[-1]
    assert set(done["lines"]) == {"line 1", "line 2"}


@needs_node
def test_what_python_holds_is_taken_once(node: Run) -> None:
    """The browser's own drawing comes back as a change of the trait: nothing is forgotten then."""
    done = drawn(
        node, ["choose", "zone"], *clicks(SQUARE), ["finish"], ["choose", "line"], *drag((9, 9), (99, 99))
    )[-1]
    same = {"lines": done["lines"], "zones": done["zones"]}
    steps = [["choose", "zone"], *clicks(SQUARE), ["finish"], ["choose", "line"], *drag((9, 9), (99, 99))]
    *_, kept, other, back = drawn(node, *steps, ["load", same], ["load", {"lines": {}}], ["undo"])
    assert (kept["selected"], kept["sent"]) == (1, 2)
    assert (other["lines"], other["zones"], other["selected"]) == ({}, {}, -1)
    assert (back["lines"], back["zones"]) == (same["lines"], same["zones"]), "a load can be undone"


@needs_node
def test_a_point_is_hit_before_an_edge_and_an_edge_before_the_inside(node: Run) -> None:
    zone = {"kind": "zone", "name": "z", "points": SQUARE}
    line = {"kind": "line", "name": "l", "points": [[100, 100], [640, 360]]}
    points = [(97, 103), (200, 104), (150, 200), (500, 100), (98, 180)]
    job = {"call": "hits", "shapes": [zone, line], "points": points, "reach": REACH, "selected": 0}
    point, edge, inside, beside, closing = node([job])[0]
    assert point == {"index": 0, "point": 0, "inside": False}, "the selected one of two at the same place"
    assert edge == {"index": 0, "point": -1, "inside": False}
    assert inside == {"index": 0, "point": -1, "inside": True}
    assert beside is None
    assert closing == edge, "the edge from the last corner to the first"


@needs_node
def test_the_arrow_points_to_where_in_is(node: Run) -> None:
    rng = np.random.default_rng(4)
    lines = [
        {"points": rng.uniform(0, 600, (2, 2)).tolist(), "swap": bool(swap)}
        for swap in rng.integers(0, 2, 40)
    ]
    for line, (start, tip) in zip(
        lines, node([{"call": "arrow", "lines": lines, "length": 30}])[0], strict=True
    ):
        a, b = np.array(line["points"])
        assert (turn(a, b, np.array(tip)) > 0) == (not line["swap"])
        assert start == pytest.approx(((a + b) / 2).tolist())
        assert np.hypot(*np.subtract(tip, start)) == pytest.approx(30)


# -- the scene that Python keeps


DRAWN = {"lines": {"door": {"points": [[100, 100], [300, 120]]}}, "zones": {}}
CROSSED = {"lines": {}, "zones": {"bow": {"points": [[0, 0], [100, 100], [100, 0], [0, 100]]}}}
SCENE = Scene(
    (1280, 720), {"gate": Line(((5.0, 5.0), (50.0, 60.0)), True)}, {"hall": Zone(((0, 0), (9, 0), (9, 9)), 3)}
)


@pytest.fixture
def panel() -> Tuner:
    return tune(np.full((720, 1280, 3), 90, np.uint8), random_grids(1))


def test_what_is_drawn_becomes_the_scene(panel: Tuner) -> None:
    assert panel.scene == Scene((1280, 720))
    panel.canvas.scene = DRAWN
    assert panel.scene == Scene((1280, 720), {"door": Line(((100.0, 100.0), (300.0, 120.0)))})
    assert panel.errors == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (CROSSED, "edges of the zone 'bow' cross"),
        ({"lines": {"dot": {"points": [[4, 4]]}}, "zones": {}}, "'dot' needs 2 points"),
        ({"lines": {}, "zones": {"frame": {"points": SQUARE}}}, "call the zone otherwise"),
    ],
)
def test_what_cannot_be_used_is_shown_as_an_error_until_it_is_put_right(
    panel: Tuner, tmp_path: Path, wrong: dict[str, Any], text: str
) -> None:
    panel.canvas.scene = DRAWN
    good = panel.scene
    panel.canvas.scene = wrong
    assert text in panel.errors[-1]
    assert 'role="alert"' in panel._strip.value
    assert panel.scene == good, "the last that could be used"
    panel.controls.path.value = str(tmp_path / "settings.yaml")
    panel.controls.save.click()
    assert not (tmp_path / "scene.yaml").exists(), "nothing else is written in its stead"
    assert text in panel.errors[-1]
    with pytest.raises(SettingsError):
        panel.count()
    panel.canvas.scene = DRAWN
    panel.controls.save.click()
    assert panel._strip.value == ""


def test_save_and_load_keep_the_scene_beside_the_settings(panel: Tuner, tmp_path: Path) -> None:
    panel.controls.path.value = str(tmp_path / "mine.yaml")
    panel.controls.save.click()
    assert not (tmp_path / "scene.yaml").exists(), "nothing was drawn"
    panel.scene = SCENE
    panel.controls.save.click()
    assert f"lines and zones: {tmp_path / 'scene.yaml'}" in panel.controls.note.value
    assert Scene.from_yaml(tmp_path / "scene.yaml") == SCENE
    panel.scene = Scene((1280, 720))
    panel.controls.load.click()
    assert panel.scene == SCENE
    assert panel.canvas.scene["lines"] == {"gate": {"points": [[5.0, 5.0], [50.0, 60.0]], "swap": True}}
    panel.canvas.scene = {"lines": {}, "zones": {}}
    panel.controls.save.click()
    assert Scene.from_yaml(tmp_path / "scene.yaml") == Scene((1280, 720)), "all of it was deleted"
    assert panel.errors == []


def test_a_scene_that_is_there_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path))
    SCENE.to_yaml(tmp_path / "scene.yaml")
    panel = tune(None, random_grids(1))
    assert panel.scene == SCENE
    assert list(panel.canvas.scene["zones"]) == ["hall"]


@pytest.mark.parametrize(
    ("text", "said"),
    [("frame_size: [640, 480]", "640x480, and these are 1280x720"), ("lines: [", "cannot be read")],
)
def test_another_cameras_scene_is_neither_shown_nor_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path))
    (tmp_path / "scene.yaml").write_text(text)
    panel = tune(None, random_grids(1))
    assert panel.errors == [], "nobody asked for it"
    assert said in panel.controls.note.value
    panel.canvas.scene = DRAWN
    panel.controls.save.click()
    assert said in panel.errors[-1]
    assert (tmp_path / "scene.yaml").read_text() == text
    with pytest.raises(SettingsError, match="another size"):
        panel.scene = Scene((64, 48))


def test_a_scene_that_another_panel_saved_is_not_written_over(panel: Tuner, tmp_path: Path) -> None:
    other = tune(None, random_grids(1))
    for one in (panel, other):
        one.controls.path.value = str(tmp_path / "settings.yaml")
    other.scene = SCENE
    other.controls.save.click()
    panel.controls.save.click()
    assert panel.errors == []
    assert Scene.from_yaml(tmp_path / "scene.yaml") == SCENE, "nothing was drawn here"
    panel.canvas.scene = DRAWN
    panel.controls.save.click()
    assert "Other lines and zones were saved there" in panel.errors[-1]
    assert Scene.from_yaml(tmp_path / "scene.yaml") == SCENE
    panel.controls.load.click()
    panel.canvas.scene = DRAWN
    panel.controls.save.click()
    assert list(Scene.from_yaml(tmp_path / "scene.yaml").lines) == ["door"], "now it was seen"


# -- counting


def test_people_are_counted_over_the_clip() -> None:
    """Somebody walks to the right over a line and into a zone."""
    pytest.importorskip("trackers", reason="the extra `track`")
    walk = [make_grids({(0, 17, col): (0.9, (1, 2, 1, 2))}) for col in range(10, 50)]
    shown: list[Any] = []
    drawing = Drawing(TunerModel(walk, preset("default")), [i / 10 for i in range(40)], shown.append)
    line, zone = Line(((320, 0), (320, 540))), Zone(((480, 0), (960, 0), (960, 540), (480, 540)))
    drawing.set(Scene((960, 544), {"door": line}, {"hall": zone}))
    assert list(shown[-1]) == ["lines", "zones"]
    words = in_words(drawing.count())
    assert words["door"] == "0 in, 1 out", "from the right of who walks down to the left"
    assert words["hall"].startswith("visits 1, ")
    assert words["hall"].endswith(" s on average, most at once 1")


def test_times_are_the_runs_own_else_those_of_the_frame_rate(tmp_path: Path) -> None:
    """A source of 60 frames a second, and a clip whose frames are not evenly apart."""
    frames, numbers = [random_grids(i) for i in range(4)], [0, 2, 5, 9]
    known = stored(tmp_path / "known", frames, numbers, "1000", [i / 60 for i in range(10)])
    every = [0, 1, 2, 3]
    video = make_video(tmp_path / "v.mp4", 12, (1280, 720), fps=60)
    for run, source, expected in (
        (known, None, [i / 60 for i in range(10)]),
        (
            stored(tmp_path / "run", frames, every, "1000", [i / 60 for i in every]),
            None,
            [i / 60 for i in every],
        ),
        (
            stored(tmp_path / "images", frames, every, "1000", [float("nan")] * 4),
            None,
            [i / 10 for i in every],
        ),
        (stored(tmp_path / "old", frames, every, "1000", [float("nan")] * 4), video, [i / 60 for i in every]),
    ):
        panel = tune_run(run, source)
        assert list(panel.drawing._times) == pytest.approx(expected)
        panel.close()


def test_a_count_and_an_undo_are_for_what_is_on_screen(panel: Tuner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message overtakes traits that wait for a busy kernel, so it brings what they say."""
    counted: list[Any] = []
    monkeypatch.setattr(panel.drawing, "count", lambda: counted.append((panel.scene, panel.settings)))
    monkeypatch.setattr("peoplenet_nb.tuner.drawing.in_words", lambda _: {})
    before = panel.settings
    moved = before.with_class("person", threshold=0.7)
    state = {"settings": numbers_of(moved, panel.model.labels), "frame": 0, "revision": panel.canvas.revision}
    panel._on_message(None, {"type": "count", "scene": DRAWN, "state": state | {"gesture": 1}}, [])
    assert list(counted[0][0].lines) == ["door"]
    assert counted[0][1].for_class("person").threshold == 0.7
    state["settings"] = numbers_of(moved.replace(nms_iou=0.9), panel.model.labels)
    panel._on_message(None, {"type": "undo", "state": state | {"gesture": 2}}, [])
    assert panel.settings.nms_iou == before.nms_iou, "the move on screen is taken back, no other"
    assert panel.settings.for_class("person").threshold == 0.7
    panel._on_message(None, {"type": "redo", "state": state | {"gesture": 2}}, [])
    assert panel.settings.nms_iou == 0.9, "its revision is an older one, so it tells nothing new"
    assert panel.errors == []


def test_an_error_of_counting_is_shown_and_the_page_does_not_wait(
    panel: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(panel.canvas, "send", sent.append)
    panel.canvas.scene = CROSSED
    panel._on_message(None, {"type": "count"}, [])
    assert "cross" in panel.errors[-1]
    assert sent == [{"type": "counted", "texts": {}}]
