"""The commands that judge against labels: ``peoplenet-nb evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peoplenet_nb.cli.options import (
    DeviceName,
    Every,
    FitName,
    Frames,
    Model,
    PrecisionName,
    Progress,
    SettingsFile,
    Thresholds,
    one_of,
    path_option,
    read_settings,
    say,
)
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.settings import PRESETS, Settings

if TYPE_CHECKING:
    from peoplenet_nb.evaluation import Clip

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
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE_OR_RUN", help="A video, image or folder of images, or a run's folder."
        ),
    ],
    labels: LabelsFile,
    model: Model = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "fp32",
    fit: FitName = None,
    settings: SettingsFile = None,
    preset_name: MaybePreset = None,
    threshold: Thresholds = None,
    names: ClassNames = None,
    every: Every = 1,
    frames: Frames = None,
    json_file: Annotated[
        Path | None, path_option("--json", metavar="FILE", about="Write all figures to this file.")
    ] = None,
    curves: Annotated[
        Path | None, path_option("--curves", metavar="FILE", about="Draw precision and recall into this PNG.")
    ] = None,
    worst: Annotated[
        Path | None,
        path_option("--worst", metavar="FOLDER", about="Write pictures of the twenty worst errors here."),
    ] = None,
    progress: Progress = True,
) -> None:
    """Score what is found against labels.

    Average precision, precision, recall and F1, per class and size, with intervals, and the errors by kind. A source's
    labelled frames go through the network; a run that was made with --save-grids is scored under any settings at once.
    """
    from peoplenet_nb.evaluation import evaluate as judge

    given = (settings, preset_name, fit, threshold) != (None, None, None, None)
    chosen = read_settings(settings, preset_name or "default", fit, threshold) if given else None
    result = judge(
        open_clip(source, labels, chosen, model, device, precision, names, every, frames, progress),
        None,
        chosen,
    )
    say(result)
    if json_file is not None:
        say(f"written: {result.to_json(json_file)}")
    if curves is not None:
        say(f"written: {result.curves().save(curves)}")
    if worst is not None:
        say(f"written: {result.worst(worst)}")


def open_clip(
    source: str,
    labels: Path,
    settings: Settings | None,
    model: str | None,
    device: str,
    precision: str,
    names: list[str] | None,
    every: int,
    frames: int | None,
    progress: bool,
) -> Clip:
    """Return the labelled frames of a run's folder, or of a source that goes through the network now."""
    from peoplenet_nb.cli.runs import load
    from peoplenet_nb.evaluation import is_run, read_clip
    from peoplenet_nb.settings import preset
    from peoplenet_nb.sources import open_source

    classes = _classes(names)
    if is_run(source):
        return read_clip(source, labels, settings, classes=classes)
    opened = open_source(source, every=every, frames=frames, progress=progress)
    loaded = load(model, device, settings or preset("default"), precision)
    return read_clip(opened, labels, settings, loaded, classes=classes, progress=progress)


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
