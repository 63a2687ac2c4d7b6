"""Videos and images behind http(s) addresses.

The server is asked first what it holds. An image is downloaded into the cache; a video stays where it is and is read
by FFmpeg as it comes, so that a long one starts at once and fills no disk.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.files import write_bytes
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.sources import stills
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.urls import hide_secrets

logger = logging.getLogger(__name__)

_TIMEOUT = (10, 30)  # seconds to connect, seconds between bytes
_LARGEST_IMAGE = 256 << 20
_PAGE = (b"<!doctype", b"<html", b"<head")
_ADVICE = {
    401: "the address wants a login: download the file in a browser and name it here.",
    403: "the server refuses: the link may have expired or want a login; download the file and name it here.",
    404: "check the address; it may have moved.",
    410: "it was removed; look for another copy.",
    429: "the server asks for patience: wait some minutes and try again.",
}


def open_link(address: str) -> Source:
    """Open a video or image behind an address.

    Raises
    ------
    SourceError
        When nobody answers, the server refuses, or what is there is neither video nor image.
    """
    import requests

    try:
        with requests.get(address, stream=True, timeout=_TIMEOUT) as answer:
            _check(answer, address)
            kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
            chunks = answer.iter_content(65536)
            head = next(chunks, b"")
            if not head:
                raise SourceError(
                    "The address holds nothing (0 bytes)",
                    seen=hide_secrets(address),
                    next_step="check the address.",
                )
            if kind == "text/html" or head.lstrip()[:9].lower().startswith(_PAGE):
                raise SourceError(
                    "The address leads to a web page, not to a video",
                    seen=hide_secrets(answer.url),
                    next_step="name the address of the video itself (it ends in .mp4 or alike), or a YouTube address.",
                )
            if _is_image(address, kind, head):
                return _download(address, head, chunks)
            final, fingerprint = answer.url, _fingerprint(answer)
    except (requests.RequestException, ValueError) as error:  # some odd host names pass requests unseen
        raise SourceError(
            "The address does not answer",
            seen=f"{hide_secrets(address)}: {type(error).__name__}",
            next_step="check the spelling and this machine's network, or download the file and name it here.",
        ) from None  # the original error quotes the whole address, with its secrets
    from peoplenet_nb.sources.videofile import VideoFile

    return VideoFile(final, name=_name(address), spec=hide_secrets(address), fingerprint=fingerprint)


def _check(answer: Any, address: str) -> None:
    if answer.status_code >= 400:
        raise SourceError(
            f"The server answers {answer.status_code} ({answer.reason})",
            seen=hide_secrets(address),
            next_step=_ADVICE.get(
                answer.status_code, "try again later, or download the file and name it here."
            ),
        )


def _is_image(address: str, kind: str, head: bytes) -> bool:
    return stills.is_image(Path(urlsplit(address).path), head) or (
        kind.startswith("image/") and kind != "image/gif"
    )


def _download(address: str, head: bytes, chunks: Any) -> Source:
    """Download an image into the cache and open it."""
    folder = cache_dir() / "links" / hashlib.sha256(address.encode()).hexdigest()[:16]
    target = folder / _name(address)
    data = bytearray(head)
    for chunk in chunks:
        data += chunk
        if len(data) > _LARGEST_IMAGE:
            raise SourceError(
                "The image is too large", seen=hide_secrets(address), next_step="make it smaller."
            )
    try:
        write_bytes(target, bytes(data))
    except OutputError as error:
        raise SourceError(
            "The image cannot be written to the cache",
            seen=error.seen,
            next_step="free some space, or set PEOPLENET_HOME.",
        ) from error
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
