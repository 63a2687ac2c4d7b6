"""Live streams as sources: RTSP over TCP, RTMP, what of HTTP and HLS has no end, cameras of this machine.

A `LiveSource` gives the newest frame there is (`peoplenet_nb.sources.feed`), with the time of its arrival; it goes on,
over every interruption, until it is stopped or its time is up. A file can be played as a stream too: at its own pace,
again and again.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self
from urllib.parse import urlsplit

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.error import ConnectionRefusedError as Refused
from av.error import (
    ExitError,
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPUnauthorizedError,
)
from av.error import TimeoutError as TimedOut

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources.feed import Buffer, Connection, Feed, Limits
from peoplenet_nb.sources.frames import Candidate
from peoplenet_nb.sources.repair import Damage, turn_of
from peoplenet_nb.sources.videofile import NO_PLAYLISTS, VideoFile
from peoplenet_nb.urls import hide_secrets, hide_secrets_in

# FFmpeg's options for each kind of address.
_SCHEMES = {
    "rtsp": {"rtsp_transport": "tcp", "protocol_whitelist": "rtsp,rtp,tcp"},
    "rtsps": {"rtsp_transport": "tcp", "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls"},
    "rtmp": {"protocol_whitelist": "rtmp,tcp"},
    "rtmps": {"protocol_whitelist": "rtmp,rtmps,tcp,tls"},
}
# Half a second tells what is in a stream, and damaged data is left out rather than guessed.
_OPTIONS = {"fflags": "+genpts+discardcorrupt", "analyzeduration": "500000"}
_LIMITS = Limits()
_FASTEST, _USUAL = 240, 25  # frames per second; an RTSP stream may state a clock of 90000
_LATE = ("The stream does not start in time", "check host, port and firewall; try a player.")
_REFUSALS: dict[type[Exception], tuple[str, str]] = {
    HTTPUnauthorizedError: (
        "The stream wants another user name or password",
        "write rtsp://name:password@host/path, with %40 for @ and %2F for / in a password.",
    ),
    HTTPForbiddenError: ("The stream is not for this user", "check the user's rights on the camera."),
    HTTPNotFoundError: (
        "There is no stream under this name",
        "check what follows the host; it differs by maker.",
    ),
    Refused: ("Nobody listens at this address", "check host and port, and that the camera is on."),
    TimedOut: _LATE,
    ExitError: _LATE,
}


class LiveSource(VideoFile):
    """Frames of a live stream, the newest first of all; it can be read by one at a time.

    Parameters
    ----------
    path : Path or str
        An address; a `Path` is played at its own pace, again and again.
    limits : Limits
        When the stream counts as gone.
    buffer : Buffer or str
        What becomes of frames that nobody takes in time.
    seconds : float, optional
        How long to read; until `end` when left out.
    **described
        Name, spec, fingerprint, options and playlist, as in `VideoFile`.

    Raises
    ------
    SourceError
        When it cannot be opened now. Once it was, it is connected to again and again.
    """

    live = True

    def __init__(
        self,
        path: Path | str,
        *,
        limits: Limits = _LIMITS,
        buffer: Buffer | str = Buffer.DROP_OLDEST,
        seconds: float | None = None,
        **described: Any,
    ) -> None:
        self._time_limits = (limits.open_s, limits.frame_s / 2)  # PyAV's clock for packets fires at twice
        self.limits, self.buffer, self.seconds = limits, Buffer(buffer), seconds
        self._shown: str = described.get("spec") or hide_secrets(str(path))
        self._shared = SimpleNamespace(feed=None)  # by all copies of this source
        self._earlier: dict[str, Any] = {}
        super().__init__(path, **{"fingerprint": f"live:{self._shown}"} | described)
        info = self.info
        info.frame_count = info.duration_s = None
        if not info.fps or info.fps > _FASTEST:
            info.fps = _USUAL
        if not self._is_link:
            info.notes.append("The file is played as if it were live: at its own pace, again and again.")

    @property
    def feed(self) -> Feed | None:
        """The reading in progress, or the last one: what arrived, what was dropped, and the gaps."""
        feed: Feed | None = self._shared.feed
        return feed

    @property
    def expected(self) -> int | None:
        """As many frames as were asked for, if any."""
        return self.frames

    def end(self) -> None:
        """Let the reading in progress come to its end; any thread may call it."""
        if self.feed is not None:
            self.feed.stop()

    def since(self, began: datetime, last_s: float) -> Self:
        """Return the same stream, read on: times from when a reading was begun, whose last frame came at a second."""
        other = self._with(self.every, self.frames, self.start)
        other._earlier = {"began": began, "last_s": last_s, "first": self.start}
        return other

    def _container(self, hwaccel: HWAccel | None) -> Any:
        if self._playlist or not self._is_link:
            return super()._container(hwaccel)
        began = time.monotonic()
        try:
            container = av.open(
                self._target,
                format=self._options.get("format"),
                metadata_errors="replace",
                timeout=self._time_limits,
                container_options={name: value for name, value in self._options.items() if name != "format"},
                hwaccel=hwaccel,
            )
        except (FFmpegError, ValueError) as error:
            late = time.monotonic() - began >= 0.9 * self.limits.open_s
            raise self._refused(ExitError(0, "", "") if late else error, error) from None
        if not container.streams.video:
            kinds = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
            container.close()
            step = "name the address of a stream with pictures."
            raise SourceError("The stream has no pictures", seen=f"{self._shown}: {kinds}", next_step=step)
        return container

    def _refused(self, kind: Exception, error: Exception) -> SourceError:
        """Return the error for a stream that does not open; FFmpeg's own message holds the whole address."""
        why = hide_secrets_in(str(getattr(error, "strerror", None) or type(error).__name__), str(self._path))
        unknown = ("The stream cannot be opened", "check the address in a player (VLC: Open Network Stream).")
        what, step = _REFUSALS.get(type(kind), unknown)
        return SourceError(what, seen=f"{self._shown}: {why}", next_step=step)

    def _stream(self, container: Any) -> Any:
        stream = super()._stream(container)
        # Threads that take a frame each give it back some frames later.
        stream.thread_type = "SLICE"
        stream.codec_context.flags |= Flags.low_delay
        return stream

    def _packets(self, container: Any, stream: Any, damage: Damage) -> Generator[Any]:
        """Demux until the first frame is there, in limited time."""
        began = time.monotonic()
        for packet in self._demux(container):
            if packet.stream is stream:
                yield packet
            if time.monotonic() - began > self.limits.open_s:
                break
        step = "look at the stream in a player; a camera may need a minute after it was switched on."
        raise SourceError("The stream brings no picture in time", seen=self._shown, next_step=step)

    def _connect(self) -> Connection:
        """Connect, and yield what arrives with the moment it does: pictures, or None for other data."""
        with closing(self._open()) as container:
            yield time.monotonic(), None
            stream, turn = self._stream(container), None
            # All streams are read: a video that stops while the sound goes on would never come back from FFmpeg.
            for packet in self._paced(container, stream) if not self._is_link else self._demux(container):
                at = time.monotonic()
                if packet.stream is not stream:
                    yield at, None
                    continue
                try:
                    frames = packet.decode()
                except FFmpegError:
                    frames = []
                for frame in frames:
                    if turn is None:
                        turn = self._turn = turn_of(frame)
                    # What a decoder guessed for lost data is grey or smeared: no picture of the camera.
                    yield at, None if frame.is_corrupt else self._pixels(frame)
                if not frames:
                    yield at, None

    def _demux(self, container: Any) -> Generator[Any]:
        try:
            yield from container.demux()
        except EOFError:
            return
        except (ExitError, TimedOut):
            raise SourceError(f"no data came for {self.limits.frame_s:g} s") from None
        except FFmpegError as error:
            raise SourceError("the connection broke", seen=error.strerror) from None

    def _paced(self, container: Any, stream: Any) -> Generator[Any]:
        """Read a file as fast as it is to be played, and from its start again."""
        begin, first = time.monotonic(), None
        for lap in count():
            last = 0.0
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                first = float(packet.pts * stream.time_base) if first is None else first
                last = float(packet.pts * stream.time_base) - first
                time.sleep(max(0.0, begin + last - time.monotonic()))
                yield packet
            begin += last + 1 / (self.info.fps or _USUAL)
            container.seek(0)
            if lap and not last:
                return

    def _walk(self) -> Generator[Candidate]:
        feed = self._shared.feed = Feed(
            self._connect,
            self.limits,
            self.buffer,
            seconds=self.seconds,
            name=self.info.name,
            **self._earlier,
        )
        size = (self.info.width, self.info.height)
        feed.start()
        try:
            while (frame := feed.take()) is not None:
                if frame.pixels.size != size:
                    was, size = size, frame.pixels.size
                    self.info.notes.append(
                        f"From {frame.time_s:.1f} s on the frames are {size[0]}x{size[1]}, before {was[0]}x{was[1]}; "
                        "boxes are in the pixels of their own frame."
                    )
                yield Candidate(frame.number, frame.time_s, partial(getattr, frame, "pixels"))
        finally:
            feed.stop()


def open_live(spec: str, **options: Any) -> LiveSource:
    """Open a stream behind an address that is live by its kind, or a camera of this machine, ``/dev/video0`` say.

    ``options`` are those of `LiveSource`.
    """
    if spec.startswith("/dev/"):
        ffmpeg = {"format": "v4l2", "protocol_whitelist": "file"}
        return LiveSource(spec, name=Path(spec).name, spec=spec, options=ffmpeg, **options)
    try:
        parts = urlsplit(spec)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or len(spec.split()) > 1:  # behind a blank, librtmp takes options, a password among them
        step = "write it as rtsp://name:password@host:554/path; a password's / is %2F there, and its @ %40."
        shown = hide_secrets(spec.partition(" ")[0])
        raise SourceError("This is not a valid address", seen=shown, next_step=step)
    name = "-".join([host.replace(".", "-"), *(word for word in parts.path.split("/") if word)])
    ffmpeg = NO_PLAYLISTS | _OPTIONS | _SCHEMES[parts.scheme.lower()]
    return LiveSource(spec, name=name, spec=hide_secrets(spec), options=ffmpeg, **options)
