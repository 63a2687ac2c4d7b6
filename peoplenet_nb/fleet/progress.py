"""What is seen of a batch while it works: a table in a terminal, one in a notebook, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from peoplenet_nb.errors import printable
from peoplenet_nb.html_tables import note, table

_EVERY_S = 10.0  # between two plain lines
_LATEST = 5  # failures that are listed


@dataclass
class Standing:
    """How far a batch is."""

    videos: int
    complete: int = 0
    frames: int = 0  #: of this start, of all its workers
    seconds: float = 0.0  #: since this start
    done_size: float = 0.0  #: bytes (or videos) done in this start
    left_size: float = 0.0  #: bytes (or videos) to do
    working: list[dict[str, Any]] = field(default_factory=list)  #: what workers say of themselves
    failures: list[tuple[str, str]] = field(default_factory=list)  #: what was put aside, and why

    @property
    def fps(self) -> float:
        """Frames per second since the start."""
        return self.frames / self.seconds if self.seconds else 0.0

    @property
    def remaining_s(self) -> float | None:
        """Seconds to go, by the sizes of the files; None while too little is known."""
        if not self.done_size or not self.left_size:
            return None if self.left_size else 0.0
        return self.seconds * self.left_size / self.done_size

    def line(self) -> str:
        """Return it in a line."""
        aside = f", {len(self.failures)} put aside" if self.failures else ""
        left = self.remaining_s
        to_go = "" if left is None else f", {duration(left)} to go"
        done = self.complete + len(self.failures)
        return f"{done} of {self.videos} videos{aside}, {self.fps:.1f} frames per second{to_go}"

    def rows(self) -> list[dict[str, object]]:
        """Return a row for each worker."""
        rows: list[dict[str, object]] = []
        for state in self.working:
            video, expected, frames = state.get("name"), state.get("expected"), state.get("frames", 0)
            of = f"{frames} of {expected}" if expected else f"{frames}"
            worker = f"{state.get('host', '')} {state.get('pid', '')}"
            rows.append({"worker": worker, "video": video or "-", "frames": of if video else "-"})
        return rows


def duration(seconds: float) -> str:
    """Return a time as a person says it.

    Examples
    --------
    >>> duration(75), duration(7260)
    ('1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Progress:
    """Shows a batch; nothing where nothing is wanted."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._live: Any = None
        self._handle: Any = None
        self._said, self._listed = 0.0, 0
        if not wanted:
            return
        if "IPython" in sys.modules and _in_notebook():
            from IPython.display import display

            show: Any = display
            self._handle = show(_html(note("The workers are starting.")), display_id=True)
        elif sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)
            self._live.start()

    def show(self, standing: Standing, *, last: bool = False) -> None:
        """Bring what is seen up to date."""
        if not self._wanted:
            return
        if self._handle is not None:
            self._handle.update(_html(note(standing.line(), "ok") if last else _tables(standing)))
        elif self._live is not None:
            self._live.update(_rich(standing), refresh=True)
        now = time.monotonic()
        if self._handle is None and self._live is None:
            for name, reason in standing.failures[self._listed :]:
                self._say(f"put aside: {name}: {reason}")
            self._listed = len(standing.failures)
            if last or now - self._said >= _EVERY_S:
                self._said = now
                self._say(standing.line())

    def _say(self, text: str) -> None:
        sys.stderr.write(f"{printable(' '.join(text.split()))}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            with suppress(Exception):
                self._live.stop()


def _html(text: str) -> Any:
    from IPython.display import HTML

    return HTML(text)  # type: ignore[no-untyped-call]


def _in_notebook() -> bool:
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def _tables(standing: Standing) -> str:
    failures = [{"put aside": name, "reason": reason} for name, reason in _latest(standing)]
    return note(standing.line()) + table(standing.rows()) + (table(failures) if failures else "")


def _rich(standing: Standing) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("worker", "video", "frames"):
        shown.add_column(column)
    for row in standing.rows():
        shown.add_row(*(Text(printable(value)) for value in row.values()))
    lines = [Text(f"put aside: {printable(name)}: {printable(reason)}") for name, reason in _latest(standing)]
    return Group(Text(standing.line(), style="bold"), shown, *lines)


def _latest(standing: Standing) -> Sequence[tuple[str, str]]:
    return standing.failures[-_LATEST:]
