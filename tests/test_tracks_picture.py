"""Tracks as pictures: colours that stay, arrows that point in, feet where people were."""

from __future__ import annotations

import numpy as np
import pytest

from crowds import LABELS, SIZE, walkers
from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks import Line, Scene, Zone, draw_footprints, draw_tracks, track_boxes
from peoplenet_nb.tracks.picture import track_colour

pytest.importorskip("trackers")

GREY = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)


@pytest.fixture(scope="module")
def tracks():
    times = [i / 10 for i in range(20)]
    return track_boxes([walkers([(60, 200, 40, 0), (400, 440, 0, 0)], time) for time in times], times)


def test_a_track_keeps_its_colour_and_the_frame_stays_as_it_is(tracks):
    for frame in (5, 15):
        picture = draw_tracks(GREY, tracks, frame)
        assert (GREY == 128).all()
        for i in np.flatnonzero(tracks.frame == frame):
            x1, y1, _, y2 = tracks.xyxy[i].round().astype(int)
            assert tuple(picture[(y1 + y2) // 2, x1]) == track_colour(int(tracks.track[i]))
    assert track_colour(1) != track_colour(2)
    assert (draw_tracks(GREY, tracks, 99) == 128).all()


def test_the_trail_is_the_way_of_the_feet_for_two_seconds(tracks):
    long, short, none = (draw_tracks(GREY, tracks, 19, trail_s=s) for s in (2.0, 0.5, 0.0))
    x, y = tracks.feet[tracks.of(int(tracks.track[0]))][2].round().astype(int)
    drawn = [bool((p[y - 2 : y + 3, x - 2 : x + 3] != 128).any()) for p in (long, short, none)]
    assert drawn == [True, False, False]


@pytest.mark.parametrize("swap", [False, True])
def test_the_arrow_of_a_line_points_in(swap):
    """The line goes down: its right side is the picture's left."""
    nobody = track_boxes([Detections.empty(LABELS)] * 2, [0.0, 0.1])
    scene = Scene(
        SIZE,
        {"door": Line(((320, 40), (320, 440)), swap)},
        {"hall": Zone(((500, 300), (600, 300), (600, 400)))},
    )
    picture = draw_tracks(GREY, nobody, 0, scene=scene)
    left, right = (picture[235:246, part] for part in (slice(302, 316), slice(325, 339)))
    assert [bool((side != 128).any()) for side in (left, right)] == [not swap, swap]
    assert (picture[298:303, 540:560] != 128).any(), "the zone's edge"


def test_footprints_are_where_people_were_and_brighter_where_they_stayed(tracks):
    picture = draw_footprints(GREY, tracks)
    stood = picture[438, 400].astype(int).sum()
    walked = picture[199, 100].astype(int)
    assert (picture[20, 20] == 128).all()
    assert (walked != 128).any()
    assert stood != walked.sum()
    assert (draw_footprints(GREY, tracks.of_class("car")) == 128).all()


@pytest.mark.parametrize("size", [(1, 1), (20, 30)])
def test_small_frames_do_no_harm(tracks, size):
    small = np.zeros((*size, 3), np.uint8)
    assert draw_tracks(small, tracks, 5).shape == draw_footprints(small, tracks).shape == small.shape
