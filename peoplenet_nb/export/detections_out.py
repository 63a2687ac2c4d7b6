"""Detections as the folder that another tool opens: `export_detections`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from peoplenet_nb.errors import OutputError, SourceError, choose
from peoplenet_nb.export import as_documents, as_files
from peoplenet_nb.export.as_files import Files
from peoplenet_nb.export.frames import FoundFrames, FrameBoxes
from peoplenet_nb.files import write_bytes, write_text, writing
from peoplenet_nb.html_tables import note
from peoplenet_nb.video.result import RunResult


class Format(StrEnum):
    """A format that detections can be written in."""

    COCO = "coco"
    MOT = "mot"
    KITTI = "kitti"
    YOLO = "yolo"
    CVAT = "cvat"
    LABEL_STUDIO = "label-studio"
    VOC = "voc"
    FIFTYONE = "fiftyone"
    CSV = "csv"
    PARQUET = "parquet"


#: Who writes it, and the folder where its tools look for the pictures.
_WRITERS: Mapping[Format, tuple[Callable[[FoundFrames], Files], str]] = {
    Format.COCO: (as_documents.coco_files, "images/default"),
    Format.MOT: (as_files.mot_files, "img1"),
    Format.KITTI: (as_files.kitti_files, "image_2"),
    Format.YOLO: (as_files.yolo_files, "images/val"),
    Format.CVAT: (as_documents.cvat_files, "images"),
    Format.LABEL_STUDIO: (as_documents.label_studio_files, "images"),
    Format.VOC: (as_files.voc_files, "JPEGImages"),
    Format.FIFTYONE: (as_documents.fiftyone_files, "data"),
    Format.CSV: (as_files.csv_files, "images"),
    Format.PARQUET: (as_files.parquet_files, "images"),
}
_BY_STEM = (Format.KITTI, Format.YOLO, Format.VOC, Format.FIFTYONE)


@dataclass(frozen=True)
class Written:
    """What was written."""

    folder: Path  # where
    format: Format  # in which format
    frames: int  # frames, boxes: how many
    boxes: int
    notes: tuple[str, ...]  # what the reader must know

    def _title(self) -> str:
        return f"{self.boxes} boxes of {self.frames} frames as {self.format}: {self.folder}"

    def __str__(self) -> str:
        return "\n".join([self._title(), *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        return "".join([note(self._title(), "ok"), *map(note, self.notes)])


def export_detections(
    found: str | Path | RunResult | Sequence[FrameBoxes],
    to: str | Format,
    folder: str | Path,
    *,
    images: bool = False,
    overwrite: bool = False,
) -> Written:
    """Write what was found as the folder that another tool opens.

    Parameters
    ----------
    found : str or Path or RunResult or sequence of FrameBoxes
        The folder of a run, its result, or single frames.
    to : str or Format
        ``coco``, ``mot``, ``kitti``, ``yolo``, ``cvat``, ``label-studio``, ``voc``, ``fiftyone``, ``csv``, ``parquet``.
    folder : str or Path
        Where it goes; made where it is not there.
    images : bool
        Put the pictures there too, where the tool looks for them: a run's source is read again.
    overwrite : bool
        Write into a folder that holds something already; what has another name stays.

    Returns
    -------
    Written

    Raises
    ------
    OutputError
        When the run cannot be read, the folder holds something, or it cannot be written.
    SettingsError
        For an unknown format.
    SourceError
        When pictures are asked for and the source cannot be read.

    Examples
    --------
    >>> import peoplenet_nb as pn
    >>> pn.export_detections("out/street", "coco", "out/street-coco")  # doctest: +SKIP
    """
    to = choose(Format, to, "format")
    table = to in (Format.CSV, Format.PARQUET)
    frames, folder = FoundFrames.of(found, sized=not table), Path(folder).expanduser()
    with writing(folder):
        taken = folder.is_dir() and any(folder.iterdir()) and not overwrite
    if taken:
        raise OutputError(
            "The folder of the export holds something already",
            seen=folder,
            next_step="choose another, or write into it with --overwrite (overwrite=True).",
        )
    boxes = Counter(label for frame in frames.frames for label in frame.detections.class_name)
    sums = sum(int((frame.detections.confidence > 1).sum()) for frame in frames.frames)
    notes = _check(frames, to, boxes)
    write, pictures = _WRITERS[to]
    for name, content in write(frames):
        if isinstance(content, bytes):
            write_bytes(folder / name, content)
        else:
            write_text(folder / name, content)
    if images:
        _write_pictures(frames, folder / pictures, first=int(to is Format.MOT))
    elif not table:
        notes.append(f"The pictures belong to {pictures}/: --images (images=True) puts them there.")
    if sums:
        notes.append(
            f"{sums} confidences are above 1: they are sums of coverages, which few tools expect of a score."
        )
    return Written(folder, to, len(frames.frames), boxes.total(), tuple(notes))


def _check(found: FoundFrames, to: Format, boxes: Counter[str]) -> list[str]:
    """Refuse names that a format cannot tell apart; say what it cannot hold, and leave that out of the count."""
    stems = Counter(frame.stem for frame in found.frames)
    if to in _BY_STEM and (twice := next((stem for stem, count in stems.items() if count > 1), None)):
        raise OutputError(
            f"Two images share a name but for their ending, by which {to} tells them apart",
            seen=twice,
            next_step="write coco or cvat, which have whole names, or rename one.",
        )
    if to is Format.MOT and (others := boxes.total() - boxes[found.labels[0]]):
        for label in found.labels[1:]:
            del boxes[label]
        return [f"{others} boxes of other classes than {found.labels[0]} were left out: MOT has one."]
    if to is Format.CVAT:
        return [f"{to} has no confidence: choose the threshold before."]
    if to is Format.LABEL_STUDIO:
        step = "labelling.xml is the set-up of labels."
        return [f"Serve the folder with LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT; {step}"]
    return []


def _write_pictures(found: FoundFrames, folder: Path, *, first: int) -> None:
    """Write the pictures of the frames: a file as it is, a video's frame as JPEG."""
    import cv2

    from peoplenet_nb.sources import open_source

    if not found.source:
        raise OutputError(
            "Where the pictures of these frames are is not known",
            next_step=f"put them to {folder}, or export the folder of a run.",
        )
    names = {frame.number: frame.name for frame in found.frames}
    missing = set(names.values())
    source = open_source(found.source, progress=False)
    origin = Path(found.source) if source.info.kind == "images" else Path(found.source).parent
    for frame in source:
        name = frame.name or names.get(
            frame.index, ""
        )  # images by name: one may be gone, and the others move up
        if name not in missing:
            continue
        missing.remove(name)
        if frame.name:
            write_bytes(folder / name, (origin / frame.name).read_bytes())
        else:
            _, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            name = f"{frame.index + first:06d}.jpg" if found.video else name
            write_bytes(folder / name, data.tobytes())
    if missing:
        what = "The source has no such frames any more: their pictures are missing"
        raise SourceError(what, seen=sorted(missing)[:5], next_step="put the source back that was run.")
