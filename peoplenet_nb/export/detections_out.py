"""Detections as the folder that another tool opens: `export_detections`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from peoplenet_nb.errors import OutputError, choose
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
_WITHOUT_SCORE = (Format.CVAT,)


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    folder : Path
        Where.
    format : Format
        In which format.
    frames, boxes : int
        How many.
    notes : tuple of str
        What the reader must know.
    """

    folder: Path
    format: Format
    frames: int
    boxes: int
    notes: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.boxes} boxes of {self.frames} frames as {self.format}: {self.folder}"
        return "\n".join([head, *(f"  note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        head = f"{self.boxes} boxes of {self.frames} frames as {self.format}: {self.folder}"
        return "".join([note(head, "ok"), *map(note, self.notes)])


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
    frames, folder = FoundFrames.of(found), Path(folder).expanduser()
    with writing(folder):
        taken = folder.is_dir() and any(folder.iterdir()) and not overwrite
    if taken:
        raise OutputError(
            "The folder of the export holds something already",
            seen=folder,
            next_step="choose another, or write into it with --overwrite (overwrite=True).",
        )
    counts, sums, notes = _survey(frames, to)
    write, pictures = _WRITERS[to]
    for name, content in write(frames):
        if isinstance(content, bytes):
            write_bytes(folder / name, content)
        else:
            write_text(folder / name, content)
    if images:
        _write_pictures(frames, folder / pictures, first=int(to is Format.MOT))
    elif to not in (Format.CSV, Format.PARQUET):
        notes.append(f"The pictures belong to {pictures}/: --images (images=True) puts them there.")
    if sums:
        notes.append(
            f"{sums} confidences are above 1: they are sums of coverages, which few tools expect of a score."
        )
    return Written(folder, to, counts[""], counts["boxes"], tuple(notes))


def _survey(found: FoundFrames, to: Format) -> tuple[Counter[str], int, list[str]]:
    """Count frames, boxes and confidences above 1, and say what the format cannot hold."""
    counts, sums, stems, notes = Counter[str](), 0, Counter[str](), list[str]()
    for frame in found.walk():
        counts[""] += 1
        counts["boxes"] += len(frame.detections)
        sums += int((frame.detections.confidence > 1).sum())
        stems[frame.stem] += 1
        if to is Format.MOT:
            mine = int((frame.detections.class_id == 0).sum())
            counts["others"] += len(frame.detections) - mine
    if to in _BY_STEM and (twice := next((stem for stem, count in stems.items() if count > 1), None)):
        raise OutputError(
            f"Two images share a name but for their ending, by which {to} tells them apart",
            seen=twice,
            next_step="write coco or cvat, which have whole names, or rename one.",
        )
    if to is Format.MOT and counts["others"]:
        notes.append(
            f"{counts['others']} boxes of other classes than {found.labels[0]} were left out: MOT has one."
        )
        counts["boxes"] -= counts["others"]
    if to in _WITHOUT_SCORE:
        notes.append(f"{to} has no confidence: choose the threshold before.")
    if to is Format.LABEL_STUDIO:
        notes.append(
            "Serve the folder with LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT; labelling.xml is the set-up of labels."
        )
    return counts, sums, notes


def _write_pictures(found: FoundFrames, folder: Path, *, first: int) -> None:
    """Write the pictures of the frames: a file as it is, a video's frame as JPEG."""
    import cv2

    from peoplenet_nb.sources import open_source

    if not found.source:
        raise OutputError(
            "Where the pictures of these frames are is not known",
            next_step=f"put them to {folder}, or export the folder of a run.",
        )
    names = {frame.number: frame.name for frame in found.walk()}
    source = open_source(found.source, progress=False)
    for frame in source:
        if frame.index not in names:
            continue
        if frame.name:
            content = (
                Path(found.source) if source.info.kind == "images" else Path(found.source).parent
            ) / frame.name
            write_bytes(folder / names[frame.index], content.read_bytes())
        else:
            _, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, 95])
            name = f"{frame.index + first:06d}.jpg" if found.video else names[frame.index]
            write_bytes(folder / name, data.tobytes())
