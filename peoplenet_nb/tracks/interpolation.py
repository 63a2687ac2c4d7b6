"""Boxes at a moment between two frames whose boxes are known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.detections import Detections
from peoplenet_nb.tracks.association import Matches, match_boxes

HELD = 0.8
"""What is left of the confidence of a box that only one of the two frames has."""


def interpolate(
    a: Detections, b: Detections, share: float, frame_size: tuple[int, int], matches: Matches | None = None
) -> Detections:
    """Return the detections at a moment between two frames.

    Corners and confidence of a matched pair move in a straight line. A box of one frame alone stays where it is in
    the half that is nearer to its frame, at `HELD` of its confidence (in the very middle both halves count).

    Parameters
    ----------
    a, b : Detections
        Of the earlier and the later frame.
    share : float
        0..1, how far on the way; 0 gives ``a`` itself, 1 gives ``b``.
    frame_size : tuple of int
        Width and height in pixels; no box leaves it.
    matches : Matches, optional
        ``match_boxes(a, b)``, where it is at hand.

    Returns
    -------
    Detections
        By falling confidence. ``row`` and ``col`` are those of the nearer frame's box.
    """
    if share <= 0:
        return a
    if share >= 1:
        return b
    matches = match_boxes(a, b) if matches is None else matches
    pair_a, pair_b = a[matches.first], b[matches.second]
    near = pair_a if share < 0.5 else pair_b
    parts = [
        Detections(
            _between(pair_a.xyxy, pair_b.xyxy, share),
            _between(pair_a.confidence, pair_b.confidence, share),
            near.class_id,
            near.row,
            near.col,
            near.labels,
        )
    ]
    if share <= 0.5:
        parts.append(_held(a, matches.first))
    if share >= 0.5:
        parts.append(_held(b, matches.second))
    joined = _joined(parts)
    return replace(joined, xyxy=np.clip(joined.xyxy, 0, np.array([*frame_size, *frame_size], np.float32)))


def _between(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    return ((1 - share) * a.astype(np.float64) + share * b.astype(np.float64)).astype(np.float32)


def _held(detections: Detections, matched: npt.NDArray[np.int64]) -> Detections:
    """Return the unmatched, weakened."""
    alone = detections[np.setdiff1d(np.arange(len(detections)), matched)]
    return replace(alone, confidence=alone.confidence * np.float32(HELD))


def _joined(parts: list[Detections]) -> Detections:
    """Return the boxes of several by falling confidence."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("xyxy", "confidence", "class_id", "row", "col")
    }
    joined = Detections(**arrays, labels=parts[0].labels)
    return joined[np.argsort(-joined.confidence, kind="stable")]
