"""Which parts of which frames to hide, and at which moments to doubt that it is enough.

Everything that was found is hidden, also what is of no track: one box too many costs a patch of the picture, one too
few shows somebody. Gaps of tracks are filled, and each track is held for some frames before and after it. Where no
face was found, the head of the person's box stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks import Tracks
from peoplenet_nb.tracks.tracked import Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 1.3
"""How much larger than a box its region is, in width and height."""
HOLD = 5
"""Frames before and after a track in which its region stays."""

CORNERS = ["x1", "y1", "x2", "y2"]
REGIONS = ["frame", "time_s", "track", "part", "origin", *CORNERS]
DOUBTS = ["time_s", "frame", "track", "reason", *CORNERS]

_LONG_GAP_S = 0.5
_SAME_S = 2.0  # a box that comes and goes there is one moment to look at
# Of a person's height. Somebody who stands is 7 to 8 heads tall and bows; of somebody who is cut by the picture's
# edge, or sits, the box is wide and the head a larger part of it.
_HEAD, _HEAD_OF_WIDTH, _MOST_HEAD = 0.2, 0.5, 0.5
_FACE_BELOW = 0.4  # of a person's height, from above: a face further down is somebody else's
_FOUND, _GAP, _HELD = "found", "gap", "held"


class What(StrEnum):
    """What is hidden of people."""

    FACE = "face"
    HEAD = "head"
    PERSON = "person"


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Boxes of one class over a video, by track and then time: position, track, corners, where they come from."""

    at: Ints
    track: Ints
    xyxy: Floats
    seen: Floats  #: as they were found, where tracks were smoothed since
    origin: list[str]


def regions_of(
    tracks: Tracks,
    frames: Sequence[Detections],
    frame_size: tuple[int, int],
    what: What,
    *,
    margin: float = MARGIN,
    hold: int = HOLD,
    begins: Sequence[int] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what to hide, and what to doubt.

    Parameters
    ----------
    tracks : Tracks
        Of the frames.
    frames : sequence of Detections
        All that was found, frame by frame.
    frame_size : tuple of int
        Width and height in pixels.
    what, margin, hold
        As for `peoplenet_nb.redaction.redact`; regions that stay move on as they moved.
    begins : sequence of int
        Positions at which a shot begins; nothing is held beyond.

    Returns
    -------
    DataFrame
        A line for each region: frame, time_s, track (0: none), part (``face``, ``head``, ``person``), origin
        (``found``, ``gap``, ``held``), x1, y1, x2, y2 in frame pixels; by frame.
    DataFrame
        A line for each doubtful moment: time_s, frame, track, reason, x1, y1, x2, y2; by time.
    """
    import pandas as pd

    shots = np.unique([0, *begins, len(frames)])
    people, faces = (
        _held(_boxes(tracks, frames, label), hold, shots, frame_size) for label in ("person", "face")
    )
    everybody = np.ones(len(people.at), bool)
    parts = []
    for boxes, part, which in (
        (people, What.PERSON, everybody)
        if what is What.PERSON
        else (people, What.HEAD, ~_with_face(people, faces) if what is What.FACE else everybody),
        (faces, What.FACE, np.ones(len(faces.at), bool)),
    ):
        calm, seen = (heads_of(b) if part is What.HEAD else b for b in (boxes.xyxy, boxes.seen))
        # What was found is hidden too where the smoothed box left it.
        left = which & ~_within(seen, grown_by(calm, margin, frame_size), frame_size)
        parts += [_rows(boxes, calm, part, which), _rows(boxes, seen, part, left)]
    regions = pd.concat([part for part in parts if len(part)] or parts)
    grown = grown_by(regions[CORNERS].to_numpy(np.float64), margin, frame_size)
    regions[CORNERS] = grown
    regions = regions[(grown[:, 2] > grown[:, 0]) & (grown[:, 3] > grown[:, 1])]
    at = regions.pop("at").to_numpy(np.int64)
    regions["frame"], regions["time_s"] = tracks.frames[at], tracks.times[at]
    regions = regions.sort_values(["frame", "part", "track"], ignore_index=True)[REGIONS]
    return regions, _doubts(people, tracks, frame_size, shots)


def heads_of(people: Floats) -> Floats:
    """Return the boxes of people's heads, ``(N, 4)``: the upper part of theirs, a fifth of somebody who stands."""
    width, height = people[:, 2] - people[:, 0], people[:, 3] - people[:, 1]
    tall = np.clip(_HEAD_OF_WIDTH * width, _HEAD * height, _MOST_HEAD * height)
    return np.column_stack([people[:, :3], people[:, 1] + tall])


def grown_by(boxes: Floats, margin: float, frame_size: tuple[int, int]) -> Floats:
    """Return boxes so much larger about their middles, within the frame."""
    middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2 * margin
    grown: Floats = np.concatenate([middle - half, middle + half], axis=1)
    return np.clip(grown, 0, [*frame_size, *frame_size])


def _within(boxes: Floats, others: Floats, frame_size: tuple[int, int]) -> np.ndarray:
    """Tell of each box whether what of it is in the frame lies within the other."""
    inside = np.clip(boxes, 0, [*frame_size, *frame_size])
    within = (inside[:, :2] >= others[:, :2]) & (inside[:, 2:] <= others[:, 2:])
    return np.asarray(within.all(axis=1))


def _boxes(tracks: Tracks, frames: Sequence[Detections], label: str) -> _Boxes:
    """Return the boxes of a class: those of tracks, and each that is of none as a track below 0."""
    mine = tracks.of_class(label)
    at = np.searchsorted(tracks.frames, mine.frame)
    wanted = [i for i, name in enumerate(tracks.labels) if name.lower() == label]
    classes = np.concatenate([np.zeros(0, np.int64), *(found.class_id for found in frames)])
    alone = np.setdiff1d(np.flatnonzero(np.isin(classes, wanted)), mine.detection)
    place = np.repeat(np.arange(len(frames)), [len(found) for found in frames])[alone]
    boxes = np.concatenate([np.zeros((0, 4)), *(found.xyxy for found in frames)])
    number = np.concatenate([mine.track, -1 - np.arange(len(alone))])
    seen = mine.xyxy.astype(np.float64)
    known = mine.detection >= 0
    seen[known] = boxes[mine.detection[known]]
    at, seen = np.concatenate([at, place]), np.concatenate([seen, boxes[alone]])
    calm = np.concatenate([mine.xyxy, boxes[alone]])
    order = np.lexsort((at, number))
    found = np.concatenate([known, np.ones(len(alone), bool)])[order]
    origin = [_FOUND if one else _GAP for one in found]
    return _Boxes(at[order], number[order], calm[order], seen[order], origin)


def _held(boxes: _Boxes, hold: int, shots: Ints, frame_size: tuple[int, int]) -> _Boxes:
    """Return the boxes with those before and after each track, which go on as it moved, within its shot."""
    ends = np.flatnonzero(np.diff(boxes.track, prepend=np.nan, append=np.nan))
    at, track, corners = [boxes.at], [boxes.track], [boxes.xyxy]
    for first, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        shot = int(np.searchsorted(shots, boxes.at[first], side="right"))
        for edge, inner, sign in (
            (first, min(first + hold, stop - 1), -1),
            (stop - 1, max(stop - 1 - hold, first), 1),
        ):
            begin = int(boxes.at[edge])
            limit = begin - int(shots[shot - 1]) if sign < 0 else int(shots[shot]) - 1 - begin
            steps = np.arange(1, min(hold, limit) + 1)
            apart = max(1, abs(int(boxes.at[inner]) - begin))
            middle = [(boxes.xyxy[i, :2] + boxes.xyxy[i, 2:]) / 2 for i in (edge, inner)]
            moved = np.tile((middle[0] - middle[1]) / apart, 2) * steps[:, None]
            at.append(begin + sign * steps)
            track.append(np.full(len(steps), boxes.track[edge]))
            corners.append(boxes.xyxy[edge] + moved)
    more = sum(map(len, at[1:]))
    whole, seen = np.concatenate(corners), np.concatenate([boxes.seen, *corners[1:]])
    origin = [*boxes.origin, *[_HELD] * more]
    return _Boxes(np.concatenate(at), np.concatenate(track), whole, seen, origin)


def _rows(boxes: _Boxes, corners: Floats, part: What, which: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    table = pd.DataFrame(corners, columns=CORNERS)
    table["at"], table["track"], table["part"] = boxes.at, np.maximum(boxes.track, 0), str(part)
    table["origin"] = boxes.origin
    return table[which]


def _with_face(people: _Boxes, faces: _Boxes) -> np.ndarray:
    """Return for each person's box whether a face was found in its upper part (or lies in a gap of one).

    Where several people are in front of each other, a face is that of the one whose head is nearest.
    """
    order = np.argsort(people.at, kind="stable")
    at, upper, heads = people.at[order], people.xyxy.copy(), heads_of(people.xyxy)
    upper[:, 3] = upper[:, 1] + _FACE_BELOW * (upper[:, 3] - upper[:, 1])
    bounds = np.column_stack([np.searchsorted(at, faces.at, side) for side in ("left", "right")])
    middles, tops = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (faces.xyxy, heads))
    inside = np.zeros(len(people.at), bool)
    for i in np.flatnonzero(bounds[:, 1] > bounds[:, 0]).tolist():
        if faces.origin[i] == _HELD:
            continue
        here, middle = order[slice(*bounds[i])], middles[i]
        here = here[((middle >= upper[here, :2]) & (middle <= upper[here, 2:])).all(axis=1)]
        if len(here):
            inside[here[np.abs(tops[here] - middle).sum(axis=1).argmin()]] = True
    return inside


def _doubts(people: _Boxes, tracks: Tracks, frame_size: tuple[int, int], shots: Ints) -> pd.DataFrame:
    """Return the moments at which somebody may be seen who is not hidden, or hidden in the wrong spot."""
    import pandas as pd

    rows: list[dict[str, Any]] = []

    def doubt(i: int, reason: str) -> None:
        at = int(people.at[i])
        corners = dict(zip(CORNERS, people.xyxy[i].tolist(), strict=True))
        who = {"track": max(0, int(people.track[i])), "reason": reason}
        rows.append({"time_s": float(tracks.times[at]), "frame": int(tracks.frames[at]), **who, **corners})

    kept = np.flatnonzero(np.array([origin != _HELD for origin in people.origin], bool))
    kept = kept[np.lexsort((people.at[kept], people.track[kept]))]
    number = people.track[kept]
    ends = np.flatnonzero(np.diff(number, prepend=np.nan, append=np.nan))
    for first, stop in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        of = kept[first:stop]
        if number[first] < 0:
            if not _is_known(int(of[0]), people, rows, tracks):
                doubt(int(of[0]), "found for a moment only")
            continue
        for i, does, edges in ((of[0], "appears", shots), (of[-1], "vanishes", shots - 1)):
            if int(people.at[i]) not in edges and not _at_border(people.xyxy[i], frame_size):
                doubt(int(i), f"{does} in the middle of the picture")
        gap = np.array([people.origin[i] == _GAP for i in of])
        for begin, end in np.flatnonzero(np.diff(gap, prepend=False, append=False)).reshape(-1, 2).tolist():
            seconds = tracks.times[people.at[of[end]]] - tracks.times[people.at[of[begin - 1]]]
            if seconds >= _LONG_GAP_S:
                doubt(
                    int(of[(begin + end) // 2]),
                    f"not found for {seconds:.1f} s: hidden where it may have been",
                )
    return pd.DataFrame(rows, columns=DOUBTS).sort_values(["time_s", "track"], ignore_index=True)


def _is_known(one: int, people: _Boxes, rows: list[dict[str, Any]], tracks: Tracks) -> bool:
    """Tell whether the head of a box of no track is that of a track, or the box was doubted a moment before."""
    here = (people.at == people.at[one]) & (people.track > 0)
    theirs = heads_of(people.xyxy[here])
    tall, box = people.xyxy[one, 3] - people.xyxy[one, 1], people.xyxy[one]
    head = heads_of(box[None])[0]
    head = (head[:2] + head[2:]) / 2
    if ((head >= theirs[:, :2]) & (head <= theirs[:, 2:])).all(axis=1).any():
        return True
    now = float(tracks.times[people.at[one]])
    return any(
        not row["track"]
        and abs(now - row["time_s"]) <= _SAME_S
        and abs(box[0] - row["x1"]) + abs(box[1] - row["y1"]) < tall
        for row in rows
    )


def _at_border(box: Floats, frame_size: tuple[int, int]) -> bool:
    """Tell whether somebody walks in or out there: within half a width of a side, or at the lower edge."""
    half = (box[2] - box[0]) / 2
    return bool(
        min(box[0], frame_size[0] - box[2]) < half or frame_size[1] - box[3] < half or box[1] < half / 2
    )
