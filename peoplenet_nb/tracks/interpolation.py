"""Boxes at a moment between two frames whose boxes are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks.association import Floats, Ints
from peoplenet_nb.tracks.motion import Link

FADING = 0.7
"""What a tenth of a second leaves of the confidence of a box that only one of the two frames has."""

ROUNDED = 1e-6  # times are rounded, and the middle is still the middle
LEAST_LEFT = 0.25  # of a box that walks out of the frame


def interpolate(
    a: Detections, b: Detections, share: float, frame_size: tuple[int, int], link: Link
) -> Detections:
    """Return the detections at a moment between two frames, by falling confidence.

    Corners and confidence of a matched pair go in a straight line. A box of one frame alone goes on as it came (it
    stays where that is unknown) in the half that is nearer to its frame, and fades; in the very middle both halves
    count. ``row`` and ``col`` are those of the nearer frame's box; no box leaves the frame.

    ``share`` is 0..1, how far on the way from the earlier frame ``a`` to ``b``, and ``link`` what `link_frames` found
    between the two.
    """
    if share <= 0:
        return a
    if share >= 1:
        return b
    first, second = link.matches.first, link.matches.second
    pair_a, pair_b = a[first], b[second]
    parts = [
        replace(
            pair_a if share < 0.5 else pair_b,
            xyxy=_between(pair_a.xyxy, pair_b.xyxy, share),
            confidence=_between(pair_a.confidence, pair_b.confidence, share),
        )
    ]
    if share <= 0.5 + ROUNDED:
        parts.append(_alone(a, first, link.before, share * link.seconds, frame_size))
    if share >= 0.5 - ROUNDED:
        parts.append(_alone(b, second, -link.after, (1 - share) * link.seconds, frame_size))
    return _joined(parts)


def _between(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    return ((1 - share) * a.astype(np.float64) + share * b.astype(np.float64)).astype(np.float32)


def _alone(
    frame: Detections, matched: Ints, motion: Floats, seconds: float, frame_size: tuple[int, int]
) -> Detections:
    """Return the unmatched boxes of a frame that long after it (or before), moved and faded."""
    index = np.setdiff1d(np.arange(len(frame)), matched)
    boxes = frame[index]
    moved = boxes.xyxy + np.tile(np.nan_to_num(motion[index]) * seconds, 2)
    inside = np.clip(moved, 0, np.array([*frame_size, *frame_size])).astype(np.float32)
    stays = _area(inside) > LEAST_LEFT * _area(boxes.xyxy)
    faded = boxes.confidence * np.float32(FADING ** (seconds / 0.1))
    return replace(boxes, xyxy=inside, confidence=faded)[stays]


def _area(xyxy: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    area: npt.NDArray[np.float32] = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
    return area


def _joined(parts: list[Detections]) -> Detections:
    """Return the boxes of several by falling confidence."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("xyxy", "confidence", "class_id", "row", "col")
    }
    joined = Detections(**arrays, labels=parts[0].labels)
    return joined[np.argsort(-joined.confidence, kind="stable")]
