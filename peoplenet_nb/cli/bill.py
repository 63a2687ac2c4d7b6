"""The commands about RunPod's bill: ``cost``, ``stop-when-idle`` and ``clean``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli.shell import path_option, say


def cost(
    run: Annotated[
        Path | None, path_option("--run", metavar="FOLDER", about="What this run or batch cost.")
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(metavar="N", help="Compare GPUs for so many hours of video."),
    ] = None,
    video_fps: Annotated[
        float, typer.Option("--video-fps", metavar="N", help="Frames per second of that video.")
    ] = 25.0,
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", help="Speed on this machine. Left out: that of its finished runs."),
    ] = None,
) -> None:
    """Tell what this pod, its storage and a run cost.

    Also which GPU is the cheapest.

    Prices come from RunPod. Speeds are measured on this machine's GPU and estimated for others, as each line says.
    """
    from peoplenet_nb.runpod import cost as ask

    say(ask(run, hours, video_fps=video_fps, fps=fps))


def stop_when_idle(
    after: Annotated[
        str, typer.Option(metavar="TIME", help="How long nothing goes on, e.g. 20m or 1.5h.")
    ] = "20m",
    folder: Annotated[
        Path | None,
        path_option("--folder", metavar="FOLDER", about="Where runs write. Left out: the home's outputs."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Watch and say what would be done; stop nothing.")
    ] = False,
) -> None:
    """Stop this pod when nobody works on it.

    That is: no GPU, no kernel, no run for a while.

    The last minute is counted down; Ctrl-C keeps the pod. It is stopped, never terminated: the volume stays.
    """
    from peoplenet_nb.runpod import StopWhenIdle

    last = ""

    def tell(text: str) -> None:
        nonlocal last
        if text != last:
            say(text)
        last = text

    StopWhenIdle(after, folder, dry_run=dry_run).watch(tell)


def clean(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what takes space, and ask nothing.")
    ] = False,
) -> None:
    """Show what takes space under the home, and clean up.

    It asks before each removal.

    Safest first: what is downloaded or made again, then runs. Only what this project made, nothing through links.
    """
    from peoplenet_nb.runpod import space
    from peoplenet_nb.runpod.clean import remove

    found = space()
    say(found)
    if dry_run:
        return
    for item in found.removable:
        text = f"Remove {item.what} {item.path}, {item.size / 1e6:.1f} MB ({item.back})?"
        if typer.confirm(text, default=False):
            say(f"{remove(item) / 1e6:.1f} MB are free again")
