"""The commands about speed: ``peoplenet-nb optimise`` and ``peoplenet-nb bench``."""

from __future__ import annotations

from typing import Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import one_of, say
from peoplenet_nb.errors import PeopleNetError, choose, refuse_unknown

# All columns, each stage's milliseconds too, are in bench.json and the chart.
_SHOWN = ["device", "precision", "batch", "fps", "bare_fps", "ratio", "first_s", "peak_mb", "note"]
_STEP = 25  # frames between those that INT8 is calibrated on, where a video does not say how long it is


def optimise(
    model: options.Model = None,
    int8: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Also build INT8, calibrated on frames of this video or folder."),
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Take every Nth frame. Left out: spread over the video."),
    ] = None,
    frames: Annotated[
        int, typer.Option(min=6, metavar="N", help="Frames to calibrate on and measure with.")
    ] = 30,
    device: Annotated[
        str,
        one_of(
            "--device",
            "cpu|tensorrt",
            "Where it will run. MNN, CUDA and OpenVINO take what is built for cpu.",
        ),
    ] = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Build again what is there.")] = False,
) -> None:
    """Build faster variants of a model and compare them with it.

    One with a uint8 input, which computes the same, one in MNN's format, and INT8. How well they agree is measured and
    recorded.
    """
    from peoplenet_nb.network.devices import Device
    from peoplenet_nb.network.mnnfile import build_mnn
    from peoplenet_nb.network.resolve import resolve_model
    from peoplenet_nb.network.variants import TIMES, Target, variants_dir
    from peoplenet_nb.onnxfile import read_model_file
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.speed import build_int8, build_uint8

    target = Target.of(choose(Device, device, "device"))
    source = None if int8 is None else open_source(int8)
    file = read_model_file(resolve_model(model))
    before = {path: path.stat().st_mtime_ns for path in variants_dir(file).glob("*")}
    made = [build_uint8(file, target=target, force=force)]
    if target is Target.CPU:
        try:
            made.append(build_mnn(file, force=force))
        except PeopleNetError as error:
            say(f"mnn: not built: {error}")
    if source is not None:
        step = every or max(1, (source.expected or _STEP * frames) // frames)
        images = [frame.image for frame in source.sampled(step, frames)]
        made.append(build_int8(file, images, target=target, force=force))
    for variant in made:
        old = before.get(variant.path) == variant.path.stat().st_mtime_ns
        when = "was there already (--force builds it anew)" if old else "built"
        say(f"{variant.kind}: {when}: {variant.path}\n  {variant.agreement}")
        if variant.unlike is not None:
            say(f"  on other pictures: {variant.unlike}")
        if TIMES in variant.recipe:
            say(f"  {variant.recipe[TIMES]} times as fast as ONNX Runtime in FP32 on this machine")


def bench(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A video or folder to run over.")],
    model: options.Model = None,
    devices: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Which to try, with commas. Left out: all.")
    ] = None,
    precisions: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which to try, with commas. Left out: all that each device runs."),
    ] = None,
    batch: options.Batch = None,
    frames: Annotated[int, typer.Option(min=2, metavar="N", help="Frames of the source to run over.")] = 60,
    video: Annotated[
        bool, typer.Option(help="Write the video too, as `detect` does.", show_default=False)
    ] = True,
    output: options.Output = None,
) -> None:
    """Time whole runs on every device that loads.

    Frames per second, the time of each stage, the ratio to a bare loop, and memory.
    """
    from peoplenet_nb.network.devices import DEVICES
    from peoplenet_nb.paths import outputs_dir
    from peoplenet_nb.speed.bench import bench as measure
    from peoplenet_nb.speed.bench import write_report

    named = [name.strip() for name in devices.split(",")] if devices else DEVICES
    refuse_unknown(named, DEVICES, "device", "choose one of")
    table = measure(
        model,
        source,
        devices=named,
        precisions=[name.strip() for name in precisions.split(",")] if precisions else None,
        batch=batch,
        frames=frames,
        video=video,
    )
    shown = table[_SHOWN].astype({"batch": "Int64"})  # a whole number, and none where it did not run
    say(shown.to_string(index=False, float_format="{:.2f}".format, na_rep="-"))
    for path in write_report(table, output or outputs_dir() / "bench"):
        say(f"written: {path}")
