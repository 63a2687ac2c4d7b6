"""A source that breaks off on purpose, to show what is left of a run that was cut."""

from __future__ import annotations

from collections.abc import Generator
from copy import copy

from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import Source
from peoplenet_nb.sources.frames import Candidate


class Unplugged(Source):
    """A source that fails after some frames, as a camera does that is unplugged.

    Parameters
    ----------
    whole : Source
        What is unplugged; it stays as it is.
    after : int
        How many frames it still gives.
    """

    def __init__(self, whole: Source, after: int) -> None:
        self.__dict__.update(vars(copy(whole)))
        self._whole, self._after = whole, max(1, after)

    def _walk(self) -> Generator[Candidate]:
        given, due = 0, self.start
        for candidate in self._whole._walk():
            if candidate.index >= due:
                if given == self._after:
                    raise SourceError(
                        "The video breaks off (on purpose, to show what then happens)",
                        seen=f"after {given} frames",
                        next_step="continue with resume=True, as the next cell does.",
                    )
                given, due = given + 1, self._next_due(candidate.index)
            yield candidate
