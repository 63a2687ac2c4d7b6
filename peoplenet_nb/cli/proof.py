"""The commands that judge against labels: ``peoplenet-nb evaluate`` and ``peoplenet-nb recommend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import one_of, path_option, read_settings, say
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.files import refuse_existing
from peoplenet_nb.settings import PRESETS, Settings

if TYPE_CHECKING:
    from peoplenet_nb.network import PeopleNet
    from peoplenet_nb.sources import Source

SourceOrRun = Annotated[
    str,
    typer.Argument(metavar="SOURCE_OR_RUN", help="A video, image or folder of images, or a run's folder."),
]
LabelsFile = Annotated[
    Path,
    path_option(
        "--labels",
        metavar="FILE",
        about="Ground truth: COCO, MOT, KITTI, YOLO, CVAT, Label Studio, Pascal VOC; a file or a folder.",
    ),
]
ClassNames = Annotated[
    list[str] | None,
    typer.Option(
        "--class",
        metavar="NAME=CLASS",
        help="What a name in the labels means, e.g. Worker=person; 'ignore', or nothing to leave it out.",
    ),
]
MaybePreset = Annotated[
    str | None,
    one_of("--preset", "|".join(PRESETS), "Settings of this package. Left out: the run's own, or default."),
]


def evaluate(
    source: SourceOrRun,
    labels: LabelsFile,
    model: options.Model = None,
    device: options.DeviceName = "auto",
    precision: options.PrecisionName = "fp32",
    fit: options.FitName = None,
    settings: options.SettingsFile = None,
    preset_name: MaybePreset = None,
    threshold: options.Thresholds = None,
    tiles: options.Tiles = None,
    names: ClassNames = None,
    every: options.Every = 1,
    frames: options.Frames = None,
    json_file: Annotated[
        Path | None, path_option("--json", metavar="FILE", about="Write all figures to this file.")
    ] = None,
    curves: Annotated[
        Path | None, path_option("--curves", metavar="FILE", about="Draw precision and recall into this PNG.")
    ] = None,
    worst: Annotated[
        Path | None,
        path_option(
            "--worst",
            metavar="FOLDER",
            about="Write pictures of the worst errors here: twenty at most, of a video not two of a kind at one "
            "spot within a second.",
        ),
    ] = None,
    progress: options.Progress = True,
) -> None:
    """Score what is found against labels.

    Average precision, precision, recall and F1, per class and size, with intervals, and the errors by kind. A source's
    labelled frames go through the network; a run that was made with --save-grids is scored under any settings at once.
    """
    from peoplenet_nb.evaluation import evaluate as judge

    chosen = _asked(settings, preset_name, fit, threshold, tiles)
    what, loaded = _opened(source, chosen, model, device, precision, every, frames, progress)
    result = judge(what, labels, chosen, loaded, classes=_classes(names), progress=progress)
    say(result)
    if json_file is not None:
        say(f"written: {result.to_json(json_file)}")
    if curves is not None:
        say(f"written: {result.curves().save(curves)}")
    if worst is not None:
        say(f"written: {result.worst(worst)}")


def recommend(
    source: SourceOrRun,
    labels: Annotated[
        Path | None, path_option("--labels", metavar="FILE", about="As for `evaluate`. Left out: see above.")
    ] = None,
    goal: Annotated[
        str,
        typer.Option(
            metavar="GOAL", help="f1, recall=0.95 (or more), or false-alarms=2 (an hour, or fewer)."
        ),
    ] = "f1",
    output: Annotated[
        Path | None, path_option("--output", "-o", metavar="FILE", about="Write the settings to this file.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    model: options.Model = None,
    device: options.DeviceName = "auto",
    precision: options.PrecisionName = "fp32",
    fit: options.FitName = None,
    settings: options.SettingsFile = None,
    preset_name: MaybePreset = None,
    threshold: options.Thresholds = None,
    tiles: options.Tiles = None,
    names: ClassNames = None,
    every: options.Every = 1,
    frames: options.Frames = None,
    progress: options.Progress = True,
) -> None:
    """Choose thresholds and clustering by labels.

    Thousands of settings are tried on what the network found once, and tested on frames that they were not chosen on.
    Without labels, people who were seen for two seconds of a video are taken for true, and their threshold is chosen.
    """
    from peoplenet_nb.evaluation import recommend as choose

    chosen = _asked(settings, preset_name, fit, threshold, tiles)
    if output is not None and not overwrite:  # before anything runs
        refuse_existing(output, "The settings file")
    what, loaded = _opened(source, chosen, model, device, precision, every, frames, progress)
    found = choose(what, labels, goal, chosen, loaded, classes=_classes(names), progress=progress)
    say(found)
    if output is not None:
        say(f"written: {found.save(output, overwrite=overwrite)}")


def _asked(
    file: Path | None, name: str | None, fit: str | None, thresholds: list[str] | None, tiles: int | None
) -> Settings | None:
    """Return the settings that were asked for, if any were."""
    if (file, name, fit, thresholds, tiles) == (None,) * 5:
        return None
    return read_settings(file, name, fit, thresholds, tiles)


def _opened(
    source: str,
    settings: Settings | None,
    model: str | None,
    device: str,
    precision: str,
    every: int,
    frames: int | None,
    progress: bool,
) -> tuple[str | Source, PeopleNet | None]:
    """Return a run's folder as it is, or a source with the network that it will go through."""
    from peoplenet_nb.cli.runs import load
    from peoplenet_nb.settings import preset
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video.result import is_run

    if is_run(source):
        return source, None
    opened = open_source(source, every=every, frames=frames, progress=progress)
    return opened, load(model, device, settings or preset("default"), precision)


def _classes(names: list[str] | None) -> dict[str, str]:
    """Return the meaning of class names that were given as ``NAME=CLASS``."""
    pairs = [text.rpartition("=") for text in names or []]
    for text, (name, _, _) in zip(names or [], pairs, strict=True):
        if not name:
            raise SettingsError(
                "--class takes a name of the labels and a class",
                seen=repr(text),
                next_step="write it as --class Worker=person.",
            )
    return {name: means.strip() for name, _, means in pairs}
