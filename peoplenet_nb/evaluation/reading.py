"""Labelled frames of a source, or of a finished run's folder, read into a `Clip`.

Of a source only the frames that are labelled go through the network. A run's raw output is opened where there is some,
else its table is taken as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import SourceError
from peoplenet_nb.evaluation.clip import FLOOR, Clip
from peoplenet_nb.evaluation.tracklets import check_without_labels
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.labels import Labels, align, read_labels
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Frame, Image, Source
from peoplenet_nb.video.checks import fitted, notes_on
from peoplenet_nb.video.result import RunResult, is_run, load_result
from peoplenet_nb.video.tables import frames_table, read_tables


def read_clip(
    what: str | Path | Source | RunResult,
    labels: str | Path | Labels | None,
    settings: Settings | None = None,
    model: PeopleNet | None = None,
    *,
    classes: Mapping[str, str] | None = None,
    progress: bool = True,
    raw: bool = False,
) -> Clip:
    """Return the labelled frames of a source or run, all without labels.

    The parameters are those of `evaluate`; ``raw`` says that boxes between key frames are not wanted.
    """
    if isinstance(what, RunResult) or (not isinstance(what, Source) and is_run(what)):
        return _of_run(load_result(what), labels, settings, classes, raw)
    source = what if isinstance(what, Source) else open_source(what, progress=progress)
    if labels is None:  # before the network is even loaded
        check_without_labels(
            source.info.name, source.info.kind == "video", (source.info.fps or 25.0) / source.every
        )
    if model is None:
        model = PeopleNet.load()
    settings = settings or preset(fit=model.fit)
    model = fitted(model, settings, source)
    size = (source.info.width, source.info.height)
    folder_of = source.files[0].parent if source.info.kind == "images" else None
    names = None if source.info.kind == "video" else [path.name for path in source.files]
    aligned = _labels(labels, model.labels, classes, size, folder_of, names)
    frames: list[int] = []
    wanted = None if aligned is None else set(aligned.frames)
    grids = _infer(_labelled(source, wanted, frames), model, progress, source)
    pool = Pool.of(grids, FLOOR)
    clip = Clip(
        source.info.name,
        source.info.kind == "video",
        source.info.fps,
        _only(aligned, model.labels, frames),
        settings,
        pool,
        None,
        source,
    )
    clip.notes = [*notes_on(source, model), *source.info.notes, *_missing(aligned, frames)]
    return clip


def _of_run(
    result: RunResult,
    labels: str | Path | Labels | None,
    settings: Settings | None,
    classes: Mapping[str, str] | None,
    raw: bool,
) -> Clip:
    about, source = result.summary, result.summary["source"]
    names, video = tuple(about["counts"]), source["kind"] == "video"
    run = frames_table(result)["frame"].tolist()
    aligned = None if labels is None else run_labels(result, labels, classes)
    used, notes = Settings.from_dict(about["settings"]), list[str]()
    if settings is not None and settings.tiles != used.tiles:
        notes.append(
            f"The run was made with tiles: {used.tiles}; {settings.tiles}, as these settings say, needs another run."
        )
    saved = open_grids(result.folder) if "grids" in about["files"] else None
    if saved is not None and len(saved.frames) < len(run):  # of key frames
        if not raw and settings in (None, used):
            saved = None
        else:
            notes.append(
                f"Judged on the {len(saved.frames)} frames that the network saw; {len(run)} have boxes."
            )
    seen = set(run if saved is None else saved.frames)
    frames = [int(frame) for frame in (sorted(seen) if aligned is None else aligned.frames) if frame in seen]
    if not frames:
        what = "None of the labelled frames was run"
        raise SourceError(what, seen=result.folder, next_step="run the frames that are labelled.")
    pool, found = None, None
    if saved is not None:
        place = {frame: i for i, frame in enumerate(saved.frames)}
        pool = Pool.of((saved[place[frame]] for frame in frames), FLOOR)
    else:
        notes.append("Judged by the run's table: curves and average precision end at its own thresholds.")
        of_frame = dict(zip(run, read_tables(result)[1], strict=True))
        found = Found.of([of_frame[frame] for frame in frames])
    judged = _only(aligned, names, frames)
    notes += _missing(aligned, frames)
    return Clip(source["name"], video, source["fps"], judged, used, pool, found, source["spec"], notes)


def image_names(result: RunResult) -> list[str] | None:
    """Return the file names of a run's images by their index in the source; None of a video."""
    if result.summary["source"]["kind"] == "video":
        return None
    table = frames_table(result)  # it knows the names of those that were run
    by_index = dict(zip(table["frame"].tolist(), table["source"].astype(str).tolist(), strict=True))
    return [by_index.get(i, "") for i in range(max(by_index, default=-1) + 1)]


def run_labels(
    result: RunResult, labels: str | Path | Labels, classes: Mapping[str, str] | None = None
) -> Labels:
    """Return labels of a run, whose frames are indices in its source; the parameters are those of `evaluate`."""
    source = result.summary["source"]
    size = (int(source["width"]), int(source["height"]))
    images = Path(source["spec"]) if source["kind"] == "images" else None
    found = _labels(labels, tuple(result.summary["counts"]), classes, size, images, image_names(result))
    assert found is not None
    return found


def _labels(
    labels: str | Path | Labels | None,
    names: Sequence[str],
    classes: Mapping[str, str] | None,
    size: tuple[int, int],
    images: Path | None,
    files: Sequence[str] | None,
) -> Labels | None:
    """Read labels and find their frames; images of a folder may be of any size, a video's frames are of one."""
    if labels is None:
        return None
    if not isinstance(labels, Labels):
        of_all = size if images is None else None
        labels = read_labels(labels, names, classes=classes, size=of_all, images=images)
    found = align(labels, files)
    if images is None and len(found.xyxy):
        middles = (found.xyxy[:, :2] + found.xyxy[:, 2:]) / 2
        outside = int(((middles < 0) | (middles > size)).any(axis=1).sum())
        if 2 * outside > len(middles):
            where = (
                f"{outside} of {len(middles)} labelled boxes lie outside of the frame ({size[0]}x{size[1]})"
            )
            note = f"{where}: are these the labels of another video, or of another size?"
            found = replace(found, notes=(*found.notes, note))
    return found


def _labelled(source: Source, wanted: set[Any] | None, frames: list[int]) -> Iterator[Frame]:
    """Yield the labelled frames of a source, all without labels, and note which they are."""
    last = max(wanted) if wanted else None
    for frame in source:
        if wanted is None or frame.index in wanted:
            frames.append(frame.index)
            yield frame
        if last is not None and frame.index >= last:
            return


def _infer(frames: Iterator[Frame], model: PeopleNet, progress: bool, source: Source) -> Iterator[Grids]:
    """Run the network on frames, as many at a time as there are cores; in their order."""
    from tqdm.auto import tqdm

    cores = available_threads() if model.backend.device is Device.CPU else 1
    running = model.with_threads(1) if cores > 1 else model

    def one(image: Image) -> Grids:
        return running.infer(image)

    with (
        ThreadPoolExecutor(cores) as workers,
        tqdm(desc=source.info.name, unit=" frames", disable=not progress) as bar,
    ):
        while taken := list(islice(frames, 2 * cores)):
            for grids in workers.map(one, [frame.image for frame in taken]):
                bar.update()
                yield grids


def _only(labels: Labels | None, classes: Sequence[str], frames: Sequence[int]) -> Labels:
    if labels is None:
        return Labels.none(classes, frames)
    where = {frame: i for i, frame in enumerate(labels.frames)}
    return labels.take([where[frame] for frame in frames])


def _missing(labels: Labels | None, frames: Sequence[int]) -> list[str]:
    if labels is None:
        return []
    lost = len(labels.frames) - len(frames)
    return [f"{lost} of {len(labels.frames)} labelled frames were not looked at."] if lost else []
