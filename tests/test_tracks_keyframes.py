"""Boxes between two frames, and the choice of the frames that the network sees."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crowds import LABELS, SIZE, detections, frames, rows_of, walkers
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import (
    KeyFrames,
    choose_and_fill,
    interpolate,
    link_frames,
    match_boxes,
    window_frames,
)
from peoplenet_nb.tracks.keyframes import doubtful

AUTO, OFF = KeyFrames.parse("auto"), KeyFrames.parse("off")


def between(a: Detections, b: Detections, share: float, seconds: float = 0.3) -> Detections:
    (link,) = link_frames([a, b], [0.0, seconds])
    return interpolate(a, b, share, SIZE, link)


# ---------------------------------------------------------------- boxes between


@settings(deadline=None)  # the first one imports SciPy
@given(frames(), frames())
def test_at_the_key_frames_it_is_their_own_boxes(a, b):
    assert between(a, b, 0.0) is a
    assert between(a, b, 1.0) is b


@given(frames(), frames(), st.floats(0.01, 0.99))
def test_no_box_leaves_the_frame_and_none_is_surer_than_its_key_frames(a, b, share):
    found = between(a, b, share)
    assert (found.xyxy >= 0).all()
    assert (found.xyxy[:, 2:] <= np.array(SIZE)).all()
    assert (found.xyxy[:, 2:] > found.xyxy[:, :2]).all()
    assert (np.diff(found.confidence) <= 0).all()
    assert (
        found.confidence.max(initial=0)
        <= max(a.confidence.max(initial=0), b.confidence.max(initial=0)) + 1e-6
    )


@given(frames(), frames(), st.sampled_from([0.125, 0.25, 0.375, 0.5]))
def test_time_may_run_backwards(a, b, share):
    assume((match_boxes(a, b, 0.3).margin > 1e-6).all())
    forward, backward = between(a, b, share), between(b, a, 1 - share)
    if share == 0.5:  # the cells are those of the later frame
        forward, backward = (replace(x, row=x.row * 0, col=x.col * 0) for x in (forward, backward))
    assert rows_of(forward) == pytest.approx(rows_of(backward), abs=1e-3)


def test_a_pair_goes_in_a_straight_line_and_keeps_the_nearer_cell():
    a = detections([(100, 100, 140, 200, 0.9, 0)])
    b = replace(detections([(120, 104, 168, 200, 0.5, 0)]), row=np.array([7]), col=np.array([8]))
    early, late = between(a, b, 0.25), between(a, b, 0.75)
    assert early.xyxy == pytest.approx(np.array([[105, 101, 147, 200]]))
    assert early.confidence == pytest.approx([0.8])
    assert (early.row.tolist(), early.col.tolist()) == ([0], [100])
    assert (late.row.tolist(), late.col.tolist()) == ([7], [8])


def test_who_is_in_one_frame_only_fades_in_the_nearer_half():
    one, none = detections([(100, 100, 140, 200, 0.9, 0)]), Detections.empty(LABELS)
    for a, b, shares in ((one, none, (0.1, 0.3, 0.5)), (none, one, (0.9, 0.7, 0.5))):
        found = [between(a, b, share) for share in shares]
        assert all((x.xyxy == one.xyxy).all() for x in found)
        assert [len(x) for x in found] == [1, 1, 1]
        confidence = [float(x.confidence[0]) for x in found]
        assert 0.9 > confidence[0] > confidence[1] > confidence[2] > 0.4
        assert not len(between(a, b, 1 - shares[1]))


def test_who_is_lost_goes_on_as_they_came():
    steps = [(100, 300, 100, 0)]
    keys = [walkers(steps, 0.0), walkers(steps, 0.4), Detections.empty(LABELS)]
    links = link_frames(keys, [0.0, 0.4, 0.8])
    found = interpolate(keys[1], keys[2], 0.25, SIZE, links[1])
    assert found.xyxy == pytest.approx(walkers(steps, 0.5).xyxy)
    keys.reverse()
    links = link_frames(keys, [0.0, 0.4, 0.8])
    found = interpolate(keys[0], keys[1], 0.75, SIZE, links[0])
    assert found.xyxy == pytest.approx(walkers(steps, 0.5).xyxy)


def test_who_walks_out_of_the_frame_is_cut_at_its_edge_and_then_gone():
    steps = [(600, 300, 100, 0)]
    keys = [walkers(steps, 0.0), walkers(steps, 0.2), Detections.empty(LABELS)]
    (_, link) = link_frames(keys, [0.0, 0.2, 1.4])
    assert interpolate(keys[1], keys[2], 0.1, SIZE, link).xyxy[0, 2] == SIZE[0]
    assert not len(interpolate(keys[1], keys[2], 0.4, SIZE, link))


# ---------------------------------------------------------------- which frames


@pytest.mark.parametrize(
    ("value", "shown", "every"),
    [("off", "off", 1), (1, "off", 1), ("1", "off", 1), ("AUTO", "auto", None), (3, "3", 3)],
)
def test_what_can_be_asked_for(value, shown, every):
    parsed = KeyFrames.parse(value)
    assert (str(parsed), parsed.every, parsed.off, parsed.auto) == (shown, every, every == 1, every is None)
    assert KeyFrames.parse(parsed) is parsed
    assert KeyFrames.parse(str(parsed)) == parsed


@pytest.mark.parametrize("value", ["", "on", "0", 0, -1, 2.0, "2.5", True, None, "1001", "³"])
def test_anything_else_is_refused(value):
    with pytest.raises(SettingsError, match="every N-th"):
        KeyFrames.parse(value)


@pytest.mark.parametrize(
    ("keyframes", "fps", "size", "frames_"),
    [
        ("auto", 25.0, (640, 360), 45),
        ("auto", 10.0, (640, 360), 18),
        ("auto", None, (640, 360), 45),
        ("auto", 0.2, (640, 360), 1),
        ("auto", 25.0, (1280, 720), 34),  # 96 MB
        ("auto", 25.0, (30_000, 20_000), 1),
        ("off", 25.0, (640, 360), 45),
        ("3", 25.0, (640, 360), 45),
        ("7", 25.0, (640, 360), 42),
        ("100", 25.0, (640, 360), 100),
        ("3", 25.0, (3840, 2160), 3),
    ],
)
def test_a_window_is_bounded_in_time_and_memory(keyframes, fps, size, frames_):
    assert window_frames(KeyFrames.parse(keyframes), fps, size) == frames_


class Network:
    """What the network would find, and how often it was asked."""

    def __init__(self, found: list[Detections]) -> None:
        self.found, self.seen = found, []

    def __call__(self, index: int) -> Detections:
        self.seen.append(index)
        return self.found[index]


def fill(found, keyframes=AUTO, cuts=(), times=None, fps=25.0):
    network = Network(list(found))
    times = [i / fps for i in range(len(network.found))] if times is None else times
    filled = choose_and_fill(len(network.found), network, lambda i: i in cuts, times, keyframes, SIZE)
    inferred = [i for i, (_, seen) in enumerate(filled) if seen]
    assert sorted(network.seen) == inferred, "each of them once"
    assert all(filled[i][0] is network.found[i] for i in inferred)
    return [boxes for boxes, _ in filled], inferred


@settings(deadline=None, max_examples=40)
@given(
    st.lists(frames(3), min_size=1, max_size=14),
    st.sampled_from(["off", "2", "3", "auto"]),
    st.sets(st.integers(1, 13), max_size=3),
    st.sampled_from([4.0, 10.0, 25.0]),
)
def test_every_frame_comes_once_and_nothing_goes_across_a_cut(found, keyframes, cuts, fps):
    cuts = {cut for cut in cuts if cut < len(found)}
    filled, inferred = fill(found, KeyFrames.parse(keyframes), cuts, fps=fps)
    assert len(filled) == len(found)
    borders = {0, len(found) - 1, *cuts, *(cut - 1 for cut in cuts)}
    assert borders <= set(inferred)
    if keyframes == "off":
        assert len(inferred) == len(found)
    # What lies between two cuts is what it would be alone.
    edges = [0, *sorted(cuts), len(found)]
    for first, last in pairwise(edges):
        alone, _ = fill(found[first:last], KeyFrames.parse(keyframes), fps=fps)
        for one, other in zip(filled[first:last], alone, strict=True):
            assert one.xyxy == pytest.approx(other.xyxy, abs=1e-3)


def test_people_who_walk_straight_cost_two_frames_a_second_and_are_where_they_are():
    crowd = [(50 + 90 * i, 300 + 20 * i, 40 - 15 * i, 5) for i in range(5)]
    every = [walkers(crowd, i / 25) for i in range(46)]
    filled, inferred = fill(every)
    assert inferred == [0, 11, 22, 34, 45]
    for boxes, truth in zip(filled, every, strict=True):
        assert boxes.xyxy == pytest.approx(truth.xyxy, abs=0.01)


def test_an_empty_video_costs_the_same():
    assert len(fill([Detections.empty(LABELS)] * 46)[1]) == 5


def test_who_appears_in_the_middle_is_found_to_the_frame():
    """A door opens: the network is asked until it is known when."""
    nobody = Detections.empty(LABELS)
    every = [nobody if i < 17 else walkers([(300, 300, 0, 0)], 0) for i in range(46)]
    filled, inferred = fill(every)
    assert {16, 17} <= set(inferred)
    assert len(inferred) < 12
    assert [len(boxes) for boxes in filled] == [len(boxes) for boxes in every]


def test_who_comes_in_at_the_edge_or_flickers_low_calls_for_nothing():
    still = [(320, 300, 0, 0), (200, 320, 0, 0)]
    low = replace(walkers([(500, 200, 0, 0)], 0), confidence=np.array([0.1], np.float32))
    edge = detections([(0, 100, 30, 200, 0.9, 0)])

    def joined(a, b):
        return detections(
            [[*box, c, 0] for part in (a, b) for box, c in zip(part.xyxy, part.confidence, strict=True)]
        )

    base = walkers(still, 0)
    for more in (low, edge):
        every = [joined(base, more) if 12 <= i < 30 else base for i in range(46)]
        assert len(fill(every)[1]) == 5


def test_a_jump_is_looked_at_closely():
    every = [walkers([(100 if i < 20 else 400, 300, 0, 0)], 0) for i in range(46)]
    filled, inferred = fill(every)
    assert {19, 20} <= set(inferred)
    assert {round(float(boxes.xyxy[0, 0])) for boxes in filled} == {80, 380}


def test_times_decide_how_far_a_box_is_and_bad_times_do_not_matter():
    every = [walkers([(100, 300, 100, 0)], time) for time in (0.0, 0.01, 0.3)]
    filled, _ = fill(every, KeyFrames(2), times=[0.0, 0.01, 0.3])
    assert filled[1].xyxy == pytest.approx(every[1].xyxy, abs=0.01)
    for times in ([0.0, 0.0, 0.0], [0.3, 0.2, 0.1]):
        filled, _ = fill(every, KeyFrames(2), times=times)
        assert filled[1].xyxy == pytest.approx((every[0].xyxy + every[2].xyxy) / 2)
    assert choose_and_fill(3, every.__getitem__, lambda i: False, None, KeyFrames(2), SIZE)[1][1] is False


def test_doubt_counts_by_time_and_by_what_is_foreseen():
    """One of six is lost: that matters for half a second, not for a third, and less where one knows how they moved."""
    crowd = [(60 + 100 * i, 300, 0, 0) for i in range(6)]
    six, five = walkers(crowd, 0), walkers(crowd[:5], 0)
    outcomes = []
    for times in ([0.0, 0.45], [0.0, 0.3]):
        (link,) = link_frames([six, five], times)
        outcomes.append(doubtful(six, five, link, SIZE))
    (_, known) = link_frames([six, six, five], [0.0, 0.45, 0.9])
    assert [*outcomes, doubtful(six, five, known, SIZE)] == [True, False, False]


def test_a_timestamp_that_jumps_by_years_asks_for_no_more_than_all_frames():
    some = Detections.empty(LABELS)
    filled = choose_and_fill(4, lambda i: some, lambda i: False, [0.0, 0.04, 0.08, 1e15], AUTO, SIZE)
    assert [seen for _, seen in filled] == [True] * 4
