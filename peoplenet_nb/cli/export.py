"""The command that takes settings and detections to other programs: ``peoplenet-nb export``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import one_of, path_option, read_settings, say
from peoplenet_nb.errors import SettingsError

# Spelled out, because importing the enums costs; a test compares them.
TARGETS = "deepstream|deepstream-yaml|nvinferserver|savant|tao|triton|jetson|isaac"
FORMATS = "coco|mot|kitti|yolo|cvat|label-studio|voc|fiftyone|csv|parquet"


def _targets(incomplete: str) -> list[str]:
    return [name for name in TARGETS.split("|") if name.startswith(incomplete)]


def export(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET|RUN",
            help=f"The program: {TARGETS}. With --to: the folder of a run.",
            autocompletion=_targets,
        ),
    ],
    to: Annotated[
        str | None, one_of("--to", FORMATS, "Write what a run found in this format of other tools.")
    ] = None,
    output: Annotated[
        Path | None,
        path_option(
            "--output",
            "-o",
            metavar="FOLDER",
            about="Where the files go. Left out: a folder TARGET here, or RUN-FORMAT beside the run.",
        ),
    ] = None,
    settings: options.SettingsFile = None,
    preset_name: options.PresetName = None,
    fit: options.FitName = None,
    threshold: options.Thresholds = None,
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
    images: Annotated[
        bool, typer.Option("--images", help="With --to: put the pictures where the tool looks for them.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Write settings, or what a run found, for other programs.

    Settings become the files that the program takes as they are; what does not transfer stands in them and is printed.
    With --to, the boxes of a run become a folder that the tool in question opens.
    """
    from peoplenet_nb.export import export_detections, export_settings
    from peoplenet_nb.video.result import is_run

    if to is not None:
        folder = Path(target).expanduser()
        whole = Path(os.path.abspath(folder))  # noqa: PTH100 -- without looking: it may be no path at all
        beside = whole.with_name(f"{whole.name}-{to.lower()}") if whole.name else whole
        say(export_detections(folder, to, output or beside, images=images, overwrite=overwrite))
        return
    if is_run(target):
        raise SettingsError(
            "A run is exported in a format",
            seen=target,
            next_step="add --to coco, say; -h names all formats.",
        )
    chosen = read_settings(settings, preset_name, fit, threshold)
    made = export_settings(chosen, target, model=model, nearest=nearest, run=run)
    paths = made.write(output or Path(target.lower()), overwrite=overwrite)
    say(made)
    for path in paths:
        say(f"written: {path}")


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="The folder of a run.")],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="Another run, or boxes of another program: DeepStream's KITTI dump, COCO, CVAT, YOLO.",
        ),
    ],
    picture: Annotated[
        Path | None,
        path_option(
            "--picture", metavar="FILE", about="Write the first ten differing boxes as a picture (.jpg)."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        path_option(
            "--write-settings", metavar="FILE", about="Write the settings that come nearest to B (YAML)."
        ),
    ] = None,
) -> None:
    """Compare what two found in the same frames.

    Box by box; where A was made with --save-grids, also why each lacks what the other has, and the settings under which
    A comes nearest to B.
    """
    from peoplenet_nb.export import compare as of

    found = of(a, b)
    say(found)
    if picture is not None:
        say(f"written: {found.picture().save(picture)}")
    if settings is not None:
        if found.agreement is None:
            raise SettingsError(
                "No settings were looked for",
                seen=a,
                next_step="run it again with --save-grids; where nothing differs there is nothing to look for.",
            )
        say(f"written: {found.agreement.settings.to_yaml(settings)}")
