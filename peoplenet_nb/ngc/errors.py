"""What can go wrong with NGC, as sentences that the HTTP and the CLI route share, and how secrets stay out of them.

One decision to know: a key or a presigned address must not reach any message, so texts from outside go
through `redact` first, keys travel as `Secret`, and errors are built where no `requests` exception is being
handled: chained, that one would carry the address it failed on.
"""

from __future__ import annotations

import base64
import errno
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from peoplenet_nb.errors import DownloadError, OutputError
from peoplenet_nb.urls import HIDDEN, hide_secrets_in

CATALOG = "https://catalog.ngc.nvidia.com/orgs/nvidia/teams/tao/models/peoplenet"
MODEL = "nvidia/tao/peoplenet"
T = TypeVar("T")
_UNTIL_THEN = "the stand-in network runs the demo clip until then."

ROWS: dict[str, tuple[str, str]] = {
    "key": (
        "NGC does not accept this API key: it is wrong or was revoked (Invalid apikey)",
        "Make a new key at https://org.ngc.nvidia.com/setup, or unset NGC_API_KEY and go on as guest: "
        "PeopleNet needs no key.",
    ),
    "org": (
        "The API key and the org do not go together (Missing org, Invalid org)",
        "Give the key's own org with it (NGC_CLI_ORG), or neither key nor org nor team: a guest has none.",
    ),
    "not found": (
        "NGC knows no model or version of that name (NOT_FOUND)",
        f"Check the spelling against {CATALOG}: versions such as pruned_quantized_decrypted_v2.3.4 belong to "
        f"{MODEL}; older names such as nvidia/tlt_peoplenet are gone.",
    ),
    "licence": (
        "NGC wants the model's licence accepted first (412)",
        f"Open {CATALOG} in a browser, sign in and accept it, then download again with that account's key.",
    ),
    "wants key": (
        "NGC does not give this version to guests",
        "Set NGC_API_KEY to a key of an account that may have it.",
    ),
    "forbidden": (
        "NGC refuses this download",
        "Try again without a key as guest, with a key of another org, or behind another proxy.",
    ),
    "redirect": (
        "NGC's answer redirects to an address that is not safe to follow",
        "Look at the proxy between here and NGC.",
    ),
    "storage": (
        "The storage host that NGC redirects to refuses the download",
        "Try again in a minute: the address it gives out expires.",
    ),
    "not a model": (
        "What came is not the model",
        "Download again in a minute; if it stays, a proxy or login page answers in NGC's destination.",
    ),
    "damaged": (
        "What came does not match what NGC lists",
        "Download again later: NGC may be replacing the file, or something on the way changes it.",
    ),
    "cli": (
        "The NGC CLI failed",
        "Download without it (via='http'): the same files, and no program is needed.",
    ),
    "space": (
        "Not enough space on the disk (a container disk is small)",
        "Free some, or keep the model on the volume: PEOPLENET_HOME=/workspace/peoplenet.",
    ),
    "write": (
        "The model cannot be written to that folder",
        "Name a folder that you may write to: PEOPLENET_HOME, or --dest.",
    ),
    "busy": ("NGC is out of order or too busy right now", f"Try again later; {_UNTIL_THEN}"),
    "unreachable": (
        "NGC cannot be reached from here",
        f"Check the network, its proxy and its certificates; {_UNTIL_THEN}",
    ),
    "cut": (
        "The connection to NGC keeps breaking",
        f"Run the same command again: it goes on where this one stopped; {_UNTIL_THEN}",
    ),
}
_UNREACHABLE = {"busy", "unreachable", "cut"}
_STATUS_ROWS = {404: "not found", 407: "unreachable", 412: "licence"}
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
# What the CLI and the API say, and the row it belongs to. First match wins.
_TEXTS: tuple[tuple[str, str], ...] = (
    (r"not enough (disk )?space|no space left", "space"),
    (r"missing (org|team)|invalid (org|team)|org[^.\n]{0,20} (is )?required", "org"),
    (
        r"invalid api.?key|api.?key[^.\n]{0,30}(invalid|expired)|authentication failed|\b401\b|unauthorized",
        "key",
    ),
    (r"\b412\b|precondition|licen[cs]e|terms of (use|service)", "licence"),
    (r"not[_ ]found|could not be found|cannot be found|\b404\b|does not exist", "not found"),
    (r"access denied|forbidden|\b403\b", "forbidden"),
    (r"connection|timed? ?out|resolve|unreachable|ssl|certificate|proxy", "unreachable"),
)


class Unreachable(DownloadError):  # noqa: N818  (a state of the network, as callers read it)
    """NGC could not be reached or kept failing; nothing is wrong with the request itself.

    Set-up goes on with the stand-in when it meets this one.
    """


@dataclass(frozen=True)
class Destination:
    """Which version goes into which folder; every failure names it as the way by hand."""

    version: str
    folder: Path

    @property
    def by_hand(self) -> str:
        """How to bring the files without this program."""
        return (
            f"By hand: download {MODEL}:{self.version} from {CATALOG} in a browser and put its files into "
            f"{self.folder} (or set PEOPLENET_MODEL to the .onnx file)."
        )

    def failure(self, row: str, seen: object = None) -> DownloadError:
        """Build the error of a row of `ROWS`, with the way by hand behind its next step."""
        what, next_step = ROWS[row]
        return self.error(what, seen, next_step, Unreachable if row in _UNREACHABLE else DownloadError)

    def error(
        self, what: str, seen: object, next_step: str, kind: type[DownloadError] = DownloadError
    ) -> DownloadError:
        """Build an error with the way by hand behind its next step."""
        return kind(what, seen=seen, next_step=f"{next_step} {self.by_hand}")

    def write(self, act: Callable[[], T], path: Path) -> T:
        """Do something that writes to a path; what goes wrong is a row of `ROWS`, chained to nothing."""
        try:
            return act()
        except (OSError, OutputError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            number, reason = getattr(cause, "errno", None), getattr(cause, "strerror", None)
        raise self.failure("space" if number in _NO_SPACE else "write", f"{path}: {reason}")


def row_for(status: int, body: str, *, with_key: bool) -> str:
    """Return the row of `ROWS` that an answer of NGC's API belongs to."""
    if status in _STATUS_ROWS:
        return _STATUS_ROWS[status]
    row = row_for_text(body)
    if row in ("org", "licence") or (row == "key" and with_key):
        return row
    if status == 401:
        return "key" if with_key else "wants key"
    return "forbidden"


def row_for_text(text: str) -> str | None:
    """Return the row of `ROWS` that a message belongs to, None if it fits none."""
    return next((row for pattern, row in _TEXTS if re.search(pattern, text, re.IGNORECASE)), None)


class Secret:
    """A key or token that no repr, log or traceback shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one place that needs it."""
        return self._value

    def basic(self) -> str:
        """Return the secret as the header of a basic authentication holds it."""
        return base64.b64encode(f"$oauthtoken:{self._value}".encode()).decode()

    def __repr__(self) -> str:
        return "Secret(hidden)"


class Account(NamedTuple):
    """An API key with the org and team that it belongs to; without any, a guest."""

    key: Secret | None = None
    org: str | None = None
    team: str | None = None


def redact(text: str, secrets: Iterable[Secret | None] = ()) -> str:
    """Return what a server or program had to say, without keys, tokens, queries and control characters."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)  # a terminal would obey them
    for secret in secrets:
        if secret is not None and secret.reveal():
            text = text.replace(secret.reveal(), HIDDEN).replace(secret.basic(), HIDDEN)
    text = re.sub(r"nvapi-[\w-]+", HIDDEN, text)
    text = re.sub(r"(?i)\b(bearer|basic)\s+[\w.+/=~-]{8,}", rf"\1 {HIDDEN}", text)
    return hide_secrets_in(text)
