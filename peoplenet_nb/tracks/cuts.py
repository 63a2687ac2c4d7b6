"""Where one shot of a video ends and another begins, from small grey copies of its frames.

Two frames belong together where the small structure of one is found again in the other, correlated, a few cells to any
side: brightness and contrast do not count (a flash, an exposure that settles), nor the large shapes that many pictures
share (sky above, ground below), and a camera may turn by a tenth of the picture from frame to frame.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.uint8]

_SIZE = (32, 18)
_AROUND = (9, 9)  # cells; what is the same over so many is a large shape
_ACROSS, _DOWN = 3, 1  # cells that the picture may move
# Measured on vtest.avi, the demo clip and photographs: neighbours and pans of a tenth correlate by 0.8 or more, a big
# dark shape that is suddenly there leaves 0.5, other scenes have less than that.
_ALIKE = 0.5
_FLAT = 2.0  # grey levels; less structure than that is none


def thumbnail(image: npt.NDArray[np.uint8]) -> Thumbnail:
    """Return a small grey copy ``(18, 32)`` of a BGR or grey frame, for `scene_cut`."""
    step = max(1, min(image.shape[0] // 72, image.shape[1] // 128))
    few = np.ascontiguousarray(image[::step, ::step])
    grey = cv2.cvtColor(few, cv2.COLOR_BGR2GRAY) if few.ndim == 3 else few
    return np.asarray(cv2.resize(grey, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def scene_cut(before: Thumbnail, after: Thumbnail) -> bool:
    """Tell whether two neighbouring frames, as `thumbnail` gave them, belong to different shots."""
    one, other = _structure(before)[_DOWN:-_DOWN, _ACROSS:-_ACROSS], _structure(after)
    flat = [float(part.std()) < _FLAT for part in (one, other)]
    if any(flat):
        return not all(flat)
    return float(cv2.matchTemplate(other, one, cv2.TM_CCOEFF_NORMED).max()) < _ALIKE


def _structure(grey: Thumbnail) -> npt.NDArray[np.float32]:
    levels = grey.astype(np.float32)
    return np.ascontiguousarray(levels - cv2.blur(levels, _AROUND))
