"""What is to be judged: the candidates or boxes of labelled frames, from a source or from a finished run's folder.

Of a source only the frames that are labelled go through the network. Candidates are found once and kept in a `Pool`,
so that any settings can be tried on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.labels import Labels, align, read_labels
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Clustering, Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Frame, Image, Source
from peoplenet_nb.video.checks import notes_on
from peoplenet_nb.video.result import RunResult, load_result

FLOOR = 0.005
"""The least coverage of a candidate: that of the presets that sum coverages up."""
CURVE = 0.01
"""The threshold from which on a precision-recall curve is drawn."""


@dataclass
class Clip:
    """Labelled frames and what the network found in them.

    Attributes
    ----------
    name : str
        Of the source.
    video : bool
        Whether it is a video, whose neighbouring frames are alike.
    fps : float or None
        Frames per second of the source.
    labels : Labels
        Of the frames that there are; ``labels.frames`` are their 0-based indices in the source.
    settings : Settings
        Those of the run, or the default.
    pool : Pool or None
        Candidates of the same frames, in their order; None where only a table of detections is left.
    table : Found or None
        The detections of a run without raw output.
    source : str or Path or Source
        Where the pictures are.
    notes : list of str
        For the reader.
    """

    name: str
    video: bool
    fps: float | None
    labels: Labels
    settings: Settings
    pool: Pool | None
    table: Found | None
    source: str | Path | Source
    notes: list[str] = field(default_factory=list)

    def found(self, settings: Settings) -> Found:
        """Return the boxes that settings give in all frames.

        Raises
        ------
        OutputError
            When only a table of detections is left and the settings are not the run's own.
        """
        if self.pool is not None:
            return Found(*self.pool.decode(settings))
        if self.table is None or settings != self.settings:
            raise OutputError(
                "The run kept no raw output, so other settings cannot be tried on it",
                seen=self.name,
                next_step="run it again with --save-grids (save_grids=True), or leave the settings out.",
            )
        return self.table

    def curve(self, settings: Settings) -> Found:
        """Return the boxes for curves and average precision: with the thresholds of confidence opened up.

        The threshold of DBSCAN decides on its clusters, not only on what is kept of them: it stays, and the curve
        goes down to what it lets through.
        """
        if self.pool is None:
            return self.found(settings)
        low: dict[str, Any] = {"min_confidence": 0.0}
        if settings.clustering is Clustering.NMS:
            low["threshold"] = max(CURVE, self.pool.floor)
        opened = settings
        for label in self.pool.labels:
            now = settings.for_class(label)
            changes = low | (
                {"threshold": min(now.threshold, low["threshold"])} if "threshold" in low else {}
            )
            opened = opened.with_class(label, **changes)
        return self.found(opened)


def is_run(what: str | Path) -> bool:
    """Tell whether something is the folder of a run, and not a source."""
    try:
        return (Path(what).expanduser() / "summary.json").is_file()
    except (OSError, RuntimeError, ValueError):  # no path at all
        return False


def read_clip(
    what: str | Path | Source | RunResult,
    labels: str | Path | Labels,
    settings: Settings | None = None,
    model: PeopleNet | None = None,
    *,
    classes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Clip:
    """Return the labelled frames of a source or run; the parameters are those of `evaluate`."""
    if isinstance(what, RunResult):
        return _of_run(what, labels, settings, classes)
    if not isinstance(what, Source) and is_run(what):
        return _of_run(load_result(Path(what).expanduser()), labels, settings, classes)
    source = what if isinstance(what, Source) else open_source(what, progress=progress)
    if model is None:
        model = PeopleNet.load(fit=settings.fit if settings else FitMode.STRETCH)
    size = (source.info.width, source.info.height)
    folder_of = source.files[0].parent if source.info.kind == "images" else None
    read = _labels(labels, model.labels, classes, size, folder_of)
    names = None if source.info.kind == "video" else [path.name for path in source.files]
    aligned = align(read, names)
    frames: list[int] = []
    grids = _infer(_labelled(source, set(aligned.frames), frames), model, progress, source)
    pool = Pool.of(grids, FLOOR)
    clip = Clip(
        source.info.name,
        source.info.kind == "video",
        source.info.fps,
        _only(aligned, frames),
        settings or preset(fit=model.fit),
        pool,
        None,
        source,
    )
    clip.notes = [*notes_on(source, model), *source.info.notes, *_missing(aligned, frames)]
    return clip


def _of_run(
    result: RunResult,
    labels: str | Path | Labels,
    settings: Settings | None,
    classes: Mapping[str, str] | None,
) -> Clip:
    about, source = result.summary, result.summary["source"]
    names, video = tuple(about["counts"]), source["kind"] == "video"
    table = result.frames_to_pandas()
    size = (int(source["width"]), int(source["height"]))
    images = Path(source["spec"]) if source["kind"] == "images" else None
    read = _labels(labels, names, classes, size, images)
    if video:
        aligned = align(read, None)
    else:  # a run of images knows the names of those it saw
        by_index = dict(zip(table["frame"].tolist(), table["source"].astype(str).tolist(), strict=True))
        aligned = align(read, [by_index.get(i, "") for i in range(max(by_index, default=-1) + 1)])
    used, notes = Settings.from_dict(about["settings"]), list[str]()
    saved = open_grids(result.folder) if "grids" in about["files"] else None
    run = set(table["frame"].tolist())
    if saved is not None and len(saved.frames) < len(run):  # of key frames
        if settings is None or settings == used:
            saved = None
        else:
            notes.append(
                f"Judged on the {len(saved.frames)} frames that the network saw; {len(run)} have boxes."
            )
    seen = run if saved is None else set(saved.frames)
    frames = [int(frame) for frame in aligned.frames if frame in seen]
    if not frames:
        raise SourceError(
            "None of the labelled frames was run",
            seen=result.folder,
            next_step="run the frames that are labelled.",
        )
    pool, found = None, None
    if saved is not None:
        place = {frame: i for i, frame in enumerate(saved.frames)}
        pool = Pool.of((saved[place[frame]] for frame in frames), FLOOR)
    else:
        notes.append("Judged by the run's table: curves and average precision end at its own thresholds.")
        found = _from_table(result, names, frames)
    clip = Clip(
        source["name"],
        video,
        source["fps"],
        _only(aligned, frames),
        used,
        pool,
        found,
        source["spec"],
        notes,
    )
    clip.notes += _missing(aligned, frames)
    return clip


def _labels(
    labels: str | Path | Labels,
    names: Sequence[str],
    classes: Mapping[str, str] | None,
    size: tuple[int, int],
    images: Path | None,
) -> Labels:
    """Read labels; images of a folder may be of any size, a video's frames are of one."""
    if isinstance(labels, Labels):
        return labels
    return read_labels(labels, names, classes=classes, size=size if images is None else None, images=images)


def _labelled(source: Source, wanted: set[Any], frames: list[int]) -> Iterator[Frame]:
    """Yield the labelled frames of a source, and note which they are."""
    last = max(wanted)
    for frame in source:
        if frame.index in wanted:
            frames.append(frame.index)
            yield frame
        if frame.index >= last:
            return


def _infer(frames: Iterator[Frame], model: PeopleNet, progress: bool, source: Source) -> Iterator[Grids]:
    """Run the network on frames, as many at a time as there are cores; in their order."""
    from tqdm.auto import tqdm

    cores = available_threads() if model.backend.device is Device.CPU else 1
    running = model.with_threads(1) if cores > 1 else model

    def one(image: Image) -> Grids:
        return running.infer_input(*running.preprocess_all([image]))[0]

    with (
        ThreadPoolExecutor(cores) as workers,
        tqdm(desc=source.info.name, unit=" frames", disable=not progress) as bar,
    ):
        while taken := list(islice(frames, 2 * cores)):
            for grids in workers.map(one, [frame.image for frame in taken]):
                bar.update()
                yield grids


def _only(labels: Labels, frames: Sequence[int]) -> Labels:
    where = {frame: i for i, frame in enumerate(labels.frames)}
    return labels.take([where[frame] for frame in frames])


def _missing(labels: Labels, frames: Sequence[int]) -> list[str]:
    lost = len(labels.frames) - len(frames)
    return [f"{lost} of {len(labels.frames)} labelled frames were not looked at."] if lost else []


def _from_table(result: RunResult, names: tuple[str, ...], frames: Sequence[int]) -> Found:
    """Return the detections of a run's table, of some frames."""
    table = result.to_pandas()
    number = {frame: i for i, frame in enumerate(frames)}
    table = table[table["frame"].isin(frames) & table["class"].isin(names)]
    place, class_id = (
        np.array([number_of[value] for value in table[column].tolist()], np.int64)
        for column, number_of in (("frame", number), ("class", {name: i for i, name in enumerate(names)}))
    )
    order = np.argsort(place, kind="stable")
    boxes = table[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    return Found(place[order], class_id[order], boxes[order], table["confidence"].to_numpy(np.float64)[order])
