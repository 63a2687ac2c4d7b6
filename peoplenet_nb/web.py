"""Asking servers that may be slow, endless or broken: heads and bodies in bounded time.

One decision to know: the timeouts of `requests` begin anew with every byte, so a server that sends one now and then
holds a program for ever. Here an answer's head has one deadline for all of it, and a body a deadline and a least rate.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import requests
import urllib3

from peoplenet_nb.urls import hide_secrets

LEAST_RATE = 10_000  # bytes a second on average; what comes slower is given up ...
_GRACE = 60.0  # ... after so many seconds
_HEAD_LIMIT = 60.0  # seconds until the head of an answer must be whole
_BODY_LIMIT = 60.0  # seconds until a small body must be
_CHUNK = 1 << 16
_REASONS = {
    "invalidurl|locationparse": "a redirect leads to something that is no address",
    "nameresolution|getaddrinfo|name or service": "the host name cannot be resolved",
    "certificate|sslerror|ssleof": "the TLS certificate or handshake failed",
    "proxyerror|tunnel connection": "the proxy refuses",
    "connect ?timeout": "no connection within the time limit",
    "read ?timeout|read timed out": "no answer within the time limit",
    "refused": "the connection is refused",
    "unreachable": "the network is unreachable",
    "takes too long": "it comes too slowly",
    "[45][0-9][0-9] (client|server) error": "the server refuses",
}

log: logging.Logger = logging.getLogger(__name__)


def number_in(text: str | None) -> int | None:
    """Return the whole number that a header holds; None for anything else, or one of absurd length."""
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else None


def reason_of(error: BaseException) -> str:
    """Say what broke in words of our own: a library's message may hold the address and its query."""
    text = repr(error).lower()
    reasons = (reason for words, reason in _REASONS.items() if re.search(words, text))
    return next(reasons, "the connection broke")


class TimeLimitedAdapter(requests.adapters.HTTPAdapter):
    """Opens connections that wait for an answer's head for so long and no longer."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool of such connections."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls
        if not issubclass(kind, _TimeLimited):
            pool.ConnectionCls = type("Connection", (_TimeLimited, kind), {})
        return pool


class _TimeLimited:
    sock: Any

    def getresponse(self) -> Any:
        timer = threading.Timer(_HEAD_LIMIT, self._cut)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)


def too_slow(waited: float, received: int, grace: float | None = None) -> bool:
    """Return whether too few bytes have come for the seconds that were waited for them."""
    return waited > (_GRACE if grace is None else grace) + received / LEAST_RATE


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield a body as it comes; a connection that breaks is a ``requests.ConnectionError`` without an address."""
    try:
        while piece := answer.raw.read1(_CHUNK, decode_content=True):
            yield piece
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        log.debug("%s: %s", hide_secrets(answer.url), reason_of(error))
    else:
        return
    raise requests.ConnectionError("the connection broke")


def pieces_in_time(answer: requests.Response, seconds: float) -> Iterator[bytes]:
    """Yield a body as it comes, for so many seconds and while it does not drip.

    Raises
    ------
    requests.ConnectionError
        When the connection breaks, time is up or too little comes; its text holds no address.
    """
    began, received = time.monotonic(), 0
    for piece in pieces(answer):
        received += len(piece)
        waited = time.monotonic() - began
        if waited > seconds or too_slow(waited, received):
            raise requests.ConnectionError("it takes too long")
        yield piece


def read_up_to(answer: requests.Response, most: int) -> tuple[bytes, bool]:
    """Return what a body brings in a limited time, little more than ``most`` bytes, and whether it is all."""
    body = bytearray()
    with answer, suppress(requests.ConnectionError):
        for piece in pieces_in_time(answer, _BODY_LIMIT):
            body += piece
            if len(body) > most:
                return bytes(body), False
        return bytes(body), True
    return bytes(body), False
