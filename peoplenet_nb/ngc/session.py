"""The hooks of `requests` and `urllib3`: only safe redirects, repeated requests, and no secret given away.

One decision to know: the API answers a file request with a redirect to a presigned address on a storage host.
The ``Authorization`` header goes only to the address we built ourselves, never along a redirect, not even to
a host of the same domain.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from peoplenet_nb import __version__
from peoplenet_nb.ngc.errors import Secret, redact
from peoplenet_nb.urls import hide_secrets
from peoplenet_nb.web import TimeLimitedAdapter, number_in

BUSY = (408, 429, 500, 502, 503, 504)
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_LONGEST_PAUSE = 30.0
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]

log: logging.Logger = logging.getLogger(__name__)


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
        self.mount("https://", TimeLimitedAdapter(max_retries=again))
        self.mount("http://", TimeLimitedAdapter(max_retries=again))

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
