"""Videos and images behind http(s) addresses.

The server is asked first what it holds. An image is downloaded into the cache; a video stays where it is and is read
by FFmpeg as it comes, so that a long one starts at once and fills no disk.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.files import write_bytes
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import stills
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.urls import hide_secrets

logger = logging.getLogger(__name__)

_TIMEOUT = (10, 30)  # seconds to connect, seconds between bytes
_RECONNECT = {"reconnect": "1", "reconnect_delay_max": "5", "rw_timeout": "30000000"}
_HEAD = 64  # bytes that tell what it is; a server may send them one by one
_LARGEST_IMAGE = 256 << 20
_PAGE = (b"<!doctype", b"<html", b"<head")
_PLAYLIST_CHUNKS = 128  # of 64 KiB
_VARIANT = re.compile(rb"#EXT-X-STREAM-INF:([^\r\n]*)[\r\n]+([^#\r\n][^\r\n]*)")
_BANDWIDTH = re.compile(rb"(?<!-)BANDWIDTH=(\d{1,15})")
_ADVICE = {
    401: "the address wants a login: download the file in a browser and name it here.",
    403: "the server refuses: the link may have expired or want a login; download the file and name it here.",
    404: "check the address; it may have moved.",
    410: "it was removed; look for another copy.",
    429: "the server asks for patience: wait some minutes and try again.",
}


def open_link(address: str, *, nested: bool = False) -> Source:
    """Open a video or image behind an address; of a playlist of playlists, the one with most bits per second.

    FFmpeg follows playlists without an end, so it is given the innermost; ``nested`` is for that one, which must
    name no further playlists.

    Raises
    ------
    SourceError
        When nobody answers, the server refuses, or what is there is neither video nor image.
    """
    import requests

    try:
        with requests.get(address, stream=True, timeout=_TIMEOUT) as answer:
            if (code := answer.status_code) >= 400:
                step = _ADVICE.get(code, "try again later, or download the file and name it here.")
                raise _refused(f"The server answers {code} ({answer.reason})", address, step)
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            chunks = answer.iter_content(65536)
            head = next(chunks, b"")
            while 0 < len(head) < _HEAD and (more := next(chunks, b"")):
                head += more
            if not head:
                raise _refused("The address holds nothing (0 bytes)", address, "check the address.")
            if kind == "text/html" or head.lstrip()[:9].lower().startswith(_PAGE):
                step = (
                    "name the address of the video itself (it ends in .mp4 or alike), or a YouTube address."
                )
                raise _refused("The address leads to a web page, not to a video", answer.url, step)
            named_image = kind.startswith("image/") and kind != "image/gif"
            if named_image or stills.is_image(Path(urlsplit(address).path), head):
                return _download(address, head, chunks)
            playlist = head.startswith(b"#EXTM3U")
            if playlist and (variant := _variant(answer.url, head, chunks, nested)):
                source = open_link(variant, nested=True)
                source.info.name, source.info.spec = _name(address), hide_secrets(address)
                return source
            final, fingerprint = answer.url, _fingerprint(answer)
    except (requests.RequestException, ValueError) as error:  # some odd host names pass requests unseen
        raise SourceError(
            "The address does not answer",
            seen=f"{hide_secrets(address)}: {type(error).__name__}",
            next_step="check the spelling and this machine's network, or download the file and name it here.",
        ) from None  # the original error quotes the whole address, with its secrets
    from peoplenet_nb.sources.videofile import NO_PLAYLISTS, VideoFile

    options = _RECONNECT if playlist else _RECONNECT | NO_PLAYLISTS
    name, spec = _name(address), hide_secrets(address)
    return VideoFile(final, name=name, spec=spec, fingerprint=fingerprint, options=options)


def _refused(what: str, address: str, next_step: str) -> SourceError:
    return SourceError(what, seen=hide_secrets(address), next_step=next_step)


def _variant(address: str, head: bytes, chunks: Iterator[bytes], nested: bool) -> str:
    """Return the address of the best playlist that a playlist names; empty where it names videos only."""
    text = head + b"".join(islice(chunks, _PLAYLIST_CHUNKS))
    complete, inner = next(chunks, b"") == b"", re.search(rb"#EXT-X-(STREAM-INF|MEDIA):", text)
    if complete and not inner:
        return ""
    if complete and not nested and (named := _VARIANT.findall(text)):
        _, best = max(named, key=lambda found: int((_BANDWIDTH.findall(found[0]) or [b"0"])[0]))
        return str(urljoin(address, best.decode("utf-8", "replace").strip()))
    what = "This playlist cannot be read: it is very long, or names playlists that name playlists again"
    raise _refused(what, address, "name the address of one of its videos, or download it and name the file.")


def _download(address: str, head: bytes, chunks: Any) -> Source:
    """Download an image into the cache and open it."""
    folder = cache_dir() / "links" / hashlib.sha256(address.encode()).hexdigest()[:16]
    target = folder / _name(address)
    data = bytearray(head)
    for chunk in chunks:
        data += chunk
        if len(data) > _LARGEST_IMAGE:
            raise _refused("The image is too large", address, "make it smaller.")
    try:
        write_bytes(target, bytes(data))
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
