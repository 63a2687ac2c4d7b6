"""The notebooks' functions from a shell: ``peoplenet-nb``.

One decision to know: there is no logic here. Each command is a few calls of the package, as in the notebooks.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peoplenet_nb.cli.options import (
    EXIT_ERROR,
    DeviceName,
    Every,
    FitName,
    Frames,
    Model,
    PrecisionName,
    PresetName,
    SettingsFile,
    guarded,
    say,
)
from peoplenet_nb.cli.speed import bench, optimise
from peoplenet_nb.errors import OutputError, choose
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import Settings, preset

if TYPE_CHECKING:
    from peoplenet_nb.network.model import PeopleNet

app = typer.Typer(
    help="Run NVIDIA PeopleNet, see inside it, and tune it on its raw grids.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


app.command()(optimise)
app.command()(bench)


@app.callback()
def main(verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")] = False) -> None:
    """Set up logging for whatever command follows."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s: %(message)s"
    )
    if sys.stdout.encoding and sys.stdout.encoding.lower() not in ("utf-8", "utf8"):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]


def _settings(file: Path | None, name: str, fit: str | None) -> Settings:
    """Return the settings of a file or preset, for the fit that was asked for."""
    if file is None:
        return preset(name, choose(FitMode, fit, "fit") if fit else FitMode.STRETCH)
    settings = Settings.from_yaml(file)
    if fit and choose(FitMode, fit, "fit") != settings.fit:
        logging.getLogger(__name__).warning(
            "%s holds thresholds for '%s' and the frames are brought in by '%s': thresholds belong to a preprocessing",
            *(file, settings.fit, fit),
        )
        settings = settings.replace(fit=fit)
    return settings


def _load(model: str | None, device: str, settings: Settings, precision: str = "fp32") -> PeopleNet:
    from peoplenet_nb.diagnostics import require_single_distributions
    from peoplenet_nb.network.model import PeopleNet

    require_single_distributions()
    loaded = PeopleNet.load(model, device=device, fit=settings.fit, precision=precision)
    say(f"model: {loaded.file.path}{'  (stand-in of the demo clip)' if loaded.is_standin else ''}")
    say(f"device: {loaded.device} ({', '.join(loaded.providers)}), {loaded.precision}, fit: {loaded.fit}")
    return loaded


@app.command()
@guarded
def detect(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SOURCE...", help="Images, folders, videos, URLs, YouTube addresses."),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where results go, a folder a source.")
    ] = None,
    model: Model = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "fp32",
    fit: FitName = None,
    settings: SettingsFile = None,
    preset_name: PresetName = "default",
    every: Every = 1,
    frames: Frames = None,
    save_grids: Annotated[
        bool, typer.Option(help="Keep the raw grids of every frame for the tuner.")
    ] = False,
    video: Annotated[bool, typer.Option(help="Write the annotated video or images.")] = True,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Frames per inference. Else: 1 on a CPU, probed on a GPU.")
    ] = None,
    decoder: Annotated[str, typer.Option(help="What decodes videos: cpu, or nvdec.")] = "cpu",
    encoder: Annotated[
        str, typer.Option(help="What writes the video: x264, nvenc, or auto: nvenc where it opens.")
    ] = "auto",
    resume: Annotated[bool, typer.Option(help="Go on with a run that was cut.")] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace the results of an earlier run.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Find people, bags and faces; write a video, a table and a summary."""
    from peoplenet_nb.paths import outputs_dir
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video import run

    if resume and overwrite:
        raise OutputError(
            "--resume and --overwrite exclude each other", next_step="choose one: go on, or start anew."
        )
    chosen = _settings(settings, preset_name, fit)
    loaded = _load(model, device, chosen, precision)
    names: Counter[str] = Counter()
    for spec in sources:
        source = open_source(spec, every=every, frames=frames, decoder=decoder)
        names[source.info.stem] += 1
        number = names[source.info.stem]  # videos of the same name from different folders do not share one
        result = run(
            source,
            loaded,
            chosen,
            output or outputs_dir(),
            name=source.info.stem + (f"-{number}" if number > 1 else ""),
            save_grids=save_grids,
            video=video,
            batch=batch,
            encoder=encoder,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
        say(result)


@app.command()
@guarded
def demo(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where results go.")] = None,
    model: Model = None,
    device: DeviceName = "auto",
    frames: Frames = None,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
    overwrite: Annotated[bool, typer.Option(help="Run again even if it is done.")] = False,
) -> None:
    """Run on the project's own clip: what set-up ends with. A run that is done is not repeated."""
    from peoplenet_nb.demo import demo_clip
    from peoplenet_nb.paths import outputs_dir
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video import run
    from peoplenet_nb.video.runfolder import OtherRunError

    chosen = preset("default")
    loaded = _load(model, device, chosen)
    if loaded.is_standin:
        say("No PeopleNet here: the small stand-in network, trained for this clip only, takes its place.")
    folder = (output or outputs_dir()) / ("demo-standin" if loaded.is_standin else "demo-peoplenet")
    source = open_source(demo_clip(), frames=frames)
    again = partial(run, source, loaded, chosen, folder, save_grids=True, progress=progress)
    try:
        result = again(resume=not overwrite, overwrite=overwrite)
    except OtherRunError:
        result = again(overwrite=True)  # a demo of other frames, another model or preset is nobody's work
    say(result)


@app.command()
@guarded
def report(
    source: Annotated[str, typer.Argument(help="An image, folder, video, URL or YouTube address.")],
    model: Model = None,
    device: DeviceName = "auto",
    fit: FitName = None,
    settings: SettingsFile = None,
    preset_name: PresetName = "default",
    every: Every = 100,
    frames: Frames = 5,
    save: Annotated[
        Path | None,
        typer.Option(help="Also write network input, raw outputs and the picture of each frame here."),
    ] = None,
) -> None:
    """Say what the network said of a few frames: outputs, candidates per threshold, fates, boxes."""
    from peoplenet_nb.draw import draw_detections
    from peoplenet_nb.explain import report_frame
    from peoplenet_nb.files import writing
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video.parts import write_image

    chosen = _settings(settings, preset_name, fit)
    loaded = _load(model, device, chosen)
    for frame in open_source(source, every=every, frames=frames):
        told = report_frame(
            loaded.infer(frame.image), chosen, title=f"=== frame {frame.index} at {frame.time_s:.2f} s"
        )
        say(f"{told}\n")
        if save is not None:
            folder = save / f"frame-{frame.index:06d}"
            loaded.save_intermediates(frame.image, folder)
            with writing(folder):
                write_image(
                    folder / "detection_result.jpg", draw_detections(frame.image, told.decoded.detections)
                )


@app.command()
@guarded
def describe(model: Model = None, device: DeviceName = "auto") -> None:
    """Say what is inside a model: tensors, layers, parameters, the health of each head."""
    from peoplenet_nb.network.model import PeopleNet

    table = PeopleNet.load(model, device=device).describe()
    for what, value in table.itertuples(index=False):
        say(f"{what:>16}  {value}")


@app.command()
@guarded
def download(
    version: Annotated[str | None, typer.Argument(help="A version of nvidia/tao/peoplenet on NGC.")] = None,
    dest: Annotated[Path | None, typer.Option(help="The folder that gets the version's own folder.")] = None,
    via: Annotated[str, typer.Option(help="http, or cli for the NGC CLI.")] = "http",
    org: Annotated[str | None, typer.Option(help="The key's org; a legacy key needs it.")] = None,
    team: Annotated[str | None, typer.Option(help="The key's team.")] = None,
    force: Annotated[bool, typer.Option(help="Fetch it even if a good copy is there.")] = False,
    progress: Annotated[bool, typer.Option(help="Show a progress bar.")] = True,
) -> None:
    """Fetch PeopleNet from NGC, as guest or with the key in NGC_API_KEY, and verify it."""
    from peoplenet_nb import ngc

    record = ngc.download(
        version or ngc.DEFAULT_VERSION, dest, via=via, org=org, team=team, force=force, progress=progress
    )
    say(f"{record.path}\n{record.size:,} bytes, sha256 {record.sha256}, verified by {record.verified}")


@app.command()
@guarded
def doctor() -> None:
    """Examine the environment line by line; exit code 1 when something needed is broken."""
    from peoplenet_nb.diagnostics import doctor as examine

    result = examine()
    for line in result.lines():
        say(line)
    if not result.ok:
        raise typer.Exit(EXIT_ERROR)


@app.command()
@guarded
def settings(
    preset_name: PresetName = "default",
    fit: FitName = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead of printing.")
    ] = None,
) -> None:
    """Print a preset as a settings file, to start your own from."""
    import yaml

    chosen = _settings(None, preset_name, fit)
    if output is not None:
        say(f"written: {chosen.to_yaml(output)}")
    else:
        say(yaml.safe_dump(chosen.to_dict(), sort_keys=False).rstrip())
