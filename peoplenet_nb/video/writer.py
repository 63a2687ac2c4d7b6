"""H.264 videos that a browser plays, written with PyAV; `peoplenet_nb.video.mp4` joins them and reads them back.

There are no B-frames: presentation order is then decoding order, so parts of a video join by copying their packets,
without edit lists and without encoding again; x264 needs a few percent more bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Self

import av
import cv2
import numpy as np
from av.error import FFmpegError

from peoplenet_nb.errors import DeviceError
from peoplenet_nb.files import PartialFile
from peoplenet_nb.hardware import available_threads, gpus
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.video.mp4 import CLOCK, writing

logger: logging.Logger = logging.getLogger(__name__)

ENCODERS = ("auto", "x264", "nvenc")
_LEAST_SIDE = 16  # pixels; one macroblock, below which encoders refuse
_MOST_THREADS = 4
_LEAST_FPS = 0.001  # for the rate control; one frame of a whole video has no rate
# The picture of "veryfast" at crf 23 (PSNR) for 25 to 33 % less of a processor's time and 13 to 21 % more bytes.
_X264 = {"preset": "superfast", "crf": "22.5", "mbtree": "1", "rc-lookahead": "10", "bf": "0"}
_NVENC = {"preset": "p4", "rc": "vbr", "cq": "25", "bf": "0"}
# OpenCV converts to BT.601 in limited range; saying so keeps a browser from guessing BT.709 for large videos.
_BT601, _LIMITED = 6, 1


class Planes(NamedTuple):
    """A picture as the encoder takes it."""

    yuv: Image  #: ``(3/2 H, W)`` uint8, planar YUV 4:2:0, of the padded size
    size: tuple[int, int]  #: ``(width, height)`` of the video without its padding
    rescaled: bool  #: whether the frame had another size


def planes_of(image: Image, size: tuple[int, int]) -> Planes:
    """Return a BGR uint8 frame for a video of ``(width, height)``: another size is scaled, odd sides are padded."""
    rescaled = (image.shape[1], image.shape[0]) != size
    if rescaled:
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    padded = padded_size(size)
    if padded != size:
        right, bottom = padded[0] - size[0], padded[1] - size[1]
        bordered = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        image = np.asarray(bordered, np.uint8)
    return Planes(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420), np.uint8), size, rescaled)


class VideoWriter:
    """Writes one H.264 MP4; a context manager that moves the video into place when it is whole.

    Parameters
    ----------
    path : Path
        Where the video goes; written under a temporary name, `partial`, until `close`.
    size : tuple of int
        ``(width, height)`` of the frames. Odd sizes are padded by one pixel, because yuv420p halves them;
        frames of another size are scaled to it.
    fps : float
        Mean frames per second, for the encoder's rate control; times come from `write`.
    encoder : str
        ``x264``, ``nvenc``, or ``auto``: NVENC where a GPU is there and it opens, else x264.
    pixel_aspect : Fraction
        Width of a pixel over its height.
    faststart : bool
        Whether to move the index to the front when done, so that a browser plays while it loads.

    Raises
    ------
    OutputError
        When the file cannot be written.
    DeviceError
        When NVENC was asked for and does not open.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        fps: float,
        *,
        encoder: str = "x264",
        pixel_aspect: Fraction = Fraction(1),
        faststart: bool = True,
    ) -> None:
        self.path: Path = Path(path)
        self.size = size
        self.frames = 0
        self.rescaled = 0
        self.encoder: str = choose_encoder(encoder, size)
        self._file = PartialFile(self.path)
        self.partial: Path = self._file.partial
        fps = max(fps or 25.0, _LEAST_FPS)
        self._nominal = max(1, round(CLOCK / fps))
        self._last: int | None = None
        self._held: Any = None  # the newest packet: its duration is known when the next one comes
        options = {"movflags": "+faststart"} if faststart else {}
        with writing(self.path):
            self.partial.touch()  # FFmpeg opens the file with the first packet: too late to refuse
            self._container = av.open(f"file:{self.partial}", "w", format="mp4", container_options=options)
            self._stream = self._add_stream(Fraction(fps).limit_denominator(1001), pixel_aspect)

    def _add_stream(self, rate: Fraction, pixel_aspect: Fraction) -> Any:
        name, options = ("libx264", _X264) if self.encoder == "x264" else ("h264_nvenc", _NVENC)
        stream: Any = self._container.add_stream(name, rate=rate, options=dict(options))
        context = stream.codec_context
        context.width, context.height = padded_size(self.size)
        context.pix_fmt = "yuv420p"
        context.time_base = Fraction(1, CLOCK)
        context.gop_size = max(1, min(250, round(2 * rate)))  # a key frame every two seconds, for scrubbing
        context.max_b_frames = 0
        context.thread_count = max(1, min(available_threads(), _MOST_THREADS))
        context.sample_aspect_ratio = pixel_aspect
        context.colorspace = context.color_primaries = context.color_trc = _BT601
        context.color_range = _LIMITED
        return stream

    def write(self, picture: Image | Planes, time_s: float) -> None:
        """Encode a BGR uint8 frame, or its planes, that is shown from ``time_s`` on, in seconds of the video."""
        planes = picture if isinstance(picture, Planes) else planes_of(picture, self.size)
        self.rescaled += planes.rescaled
        # Without a copy, but for heights of which PyAV would cut off two lines (it takes rows // 6 * 4).
        whole = len(planes.yuv) % 6 == 0
        wrap = av.VideoFrame.from_numpy_buffer if whole else av.VideoFrame.from_ndarray
        frame = wrap(planes.yuv, format="yuv420p")
        pts = round(time_s * CLOCK)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1
        frame.pts, frame.time_base = pts, Fraction(1, CLOCK)
        self._last = pts
        with writing(self.path):
            self._mux(self._stream.encode(frame))
        self.frames += 1

    def _mux(self, packets: Iterable[Any], last: bool = False) -> None:
        for packet in packets:
            if self._held is not None:
                self._held.duration = packet.pts - self._held.pts
                self._container.mux(self._held)
            self._held = packet
        if last and self._held is not None:
            self._held.duration = self._nominal
            self._container.mux(self._held)
            self._held = None

    def close(self) -> None:
        """Finish the video and move it into place; nothing is left behind when no frame was written."""
        with writing(self.path):
            if self.frames:
                self._mux(self._stream.encode(None), last=True)
            self._container.close()
            if self.frames:
                self._file.keep()
            self._file.drop()

    def abandon(self) -> None:
        """Give the video up and remove what was written of it."""
        try:
            self._container.close()
        except (FFmpegError, OSError) as error:
            logger.debug("closing an abandoned video: %s", error)
        self._file.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()


def padded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the even ``(width, height)`` of at least a macroblock that holds a frame."""
    width, height = (max(_LEAST_SIDE, side + side % 2) for side in size)
    return width, height


def padding_note(size: tuple[int, int]) -> str:
    """Return what a person should know of a video's size; empty when it is the frames' own."""
    padded = padded_size(size)
    if padded == size:
        return ""
    return (
        f"The video is {padded[0]}x{padded[1]} (H.264 wants even sizes of at least {_LEAST_SIDE}); "
        f"the frames and the table are {size[0]}x{size[1]}."
    )


def choose_encoder(wanted: str, size: tuple[int, int]) -> str:
    """Return ``x264`` or ``nvenc`` for a video of ``(width, height)`` pixels.

    Raises
    ------
    DeviceError
        For ``nvenc`` where it does not open, with its own reason, and for unknown names.
    """
    if wanted not in ENCODERS:
        raise DeviceError("Unknown encoder", seen=wanted, next_step=f"choose one of: {', '.join(ENCODERS)}.")
    if wanted == "x264" or (wanted == "auto" and not gpus()):
        return "x264"
    reason = nvenc_refusal(size)
    if reason is None:
        return "nvenc"
    if wanted == "nvenc":
        raise DeviceError(
            "The encoder NVENC was asked for and does not open",
            seen=reason,
            next_step="use encoder='x264'; some GPUs (A100, H100, H200) have no NVENC at all.",
        )
    logger.info("NVENC does not open (%s); x264 writes the video", reason)
    return "x264"


def nvenc_refusal(size: tuple[int, int] = (256, 256)) -> str | None:
    """Return why NVENC does not encode videos of a size here, None when it does: it is tried on one frame."""
    try:
        context: Any = av.CodecContext.create("h264_nvenc", "w")
        context.width, context.height = padded_size(size)
        context.pix_fmt, context.options, context.time_base = "yuv420p", dict(_NVENC), Fraction(1, 25)
        frame = av.VideoFrame(context.width, context.height, "yuv420p")
        frame.pts = 0
        context.encode(frame)
        context.encode(None)
    except (FFmpegError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return None
