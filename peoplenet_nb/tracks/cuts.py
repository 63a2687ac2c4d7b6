"""Where one shot of a video ends and another begins, from small grey copies of its frames."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.uint8]

_SIZE = (32, 18)
_DIFFERENT = 0.6  # of the contrast: a pan of a tenth of the frame stays below, another picture is about 1


def thumbnail(image: npt.NDArray[np.uint8]) -> Thumbnail:
    """Return a small grey copy of a frame, for `scene_cut`.

    Parameters
    ----------
    image : ndarray
        ``(H, W, 3)`` BGR or ``(H, W)`` grey uint8.

    Returns
    -------
    ndarray
        ``(18, 32)`` uint8.
    """
    step = max(1, min(image.shape[0] // 72, image.shape[1] // 128))
    few = np.ascontiguousarray(image[::step, ::step])
    grey = cv2.cvtColor(few, cv2.COLOR_BGR2GRAY) if few.ndim == 3 else few
    return np.asarray(cv2.resize(grey, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def scene_cut(before: Thumbnail, after: Thumbnail) -> bool:
    """Tell whether two neighbouring frames belong to different shots.

    Parameters
    ----------
    before, after : ndarray
        What `thumbnail` gave for each.
    """
    one, other = (grey.astype(np.float32) - grey.mean(dtype=np.float32) for grey in (before, after))
    contrast = np.sqrt(one.std() * other.std())
    return bool(np.abs(one - other).mean() > _DIFFERENT * max(float(contrast), 4.0))
