"""Tracks afterwards: boxes that tremble less, and no faint boxes at either end. Both are choices, off by default."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks.tracked import Tracks


def smooth(tracks: Tracks, seconds: float) -> Tracks:
    """Return tracks whose boxes lie on a line fitted to those of the moments around them.

    Each corner is a weighted linear regression over time (local linear regression with a Gaussian kernel, Fan and
    Gijbels 1996), so that somebody who walks is not pulled back. The kernel's standard deviation is 0 to 10 seconds; 0
    changes nothing.
    """
    if not 0 <= seconds <= 10:
        raise SettingsError(
            "Boxes are smoothed over 0 to 10 seconds", seen=seconds, next_step="pass 0.2, for example."
        )
    if seconds == 0 or not len(tracks.track):
        return tracks
    order = np.lexsort((tracks.frame, tracks.track))
    track, time, boxes = tracks.track[order], tracks.time_s[order], tracks.xyxy[order]
    sums, totals = np.zeros((3, len(order))), np.zeros((2, *boxes.shape))
    step = 0
    while True:
        reached = False
        for shift in {-step, step}:
            here = slice(max(0, -shift), len(order) - max(0, shift))
            there = slice(max(0, shift), len(order) - max(0, -shift))
            apart = time[there] - time[here]
            near = (track[here] == track[there]) & (np.abs(apart) <= 3 * seconds)
            reached |= bool(near.any())
            weight = np.where(near, np.exp(-0.5 * (apart / seconds) ** 2), 0.0)
            for power in range(3):
                sums[power][here] += weight * apart**power
            for power in range(2):
                totals[power][here] += (weight * apart**power)[:, None] * boxes[there]
        if not reached:
            break
        step += 1
        if step >= len(order):
            break
    spread = sums[0] * sums[2] - sums[1] ** 2
    line = spread > 1e-9 * sums[0] ** 2
    safe = np.where(line, spread, 1.0)[:, None]
    fitted = (sums[2][:, None] * totals[0] - sums[1][:, None] * totals[1]) / safe
    fitted = np.where(line[:, None], fitted, totals[0] / sums[0][:, None])
    smoothed = np.empty_like(tracks.xyxy)
    smoothed[order] = fitted
    return replace(tracks, xyxy=smoothed)


def trim(tracks: Tracks, confidence: float) -> Tracks:
    """Return tracks without ends that are fainter than a confidence within 0..1; who is left with none goes."""
    if not 0 <= confidence <= 1:
        raise SettingsError(
            "A confidence is within 0..1", seen=confidence, next_step="pass 0.5, for example."
        )
    sure = tracks.confidence >= confidence
    first, last = (dict[int, int]() for _ in range(2))
    for track, frame in zip(tracks.track[sure].tolist(), tracks.frame[sure].tolist(), strict=True):
        first.setdefault(track, frame)
        last[track] = frame
    begin = np.array([first.get(track, 1) for track in tracks.track.tolist()], np.int64)
    end = np.array([last.get(track, 0) for track in tracks.track.tolist()], np.int64)
    return tracks.only((tracks.frame >= begin) & (tracks.frame <= end))
