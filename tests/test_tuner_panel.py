"""The panel in the kernel, with messages as the browser sends them; no browser is needed."""

from __future__ import annotations

import re
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_grids, random_grids
from peoplenet_nb.cells import Cells, CellsWriter, open_grids
from peoplenet_nb.errors import GridsError, SettingsError, SourceError
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import load_settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.tuner import Tuner, TunerModel, tune, tune_run, wire
from peoplenet_nb.tuner.marks import LETTERS, marks_under
from peoplenet_nb.tuner.pictures import VideoPictures, jpeg
from reference import counts_of

FRAME = np.full((720, 1280, 3), 90, np.uint8)


@pytest.fixture
def panel() -> Tuner:
    return tune(FRAME, random_grids(1))


def moved(panel: Tuner, **changes: Any) -> None:
    """The browser sends what its sliders show, as it does when the hand has come to rest."""
    numbers = wire.numbers_of(panel.settings, panel.model.labels) | changes
    panel.canvas.state = {
        "settings": numbers,
        "frame": panel.model.index,
        "revision": panel.canvas.revision,
    }


def test_the_browsers_state_becomes_the_settings(panel: Tuner) -> None:
    moved(panel, threshold=[0.5, 0.2, 0.2], nms_iou=0.35, clustering="dbscan")
    assert panel.settings.for_class("person").threshold == 0.5
    assert panel.settings.nms_iou == 0.35
    assert panel.settings.clustering == "dbscan"
    assert panel.canvas.nms_iou == 0.5, "nothing is shown back: the hand may have moved on"
    assert "nms_iou=0.35" in panel.controls.code.value
    assert panel.errors == []


def test_setting_settings_moves_controls_and_canvas(panel: Tuner) -> None:
    panel.settings = preset("tao").replace(min_samples=14.0)
    assert panel.canvas.threshold_0 == panel.controls.tied["threshold_0"].value == 0.005
    assert panel.canvas.clustering == panel.controls.tied["clustering"].index == 1
    assert panel.canvas.min_samples == panel.controls.tied["min_samples"].value == 14.0, (
        "the slider's end moved"
    )


def test_buttons_undo_redo_reset_and_the_preset_menu(panel: Tuner) -> None:
    moved(panel, nms_iou=0.7)
    assert not panel.controls.undo.disabled
    panel.controls.undo.click()
    assert (panel.settings.nms_iou, panel.canvas.nms_iou) == (0.5, 0.5)
    panel.controls.redo.click()
    assert panel.canvas.nms_iou == 0.7
    panel.controls.preset.value = "deepstream"
    assert panel.settings == preset("deepstream", "stretch")
    assert panel.canvas.top_k == 20
    moved(panel, nms_iou=0.1)
    assert panel.controls.preset.value == "", "the menu does not name a preset that is no more"
    panel.controls.reset.click()
    assert panel.settings == preset("deepstream", "stretch")
    assert panel.controls.preset.value == "deepstream"


def test_keys_for_undo_and_redo_arrive_as_messages(panel: Tuner) -> None:
    moved(panel, nms_iou=0.7)
    panel._on_message(None, {"type": "undo"}, [])
    assert panel.settings.nms_iou == 0.5
    panel._on_message(None, {"type": "redo"}, [])
    assert panel.settings.nms_iou == 0.7


def test_a_state_that_was_under_way_when_a_preset_was_chosen_does_not_undo_it(panel: Tuner) -> None:
    numbers, revision = wire.numbers_of(panel.settings, panel.model.labels), panel.canvas.revision
    panel.controls.preset.value = "tao"
    panel.canvas.state = {"settings": numbers, "frame": 0, "revision": revision}
    assert panel.settings == preset("tao", "stretch")


def test_a_is_what_the_browser_kept(panel: Tuner) -> None:
    panel.canvas.settings_a = wire.numbers_of(preset("tao"), panel.model.labels)
    assert panel.model.a is not None
    assert wire.numbers_of(panel.model.a, panel.model.labels) == panel.canvas.settings_a


def test_an_a_pinned_in_python_is_shown_beside(panel: Tuner) -> None:
    panel.model.pin(preset("tao"))
    assert panel.canvas.settings_a == wire.numbers_of(preset("tao"), panel.model.labels)
    assert panel.canvas.view["compare"]
    panel.canvas.view = {**panel.canvas.view, "compare": False}
    panel.settings = preset("deepstream")
    assert not panel.canvas.view["compare"], "what the reader closed stays closed"


def test_save_and_load_buttons(panel: Tuner, tmp_path: Path) -> None:
    panel.controls.path.value = str(tmp_path / "chosen.yaml")
    moved(panel, nms_iou=0.41)
    panel.controls.save.click()
    panel.controls.preset.value = "tao"
    panel.controls.load.click()
    assert panel.settings.nms_iou == 0.41
    assert panel.errors == []
    assert f"Loaded {tmp_path}" in panel.controls.note.value


def test_save_writes_where_the_other_notebooks_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path))
    panel = tune(FRAME, random_grids(1))
    moved(panel, nms_iou=0.41)
    assert str(tmp_path / "settings.yaml") in panel.controls.note.value, "the whole path is shown before"
    panel.controls.save.click()
    assert str(tmp_path / "settings.yaml") in panel.controls.note.value
    assert load_settings().for_fit(panel.settings.fit) == panel.settings
    assert load_settings().fit == "auto", "for frames of any shape, as it began"
    panel.controls.path.value = "mine.yaml"
    assert str(Path.cwd() / "mine.yaml") in panel.controls.note.value, "where a bare name goes"


def test_a_good_load_takes_the_last_error_away(panel: Tuner, tmp_path: Path) -> None:
    panel.controls.path.value = str(tmp_path / "none.yaml")
    panel.controls.load.click()
    assert "No such settings file" in panel._strip.value
    panel.controls.path.value = str(preset("default").to_yaml(tmp_path / "some.yaml"))
    panel.controls.load.click()
    assert panel._strip.value == ""
    assert len(panel.errors) == 1, "it stays on record"


def test_states_of_one_drag_are_one_step_of_undo(panel: Tuner) -> None:
    for iou in (0.6, 0.65, 0.7):
        numbers = wire.numbers_of(panel.settings, panel.model.labels) | {"nms_iou": iou}
        state = {"settings": numbers, "frame": 0, "revision": panel.canvas.revision, "gesture": 17.5}
        panel.canvas.state = state
    panel.controls.undo.click()
    assert panel.settings.nms_iou == 0.5


def test_a_dead_head_is_named_where_its_slider_is() -> None:
    panel = tune(FRAME, random_grids(1), dead=["bag"])
    notes = [panel.controls._rows[f"threshold_{c}"].children[2:] for c in range(3)]
    assert [len(note) for note in notes] == [0, 1, 0]
    assert "bag head of this model is dead" in notes[1][0].value
    assert panel.canvas.shape["dead"] == [False, True, False]


def test_sliders_step_as_finely_as_a_rescue_proposes(panel: Tuner) -> None:
    assert panel.controls.tied["threshold_0"].step == 0.001


def test_marks_of_presets_never_overlap() -> None:
    text = marks_under(
        {"default": 0.25, "deepstream": 0.3, "triton": 0.3, "tao": 0.9, "jetson-inference": 0.27}, 1
    )
    letters = re.findall(r'<span style="left:([\d.]+)%" title="([^"]*)">([A-Z]+)</span>', text)
    assert [(title, group) for _, title, group in letters] == [
        ("default: 0.25; jetson-inference: 0.27; deepstream: 0.3; triton: 0.3", "DJSN"),
        ("tao: 0.9", "T"),
    ]
    assert len(re.findall("<i ", text)) == 4, "a tick for each value"
    assert marks_under(dict.fromkeys(LETTERS, 0.5), 1) == "", "nothing to tell apart"


@given(st.lists(st.floats(0, 1), min_size=len(LETTERS), max_size=len(LETTERS)))
def test_letters_of_marks_keep_apart(values: list[float]) -> None:
    text = marks_under(dict(zip(LETTERS, values, strict=True)), 1)
    found = re.findall(r'<span style="left:([\d.]+)%" title="[^"]*">([A-Z]+)</span>', text)
    spans = [(float(at) - 4 * len(group), float(at) + 4 * len(group)) for at, group in found]
    assert all(a[1] <= b[0] + 0.02 for a, b in pairwise(spans))
    assert sorted("".join(group for _, group in found)) in ([], sorted(LETTERS.values()))


def test_errors_in_callbacks_are_kept_and_shown(panel: Tuner, tmp_path: Path) -> None:
    panel.controls.path.value = str(tmp_path / "<b>none.yaml")
    panel.controls.load.click()
    assert "&lt;b&gt;" in panel._strip.value, "shown as text"
    panel.canvas.state = {"settings": {"threshold": [1]}, "frame": 0, "revision": 99}
    panel._on_message(None, {"type": "error", "message": "TypeError: <b>x</b>"}, [])
    assert len(panel.errors) == 3
    assert "No such settings file" in panel.errors[0]
    assert "in the browser: TypeError" in panel.errors[2], "the page shows its own"
    assert "No such settings file" in panel._strip.value
    assert "one value for each" in panel._strip.value
    assert 'role="alert"' in panel._strip.value


def test_a_frame_of_another_size_is_refused() -> None:
    with pytest.raises(GridsError, match="640x480.*1280x720"):
        tune(FRAME[:480, :640], random_grids(1))
    with pytest.raises(SourceError):
        tune(FRAME[..., 0], random_grids(1))


def test_coverage_only_grids_have_a_panel_too() -> None:
    full = random_grids(1)
    panel = tune(FRAME, Grids(full.coverage, None, full.fit, full.labels))
    assert len(panel.canvas.grids) == full.coverage.nbytes
    assert not panel.canvas.shape["hasBoxes"]
    assert panel.canvas.view["heatmap"], "coverage is all there is to see"


# -- a clip


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's folder with every second frame, and the images it came from."""
    for i in range(0, 8, 2):
        random_grids(i).save(tmp_path / "run" / "grids" / f"{i:06d}.npz")
    (tmp_path / "video").mkdir()
    for i in range(8):
        cv2.imwrite(str(tmp_path / "video" / f"{i}.png"), np.full((720, 1280, 3), 20 * i, np.uint8))
    return tmp_path


def sent(panel: Tuner, monkeypatch: pytest.MonkeyPatch) -> dict[int, list[bytes]]:
    """What the canvas sends from now on, by frame."""
    frames: dict[int, list[bytes]] = {}
    monkeypatch.setattr(
        panel.canvas, "send", lambda content, buffers: frames.__setitem__(content["index"], buffers)
    )
    return frames


def test_a_clip_scrubs_over_saved_grids(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = tune_run(run_folder / "run", run_folder / "video")
    assert panel.canvas.frame_names == [0, 2, 4, 6]
    assert panel.canvas.floor == 0.005
    frames = sent(panel, monkeypatch)
    panel._on_message(None, {"type": "frame", "index": 3}, [])
    until = time.monotonic() + 20
    while 3 not in frames and time.monotonic() < until:  # the picture comes from another thread
        time.sleep(0.01)
    picture, grids = frames[3]
    assert grids == wire.pack_grids(random_grids(6))
    shown = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(shown.mean()) - 120) < 4, "the picture is frame 6's"
    numbers = wire.numbers_of(panel.settings, panel.model.labels)
    panel.canvas.state = {"settings": numbers, "frame": 2, "revision": panel.canvas.revision}
    assert panel.model.index == 2
    assert panel.errors == []
    panel.close()


def test_a_fast_video_plays_no_faster_than_a_page_can_show(run_folder: Path) -> None:
    path = run_folder / "fast.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 120.0, (1280, 720))
    for i in range(8):
        writer.write(np.full((720, 1280, 3), 20 * i, np.uint8))
    writer.release()
    panel = tune_run(run_folder / "run", path)
    assert panel.canvas.fps == 30, "every second frame of 120 a second"
    panel.close()


@pytest.fixture
def stored_run(tmp_path: Path) -> Path:
    """A run's folder with the cells of every second frame in one file."""
    writer = CellsWriter(tmp_path / "run" / "cells.parquet")
    for i in range(0, 8, 2):
        writer.add(i, Cells.of(random_grids(i)))
    writer.finish()
    return tmp_path / "run"


def test_a_clip_of_saved_cells(stored_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = tune_run(stored_run)
    assert panel.canvas.frame_names == [0, 2, 4, 6]
    assert panel.canvas.floor == panel.canvas.shape["floor"] == 0.005
    frames = sent(panel, monkeypatch)
    panel._on_message(None, {"type": "frame", "index": 3}, [])
    cells = Cells.of(random_grids(6))
    assert frames[3][1] == wire.pack_clip([cells], floors=[0.005], limit=0).data
    full = TunerModel([random_grids(i) for i in range(0, 8, 2)], panel.settings)
    for name in ("default", "tao", "triton"):
        for model in (panel.model, full):
            model.load_preset(name)
        assert counts_of(panel.model.detections()) == counts_of(full.detections())
    assert tune_run(open_grids(stored_run), most=2).canvas.frame_names == [0, 4]


def test_no_slider_goes_below_what_was_saved(stored_run: Path, tmp_path: Path) -> None:
    panel = tune_run(stored_run)
    assert [panel.controls.tied[f"threshold_{c}"].min for c in range(3)] == [0.005] * 3
    lower = panel.settings.with_class("person", threshold=0.001)
    panel.controls.path.value = str(lower.to_yaml(tmp_path / "lower.yaml"))
    before = panel.settings
    panel.controls.load.click()
    assert "only cells with a coverage of 0.005 or more were saved" in panel.errors[-1]
    assert panel.settings == before
    with pytest.raises(SettingsError, match=r"threshold of 0\.001 for person"):
        tune_run(stored_run, settings=lower)


def test_a_clip_without_its_video_is_tuned_on_dark(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = tune_run(run_folder / "run" / "grids")
    frames = sent(panel, monkeypatch)
    panel._on_message(None, {"type": "frame", "index": 1}, [])
    assert frames[1][0] == b""
    assert not panel.canvas.has_pictures


def test_a_long_run_is_thinned_evenly(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = tune_run(run_folder / "run", most=2)
    assert panel.canvas.frame_names == [0, 4]
    frames = sent(panel, monkeypatch)
    panel._on_message(None, {"type": "frame", "index": 1}, [])
    assert frames[1][1] == wire.pack_grids(random_grids(4))
    assert len(panel.model.detections()) == 2


def test_a_missing_frame_is_an_error_on_the_panel(run_folder: Path) -> None:
    panel = tune_run(run_folder / "run")
    panel._on_message(None, {"type": "frame", "index": 77}, [])
    assert len(panel.errors) == 1


def test_frames_of_different_sizes_are_refused(run_folder: Path) -> None:
    make_grids({}).save(run_folder / "run" / "grids" / "000009.npz")
    with pytest.raises(GridsError, match="not all of one size"):
        tune_run(run_folder / "run")


def test_a_video_that_ends_early_answers_with_no_picture(run_folder: Path) -> None:
    pictures = VideoPictures(open_source(run_folder / "video", progress=False), [0, 2, 100])
    answers: dict[int, bytes] = {}
    done = threading.Event()
    pictures.ask(2, lambda position, data: (answers.update({position: data}), done.set()))
    assert done.wait(20)
    assert answers == {2: b""}
    pictures.close()


def test_large_frames_are_sent_smaller() -> None:
    data = jpeg(np.zeros((1000, 4000, 3), np.uint8))
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (320, 1280, 3)


def test_fallback_scrubs_a_clip(run_folder: Path) -> None:
    panel = tune_run(run_folder / "run", run_folder / "video", fallback=True)
    changed = threading.Event()
    panel.kernel_picture.image.observe(lambda _: changed.set(), names="value")
    panel.controls.frame.value = 3
    assert panel.model.index == 3
    assert changed.wait(20), "the picture comes from another thread"
    assert panel.errors == []
