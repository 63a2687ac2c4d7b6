"""Pixels that hide: a flat patch, a mosaic, or blur, in place.

Nothing outside of a box is changed, and nothing of what is inside reaches beyond it. A flat patch leaves nothing to
guess; mosaic and blur keep some of the picture, and a patient person can undo some of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

_PATCH = (48, 48, 48)  # BGR: dark, but not what a video shows where nothing is
_MOSAIC = 5  # tiles over the longer side
_BLUR = 4  # of the longer side is what is mixed into a point


class How(StrEnum):
    """How it is hidden."""

    SOLID = "solid"
    MOSAIC = "mosaic"
    BLUR = "blur"


def hide(
    image: Image, boxes: Sequence[Sequence[float]] | npt.NDArray[np.float64], how: How = How.SOLID
) -> None:
    """Hide ``(N, 4)`` boxes of a BGR picture, which is changed.

    They are rounded outwards to even pixels, since a video keeps colours for pairs of them.
    """
    height, width = image.shape[:2]
    for x1, y1, x2, y2 in boxes:
        left, top = (max(0, 2 * math.floor(v / 2)) for v in (x1, y1))
        right, bottom = min(width, 2 * math.ceil(x2 / 2)), min(height, 2 * math.ceil(y2 / 2))
        if right <= left or bottom <= top:
            continue
        part = image[top:bottom, left:right]
        side = max(part.shape[:2])
        if how is How.SOLID:
            part[:] = _PATCH
        elif how is How.MOSAIC:
            tiles = [max(1, round(_MOSAIC * n / side)) for n in (part.shape[1], part.shape[0])]
            small = cv2.resize(part, tiles, interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(small, (part.shape[1], part.shape[0]), interpolation=cv2.INTER_NEAREST)
        else:
            part[:] = cv2.GaussianBlur(part, (0, 0), max(1.0, side / _BLUR), borderType=cv2.BORDER_REPLICATE)
