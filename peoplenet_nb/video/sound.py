"""The sound of a video beside other pictures, copied as it is."""

from __future__ import annotations

from fractions import Fraction
from heapq import merge
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import atomic
from peoplenet_nb.sources import Source
from peoplenet_nb.sources.videofile import FILE_ONLY
from peoplenet_nb.video.mp4 import CLOCK, writing


def with_sound(pictures: Path, source: Source, span: tuple[float, float], out: Path) -> None:
    """Join the pictures of one video with the sound of another; nothing is encoded again.

    Parameters
    ----------
    pictures : Path
        A video of `peoplenet_nb.video.writer`, which begins at 0.
    source : Source
        A video file; one without sound leaves the result without.
    span : tuple of float
        From when to when of the source, in seconds from its first picture.
    out : Path
        Where it goes: an MP4 with its index in front, and nothing that the source says of itself.

    Raises
    ------
    OutputError
        When it cannot be written, there is no file to take sound from, or an MP4 cannot hold this kind of sound.
    """
    if not source.files:
        what, step = "Sound is copied from files only", "download the video, and name it with --source."
        raise OutputError(what, seen=source.info.spec, next_step=step)
    with (
        atomic(out) as partial,
        writing(out),
        av.open(f"file:{source.files[0]}", metadata_errors="replace", container_options=FILE_ONLY) as other,
        av.open(f"file:{pictures}") as silent,
        av.open(f"file:{partial}", "w", format="mp4", container_options={"movflags": "+faststart"}) as whole,
    ):
        video, sound = silent.streams.video[0], other.streams.best("audio")
        streams: list[Any] = [whole.add_stream_from_template(video)]
        if sound is not None:
            try:
                streams.append(whole.add_stream_from_template(sound))
                streams[1].metadata.clear()
                whole.start_encoding()
            except (FFmpegError, ValueError) as error:
                what = "An MP4 cannot hold the sound of this video"
                step = "convert its sound to AAC with ffmpeg, or redact without --keep-audio."
                raise OutputError(what, seen=f"{sound.name}: {error}", next_step=step) from error
        best: Any = other.streams.best("video")
        began = Fraction(best.start_time or 0) * best.time_base if best is not None else Fraction(0)
        moved = [_packets(silent, video, Fraction(0), (0.0, float("inf")), streams[0])]
        if sound is not None:
            moved.append(_packets(other, sound, began, span, streams[1]))
        for _, packet in merge(*moved, key=lambda one: one[0]):
            whole.mux(packet)


def _packets(container: Any, stream: Any, began: Fraction, span: tuple[float, float], target: Any) -> Any:
    """Yield when each packet is played, and the packet, moved so that the span begins at 0."""
    for packet in container.demux(stream):
        if packet.pts is None or not packet.size:
            continue
        at = packet.pts * stream.time_base - began
        if span[0] <= at <= span[1]:
            ticks = round((at - Fraction(span[0])) * CLOCK)
            duration = round((packet.duration or 0) * stream.time_base * CLOCK)
            packet.pts = packet.dts = ticks
            packet.time_base, packet.duration, packet.stream = Fraction(1, CLOCK), duration, target
            yield ticks, packet
