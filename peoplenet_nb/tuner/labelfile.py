"""Labels being made, as a COCO file that is whole after every action.

Frames that are done are COCO's images and annotations, so that everybody reads the file. What else is needed to go on
tomorrow (the frames that were chosen, and those half done) is under a key of its own, which readers of COCO pass over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError, SettingsError
from peoplenet_nb.files import read_text, write_text

_OURS = "peoplenet_nb"
_IGNORE = "ignore"
_MOST_BYTES = 256 << 20

Record = dict[str, Any]


@dataclass
class LabelFile:
    """What was chosen to be labelled, and what was labelled so far.

    Attributes
    ----------
    path : Path
        The COCO file.
    source : str
        Name of the video or folder.
    size : tuple of int
        Width and height of the frames.
    classes : tuple of str
        The classes that are labelled; others are not judged.
    frames : list of int
        The chosen frames, by their 0-based index in the source.
    records : list of dict
        Of each frame its ``boxes`` and whether it is ``done``; a box has ``c``, the class's number in ``classes`` or -1
        for a region that is not judged, ``box`` (xyxy in frame pixels), ``sure`` and ``score``.
    """

    path: Path
    source: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    frames: list[int]
    records: list[Record]
    _text: str | None = field(default=None, repr=False)  # the file as it was last read or written here

    def begun(self) -> LabelFile:
        """Return what was begun earlier in the file of that name; this one where there is none.

        Raises
        ------
        OutputError
            When the file was not begun here, or for another source, frames of another size or other classes.
        """
        if not self.path.exists():
            return self
        try:
            data = json.loads(text := read_text(self.path, _MOST_BYTES))
            ours = data[_OURS]
            frames = [int(frame) for frame in ours["frames"]]
            width, height = ours["size"]
            file = LabelFile(
                self.path, ours["source"], (width, height), tuple(ours["classes"]), frames, [], text
            )
            number = {name: i for i, name in enumerate(file.classes)} | {_IGNORE: -1}
            names = {one["id"]: one["name"] for one in data["categories"]}
            boxes: dict[int, list[Record]] = {image["id"]: [] for image in data["images"]}
            for a in data["annotations"]:
                x, y, width, height = a["bbox"]
                box = [round(float(v), 1) for v in (x, y, x + width, y + height)]
                c = number[names[a["category_id"]]]
                boxes[a["image_id"]].append({"c": c, "box": box, "sure": True, "score": 1.0})
            for i, frame in enumerate(file.frames):
                open_ = ours["open"].get(str(frame), [])
                file.records.append({"boxes": boxes.get(i + 1, open_), "done": i + 1 in boxes})
            file._check(file.records)
            before = file._about
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, SettingsError) as error:
            what = "There is a file of that name that was not begun by labelling here"
            raise OutputError(
                what, seen=f"{self.path}: {error!r}", next_step="choose another (to=…)."
            ) from error
        if before != self._about:
            what, fix = "These labels were begun for other frames or classes", "choose another file (to=…)."
            raise OutputError(what, seen=f"{before}; now {self._about}", next_step=fix)
        return file

    @property
    def _about(self) -> str:
        return f"{self.source}, {self.size[0]}x{self.size[1]}, {', '.join(self.classes)}"

    def put(self, records: Mapping[int, Record]) -> None:
        """Take other records of some of the chosen frames, by their position; or refuse them with a `SettingsError`."""
        if not records.keys() <= set(range(len(self.frames))):
            what = "The labels are not those of the chosen frames"
            raise SettingsError(what, seen=sorted(records), next_step="run the cell again.")
        self._check(records.values())
        for position, record in records.items():
            self.records[position] = record

    def _check(self, records: Iterable[Record]) -> None:
        for record in records:
            for one in record["boxes"]:
                x1, y1, x2, y2 = (float(v) for v in one["box"])
                inside = 0 <= x1 < x2 <= self.size[0] and 0 <= y1 < y2 <= self.size[1]
                if not (inside and math.isfinite(one["score"]) and one["c"] in range(-1, len(self.classes))):
                    what = "A labelled box is not in the frame, or of no class that is labelled"
                    raise SettingsError(what, seen=one, next_step="run the cell again.")

    @property
    def done(self) -> int:
        """How many frames are done."""
        return sum(record["done"] for record in self.records)

    def save(self, names: Sequence[str]) -> None:
        """Write the file anew and whole; ``names`` are those of the frames' images.

        Raises
        ------
        OutputError
            When it cannot be written, or somebody else wrote it since it was read or written here.
        """
        if self.path.exists() and read_text(self.path, _MOST_BYTES) != self._text:
            what = "The file of the labels was written elsewhere since, by another panel perhaps"
            raise OutputError(what, seen=self.path, next_step="run the cell again, it goes on from the file.")
        width, height = self.size
        images, annotations = list[Mapping[str, Any]](), list[Mapping[str, Any]]()
        for i, (record, name) in enumerate(zip(self.records, names, strict=True), 1):
            if not record["done"]:
                continue
            images.append({"id": i, "file_name": name, "width": width, "height": height})
            for one in record["boxes"]:
                x1, y1, x2, y2 = one["box"]
                bbox = [x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)]
                ignored = one["c"] < 0
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": i,
                        "category_id": len(self.classes) + 1 if ignored else one["c"] + 1,
                        "bbox": bbox,
                        "area": bbox[2] * bbox[3],
                        "iscrowd": int(ignored),
                    }
                )
        categories = [{"id": i, "name": name} for i, name in enumerate((*self.classes, _IGNORE), 1)]
        half = {
            str(frame): record["boxes"]
            for frame, record in zip(self.frames, self.records, strict=True)
            if not record["done"]
        }
        ours = {"source": self.source, "size": self.size, "classes": self.classes, "frames": self.frames}
        data = {"images": images, "annotations": annotations, "categories": categories}
        text = json.dumps(data | {_OURS: ours | {"open": half}})
        write_text(self.path, text, durable=True)
        self._text = text
