"""Pictures of people over time say what they show, also where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

import peoplenet_nb as pn
from crowds import SIZE, walkers
from peoplenet_nb.notebook import beside
from peoplenet_nb.plots import people
from peoplenet_nb.sources import Frame, open_source
from peoplenet_nb.tracks import Scene, count, track_boxes
from videos import make_video, number_of

pytest.importorskip("trackers")

GREY = Frame(10, 1.0, np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))


@pytest.fixture(scope="module")
def tracks():
    times = [i / 10 for i in range(60)]
    return track_boxes([walkers([(60, 200, 80, 0), (400, 440, 0, 0)], time) for time in times], times)


def test_pictures_say_what_they_show(tracks):
    scene = Scene.from_dict({
        "frame_size": SIZE,
        "lines": {"door": {"points": [[200, 0], [200, 480]]}},
        "zones": {"hall": {"points": [[300, 0], [640, 0], [640, 480], [300, 480]], "most": 1}},
    })  # fmt: skip
    counts = count(tracks, scene)
    assert "1, 2" in people.who_is_who(GREY, tracks, counts).caption
    assert "nobody" in people.who_is_who(GREY, tracks, label="bag").caption
    assert "2 tracks" in people.footprints(GREY, tracks).alt
    assert "door 0 in and 1 out; hall 2 at most" in people.over_time(counts).alt
    assert "hall 2 stays" in people.dwell_times(counts).alt


def test_nothing_drawn_and_nobody_there_are_pictures_too(tracks):
    nothing = count(tracks, Scene(SIZE))
    assert "nothing was drawn" in people.over_time(nothing).alt
    assert "no zones" in people.dwell_times(nothing).alt
    nobody = count(tracks.of_class("bag"), Scene.example(SIZE))
    assert "middle 0 in and 0 out; centre 0 at most" in people.over_time(nobody).alt
    assert "median none" in people.dwell_times(nobody).alt
    assert Scene.example((641, 3)).frame_size == (641, 3)
    assert people.doubtful([]) == "No moment stands out."


def test_two_videos_play_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    one, other = make_video(tmp_path / "one.mp4", 12), make_video(tmp_path / "other.mp4", 12)
    joined = beside(pn.open_source(one), other)
    frames = list(open_source(joined))
    assert len(frames) == 12
    for frame in frames:
        width = frame.image.shape[1] // 2
        assert number_of(frame.image[:, : width - 4]) == number_of(frame.image[:, width + 4 :]) == frame.index
    assert beside(pn.open_source(one), other) == joined
