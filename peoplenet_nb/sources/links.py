"""Videos and images behind http(s) addresses.

The server is asked first what it holds. An image is downloaded into the cache; a video stays where it is and is read
by FFmpeg as it comes, so that a long one starts at once and fills no disk.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.files import write_bytes
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import stills
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.sources.playlists import (
    LARGEST,
    MARK,
    OPTIONS,
    PLAYLIST_OPTIONS,
    Playlist,
    ask,
    best_of,
    refused,
)
from peoplenet_nb.urls import hide_secrets
from peoplenet_nb.web import pieces_in_time, reason_of

logger: logging.Logger = logging.getLogger(__name__)

_RECONNECT = {"reconnect": "1", "reconnect_delay_max": "5", "rw_timeout": "30000000"}
_HEAD = 64  # bytes that tell what it is; a server may send them one by one
_LARGEST_IMAGE = 256 << 20
_LONGEST = 600.0  # seconds that an image may take
_PAGE = (b"<!doctype", b"<html", b"<head")
_ADVICE = {
    401: "the address wants a login: download the file in a browser and name it here.",
    403: "the server refuses: the link may have expired or want a login; download the file and name it here.",
    404: "check the address; it may have moved.",
    410: "it was removed; look for another copy.",
    429: "the server asks for patience: wait some minutes and try again.",
}


def open_link(address: str, *, nested: bool = False, make: Callable[..., Source] | None = None) -> Source:
    """Open a video or image behind an address; of a playlist of playlists, the one with most bits per second.

    ``nested`` is for that one, which must name no further playlists; ``make`` is called in place of `VideoFile`, with
    its arguments.

    Raises
    ------
    SourceError
        When nobody answers, the server refuses, or what is there is neither video nor image.
    """
    playlist = None
    try:
        with ExitStack() as held:
            answer = ask(address, held)
            if (code := answer.status_code) >= 400:
                step = _ADVICE.get(code, "try again later, or download the file and name it here.")
                raise _refused(f"The server answers {code} ({answer.reason})", address, step)
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            body = pieces_in_time(answer, _LONGEST)
            head = _up_to(_HEAD, body)
            if not head:
                raise _refused("The address holds nothing (0 bytes)", address, "check the address.")
            if kind == "text/html" or head.lstrip()[:9].lower().startswith(_PAGE):
                step = "name the address of the video itself (it ends in .mp4, say), or a YouTube address."
                raise _refused("The address leads to a web page, not to a video", answer.url, step)
            named_image = kind.startswith("image/") and kind != "image/gif"
            if named_image or stills.is_image(Path(urlsplit(address).path), head):
                return _image(address, head + _up_to(_LARGEST_IMAGE, body))
            if head.startswith(MARK):
                text = head + _up_to(LARGEST, body)
                variant = best_of(answer.url, text)
                if len(text) > LARGEST or (variant and nested):
                    raise refused(address)
                if variant:
                    source = open_link(variant, nested=True, make=make)
                    source.info.name, source.info.spec = _name(address), hide_secrets(address)
                    return source
                playlist = Playlist(answer.url, text)
            final, fingerprint = answer.url, _fingerprint(answer)
    except (requests.RequestException, ValueError) as error:  # some odd host names pass requests unseen
        raise SourceError(
            "The address does not answer",
            seen=f"{hide_secrets(address)}: {reason_of(error)}",
            next_step="check the spelling and this machine's network, or download the file and name it here.",
        ) from None  # the original error quotes the whole address, with its secrets
    from peoplenet_nb.sources.videofile import NO_PLAYLISTS, VideoFile

    options = PLAYLIST_OPTIONS if playlist else OPTIONS | NO_PLAYLISTS
    return (make or VideoFile)(
        final,
        name=_name(address),
        spec=hide_secrets(address),
        fingerprint=fingerprint,
        options=_RECONNECT | options,
        playlist=playlist,
    )


def _up_to(most: int, body: Iterator[bytes]) -> bytes:
    """Return the next bytes of a body: little more than so many, or all there are."""
    data = bytearray()
    while len(data) <= most and (piece := next(body, b"")):
        data += piece
    return bytes(data)


def _refused(what: str, address: str, next_step: str) -> SourceError:
    return SourceError(what, seen=hide_secrets(address), next_step=next_step)


def _image(address: str, data: bytes) -> Source:
    """Keep an image in the cache and open it."""
    if len(data) > _LARGEST_IMAGE:
        raise _refused("The image is too large", address, "make it smaller.")
    folder = cache_dir() / "links" / hashlib.sha256(address.encode()).hexdigest()[:16]
    target = folder / _name(address)
    try:
        write_bytes(target, data)
    except OutputError as error:
        what, step = "The image cannot be written to the cache", "free some space, or set PEOPLENET_HOME."
        raise SourceError(what, seen=error.seen, next_step=step) from error
    source = stills.ImageFile(target)
    source.info.spec = hide_secrets(address)
    return source


def _fingerprint(answer: Any) -> str:
    """Return what stands for the content: address, length and the server's version mark.

    Where the server names no version, or only a date, the query tells one video from another; only its hash is kept.
    """
    headers = answer.headers
    query = hashlib.sha256(urlsplit(answer.url).query.encode()).hexdigest()[:16]
    version = headers.get("etag") or f"{headers.get('last-modified', '')}:{query}"
    return f"{hide_secrets(answer.url)}:{headers.get('content-length', '')}:{version}"


def _name(address: str) -> str:
    path = unquote(urlsplit(address).path)
    return Path(path).name or urlsplit(address).hostname or "link"
