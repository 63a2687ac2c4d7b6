"""The small picture of each video on the contact sheet."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import av
import cv2
import numpy as np

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.files import write_bytes
from peoplenet_nb.fleet.listing import SHEET
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.sources.stills import read_image
from peoplenet_nb.video.result import RunResult

_WIDTH = 360  # pixels of a picture
_QUALITY = 80


def save_picture(result: RunResult, output: Path, name: str) -> None:
    """Write a small picture of a run, with its boxes, for the page; none where the run drew nothing."""
    with suppress(PeopleNetError, OSError, ValueError, cv2.error):
        picture = _picture(result)
        if picture is not None:
            height = max(1, round(picture.shape[0] * _WIDTH / picture.shape[1]))
            small = cv2.resize(picture, (_WIDTH, height), interpolation=cv2.INTER_AREA)
            fine, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            if fine:
                write_bytes(output / SHEET / f"{name}.jpg", data.tobytes())


def _picture(result: RunResult) -> Image | None:
    """Return a frame near the middle of the video (one that can be decoded by itself), or the middle image."""
    if result.video is not None:
        with closing(av.open(f"file:{result.video}")) as container:
            stream = container.streams.video[0]
            stream.thread_type = "NONE"
            if stream.duration:
                container.seek((stream.start_time or 0) + stream.duration // 2, stream=stream)
            frame = next(container.decode(stream), None)
            return None if frame is None else np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    if result.images is not None:
        files = sorted(result.images.iterdir())
        return read_image(files[len(files) // 2]) if files else None
    return None
