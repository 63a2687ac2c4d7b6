"""Who is who in two frames: an optimal assignment by class, and motion that is known."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crowds import detections, frames, reordered, walkers
from peoplenet_nb.tracks import link_frames, match_boxes
from peoplenet_nb.tracks.association import pair_costs


def pairs(matches) -> set[tuple[int, int]]:
    return set(zip(matches.first.tolist(), matches.second.tolist(), strict=True))


def least_total(costs: np.ndarray) -> float:
    """Every way to pair them, tried: the least sum of costs, one half for each box alone."""
    rows, columns = costs.shape
    if rows > columns:
        return least_total(costs.T)
    best = np.inf
    for chosen in permutations(range(columns), rows):
        of_pairs = np.minimum(costs[range(rows), chosen], 1.0)  # 1: both are alone
        best = min(best, float(of_pairs.sum()) + (columns - rows) / 2)
    return best


@settings(deadline=None)  # the first one imports SciPy
@given(frames(5), frames(5), st.sampled_from([0.04, 0.3, 1.0]))
def test_the_assignment_is_the_best_there_is(a, b, seconds):
    costs, found = pair_costs(a, b, seconds), match_boxes(a, b, seconds)
    alone = len(a) + len(b) - 2 * len(found)
    assert found.cost.sum() + alone / 2 == pytest.approx(least_total(costs))
    assert found.cost == pytest.approx(costs[found.first, found.second])


@given(frames(), frames(), st.sampled_from([0.04, 0.3, 1.0]))
def test_pairs_are_of_one_class_and_use_each_box_once(a, b, seconds):
    found = match_boxes(a, b, seconds)
    assert len(set(found.first.tolist())) == len(set(found.second.tolist())) == len(found)
    assert (a.class_id[found.first] == b.class_id[found.second]).all()
    assert (found.cost < 1).all()
    assert (np.diff(found.first) > 0).all()


@given(frames(), frames(), st.data())
def test_neither_the_order_nor_the_side_decides(a, b, data):
    costs = pair_costs(a, b, 0.3)
    assert pair_costs(b, a, 0.3) == pytest.approx(costs.T)
    order = data.draw(st.permutations(range(len(a))))
    straight, mixed = match_boxes(a, b, 0.3), match_boxes(reordered(a, order), b, 0.3)
    assert mixed.cost.sum() == pytest.approx(straight.cost.sum())
    assert match_boxes(b, a, 0.3).cost.sum() == pytest.approx(straight.cost.sum())
    if (straight.margin > 1e-6).all():  # nothing else is as good
        assert {(order[i], j) for i, j in pairs(mixed)} == pairs(straight)
        assert {(j, i) for i, j in pairs(match_boxes(b, a, 0.3))} == pairs(straight)


def test_a_whole_crowd_may_move_by_more_than_the_gap_between_people():
    """Somebody is always nearer to where the man in front was: what all have in common must not count."""
    here = walkers([(x, 300, 0, 0) for x in (100, 160, 220, 280)], 0)
    there = walkers([(x, 300, 50, 0) for x in (100, 160, 220, 280)], 1)
    assert pairs(match_boxes(here, there, 1.0)) == {(i, i) for i in range(4)}


@pytest.mark.parametrize(
    ("label", "step", "seconds", "same"),
    [
        (0, 0.25, 0.04, True),
        (0, 0.5, 0.04, False),  # twelve heights a second
        (0, 1.5, 1.0, True),  # a runner
        (0, 3.0, 1.0, False),
        (2, 1.5, 0.3, True),  # a face is a seventh of its person
        (2, 9.0, 0.3, False),
    ],
)
def test_how_far_one_comes_depends_on_the_time_and_the_class(label, step, seconds, same):
    height = 100 if label == 0 else 30
    a = detections([(100, 100, 140, 100 + height, 0.9, label)])
    moved = 100 + step * height
    b = detections([(moved, 100, moved + 40, 100 + height, 0.9, label)])
    assert bool(len(match_boxes(a, b, seconds))) is same


def test_a_box_of_another_size_is_somebody_else():
    a = detections([(100, 100, 140, 200, 0.9, 0)])
    assert not len(match_boxes(a, detections([(100, 120, 130, 180, 0.9, 0)]), 0.3))
    assert len(match_boxes(a, detections([(100, 105, 138, 195, 0.9, 0)]), 0.3))


def test_the_margin_tells_how_near_somebody_else_was():
    here = walkers([(100, 300, 0, 0)], 0)
    for x, clear in ((125, False), (400, True)):
        there = walkers([(102, 300, 0, 0), (x, 300, 0, 0)], 0)
        (margin,) = match_boxes(here, there, 0.5).margin
        assert bool(margin > 0.5) is clear
    assert match_boxes(here, here, 0.5).margin == [np.inf]
    # Who is much fainter is no rival, on either side.
    faint = detections([[*here.xyxy[0], 0.8, 0], [*(here.xyxy[0] + 5), 0.3, 0]])
    assert match_boxes(here, faint, 0.5).margin == match_boxes(faint, here, 0.5).margin == [np.inf]


def test_nobody_in_a_frame_matches_nobody():
    some, none = walkers([(100, 300, 0, 0)], 0), detections([])
    for a, b in ((some, none), (none, some), (none, none)):
        found = match_boxes(a, b, 0.1)
        assert (len(found), found.margin.shape, found.cost.shape) == (0, (0,), (0,))


def test_motion_tells_people_apart_who_pass_each_other():
    """A second apart each stands near where the other one was; from the frames around it is plain who is who."""
    crossing = [(100, 300, 60, 0), (220, 300, -60, 0)]
    times = [0.0, 0.5, 1.5, 2.0]
    keys = [walkers(crossing, time) for time in times]
    assert pairs(match_boxes(keys[1], keys[2], 1.0)) == {(0, 1), (1, 0)}
    links = link_frames(keys, times)
    assert [pairs(link.matches) for link in links] == [{(0, 0), (1, 1)}] * 3
    assert links[1].before == pytest.approx(np.array([[60, 0], [-60, 0]]), abs=1e-3)
    assert links[1].after == pytest.approx(links[1].before, abs=1e-3)
    assert np.isnan(links[0].before).all()
    assert np.isnan(links[-1].after).all()


@given(st.lists(frames(4), min_size=1, max_size=4))
def test_links_seen_backwards_are_the_same(keys):
    times = [0.3 * i for i in range(len(keys))]
    assume(all((match_boxes(a, b, 0.3).margin > 1e-6).all() for a, b in pairwise(keys)))
    forward, backward = link_frames(keys, times), link_frames(keys[::-1], times)[::-1]
    assert len(forward) == len(keys) - 1
    for one, other in zip(forward, backward, strict=True):
        assert one.matches.cost.sum() == pytest.approx(other.matches.cost.sum(), abs=1e-6)
