"""The boxes of a run, frame by frame, frames without boxes too: what every writer of detections writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.sources.imagesize import image_size
from peoplenet_nb.sources.stills import read_image
from peoplenet_nb.video.result import RunResult, load_result
from peoplenet_nb.video.tables import read_tables

_HEAD = 1 << 16  # bytes in which an image says its size
# Pictures that may have been turned when they were read, so that their size is not what they say of themselves.
_TURNED = re.compile(rb"RIFF|II\*\0|MM\0\*|.*exif", re.DOTALL | re.IGNORECASE)


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
    """Frames with what was found in them, by number."""

    name: str  # of the source
    labels: tuple[str, ...]
    video: bool  # whether they are of one video
    frames: Sequence[FrameBoxes]
    source: str = ""  # where the pictures are; empty where that is not known

    @classmethod
    def of(cls, found: str | Path | RunResult | Sequence[FrameBoxes], *, sized: bool = True) -> FoundFrames:
        """Return the frames of a run, or those that are given; the sizes of a run's are (0, 0) unless ``sized``.

        Raises
        ------
        OutputError
            When the run or a picture of it cannot be read, or no frame is given.
        """
        if isinstance(found, RunResult | str | Path):
            return cls._of_run(load_result(found), sized)
        if not found:
            raise OutputError("There is no frame to write", next_step="give at least one.")
        frames = sorted(found, key=lambda frame: frame.number)
        return cls("frames", frames[0].detections.labels, False, frames)

    @classmethod
    def _of_run(cls, run: RunResult, sized: bool) -> FoundFrames:
        about: dict[str, Any] = run.summary["source"]
        video, size = about["kind"] == "video", (int(about["width"]), int(about["height"]))
        table, detections = read_tables(run)
        frames = []
        for number, source, found in zip(table["frame"].tolist(), table["source"], detections, strict=True):
            name = f"{number:06d}.jpg" if video else str(source)
            if Path(name).name != name:
                what, step = "The tables of the run cannot be read", "run again with --overwrite."
                raise OutputError(what, seen=f"{name!r} is no file name", next_step=step)
            if about["kind"] == "images":  # each has its own
                size = _size_of(name, Path(str(about["spec"])), run.folder / "images") if sized else (0, 0)
            frames.append(FrameBoxes(number, name, size, found))
        return cls(str(about["name"]), tuple(run.summary["counts"]), video, frames, str(about["spec"]))


def _size_of(name: str, *folders: Path) -> tuple[int, int]:
    """Return width and height of an image: of the source itself, else of what the run drew its boxes on."""
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise OutputError(
            "The size of an image is not known: neither the source nor annotated images are there any more",
            seen=name,
            next_step="put the source back, or write csv, which has no sizes.",
        )
    try:
        with path.open("rb") as stream:
            stated = image_size(head := stream.read(_HEAD))
        if stated is not None and min(stated) > 0 and not _TURNED.match(head):
            return stated
        height, width = read_image(path).shape[:2]
    except (OSError, SourceError) as error:
        raise OutputError(
            "The image cannot be read", seen=f"{path}: {error}", next_step="restore it."
        ) from error
    return width, height
