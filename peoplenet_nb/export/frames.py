"""The boxes of a run, frame by frame, frames without boxes too: what every writer of detections walks over."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.sources.imagesize import image_size
from peoplenet_nb.sources.stills import read_image
from peoplenet_nb.video.result import RunResult, load_result

_BROKEN = (ValueError, KeyError, TypeError, OSError, csv.Error)
_HEAD = 1 << 16  # bytes in which an image says its size, cameras' previews aside


@dataclass(frozen=True, eq=False)
class FrameBoxes:
    """What was found in one frame.

    Parameters
    ----------
    number : int
        Its 0-based index in the source.
    name : str
        The file name of its picture.
    size : tuple of int
        ``(width, height)`` in pixels.
    detections : Detections
        Boxes in frame pixels.
    """

    number: int
    name: str
    size: tuple[int, int]
    detections: Detections

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem


@dataclass(frozen=True)
class FoundFrames:
    """Frames that can be walked over again and again.

    Attributes
    ----------
    name : str
        Of the source.
    labels : tuple of str
        The model's classes.
    video : bool
        Whether they are of one video.
    walk : callable
        Gives an iterator over `FrameBoxes`, by number.
    source : str
        Where the pictures are; empty where that is not known.
    """

    name: str
    labels: tuple[str, ...]
    video: bool
    walk: Callable[[], Iterator[FrameBoxes]]
    source: str = ""

    @classmethod
    def of(cls, found: str | Path | RunResult | Sequence[FrameBoxes]) -> FoundFrames:
        """Return the frames of a run, or those that are given.

        Raises
        ------
        OutputError
            When the run cannot be read, or no frame is given.
        """
        if isinstance(found, RunResult | str | Path):
            return _of_run(load_result(found))
        if not found:
            raise OutputError("There is no frame to write", next_step="give at least one.")
        frames = sorted(found, key=lambda frame: frame.number)
        return cls("frames", frames[0].detections.labels, False, lambda: iter(frames))


def _of_run(run: RunResult) -> FoundFrames:
    about: dict[str, Any] = run.summary["source"]
    labels, video = tuple(run.summary["counts"]), about["kind"] == "video"
    sizes = _Sizes(run.folder, about)

    def walk() -> Iterator[FrameBoxes]:
        try:
            yield from _walk(run, labels, sizes, video=video)
        except _BROKEN as error:
            raise OutputError(
                "The tables of the run cannot be read",
                seen=f"{run.folder}: {error!r}",
                next_step="run again with --overwrite.",
            ) from error

    return FoundFrames(str(about["name"]), labels, video, walk, str(about["spec"]))


def _walk(run: RunResult, labels: tuple[str, ...], sizes: _Sizes, *, video: bool) -> Iterator[FrameBoxes]:
    """Walk over both tables of a run side by side; their rows are in the order of the frames."""
    number_of = {label: index for index, label in enumerate(labels)}
    columns = ("x1", "y1", "x2", "y2", "confidence", "row", "col")
    with (
        run.frames_table.open(encoding="utf-8", newline="") as frames,
        run.table.open(encoding="utf-8", newline="") as boxes,
    ):
        found = csv.DictReader(boxes)
        row = next(found, None)
        for frame in csv.DictReader(frames):
            number, rows, kinds = int(frame["frame"]), [], []
            while row is not None and int(row["frame"]) == number:
                rows.append([float(row[name]) for name in columns])
                kinds.append(number_of[row["class"]])
                row = next(found, None)
            table = np.array(rows, np.float64).reshape(-1, len(columns))
            detections = Detections(
                table[:, :4].astype(np.float32),
                table[:, 4].astype(np.float32),
                np.array(kinds, np.int64),
                table[:, 5].astype(np.int64),
                table[:, 6].astype(np.int64),
                labels,
            )
            name = f"{number:06d}.jpg" if video else frame["source"]
            if Path(name).name != name:
                raise ValueError(f"{name!r} is no file name")
            yield FrameBoxes(number, name, sizes(name), detections)
        if row is not None:
            raise ValueError(f"boxes of frame {row['frame']}, which frames.csv does not name")


class _Sizes:
    """The sizes of a run's frames: a video has one, images each their own."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.size = (int(about["width"]), int(about["height"]))
        self.single = about["kind"] != "images"
        # The images themselves, else those that the run drew its boxes on.
        self.folders = (Path(str(about["spec"])), folder / "images")

    def __call__(self, name: str) -> tuple[int, int]:
        if self.single:
            return self.size
        for folder in self.folders:
            if (path := folder / name).is_file():
                return size_of(path)
        raise OutputError(
            "The size of an image is not known: neither the source nor annotated images are there any more",
            seen=name,
            next_step="put the source back, or write csv, which has no sizes.",
        )


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of an image, from its first bytes where they say it.

    Raises
    ------
    OutputError
        When it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            stated = image_size(stream.read(_HEAD))
        if stated is not None and min(stated) > 0:
            return stated
        height, width = read_image(path).shape[:2]
    except (OSError, SourceError) as error:
        raise OutputError(
            "The image cannot be read", seen=f"{path}: {error}", next_step="restore it."
        ) from error
    return width, height
