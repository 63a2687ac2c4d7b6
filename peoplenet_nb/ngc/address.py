"""Which addresses may be used, and what of them may be shown.

One decision to know: everything behind the ``?`` of a presigned address opens the file to whoever reads it,
so no message, record or log line of ours holds a query string, and urllib3's own debug lines are cleaned
while a download runs.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import Place, redact


def plain_url(url: str) -> str:
    """Return an address without query, fragment and credentials: the part that may be shown."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ":" in host:
        host = f"[{host}]"
    return urlunsplit((parts.scheme, host + (f":{parts.port}" if parts.port else ""), parts.path, "", ""))


def is_loopback(host: str | None) -> bool:
    """Return whether a host name means this machine."""
    if host is None or host == "localhost":
        return host is not None
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_base(url: str, place: Place) -> str:
    """Return a base address without trailing slash; refuse all but https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname)):
        return url.rstrip("/")
    raise DownloadError(
        "An NGC address must begin with https",
        seen=plain_url(url),
        next_step=f"Correct or unset PEOPLENET_NGC_API and PEOPLENET_NGC_AUTH. {place.by_hand}",
    )


class _Quiet(logging.Filter):
    """Takes query strings out of urllib3's debug lines: a presigned one is a key to the file."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def redirect_fault(source: str, target: str, place: Place) -> DownloadError | None:
    """Return an error for a redirect that leaves https, or leads to anything but https or this machine."""
    old, new = urlsplit(source), urlsplit(target)
    if new.scheme == "https" or (new.scheme == "http" and old.scheme == "http" and is_loopback(new.hostname)):
        return None
    return DownloadError(
        "NGC's answer redirects to an address that is not safe to follow",
        seen=f"{plain_url(source)} to {plain_url(target)}",
        next_step=f"Look at the proxy between here and NGC. {place.by_hand}",
    )


@contextmanager
def quiet_addresses() -> Iterator[None]:
    """Redact what urllib3 logs while this is open."""
    logger, quiet = logging.getLogger("urllib3.connectionpool"), _Quiet()
    logger.addFilter(quiet)
    try:
        yield
    finally:
        logger.removeFilter(quiet)


def reason_of(error: BaseException) -> str:
    """Say what broke in words of our own: a library's message may hold the address and its query."""
    text = repr(error).lower()
    for words, reason in (
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
