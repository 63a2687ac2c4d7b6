"""Options that several of the shell's commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli.shell import one_of, path_option
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import PRESETS

# Spelled out, because importing the enums costs a second on every start; a test compares them.
DEVICES = "auto|cpu|mnn|cuda|tensorrt|openvino"
PRECISIONS = "auto|fp32|tf32|fp16|bf16|int8"
DECODERS = "cpu|nvdec"
ENCODERS = "auto|x264|nvenc"
BUFFERS = "drop_oldest|wait"


SaveGrids = Annotated[
    bool, typer.Option("--save-grids", help="Keep what the network saw (cells.parquet), for the tuner.")
]
Draw = Annotated[
    bool,
    typer.Option(
        "--video/--no-video", help="Write videos or images with boxes drawn on them.", show_default=False
    ),
]
DecoderName = Annotated[str, one_of("--decoder", DECODERS, "What decodes videos.")]
EncoderName = Annotated[str, one_of("--encoder", ENCODERS, "What writes videos. auto: nvenc where it opens.")]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="An .onnx file, the name of a downloaded version, or 'standin'. Left out: the downloaded one.",
    ),
]
DeviceName = Annotated[str, one_of("--device", DEVICES, "Where the network runs.")]
FitName = Annotated[
    str | None,
    one_of(
        "--fit",
        "|".join(FitMode),
        "How frames get the network's size; auto: by their shape; near: for people near the camera. Left out: as "
        "settings say.",
    ),
]
Tiles = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="1|2",
        help="2: look at 2 x 2 parts of a frame too, for small people in large frames; five times as long.",
    ),
]
PrecisionName = Annotated[
    str,
    one_of(
        "--precision",
        PRECISIONS,
        "What the network computes in. int8: after `optimise --int8`; tf32: cuda; fp16: tensorrt; "
        "bf16: openvino; auto: int8 where it is faster.",
    ),
]
SettingsFile = Annotated[
    Path | None, path_option("--settings", metavar="FILE", about="Settings from this YAML file.")
]
PresetName = Annotated[
    str | None,
    one_of("--preset", "|".join(PRESETS), "Settings that come with this package. Left out: default."),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="CLASS=VALUE",
        help="Another threshold for one class, e.g. face=0.1. May be given more than once.",
    ),
]
Every = Annotated[int, typer.Option(min=1, metavar="N", help="Take every Nth frame.")]
Frames = Annotated[int | None, typer.Option(min=1, metavar="N", help="Stop after N frames.")]
Output = Annotated[
    Path | None, path_option("--output", "-o", metavar="FOLDER", about="Where the results go.")
]
Batch = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Frames per inference. Left out: 1 on a CPU, measured on a GPU."),
]
KeyFramesName = Annotated[
    str,
    typer.Option(
        "--keyframes",
        metavar="[off|N|auto]",
        help="Which frames of a video the network sees; boxes of the others are interpolated. off: all; N: every "
        "Nth; auto: as few as the motion allows, several times faster at 25 frames per second.",
        autocompletion=lambda incomplete: [name for name in ("off", "auto") if name.startswith(incomplete)],
    ),
]
Progress = Annotated[bool, typer.Option(help="Show a progress bar.", show_default=False)]


def _duration(text: str) -> float:
    """Return the seconds of ``90``, ``90s``, ``5m``, ``1h30m`` or ``2d``."""
    found = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip().lower())
    seconds = (
        sum(float(n or 0) * unit for n, unit in zip(found.groups(), (86400, 3600, 60, 1), strict=True))
        if found
        else 0.0
    )
    if not 0 < seconds < 1e9:
        raise typer.BadParameter("write a time as 90s, 5m, 1h30m or 2d.")
    return seconds


For = Annotated[
    float | None,
    typer.Option(
        "--for",
        metavar="TIME",
        parser=_duration,
        help="So long to watch a live stream: 90s, 5m, 1h30m. Implies --live.",
    ),
]
Keep = Annotated[
    float | None,
    typer.Option(
        "--keep",
        metavar="TIME",
        parser=_duration,
        help="Keep only the last 24h, say, of a live stream.",
    ),
]
Live = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Take a web address or video as it comes, as rtsp:// is always: the newest frame counts.",
    ),
]
BufferName = Annotated[
    str,
    one_of(
        "--buffer",
        BUFFERS,
        "Live frames that come too fast; wait leaves none out and falls behind.",
    ),
]
