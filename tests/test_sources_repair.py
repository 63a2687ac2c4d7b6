"""The clock and the frame counter that keep a reader going over imperfect videos."""

from __future__ import annotations

from fractions import Fraction

import pytest

from peoplenet_nb.sources.repair import Clock, FrameCounter


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([100, 104, 108], [0, 0.04, 0.08]),  # a start that is not zero
        ([0, 4, None, 12], [0, 0.04, 0.08, 0.12]),  # one without a timestamp
        ([0, 4, 4, 12], [0, 0.04, 0.041, 0.12]),  # two at the same time
        ([0, 4, 8, 2, 12], [0, 0.04, 0.08, 0.081, 0.12]),  # a straggler
        (
            [1000, 1004, 0, 4, 8, 12, 20],  # two recordings, cut together: behind the fourth, gaps are kept
            [0, 0.04, 0.041, 0.042, 0.043, 0.083, 0.163],
        ),
    ],
)
def test_time_always_runs_forward(stamps, expected):
    clock = Clock(None, Fraction(1, 100), 0.04)
    assert [clock(stamp) for stamp in stamps] == pytest.approx(expected)


class Packet:
    is_discard, size = False, 1

    def __init__(self, pts, dts=None):
        self.pts, self.dts = pts, dts


def test_lost_frames_leave_gaps_only_once_there_was_damage():
    counter = FrameCounter()
    for pts in (0, 1, 2, 3, 4, 5, 6):
        counter.went_in(Packet(pts))
    assert counter.came_out(0) == 0
    assert counter.came_out(2) == 1  # VP8 hides packets: nothing was lost
    counter.damaged = True
    assert counter.came_out(5) == 4  # 3 and 4 were lost
    assert counter.came_out(1) is None  # a straggler whose place has been passed over
    assert counter.came_out(6) == 5


def test_recordings_cut_together_are_only_counted():
    counter = FrameCounter()
    counter.damaged = True  # the joint itself is marked as corrupt
    for dts in (8, 9, 0, 1):
        counter.went_in(Packet(dts, dts))
    assert [counter.came_out(pts) for pts in (8, 9, 0, 1)] == [0, 1, 2, 3]
