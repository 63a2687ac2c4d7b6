"""The doctor's report: which checks are made, and how their results look in a shell, a table and a notebook.

*fail* means that something required is broken, so the main job cannot run. Whatever is merely useful, or
faster, is a *warn*, and the report as a whole is still OK.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from peoplenet_nb.diagnostics import folders, machine, packages
from peoplenet_nb.diagnostics.check import STATUSES, Check, Status

if TYPE_CHECKING:
    import pandas as pd

logger: logging.Logger = logging.getLogger(__name__)

_COLOURS: dict[Status, str] = {"ok": "#1b7837", "warn": "#b35806", "fail": "#b2182b"}


class Report(tuple[Check, ...]):
    """The doctor's findings, in the order of its checks."""

    @property
    def ok(self) -> bool:
        """Whether everything required works."""
        return all(check.status != "fail" for check in self)

    def __getitem__(self, key: Any) -> Any:
        """Return a check by position or by name."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        for check in self:
            if check.name == key:
                return check
        raise KeyError(f"no check is called {key!r}; there are {', '.join(check.name for check in self)}")

    def lines(self) -> list[str]:
        """Return the report for a shell: one line per check, its fix indented below."""
        width = max((len(check.name) for check in self), default=0)
        lines = []
        for check in self:
            lines.append(f"{check.status.upper():<5} {check.name:<{width}}  {check.value}".rstrip())
            if check.fix:
                lines.append(f"{'':<5} {'':<{width}}  → {check.fix}")
        return [*lines, self.summary()]

    def summary(self) -> str:
        """Return the last line: how many checks have each status, and the verdict."""
        counts = {status: sum(check.status == status for check in self) for status in STATUSES}
        verdict = "everything required works" if self.ok else "something required is broken"
        return f"{counts['ok']} OK, {counts['warn']} WARN, {counts['fail']} FAIL: {verdict}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with the columns ``name, status, value, fix``."""
        import pandas as pd

        return pd.DataFrame([asdict(check) for check in self], columns=[f.name for f in fields(Check)])

    def _repr_html_(self) -> str:
        """Return a table for Jupyter; the status is a word too, so that nobody depends on its colour."""
        rows = []
        for check in self:
            fix = f"<br><small>→ {html.escape(check.fix)}</small>" if check.fix else ""
            rows.append(
                f'<tr><td style="color:#fff;background:{_COLOURS[check.status]};text-align:center">'
                f"{check.status.upper()}</td>"
                f'<td style="text-align:left;white-space:nowrap">{html.escape(check.name)}</td>'
                f'<td style="text-align:left">{html.escape(check.value)}{fix}</td></tr>'
            )
        left = "<th style='text-align:left'>"
        head = f"<tr><th></th>{left}check</th>{left}found</th></tr>"
        return f"<table>{head}{''.join(rows)}</table><p>{html.escape(self.summary())}</p>"


def doctor() -> Report:
    """Check the whole environment; nothing is raised, a check that itself fails becomes a line of the report.

    Returns
    -------
    Report
        Shown as a table in a notebook. ``Report.ok`` is False if something required is broken.
    """
    return examine((*packages.CHECKS, *machine.CHECKS, *folders.CHECKS))


def examine(checks: Sequence[tuple[str, Callable[[], list[Check]]]]) -> Report:
    """Run named checks one after the other, whatever they raise."""
    found: list[Check] = []
    for name, check in checks:
        try:
            found += check()
        except Exception as error:  # one failing check must not cost the report
            logger.debug("the check %r failed", name, exc_info=True)
            found.append(Check(name, "warn", f"could not be checked: {type(error).__name__}: {error}"))
    return Report(tuple(found))
