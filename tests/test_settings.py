"""Settings refuse what makes no sense, and survive the trip through a file."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peoplenet_nb.errors import OutputError, SettingsError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.paths import settings_file
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, bind, load_settings, preset


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("fit", ["stretch", "letterbox", "auto"])
def test_presets_survive_the_file(name: str, fit: str, tmp_path: Path) -> None:
    chosen = preset(name, fit)
    assert Settings.from_yaml(chosen.to_yaml(tmp_path / "sub" / "s.yaml")) == chosen


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"classes": {"person": {"threshold": 1.5}}}, r"threshold must be between 0 and 1.*1\.5"),
        ({"classes": {"person": {"threshold": -0.1}}}, r"threshold must be between 0 and 1"),
        ({"classes": {"person": {"threshold": float("nan")}}}, r"threshold must be between 0 and 1.*nan"),
        ({"classes": {"person": {"threshold": "high"}}}, r"threshold must be between.*high"),
        ({"classes": {"person": {"threshold": True}}}, r"threshold must be between.*True"),
        (
            {"classes": {"person": {"treshold": 0.5}}},
            r"Unknown key of class 'person'.*treshold.*did you mean 'threshold'",
        ),
        ({"classes": {"person": 0.5}}, r"class 'person' must be a table"),
        ({"classes": {"Person": {}, "person": {}}}, r"named twice.*'person'"),
        ({"nms": {"iou": 2}}, r"nms_iou must be between 0 and 1"),
        ({"nms": {"Iou": 0.5}}, r"Unknown key under nms"),
        ({"clusterng": "nms"}, r"Unknown key.*did you mean 'clustering'"),
        ({"clustering": "soft-nms"}, r"Unknown clustering.*soft-nms.*nms, dbscan, hybrid"),
        ({"dbscan": {"flavour": "vanilla"}}, r"Unknown DBSCAN flavour"),
        ({"dbscan": {"min_samples": -1}}, r"min_samples must be a number of at least 0"),
        ({"fit": "crop"}, r"Unknown fit.*stretch, letterbox, near, auto"),
        ({"top_k": 0}, r"top_k must be a whole number"),
        ({"top_k": 2.5}, r"top_k must be a whole number"),
        ({"top_k": 2.0}, r"top_k must be a whole number"),
        ({"top_k": "foo"}, r"top_k must be a whole number.*foo"),
        ({"top_k": float("inf")}, r"top_k must be a whole number"),
        ({"top_k": [1]}, r"top_k must be a whole number"),
        ({"fit": None}, r"Unknown fit.*None"),
        ([1, 2], r"settings must be a table"),
    ],
)
def test_bad_values_are_named(data: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.from_dict(data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (": : :", "cannot be read as YAML"),
        ("- 1", "must be a table"),
        ("classes:\n  face: {threshold: 0.1}\n  face: {threshold: 0.9}", "names 'face' twice"),
    ],
    ids=["no yaml", "list", "twice"],
)
def test_bad_files_are_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message):
        Settings.from_yaml(path)


def test_a_bare_number_for_a_class_is_refused() -> None:
    with pytest.raises(SettingsError, match="class 'person' must have ClassSettings"):
        Settings(classes={"person": 0.3})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["folder", "file.jpg/s.yaml"])
def test_what_cannot_be_written_is_an_output_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file.jpg").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Settings().to_yaml(tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.jpg", "folder"], "nothing is left behind"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such settings file"):
        Settings.from_yaml(tmp_path / "none.yaml")


def test_an_empty_file_means_defaults_and_classes_inherit_from_default(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("")
    assert Settings.from_yaml(path) == Settings()
    path.write_text("classes:\n  default: {threshold: 0.6}\n  Face: {min_width: 9}\n")
    assert Settings.from_yaml(path).for_class("face") == ClassSettings(threshold=0.6, min_width=9)


def test_a_class_may_have_its_own_clustering_and_the_file_says_only_what_is_its_own(tmp_path: Path) -> None:
    settings = Settings(nms_iou=0.4, default=ClassSettings(0.2, top_k=5, max_width=300)).with_class(
        "face", nms_iou=0.7, roi_top=12, min_sum=1.5, top_k=None
    )
    assert settings.own("face", "nms_iou") == 0.7
    assert settings.own("person", "nms_iou") == 0.4
    assert settings.own("bag", "top_k") == 5
    assert settings.own("face", "top_k") is None
    path = settings.to_yaml(tmp_path / "s.yaml")
    assert Settings.from_yaml(path) == settings
    face = settings.to_dict()["classes"]["face"]
    assert "max_width" not in face, "inherited from default"
    assert face["top_k"] is None, "unlike default's"
    assert "roi_top" in settings._repr_html_()
    assert list(preset("tao").to_dict()["classes"]["face"]) == [
        "threshold", "min_width", "min_height", "min_confidence"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"nms_iou": 1.1}, "nms_iou must be between 0 and 1"),
        ({"eps": "x"}, "eps must be"),
        ({"min_samples": -1}, "min_samples must be"),
        ({"top_k": 0}, "top_k must be a whole number"),
        ({"max_width": -1}, "max_width must be"),
        ({"roi_bottom": float("nan")}, "roi_bottom must be"),
        ({"min_sum": None}, "min_sum must be"),
    ],
)
def test_a_class_s_own_numbers_are_checked(numbers: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        ClassSettings(**numbers)


def test_with_class_changes_one_class_only() -> None:
    chosen = preset("deepstream").with_class("Person", threshold=0.7)
    assert chosen.for_class("person").threshold == 0.7
    assert chosen.for_class("face").threshold == 0.2
    with pytest.raises(SettingsError, match="Unknown class setting"):
        chosen.with_class("person", iou=0.5)
    with pytest.raises(SettingsError, match="Unknown setting.*nms_iou"):
        chosen.replace(nms_io=0.5)


def test_a_slip_in_a_class_name_of_a_preset_is_met_at_once() -> None:
    with pytest.raises(
        SettingsError,
        match=r"Unknown class.*'persn'.*did you mean 'person'\? known are: person, bag, face\.$",
    ):
        preset().with_class("persn", threshold=0.3)
    assert preset().with_class("vehicle", threshold=0.3).for_class("Vehicle").threshold == 0.3
    assert Settings().with_class("persn", threshold=0.3).for_class("persn").threshold == 0.3


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "large", "aliases", "deep"])
def test_files_that_would_hang_or_fill_memory_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        nine = "".join(
            f"{b}: &{b} [{', '.join(f'*{a}' for _ in range(9))}]\n" for a, b in pairwise("abcdefghi")
        )
        text = {"large": "# \n" * 30_000, "aliases": f"a: &a [x]\n{nine}", "deep": "[" * 20_000}[kind]
        path.write_text(text)
    with pytest.raises(SettingsError, match="settings file cannot be read"):
        Settings.from_yaml(path)


def test_unknown_preset_lists_what_there_is() -> None:
    with pytest.raises(SettingsError, match=r"did you mean 'deepstream'"):
        preset("deepstrem")
    with pytest.raises(SettingsError, match=r"Unknown preset.*tlt.*default, deepstream"):
        preset("tlt")


# Thresholds, least heights and least confidences of person, bag, face and any other class, after each source.
GOLDEN = {
    "default": ("nms", 0.5, None, (0.4, 0.2, 0.2, 0.25), (0,) * 4, (0,) * 4),
    "deepstream": ("nms", 0.5, 20, (0.4, 0.2, 0.2, 0.2), (0,) * 4, (0,) * 4),
    "deepstream-tuned": ("hybrid", 3, None, (0.1429,) * 4, (20,) * 4, (0,) * 4),
    "triton": ("dbscan", 0.05, None, (0.005,) * 4, (4,) * 4, (0.9, 0.9, 0.7, 0.9)),
    "tao": ("dbscan", 1.0, None, (0.005,) * 4, (4,) * 4, (0.9, 0.9, 0.7, 0.9)),
    "jetson-inference": ("nms", 0.5, None, (0.5,) * 4, (0,) * 4, (0,) * 4),
}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_the_numbers_of_their_source(name: str) -> None:
    clustering, number, top_k, thresholds, heights, confidences = GOLDEN[name]
    chosen = preset(name.upper())
    assert (chosen.preset, chosen.clustering, chosen.top_k, chosen.fit) == (
        name,
        clustering,
        top_k,
        "auto",
    )
    assert preset(name, "stretch") == chosen.for_fit(FitMode.STRETCH)
    near = preset(name, "near")
    assert near.fit == "near"
    assert near.for_class("person").threshold == (0.1 if name == "default" else thresholds[0])
    assert near.for_class("face").threshold == thresholds[2]
    boxed = preset(name, "letterbox")
    assert boxed.fit == "letterbox"
    assert boxed.for_class("person").threshold == (0.5 if name == "default" else thresholds[0])
    if clustering == "nms":
        assert chosen.nms_iou == number
    elif clustering == "hybrid":
        numbers = (chosen.nms_iou, chosen.eps, chosen.min_samples, chosen.flavour)
        assert numbers == (0.4688, 0.2538, number, "deepstream")
    else:
        assert (chosen.eps, chosen.min_samples, chosen.flavour, chosen.score) == (0.3, number, "tao", "sum")
    rows = [chosen.for_class(label) for label in ("person", "bag", "face", "car")]
    assert tuple(row.threshold for row in rows) == thresholds
    assert tuple(row.min_height for row in rows) == heights
    assert tuple(row.min_confidence for row in rows) == confidences
    assert {row.min_width for row in rows} == {20 if name == "deepstream-tuned" else 0}


def test_a_file_says_where_it_is_wrong_and_reads_like_a_preset(tmp_path: Path) -> None:
    for data, words in (
        ({"nms": 5}, "nms must be a table"),
        ({"dbscan": [1]}, "dbscan must be a table"),
        ({"classes": "person"}, "classes must be a table"),
        ({"dbscan": {"epss": 1}}, r"Unknown key under dbscan.*did you mean 'eps'"),
        ({"classes": {"default": 3}}, "class 'default' must be a table"),
    ):
        with pytest.raises(SettingsError, match=words):
            Settings.from_dict(data)
    chosen = Settings.from_dict({"classes": {"Persön": {"threshold": 0.7}}})
    assert chosen.for_class("persön").threshold == 0.7
    text = chosen.to_yaml(tmp_path / "s.yaml").read_bytes().decode("utf-8")
    assert [line.split(":")[0] for line in text.splitlines() if line[0] != " "] == list(chosen.to_dict())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"eps": 1.01}, "eps must be between 0 and 1"),
        ({"nms_iou": -0.01}, "nms_iou"),
        ({"min_samples": -1}, "min_samples"),
    ],
)
def test_numbers_outside_their_range_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings(**changes)


def test_settings_are_loaded_by_whatever_names_them(tmp_path: Path) -> None:
    assert load_settings().preset == "default"
    assert load_settings("", "letterbox") == preset("default", "letterbox")
    assert load_settings("TAO").preset == "tao"
    mine = preset("deepstream").with_class("face", threshold=0.11)
    mine.to_yaml(settings_file())
    assert load_settings() == mine
    elsewhere = mine.replace(nms_iou=0.3).to_yaml(tmp_path / "mine.yaml")
    assert load_settings(elsewhere).nms_iou == 0.3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deepstrem", "did you mean 'deepstream'.*default, deepstream"),
        ("nothing.yaml", "No such settings file"),
    ],
)
def test_settings_that_are_not_there_are_an_error(name: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(name)


def test_settings_show_their_numbers_and_clustering() -> None:
    shown = preset("tao").with_class("<b>", threshold=0.123)._repr_html_()
    assert ">0.123<" in shown
    assert "&lt;b&gt;" in shown
    assert "dbscan with eps 0.3 and min_samples 1" in shown
    assert "at most 20 boxes" in preset("deepstream")._repr_html_()


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan"), "1", True, None, [1]])
@pytest.mark.parametrize("key", ["nms_iou", "eps", "min_samples"])
def test_numbers_that_are_none_or_too_large_are_refused(key: str, value: object) -> None:
    with pytest.raises(SettingsError, match="must be"):
        Settings(**{key: value})


def test_auto_has_a_threshold_for_either_fit_and_each_fit_has_its_own() -> None:
    both = Settings(fit="auto", classes={"person": ClassSettings(0.4, letterbox_threshold=0.5)})
    for fit, threshold in ((FitMode.STRETCH, 0.4), (FitMode.LETTERBOX, 0.5)):
        one = both.for_fit(fit)
        assert one == both.replace(fit=fit)
        assert one is both.for_fit(fit), "bind knows them again"
        assert one.for_class("person") == ClassSettings(threshold)
        assert bind(both, ("person",), fit).threshold.tolist() == [threshold]
        assert one.for_fit(fit) is one
    assert both.for_fit(FitMode.AUTO) is both
    with pytest.raises(SettingsError, match=r"preset\(name, fit='near'\)"):
        both.for_fit(FitMode.NEAR)
    with pytest.raises(SettingsError, match="another preprocessing"):
        both.replace(fit="stretch").for_fit(FitMode.LETTERBOX)
    assert both.with_class("person", threshold=0.3).for_class("person") == ClassSettings(0.3), "for both"
    apart = both.with_class("person", threshold=0.3, letterbox_threshold=0.6)
    assert apart.for_class("person") == ClassSettings(0.3, letterbox_threshold=0.6)
    with pytest.raises(SettingsError, match="letterbox_threshold must be between"):
        ClassSettings(letterbox_threshold=1.5)


def test_a_file_may_hold_both_thresholds_and_those_of_before_hold_one(tmp_path: Path) -> None:
    auto = Settings.from_dict(
        {
            "fit": "auto",
            "classes": {
                "default": {"threshold": 0.3, "letterbox_threshold": 0.6},
                "face": {"threshold": 0.2},
            },
        }
    )
    assert auto.for_class("bag").letterbox_threshold == 0.6
    assert auto.for_class("face").letterbox_threshold is None, "a threshold of its own is for both"
    assert Settings.from_yaml(auto.to_yaml(tmp_path / "s.yaml")) == auto
    before = Settings.from_dict({"classes": {"person": {"threshold": 0.25}}})
    assert before.fit == "stretch", "what a file without a fit has always meant"
    assert before.to_dict()["classes"]["person"] == {
        "threshold": 0.25,
        "min_width": 0.0,
        "min_height": 0.0,
        "min_confidence": 0.0,
    }, "runs of before are continued"
    assert "letterbox_threshold" in auto._repr_html_()


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.int64(1), Fraction(1, 2)])
def test_numbers_of_numpy_become_pythons_own(number: Any, tmp_path: Path) -> None:
    chosen = preset("default").replace(eps=number).with_class("person", threshold=number, min_width=number)
    assert json.loads(json.dumps(chosen.to_dict())) == chosen.to_dict()  # a run's manifest holds them
    assert Settings.from_yaml(chosen.to_yaml(tmp_path / "settings.yaml")) == chosen
