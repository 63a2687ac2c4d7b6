"""A run over a source, which writes a video, tables and a summary as it goes.

`peoplenet_nb.video.pipeline` reads and infers in threads of its own; here the results are written, part by part, so
that a run that was cut can be continued. Whatever ends a run, the parts that were finished stay and are joined to
valid files; only a full disk or a second Ctrl-C costs the part in progress.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter

from peoplenet_nb.decoding import COVERAGE_ONLY
from peoplenet_nb.errors import OutputError, SourceError, printable
from peoplenet_nb.network.batching import best_batch
from peoplenet_nb.network.model import STANDIN_WARNING, PeopleNet
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.settings import Settings, bind, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.tracks import KeyFrames
from peoplenet_nb.video.checks import (
    before_loading,
    fingerprint,
    fitted,
    notes_on,
    run_path,
)
from peoplenet_nb.video.interrupt import RunInterrupted, ctrl_c
from peoplenet_nb.video.livelog import read_on, remove_older, update
from peoplenet_nb.video.parts import PartWriter, image_names
from peoplenet_nb.video.pipeline import Pipeline, give_back_memory
from peoplenet_nb.video.result import RunResult, load_result
from peoplenet_nb.video.runfolder import RunFolder
from peoplenet_nb.video.summary import describe_run, finish_run
from peoplenet_nb.video.work import Watch, Worker
from peoplenet_nb.video.writer import choose_encoder

logger: logging.Logger = logging.getLogger(__name__)

__all__ = ["run"]

_PART, _LIVE_PART = 10.0, 60.0  # seconds
Progress = bool | Callable[[], object]

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


def run(
    source: str | Path | Source,
    model: PeopleNet | None = None,
    settings: Settings | None = None,
    output: str | Path | None = None,
    *,
    every: int = 1,
    frames: int | None = None,
    start: int = 0,
    name: str | None = None,
    video: bool = True,
    save_grids: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = True,
    encoder: str = "auto",
    workers: int | None = None,
    batch: int | None = None,
    keyframes: KeyFrames | str | int = "off",
    seconds: float | None = None,
    keep: float | None = None,
    watch: Watch | None = None,
    part_seconds: float | None = None,
    part_frames: int = 3000,
) -> RunResult:
    """Run a model over a source and write what it finds.

    Parameters
    ----------
    source : str, Path or Source
        What `peoplenet_nb.sources.open_source` takes, or a source that it opened.
    model : PeopleNet, optional
        The network; left out, what was downloaded, on the best device that loads.
    settings : Settings, optional
        Thresholds and clustering; left out, the default preset of the model's fit.
    output : str or Path, optional
        Results go to ``output / <name of the source>``; left out, `peoplenet_nb.paths.outputs_dir`.
    every, frames, start : int
        Sampling, as in `open_source`; left out when ``source`` is a `Source` (its own then counts).
    name : str, optional
        Name of the folder in ``output``.
    video : bool
        Whether to draw: ``video.mp4`` for videos, ``images/`` for images.
    save_grids : bool
        Whether to keep the cells of the network's raw grids, for the tuner: ``cells.parquet``, which
        `peoplenet_nb.open_grids` reads.
    resume : bool
        Continue a run that was cut; a complete one is returned at once.
    overwrite : bool
        Begin anew where results are.
    progress : bool or callable
        Whether to show a bar with frames per second; or what to call for each frame instead.
    encoder : str
        ``x264``, ``nvenc``, or ``auto``: NVENC where it opens for this video, else x264.
    workers : int, optional
        Batches worked on at once; the cores this process may use when left out.
    batch : int, optional
        Frames per inference. When left out: one on a CPU, and on a GPU what a short probe finds best. With key
        frames it is always one.
    keyframes : str or int
        Which frames of a video the network sees; the boxes of the others are interpolated between them, and the
        tables say which is which. ``off``: every frame. A number N: every N-th. ``auto``: two a second, and more where
        people move fast, appear or meet.
    seconds : float, optional
        How long to watch a live stream, as in `open_source`. It goes on until Ctrl-C when left out, which ends a live
        run as its time being up does: the result is returned.
    keep : float, optional
        How many seconds of a live stream to keep: what is older is removed as the run goes on. While the files are
        joined, at the end, they take twice their room.
    watch : callable, optional
        Called with each frame that the network saw and its raw grids, from a worker's thread.
    part_seconds, part_frames : float, int
        A part is finished after so many seconds (10, and 60 of a live stream) or frames; a run that is killed loses
        one part at most.

    Returns
    -------
    RunResult

    Raises
    ------
    SourceError
        When the source cannot be opened, breaks off or gives no frame at all.
    SettingsError
        When the settings name a class that the model has not, or were chosen for another preprocessing, or
        ``keyframes`` is none of the above, or ``seconds`` or ``keep`` are given for what is not live.
    OutputError
        When the folder cannot be written, holds other results (see ``resume`` and ``overwrite``), or the source.
    RunInterrupted
        After Ctrl-C, with what was finished.
    """
    began = perf_counter()
    if not isinstance(source, Source):
        source = open_source(
            source, every=every, frames=frames, start=start, progress=progress is True, seconds=seconds
        )
    path = run_path(output or outputs_dir(), name or source.info.stem)
    chosen, more_notes = before_loading(
        source, path, keyframes=keyframes, keep=keep, resume=resume, overwrite=overwrite
    )
    if model is None:
        model = PeopleNet.load()
    settings = settings or preset(fit=model.fit)
    model = fitted(model, settings, source)
    bind(settings, model.labels, model.fit)
    info = source.info
    size = (info.width, info.height) if video and info.kind == "video" else None
    encoder = choose_encoder(encoder, size) if size else ""
    depends = fingerprint(source, model, settings, video, save_grids, chosen)
    drawn = source.files if video and source.info.kind != "video" else []
    images = image_names([file.name for file in drawn])
    # Under a name that somebody chose, another source may replace the one before.
    called = source.info.name if f"{path.name}-".startswith(f"{source.info.stem}-") else ""
    folder = RunFolder(path, depends, called, images.values(), resume=resume, overwrite=overwrite)
    try:
        manifest = folder.manifest
        if manifest.state == "complete":
            logger.info("%s is complete", path)
            return load_result(path)
        if not manifest.parts:
            manifest.encoder, manifest.video_size, manifest.live = encoder, size, None
        # What was finished before is read over without being converted to pixels.
        rest = read_on(source, manifest) if manifest.parts else source
        work = Worker(
            model,
            settings,
            chosen,
            draw=video,
            video_size=manifest.video_size,
            overlay="stand-in" if model.is_standin else "",
            keep_grids=save_grids,
            watch=watch,
        )
        batch = batch or (best_batch(model, (info.width, info.height)) if chosen.off else 1)
        after_cut = bool(manifest.parts) and manifest.parts[-1].cut
        pipeline = Pipeline(rest, work, workers=workers, batch=batch, after_cut=after_cut)
        part_seconds = part_seconds or (_LIVE_PART if source.live else _PART)
        writing = _Run(folder, source, rest, settings, pipeline, more_notes, images, keep)
        return writing.go(began, progress, part_seconds, part_frames)
    finally:
        folder.release()


class _Run:
    """One run in progress: takes what the pipeline gives of the rest of a source, and writes it."""

    def __init__(
        self,
        folder: RunFolder,
        source: Source,
        rest: Source,
        settings: Settings,
        pipeline: Pipeline,
        notes: list[str],
        images: dict[str, str],
        keep: float | None,
    ) -> None:
        self.keep = keep
        self.folder, self.source, self.rest, self.settings = folder, source, rest, settings
        self.image_names = images
        self.pipeline, self.model = pipeline, pipeline.model
        # A video is read from its start again, which gives all of its notes again; images are not.
        self.earlier = folder.manifest.notes if source.info.kind == "images" else []
        self.notes = notes_on(source, self.model) + notes
        for note in self.notes:  # all of them stand in the result; only what makes it worthless interrupts
            logger.log(logging.WARNING if note in (STANDIN_WARNING, COVERAGE_ONLY) else logging.INFO, note)

    def go(self, began: float, progress: Progress, part_seconds: float, part_frames: int) -> RunResult:
        """Work through the source, join what was written, and return it; ``began`` is when the run did."""
        from tqdm.auto import tqdm

        bar = tqdm(
            total=self.source.expected,
            initial=self.folder.manifest.frames,
            desc=printable(self.source.info.name),
            disable=progress is not True,
            bar_format=_BAR if self.source.expected else None,
            unit=" frames",
        )
        with ctrl_c(self.pipeline.stop) as pressed, closing(bar):
            self._write(began, progress if callable(progress) else bar.update, part_seconds, part_frames)
            if not self.folder.manifest.parts:
                if self.pipeline.stopped_early or pressed:
                    raise KeyboardInterrupt
                raise SourceError(
                    "The source gave no frame",
                    seen=f"{self.source.info.spec}, start={self.source.start}, every={self.source.every}",
                    next_step="watch it for longer." if self.source.live else "choose a smaller start.",
                )
            complete = not self.pipeline.stopped_early or self.source.live
            notes = [*self.notes, *self.folder.manifest.notes]
            about = describe_run(self.source, self.pipeline, self.settings, notes)
            result = finish_run(self.folder, self.model.labels, about, complete=complete)
        if (pressed and not self.source.live) or not complete:
            raise RunInterrupted(result)
        return result

    def _write(
        self, run_began: float, tick: Callable[[], object], part_seconds: float, part_frames: int
    ) -> None:
        """Write what the pipeline gives, part by part, until it gives no more."""
        manifest = self.folder.manifest
        writer, began, whole = self._part(), perf_counter(), True
        try:
            with closing(iter(self.pipeline)) as line:
                for window in line:  # a part ends with a window, so that the next run begins one
                    whole = False
                    for done in window:
                        part = writer.add(done)
                        tick()
                    whole = True
                    manifest.first_s = manifest.first_s or perf_counter() - run_began
                    if part.frames >= part_frames or perf_counter() - began >= part_seconds:
                        self._close(writer, began, keep=True)
                        writer, began = self._part(), perf_counter()
            self._close(writer, began, keep=True)
        except BaseException as error:
            # A video that breaks off or a frame that fails leaves a good part; a full disk, a second Ctrl-C or what
            # goes wrong within a window does not.
            keep = whole and isinstance(error, Exception) and not isinstance(error, OutputError)
            self._close(writer, began, keep=keep)
            raise

    def _close(self, writer: PartWriter, began: float, *, keep: bool) -> None:
        if writer.part is not None:
            writer.part.wall_s = perf_counter() - began
        self.folder.manifest.notes = list(dict.fromkeys([*self.earlier, *self.rest.info.notes]))
        feed = self.source.feed
        if feed is not None:
            update(self.folder.manifest, feed)
        give_back_memory()
        if keep:
            writer.finish()
            if feed is not None and self.keep is not None:
                remove_older(self.folder, feed.now_s, self.keep)
        else:
            writer.abandon()

    def _part(self) -> PartWriter:
        return PartWriter(self.folder, self.source, self.model.labels, self.image_names)
