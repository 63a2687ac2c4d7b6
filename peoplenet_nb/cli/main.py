"""The shell command ``peoplenet-nb``: the package's functions from a shell.

There is no logic here. Each command is a few calls of the package, as in the notebooks.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

import peoplenet_nb
from peoplenet_nb.cli import batch, bill, export, model, people, proof, runs, serve, speed
from peoplenet_nb.cli.shell import LogLines, guarded, say

app: typer.Typer = typer.Typer(
    help="Run NVIDIA PeopleNet, see inside it, and tune it on its raw grids.",
    epilog="Start with `peoplenet-nb doctor`, then `peoplenet-nb detect street.mp4`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# In the order of the help, each with an example.
_COMMANDS = (
    (runs.detect, "detect street.mp4 photos/ --threshold face=0.1"),
    (batch.batch, "batch clips/ more.csv -o results"),
    (runs.report, "report street.mp4 --every 50 --frames 3"),
    (people.track, "track out/street"),
    (people.redact, "redact out/street --what head"),
    (proof.evaluate, "evaluate street.mp4 --labels street.json --worst errors/"),
    (proof.recommend, "recommend out/street --labels street.json -o new.yaml"),
    (runs.demo, "demo --frames 60"),
    (model.download, "download"),
    (model.describe, "describe"),
    (model.settings, "settings --preset deepstream -o settings.yaml"),
    (export.export, "export deepstream --settings settings.yaml"),
    (export.compare, "compare out/street kitti/"),
    (serve.serve, "serve --settings settings.yaml"),
    (speed.optimise, "optimise --int8 street.mp4"),
    (speed.bench, "bench street.mp4 --devices cpu,cuda"),
    (model.notebooks, "notebooks my-notebooks"),
    (bill.cost, "cost --hours 100"),
    (bill.stop_when_idle, "stop-when-idle --after 20m"),
    (bill.clean, "clean"),
    (model.doctor, "doctor"),
)
for _command, _example in _COMMANDS:
    app.command(epilog=f"Example: peoplenet-nb {_example}")(guarded(_command))


def _version(wanted: bool) -> None:
    if wanted:
        say(f"peoplenet-nb {peoplenet_nb.__version__}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log each step, and show tracebacks of unexpected errors.")
    ] = False,
    _wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Set up logging for whatever command follows."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLines("%(levelname)s: %(message)s"))
    if not verbose:  # its retries; what came of them is told by the command
        handler.addFilter(lambda record: not record.name.startswith("urllib3"))
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
    if sys.stdout.encoding and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
