"""Talking HTTP with NGC: addresses, keys, redirects and retries.

One decision to know: redirects are followed by hand. The API answers a file request with a redirect to a
presigned address on a storage host, and the ``Authorization`` header goes only to the address we built
ourselves, never along a redirect, not even to a host of the same domain.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import time
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.address import checked_base, plain_url, reason_of, redirect_fault
from peoplenet_nb.ngc.errors import Place, Secret, redact, row_for

API = "https://api.ngc.nvidia.com/v2"
AUTH = "https://authn.nvidia.com/token"
TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds without a byte
_HOPS = 5
_BODY = 4096
_REDIRECTS = {301, 302, 303, 307, 308}
BUSY = {408, 429, 500, 502, 503, 504}
_LONGEST_PAUSE = 30.0

log = logging.getLogger(__name__)


class _Authorization(requests.auth.AuthBase):
    """Sets the header from a Secret, or nothing at all.

    The key is in no dict or tuple that a traceback with locals would print; and because a request with an
    ``auth`` of its own makes requests not look into ~/.netrc, no password from there reaches a storage host.
    """

    def __init__(self, scheme: str = "", secret: Secret | None = None) -> None:
        self._scheme, self._secret = scheme, secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._secret is not None:
            value = self._secret.reveal()
            if self._scheme == "Basic":
                value = base64.b64encode(f"$oauthtoken:{value}".encode()).decode()
            request.headers["Authorization"] = f"{self._scheme} {value}"
        return request


_NOBODY = _Authorization()


class Client:
    """One conversation with NGC.

    Parameters
    ----------
    place : Place
        What is fetched and where it goes, for the messages.
    api, auth : str
        Base address of the API and address of the token service.
    key : Secret or None
        An API key, either kind; None is a guest.
    org, team : str or None
        What the key belongs to; needed for a legacy key.
    retries : int
        How often a request is repeated when nothing comes.
    backoff : float
        Seconds before the first repetition; doubles each time, up to 30.

    Raises
    ------
    DownloadError
        An address that is neither https nor on this machine.
    """

    def __init__(
        self,
        place: Place,
        *,
        api: str = API,
        auth: str = AUTH,
        key: Secret | None = None,
        org: str | None = None,
        team: str | None = None,
        retries: int = 4,
        backoff: float = 0.5,
    ) -> None:
        self.place = place
        self.api = checked_base(api, place)
        self.retries = retries
        self.backoff = backoff
        self._auth = checked_base(auth, place)
        self._key, self._org, self._team = key, org, team
        self._token: Secret | None = None
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Compressed bodies would make byte ranges and sizes mean something else.
        self._session.headers.update({"User-Agent": _agent(), "Accept-Encoding": "identity"})

    def redact(self, text: str) -> str:
        """Return a text without this conversation's secrets."""
        return redact(text, (self._key, self._token))

    def pause(self, attempt: int, answer: requests.Response | None = None) -> None:
        """Wait before repeating a request: as long as the server asks, else longer each time."""
        seconds = self.backoff * 2**attempt * random.uniform(0.8, 1.2)
        asked = answer.headers.get("Retry-After", "") if answer is not None else ""
        time.sleep(min(float(asked) if asked.isdigit() else seconds, _LONGEST_PAUSE))

    def get_json(self, path: str) -> dict[str, Any] | None:
        """Return a JSON object of the API, None when the answer is none (a login page, say).

        Raises
        ------
        DownloadError
            NGC refuses; the row of the failure table says why.
        Unreachable
            No answer, or only busy ones, after all repetitions.
        """
        for attempt in range(self.retries + 1):
            answer = self._try_get(f"{self.api}/{path}", {"Accept": "application/json"})
            if isinstance(answer, requests.Response):
                body = _read(answer)
                if body is None:
                    answer = "the connection broke"
                elif answer.status_code == 200:
                    return _object(body)
                elif answer.status_code not in BUSY:
                    raise self.refusal(answer, body)
            # A host that does not answer at all is asked once more, not five times: set-up waits for this.
            if isinstance(answer, str) and attempt >= 1:
                break
            if attempt < self.retries:
                self.pause(attempt, None if isinstance(answer, str) else answer)
        if isinstance(answer, str):
            raise self.place.failure("unreachable", f"{plain_url(self.api)}: {answer}")
        raise self.place.failure("busy", f"{plain_url(self.api)}: HTTP {answer.status_code}")

    def get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response | str:
        """Ask for a file, following redirects by hand.

        Parameters
        ----------
        path : str
            Path below the API's base address.
        query, headers : mapping
            Sent along; the headers also to where a redirect leads.

        Returns
        -------
        requests.Response or str
            The answer, its body unread, or the reason why there is none.

        Raises
        ------
        DownloadError
            A redirect from https to http, to another scheme, or one too many.
        """
        address = requests.Request("GET", f"{self.api}/{path}", params=dict(query)).prepare().url
        return self._try_get(str(address), headers)

    def refusal(self, answer: requests.Response, body: bytes | None = None) -> DownloadError:
        """Build the error for an answer that is not the file."""
        text = (_read(answer) if body is None else body) or b""
        said = self.redact(text[:_BODY].decode("utf-8", "replace"))
        place = plain_url(answer.url)
        if not answer.url.startswith(f"{self.api}/"):
            return self.place.failure("storage", f"HTTP {answer.status_code} from {urlsplit(place).hostname}")
        row = row_for(answer.status_code, said, with_key=self._key is not None)
        return self.place.failure(row, f"HTTP {answer.status_code} from {place}{_description(said)}")

    def _try_get(self, address: str, headers: Mapping[str, str]) -> requests.Response | str:
        token = self._bearer()
        auth = _NOBODY if token is None else _Authorization("Bearer", token)
        for _ in range(_HOPS + 1):
            answer = self._send(address, headers, auth)
            if isinstance(answer, str) or answer.status_code not in _REDIRECTS:
                return answer
            target = urljoin(address, answer.headers.get("Location", ""))
            answer.close()
            unsafe = redirect_fault(address, target, self.place)
            if unsafe is not None:
                address = target = ""  # no traceback with locals shows a presigned address
                raise unsafe
            address, auth = target, _NOBODY
        raise self.place.failure("storage", f"more than {_HOPS} redirects from {plain_url(self.api)}")

    def _send(
        self, address: str, headers: Mapping[str, str], auth: _Authorization
    ) -> requests.Response | str:
        """Send one request; a failure comes back as words, so that no exception is left to be chained."""
        try:
            return self._session.get(
                address, headers=headers, auth=auth, stream=True, allow_redirects=False, timeout=TIMEOUT
            )
        except (requests.RequestException, ValueError) as error:  # ValueError: a Location that is no address
            reason = reason_of(error)
        log.debug("%s: %s", plain_url(address), reason)
        return reason

    def _bearer(self) -> Secret | None:
        """Return the token to send: a personal key as it is, a legacy key exchanged once."""
        if self._key is None or self._token is not None:
            return self._token
        if self._key.reveal().startswith("nvapi-"):
            self._token = self._key
            return self._token
        if not self._org:
            raise self.place.failure("org", "a legacy key (one that does not begin with nvapi-) and no org")
        scopes = [f"group/ngc:{self._org}"] + ([f"group/ngc:{self._org}/{self._team}"] if self._team else [])
        query = "&".join(["service=ngc", *(f"scope={quote(scope, safe='/:')}" for scope in scopes)])
        answer = self._send(f"{self._auth}?{query}", {}, _Authorization("Basic", self._key))
        if isinstance(answer, str):
            raise self.place.failure("unreachable", f"{plain_url(self._auth)}: {answer}")
        body = _read(answer) or b""
        token = (_object(body) or {}).get("token") if answer.status_code == 200 else None
        if isinstance(token, str) and token:
            self._token = Secret(token)
            return self._token
        said = self.redact(body[:_BODY].decode("utf-8", "replace"))
        row = "busy" if answer.status_code in BUSY else "org" if "org" in said.lower() else "key"
        raise self.place.failure(row, f"HTTP {answer.status_code} from {plain_url(self._auth)}")


def _agent() -> str:
    try:
        return f"peoplenet-nb/{version('peoplenet-nb')}"
    except PackageNotFoundError:
        return "peoplenet-nb"


def _read(answer: requests.Response) -> bytes | None:
    """Return a body that is expected to be small, None if the connection broke."""
    try:
        with answer:
            return answer.raw.read(1 << 22, decode_content=True)
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        reason = reason_of(error)
    log.debug("%s: %s", plain_url(answer.url), reason)
    return None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _description(said: str) -> str:
    """Return what NGC says itself, from its requestStatus."""
    status = (_object(said.encode()) or {}).get("requestStatus")
    if not isinstance(status, dict):
        return ""
    words = [str(status[key]) for key in ("statusCode", "statusDescription") if status.get(key)]
    return f" ({': '.join(words)})" if words else ""
