"""What the commands of the shell share: their options, and how errors end.

One decision to know: an error of this package is three lines (what happened, what was seen, what to do) and
exit code 1; an unreachable NGC is 3, so that set-up can go on without it; Ctrl-C is 130.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.presets import PRESETS

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
    typer.Option("--precision", help="fp32, int8 (once `optimise` built it), or auto: int8 where it pays."),
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

            typer.echo(f"error: {error.what}", err=True)
            if error.seen is not None:
                typer.echo(f"  seen: {error.seen}", err=True)
            if error.next_step:
                typer.echo(f"  next: {error.next_step}", err=True)
            code = EXIT_UNREACHABLE if isinstance(error, Unreachable) else EXIT_ERROR
            raise typer.Exit(code) from None
        except KeyboardInterrupt:
            typer.echo("interrupted; run it again with --resume to go on", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return run
