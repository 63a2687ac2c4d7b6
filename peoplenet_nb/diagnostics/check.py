"""One line of the doctor's report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

#: The command that repairs most of what can be wrong.
SETUP = "bash setup_runpod.sh"

Status = Literal["ok", "warn", "fail"]
STATUSES: tuple[Status, ...] = get_args(Status)
_LONGEST_VALUE = 400


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    status: Status  # "fail" only if something required is broken, so that the main job cannot run
    value: str  # what was found, on one line
    fix: str = ""  # what to do about it; may also be a hint beside an "ok"

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"a status is ok, warn or fail, not {self.status!r}")
        for field in ("value", "fix"):
            line = " ".join(str(getattr(self, field)).split())
            line = line if len(line) <= _LONGEST_VALUE else line[: _LONGEST_VALUE - 1] + "…"
            object.__setattr__(self, field, line)
