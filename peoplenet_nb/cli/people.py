"""The commands that follow people through a finished run: ``track``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from peoplenet_nb.cli.options import one_of, path_option, say

TRACKERS = "bytetrack|ocsort|sort|botsort"


def track(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run of a video.")],
    tracker: Annotated[
        str, one_of("--tracker", TRACKERS, "What follows people from frame to frame.")
    ] = "bytetrack",
    scene: Annotated[
        Path | None,
        path_option(
            "--scene", metavar="FILE", about="Lines and zones (scene.yaml): count who crosses and who stays."
        ),
    ] = None,
    gap: Annotated[
        float,
        typer.Option("--gap", metavar="SECONDS", help="How long somebody may be lost and is still the same."),
    ] = 1.5,
) -> None:
    """Tell who is who in a finished run: a number for each person.

    Writes tracks.csv (a line for each person) and tracked.csv (a line for each box) into the run's folder; the run's
    own files stay as they are. With --scene also crossings.csv, visits.csv and presence.csv.
    """
    from peoplenet_nb.video import track as follow

    tracked = follow(run, tracker=tracker, gap_s=gap)
    say(tracked)
    if scene is not None:
        say(tracked.count(scene))
