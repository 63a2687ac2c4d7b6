"""The tuner's export menu: files and notes of a target, refusals, and nothing written over unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import random_grids
from peoplenet_nb.errors import OutputError
from peoplenet_nb.export import NetworkFile, Target, export_settings
from peoplenet_nb.grids import Grids
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.settings import preset
from peoplenet_nb.tuner import Tuner, TunerModel, tune
from peoplenet_nb.tuner.exporting import Export, ExportMenu

LABELS = ("person", "bag", "face")


@pytest.fixture
def panel() -> Tuner:
    return tune(None, random_grids(1))


@pytest.fixture
def menu(panel: Tuner) -> ExportMenu:
    return panel.exports


def shown(widget: Any) -> bool:
    return bool(widget.layout.display != "none")


@pytest.mark.parametrize("target", Target)
def test_every_target_gets_the_files_of_the_settings_on_screen(target: Target, tmp_path: Path) -> None:
    model = TunerModel([random_grids(1)], preset("default", "stretch"))
    export = Export(model)
    export.choose(target)
    expected = export_settings(model.settings, target, model=NetworkFile(labels=LABELS), nearest=True)
    assert export.exported == expected
    assert export.refused == expected.changes
    if export.refused:
        with pytest.raises(OutputError, match="take the nearest settings"):
            export.write(tmp_path)
        assert not list(tmp_path.iterdir())
        export.agreed = True
    assert export.write(tmp_path) == []
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == set(expected.files)


def test_files_and_notes_follow_the_settings(panel: Tuner, menu: ExportMenu) -> None:
    assert menu.text.value == ""
    assert menu.write.disabled
    menu.target.value = "deepstream"
    assert "<details open><summary" in menu.text.value
    person = panel.settings.for_class("person").threshold
    assert f"pre-cluster-threshold={person:g}\n" in menu.text.value
    assert "What does not transfer" in menu.text.value
    assert "stretched to 960x544" in menu.text.value
    panel.settings = panel.settings.with_class("person", threshold=0.375)
    assert "pre-cluster-threshold=0.375" in menu.text.value
    menu.target.value = ""
    assert menu.text.value == ""
    assert panel.errors == []


def test_a_refusal_names_the_nearest_which_can_be_taken(panel: Tuner, menu: ExportMenu) -> None:
    menu.target.value = "isaac"
    assert "isaac cannot do what these settings ask for" in menu.text.value
    assert "clustering: dbscan instead of nms" in menu.text.value
    assert "<pre>" not in menu.text.value
    assert shown(menu.nearest)
    assert menu.write.disabled
    menu.nearest.click()
    assert "<pre>" in menu.text.value
    assert "Changed, because isaac cannot do it" in menu.text.value
    assert not shown(menu.nearest)
    assert not menu.write.disabled
    menu.target.value = "triton"
    assert shown(menu.nearest), "another program is another question"
    assert panel.errors == []


def test_nothing_is_written_over_unasked(panel: Tuner, menu: ExportMenu, tmp_path: Path) -> None:
    menu.target.value = "deepstream"
    assert menu.folder.value == str(outputs_dir() / "export" / "deepstream")
    menu.folder.value = str(tmp_path / "new")
    assert not shown(menu.replace)
    menu.write.click()
    config = tmp_path / "new" / "config_infer_primary_peoplenet.txt"
    assert "labels.txt" in menu.note.value
    config.write_text("mine")
    (tmp_path / "new" / "labels.txt").unlink()
    menu.write.click()
    assert config.read_text() == "mine"
    assert not (tmp_path / "new" / "labels.txt").exists(), "nothing at all was written"
    assert "already config_infer_primary_peoplenet.txt. Replace?" in menu.note.value
    assert shown(menu.replace)
    panel.settings = panel.settings.replace(nms_iou=0.375)
    assert not shown(menu.replace), "that was asked about other files"
    menu.write.click()
    menu.replace.click()
    assert "nms-iou-threshold=0.375" in config.read_text()
    assert not shown(menu.replace)
    assert panel.errors == []


def test_the_target_is_measured_on_the_clip(panel: Tuner, menu: ExportMenu) -> None:
    menu.target.value = "jetson"
    menu.nearest.click()
    assert "Measured" not in menu.text.value
    menu.measure.click()
    assert "Measured on a run: Of " in menu.text.value
    panel.settings = panel.settings.replace(nms_iou=0.375)
    assert "Measured" not in menu.text.value, "that was for other settings"


def test_what_cannot_be_written_is_an_error_on_the_panel(
    panel: Tuner, menu: ExportMenu, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    menu.target.value = "savant"
    menu.folder.value = str(tmp_path / "file")
    menu.write.click()
    assert len(panel.errors) == 1
    assert "OutputError" in panel._strip.value


def test_without_boxes_there_is_nothing_to_export() -> None:
    full = random_grids(1)
    assert ExportMenu in [type(child) for child in tune(None, full).children]
    bare = tune(np.zeros((720, 1280, 3), np.uint8), Grids(full.coverage, None, full.fit, full.labels))
    assert ExportMenu not in [type(child) for child in bare.children]
