"""What can go wrong, as types, each with a message a person can act on.

Every error carries what happened, the value that was seen and the next step as separate fields, so that the shell
and a notebook show them on three lines.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from peoplenet_nb.html_tables import pairs

_LONGEST_VALUE = 300
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

E = TypeVar("E", bound=StrEnum)


def printable(text: object) -> str:
    """Return text for a terminal: control characters could steer it, half characters not be written to it."""
    return _UNPRINTABLE.sub("?", str(text))


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
            parts.append(f"Seen: {self._seen()}.")
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return " ".join(parts)

    def _seen(self) -> str:
        text = str(self.seen)
        return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"

    def _lines(self) -> list[tuple[str, str]]:
        lines = [("seen", self._seen() if self.seen is not None else ""), ("next", self.next_step)]
        return [(name, text) for name, text in lines if text]

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback, which is folded into one line of places."""
        lines = [f"{name}: {' '.join(text.split())}" for name, text in self._lines()]
        places = [_place(frame) for frame in traceback.extract_tb(self.__traceback__)]
        where = " > ".join(dict.fromkeys(place for place in places if place))
        return [f"{type(self).__name__}: {self.what}", *lines, *([f"from: {where}"] if where else [])]

    def _repr_html_(self) -> str:
        return pairs([("what happened", self.what), *self._lines()])


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


def _place(frame: traceback.FrameSummary) -> str:
    """Return file and line of one frame of a traceback; nothing for the machinery that runs cells."""
    path = Path(frame.filename)
    if "IPython" in path.parts:
        return ""
    return f"{path.name if path.is_file() else 'the notebook'}, line {frame.lineno}"
