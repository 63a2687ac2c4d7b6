"""The hooks of `requests` and `urllib3`: only safe redirects, repeated requests, and no secret given away.

One decision to know: the API answers a file request with a redirect to a presigned address on a storage host.
The ``Authorization`` header goes only to the address we built ourselves, never along a redirect, not even to
a host of the same domain.
"""

from __future__ import annotations

import logging
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from peoplenet_nb import __version__
from peoplenet_nb.ngc.errors import Secret, redact
from peoplenet_nb.urls import hide_secrets

BUSY = (408, 429, 500, 502, 503, 504)
_CHUNK = 1 << 16
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_HEAD_LIMIT = 60.0  # seconds until the head of an answer must be whole
_BODY_LIMIT = 60.0  # seconds until a small body must be
_LONGEST_PAUSE = 30.0
_REASONS = {
    "invalidurl|locationparse": "a redirect leads to something that is no address",
    "nameresolution|getaddrinfo|name or service": "the host name cannot be resolved",
    "certificate|sslerror|ssleof": "the TLS certificate or handshake failed",
    "proxyerror|tunnel connection": "the proxy refuses",
    "connect ?timeout": "no connection within the time limit",
    "read ?timeout|read timed out": "no answer within the time limit",
    "refused": "the connection is refused",
    "unreachable": "the network is unreachable",
}
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]

log = logging.getLogger(__name__)


def number_in(text: str | None) -> int | None:
    """Return the whole number that a header holds; None for anything else, or one of absurd length."""
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else None


def safe_redirect(source: str, target: str) -> bool:
    """Return whether a redirect stays with https, or with http on this machine."""
    try:
        old, new = urlsplit(source), urlsplit(target)
    except ValueError:
        return False
    return new.scheme == "https" or (old.scheme == new.scheme == "http" and new.hostname in _THIS_MACHINE)


class UnsafeRedirect(requests.RequestException):
    """A redirect that is not followed; its text holds no secret."""


class Session(requests.Session):
    """Follows redirects, but only safe ones, and takes neither keys, passwords nor cookies along."""

    def __init__(self, retries: int, backoff: float) -> None:
        super().__init__()
        self.max_redirects = 5
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Compressed bodies would make byte ranges and sizes mean something else.
        self.headers.update({"User-Agent": f"peoplenet-nb/{__version__}", "Accept-Encoding": "identity"})
        # A host that does not answer at all is asked once more, not five times: set-up waits for this.
        once: dict[str, Any] = dict.fromkeys(("connect", "read", "other"), min(1, retries))
        again = _Retry(retries, **once, status_forcelist=BUSY, raise_on_status=False, backoff_factor=backoff)
        self.mount("https://", _Adapter(max_retries=again))
        self.mount("http://", _Adapter(max_retries=again))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads, None for any other answer; refuse what is not safe."""
        if resp.status_code not in (301, 302, 303, 307, 308):
            return None
        resp.close()  # unread: it may have no end
        target = super().get_redirect_target(resp)
        if target and safe_redirect(resp.url, urljoin(resp.url, target)):
            return target
        where = hide_secrets(urljoin(resp.url, target)) if target else "nowhere"
        raise UnsafeRedirect(f"{hide_secrets(resp.url)} to {where}")

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Send nothing of the first request's secrets along a redirect."""
        for name in ("Authorization", "Cookie"):
            prepared_request.headers.pop(name, None)


class _Retry(urllib3.Retry):
    """Waits as long as the server asks, else longer each time, and never longer than half a minute."""

    def increment(self, *args: Any, **kwargs: Any) -> _Retry:
        if (response := kwargs.get("response")) is not None:
            response.close()  # unread: it may have no end
        return super().increment(*args, **kwargs)

    def get_retry_after(self, response: Any) -> float | None:
        asked = number_in(response.headers.get("Retry-After"))
        return None if asked is None else min(float(asked), _LONGEST_PAUSE)

    def get_backoff_time(self) -> float:
        return pause_before(len(self.history), self.backoff_factor)


def pause_before(attempt: int, backoff: float) -> float:
    """Return how many seconds to wait before repeating a request."""
    return min(backoff * 2.0 ** min(attempt, 20) * random.uniform(0.8, 1.2), _LONGEST_PAUSE)


class _Adapter(requests.adapters.HTTPAdapter):
    """Opens connections that wait for an answer's head for so long and no longer.

    The timeouts of `requests` begin anew with every byte: "100 Continue" without end would never reach one.
    """

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
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


def authorization(secret: Secret | None, *, basic: bool = False) -> Auth:
    """Return what sets a request's header from a key, or sets nothing.

    So the key is in no variable that a traceback with locals would print, and no password out of ~/.netrc is
    sent, because requests looks there only where a request has no ``auth`` of its own.
    """

    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if secret is not None:
            request.headers["Authorization"] = (
                f"Basic {secret.basic()}" if basic else f"Bearer {secret.reveal()}"
            )
        return request

    return authorize


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


def read_up_to(answer: requests.Response, most: int) -> tuple[bytes, bool]:
    """Return what a body brings in a limited time, little more than ``most`` bytes, and whether it is all."""
    body, ends = b"", time.monotonic() + _BODY_LIMIT
    with answer, suppress(requests.ConnectionError):
        for piece in pieces(answer):
            body += piece
            if len(body) > most or time.monotonic() > ends:
                return body, False
        return body, True
    return body, False


def reason_of(error: BaseException) -> str:
    """Say what broke in words of our own: a library's message may hold the address and its query."""
    text = repr(error).lower()
    reasons = (reason for words, reason in _REASONS.items() if re.search(words, text))
    return next(reasons, "the connection broke")


@contextmanager
def quiet_addresses() -> Iterator[None]:
    """Take query strings out of what urllib3 logs: a presigned one is a key to the file."""

    def quiet(record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True

    loggers = [logging.getLogger(f"urllib3.{name}") for name in ("connectionpool", "util.retry")]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)
