"""What can go wrong, as types, each with a message a person can act on.

Every error carries what happened, the value that was seen and the next step, as
separate fields, so that the shell prints them on three lines and a notebook can show them as a table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

_LONGEST_VALUE = 300

E = TypeVar("E", bound=StrEnum)


class PeopleNetError(Exception):
    """Base of all errors that this package raises on purpose.

    Parameters
    ----------
    what : str
        What happened, one sentence.
    seen : object, optional
        The value that caused it; shown through ``str`` and cut at 300 characters.
    next_step : str, optional
        What the reader can do about it, one sentence.
    """

    def __init__(self, what: str, *, seen: object = None, next_step: str = "") -> None:
        self.what = what
        self.seen = seen
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what.rstrip(".") + "."]
        if self.seen is not None:
            text = str(self.seen)
            parts.append(f"Seen: {text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + '…'}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return " ".join(parts)


class SettingsError(PeopleNetError):
    """A threshold, class name, key or preset that makes no sense."""


class SourceError(PeopleNetError):
    """Frames cannot be had: no such file, not a video, a damaged image, a refused download."""


class ModelError(PeopleNetError):
    """A file that is not a usable DetectNet_v2 model, or outputs that cannot be right."""


class GridsError(PeopleNetError):
    """Raw output of a wrong shape, dtype or with NaN."""


class DeviceError(PeopleNetError):
    """A device that was asked for and is not there; carries the loader's own reason."""


class DownloadError(PeopleNetError):
    """The model could not be fetched or did not verify."""


class OutputError(PeopleNetError):
    """Results cannot be written, or a folder holds another run's results."""


class InstallationError(PeopleNetError):
    """The environment itself is broken, e.g. two OpenCV distributions at once."""


def choose(kind: type[E], value: object, what: str) -> E:
    """Return the member of an enum that a string names, or say which there are.

    Raises
    ------
    SettingsError
        When no member has that name.
    """
    try:
        return kind(str(value).lower())
    except ValueError:
        raise unknown(what, value, list(kind), "choose one of") from None


def refuse_unknown(names: Iterable[object], known: Iterable[str], what: str, lead: str = "known are") -> None:
    """Raise a SettingsError for the first name that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            raise unknown(what, name, known, lead)


def unknown(what: str, name: object, known: Iterable[str], lead: str = "known are") -> SettingsError:
    """Return the error for an unknown name, with the nearest known one."""
    known = list(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return SettingsError(f"Unknown {what}", seen=repr(name), next_step=f"{hint}{lead}: {', '.join(known)}.")
