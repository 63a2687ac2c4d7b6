"""Labels in JSON: COCO, and Label Studio's export (full or minimal)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import numpy as np

from peoplenet_nb.labels.names import Raw, Row

_UPLOAD = re.compile(r"^[0-9a-f]{8}-(?=.)")  # what Label Studio puts before the name of an uploaded file


def from_json(data: Any) -> Raw:
    """Return what a JSON label file holds; one that is neither of the two, or not whole, is refused."""
    if isinstance(data, dict) and "images" in data:
        return _coco(data)
    tasks = data if isinstance(data, list) else [data]
    if tasks and all(isinstance(task, dict) and {"image_id", "score"} <= task.keys() for task in tasks):
        raise ValueError("these are COCO results (boxes that were found), not labels")
    return _label_studio(tasks)


def _coco(data: Mapping[str, Any]) -> Raw:
    names = {category["id"]: str(category["name"]) for category in data["categories"]}
    images = {image["id"]: str(image["file_name"]) for image in data["images"]}
    if len(images) != len(data["images"]):
        raise ValueError("two images have one id")
    raw = Raw("COCO", list(images.values()), names=list(names.values()))
    for a in data["annotations"]:
        x, y, width, height = (float(v) for v in a["bbox"])
        area = a.get("area")
        row = Row(
            images[a["image_id"]],
            names[a["category_id"]],
            (x, y, x + width, y + height),
            bool(a.get("iscrowd", 0)) or bool(a.get("ignore", 0)),
            None if area is None else float(area),
        )
        raw.rows.append(row)
    return raw


def _label_studio(tasks: Iterable[Any]) -> Raw:
    raw, unlabelled = Raw("Label Studio"), 0
    for task in tasks:
        minimal = "image" in task
        where = task["image"] if minimal else task["data"].get("image") or task["data"]["img"]
        if minimal:
            results = [{"value": v, **v} for key in ("label", "bbox") for v in task.get(key) or ()]
        else:
            done = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
            if not done:
                unlabelled += 1
                continue
            results = done[0]["result"]
        name = _UPLOAD.sub("", PurePosixPath(unquote(str(where)).split("?d=")[-1]).name)
        raw.frames.append(name)
        for result in results:
            value = result["value"]
            if label := value.get("rectanglelabels"):
                size = (float(result["original_width"]), float(result["original_height"]))
                raw.rows.append(Row(name, str(label[0]), _percent(value, size)))
    if unlabelled:
        raw.notes.append(f"{unlabelled} tasks without an annotation were left out.")
    return raw


def _percent(value: Mapping[str, Any], size: tuple[float, float]) -> tuple[float, float, float, float]:
    """Return the upright box around one in percent, which may be turned about its top left corner."""
    x, y, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    box = (x * size[0], y * size[1], (x + width) * size[0], (y + height) * size[1])
    return upright(box, float(value.get("rotation") or 0), (box[0], box[1]))


def upright(
    box: tuple[float, float, float, float], degrees: float, pivot: tuple[float, float]
) -> tuple[float, float, float, float]:
    """Return the upright box around one that is turned clockwise about a point."""
    if not degrees % 360:
        return box
    x1, y1, x2, y2 = box
    corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)]) - pivot
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned = corners @ np.array([(cos, sin), (-sin, cos)]) + pivot
    (left, top), (right, bottom) = turned.min(axis=0).tolist(), turned.max(axis=0).tolist()
    return left, top, right, bottom
