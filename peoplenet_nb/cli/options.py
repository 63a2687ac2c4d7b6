"""What the commands of the shell share: their options, and how errors end.

One decision to know: an error of this package is three lines (what happened, what was seen, what to do) and
exit code 1; an unreachable NGC is 3, so that set-up can go on without it; Ctrl-C is 130.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.settings import PRESETS

_LONGEST = 300  # characters of a value that caused an error
EXIT_ERROR = 1
EXIT_UNREACHABLE = 3
EXIT_INTERRUPTED = 130

P = ParamSpec("P")

Model = Annotated[
    str | None,
    typer.Option(help="An .onnx file, a downloaded version's name, or 'standin'. Else: what was downloaded."),
]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, tensorrt or openvino.")]
FitName = Annotated[
    str | None, typer.Option("--fit", help="stretch or letterbox. Else: what the settings say.")
]
PrecisionName = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32; int8 (once `optimise` built it); tf32 (cuda), fp16 (tensorrt), bf16 (openvino); "
        "or auto: int8 where it pays.",
    ),
]
SettingsFile = Annotated[Path | None, typer.Option("--settings", help="A settings file (YAML).")]
PresetName = Annotated[str, typer.Option("--preset", help=f"One of: {', '.join(PRESETS)}.")]
Every = Annotated[int, typer.Option(min=1, help="Take every Nth frame.")]
Frames = Annotated[int | None, typer.Option(min=1, help="Stop after this many taken frames.")]


def say(text: object = "") -> None:
    """Write a line to standard output."""
    typer.echo(str(text))


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn this package's errors into three lines and an exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PeopleNetError as error:
            from peoplenet_nb.ngc import Unreachable

            _complain(error.what, error.seen, error.next_step)
            code = EXIT_UNREACHABLE if isinstance(error, Unreachable) else EXIT_ERROR
            raise typer.Exit(code) from None
        except KeyboardInterrupt as stopped:
            from peoplenet_nb.video import RunInterrupted

            more = f"; {stopped}" if isinstance(stopped, RunInterrupted) else ""
            typer.echo(f"interrupted{more}", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            # Whoever read the output has gone, as `| head` does. Python would complain once more while ending.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_ERROR) from None
        except Exception as error:
            logging.getLogger(__name__).info("the traceback:", exc_info=True)
            _complain(
                "Something went wrong that this program did not expect",
                f"{type(error).__name__}: {error}",
                "run it again with `peoplenet-nb -v …` for the traceback, and report it.",
            )
            raise typer.Exit(EXIT_ERROR) from None

    return run


def _complain(what: str, seen: object, next_step: str) -> None:
    """Write an error in three lines, whatever line breaks its parts have."""
    told = "nothing more" if seen is None else " ".join(str(seen).split())
    typer.echo(f"error: {' '.join(what.split())}", err=True)
    typer.echo(f"  seen: {told if len(told) <= _LONGEST else told[:_LONGEST] + '…'}", err=True)
    typer.echo(f"  next: {next_step or 'see `peoplenet-nb --help`.'}", err=True)
