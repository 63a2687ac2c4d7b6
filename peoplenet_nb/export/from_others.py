"""Settings from Savant's module, Isaac ROS's parameters and jetson-inference's command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.export.from_prototext import BOX_SIZES, Read, of_classes
from peoplenet_nb.export.targets import Target
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Flavour, Settings

# Options of detectnet that say nothing of which boxes there are, beside those of its video and log.
_JETSON_NEUTRAL = re.findall(
    r"\S+",
    "network model labels colors input-blob output-cvg output-bbox output-count prototxt mean-pixel alpha overlay "
    "overlay-alpha overlay-flags profile headless bitrate camera width height batch-size help",
)
# Of a class in Savant, with what they are where a module does not say them.
_SAVANT = {
    "confidence_threshold": 0.5,
    "nms_iou_threshold": 0.5,
    "min_width": 32,
    "min_height": 32,
    "max_width": 0,
    "max_height": 0,
    "top_k": 0,
}
_ISAAC = {
    "enable_confidence_threshold": 1,
    "enable_bbox_area_threshold": 0,
    "enable_dbscan_clustering": 1,
    "confidence_threshold": 0.35,
    "min_bbox_area": 100,
    "dbscan_confidence_threshold": 0.35,
    "dbscan_eps": 0.7,
    "dbscan_min_boxes": 1,
    "dbscan_enable_athr_filter": 0,
    "dbscan_threshold_athr": 0,
    "dbscan_clustering_algorithm": 1,
    "bounding_box_scale": 35,
    "bounding_box_offset": 0,
}


def of_yaml(data: object, labels: Sequence[str], name: str) -> Read | None:
    """Return the settings of Savant's module or Isaac's parameters; None for a table of somebody else's.

    A key that is not known is a `SettingsError`, a value that is no number a `ValueError`.
    """
    for table in _tables(data, 0):
        if "dbscan_eps" in table or "label_list" in table:
            return _isaac(table, name)
        output = table.get("output")
        if isinstance(output, Mapping) and isinstance(output.get("objects"), list):
            return _savant(table, output["objects"], labels, name)
    return None


def _tables(data: object, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield a table and those in it, the outer first."""
    if isinstance(data, Mapping):
        yield data
    if depth < 8 and isinstance(data, Mapping | list):
        for value in data.values() if isinstance(data, Mapping) else data:
            yield from _tables(value, depth + 1)


def _number(key: str, value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"{key} is {value!r}, not a number of at least 0")
    return float(value)


def _savant(model: Mapping[str, Any], objects: list[Any], labels: Sequence[str], name: str) -> Read:
    read = {}
    for item in objects:
        selector = item.get("selector") if isinstance(item, Mapping) else None
        kwargs = selector.get("kwargs") if isinstance(selector, Mapping) else None
        if not isinstance(item, Mapping) or "label" not in item or not isinstance(kwargs or {}, Mapping):
            raise ValueError("an object of the output has no label, or its kwargs are no table")
        label = str(item["label"])
        refuse_unknown(kwargs or {}, _SAVANT, f"key of object '{label}'")
        said = {k: _number(f"{k} of {label}", v) for k, v in {**_SAVANT, **(kwargs or {})}.items()}
        sizes: dict[str, Any] = {key: said[key] for key in BOX_SIZES}
        shared = {"nms_iou": said["nms_iou_threshold"], "top_k": int(said["top_k"]) or None}
        numbers = ClassSettings(said["confidence_threshold"], **sizes)
        read[label] = ({"clustering": Clustering.NMS, **shared}, numbers)
    inputs = model.get("input")
    aspect = isinstance(inputs, Mapping) and bool(inputs.get("maintain_aspect_ratio"))
    more = {"fit": FitMode.LETTERBOX if aspect else FitMode.STRETCH, "flavour": Flavour.DEEPSTREAM}
    return of_classes(Target.SAVANT, read, labels, name, more)


def _isaac(table: Mapping[str, Any], name: str) -> Read:
    names = ("model_name", "model_repository_paths", "label_list")
    of_triton = re.compile(r"(input|output|tensor|max_batch|num_concurrent|network_image)_")
    neutral = [key for key in table if of_triton.match(str(key))]
    refuse_unknown(table, [*_ISAAC, *names, *neutral], "key", "isaac_ros_detectnet has")
    said = {key: _number(key, table.get(key, usual)) for key, usual in _ISAAC.items()}
    scale, algorithm = said["bounding_box_scale"], said["dbscan_clustering_algorithm"]
    notes = ["One threshold holds for all classes, and only the boxes of the first class are right there."]
    if said["enable_bbox_area_threshold"]:
        notes.append(f"min_bbox_area cannot be held: {said['min_bbox_area']:g}.")
    if abs(said["bounding_box_offset"] - 0.5 / 16) > 1e-6:
        moved = 16 * said["bounding_box_offset"] - 0.5
        notes.append(f"bounding_box_offset moves boxes by {moved:g} pixels of the network's input there.")
    if scale != 35:
        notes.append(f"bounding_box_scale is {scale:g}, not 35: boxes have another size there.")
    if not (said["dbscan_enable_athr_filter"] and said["dbscan_threshold_athr"] == 60):
        notes.append(
            "Large clusters with few members are dropped here (dbscan_threshold_athr 60), otherwise there."
        )
    if algorithm != 1:
        notes.append(f"dbscan_clustering_algorithm {algorithm:g} is taken for 1, DBSCAN.")
    numbers = ClassSettings(said["confidence_threshold"] if said["enable_confidence_threshold"] else 0.0)
    shared: dict[str, Any] = {"nms_iou": 1.0}  # nothing is above that
    if said["enable_dbscan_clustering"]:
        numbers = replace(numbers, min_sum=said["dbscan_confidence_threshold"])
        shared = {
            "clustering": Clustering.DBSCAN,
            "eps": said["dbscan_eps"],
            "min_samples": said["dbscan_min_boxes"],
        }
    return Target.ISAAC, Settings(preset=name, flavour=Flavour.DEEPSTREAM, default=numbers, **shared), notes


def of_command(text: str, name: str) -> Read:
    """Return the settings of a command line; the first one of ``detectnet`` in a script.

    An option that is not known is a `SettingsError`, quotes that do not end a `ValueError`.
    """
    lines = re.sub(r"\\\n", " ", text).splitlines()
    line = next((line for line in lines if re.match(r"\s*\S*detectnet\S*\s", line)), "")
    words = [word for word in shlex.split(line, comments=True) if word.startswith("--") and len(word) > 2]
    options = {key.replace("_", "-"): value for key, _, value in (word[2:].partition("=") for word in words)}
    ours = ("confidence", "threshold", "clustering", "tracking")
    video = [key for key in options if re.match(r"(input|output|log)-", key)]
    refuse_unknown(options, [*ours, *_JETSON_NEUTRAL, *video], "option", "detectnet has")
    # --threshold is what --confidence was called before.
    confidence = _share("confidence", options.get("confidence", options.get("threshold", "0.5")))
    clustering = _share("clustering", options.get("clustering", "0.75"))
    notes = ["Overlapping boxes become the box around them there; NMS keeps the best of them here."]
    if "tracking" in options:
        notes.append("--tracking cannot be held.")
    if options.get("model", "").endswith(".onnx"):
        notes.append("A .onnx is taken for an SSD there: these numbers then do nothing for PeopleNet.")
    iou = round(clustering / (2 - clustering), 9)
    return Target.JETSON, Settings(preset=name, nms_iou=iou, default=ClassSettings(confidence)), notes


def _share(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        what = f"--{key} must be a number from 0 to 1"
        raise SettingsError(what, seen=repr(text), next_step="write it as --confidence=0.5.")
    return value
