"""Addresses in messages: what of them may be shown.

One decision to know: everything behind the ``?`` of a presigned address opens the file to whoever reads it, as
a password before the ``@`` does. So no message, record or log line of ours holds either.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# Scheme, login and host, path, query or fragment.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)([^\s\"'<>/?#]*)([^\s\"'<>?#]*)([?#][^\s\"'<>]+)?")
# A query whose address is not beside it: "GET /path?token=... HTTP/1.1".
_QUERY = re.compile(r"([?#])[^\s\"'<>]*=[^\s\"'<>]*")
HIDDEN = "[hidden]"


def hide_secrets(address: str) -> str:
    """Return an address without user name, password, query and fragment.

    Parameters
    ----------
    address : str
        One address and nothing else; it may be malformed.

    Examples
    --------
    >>> hide_secrets("https://me:secret@host/street.mp4?token=secret")
    'https://host/street.mp4'
    """
    try:
        parts = urlsplit(address)
    except ValueError:  # not an address after all; where its secrets end cannot be told
        scheme, _, rest = address.partition("://")
        return f"{scheme}://" + ("…" if "@" in rest else re.split(r"[?#]", rest)[0])
    # A password with a / or # in it ends where it seems to be the host's port.
    if "@" in parts.path + parts.query + parts.fragment and (
        parts.scheme.startswith("rt")
        or not re.fullmatch(r"[^:]*(:\d*)?|.*\](:\d*)?", parts.netloc.rpartition("@")[2])
    ):
        return f"{parts.scheme}://…"
    if not parts.scheme and not parts.netloc:  # a path, say: nothing in it is a secret
        return address
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def hide_secrets_in(text: str, *addresses: str) -> str:
    """Return a text from outside with the secrets of all addresses in it replaced by ``[hidden]``.

    Parameters
    ----------
    text : str
        What a server, a library or a program had to say.
    *addresses : str
        Addresses that it may quote; they are hidden even where a blank or a quote inside them ends what is
        otherwise taken for an address.

    Examples
    --------
    >>> hide_secrets_in("GET https://me:secret@host/a.mp4?token=secret failed")
    'GET https://[hidden]@host/a.mp4?[hidden] failed'
    """
    for address in addresses:
        text = text.replace(address, hide_secrets(address))
    return _QUERY.sub(rf"\1{HIDDEN}", _ADDRESS.sub(_hidden, text))


def _hidden(found: re.Match[str]) -> str:
    scheme, host, path, query = found.groups()
    _, at, host = host.rpartition("@")
    return f"{scheme}{HIDDEN if at else ''}{at}{host}{path}" + (f"{query[0]}{HIDDEN}" if query else "")
