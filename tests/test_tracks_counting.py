"""Lines and zones: who crosses, who stays, and scenes that make no sense."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import peoplenet_nb as pn
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import Line, Scene, Tracks, Zone, count
from peoplenet_nb.tracks.counting import inside, settled

SIZE = (640, 480)
DOWN = Line(((320, 0), (320, 480)))  # its right side is the picture's left


def tracks(*paths, fps: float = 10.0, begin: int = 0) -> Tracks:
    """Return tracks whose feet take these paths, one point a frame; None is no box."""
    rows = [
        (begin + i, n + 1, x, y) for n, path in enumerate(paths) for i, point in enumerate(path) if point
        for x, y in [point]
    ]  # fmt: skip
    rows.sort()
    table = np.array(rows, np.float64).reshape(-1, 4)
    frame, feet = table[:, 0].astype(int), table[:, 2:]
    boxes = np.column_stack([feet[:, 0] - 20, feet[:, 1] - 100, feet[:, 0] + 20, feet[:, 1]])
    length = max((len(path) for path in paths), default=0)
    frames = np.arange(begin, begin + length)
    zeros = np.zeros(len(rows), np.int64)
    names = ("person", "bag")
    return Tracks(
        frame,
        frame / fps,
        table[:, 1].astype(int),
        zeros,
        boxes,
        zeros + 0.9,
        zeros,
        names,
        frames,
        frames / fps,
    )


def walk(*ends, steps: int = 20):
    """Points from one end to the next."""
    return [
        (a[0] + (b[0] - a[0]) * i / steps, a[1] + (b[1] - a[1]) * i / steps)
        for a, b in pairwise(ends)
        for i in range(steps)
    ]


def ways(path, line=DOWN, **options) -> list[str]:
    return list(count(tracks(path, **options), Scene(SIZE, {"door": line})).crossings["direction"])


LEFT, RIGHT = (220, 300), (420, 300)


def test_in_is_from_the_left_to_the_right_as_the_line_was_drawn():
    """Who walks down the picture along the line has its right hand on the picture's left side."""
    assert ways(walk(RIGHT, LEFT)) == ["in"]
    assert ways(walk(LEFT, RIGHT)) == ["out"]
    assert ways(walk(RIGHT, LEFT), Line(DOWN.points[::-1])) == ["out"]
    assert ways(walk(RIGHT, LEFT), Line(DOWN.points, swap=True)) == ["out"]
    assert ways(walk(LEFT, RIGHT, LEFT)) == ["out", "in"]


def test_it_counts_when_they_came_and_only_after_three_frames():
    path = [*walk(LEFT, (310, 300)), (330, 300), (331, 300), (332, 300), (333, 300)]
    (row,) = count(tracks(path, begin=100), Scene(SIZE, {"door": DOWN})).crossings.to_dict("records")
    assert (row["frame"], row["time_s"], row["track"], row["line"], row["class"]) == (
        120,
        12.0,
        1,
        "door",
        "person",
    )
    assert ways(path[:-2]) == []
    for trembling in ([(330, 300), (331, 300), (310, 300)] * 3, [(330, 300), (310, 300)] * 6):
        assert ways([*walk(LEFT, (310, 300)), *trembling, *walk((310, 300), LEFT)]) == []


def test_at_25_frames_a_second_it_is_the_same_time():
    seven, eight = ([*walk(LEFT, (310, 300)), *[(330, 300)] * n, *walk((310, 300), LEFT)] for n in (7, 8))
    assert ways(seven, fps=25.0) == []
    assert ways(eight, fps=25.0) == ["out", "in"]


def test_a_line_ends_where_it_ends():
    short = Line(((320, 0), (320, 200)))
    assert ways(walk(LEFT, RIGHT), short) == []
    assert ways(walk((220, 150), (420, 150)), short) == ["out"]


def test_who_stands_on_the_line_has_not_crossed_it():
    assert ways([*walk(LEFT, (319, 300)), *[(320, 300)] * 10, *walk((319, 300), LEFT)]) == []
    assert ways([*walk(LEFT, (319, 300)), *[(320, 300)] * 10, *walk((321, 300), RIGHT)]) == ["out"]
    assert ways([(320, 300)] * 10) == []


def test_a_bent_line_is_crossed_at_each_of_its_parts():
    corner = Line(((320, 0), (320, 240), (640, 240)))
    assert ways(walk((220, 100), (420, 100)), corner) == ["out"]
    assert ways(walk((500, 100), (500, 400)), corner) == ["in"]


HALL = Zone(((200, 200), (400, 200), (400, 400), (200, 400)), most=0)


def stays(path):
    return count(tracks(path), Scene(SIZE, {}, {"hall": HALL}))


def test_a_visit_is_from_the_first_to_the_last_frame_inside():
    path = [(100, 300)] * 5 + [(300, 300)] * 12 + [(500, 300)] * 5
    done = stays(path)
    (visit,) = done.visits.to_dict("records")
    assert (visit["first_frame"], visit["last_frame"], visit["entered"], visit["left"]) == (5, 16, True, True)
    assert visit["seconds"] == pytest.approx(1.1)
    assert done.presence["hall"].tolist() == [0] * 5 + [1] * 12 + [0] * 5
    (zone,) = done.zones().to_dict("records")
    assert (zone["visits"], zone["entries"], zone["most at once"]) == (1, 1, 1)
    assert zone["overcrowded seconds"] == pytest.approx(1.2)


def test_who_is_there_from_the_start_did_not_enter_and_trembling_is_no_visit():
    (visit,) = stays([(300, 300)] * 10).visits.to_dict("records")
    assert (visit["entered"], visit["left"]) == (False, False)
    assert len(stays([(190, 300)] * 5 + [(210, 300)] * 2 + [(190, 300)] * 5).visits) == 0
    assert len(stays([(210, 300)] * 5 + [(190, 300)] * 2 + [(210, 300)] * 5).visits) == 1


def test_only_the_class_that_was_asked_for_counts():
    found = tracks(walk(LEFT, RIGHT))
    assert len(count(found, Scene(SIZE, {"door": DOWN}), label="bag").crossings) == 0


def test_nobody_and_nothing():
    done = count(tracks(), Scene(SIZE, {"door": DOWN}, {"hall": Zone(((0, 0), (9, 0), (9, 9)))}))
    assert done.lines().to_dict("records") == [{"line": "door", "in": 0, "out": 0}]
    assert done.zones()["visits"].tolist() == [0]
    assert "door" in str(done)
    assert "hall" in done._repr_html_()
    assert str(count(tracks(walk(LEFT, RIGHT)), Scene(SIZE))) == "no lines and no zones"


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 5))
def test_settled_states_last(states, hold):
    given_ = np.array(states)
    calm = settled(given_, hold)
    assert calm[0] == given_[0]
    changes = np.flatnonzero(np.diff(calm)) + 1
    ends = [*changes.tolist(), len(calm)]
    assert all(b - a >= hold for a, b in pairwise(ends))
    for change in changes:  # they really were there for so long
        assert (given_[change : change + hold] == calm[change]).all()


@given(st.floats(0, 640), st.floats(0, 480))
def test_inside_is_what_a_rectangle_says(x, y):
    zone = Zone(((200, 100), (400, 100), (400, 300), (200, 300)))
    if min(abs(x - 200), abs(x - 400), abs(y - 100), abs(y - 300)) > 1e-6:
        assert bool(inside(np.array([[x, y]]), zone)[0]) is (200 < x < 400 and 100 < y < 300)


def test_a_zone_may_have_a_bay():
    bay = Zone(((0, 0), (300, 0), (300, 300), (200, 300), (200, 100), (100, 100), (100, 300), (0, 300)))
    points = np.array([[50.0, 200], [150, 200], [250, 200], [150, 50]])
    assert inside(points, bay).tolist() == [True, False, True, True]


# ---------------------------------------------------------------- scenes


def test_a_scene_comes_back_from_its_file(tmp_path):
    scene = Scene(
        SIZE,
        {"door": DOWN, "Tür": Line(((1, 2), (3, 4), (5, 6)), True)},
        {"hall": Zone(((0, 0), (9.5, 0), (9, 9)), 4)},
    )
    path = scene.to_yaml(tmp_path / "scene.yaml")
    assert Scene.from_yaml(path) == scene
    assert scene.scaled((1280, 960)).scaled(SIZE) == scene
    edges = Scene.example((1920, 1080)).scaled((960, 125))  # 1080 * (125 / 1080) is more than 125
    assert edges.lines["middle"].points == ((480, 0), (480, 125))
    scene.check_size(SIZE)
    with pytest.raises(SettingsError, match="another size"):
        scene.check_size((1280, 720))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "size of its frames"),
        ({"frame_size": [640, 0]}, "size of its frames"),
        ({"frame_size": "640x480"}, "size of its frames"),
        ({"frame_size": [640, True]}, "size of its frames"),
        ([], "a scene"),
        (None, "a scene"),
        ({"rooms": {}}, "rooms"),
        ({"lines": []}, "no names|have names"),
        ({"lines": ["door"]}, "have names"),
        ({"lines": {"door": [[1, 2], [3, 4]]}}, "door"),
        ({"lines": {"door": {"points": [[1, 2]]}}}, "2 points"),
        ({"lines": {"door": {"points": [[1, 2], [1, 2]]}}}, "no length"),
        ({"lines": {"door": {"points": [[1, 2], [3]]}}}, "pairs of numbers"),
        ({"lines": {"door": {"points": 7}}}, "pairs of numbers"),
        ({"lines": {"door": {"points": [[1, 2], [3, "x"]]}}}, "pairs of numbers"),
        ({"lines": {"door": {"points": [[1, 2], [3, float("nan")]]}}}, "outside of the frame"),
        ({"lines": {"door": {"points": [[1, 2], [700, 2]]}}}, "outside of the frame"),
        ({"lines": {"door": {"points": [[1, 2], [3, 4]], "swap": "yes"}}}, "swap"),
        ({"lines": {"door": {"points": [[1, 2], [3, 4]], "swop": True}}}, "did you mean 'swap'"),
        ({"lines": {7: {"points": [[1, 2], [3, 4]]}}}, "has a name"),
        (
            {"lines": {"a": {"points": [[1, 2], [3, 4]]}}, "zones": {"a": {"points": [[0, 0], [9, 0], [9, 9]]}}},
            "same name",
        ),
        ({"zones": {"frame": {"points": [[0, 0], [9, 0], [9, 9]]}}}, "presence.csv"),
        ({"zones": {"time_s": {"points": [[0, 0], [9, 0], [9, 9]]}}}, "presence.csv"),
        ({"zones": {"hall": {"points": [[0, 0], [9, 9]]}}}, "3 points"),
        ({"zones": {"hall": {"points": [[0, 0], [9, 9], [5, 5]]}}}, "no area"),
        ({"zones": {"hall": {"points": [[0, 0], [9, 9], [9, 0], [0, 9]]}}}, "cross"),
        ({"zones": {"hall": {"points": [[0, 0], [9, 0], [9, 9]], "most": -1}}}, "number of people"),
        ({"zones": {"hall": {"points": [[0, 0], [9, 0], [9, 9]], "most": 2.5}}}, "number of people"),
    ],
)  # fmt: skip
def test_what_is_no_scene_is_refused(data, says):
    if isinstance(data, dict) and data and "frame_size" not in data:
        data = {"frame_size": [640, 480]} | data
    if data == {"frame_size": [640, 480], "lines": []}:
        assert Scene.from_dict(data) == Scene(SIZE)  # an empty one is none
        return
    with pytest.raises(SettingsError, match=says):
        Scene.from_dict(data)


def test_the_file_of_a_scene_must_be_there(tmp_path):
    with pytest.raises(pn.PeopleNetError, match="scene.yaml"):
        Scene.from_yaml(tmp_path / "scene.yaml")


def test_counters_tell_what_happened_until_a_frame():
    path = walk((400, 240), (200, 240))
    hall = Zone(((0, 0), (300, 0), (300, 480), (0, 480)))
    counts = count(tracks(path, path[::-1], begin=5), Scene(SIZE, {"door": DOWN}, {"hall": hall}))
    (into,) = counts.crossings[counts.crossings["direction"] == "in"]["frame"]
    (out,) = counts.crossings[counts.crossings["direction"] == "out"]["frame"]
    assert counts.until(0) == {"door": "door: 0 in, 0 out", "hall": "hall: 0"}
    for frame in range(5, 30):
        there = counts.presence[counts.presence["frame"] <= min(frame, 24)]["hall"].iloc[-1]
        assert counts.until(frame) == {
            "door": f"door: {int(frame >= into)} in, {int(frame >= out)} out",
            "hall": f"hall: {there}",
        }
