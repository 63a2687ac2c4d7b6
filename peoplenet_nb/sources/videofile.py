"""Videos as sources, read with PyAV, with their rotation, missing counts, odd timestamps and damage.

A packet that cannot be decoded is skipped and the video goes on. What was lost is counted, and noted once the reading
is over.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.error import ExitError, FFmpegError

from peoplenet_nb.errors import SourceError
from peoplenet_nb.files import fingerprint_of
from peoplenet_nb.sources.frames import Candidate, Decoder, Source, SourceInfo
from peoplenet_nb.sources.not_a_video import not_a_video
from peoplenet_nb.sources.pixels import VideoPixels
from peoplenet_nb.sources.repair import UPRIGHT, Clock, Damage, FrameCounter, early_end, some, turn_of
from peoplenet_nb.urls import hide_secrets_in

logger: logging.Logger = logging.getLogger(__name__)

# A fixed number: what a decoder makes of a damaged stretch depends on its threads, and a continued run must
# see the same frames. Four are enough for 4K, and bound the frames in flight.
_DECODER_THREADS = 4
_PROBE_PACKETS = 2000  # packets that may fail before the first frame
_DEMUX_FAILURES, _LINK_FAILURES = 10_000, 3  # in a row; each passes over 64 KB of a hole in a stream
# What may name other files and addresses is left out, whatever its name and its first bytes are.
NO_PLAYLISTS = {"format_whitelist": ",".join(av.formats_available - {"hls", "concat", "dash", "imf", "sdp"})}
FILE_ONLY = NO_PLAYLISTS | {"protocol_whitelist": "file"}


class VideoFile(Source):
    """A video in a file or behind an address.

    Parameters
    ----------
    path : Path or str
        A file, or an ``http(s)`` address.
    name, spec, fingerprint, options, playlist : optional
        For addresses: what to call it, FFmpeg's options (dict of str to str), and the `Playlist` that is there.

    Raises
    ------
    SourceError
        When it is not a video, holds no pictures, or no frame of it can be decoded.
    """

    _time_limits = (20.0, 30.0)  # seconds until a link is open, and until each packet is whole

    def __init__(
        self,
        path: Path | str,
        *,
        name: str = "",
        spec: str = "",
        fingerprint: str = "",
        options: Any = None,
        playlist: Any = None,
    ) -> None:
        self._is_link = isinstance(path, str)
        self._playlist = playlist
        self._options = options or FILE_ONLY
        # "file:" keeps FFmpeg from taking "12:30.mp4" for an address.
        self._target = path if isinstance(path, str) else f"file:{path}"
        self._path = path
        self._turn, self._nvdec = UPRIGHT, False
        self._notes: dict[str, str] = {}
        self._convertible: set[tuple[str, int, int]] = set()  # formats and sizes that were converted once
        info = SourceInfo(name or Path(path).name, spec or str(path), "video", 0, 0)
        super().__init__(info)
        with closing(self._open()) as container:
            self._probe(container)
        info.fingerprint = fingerprint or fingerprint_of(Path(path))

    @property
    def endless(self) -> bool:
        """Whether it has no end that is known: a live stream, also one that is read as a video."""
        return self.live or bool(self._playlist and self._playlist.live)

    @property
    def files(self) -> list[Path]:
        """The video, unless it is behind an address."""
        return [] if isinstance(self._path, str) else [self._path]

    def _open(self) -> Any:
        if self._nvdec:
            try:
                # What this GPU does not decode, FFmpeg decodes on the CPU after all.
                return self._container(HWAccel("cuda", allow_software_fallback=True))
            except SourceError as error:  # no CUDA device to make a decoder on
                logger.info("%s is not decoded on a GPU: %s", self.info.name, error)
        return self._container(None)

    def _input(self) -> tuple[Any, Any]:
        """Return what FFmpeg opens, and how it opens what that names."""
        return self._playlist.open() if self._playlist else (self._target, None)

    def _container(self, hwaccel: HWAccel | None) -> Any:
        file, io_open = self._input()
        try:
            container = av.open(
                file,
                format="hls" if self._playlist else None,
                io_open=io_open,
                metadata_errors="replace",
                timeout=self._time_limits if self._is_link else None,
                container_options=self._options,
                hwaccel=hwaccel,
            )
        except ExitError:
            what = "The video comes too slowly to be opened"
            raise SourceError(what, seen=self.info.spec, next_step="download it.") from None
        except (FFmpegError, ValueError) as error:
            # The original error quotes the whole address, with its secrets.
            raise not_a_video(self._path, error) from (None if self._is_link else error)
        if not container.streams.video or container.format.name in ("tty", "lrc"):
            kinds = ", ".join(sorted({stream.type for stream in container.streams}))
            container.close()
            if "audio" in kinds:
                what, step = "The file holds sound but no pictures", "name a video."
                raise SourceError(what, seen=self.info.spec, next_step=step)
            raise not_a_video(self._path, f"streams: {kinds or 'none'}")
        return container

    def _stream(self, container: Any) -> Any:
        videos = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
        if not videos:
            what = "The file holds sound and a cover picture, but no video"
            raise SourceError(what, seen=self.info.spec, next_step="name a video.")
        best = container.streams.best("video")
        stream = next((s for s in videos if best is not None and s.index == best.index), videos[0])
        if stream.codec_context is None:
            what, step = "This FFmpeg has no decoder for the video", "convert it to H.264 where it plays."
            raise SourceError(what, seen=self.info.spec, next_step=step)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 1 if stream.codec_context.is_hwaccel else _DECODER_THREADS
        return stream

    def decoded_by(self, decoder: Decoder) -> Self:
        """Return the same video decoded elsewhere: by the GPU where it can, by the CPU and with a note where not."""
        other = super().decoded_by(decoder)
        other._nvdec = decoder is Decoder.NVDEC
        if other._nvdec:
            try:
                with closing(other._open()) as container:
                    codec = other._stream(container).codec_context
                    seen = f"{codec.name} in {codec.pix_fmt}"
                    other._first_frame(container, other._stream(container))
                    other._nvdec = codec.is_hwaccel
            except SourceError as error:
                other._nvdec, seen = False, str(error.seen)
            if not other._nvdec:
                other.info.notes.append(f"No GPU here decodes this video ({seen}): the CPU does.")
        other.decoder = Decoder.NVDEC if other._nvdec else Decoder.CPU
        return other

    def _probe(self, container: Any) -> None:
        """Fill in the info from the container and the first frame."""
        stream, info = self._stream(container), self.info
        frame, self._start = self._first_frame(container, stream)
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        info.fps = float(rate) if rate else None
        info.frame_count = stream.frames or None
        if stream.duration:
            info.duration_s = float(stream.duration * stream.time_base)
        elif container.duration:
            info.duration_s = container.duration / av.time_base
        self._turn = turn_of(frame)
        info.height, info.width = frame.height, frame.width
        info.pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
        if self._turn[0, 0] == 0:
            info.height, info.width = info.width, info.height
            info.pixel_aspect = 1 / info.pixel_aspect
        if not np.array_equal(self._turn, UPRIGHT):
            info.rotation = frame.rotation % 360 if np.linalg.det(self._turn) > 0 else 0
            turned = f"turned by {info.rotation}° counter-clockwise" if info.rotation else "mirrored"
            info.notes.append(f"The frames are {turned}, as the video's rotation data says.")
        if info.frame_count is None and not self.live:
            about = f"; about {self.expected} by its duration" if self.expected else ""
            info.notes.append(f"The video does not state its number of frames{about}.")
        if self._pixels(frame) is None:
            what = "The video's pixel format cannot be read"
            raise SourceError(what, seen=frame.format.name, next_step="convert it to H.264.")

    def _first_frame(self, container: Any, stream: Any) -> tuple[Any, int | None]:
        """Return the first good frame, and the timestamp that counts as zero: its own if none was lost before."""
        failed = 0
        for packet in self._packets(container, stream, Damage()):
            try:
                frames = packet.decode()
            except FFmpegError:
                failed += 1
                if failed > _PROBE_PACKETS:
                    break
                continue
            if frames:
                return frames[0], stream.start_time if failed else frames[0].pts
        raise SourceError(
            "No frame of the video can be decoded",
            seen=f"{self.info.spec}, codec {stream.codec_context.name}, {failed} packets failed",
            next_step="play it in a player; if it plays there, convert it with ffmpeg to H.264.",
        )

    def _packets(self, container: Any, stream: Any, damage: Damage) -> Iterator[Any]:
        """Demux, going on behind what cannot be read."""
        failures, limit = 0, _LINK_FAILURES if self._is_link else _DEMUX_FAILURES
        while True:
            try:
                for packet in container.demux(stream):
                    failures = 0
                    yield packet
            except EOFError:
                return
            except FFmpegError as error:
                failures += 1
                damage.holes += 1
                if failures >= limit:
                    damage.broke_off = str(error)
                    return
            else:
                return

    def _walk(self) -> Generator[Candidate]:
        damage, counter = Damage(), FrameCounter()
        with closing(self._open()) as container:
            stream = self._stream(container)
            step = 1 / self.info.fps if self.info.fps else 0.04
            clock = Clock(self._start, stream.time_base, step)
            finished = False
            try:
                for packet in self._packets(container, stream, damage):
                    counter.went_in(packet)
                    damage.corrupt_packets += packet.is_corrupt
                    counter.damaged = bool(damage)
                    try:
                        frames = packet.decode()
                    except FFmpegError:
                        damage.packets += 1
                        continue
                    for frame in frames:
                        damage.frames += frame.is_corrupt
                        index = counter.came_out(frame.pts)
                        if index is None:
                            damage.packets += 1
                            continue
                        yield Candidate(index, clock(frame.pts), partial(self._pixels, frame))
                if damage.broke_off and self._is_link:
                    raise SourceError(
                        "The connection to the video broke off",
                        seen=f"after frame {counter.next - 1}: {hide_secrets_in(damage.broke_off, self._target)}",
                        next_step="continue with --resume, or download the video first.",
                    )
                finished = True
            finally:
                self._note(damage, clock, counter.next if finished else None)

    def _pixels(self, frame: Any) -> VideoPixels | None:
        """Return a frame's picture, to be converted when it is looked at; None where that does not go."""
        pixels = VideoPixels(frame, self._turn)
        kind = (frame.format.name, frame.width, frame.height)
        if kind not in self._convertible:
            try:
                _ = pixels.image
            except SourceError:
                return None
            self._convertible.add(kind)
        return pixels

    def _note(self, damage: Damage, clock: Clock, count: int | None) -> None:
        """Put into the notes what reading showed; ``count`` is None when it stopped before the end."""
        info = self.info
        notes = {"damage": damage.sentence()}
        if clock.missing:
            lacking = f"The video lacks timestamps ({some(clock.missing, 'frame')})"
            notes["pts"] = f"{lacking}; times are counted at {info.fps or 25:g} frames per second."
        if clock.backward:
            behind = some(clock.backward, "timestamp")
            notes["back"] = f"{behind} ran backwards and stand behind the frame before."
        if count is not None:
            notes["end"] = early_end(info.frame_count, info.duration_s, count, clock.last or 0.0)
        if clock.variable and not damage and not notes.get("end"):
            apart = f"{clock.shortest * 1e3:.0f} to {clock.longest * 1e3:.0f} ms between frames"
            notes["vfr"] = f"The frame rate varies ({apart}); times are kept as they are."
        for topic, text in notes.items():
            if self._notes.get(topic) in info.notes:  # from an earlier reading of the same video
                info.notes.remove(self._notes[topic])
            if text:
                self._notes[topic] = text
                info.notes.append(text)
                logger.info("%s: %s", info.name, text)
