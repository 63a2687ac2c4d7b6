"""Which frames to label, and what stands in them before a person looks: boxes, and what may be boxes.

A label is worth most where the settings are least sure, so of each stretch of a video the frame with most doubt is
taken. That makes labelled frames harder than the average: what is measured on them is a little worse than the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from peoplenet_nb.cells import SavedGrids
from peoplenet_nb.decoding import decode, iou_matrix
from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Clustering, Settings

LEAST = 0.06
"""Coverage from which on something may be an object: below, more boxes are nothing than would be missed."""
_SAME = 0.35  # IoU from which on a box in doubt is the sure one seen from another cell
_LOOKED_AT = 1000  # frames, evenly spaced


def doubtful(grids: Grids, settings: Settings, classes: Sequence[str]) -> Detections:
    """Return the boxes of some classes that reach `LEAST` only, and lie on none that the settings give."""
    low = settings.replace(clustering=Clustering.NMS)
    for label in classes:
        least = min(max(LEAST, grids.floor), settings.for_class(label).threshold)
        low = low.with_class(label, threshold=least, min_confidence=0.0)
    every, sure = decode(grids, low).detections, decode(grids, settings).detections
    overlap = iou_matrix(every.xyxy.astype(np.float64), sure.xyxy.astype(np.float64))
    overlap[every.class_id[:, None] != sure.class_id[None, :]] = 0.0
    wanted = np.isin(every.class_id, [grids.labels.index(label) for label in classes])
    return every[wanted & (overlap.max(axis=1, initial=0.0) < _SAME)]


def prefilled(grids: Grids, settings: Settings, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return a frame's boxes as the browser has them (``Labelled`` in ``static/labelwork.js``)."""
    numbers = [grids.labels.index(label) for label in classes]
    found = decode(grids, settings).detections
    parts = [(found[np.isin(found.class_id, numbers)], True), (doubtful(grids, settings, classes), False)]
    return [
        {
            "c": int(class_id),
            "box": [round(float(value), 1) for value in box],
            "sure": sure,
            "score": round(float(score), 3),
        }
        for boxes, sure in parts
        for box, class_id, score in zip(boxes.xyxy, boxes.class_id, boxes.confidence, strict=True)
        if (box[2:] - box[:2]).min() >= 1  # a sliver at the frame's edge is nothing that a hand could take
    ]


def doubt(grids: Grids, settings: Settings, classes: Sequence[str]) -> float:
    """Return how unsure settings are of a frame: each box counts the more the nearer it is to its threshold."""
    low = settings.replace(clustering=Clustering.NMS)
    for label in classes:
        low = low.with_class(label, threshold=max(LEAST, grids.floor), min_confidence=0.0)
    found, total = decode(grids, low).detections, 0.0
    for label in classes:
        score = found.confidence[found.class_id == grids.labels.index(label)].astype(np.float64)
        threshold = min(max(settings.for_class(label).threshold, LEAST), 0.99)
        total += float(np.minimum(score / threshold, (1 - score) / (1 - threshold)).sum())
    return total


def choose_frames(
    saved: SavedGrids,
    settings: Settings,
    classes: Sequence[str],
    many: int,
    taken: Collection[int] = (),
) -> list[int]:
    """Return the frames to label, by their index in the source, rising.

    Parameters
    ----------
    saved : SavedGrids
        Of a run.
    settings : Settings
        Whose doubts count.
    classes : sequence of str
        The classes that are labelled.
    many : int
        How many frames there shall be, those that are ``taken`` included; fewer where the run has no more.
    taken : collection of int
        Frames that were chosen before; they stay.
    """
    frames = [frame for frame in saved.frames if frame not in set(taken)]
    need = min(many - len(taken), len(frames))
    if need <= 0:
        return sorted(taken)
    place = {frame: position for position, frame in enumerate(saved.frames)}
    looked = frames[:: max(1, len(frames) // max(_LOOKED_AT, need))]
    doubts = {frame: doubt(saved[place[frame]], settings, classes) for frame in looked}
    apart = len(saved.frames) / (
        2 * (need + len(taken))
    )  # positions that two chosen frames are apart, if possible
    chosen = list(taken)
    for stretch in np.array_split(np.array(looked), need):
        near = [
            abs(place[int(f)] - np.array([place[t] for t in chosen] or [-len(saved.frames)])).min()
            for f in stretch
        ]
        best = max(range(len(stretch)), key=lambda i: (near[i] >= apart, doubts[int(stretch[i])]))
        chosen.append(int(stretch[best]))
    return sorted(chosen)
