"""Identities for the boxes of a recorded video: an online tracker, and what looking back adds to it.

The trackers are those of the library ``trackers``; each class has one of its own. Frames between key frames take part
like any other: their boxes move from one key frame's to the next one's, and so carry the key frames' own matches to a
tracker that wants frames close together. A track that was lost for a while keeps its number, and because the video is
recorded, the boxes in between are closed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import InstallationError, SettingsError, choose
from peoplenet_nb.tracks.association import match_boxes
from peoplenet_nb.tracks.tracked import Floats, Ints, Tracks

GAP_S = 1.5
"""How long somebody may be lost, in seconds."""

_LIBRARY_FPS = 30.0  # what the library counts its buffer in
# Confidence from which boxes begin tracks, and join them first: the library's own; faces and bags are weaker.
_BEGINS, _SURE = 0.7, 0.6
_WEAK_BEGINS, _WEAK_SURE = 0.4, 0.3
# Of a box's sides, by which ByteTrack's boxes are larger when they are matched (Yang et al. 2023, C-BIoU): behind a
# post a person's box is narrow, and beside the one foreseen. No half of vtest.avi is worse for it, whatever the key
# frames, and most are better; the demo clip loses a little (HOTA -0.3 to -1.2). More than that swaps people.
_BUFFER = 0.05


class Tracker(StrEnum):
    """Which tracker."""

    BYTETRACK = "bytetrack"
    OCSORT = "ocsort"
    SORT = "sort"
    BOTSORT = "botsort"


def track_boxes(
    frames: Sequence[Detections],
    times: Sequence[float],
    *,
    tracker: str | Tracker = Tracker.BYTETRACK,
    gap_s: float = GAP_S,
    numbers: Sequence[int] | None = None,
    begins: Sequence[int] = (),
) -> Tracks:
    """Give the boxes of a video's frames identities.

    Parameters
    ----------
    frames : sequence of Detections
        Of every frame that was looked at, in order, also of those without any.
    times : sequence of float
        When each is shown, in seconds; they rise.
    tracker : str or Tracker
        ``bytetrack``, ``ocsort``, ``sort`` or ``botsort`` (without its compensation of a moving camera).
    gap_s : float
        How long somebody may be lost and is still the same; such gaps are closed by interpolation.
    numbers : sequence of int, optional
        Index of each frame in the source; left out, they count from 0.
    begins : sequence of int
        Positions of frames with which another shot begins: nobody is followed over a cut.

    Returns
    -------
    Tracks
        Of what was confirmed. A box that belongs to no track is not in it.

    Raises
    ------
    SettingsError
        For an unknown tracker, a negative gap, or times that do not rise.
    InstallationError
        Without the library.
    """
    kind = choose(Tracker, tracker, "tracker")
    if not 0 <= gap_s <= 60:
        raise SettingsError(
            "A gap is between 0 and 60 seconds long",
            seen=gap_s,
            next_step=f"pass gap_s={GAP_S}, for example.",
        )
    at = np.asarray(times, np.float64)
    if len(at) != len(frames) or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
        raise SettingsError(
            "There must be one time for each frame, and they must rise",
            seen=f"{len(at)} times for {len(frames)} frames",
            next_step="pass the times of the frames in seconds, in the order of the video.",
        )
    labels = frames[0].labels if frames else ()
    index = np.arange(len(frames)) if numbers is None else np.asarray(numbers, np.int64)
    offsets = np.cumsum([0, *(len(found) for found in frames)])
    rows: list[tuple[Ints, Ints]] = []
    begun = 0
    shots = np.unique([0, *begins, len(frames)]).tolist()
    for first, last in pairwise(shots):
        of = slice(first, last)
        for label in range(len(labels)):
            detection, track = _of_class(frames[of], label, offsets[of], at[of], kind, gap_s)
            detection, track = _looked_back(frames[of], label, offsets[of], at[of], detection, track)
            rows.append((detection, track + begun))
            begun += int(track.max(initial=-1)) + 1
    detection, track = (np.concatenate([row[i] for row in rows] or [np.zeros(0, np.int64)]) for i in range(2))
    return _joined(frames, index, at, offsets, detection, track, gap_s)


def _of_class(
    frames: Sequence[Detections], label: int, offsets: Ints, times: Floats, kind: Tracker, gap_s: float
) -> tuple[Ints, Ints]:
    """Return which detections of a class belong to tracks, and to which, from 0."""
    weak = frames[0].labels[label].lower() != "person"
    tracker = _made(kind, times, gap_s, weak)  # which says so where the libraries are missing
    import supervision as sv

    taken, given = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, found in enumerate(frames):
        which = np.flatnonzero(found.class_id == label)
        boxes = sv.Detections(
            xyxy=found.xyxy[which].copy(),
            confidence=found.confidence[which].copy(),
            data={"row": which + offsets[i]},
        )
        done = tracker.update(boxes, timestamp=float(times[i]))
        if len(done):
            confirmed = done.tracker_id >= 0
            taken.append(done.data["row"][confirmed].astype(np.int64))
            given.append(done.tracker_id[confirmed].astype(np.int64))
    return np.concatenate(taken), np.concatenate(given)


def _looked_back(
    frames: Sequence[Detections], label: int, offsets: Ints, times: Floats, detection: Ints, track: Ints
) -> tuple[Ints, Ints]:
    """Return the tracks with the boxes before their first: a tracker confirms nobody at first sight.

    A track goes back from frame to frame as long as a box of no track is where it must have been.
    """
    order = np.lexsort((detection, track))
    detection, track = detection[order], track[order]
    first = np.flatnonzero(np.diff(track, prepend=-1))
    begun = dict[int, list[tuple[int, int]]]()  # by frame: first boxes, and whose
    for one, number in zip(detection[first].tolist(), track[first].tolist(), strict=True):
        begun.setdefault(int(np.searchsorted(offsets, one, side="right")) - 1, []).append((one, number))
    taken, more = set(detection.tolist()), list[tuple[int, int]]()
    for i in range(len(frames) - 1, 0, -1):
        if i not in begun:
            continue
        before, now = frames[i - 1], frames[i]
        mine = np.flatnonzero(before.class_id == label)
        free = np.array([j for j in mine.tolist() if j + int(offsets[i - 1]) not in taken], np.int64)
        theirs = np.array([one - int(offsets[i]) for one, _ in begun[i]], np.int64)
        found = match_boxes(before[free], now[theirs], float(times[i] - times[i - 1]))
        for j, k in zip(free[found.first].tolist(), found.second.tolist(), strict=True):
            pair = (j + int(offsets[i - 1]), begun[i][k][1])
            begun.setdefault(i - 1, []).append(pair)
            more.append(pair)
    added = np.array(more, np.int64).reshape(-1, 2)
    return np.concatenate([detection, added[:, 0]]), np.concatenate([track, added[:, 1]])


def tracking_library() -> Any:
    """Return the library `trackers`, or say how to install it."""
    try:
        import trackers
    except ImportError as error:
        raise InstallationError(
            "Tracks need the library `trackers`, which is not installed",
            seen=error,
            next_step="bash setup_runpod.sh installs it, or pip install trackers supervision",
        ) from error
    return trackers


def _made(kind: Tracker, times: Floats, gap_s: float, weak: bool) -> Any:
    """Return a tracker of the library."""
    trackers = tracking_library()
    rate = 1.0 / float(np.median(np.diff(times))) if len(times) > 1 else _LIBRARY_FPS
    common: dict[str, Any] = {"frame_rate": rate, "lost_track_buffer": round(gap_s * _LIBRARY_FPS)}
    begins, sure = (_WEAK_BEGINS, _WEAK_SURE) if weak else (_BEGINS, _SURE)
    if kind is Tracker.BYTETRACK:
        from trackers.utils.iou import BIoU

        return trackers.ByteTrackTracker(
            **common,
            track_activation_threshold=begins,
            high_conf_det_threshold=sure,
            iou=BIoU(buffer_ratio=_BUFFER),
        )
    if kind is Tracker.BOTSORT:
        return trackers.BoTSORTTracker(**common, enable_cmc=False)
    return (trackers.OCSORTTracker if kind is Tracker.OCSORT else trackers.SORTTracker)(**common)


def _joined(
    frames: Sequence[Detections],
    index: Ints,
    times: Floats,
    offsets: Ints,
    detection: Ints,
    track: Ints,
    gap_s: float,
) -> Tracks:
    """Return the tracks with their gaps closed, numbered in the order in which they appear."""
    labels = frames[0].labels if frames else ()
    place = np.searchsorted(offsets, detection, side="right") - 1
    boxes = np.concatenate([np.zeros((0, 4)), *(found.xyxy for found in frames)])[detection]
    confidence = np.concatenate([np.zeros(0), *(found.confidence for found in frames)])[detection]
    classes = np.concatenate([np.zeros(0, np.int64), *(found.class_id for found in frames)])[detection]
    order = np.lexsort((place, track))
    parts = [np.column_stack([place, track, classes, detection, confidence, boxes])[order]]
    for one, next_one in pairwise(parts[0]):
        before, after = int(one[0]), int(next_one[0])
        if one[1] != next_one[1] or after - before < 2 or times[after] - times[before] > gap_s + 1e-6:
            continue
        inside = np.arange(before + 1, after)
        share = ((times[inside] - times[before]) / (times[after] - times[before]))[:, None]
        between = (1 - share) * one + share * next_one
        between[:, 0], between[:, 1:4] = inside, (one[1], one[2], -1)
        parts.append(between)
    rows = np.concatenate(parts)
    first: dict[int, int] = {}
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    for number in rows[:, 1].astype(int).tolist():
        first.setdefault(number, len(first) + 1)
    named = np.array([first[number] for number in rows[:, 1].astype(int).tolist()], np.int64)
    at = rows[:, 0].astype(np.int64)
    return Tracks(
        frame=index[at],
        time_s=times[at],
        track=named,
        class_id=rows[:, 2].astype(np.int64),
        xyxy=rows[:, 5:9],
        confidence=rows[:, 4],
        detection=rows[:, 3].astype(np.int64),
        labels=labels,
        frames=index,
        times=times,
    )
