"""HLS playlists behind addresses, each of which is looked at before FFmpeg sees it.

FFmpeg follows playlists without an end: 49 bytes that name themselves take gigabytes, and a live stream's that turns
into a playlist of playlists crashes it. So FFmpeg is given the text that was checked here; of a live stream, whose
playlist is asked for again and again, everything that FFmpeg opens goes through here.
"""

from __future__ import annotations

import io
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from peoplenet_nb.errors import SourceError
from peoplenet_nb.urls import hide_secrets
from peoplenet_nb.web import TimeLimitedAdapter, pieces, read_up_to, reason_of, too_slow

logger: logging.Logger = logging.getLogger(__name__)

MARK = b"#EXTM3U"
#: What FFmpeg may read the videos of a playlist through: no file of this machine.
OPTIONS = {"protocol_whitelist": "http,https,tls,tcp,httpproxy,crypto"}
# Connections are ours: what keeps FFmpeg's own open would look for them, and crash.
PLAYLIST_OPTIONS = OPTIONS | {"http_persistent": "0", "http_multiple": "0"}
_TIMEOUT = (10, 30)  # seconds to connect, seconds between bytes
_REDIRECTS = 5
LARGEST = 8 << 20  # bytes of a playlist
_INNER = re.compile(rb"#EXT-X-(STREAM-INF|MEDIA):")
_VARIANT = re.compile(rb"#EXT-X-STREAM-INF:([^\r\n]*)[\r\n]+([^#\r\n][^\r\n]*)")
_BANDWIDTH = re.compile(rb"(?<!-)BANDWIDTH=(\d{1,15})")

IoOpen = Callable[[str, int, Mapping[str, str]], Any]


def ask(address: str, held: ExitStack, headers: Mapping[str, str] | None = None) -> requests.Response:
    """Ask for an address that a person or a playlist names, and keep the connection open on a stack.

    Raises
    ------
    requests.RequestException, ValueError
        When nobody answers in time; some odd host names pass requests unseen.
    """
    session = held.enter_context(requests.Session())
    session.max_redirects = _REDIRECTS
    for scheme in ("https://", "http://"):
        session.mount(scheme, TimeLimitedAdapter())
    return held.enter_context(session.get(address, headers=headers, stream=True, timeout=_TIMEOUT))


def best_of(address: str, text: bytes) -> str:
    """Return the address of the playlist with most bits per second that one names; empty where it names none.

    Raises
    ------
    SourceError
        When it names none with pictures.
    """
    if not _INNER.search(text):
        return ""
    if not (named := _VARIANT.findall(text)):
        raise refused(address)
    _, best = max(named, key=lambda found: int((_BANDWIDTH.findall(found[0]) or [b"0"])[0]))
    return str(urljoin(address, best.decode("utf-8", "replace").strip()))


def refused(address: str) -> SourceError:
    """Return the error for a playlist that FFmpeg must not be given."""
    return SourceError(
        "This playlist cannot be read: it is very long, or names playlists that name playlists again",
        seen=hide_secrets(address),
        next_step="name the address of one of its videos, or download it and name the file.",
    )


class Playlist:
    """A playlist that names videos only; ``address`` is where it was found in the end, ``text`` what it said then."""

    def __init__(self, address: str, text: bytes) -> None:
        self.address, self._text = address, text
        self._over = False  # an error was raised to FFmpeg
        self.live: bool = b"#EXT-X-ENDLIST" not in text

    def open(self) -> tuple[_Text, IoOpen | None]:
        """Return the playlist as a file, and what FFmpeg must open the rest with; None where it may do so itself."""
        if not self.live:
            return _Text(self.address, self._text), None
        self._over = False
        return self._now(), self._open

    def _now(self) -> _Text:
        """Return what the playlist of a live stream says now."""
        text, whole, reason = b"", False, "it is cut, or comes too slowly"
        try:
            with ExitStack() as held:
                answer = ask(self.address, held)
                answer.raise_for_status()
                text, whole = read_up_to(answer, LARGEST)
        except (requests.RequestException, ValueError) as error:
            reason = reason_of(error)
        if not whole:
            raise SourceError(
                "The connection to the video broke off",
                seen=f"{hide_secrets(self.address)}: {reason}",
                next_step="begin again later.",
            )
        if not text.startswith(MARK) or _INNER.search(text):
            raise refused(self.address)
        return _Text(self.address, text)

    def _open(self, address: str, _flags: int, options: Mapping[str, str]) -> Any:
        """Open what FFmpeg asks for while it reads a live stream."""
        if self._over:  # PyAV passes on one error; FFmpeg asks a second time before that
            return io.BytesIO()
        self._over = True
        file = self._now() if address == self.address else self._piece(address, options)
        self._over = False
        return file

    def _piece(self, address: str, options: Mapping[str, str]) -> _Piece:
        if urlsplit(address).scheme not in ("http", "https"):
            what = "The live stream is encrypted, or names what is no http(s) address"
            raise SourceError(what, seen=hide_secrets(address), next_step="record it with another program.")
        first, end = (int(options.get(name, 0)) for name in ("offset", "end_offset"))
        return _Piece(address, {"Range": f"bytes={first}-{end - 1 if end else ''}"} if first or end else {})


class _Text(io.BytesIO):
    def __init__(self, address: str, text: bytes) -> None:
        super().__init__(text)
        self.name = address  # what the names in it are relative to


class _Piece:
    """A piece of a live stream as a file. One that is lost or drips is at its end: the stream goes on without it."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self._held, self._rest = ExitStack(), b""
        self._pieces: Iterator[bytes] = iter(())
        self._received, self._waited = 0, 0.0
        try:
            answer = ask(address, self._held, headers)
            answer.raise_for_status()
            self._pieces = pieces(answer)
        except (requests.RequestException, ValueError) as error:
            logger.info("%s is left out: %s", hide_secrets(address), reason_of(error))

    def read(self, size: int) -> bytes:
        """Return up to so many bytes; none at the end."""
        if not self._rest and not too_slow(self._waited, self._received):
            began = time.monotonic()
            try:
                self._rest = next(self._pieces, b"")
            except requests.ConnectionError as error:
                logger.info("A piece of a live stream is cut: %s", error)
            self._waited += time.monotonic() - began
            self._received += len(self._rest)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def close(self) -> None:
        """Hang up."""
        self._held.close()
