"""Scenes for DeepStream's nvdsanalytics, read back as an INI file."""

from __future__ import annotations

from configparser import ConfigParser

import numpy as np
import pytest

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.export import export_scene
from peoplenet_nb.tracks import Line, Scene, Zone
from peoplenet_nb.tracks.scene import turn

SIZE = (768, 576)
HALL = Zone(((200, 100), (600, 100), (600, 400)), most=4)


def read(path) -> ConfigParser:
    parser = ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str
    parser.read(path, encoding="utf-8")
    return parser


@pytest.mark.parametrize(
    "line",
    [
        Line(((384, 50), (384, 500))),
        Line(((384, 500), (384, 50))),
        Line(((100, 250), (700, 300)), swap=True),
        Line(((0, 0), (0, 576))),
        Line(((0, 576), (768, 576)), swap=True),
    ],
)
def test_the_arrow_of_in_points_to_the_side_that_counts_as_in(line, tmp_path):
    section = read(export_scene(Scene(SIZE, {"door": line}), tmp_path / "a.txt"))["line-crossing-stream-0"]
    for way in ("in", "out"):
        x1, y1, x2, y2, *ends = (int(value) for value in section[f"line-crossing-door-{way}"].split(";"))
        assert ends == [round(value) for point in line.points for value in point]
        before, after = (turn(*line.points, np.array(point)) for point in ((x1, y1), (x2, y2)))
        assert (after > before) == ((way == "in") is not line.swap)
        assert min(x1, y1, x2, y2) >= 0


def test_zones_are_regions_and_overcrowding(tmp_path):
    scene = Scene(SIZE, {}, {"hall": HALL, "yard": Zone(((0, 0), (9.4, 0), (9, 9)))})
    found = read(export_scene(scene, tmp_path / "a.txt", stream=2, class_id=1))
    assert found["property"]["config-width"] == "768"
    assert found["property"]["config-height"] == "576"
    assert found["roi-filtering-stream-2"]["roi-yard"] == "0;0;9;0;9;9"
    assert dict(found["overcrowding-stream-2"]) == {
        "enable": "1",
        "roi-hall": "200;100;600;100;600;400",
        "class-id": "1",
        "object-threshold": "4",
    }
    assert "line-crossing-stream-2" not in found


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        (Scene(SIZE, {"front door": Line(((1, 2), (3, 4)))}), "letters"),
        (Scene(SIZE, {}, {"Höfe": HALL}), "letters"),
        (Scene(SIZE, {"door": Line(((1, 2), (3, 4), (9, 9)))}), "bend"),
    ],
)
def test_what_it_cannot_say_is_refused(scene, says, tmp_path):
    with pytest.raises(SettingsError, match=says):
        export_scene(scene, tmp_path / "a.txt")
    assert not (tmp_path / "a.txt").exists()
