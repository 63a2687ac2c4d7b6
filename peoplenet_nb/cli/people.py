"""The commands that follow people through a finished run, and hide them: ``track``, ``redact``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from peoplenet_nb.cli import options
from peoplenet_nb.cli.shell import one_of, path_option, say

if TYPE_CHECKING:
    from peoplenet_nb.tracks import Scene as DrawnScene
    from peoplenet_nb.video import RunResult

TRACKERS = "bytetrack|ocsort|sort|botsort"
WHAT = "head|face|person"
HOW = "solid|mosaic|blur"
_ABOUT_SCENE = "Lines and zones (scene.yaml): count who crosses and who stays."
Source = Annotated[
    str | None, typer.Option("--source", metavar="VIDEO", help="Where the video is now, if it was moved.")
]
Scene = Annotated[Path | None, path_option("--scene", metavar="FILE", about=_ABOUT_SCENE)]


def read_scene(path: Path | None) -> DrawnScene | None:
    """Read the file of a scene, where there is one."""
    if path is None:
        return None
    from peoplenet_nb.tracks import Scene as Drawn

    return Drawn.from_yaml(path)


def say_tracks(
    run: RunResult | Path,
    scene: DrawnScene | None,
    tracker: str = "bytetrack",
    *,
    gap_s: float = 1.5,
    smooth_s: float = 0.0,
    trim_at: float = 0.0,
    source: str | None = None,
    video: bool = False,
    progress: bool = True,
) -> None:
    """Follow people through a run, and print who was there, and who crossed and stayed; draw it if wanted."""
    from peoplenet_nb.tracks.identities import tracking_library
    from peoplenet_nb.video import track as follow

    tracking_library()  # before the video is read for its cuts
    tracked = follow(run, tracker=tracker, gap_s=gap_s, smooth_s=smooth_s, trim_at=trim_at, source=source)
    say(tracked)
    counts = tracked.count(scene) if scene is not None else None
    if counts is not None:
        say(counts)
    if video:
        say(f"  drawn in {tracked.draw(counts, source=source, progress=progress)}")


def track(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run of a video.")],
    tracker: Annotated[
        str, one_of("--tracker", TRACKERS, "What follows people from frame to frame.")
    ] = "bytetrack",
    scene: Scene = None,
    gap: Annotated[
        float,
        typer.Option("--gap", metavar="SECONDS", help="How long somebody may be lost and is still the same."),
    ] = 1.5,
    smooth: Annotated[
        float,
        typer.Option("--smooth", metavar="SECONDS", help="Steady boxes that tremble, over so long; try 0.2."),
    ] = 0.0,
    trim: Annotated[
        float, typer.Option("--trim", metavar="CONFIDENCE", help="Cut off the ends of tracks below this.")
    ] = 0.0,
    video: Annotated[
        bool,
        typer.Option("--video", help="Draw it: tracked.mp4 with numbers, trails, lines, zones, counters."),
    ] = False,
    source: Source = None,
    progress: options.Progress = True,
) -> None:
    """Give each person of a finished run a number.

    Writes tracks.csv (a line for each person) and tracked.csv (a line for each box) into the run's folder; the run's
    own files stay as they are. The video is read once for its cuts. With --scene also crossings.csv, visits.csv and
    presence.csv; a scene.yaml is

    frame_size: [1920, 1080]

    lines: {door: {points: [[400, 300], [400, 900]]}}

    zones: {hall: {points: [[500, 300], [1500, 300], [1500, 900]], most: 10}}
    """
    say_tracks(
        run,
        read_scene(scene),
        tracker,
        gap_s=gap,
        smooth_s=smooth,
        trim_at=trim,
        source=source,
        video=video,
        progress=progress,
    )


def redact(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run of a video.")],
    what: Annotated[
        str,
        one_of(
            "--what", WHAT, "What is hidden. face: where no face was found, the head of the person's box."
        ),
    ] = "head",
    how: Annotated[
        str, one_of("--how", HOW, "solid leaves nothing to guess; the others can partly be undone.")
    ] = "solid",
    source: Source = None,
    margin: Annotated[
        float, typer.Option(metavar="TIMES", help="How much larger than a box its region is.")
    ] = 1.3,
    hold: Annotated[
        int, typer.Option(metavar="FRAMES", help="How long a region stays before and after its track.")
    ] = 5,
    keep_audio: Annotated[
        bool, typer.Option("--keep-audio", help="Keep the sound; voices tell who somebody is too.")
    ] = False,
    progress: options.Progress = True,
) -> None:
    """Write a run's video once more with people hidden.

    The original stays as it is. Writes into the run's folder: redacted.mp4 (no sound, nothing that the file says of
    itself), redacted.csv (what was hidden), doubtful.csv and doubtful-01.png … (moments to look at), and redact.yaml,
    where you add boxes or take some away before you run this again. Look at the result: nobody promises that nobody
    can be recognised.
    """
    from peoplenet_nb.redaction import redact as hide
    from peoplenet_nb.tracks.identities import tracking_library

    tracking_library()  # before the video is read for its cuts

    say(
        hide(
            run, what, how, source=source, margin=margin, hold=hold, keep_audio=keep_audio, progress=progress
        )
    )
