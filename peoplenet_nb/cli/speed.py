"""The commands about speed: ``peoplenet-nb optimise`` and ``peoplenet-nb bench``.

One decision to know: as in `peoplenet_nb.cli.main`, there is no logic here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli.options import Model, guarded, say
from peoplenet_nb.errors import choose

# All columns, each stage's milliseconds too, are in bench.json and the chart.
_SHOWN = ["device", "precision", "batch", "fps", "bare_fps", "ratio", "first_s", "peak_mb", "note"]
_STEP = 25  # frames between those that INT8 is calibrated on, where a video does not say how long it is


@guarded
def optimise(
    model: Model = None,
    int8: Annotated[
        str | None, typer.Option(help="Also build INT8, calibrated on frames of this video or folder.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(min=1, help="Take every Nth frame. Else: spread over the video.")
    ] = None,
    frames: Annotated[int, typer.Option(min=6, help="Frames to calibrate on and measure with.")] = 30,
    device: Annotated[
        str, typer.Option(help="What for: cpu (CUDA and OpenVINO take the same), or tensorrt.")
    ] = "cpu",
    force: Annotated[bool, typer.Option(help="Build again what is there.")] = False,
) -> None:
    """Build faster forms of a model: a uint8 input, and INT8; measure how well they agree."""
    from peoplenet_nb.network.devices import Device
    from peoplenet_nb.network.model import resolve_model
    from peoplenet_nb.network.variants import Target, Variant, int8_path, uint8_path
    from peoplenet_nb.onnxfile import read_model_file
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.speed import build_int8, build_uint8

    target = Target.of(choose(Device, device, "device"))
    file = read_model_file(resolve_model(model))
    there = [] if force else [Variant.load(path(file, target), file) for path in (uint8_path, int8_path)]
    made = [build_uint8(file, target=target, force=force)]
    if int8 is not None:
        source = open_source(int8)
        step = every or max(1, (source.expected or _STEP * frames) // frames)
        images = [frame.image for frame in source.sampled(step, frames)]
        made.append(build_int8(file, images, target=target, force=force))
    for derived in made:
        when = "was there already (--force builds it anew)" if derived in there else "built"
        say(f"{derived.kind}: {when}: {derived.path}\n  {derived.agreement}")
        if derived.unlike is not None:
            say(f"  on other pictures: {derived.unlike}")


@guarded
def bench(
    source: Annotated[str, typer.Argument(help="A video or folder to run over.")],
    model: Model = None,
    devices: Annotated[str, typer.Option(help="Which to try, with commas.")] = "cpu,openvino,cuda,tensorrt",
    precisions: Annotated[
        str | None, typer.Option(help="Which to try, with commas. Else: all that each device offers.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Frames per inference. Else: 1 on a CPU, probed on a GPU.")
    ] = None,
    frames: Annotated[int, typer.Option(min=2, help="Frames of the source to run over.")] = 60,
    video: Annotated[bool, typer.Option(help="Write the video too, as `detect` does.")] = True,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where bench.json and bench.png go.")
    ] = None,
) -> None:
    """Time whole runs on every device that loads: stages, frames per second, ratio to a bare loop, memory."""
    from peoplenet_nb.paths import outputs_dir
    from peoplenet_nb.speed.bench import bench as measure
    from peoplenet_nb.speed.bench import write_report

    table = measure(
        model,
        source,
        devices=[name.strip() for name in devices.split(",")],
        precisions=[name.strip() for name in precisions.split(",")] if precisions else None,
        batch=batch,
        frames=frames,
        video=video,
    )
    shown = table[_SHOWN].astype({"batch": "Int64"})  # a whole number, and none where it did not run
    say(shown.to_string(index=False, float_format="{:.2f}".format, na_rep="-"))
    for path in write_report(table, output or outputs_dir() / "bench"):
        say(f"written: {path}")
