"""The commands that run the network over frames: ``detect``, ``report`` and ``demo``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.people import Scene, read_scene, say_tracks
from peoplenet_nb.cli.shell import EXIT_ERROR, complain, path_option, read_settings, say
from peoplenet_nb.errors import OutputError, PeopleNetError
from peoplenet_nb.settings import Settings, preset

if TYPE_CHECKING:
    from peoplenet_nb.network import PeopleNet


def load(model: str | None, device: str, settings: Settings, precision: str = "fp32") -> PeopleNet:
    """Load a model and print which one, and where it runs."""
    from peoplenet_nb.diagnostics import require_single_distributions
    from peoplenet_nb.network import PeopleNet

    require_single_distributions()
    loaded = PeopleNet.load(model, device=device, fit=settings.fit, precision=precision)
    say(f"model: {loaded.file.path}{'  (stand-in of the demo clip)' if loaded.is_standin else ''}")
    say(f"device: {loaded.device} ({', '.join(loaded.providers)}), {loaded.precision}, fit: {loaded.fit}")
    if settings.tiles > 1:
        say("tiles: each frame and 2 x 2 parts of it, five inferences a frame: about five times as long")
    return loaded


def detect(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE",
            help="Images, videos, folders of them, web and YouTube addresses, rtsp://, rtmp://, /dev/video0.",
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
    tiles: options.Tiles = None,
    every: options.Every = 1,
    frames: options.Frames = None,
    save_grids: options.SaveGrids = False,
    video: options.Draw = True,
    batch: options.Batch = None,
    keyframes: options.KeyFramesName = "off",
    follow: Annotated[
        bool,
        typer.Option(
            "--track", help="Then tell who is who: tracks.csv and tracked.csv, as the command track."
        ),
    ] = False,
    scene: Scene = None,
    decoder: options.DecoderName = "cpu",
    encoder: options.EncoderName = "auto",
    live: options.Live = False,
    seconds: options.For = None,
    keep: options.Keep = None,
    buffer: options.BufferName = "drop_oldest",
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was interrupted.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the results of an earlier run.")
    ] = False,
    progress: options.Progress = True,
) -> None:
    """Find people, bags and faces; write a video and tables.

    Each source gets a folder of its own with video.mp4 (or images), detections.csv, frames.csv and summary.json. A
    source that fails does not stop the others; the exit code is then 1. A live stream is watched until --for is over or
    Ctrl-C is pressed: its files are whole then.
    """
    from peoplenet_nb.video import Failure, run_all

    if resume and overwrite:
        raise OutputError(
            "--resume and --overwrite exclude each other", next_step="choose one: continue, or begin anew."
        )
    chosen = read_settings(settings, preset_name, fit, threshold, tiles)
    drawn = read_scene(scene)  # before hours of work
    if follow or drawn is not None:
        from peoplenet_nb.tracks.identities import tracking_library

        tracking_library()
    outcomes = run_all(
        sources,
        partial(load, model, device, chosen, precision),
        chosen,
        output,
        every=every,
        frames=frames,
        decoder=decoder,
        save_grids=save_grids,
        video=video,
        batch=batch,
        keyframes=keyframes,
        encoder=encoder,
        live=live or seconds is not None,
        seconds=seconds,
        keep=keep,
        buffer=buffer,
        resume=resume,
        overwrite=overwrite,
        progress=progress,
    )
    failed, count = [], 0
    for outcome in outcomes:
        count += 1
        if isinstance(outcome, Failure):
            complain(outcome.error)
            failed.append(outcome.source)
        else:
            say(outcome)
            if follow or drawn is not None:
                try:
                    say_tracks(outcome, drawn)
                except PeopleNetError as error:
                    complain(error)
                    failed.append(outcome.summary["source"]["name"])
    if failed and count > 1:
        say(f"failed: {len(failed)} of {count} sources: {', '.join(failed)}", err=True)
    if failed:
        raise typer.Exit(EXIT_ERROR)


def demo(
    output: options.Output = None,
    model: options.Model = None,
    device: options.DeviceName = "auto",
    frames: options.Frames = None,
    progress: options.Progress = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Run again even if it is done.")] = False,
) -> None:
    """Run on the clip that comes with this package.

    Set-up ends with it. A run that is done is not repeated.
    """
    from peoplenet_nb.demo import demo_clip
    from peoplenet_nb.paths import outputs_dir
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video import run
    from peoplenet_nb.video.runfolder import OtherRunError

    chosen = preset("default")
    loaded = load(model, device, chosen)
    folder = (output or outputs_dir()) / ("demo-standin" if loaded.is_standin else "demo-peoplenet")
    source = open_source(demo_clip(), frames=frames)
    again = partial(run, source, loaded, chosen, folder, save_grids=True, progress=progress)
    try:
        result = again(resume=not overwrite, overwrite=overwrite)
    except OtherRunError:
        result = again(overwrite=True)  # a demo of other frames, another model or preset is nobody's work
    say(result)


def report(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="An image, a video, a folder of images, a web or YouTube address."
        ),
    ],
    model: options.Model = None,
    device: options.DeviceName = "auto",
    fit: options.FitName = None,
    settings: options.SettingsFile = None,
    preset_name: options.PresetName = None,
    threshold: options.Thresholds = None,
    every: options.Every = 100,
    frames: options.Frames = 5,
    save: Annotated[
        Path | None,
        path_option(
            "--save",
            metavar="FOLDER",
            about="Also write network input, raw outputs and picture of each frame here.",
        ),
    ] = None,
) -> None:
    """Show what the network found in a few frames, and why.

    Raw outputs, candidates per threshold, what became of each of them, and the final boxes.
    """
    from peoplenet_nb.draw import draw_detections
    from peoplenet_nb.explain import report_frame
    from peoplenet_nb.files import writing
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video.checks import notes_on
    from peoplenet_nb.video.parts import write_image

    chosen = read_settings(settings, preset_name, fit, threshold)
    opened = open_source(source, every=every, frames=frames)
    loaded = load(model, device, chosen)
    for frame in opened:
        title = f"=== frame {frame.index} at {frame.time_s:.2f} s"
        result = report_frame(loaded.infer(frame.image), chosen, title=title)
        say(f"{result}\n")
        if save is not None:
            folder = save / f"frame-{frame.index:06d}"
            loaded.save_intermediates(frame.image, folder)
            with writing(folder):
                picture = draw_detections(frame.image, result.decoded.detections)
                write_image(folder / "detection_result.jpg", picture)
    for note in (*notes_on(opened, loaded), *opened.info.notes):
        say(f"note: {note}")
