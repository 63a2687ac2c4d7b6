"""A session that follows only safe redirects, repeats what brings nothing, and gives no secret away.

`requests` follows redirects and `urllib3` repeats requests; the classes here are their hooks, and say what
neither may do.

One decision to know: the API answers a file request with a redirect to a presigned address on a storage host.
The ``Authorization`` header goes only to the address we built ourselves, never along a redirect, not even to
a host of the same domain.
"""

from __future__ import annotations

import ipaddress
import logging
import random
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from peoplenet_nb.ngc.errors import Secret, redact
from peoplenet_nb.urls import hide_secrets

BUSY = (408, 429, 500, 502, 503, 504)
_CHUNK = 1 << 16
_HEAD_LIMIT = 60.0  # seconds until the head of an answer must be whole
_BODY_LIMIT = 60.0  # seconds until a small body must be
_LONGEST_PAUSE = 30.0

log = logging.getLogger(__name__)


def number_in(text: str | None) -> int | None:
    """Return the whole number that a header holds; None for anything else, or one of absurd length."""
    return int(text) if text and re.fullmatch("[0-9]{1,18}", text) else None


def _on_this_machine(host: str | None) -> bool:
    with suppress(ValueError):
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    return False


def safe_redirect(source: str, target: str) -> bool:
    """Return whether a redirect stays with https, or with http on this machine."""
    try:
        old, new = urlsplit(source), urlsplit(target)
    except ValueError:
        return False
    return new.scheme == "https" or (old.scheme == new.scheme == "http" and _on_this_machine(new.hostname))


class UnsafeRedirect(requests.RequestException):
    """A redirect that is not followed; its text holds no secret."""


class Session(requests.Session):
    """Follows redirects, but only safe ones, and takes neither keys, passwords nor cookies along."""

    def __init__(self, retries: int, backoff: float) -> None:
        super().__init__()
        self.max_redirects = 5
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Compressed bodies would make byte ranges and sizes mean something else.
        self.headers.update({"User-Agent": _agent(), "Accept-Encoding": "identity"})
        # A host that does not answer at all is asked once more, not five times: set-up waits for this.
        once = min(1, retries)
        again = _Retry(
            total=retries,
            connect=once,
            read=once,
            other=once,
            status=retries,
            status_forcelist=BUSY,
            raise_on_status=False,
            backoff_factor=backoff,
        )
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter(max_retries=again))

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a redirect leads, None for any other answer; refuse what is not safe."""
        target = super().get_redirect_target(resp)
        if target is None and resp.status_code not in (301, 302, 303, 307, 308):
            return None
        resp.close()  # unread: it may have no end
        if not target or not safe_redirect(resp.url, urljoin(resp.url, target)):
            where = hide_secrets(urljoin(resp.url, target)) if target else "nowhere"
            raise UnsafeRedirect(f"{hide_secrets(resp.url)} to {where}")
        return target

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
        if not issubclass(kind, _Bounded):
            pool.ConnectionCls = type("Connection", (_Bounded, kind), {})
        return pool


class _Bounded:
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


class Authorization(requests.auth.AuthBase):
    """Sets the header from a Secret, or nothing at all.

    The key is in no dict or tuple that a traceback with locals would print; and because a request with an
    ``auth`` of its own makes requests not look into ~/.netrc, no password from there is sent.
    """

    def __init__(self, secret: Secret | None, *, basic: bool = False) -> None:
        self._secret, self._basic = secret, basic

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header."""
        if self._secret is not None:
            value = f"Basic {self._secret.basic()}" if self._basic else f"Bearer {self._secret.reveal()}"
            request.headers["Authorization"] = value
        return request


def pieces(answer: requests.Response) -> Iterator[bytes]:
    """Yield a body as it comes, up to 64 KiB at a time, nothing of it held back.

    Raises
    ------
    requests.ConnectionError
        The connection broke or stood still; it holds no address.
    """
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


def _agent() -> str:
    try:
        return f"peoplenet-nb/{version('peoplenet-nb')}"
    except PackageNotFoundError:
        return "peoplenet-nb"


def reason_of(error: BaseException) -> str:
    """Say what broke in words of our own: a library's message may hold the address and its query."""
    text = repr(error).lower()
    for words, reason in (
        (("invalidurl", "locationparse"), "a redirect leads to something that is no address"),
        (("nameresolution", "getaddrinfo", "name or service"), "the host name cannot be resolved"),
        (("certificate", "sslerror", "ssleof"), "the TLS certificate or handshake failed"),
        (("proxyerror", "tunnel connection"), "the proxy refuses"),
        (("connecttimeout", "connect timeout"), "no connection within the time limit"),
        (("readtimeout", "read timed out"), "no answer within the time limit"),
        (("refused",), "the connection is refused"),
        (("unreachable",), "the network is unreachable"),
    ):
        if any(word in text for word in words):
            return reason
    return "the connection broke"


class _Quiet(logging.Filter):
    """Takes query strings out of urllib3's debug lines: a presigned one is a key to the file."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


@contextmanager
def quiet_addresses() -> Iterator[None]:
    """Redact what urllib3 logs while this is open."""
    quiet = _Quiet()
    loggers = [logging.getLogger(f"urllib3.{name}") for name in ("connectionpool", "util.retry")]
    for logger in loggers:
        logger.addFilter(quiet)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(quiet)
