"""The command that takes settings to other programs: ``peoplenet-nb export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli.options import (
    FitName,
    PresetName,
    SettingsFile,
    Thresholds,
    path_option,
    read_settings,
    say,
)

# Spelled out, because importing the enum costs; a test compares them.
TARGETS = "deepstream|deepstream-yaml|nvinferserver|savant|tao|triton|jetson|isaac"


def _targets(incomplete: str) -> list[str]:
    return [name for name in TARGETS.split("|") if name.startswith(incomplete)]


def export(
    target: Annotated[
        str,
        typer.Argument(metavar="TARGET", help=f"The program: {TARGETS}.", autocompletion=_targets),
    ],
    output: Annotated[
        Path | None,
        path_option(
            "--output", "-o", metavar="FOLDER", about="Where the files go. Left out: TARGET in this folder."
        ),
    ] = None,
    settings: SettingsFile = None,
    preset_name: PresetName = "default",
    fit: FitName = None,
    threshold: Thresholds = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="The .onnx that the files name. Left out: PeopleNet, beside the files."
        ),
    ] = None,
    nearest: Annotated[
        bool, typer.Option("--nearest", help="Take the nearest settings that the program can take.")
    ] = False,
    run: Annotated[
        Path | None,
        path_option(
            "--run",
            metavar="FOLDER",
            about="A run made with --save-grids: say which boxes are lost and gained there.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write settings as another program's own files.

    What does not transfer stands in the files and is printed.
    """
    from peoplenet_nb.export import export_settings

    chosen = read_settings(settings, preset_name, fit, threshold)
    made = export_settings(chosen, target, model=model, nearest=nearest, run=run)
    paths = made.write(output or Path(target.lower()), overwrite=overwrite)
    say(made)
    for path in paths:
        say(f"written: {path}")
