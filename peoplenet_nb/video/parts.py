"""What a run writes as it goes: lines of the tables, the pieces of video, the annotated images.

All of it is written where the frames are in order again, so that nothing depends on how many threads there were.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import cv2

from peoplenet_nb.cells import CELLS, Cells, CellsWriter
from peoplenet_nb.files import PartialFile, sha256_of, write_bytes, writing
from peoplenet_nb.sources.frames import Image, Source
from peoplenet_nb.sources.names import unique_names
from peoplenet_nb.video.livelog import count_latency
from peoplenet_nb.video.manifest import STAGES, Part
from peoplenet_nb.video.runfolder import RunFolder
from peoplenet_nb.video.work import Done
from peoplenet_nb.video.writer import Planes, VideoWriter

#: Columns of detections.csv. ``frame`` is the 0-based index in the source; boxes are in frame pixels; ``origin`` is
#: ``inferred`` (by the network) or ``interpolated`` (between the two nearest frames that are inferred).
COLUMNS = ("source", "frame", "time_s", "class", "confidence", "x1", "y1", "x2", "y2", "row", "col", "origin")

_JPEG_QUALITY = 92


class PartWriter:
    """Writes one part of a run as frames of a source come; what annotated images are called says `image_names`."""

    def __init__(
        self, run: RunFolder, source: Source, labels: tuple[str, ...], image_names: Mapping[str, str]
    ) -> None:
        self._run, self._source, self._labels, self._image_names = run, source, labels, image_names
        self._video: VideoWriter | None = None
        self.part: Part | None = None
        self._name = f"{run.manifest.removed + len(run.manifest.parts):05d}"
        self._video_path = run.parts / f"{self._name}.mp4"
        self._cells: CellsWriter | None = None
        self._cells_path = run.parts / f"{self._name}.{CELLS}"
        self._files = [
            PartialFile(run.parts / f"{self._name}.{table}.csv") for table in ("detections", "frames")
        ]
        with writing(run.path):
            # Names need not be UTF-8: what cannot be written as it is stands there as \\udcff.
            self._tables = [
                file.partial.open("w", encoding="utf-8", errors="backslashreplace", newline="")
                for file in self._files
            ]

    def add(self, done: Done) -> Part:
        """Add one frame: its lines for both tables, its counts per class and its picture, if any."""
        began = perf_counter()
        frame, manifest = done.frame, self._run.manifest
        time_s = 0.0 if math.isnan(frame.time_s) else frame.time_s
        if self.part is None:
            if not manifest.parts:
                manifest.origin_s = time_s
            self.part = Part(self._name, frame.index, frame.index, time_s - manifest.origin_s)
            self.part.counts, self.part.frames_with = (dict.fromkeys(self._labels, 0) for _ in range(2))
            self.part.seconds = dict.fromkeys(STAGES, 0.0)
        part, counts = self.part, done.detections.counts()
        with writing(self._run.path):
            self._write_rows(done, counts)
            if isinstance(done.picture, Planes):
                self._write_video(done.picture, time_s - manifest.origin_s - part.begins_s)
            elif done.picture is not None:
                write_image(self._run.path / "images" / self._image_names[frame.name], done.picture)
            if done.grids is not None:
                self._cells = self._cells or CellsWriter(self._cells_path)
                self._cells.add(frame.index, Cells.of(done.grids), time_s=frame.time_s, begins=done.begins)
            elif self._cells is not None:
                self._cells.add_between(frame.index, frame.time_s)
        part.last, part.ends_s, part.cut = frame.index, time_s - manifest.origin_s, done.last
        part.frames += 1
        part.interpolated = (part.interpolated or 0) + (not done.inferred)
        for label, number in counts.items():
            part.counts[label] += number
            part.frames_with[label] += number > 0
        if (feed := self._source.feed) is not None:
            count_latency(part, feed, time_s, done.found_s)
        for stage, took in (done.seconds | {"encode": perf_counter() - began}).items():
            part.seconds[stage] += took
        return part

    def _write_rows(self, done: Done, counts: Mapping[str, int]) -> None:
        """Write a frame's lines to both tables; images have no time."""
        frame, detections = done.frame, done.detections
        origin = "inferred" if done.inferred else "interpolated"
        found, frames = (csv.writer(table, lineterminator="\n") for table in self._tables)
        name, time_s = frame.name or self._source.info.name, frame.time_s
        head = (name, frame.index, "" if math.isnan(time_s) else f"{time_s:.4f}")
        for i in range(len(detections)):
            box = (f"{value:.2f}" for value in detections.xyxy[i].tolist())
            label = detections.labels[int(detections.class_id[i])]
            cell = (int(detections.row[i]), int(detections.col[i]))
            found.writerow((*head, label, f"{float(detections.confidence[i]):.4f}", *box, *cell, origin))
        frames.writerow((*head, *counts.values(), origin))

    def _write_video(self, picture: Planes, at_s: float) -> None:
        info, manifest = self._source.info, self._run.manifest
        if self._video is None:
            self._video = VideoWriter(
                self._video_path,
                picture.size,
                (info.fps or 25.0) / min(self._source.every, 10**9),
                encoder=manifest.encoder,
                pixel_aspect=info.pixel_aspect,
                faststart=False,
            )
        self._video.write(picture, at_s)

    def finish(self) -> None:
        """Move the part's files into place and name it in the manifest; a part without frames vanishes."""
        if self.part is None:
            self.abandon()
            return
        with writing(self._run.path):
            if self._video is not None:
                self._video.close()
                self.part.rescaled = self._video.rescaled
            for table, file in zip(self._tables, self._files, strict=True):
                table.flush()
                os.fsync(table.fileno())
                table.close()
                file.keep()
            paths = [*(file.path for file in self._files), *([self._video_path] if self._video else [])]
            if self._cells is not None:
                self._cells.finish()
                paths.append(self._cells_path)
            self.part.files = {path.name: sha256_of(path) for path in paths}
            self._run.manifest.parts.append(self.part)
            self._run.save()

    def abandon(self) -> None:
        """Give the part up; what was written of it goes."""
        if self._video is not None:
            self._video.abandon()
        if self._cells is not None:
            self._cells.abandon()
        for table, file in zip(self._tables, self._files, strict=True):
            with suppress(OSError):  # a full disk takes no last lines either, and was told of before
                table.close()
            file.drop()


def image_names(names: Sequence[str]) -> dict[str, str]:
    """Return what the annotated images are called: as the source's where that is JPEG or PNG, else with ``.jpg``.

    Examples
    --------
    >>> image_names(["a.bmp", "a.bmp.jpg"])
    {'a.bmp.jpg': 'a.bmp.jpg', 'a.bmp': 'a.bmp-2.jpg'}
    """
    kept = [name for name in names if Path(name).suffix.lower() in (".jpg", ".jpeg", ".png")]
    other = [name for name in names if name not in set(kept)]
    given = unique_names([(name, "") for name in kept] + [(name, ".jpg") for name in other])
    return dict(zip([*kept, *other], given, strict=True))


def write_image(path: Path, picture: Image) -> None:
    """Write a picture through a temporary name."""
    kind = path.suffix.lower()
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if kind in (".jpg", ".jpeg") else []
    fine, data = cv2.imencode(kind, picture, quality)
    if not fine:
        raise OSError(f"OpenCV cannot encode {path.name}")
    write_bytes(path, data.tobytes())
