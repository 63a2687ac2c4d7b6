"""Finished videos: joined without encoding again, and read back to see that a browser will play them.

Joining relies on videos without B-frames (`peoplenet_nb.video.writer`), where every packet's decoding time is its
presentation time. "file:" keeps FFmpeg from taking a folder ``12:30`` for the protocol of an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from peoplenet_nb import files
from peoplenet_nb.errors import OutputError
from peoplenet_nb.sources.mp4boxes import boxes_of

#: Ticks per second of all videos written here: MPEG's clock, a multiple of every usual frame rate.
CLOCK = 90_000
_TICK = Fraction(1, CLOCK)


@dataclass(frozen=True)
class VideoCheck:
    """What was read back from a video; a browser plays ``h264`` with ``yuv420p``."""

    codec: str
    pix_fmt: str
    frames: int  #: that are really in it
    width: int
    height: int
    duration_s: float  #: to the end of the last frame
    faststart: bool  #: whether the index (``moov``) stands before the pictures (``mdat``)
    problems: tuple[str, ...]  #: why it would not play everywhere; empty when all is well


def check_video(path: Path, frames: int | None = None) -> VideoCheck:
    """Read an MP4 back: its codec, pixel format, index, first and last picture, and how many ``frames`` are in it.

    Raises
    ------
    OutputError
        When it cannot be opened at all.
    """
    problems, count, end = [], 0, Fraction(0)
    try:
        with av.open(f"file:{path}") as container:
            stream: Any = container.streams.video[0]
            context = stream.codec_context
            codec, pix_fmt, size = context.name, str(context.pix_fmt), (context.width, context.height)
            last_key = Fraction(0)
            for packet in container.demux(stream):
                if packet.pts is not None and packet.size:
                    count += 1
                    end = max(end, (packet.pts + (packet.duration or 0)) * stream.time_base)
                    last_key = packet.pts * stream.time_base if packet.is_keyframe else last_key
            for at in (Fraction(0), last_key):
                container.seek(int(at / stream.time_base), stream=stream)
                if next(container.decode(stream), None) is None:
                    problems.append(f"no picture can be decoded at {float(at):.1f} s")
    except (FFmpegError, IndexError, OSError) as error:
        raise OutputError(
            "The video that was written cannot be read back",
            seen=f"{path}: {error}",
            next_step="check the free space on the disk and run again with --resume.",
        ) from error
    faststart = next((kind for kind in boxes_of(path) if kind in (b"moov", b"mdat")), b"") == b"moov"
    if (codec, pix_fmt) != ("h264", "yuv420p"):
        problems.append(f"it is {codec} {pix_fmt}, not h264 yuv420p")
    if not faststart:
        problems.append("its index stands at the end")
    if frames is not None and count != frames:
        problems.append(f"it holds {count} frames instead of {frames}")
    return VideoCheck(codec, pix_fmt, count, *size, float(end), faststart, tuple(problems))


def join_videos(parts: Sequence[tuple[Path, float]], out: Path) -> Path:
    """Join videos that `VideoWriter` wrote into one, by copying packets; nothing is encoded again.

    Each comes with the second of the whole at which it begins; the whole has its index in front.

    Raises
    ------
    OutputError
        When the parts do not fit together or cannot be read or written.
    """
    with (
        files.atomic(out) as partial,
        writing(out),
        av.open(f"file:{partial}", "w", format="mp4", container_options={"movflags": "+faststart"}) as whole,
    ):
        target, header = None, b""
        for path, begins in parts:
            with av.open(f"file:{path}") as part:
                stream: Any = part.streams.video[0]
                own = bytes(stream.codec_context.extradata or b"")
                if target is None:
                    target, header = whole.add_stream_from_template(stream), own
                if own != header:
                    raise OutputError(
                        "The parts of the video were encoded differently and cannot be joined",
                        seen=path,
                        next_step="run again with --overwrite (was PyAV or the encoder changed in between?).",
                    )
                for packet in part.demux(stream):
                    if packet.pts is not None and packet.size:
                        at = round((packet.pts * stream.time_base + Fraction(begins)) * CLOCK)
                        packet.pts, packet.dts, packet.time_base, packet.stream = at, at, _TICK, target
                        whole.mux(packet)
    return out


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let `files.writing` take FFmpeg's errors too, which are no ``OSError`` when its encoder or muxer fails."""
    with files.writing(path):
        try:
            yield
        except FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
