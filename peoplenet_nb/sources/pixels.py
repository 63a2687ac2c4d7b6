"""Pictures of decoded video frames, converted when they are looked at.

A frame stays as the decoder made it, at half the bytes of BGR, until somebody needs its picture: in a run with key
frames that writes no video, most never are.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.sources.repair import turned

# Formats whose first plane is the brightness, a byte a pixel.
_GREY_FIRST = {
    *("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "yuva420p"),
    *("nv12", "nv21", "gray"),
}
_local = threading.local()


class VideoPixels:
    """The picture of one decoded frame.

    Parameters
    ----------
    frame : av.VideoFrame
        As it was decoded.
    turn : ndarray
        How the picture is turned (`peoplenet_nb.sources.repair.turn_of`).
    """

    def __init__(self, frame: Any, turn: Any) -> None:
        self._frame, self._turn = frame, turn

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of `image`."""
        width, height = self._frame.width, self._frame.height
        return (height, width) if self._turn[0, 0] == 0 else (width, height)

    @property
    def image(self) -> Image:
        """``(H, W, 3)`` BGR uint8, made anew each time.

        Raises
        ------
        SourceError
            When the frame's format cannot be converted.
        """
        return turned(self._converted("bgr24"), self._turn)

    @property
    def grey(self) -> Image:
        """``(H, W)`` uint8 brightness, not turned: the decoder's own plane where it has one, without a copy."""
        if self._frame.format.name not in _GREY_FIRST:
            return self._converted("gray")
        plane = self._frame.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[: self._frame.height, : self._frame.width]

    def _converted(self, name: str) -> Image:
        if not hasattr(_local, "reformatter"):  # what it prepares for a format is for one thread
            _local.reformatter = VideoReformatter()
        try:
            picture = _local.reformatter.reformat(self._frame, format=name, threads=1)
        except (FFmpegError, ValueError) as error:
            raise SourceError(
                "A frame of the video cannot be converted to a picture",
                seen=f"{self._frame.format.name}: {error}",
                next_step="convert the video with ffmpeg to H.264.",
            ) from error
        return np.asarray(picture.to_ndarray(), np.uint8)
