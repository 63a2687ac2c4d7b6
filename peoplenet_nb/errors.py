"""What can go wrong, as types, each with a message a person can act on.

One decision to know: every error carries what happened, the value that was seen and the next step, as
separate fields, so that the shell prints them on three lines and a notebook can show them as a table.
"""

from __future__ import annotations

_LONGEST_VALUE = 300


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
