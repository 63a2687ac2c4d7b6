"""Frames from wherever they are: an image, a folder of images, a video, an address, YouTube.

`open_source` looks at the content before the name (a PNG called ``.jpg`` is a PNG). What a person should know of a
source (rotation, a damaged stretch, a missing frame count) collects in ``source.info.notes`` while it is read.
"""

from __future__ import annotations

import difflib
import os
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from peoplenet_nb.errors import InstallationError, SettingsError, SourceError, choose
from peoplenet_nb.paths import DEMO_CLIP
from peoplenet_nb.sources.feed import Buffer
from peoplenet_nb.sources.frames import Decoder, Source
from peoplenet_nb.urls import hide_secrets

_Maker = partial[Source]  # of what is live; its keywords are those of `LiveSource`

DEMO = "demo"
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+)://")
_PLAYLISTS = (b"#EXTM3U", b"ffconcat version")
_KINDS = "It can be an image, a folder of images, a video file, an http(s), rtsp or rtmp address or a YouTube address."
_LIVE = ("rtsp", "rtsps", "rtmp", "rtmps")
_CAMERA = re.compile(r"/dev/video\d+$")


def open_source(
    spec: str | Path,
    *,
    every: int = 1,
    frames: int | None = None,
    start: int = 0,
    progress: bool = True,
    decoder: Decoder | str = Decoder.CPU,
    instead: str | Path | None = None,
    live: bool = False,
    seconds: float | None = None,
    buffer: Buffer | str = Buffer.DROP_OLDEST,
) -> Source:
    """Open an image, a folder of images, a video file, an address, a YouTube video or a live stream.

    Parameters
    ----------
    spec : str or Path
        A path, an ``http(s)://`` address, a YouTube address (fetched once, 720 lines at most), or one of an object
        store (``s3://``, ``gs://`` and what else fsspec reads); ``"demo"`` is the project's own clip where nothing of
        that name is in the current folder. ``rtsp://``, ``rtmp://`` and ``/dev/video0`` are live.
    every : int
        Take each ``every``-th frame.
    frames : int, optional
        Take so many frames at most.
    start : int
        Index of the first frame to take.
    progress : bool
        Whether to show a bar while something is fetched.
    decoder : Decoder or str
        ``cpu``, or ``nvdec``: videos are decoded on the GPU, where there is one that can.
    instead : str or Path, optional
        What to open where an address gives no video, as YouTube often does to cloud machines; ``info.notes`` then
        says so. A path that is not there stays an error.
    live : bool
        Whether to take something else as it comes too: what is behind an ``http(s)://`` address, HLS among it, or a
        video file, which is then played at its own pace, again and again. The newest frame counts, and a stream that
        ends is connected to again.
    seconds : float, optional
        How long to read a live stream; until it is stopped when left out.
    buffer : Buffer or str
        What becomes of a frame of a live stream that nobody has taken when the next one comes: ``drop_oldest``, or
        ``wait``, which leaves none out and falls behind.

    Returns
    -------
    Source

    Raises
    ------
    SourceError
        When there is no such file, it is not a picture or video, it is damaged beyond use, or an address
        does not answer.
    SettingsError
        When ``every``, ``frames``, ``start``, ``decoder``, ``seconds`` or ``buffer`` make no sense.
    """
    buffer = choose(Buffer, buffer, "buffer")
    if seconds is not None and not 0 < seconds < float("inf"):
        step = "name the seconds as a number, or leave it out."
        raise SettingsError("A live stream is read for some time", seen=seconds, next_step=step)
    decoder = choose(Decoder, decoder, "decoder")
    text = str(spec)
    if not os.path.lexists(text):  # blanks may belong to a name, or to what was pasted
        text = text.strip()
    make = partial(_live, seconds=seconds, buffer=buffer)
    source = _open_or(text, progress, instead, make, live).sampled(every, frames, start)
    if seconds is not None and not source.live:
        step = "name frames= to end early, or live=True (--live) to play it as it comes."
        raise SettingsError("Only a live stream ends after a time", seen=source.info.spec, next_step=step)
    if decoder is not Decoder.CPU:
        source = source.decoded_by(decoder)
    count = source.info.frame_count
    if count is not None and start >= count:
        raise SourceError(
            f"The source has {count} frames; there is none to start from",
            seen=f"start={start}",
            next_step=f"choose a start below {count}.",
        )
    return source


def _live(address: Path | str, **options: Any) -> Source:
    from peoplenet_nb.sources.stream import LiveSource

    return LiveSource(address, **options)


def _open_or(spec: str, progress: bool, instead: str | Path | None, make: _Maker, live: bool) -> Source:
    try:
        source = _open(spec, progress, make, live)
    except (SourceError, InstallationError) as error:
        if instead is None or not _SCHEME.match(spec):
            raise
        spec, refused = str(instead), f"{hide_secrets(spec)} gave no video. {error}"
        source = _open(spec, progress, make, live)
        source.info.notes.append(f"Instead of what was asked for, {source.info.name} was opened: {refused}")
    source.opened = spec
    return source


def _open(spec: str, progress: bool, make: _Maker, live: bool) -> Source:
    if spec.lower() == DEMO and not Path(spec).exists():
        return make(DEMO_CLIP) if live else open_path(DEMO_CLIP)
    scheme, path = _parts(spec)
    if is_live(spec):
        from peoplenet_nb.sources import stream

        return stream.open_live(spec, **make.keywords)
    if scheme in ("http", "https"):
        from peoplenet_nb.sources import links, youtube

        if youtube.is_youtube(spec):
            video = youtube.fetch(spec, progress=progress)
            source = open_path(video)
            source.info.name, source.info.spec = video.stem, youtube.watch_address(video.stem)
            return source
        return links.open_link(spec, make=make if live else None)
    if scheme not in ("", "file"):
        from peoplenet_nb.sources import remote

        if remote.is_remote(spec):
            return remote.RemoteVideo(spec)
        raise SourceError("This kind of address cannot be read", seen=hide_secrets(spec), next_step=_KINDS)
    source = open_path(_existing(spec, path))
    return make(source.files[0]) if live and source.info.kind == "video" else source


def is_live(spec: str) -> bool:
    """Return whether an address or path is live by its kind; an ``http(s)`` address tells only when it is opened."""
    return spec.partition("://")[0].lower() in _LIVE or _CAMERA.match(spec) is not None


def _parts(spec: str) -> tuple[str, str]:
    """Return the scheme of an address, in small letters, and its path; of anything else no scheme and all of it."""
    scheme = _SCHEME.match(spec)
    try:
        return (scheme.group(1).lower(), urlsplit(spec).path) if scheme else ("", spec)
    except ValueError as error:
        # The reason is left out: it may quote a password.
        raise SourceError(
            "This is not a valid address",
            seen=hide_secrets(spec),
            next_step="check the part between // and the next /; brackets are for IPv6 addresses only.",
        ) from error


def _existing(spec: str, text: str) -> Path:
    """Return the path of something that exists."""
    if not spec:
        raise SourceError("No such file or folder", seen="(empty)", next_step=_KINDS)
    try:
        path = Path(text).expanduser()
        # Not path.exists(): what it does where a folder may not be entered differs between Pythons.
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError("No such file or folder", seen=hide_secrets(spec), next_step=_near(path)) from None
    except PermissionError as error:
        raise _forbidden(error) from error
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user's ~, a null character
        seen = f"{hide_secrets(spec)}: {error.args[-1]}"
        raise SourceError("This cannot be a path", seen=seen, next_step=_KINDS) from error
    return path


def _forbidden(error: PermissionError) -> SourceError:
    step = "check its owner and permissions, and those of its folders (ls -l)."
    return SourceError("The file may not be read", seen=error, next_step=step)


def open_path(path: Path) -> Source:
    """Open an existing file or folder: images by content or name, all else as a video."""
    from peoplenet_nb.sources import stills

    try:
        if path.is_dir():
            return stills.ImageFolder(path)
        if not path.is_file():
            raise SourceError("This is neither a file nor a folder", seen=path, next_step=_KINDS)
        # By its stated size: files of the system such as /proc/kmsg have none, and may never come to an end.
        empty = path.stat().st_size == 0
        if not empty:
            with path.open("rb") as stream:
                head = stream.read(64)
    except PermissionError as error:
        raise _forbidden(error) from error
    except OSError as error:
        step = "check the disk, or copy the file again."
        raise SourceError("The file cannot be read", seen=error, next_step=step) from error
    if empty:
        step = "download or copy it again, and check its size."
        raise SourceError("The file is empty", seen=path, next_step=step)
    if stills.is_image(path, head):
        return stills.ImageFile(path)
    if head.startswith(_PLAYLISTS):
        raise SourceError(
            "This is a playlist: it names other files and addresses, which are not read from here",
            seen=path,
            next_step="name the video itself, or the playlist's http(s) address.",
        )
    from peoplenet_nb.sources.videofile import VideoFile

    try:
        return VideoFile(path)
    except SourceError as error:
        if not stills.is_unreadable(path, head):
            raise
        step = "save it as PNG or JPEG and name that."
        raise SourceError("This kind of picture cannot be read here", seen=path, next_step=step) from error


def _near(path: Path) -> str:
    """Return what to do about a path that is not there: names like it, or the last folder that exists."""
    folder = path.parent
    if not folder.is_dir():
        there = next((parent for parent in path.parents if parent.is_dir()), Path.cwd())
        return f"the folder {folder} is not there either; the path exists up to {there.resolve()}."
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        names = []
    lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(path.name.lower(), list(lower), n=3, cutoff=0.7)
    if close:
        return "did you mean " + " or ".join(str(folder / lower[name]) for name in close) + "?"
    return f"check the name; the folder {folder.resolve()} holds {len(names)} other entries."
