"""Talking with NGC: keys, questions and answers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import Account, Destination, Secret, redact, row_for
from peoplenet_nb.ngc.record import json_object
from peoplenet_nb.ngc.session import (
    BUSY,
    Auth,
    Session,
    UnsafeRedirect,
    authorization,
    safe_redirect,
)
from peoplenet_nb.urls import hide_secrets
from peoplenet_nb.web import read_up_to, reason_of

API = "https://api.ngc.nvidia.com/v2"
AUTH = "https://authn.nvidia.com/token"
TIMEOUT = (10.0, 60.0)  # seconds to connect, seconds without a byte
_LARGEST_ANSWER = 4 << 20  # bytes of a listing

log: logging.Logger = logging.getLogger(__name__)


def checked_base(url: str, destination: Destination) -> str:
    """Return a base address without trailing slash; refuse all but https, or http on this machine."""
    if safe_redirect(url, url):
        return url.rstrip("/")
    fix = "Correct or unset PEOPLENET_NGC_API and PEOPLENET_NGC_AUTH."
    raise destination.error("An NGC address must begin with https", hide_secrets(url), fix)


class Client:
    """One conversation with NGC about what goes to a destination.

    ``api`` is the base address of the API and ``auth`` that of the token service. A request that brings nothing
    is repeated ``retries`` times, first after ``backoff`` seconds.
    """

    def __init__(
        self, destination: Destination, account: Account, *, api: str, auth: str, retries: int, backoff: float
    ) -> None:
        self.destination: Destination = destination
        self.retries: int = retries
        self.backoff: float = backoff
        self.api: str = checked_base(api, destination)
        self._auth = checked_base(auth, destination)
        self._key, self._org, self._team = account
        self._token: Secret | None = None
        self._session = Session(retries, backoff)

    def get_json(self, path: str) -> dict[str, Any] | None:
        """Return a JSON object of the API, None when the answer is none (a login page, say)."""
        for _ in range(2):
            answer = self.get(path, {}, {"Accept": "application/json"})
            if isinstance(answer, str):
                raise self._unreachable(self.api, answer)
            body, whole = read_up_to(answer, _LARGEST_ANSWER)
            if answer.status_code != 200:
                raise self.refusal(answer, body)
            if whole:
                return json_object(body)
        raise self._unreachable(self.api, "the connection broke")

    def get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response | str:
        """Ask for something below the API's address; return the answer, its body unread, or why there is none."""
        return self._send(f"{self.api}/{path}", query, headers, authorization(self._bearer()))

    def refusal(self, answer: requests.Response, body: bytes | None = None) -> DownloadError:
        """Build the error for an answer that is not what was asked for."""
        row, seen = "storage", f"HTTP {answer.status_code} from {urlsplit(answer.url).hostname}"
        if answer.status_code in BUSY:
            row = "busy"
        elif answer.url.startswith(f"{self.api}/"):
            text = self._redact(read_up_to(answer, _LARGEST_ANSWER)[0] if body is None else body)
            row = row_for(answer.status_code, text, with_key=self._key is not None)
            status = (json_object(text) or {}).get("requestStatus")
            if isinstance(status, dict):
                words = [str(status[key]) for key in ("statusCode", "statusDescription") if status.get(key)]
                seen += f" ({redact(': '.join(words))})"
        return self.destination.failure(row, seen)

    def _unreachable(self, address: str, reason: str) -> DownloadError:
        return self.destination.failure("unreachable", f"{hide_secrets(address)}: {reason}")

    def _redact(self, body: bytes) -> str:
        return redact(body[:4096].decode("utf-8", "replace"), (self._key, self._token))

    def _send(
        self, address: str, query: Mapping[str, str], headers: Mapping[str, str], auth: Auth
    ) -> requests.Response | str:
        """Send one request; a failure comes back as words, so that no exception is left to be chained."""
        sent: dict[str, Any] = {"params": dict(query), "headers": headers, "auth": auth}
        try:
            return self._session.get(address, **sent, stream=True, timeout=TIMEOUT)
        except (UnsafeRedirect, requests.TooManyRedirects) as error:
            unsafe, reason = True, str(error)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            unsafe, reason = False, reason_of(error)
        if unsafe:
            raise self.destination.failure("redirect", reason)
        log.debug("%s: %s", hide_secrets(address), reason)
        return reason

    def _bearer(self) -> Secret | None:
        """Return the token to send: a personal key as it is, a legacy key exchanged once."""
        if self._key is None or self._token is not None:
            return self._token
        if self._key.reveal().startswith("nvapi-"):
            self._token = self._key
            return self._key
        if not self._org:
            raise self.destination.failure(
                "org", "a legacy key (one that does not begin with nvapi-) and no org"
            )
        scopes = [f"group/ngc:{self._org}"] + ([f"group/ngc:{self._org}/{self._team}"] if self._team else [])
        query = "&".join(["service=ngc", *(f"scope={quote(scope, safe='/:')}" for scope in scopes)])
        answer = self._send(f"{self._auth}?{query}", {}, {}, authorization(self._key, basic=True))
        if isinstance(answer, str):
            raise self._unreachable(self._auth, answer)
        body, _ = read_up_to(answer, _LARGEST_ANSWER)
        token = (json_object(body) or {}).get("token") if answer.status_code == 200 else None
        if isinstance(token, str) and token:
            self._token = Secret(token)
            return self._token
        row = (
            "busy" if answer.status_code in BUSY else "org" if "org" in self._redact(body).lower() else "key"
        )
        raise self.destination.failure(row, f"HTTP {answer.status_code} from {hide_secrets(self._auth)}")
