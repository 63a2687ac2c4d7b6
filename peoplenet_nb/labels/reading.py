"""Labels from a file or folder, recognised by their content: COCO, MOT, KITTI, YOLO, CVAT, Label Studio, Pascal VOC.

A file from outside is read in bounded time and memory: sizes are limited, XML may declare no entities, and a YOLO
``data.yaml`` leads nowhere outside its folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import SourceError
from peoplenet_nb.files import read_text, read_yaml
from peoplenet_nb.labels import as_json, as_text, as_xml
from peoplenet_nb.labels.as_text import Sizes, is_number
from peoplenet_nb.labels.names import Raw, to_labels
from peoplenet_nb.labels.safe_xml import read_xml
from peoplenet_nb.labels.values import Labels
from peoplenet_nb.settings import PEOPLENET_LABELS
from peoplenet_nb.sources.stills import IMAGE_NAME, natural_key, read_image

_MOST_BYTES = 512 << 20  # COCO's largest file of labels has 470 MB
_MOST_SMALL = 4 << 20  # labels of one image
_MOST_FILES = 500_000
_YOLO_FILES = ("data.yaml", "data.yml", "dataset.yaml")
_NAME_FILES = ("classes.txt", "obj.names", "labels.txt", "_darknet.labels")
_NO_LABELS = (*_NAME_FILES, "notes.json", "train.txt", "test.txt", "val.txt", "readme.txt")
_INSIDE = ("labels", "label_2", "Annotations", "annotations", "obj_train_data", "gt", "train", "val")
_FORMATS = "COCO, MOT, KITTI, YOLO, CVAT 1.1 XML, Label Studio JSON, Pascal VOC, or a table (CSV) are read."
_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    OverflowError,
    csv.Error,
)


def read_labels(
    path: str | Path,
    labels: Sequence[str] = PEOPLENET_LABELS,
    *,
    classes: Mapping[str, str] | None = None,
    size: tuple[int, int] | None = None,
    images: str | Path | None = None,
) -> Labels:
    """Read ground truth from a file, or from a folder with a file for each image.

    Parameters
    ----------
    path : str or Path
        What kind it is, its content says.
    labels : sequence of str
        The model's classes.
    classes : mapping, optional
        What names in the file mean, where they are not understood: a class, ``ignore``, or empty to leave them out.
    size : tuple of int, optional
        ``(width, height)`` of all frames. YOLO's boxes are shares of it; left out, the images beside them say it.
    images : str or Path, optional
        The folder of the images, where it is not beside YOLO's labels.

    Returns
    -------
    Labels
        Frames and pixels counted from 0, whatever the file does.

    Raises
    ------
    SourceError
        When there is no such file, it is none of these formats, is not whole, or names no class of the model.
    SettingsError
        When ``classes`` names a class that the model has not.
    """
    path = Path(path).expanduser()
    try:
        if not path.exists():
            raise SourceError("No such file or folder of labels", seen=path, next_step="check the path.")
        raw = _Reader(size, Path(images) if images is not None else None).read(path)
        return to_labels(raw, labels, classes or {})
    except (*_BROKEN, OSError) as error:
        what = str(error.args[0]) if isinstance(error, ValueError) and error.args else repr(error)
        raise SourceError("The labels cannot be read", seen=f"{path}: {what}", next_step=_FORMATS) from error


class _Reader:
    """Reads one file or folder; knows where the sizes of images come from."""

    def __init__(self, size: tuple[int, int] | None, images: Path | None) -> None:
        self.size, self.images = size, images
        self.found: dict[Path, dict[str, Path]] = {}

    def read(self, path: Path) -> Raw:
        return self._folder(path) if path.is_dir() else self._file(path)

    def _file(self, path: Path) -> Raw:
        if not path.is_file():  # opening a pipe would wait for ever
            raise ValueError("that is not a regular file")
        with path.open("rb") as stream:
            start = stream.read(4096)
        if start.startswith(b"PK\x03\x04"):
            raise ValueError("that is a zip archive: unpack it")
        head = start.decode("utf-8-sig", errors="replace").lstrip()
        if head[:1] in "{[" and head:
            return as_json.from_json(json.loads(read_text(path, _MOST_BYTES)))
        if head.startswith("<"):
            root = read_xml(path, _MOST_BYTES)
            if root.tag == "annotations":
                return as_xml.from_cvat(root)
            if root.tag == "annotation":
                return as_xml.from_voc(root, path.stem)
            raise ValueError(f"its root is <{root.tag}>, neither CVAT's nor Pascal VOC's")
        if path.suffix.lower() in (".yaml", ".yml"):
            return self._yolo_dataset(path)
        line = head.partition("\n")[0].strip()
        if not line:
            raise ValueError("the file is empty")
        if "," in line:
            named = not is_number(line.split(",")[0])
            return (as_text.from_table if named else as_text.from_mot)(read_text(path, _MOST_BYTES))
        return self._lines([path])

    def _folder(self, folder: Path) -> Raw:
        for mot in (folder / "gt" / "gt.txt", folder / "det" / "det.txt"):
            if mot.is_file():
                return self._file(mot)
        for name in _YOLO_FILES:
            if (folder / name).is_file():
                return self._yolo_dataset(folder / name)
        files = [
            p for p in folder.iterdir() if p.name.lower() not in _NO_LABELS and not p.name.startswith(".")
        ]
        if len(files) > _MOST_FILES:
            raise ValueError(f"it holds {len(files):,} files, more than {_MOST_FILES:,}")
        kinds = {
            suffix: sorted(
                (p for p in files if p.suffix.lower() == suffix), key=lambda p: natural_key(p.name)
            )
            for suffix in (".json", ".xml", ".txt", ".csv")
        }
        there = {suffix: found for suffix, found in kinds.items() if found}
        if not there:
            inside = [folder / name for name in _INSIDE if (folder / name).is_dir()]
            inside = inside or [p for p in files if p.is_dir() and p.name != "images"]
            if len(inside) == 1:
                return self._folder(inside[0])
            names = ", ".join(p.name for p in inside[:5]) or "no .json, .xml, .txt or .csv"
            raise ValueError(f"the folder holds {names}: name the one to read")
        if len(there) > 1:
            raise ValueError(f"the folder holds files of several kinds ({', '.join(there)}): name one")
        ((suffix, found),) = there.items()
        if len(found) == 1 and suffix != ".txt":
            return self._file(found[0])
        if suffix == ".xml":
            return _joined([as_xml.from_voc(_voc(path), path.stem) for path in found])
        if suffix == ".txt":
            return self._lines(found)
        raise ValueError(f"the folder holds {len(found)} {suffix} files: name one")

    def _lines(self, files: Sequence[Path]) -> Raw:
        """Return KITTI's or YOLO's labels, a file for each image; an empty file is an image without objects."""
        texts = {path: read_text(path, _MOST_SMALL) for path in files}
        first = next((text for text in texts.values() if text.strip()), "")
        if first and not is_number(first.split()[0]):
            return _joined([as_text.from_kitti(text, path.stem) for path, text in texts.items()])
        names = self._class_names(files[0].parent)
        return self._yolo(texts, names)

    def _yolo(self, texts: Mapping[Path, str], names: Sequence[str] | None) -> Raw:
        rows = []
        for path, text in texts.items():
            try:
                rows.append(as_text.from_yolo(text, path.stem, names, self._sizes(path)))
            except ValueError as error:
                raise ValueError(f"{path.name}: {error}") from error
        return _joined(rows)

    def _yolo_dataset(self, path: Path) -> Raw:
        data = read_yaml(path)
        if not isinstance(data, dict) or "names" not in data:
            raise ValueError("a YOLO data.yaml names its classes under 'names'")
        split = next((data[key] for key in ("val", "test", "train") if isinstance(data.get(key), str)), "")
        if not split:
            raise ValueError("a YOLO data.yaml names one folder of images under 'val', 'test' or 'train'")
        root = path.parent.resolve()
        # As its programs do: where the path of the images says "images" last, that of the boxes says "labels".
        parts = list((Path(str(data.get("path") or "")) / split).parts)
        if "images" in parts:
            parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        folder = (root / Path(*parts)).resolve()
        if not folder.is_relative_to(root):
            raise ValueError(f"it leads out of its folder, to {folder}; name the folder of labels itself")
        if not folder.is_dir():
            raise ValueError(f"there is no folder of labels at {folder}")
        files = sorted(folder.glob("*.txt"), key=lambda p: natural_key(p.name))
        if not files:
            raise ValueError(f"the folder {folder} holds no .txt")
        texts = {file: read_text(file, _MOST_SMALL) for file in files if file.name.lower() not in _NO_LABELS}
        return self._yolo(texts, _names(data["names"]))

    def _class_names(self, folder: Path) -> list[str] | None:
        """Return YOLO's class names from beside the labels or up to two folders above."""
        for place in (folder, *list(folder.resolve().parents)[:2]):
            for name in _NAME_FILES:
                if (place / name).is_file():
                    return [line.strip() for line in read_text(place / name).splitlines() if line.strip()]
            for name in _YOLO_FILES:
                if (place / name).is_file():
                    return _names(read_yaml(place / name)["names"])
        return None

    def _sizes(self, labels: Path) -> Sizes:
        def size(name: str) -> tuple[int, int]:
            if self.size is not None:
                return self.size
            beside = Path(*("images" if part == "labels" else part for part in labels.parent.parts))
            for folder in (self.images, labels.parent, beside):
                if folder is not None and (image := self._images(folder).get(name)) is not None:
                    height, width = read_image(image).shape[:2]
                    return width, height
            raise ValueError(
                f"YOLO's boxes are shares of the image's size, and there is no image {name} beside the labels "
                "(images=…, or size=(width, height))"
            )

        return size

    def _images(self, folder: Path) -> dict[str, Path]:
        if folder not in self.found:
            there = folder.iterdir() if folder.is_dir() else iter(())
            self.found[folder] = {path.stem: path for path in there if IMAGE_NAME.search(path.name)}
        return self.found[folder]


def _voc(path: Path) -> Any:
    root = read_xml(path, _MOST_SMALL)
    if root.tag != "annotation":
        raise ValueError(f"{path.name} has the root <{root.tag}>, not Pascal VOC's <annotation>")
    return root


def _names(names: object) -> list[str]:
    """Return YOLO's class names, a list or a table of number and name."""
    if isinstance(names, dict):
        return [
            str(names.get(number, f"class {number}"))
            for number in range(1 + max(map(int, names), default=-1))
        ]
    if isinstance(names, list):
        return [str(name) for name in names]
    raise ValueError("'names' is neither a list nor a table of numbers and names")


def _joined(parts: Iterable[Raw]) -> Raw:
    """Return the labels of single images as one."""
    parts = list(parts)
    whole = Raw(parts[0].format, names=parts[0].names)
    for part in parts:
        whole.frames += part.frames
        whole.rows += part.rows
        whole.notes += part.notes
    return whole
