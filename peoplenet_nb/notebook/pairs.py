"""Two videos of the same frames side by side, as one, so that they play at the same time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import Source, open_source
from peoplenet_nb.video.writer import VideoWriter

_WIDTH, _GAP, _SECONDS = 480, 8, 30.0


def beside(original: Source, other: Path) -> Path:
    """Return a small video of two, the first half minute of each; it lies in the cache of previews.

    Parameters
    ----------
    original : Source
        A video, sampled as the other was.
    other : Path
        One that was made of it, frame by frame.
    """
    target = cache_dir() / "previews" / f"beside-{other.parent.name}-{other.stat().st_mtime_ns}.mp4"
    if target.is_file():
        return target
    info = original.info
    width = min(_WIDTH, info.width)
    size = (width, max(2, round(info.height * width / info.width)))
    gap = np.full((size[1], _GAP, 3), 255, np.uint8)
    rate = (info.fps or 25.0) / original.every
    with VideoWriter(target, (2 * width + _GAP, size[1]), rate) as writer:
        for one, two in zip(original, open_source(other), strict=False):
            if two.time_s > _SECONDS:
                break
            small = [cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA) for frame in (one, two)]
            writer.write(np.asarray(np.hstack([small[0], gap, small[1]]), np.uint8), two.time_s)
    return target
