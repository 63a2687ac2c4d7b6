"""Labels where there are none: what was seen for two seconds, and clearly at least once, is taken for true.

A person who is really there is found in frame after frame and now and then with confidence; what is false flickers.
That is no ground truth: it says nothing of people who are never found. It serves to choose a threshold for people, no
more; on faces and bags of the demo clip, whose truth is known, it chose badly (a tenth of F1 lost), so there it is not
used.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import SourceError
from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.matching import Floats
from peoplenet_nb.settings import Settings
from peoplenet_nb.tracks import match_boxes

# Chosen on vtest.avi, on all of it and on each third, then tried on the demo clip; what it loses in F1 against the best
# threshold is in benchmarks/RESULTS.md (recommend_settings.py). Followed from 0.05 over gaps of 0.7 s it lost several
# times as much: boxes of nothing are joined to people.
_CLASS = "person"
_LOW = 0.1  # coverage from which on boxes are followed
_SECONDS = 2.0
_PEAK = 0.3
_GAP_S = 0.3  # that a person may be lost
_LEAST_RATE = 3.0  # frames a second, below which people cannot be followed
_FEW = 10  # tracklets


@dataclass
class _Tracklet:
    frames: list[int] = field(default_factory=list)
    boxes: list[Floats] = field(default_factory=list)
    peak: float = 0.0


def check_without_labels(name: str, video: bool, rate: float) -> None:
    """Refuse pictures, and videos with too few frames a second to follow anybody, with a `SourceError`."""
    if not video or rate < _LEAST_RATE:
        raise SourceError(
            "Without labels people are followed from frame to frame, and cannot be here",
            seen=f"{name}: " + (f"{rate:.1f} frames a second" if video else "images"),
            next_step="pass labels, or take every frame of a video.",
        )


def tracklet_labels(clip: Clip, settings: Settings) -> Clip:
    """Return a clip whose labels are the tracklets of its own boxes.

    A `SourceError` when it is no video, has too few frames a second, or too few tracklets.
    """
    if _CLASS not in clip.labels.classes:
        raise SourceError(
            f"Without labels thresholds are chosen for people only, and the model has no class {_CLASS!r}",
            seen=", ".join(clip.labels.classes),
            next_step="pass labels.",
        )
    frames = np.array([int(frame) for frame in clip.labels.frames])
    rate = (clip.fps or 25.0) / float(np.median(np.diff(frames))) if len(frames) > 1 else 0.0
    check_without_labels(clip.name, clip.video, rate)
    tracks = [
        track
        for track in _follow(clip, settings.with_class(_CLASS, threshold=_LOW, min_confidence=0.0), rate)
        if track.peak >= _PEAK and track.frames[-1] - track.frames[0] >= _SECONDS * rate
    ]
    if len(tracks) < _FEW:
        raise SourceError(
            f"Too few people were seen for {_SECONDS:g} seconds to choose a threshold without labels",
            seen=f"{clip.name}: {len(tracks)}, and {_FEW} are needed",
            next_step="take a longer stretch, or label some frames.",
        )
    notes = [
        f"No labels: the {len(tracks)} people who were seen for {_SECONDS:g} seconds, and once with a coverage of "
        f"{_PEAK:g}, were taken for true. That chooses a threshold for people; it tells nothing of those never found.",
        *clip.notes,
    ]
    return replace(clip, labels=_labels(clip.labels, tracks), notes=notes)


def _follow(clip: Clip, low: Settings, rate: float) -> list[_Tracklet]:
    """Join boxes from frame to frame, ``rate`` a second; whoever is lost for long is somebody new."""
    gap = max(1, round(_GAP_S * rate))
    found = clip.found(low)
    found = found[found.class_id == clip.labels.classes.index(_CLASS)]
    done, live = list[_Tracklet](), list[_Tracklet]()
    edges = np.searchsorted(found.frame, np.arange(len(clip.labels.frames) + 1))
    for frame in range(len(clip.labels.frames)):
        mine = found[np.arange(edges[frame], edges[frame + 1])]
        gone = [track for track in live if track.frames[-1] < frame - gap]
        done += gone
        live = [track for track in live if track.frames[-1] >= frame - gap]
        before = np.array([track.boxes[-1] for track in live]).reshape(-1, 4)
        matches = match_boxes(_people(before), _people(mine.xyxy), 1.0 / rate)
        of_box = {
            i: live[track] for track, i in zip(matches.first.tolist(), matches.second.tolist(), strict=True)
        }
        started = {i: _Tracklet() for i in range(len(mine)) if i not in of_box}
        for i, track in (of_box | started).items():
            track.frames.append(frame)
            track.boxes.append(mine.xyxy[i])
            track.peak = max(track.peak, float(mine.confidence[i]))
        live += started.values()
    return done + live


def _people(xyxy: Floats) -> Detections:
    none = np.zeros(len(xyxy), np.int64)
    return Detections(xyxy.astype(np.float32), none.astype(np.float32), none, none, none, (_CLASS,))


def _labels(empty: Labels, tracks: list[_Tracklet]) -> Labels:
    """Return tracklets as labels; gaps are filled in a straight line."""
    frames, boxes = list[int](), list[Floats]()
    for track in tracks:
        filled = np.arange(track.frames[0], track.frames[-1] + 1)
        corners = np.array(track.boxes)
        boxes.append(np.stack([np.interp(filled, track.frames, corners[:, k]) for k in range(4)], axis=1))
        frames += filled.tolist()
    order = np.argsort(frames, kind="stable")
    xyxy = np.concatenate(boxes)[order]
    return replace(
        empty,
        frame=np.array(frames, np.int64)[order],
        class_id=np.full(len(order), empty.classes.index(_CLASS)),
        xyxy=xyxy,
        ignore=np.zeros(len(order), bool),
        area=(xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1),
        judged=(_CLASS,),
        format="tracklets",
    )
