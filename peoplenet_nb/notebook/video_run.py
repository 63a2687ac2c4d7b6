"""Whole videos from a notebook: run, shown, counted, and continued when they were cut.

One decision to know: every combination of video, sampling, model and settings has a folder of its own, so a
cell can be run again and again: the same run is continued or returned at once, another one begins in another
folder, and no video's results are overwritten unless that is asked for. The demonstration of a cut run is made
anew each time, below a folder of its own, where no other run writes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from copy import copy
from pathlib import Path

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import SourceError
from peoplenet_nb.notebook.bench import Workbench
from peoplenet_nb.notebook.player import Player
from peoplenet_nb.notebook.rich import Fold, Rich, Sentence, Stack, Table, pairs
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.plots import charts
from peoplenet_nb.plots.picture import Picture
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Candidate, Source
from peoplenet_nb.video import run
from peoplenet_nb.video.result import RunResult

_MOST_GRIDS = 2000  # frames; 244 MB
_CUTS = (
    "cut-demonstration"  # a run's name has no slash in it, so none comes to lie in this folder by accident
)


class VideoRun(Rich):
    """A finished run and ways to look at it.

    Parameters
    ----------
    result : RunResult
        What the run left behind.
    settings : Settings
        What it ran with.
    labels : tuple of str
        Names of the model's classes.
    """

    def __init__(self, result: RunResult, settings: Settings, labels: tuple[str, ...]) -> None:
        self.result, self.settings, self.labels = result, settings, labels

    @property
    def folder(self) -> Path:
        """Where everything is."""
        return self.result.folder

    @property
    def video(self) -> Path | None:
        """The video, None for images."""
        return self.result.video

    def player(self) -> Rich:
        """Return the video, playing in the page; for images, the sentence where they are."""
        if self.result.video is None:
            return Sentence(
                f"There is no video of single images; the drawn ones are in {self.result.images}."
            )
        said = self.result.summary
        found = ", ".join(f"{n} {label}" for label, n in said["counts"].items())
        return Player(self.result.video, f"The video of {said['frames']} frames with its boxes ({found}).")

    def clip(self, bench: Workbench, frames: int = 200) -> Path:
        """Return a folder with saved grids for the tuner: this run's, else that of some frames spread over the video.

        Parameters
        ----------
        bench : Workbench
            What the run was made with.
        frames : int
            How many frames to run again where this run kept no grids.
        """
        if (self.folder / "grids").is_dir():
            return self.folder
        every = max(1, (bench.source.info.frame_count or frames) // frames)
        return run_video(bench, self.settings, every=every, frames=frames, save_grids=True).folder

    def counts(self) -> Picture:
        """Return counts per frame and class over time."""
        return charts.counts_over_time(self.result.frames_to_pandas(), self.labels)

    def confidences(self) -> Picture:
        """Return a histogram of confidences per class."""
        return charts.confidence_histogram(self.result.to_pandas(), self.labels, self.settings)

    def table(self, limit: int = 12) -> Table:
        """Return the detections; ``limit`` rows of them are shown."""
        rows = self.result.to_pandas()
        return Table(rows, f"{len(rows)} detections", limit=limit, more=f"All of them: {self.result.table}")

    def to_html(self) -> str:
        """Return what was found, how fast, and where it was written."""
        said = self.result.summary
        speed, files = said["speed"], said["files"]
        found = ", ".join(f"{n} {label}" for label, n in said["counts"].items())
        with_any = ", ".join(f"{n} with a {label}" for label, n in said["frames_with"].items())
        precision = said["model"]["precision"]
        stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in speed["ms_per_frame"].items())
        table = pairs(
            [
                ("frames", f"{said['frames']} ({with_any})"),
                ("boxes", found),
                ("speed", f"{speed['fps']} frames per second on {said['model']['device']}, {precision}"),
                ("ms per frame and stage", stages),
                ("folder", str(self.result.folder)),
                ("files", ", ".join(files.values())),
            ]
        )
        notes = [Sentence(note) for note in self.result.notes]
        return Stack(table, *notes, Fold("versions", pairs(list(said["versions"].items())))).to_html()

    def to_text(self) -> str:
        """Return the run's own summary."""
        return str(self.result)


def run_video(
    bench: Workbench,
    settings: Settings,
    *,
    every: int = 1,
    frames: int | None = None,
    name: str | None = None,
    save_grids: bool | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> VideoRun:
    """Run the workbench's model over its source; continue where an earlier run was cut.

    Parameters
    ----------
    bench : Workbench
        Model and source.
    settings : Settings
        Thresholds and clustering.
    every : int
        Take each ``every``-th frame.
    frames : int, optional
        Stop after so many.
    name : str, optional
        Name of the folder under ``outputs_dir()``; left out, it is made from video and settings.
    save_grids : bool, optional
        Keep the raw grids, 122 KB a frame, so that thresholds can be moved afterwards without the network.
        Left out: for up to 2000 frames.
    overwrite : bool
        Begin anew.
    progress : bool
        Show a bar.

    Raises
    ------
    SourceError, OutputError, RunInterrupted
        As `peoplenet_nb.video.run`.
    """
    source = bench.source.sampled(every, frames)
    if save_grids is None:
        save_grids = source.expected is not None and source.expected <= _MOST_GRIDS
    result = run(
        source,
        bench.model,
        settings,
        outputs_dir(),
        name=name or _folder_name(bench, source, settings, save_grids),
        save_grids=save_grids,
        resume=not overwrite,
        overwrite=overwrite,
        progress=progress,
        batch=bench.batch,
    )
    return VideoRun(result, settings, bench.model.labels)


def _folder_name(bench: Workbench, source: Source, settings: Settings, save_grids: bool) -> str:
    """Return a folder name that is another one whenever the results would be others."""
    chosen = settings.to_dict()
    chosen.pop("preset")
    told = [source.info.fingerprint, source.every, source.frames, source.start]
    told += [bench.model.file.sha256, str(bench.model.fit), str(bench.model.precision), chosen, save_grids]
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:8]
    return f"{source.info.stem}-{digest}"


class CutRun(Rich):
    """A run that was cut half-way and continued.

    Attributes
    ----------
    before, after : int
        Frames that were finished when it was cut, and in the end.
    run : VideoRun
        The whole run.
    """

    def __init__(self, before: int, run: VideoRun, error: SourceError) -> None:
        self.before, self.run, self.error = before, run, error
        self.after = int(run.result.summary["frames"])

    def to_html(self) -> str:
        """Return what happened, step by step."""
        rows: list[tuple[str, object]] = [
            ("the video broke off", str(self.error)),
            ("kept on the disk", f"{self.before} frames"),
            ("continued from there, to", f"{self.after} frames, in {self.run.folder}"),
        ]
        whole = "The video and the tables are whole, as if nothing had happened."
        return Stack(pairs(rows), Sentence(whole, "ok")).to_html()

    def to_text(self) -> str:
        """Return the two numbers."""
        return f"cut after {self.before} frames, continued to {self.after}"


def cut_and_continue(bench: Workbench, settings: Settings, *, frames: int = 8, every: int = 1) -> CutRun:
    """Break a short run off in the middle, on purpose, and continue it.

    Parameters
    ----------
    bench : Workbench
        Model and source.
    settings : Settings
        Thresholds and clustering.
    frames, every : int
        How many frames in all, and each which; a short source has fewer. One picture cannot be cut: the demo
        clip is taken instead.
    """
    source = bench.source
    if source.sampled(every, frames).expected == 1:
        source, every = open_source(demo_clip()), 1
    whole = source.sampled(every, frames)
    folder, name = outputs_dir() / _CUTS, _folder_name(bench, whole, settings, False)
    broken = _BreaksOff.of(whole, (whole.expected or frames) // 2)
    try:
        # One frame at a time: it is cut in the middle, whatever the batch would be.
        run(broken, bench.model, settings, folder, name=name, overwrite=True, progress=False, batch=1)
    except SourceError as error:
        kept = json.loads((folder / name / "run.json").read_text(encoding="utf-8"))
        before = sum(part["frames"] for part in kept["parts"])
        result = run(whole, bench.model, settings, folder, name=name, resume=True, progress=False, batch=1)
        return CutRun(before, VideoRun(result, settings, bench.model.labels), error)
    raise SourceError(
        "The source is too short to be cut", seen=whole.info.spec, next_step="take a longer video."
    )


class _BreaksOff(Source):
    """A source that fails after some frames, as a camera does that is unplugged."""

    def __init__(self, whole: Source, after: int) -> None:
        self.__dict__.update(vars(copy(whole)))
        self._whole, self._after = whole, after

    @classmethod
    def of(cls, whole: Source, after: int) -> _BreaksOff:
        return cls(whole, max(1, after))

    def _walk(self) -> Generator[Candidate]:
        given, due = 0, self.start
        for candidate in self._whole._walk():
            if candidate.index >= due:
                if given == self._after:
                    raise SourceError(
                        "The video breaks off (on purpose, to show what then happens)",
                        seen=f"after {given} frames",
                        next_step="continue with resume=True, which the next step does.",
                    )
                given, due = given + 1, self._next_due(candidate.index)
            yield candidate
