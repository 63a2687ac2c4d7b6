"""The doctor: what this environment is, line by line, OK or not, and how to mend what is not.

The checks themselves live beside this module: ``machine.py`` (Python, cores, GPU, packages, codecs) and
``place.py`` (disk, model, Jupyter, RunPod). This one runs them, and shows their answers in a shell,
as a table and in a notebook.

One decision to know: *fail* means that something needed is broken, so the main job cannot run. A thing that
would be good to have, or that would make it faster, is a *warn*, and the report as a whole is still OK.
"""

from __future__ import annotations

import html
import logging
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Literal

from peoplenet_nb.errors import InstallationError
from peoplenet_nb.hardware import extra_for, gpu_driver
from peoplenet_nb.paths import home

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

Status = Literal["ok", "warn", "fail"]

#: Distributions that overwrite each other's files: at most one of each family may be installed.
FAMILIES: dict[str, tuple[str, ...]] = {
    "ONNX Runtime": (
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-training",
        "onnxruntime-migraphx",
        "onnxruntime-rocm",
        "ort-nightly",
        "ort-nightly-gpu",
    ),
    "OpenCV": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}

_COLOURS: dict[Status, str] = {"ok": "#1b7837", "warn": "#b35806", "fail": "#b2182b"}
_LONGEST_VALUE = 400


@dataclass(frozen=True)
class Check:
    """One line of the report.

    Attributes
    ----------
    name : str
        What was looked at.
    status : {"ok", "warn", "fail"}
        ``fail`` only where something needed is broken.
    value : str
        What was found, on one line.
    mend : str
        What to do about it; may also be a hint beside an ``ok``.
    """

    name: str
    status: Status
    value: str
    mend: str = ""

    def __post_init__(self) -> None:
        if self.status not in _COLOURS:
            raise ValueError(f"a status is ok, warn or fail, not {self.status!r}")
        for field in ("value", "mend"):
            line = " ".join(str(getattr(self, field)).split())
            line = line if len(line) <= _LONGEST_VALUE else line[: _LONGEST_VALUE - 1] + "…"
            object.__setattr__(self, field, line)


@dataclass(frozen=True)
class Report(Sequence[Check]):
    """The doctor's findings, in the order in which they were made."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether everything that is needed works."""
        return all(check.status != "fail" for check in self.checks)

    def __len__(self) -> int:
        return len(self.checks)

    def __getitem__(self, key: int | slice | str) -> Check:  # type: ignore[override]
        """Return a check by position or by name."""
        if isinstance(key, str):
            for check in self.checks:
                if check.name == key:
                    return check
            raise KeyError(f"no check is called {key!r}; there are {', '.join(c.name for c in self.checks)}")
        return self.checks[key]  # type: ignore[return-value]

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def lines(self) -> list[str]:
        """Return the report for a shell: one line a check, its mend indented below."""
        width = max((len(check.name) for check in self.checks), default=0)
        lines = []
        for check in self.checks:
            lines.append(f"{check.status.upper():<5} {check.name:<{width}}  {check.value}".rstrip())
            if check.mend:
                lines.append(f"{'':<5} {'':<{width}}  → {check.mend}")
        return [*lines, self.summary()]

    def summary(self) -> str:
        """Return the closing line: how many of each, and the verdict."""
        counts = {status: sum(check.status == status for check in self.checks) for status in _COLOURS}
        verdict = "everything that is needed works" if self.ok else "something that is needed is broken"
        return f"{counts['ok']} OK, {counts['warn']} WARN, {counts['fail']} FAIL: {verdict}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with the columns ``name, status, value, mend``."""
        import pandas as pd

        columns = ["name", "status", "value", "mend"]
        rows = [(check.name, check.status, check.value, check.mend) for check in self.checks]
        return pd.DataFrame(rows, columns=columns)

    def _repr_html_(self) -> str:
        """Return a table for Jupyter; the status is a word, so that nobody depends on its colour."""
        rows = []
        for check in self.checks:
            mend = f"<br><small>→ {html.escape(check.mend)}</small>" if check.mend else ""
            rows.append(
                f'<tr><td style="color:#fff;background:{_COLOURS[check.status]};text-align:center">'
                f"{check.status.upper()}</td>"
                f'<td style="text-align:left;white-space:nowrap">{html.escape(check.name)}</td>'
                f'<td style="text-align:left">{html.escape(check.value)}{mend}</td></tr>'
            )
        head = (
            "<tr><th></th><th style='text-align:left'>check</th><th style='text-align:left'>found</th></tr>"
        )
        body = "".join(rows)
        return f"<table>{head}{body}</table><p>{html.escape(self.summary())}</p>"


def doctor() -> Report:
    """Look at the whole environment.

    Returns
    -------
    Report
        One check a line. ``Report.ok`` is False when something needed is broken. Nothing is raised: a check
        that itself goes wrong becomes a line that says so.
    """
    from peoplenet_nb.diagnostics import folders, machine

    return examine((*machine.CHECKS, *folders.CHECKS))


def examine(checks: Sequence[tuple[str, Callable[[], list[Check]]]]) -> Report:
    """Run named checks one after the other, whatever they raise."""
    found: list[Check] = []
    for name, check in checks:
        try:
            found += check()
        except Exception as error:  # the doctor must not fall ill itself
            logger.debug("the check %r went wrong", name, exc_info=True)
            found.append(Check(name, "warn", f"could not be checked: {type(error).__name__}: {error}"))
    return Report(tuple(found))


def installed(names: Sequence[str]) -> dict[str, str]:
    """Return which of some distributions are installed, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def require_single_distributions() -> None:
    """Refuse to go on with two OpenCV or two ONNX Runtime distributions, which overwrite each other's files.

    Raises
    ------
    InstallationError
        Names both and the commands that mend it.
    """
    for family, names in FAMILIES.items():
        found = installed(names)
        if len(found) > 1:
            raise InstallationError(
                f"Two {family} distributions are installed and overwrite each other's files",
                seen=", ".join(f"{name} {version}" for name, version in found.items()),
                next_step=clash_mend(family, found),
            )


def clash_mend(family: str, found: dict[str, str]) -> str:
    """Return what to remove, and what to install again, when several of a family are there.

    Removing one of two leaves the other with holes, so the one that stays is installed again.
    """
    if family == "OpenCV":
        stays = "opencv-python" if "opencv-python" in found else next(iter(found))
    else:
        wanted = "onnxruntime" if extra_for(gpu_driver())[0] == "cpu" else "onnxruntime-gpu"
        stays = wanted if wanted in found else next(iter(found))
    goes = " ".join(name for name in found if name != stays)
    again = pip_command("install", "--force-reinstall", "--no-deps", f"{stays}=={found[stays]}")
    return f"remove {goes} and put {stays} back: {pip_command('uninstall', goes)} && {again}"


def pip_command(action: str, *arguments: str) -> str:
    """Return the shell command that manages packages here: with uv where set-up made it, else with pip."""
    python, uv = shlex.quote(sys.executable), home() / "uv" / "bin" / "uv"
    if uv.is_file():
        words = [shlex.quote(str(uv)), "pip", action, "--python", python]
    else:
        words = [python, "-m", "pip", action, *(["-y"] if action == "uninstall" else [])]
    return " ".join([*words, *arguments])
