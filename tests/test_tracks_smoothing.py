"""Tracks afterwards: smoothed as a plain regression does it, trimmed at the ends only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crowds import LABELS, walkers
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import Tracks, smooth, trim


def tracks(rows, times) -> Tracks:
    """Tracks of ``(frame, track, x, confidence)``, with times of all frames."""
    table = np.array(sorted(rows), np.float64).reshape(-1, 4)
    frame, track = table[:, 0].astype(int), table[:, 1].astype(int)
    boxes = table[:, 2:3] + np.array([0.0, 10, 20, 60])
    zeros, times = np.zeros(len(table), int), np.asarray(times, float)
    return Tracks(
        frame, times[frame], track, zeros, boxes, table[:, 3], zeros, LABELS, np.arange(len(times)), times
    )


def plain(whole: Tracks, seconds: float) -> np.ndarray:
    """Each corner fitted by numpy's own weighted regression."""
    out = whole.xyxy.copy()
    for i in range(len(out)):
        of = np.flatnonzero(
            (whole.track == whole.track[i]) & (abs(whole.time_s - whole.time_s[i]) <= 3 * seconds)
        )
        apart = whole.time_s[of] - whole.time_s[i]
        weight = np.exp(-0.25 * (apart / seconds) ** 2)  # polyfit squares it
        degree = min(1, len(of) - 1)
        out[i] = np.polyfit(apart, whole.xyxy[of], degree, w=weight)[-1]
    return out


@settings(deadline=None, max_examples=50)
@given(
    rows=st.dictionaries(
        st.tuples(st.integers(0, 15), st.integers(1, 3)),
        st.tuples(st.integers(0, 500), st.just(0.9)),
        max_size=30,
    ),
    steps=st.lists(st.integers(1, 5), min_size=16, max_size=16),
    seconds=st.sampled_from([0.1, 0.3, 1.0]),
)
def test_smoothing_is_a_regression_over_time_in_each_track(rows, steps, seconds):
    times = np.cumsum(steps) / 20
    whole = tracks([(frame, track, *more) for (frame, track), more in rows.items()], times)
    assert smooth(whole, seconds).xyxy == pytest.approx(plain(whole, seconds), abs=1e-5)


def test_who_walks_evenly_is_not_pulled_back_and_who_trembles_trembles_less():
    times = np.arange(40) / 10
    straight = tracks([(i, 1, 7 * i, 0.9) for i in range(40)], times)
    assert smooth(straight, 0.3).xyxy == pytest.approx(straight.xyxy)
    noise = np.random.default_rng(3).normal(0, 4, 40)
    shaky = tracks([(i, 1, 7 * i + noise[i], 0.9) for i in range(40)], times)
    before, after = (abs(t.xyxy - straight.xyxy).mean() for t in (shaky, smooth(shaky, 0.3)))
    assert after < before / 2
    assert smooth(shaky, 0) is shaky


def test_trimming_takes_faint_ends_and_leaves_the_middle():
    confidence = [0.2, 0.3, 0.8, 0.2, 0.9, 0.1]
    rows = [(i, 1, 0, c) for i, c in enumerate(confidence)] + [(2, 2, 50, 0.2)]
    left = trim(tracks(rows, np.arange(6) / 10), 0.5)
    assert left.frame.tolist() == [2, 3, 4]
    assert left.numbers.tolist() == [1]
    assert len(trim(left, 0)) == 1


@pytest.mark.parametrize("bad", [-1, float("nan"), 11])
def test_impossible_numbers_are_refused(bad):
    whole = tracks([(0, 1, 0, 0.9)], [0.0])
    with pytest.raises(SettingsError, match="smoothed"):
        smooth(whole, bad)
    with pytest.raises(SettingsError, match="confidence"):
        trim(whole, bad)


def test_boxes_are_found_by_track_and_frame():
    rng = np.random.default_rng(5)
    rows = {
        (int(f), int(t)): int(f) for f, t in zip(rng.integers(0, 30, 80), rng.integers(1, 9, 80), strict=True)
    }
    whole = tracks([(f, t, x, 0.9) for (f, t), x in rows.items()], np.arange(30) / 10)
    whole = replace(whole, frame=whole.frame + 100)
    for number in range(11):
        assert whole.of(number).tolist() == np.flatnonzero(whole.track == number).tolist()
    for frame in range(95, 135):
        assert whole.at(frame).tolist() == np.flatnonzero(whole.frame == frame).tolist()


def test_smoothed_walkers_are_nearer_to_the_truth_of_their_way():
    frames = [walkers([(60, 200, 40, 0)], i / 10) for i in range(30)]
    exact = np.concatenate([found.xyxy for found in frames]).astype(float)
    noisy = exact + np.random.default_rng(1).normal(0, 3, exact.shape)
    zeros, times = np.zeros(30, int), np.arange(30) / 10
    whole = Tracks(
        np.arange(30), times, zeros + 1, zeros, noisy, zeros + 0.9, zeros, LABELS, np.arange(30), times
    )
    assert abs(smooth(whole, 0.3).xyxy - exact).mean() < 0.6 * abs(noisy - exact).mean()
