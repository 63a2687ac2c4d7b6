"""The command that runs many videos: ``batch``."""

from __future__ import annotations

from typing import Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import EXIT_ERROR, one_of, read_settings, say


def batch(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Videos, folders (and all below), patterns, lists (.csv: source,name,settings), addresses, s3://….",
        ),
    ],
    output: options.Output = None,
    model: options.Model = None,
    device: options.DeviceName = "auto",
    precision: options.PrecisionName = "fp32",
    fit: options.FitName = None,
    settings: options.SettingsFile = None,
    preset_name: options.PresetName = None,
    threshold: options.Thresholds = None,
    every: options.Every = 1,
    frames: options.Frames = None,
    save_grids: options.SaveGrids = False,
    video: options.Draw = True,
    frames_at_once: options.Batch = None,
    keyframes: options.KeyFramesName = "off",
    decoder: options.DecoderName = "cpu",
    encoder: options.EncoderName = "auto",
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes. Left out: one for each GPU, else for each core."),
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, metavar="N", help="Put a video aside after so many failures.")
    ] = 2,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try again what was put aside in earlier starts.")
    ] = False,
    on: Annotated[str, one_of("--on", "local|ray", "Where the workers run.")] = "local",
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Of Ray's cluster, or 'auto'. Left out: one of its own."),
    ] = None,
    progress: options.Progress = True,
) -> None:
    """Run many videos; started again, it does what is left.

    Each video gets a folder of its own, as by detect; videos.csv and index.html are over all of them. On several
    machines with one volume the same command shares the list. A video that fails is tried again, then put aside; the
    exit code is then 1.
    """
    from peoplenet_nb.diagnostics import require_single_distributions
    from peoplenet_nb.fleet import batch as run_batch
    from peoplenet_nb.network import resolve_model
    from peoplenet_nb.network.model import STANDIN_WARNING
    from peoplenet_nb.onnxfile import read_model_file

    require_single_distributions()
    # The workers load it, each for itself and without a word: here it is told once.
    file = read_model_file(resolve_model(model))
    if model is None and file.standin:
        say(f"WARNING: There is no PeopleNet on this machine. {STANDIN_WARNING}", err=True)
    say(f"model: {file.path}{'  (stand-in of the demo clip)' if file.standin else ''}")
    result = run_batch(
        sources,
        output,
        read_settings(settings, preset_name, fit, threshold),
        model=model,
        device=device,
        precision=precision,
        every=every,
        frames=frames,
        save_grids=save_grids,
        video=video,
        batch=frames_at_once,
        keyframes=keyframes,
        decoder=decoder,
        encoder=encoder,
        workers=workers,
        tries=tries,
        retry=retry,
        on=on,
        address=address,
        progress=progress,
    )
    say(result)
    if result.failures:
        say(
            f"failed: {len(result.failures)} of {len(result.records)} videos; --retry tries them again",
            err=True,
        )
        raise typer.Exit(EXIT_ERROR)
