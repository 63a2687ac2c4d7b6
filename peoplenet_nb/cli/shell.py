"""What the shell's commands are made of: kinds of options, settings, lines for the terminal, and how errors end.

An error of this package is three lines (what happened, the value seen, the next step) and exit code 1; an unreachable
NGC is 3, so that set-up can go on without it; Ctrl-C is 130.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import typer

from peoplenet_nb.errors import PeopleNetError, SettingsError, choose, printable
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import Settings, preset, thresholds_of
from peoplenet_nb.urls import hide_secrets_in

_LONGEST = 300  # characters of a value that caused an error
EXIT_ERROR = 1
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

P = ParamSpec("P")


def one_of(flag: str, names: str, about: str) -> Any:
    """Return an option that takes one of the names between the bars; what it means is checked where it is used."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names.split("|") if name.startswith(incomplete)]

    return typer.Option(flag, metavar=f"[{names}]", help=about, autocompletion=complete)


def path_option(*flags: str, metavar: str, about: str) -> Any:
    """Return an option that takes a path; a shell leaves the ``~`` of ``--output=~/x`` to the program."""

    def path(text: str) -> Path:
        if not text.strip() or "\0" in text:
            raise typer.BadParameter("the path is empty, or holds a null character.")
        try:
            return Path(text).expanduser()
        except RuntimeError as error:  # the home of nobody
            raise typer.BadParameter(f"{error}") from error

    return typer.Option(*flags, metavar=metavar, help=about, parser=path)


def say(text: object = "", *, err: bool = False) -> None:
    """Write a line to standard output or error; names from outside cannot steer the terminal."""
    typer.echo(printable(text), err=err)


class LogLines(logging.Formatter):
    """Lines of the log, which hold names from outside too, and tracebacks that may quote an address."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text for a terminal."""
        return printable(hide_secrets_in(super().format(record)))


def read_settings(
    file: Path | None,
    name: str | None,
    fit: str | None,
    thresholds: list[str] | None,
    tiles: int | None = None,
) -> Settings:
    """Return the settings of a file or preset, for the fit and with the thresholds that were asked for."""
    if file is not None and name is not None:
        raise SettingsError(
            "--settings and --preset exclude each other",
            seen=f"--settings {file} --preset {name}",
            next_step="choose one: the file, or the preset; --threshold changes either.",
        )
    if file is None:
        settings = preset(name or "default", choose(FitMode, fit or FitMode.AUTO, "fit"))
    else:
        settings = Settings.from_yaml(file)
        if fit and choose(FitMode, fit, "fit") != settings.fit:
            if fit == FitMode.NEAR or settings.fit is not FitMode.AUTO:  # which has them for the other two
                logging.getLogger(__name__).warning(
                    "%s holds thresholds for '%s', used here with '%s': thresholds belong to a preprocessing",
                    *(file, settings.fit, fit),
                )
            settings = settings.replace(fit=fit)
    settings = settings if tiles is None else settings.replace(tiles=tiles)
    for label, value in thresholds_of(thresholds or [], "--threshold ").items():
        settings = settings.with_class(label, threshold=value)
    return settings


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn this package's errors into three lines and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KeyboardInterrupt as stopped:
            from peoplenet_nb.video import RunInterrupted

            more = f"; {stopped}" if isinstance(stopped, RunInterrupted) else ""
            say(f"interrupted{more}", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            # Whoever read the output has gone, as `| head` does. Python would complain once more while ending.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_ERROR) from None
        except Exception as error:
            raise typer.Exit(complain(error)) from None

    return run


def complain(error: Exception) -> int:
    """Write an error in three lines, whatever line breaks its parts have, and return the exit code for it."""
    if isinstance(error, PeopleNetError):
        from peoplenet_nb.ngc import Unreachable

        what, seen, next_step = error.what, error.seen, error.next_step
        code = EXIT_UNREACHABLE if isinstance(error, Unreachable) else EXIT_ERROR
    else:
        logging.getLogger(__name__).info("the traceback:", exc_info=error)
        what = "Something went wrong that this program did not expect"
        seen = hide_secrets_in(f"{type(error).__name__}: {error}")
        next_step = "run it again with `peoplenet-nb -v …` for the traceback, and report it."
        code = EXIT_ERROR
    value = "nothing more" if seen is None else " ".join(str(seen).split())
    lines = [
        f"error: {' '.join(what.split())}",
        f"  seen: {value if len(value) <= _LONGEST else value[:_LONGEST] + '…'}",
        f"  next: {next_step or 'see `peoplenet-nb --help`.'}",
    ]
    for line in lines:
        say(line, err=True)
    return code
