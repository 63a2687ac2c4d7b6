"""The tuner's logic without a browser: history, presets, files, the code line, clips and comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import make_grids, random_grids
from peoplenet_nb.cells import Cells
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, SettingsError
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, preset
from peoplenet_nb.tuner import TunerModel, wire


def person(settings: Settings) -> float:
    return settings.for_class("person").threshold


@pytest.fixture
def model() -> TunerModel:
    return TunerModel([random_grids(seed) for seed in (1, 2, 3)], preset("default"))


def test_undo_and_redo_walk_the_history(model: TunerModel) -> None:
    start = model.settings
    for threshold in (0.3, 0.4, 0.5):
        model.set(model.settings.with_class("person", threshold=threshold))
    assert model.undo()
    assert model.undo()
    assert person(model.settings) == 0.3
    assert model.redo()
    assert person(model.settings) == 0.4
    model.undo()
    model.undo()
    assert model.settings == start
    assert not model.undo(), "there is nothing before the start"


def test_one_slow_drag_is_one_step_of_undo(model: TunerModel) -> None:
    start = model.settings
    for threshold in (0.3, 0.31, 0.35):
        model.set(model.settings.with_class("person", threshold=threshold), gesture=1)
    model.set(model.settings.with_class("person", threshold=0.5), gesture=2)
    model.undo()
    assert person(model.settings) == 0.35
    model.undo()
    assert model.settings == start


def test_a_drag_back_to_its_start_leaves_no_step(model: TunerModel) -> None:
    model.set(model.settings.replace(nms_iou=0.3))
    for iou in (0.4, 0.3, 0.5, 0.6):
        model.set(model.settings.replace(nms_iou=iou), gesture=1)
    model.undo()
    assert model.settings.nms_iou == 0.3
    model.undo()
    assert not model.can_undo


def test_a_drag_after_undo_is_a_step_of_its_own(model: TunerModel) -> None:
    for iou in (0.3, 0.4):
        model.set(model.settings.replace(nms_iou=iou), gesture=iou)
    model.undo()
    model.set(model.settings.replace(nms_iou=0.6), gesture=0.4)
    model.undo()
    assert model.settings.nms_iou == 0.3, "an undo ends the drag before it"


def test_a_new_change_forgets_what_was_undone(model: TunerModel) -> None:
    model.set(model.settings.replace(nms_iou=0.4))
    model.undo()
    model.set(model.settings.replace(nms_iou=0.6))
    assert not model.can_redo
    assert not model.redo()


def test_the_same_settings_again_are_no_change(model: TunerModel) -> None:
    heard: list[Settings] = []
    model.on_change(lambda: heard.append(model.settings))
    assert not model.set(model.settings)
    assert not model.set_numbers(wire.numbers_of(model.settings, model.labels))
    assert heard == []
    assert not model.can_undo


def test_listeners_hear_once_of_a_change(model: TunerModel) -> None:
    heard: list[int] = []
    model.on_change(lambda: heard.append(1))
    model.load_preset("deepstream")
    model.go(1)
    model.undo()
    assert len(heard) == 3


def test_reset_goes_back_to_the_preset_loaded_last(model: TunerModel) -> None:
    model.load_preset("deepstream")
    model.set(model.settings.replace(nms_iou=0.9).with_class("face", threshold=0.7))
    model.reset()
    assert model.settings == preset("deepstream", "stretch")
    model.undo()
    assert model.settings.nms_iou == 0.9, "reset can be undone"


def test_a_changed_preset_loses_its_name_and_gets_it_back(model: TunerModel) -> None:
    model.set(model.settings.with_class("person", threshold=0.31))
    assert model.settings.preset == "custom"
    model.reset()
    assert model.settings.preset == "default"


def test_settings_of_another_models_classes_are_refused(model: TunerModel) -> None:
    before = model.settings
    with pytest.raises(SettingsError, match="Unknown class"):
        model.set(model.settings.replace(classes={"lorry": ClassSettings()}))
    assert model.settings == before


@pytest.mark.parametrize("name", PRESETS)
def test_numbers_go_to_the_browser_and_come_back(name: str) -> None:
    settings = preset(name)
    numbers = wire.numbers_of(settings, ("person", "bag", "face"))
    assert wire.settings_from(numbers, ("person", "bag", "face"), settings) == settings
    other = preset("default").replace(preset=name)
    came = wire.settings_from(numbers, ("person", "bag", "face"), other)
    assert wire.numbers_of(came, ("person", "bag", "face")) == numbers


def test_numbers_without_a_slider_are_kept_while_sliders_move(model: TunerModel) -> None:
    model.set(model.settings.with_class("face", nms_iou=0.3, roi_top=40, top_k=5))
    shown = wire.numbers_of(model.settings, model.labels)
    assert shown["more"] == {"nms_iou": [None, None, 0.3], "roi_top": [0, 0, 40], "top_k": [None, None, 5]}
    model.set_numbers({**shown, "threshold": [0.4, 0.4, 0.4]})
    assert model.settings.own("face", "nms_iou") == 0.3
    assert model.settings.for_class("face").threshold == 0.4
    sliders = wire.numbers_of(preset("default"), model.labels)
    model.set_numbers({name: value for name, value in sliders.items() if name != "more"})
    assert model.settings.for_class("face").roi_top == 40
    assert "roi_top=40" in model.code()


def test_a_class_of_its_own_may_have_zero(model: TunerModel) -> None:
    """Zero of its own is not the same as that of all classes."""
    settings = model.settings.with_class("face", nms_iou=0.0)
    shown = wire.numbers_of(settings, model.labels)
    assert shown["more"] == {"nms_iou": [None, None, 0.0]}
    assert wire.settings_from(shown, model.labels, model.settings).own("face", "nms_iou") == 0


def test_code_needs_no_import_whatever_type_a_number_has(model: TunerModel) -> None:
    model.set(model.settings.with_class("bag", threshold=np.float32(0.5)).replace(eps=np.float64(0.4)))
    code = model.code()
    assert eval(code, {"preset": preset}) == model.settings.replace(preset="default")
    assert "eps=0.4" in code


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"threshold": [0.5]}, "one value for each of the 3 classes"),
        ({"threshold": [0.5, 0.5, 7.0]}, "threshold must be between 0 and 1"),
        ({"clustering": "kmeans"}, "Unknown clustering"),
    ],
    ids=["a class too few", "out of range", "no such clustering"],
)
def test_numbers_that_make_no_sense_are_refused(
    model: TunerModel, numbers: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        model.set_numbers(numbers)


def changed(settings: Settings) -> Settings:
    return settings.replace(nms_iou=0.45, top_k=7, clustering="dbscan", score="sum").with_class(
        "face", threshold=0.115, min_height=12
    )


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("name", PRESETS)
def test_the_line_of_code_makes_the_settings(name: str, fit: str) -> None:
    grids = random_grids(1)
    fitted = Grids(grids.coverage, grids.boxes, Fit.of((640, 480), (960, 544), fit), grids.labels)
    model = TunerModel([fitted], preset("default", fit))
    model.load_preset(name)
    for settings in (preset(name, fit), changed(preset(name, fit))):
        model.set(settings)
        line = model.code()
        assert "\n" not in line
        made = eval(line, {"preset": preset})
        assert wire.numbers_of(made, model.labels) == wire.numbers_of(model.settings, model.labels)
        assert made.fit == model.settings.fit


def test_an_unchanged_presets_line_is_short(model: TunerModel) -> None:
    assert model.code() == "preset('default')"
    model.set(model.settings.with_class("person", threshold=0.3))
    assert model.code() == "preset('default', 'stretch').with_class('person', threshold=0.3)", "for this fit"
    model.set(preset("tao"))
    assert model.code() == "preset('tao')", "whoever chose it"


@pytest.mark.parametrize(
    "label",
    ['x", threshold=0) or hacked.append(1) #', "' + hacked.append(1) + '", "a\\' , hacked.append(1) #", "\n"],
)
def test_a_label_in_the_line_of_code_stays_a_string(label: str) -> None:
    """What a crafted labels.txt holds is pasted and run by the reader."""
    model = TunerModel([make_grids(labels=("person", label))], preset("default"))
    model.set(model.settings.with_class(label, threshold=0.4))
    hacked: list[int] = []
    made = eval(model.code(), {"preset": preset, "hacked": hacked})
    assert hacked == []
    assert made.for_class(label).threshold == 0.4
    assert "\n" not in model.code()


def test_saved_settings_load_again(model: TunerModel, tmp_path: Path) -> None:
    model.set(changed(model.settings))
    kept, path = model.settings, model.save(tmp_path / "deep" / "mine.yaml")
    model.load_preset("tao")
    model.load(path)
    assert model.settings == kept
    model.set(model.settings.replace(nms_iou=0.1))
    model.reset()
    assert model.settings == kept, "reset goes back to the file"


@pytest.mark.parametrize(("size", "mode"), [((1280, 720), "stretch"), ((480, 640), "letterbox")])
def test_what_began_for_any_shape_of_frame_is_saved_for_any(
    tmp_path: Path, size: tuple[int, int], mode: str
) -> None:
    made = random_grids(1)
    grids = Grids(made.coverage, made.boxes, Fit.of(size, (960, 544), "auto"), made.labels)
    assert grids.fit.mode == mode
    model = TunerModel([grids], preset("default"))
    assert Settings.from_yaml(model.save(tmp_path / "as-it-was.yaml")) == preset("default")
    other = "letterbox" if mode == "stretch" else "stretch"
    numbers = wire.numbers_of(model.settings, model.labels)
    model.set_numbers({**numbers, "threshold": [0.123, 0.2, 0.25], "nms_iou": 0.4})
    kept = Settings.from_yaml(model.save(tmp_path / "mine.yaml"))
    assert kept.fit == "auto"
    assert kept.for_fit(mode) == model.settings
    assert person(kept.for_fit(mode)) == 0.123
    assert person(kept.for_fit(other)) == person(preset("default", other)), "it was not looked at"
    assert kept.for_fit(other).nms_iou == 0.4
    assert eval(model.code(), {"preset": preset}).replace(preset="custom") == kept
    model.undo()
    assert model.kept == preset("default")
    model.load(tmp_path / "mine.yaml")
    assert model.kept == kept


def test_what_was_not_preprocessed_by_its_shape_is_saved_for_its_fit(tmp_path: Path) -> None:
    made = random_grids(1)
    grids = Grids(made.coverage, made.boxes, Fit.of((480, 640), (960, 544), "stretch"), made.labels)
    model = TunerModel([grids], preset("default"))
    assert Settings.from_yaml(model.save(tmp_path / "mine.yaml")) == preset("default", "stretch")
    assert model.code() == "preset('default', 'stretch')"


def test_settings_say_how_the_grids_were_made(tmp_path: Path) -> None:
    model = TunerModel([random_grids(1)], preset("default"), tiles=2)
    model.load_preset("deepstream")
    assert model.settings.tiles == 2
    assert Settings.from_yaml(model.save(tmp_path / "mine.yaml")).tiles == 2
    assert model.code() == "preset('deepstream').replace(tiles=2)"


def test_settings_for_another_fit_are_not_loaded(model: TunerModel, tmp_path: Path) -> None:
    path = preset("default", "letterbox").to_yaml(tmp_path / "letterbox.yaml")
    with pytest.raises(SettingsError, match="letterbox.*stretch"):
        model.load(path)
    model.reset()
    assert model.settings == preset("default", "stretch"), "and reset does not go back to them"
    with pytest.raises(SettingsError, match="letterbox.*stretch"):
        model.set(preset("default", "letterbox"))
    with pytest.raises(SettingsError, match="letterbox.*stretch"):
        TunerModel(model.clip, preset("default", "letterbox"))


def test_scrubbing_stays_within_the_clip(model: TunerModel) -> None:
    assert model.go(2)
    assert model.grids is model.clip[2]
    assert not model.go(99)
    assert model.go(-5)
    assert model.index == 0


def test_the_decode_follows_frame_and_settings(model: TunerModel) -> None:
    first = model.decoded
    assert model.decoded is first, "nothing changed, nothing is worked out again"
    model.go(1)
    assert len(model.decoded.candidates) == len(decode(model.clip[1], model.settings).candidates)
    model.set(model.settings.with_class("person", threshold=0.9))
    assert model.decoded.stages() == decode(model.clip[1], model.settings).stages()


def test_an_empty_clip_is_refused() -> None:
    with pytest.raises(GridsError, match="nothing to tune on"):
        TunerModel([], preset("default"))


def test_a_packed_clip_keeps_to_its_limit_by_raising_its_floor() -> None:
    grids = [random_grids(seed) for seed in range(4)]
    clip = [Cells.of(frame, 0.0) for frame in grids]
    whole = wire.pack_clip(clip, floors=(0.0, 0.04, 0.1), limit=10**9)
    assert whole.floor == 0.0
    assert len(whole.data) == 4 * (2 + 4) + 24 * 4 * 6120
    small = wire.pack_clip(clip, floors=(0.0, 0.04, 0.1), limit=200_000)
    assert small.floor in {0.04, 0.1}
    assert len(small.data) <= 200_000 + 4 * (2 + 4)
    assert len(wire.pack_clip(clip, floors=(0.0, 0.04, 0.1), limit=len(whole.data)).data) == len(whole.data)
    offsets = np.frombuffer(small.data, "<u4", 5, 4)
    assert offsets[-1] == sum(int((g.coverage >= small.floor).sum()) for g in grids)
