"""Settings from the files of other programs: `import_settings`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.export.from_deepstream import from_nvinfer, ini_groups, yaml_groups
from peoplenet_nb.export.prototext import Message, number, read_prototext
from peoplenet_nb.export.targets import Target
from peoplenet_nb.files import read_text, read_yaml
from peoplenet_nb.html_tables import note
from peoplenet_nb.settings import PEOPLENET_LABELS, ClassSettings, Clustering, Flavour, Score, Settings

_FORMATS = (
    "nvinfer's configuration (INI, YAML), TAO's inference or training specification, the Triton client's clustering "
    "and jetson-inference's command line are read."
)
_TAO_FIELDS = re.findall(
    r"\S+",
    "coverage_threshold minimum_bounding_box_height clustering_algorithm dbscan_eps dbscan_min_samples "
    "neighborhood_size dbscan_confidence_threshold nms_iou_threshold nms_confidence_threshold",
)
_TRITON_FIELDS = ("coverage_threshold", "minimum_bounding_box_height", "dbscan_config", "bbox_color")
_TRITON_DBSCAN = ("dbscan_eps", "dbscan_min_samples", "neighborhood_size", "dbscan_confidence_threshold")
# Options of detectnet that say nothing of which boxes there are, beside those of its video and log.
_JETSON_NEUTRAL = re.findall(
    r"\S+",
    "network model labels colors input-blob output-cvg output-bbox output-count prototxt mean-pixel alpha overlay "
    "overlay-alpha overlay-flags profile headless bitrate camera width height batch-size help",
)


@dataclass(frozen=True)
class Imported:
    """Settings that were read, and what of the file they cannot hold.

    Attributes
    ----------
    target : Target
        Whose file it was.
    settings : Settings
        What the program runs with.
    notes : tuple of str
        What cannot be held, and what a reader would not expect.
    """

    target: Target
    settings: Settings
    notes: tuple[str, ...]

    def _repr_html_(self) -> str:
        return "".join(note(text) for text in self.notes) + self.settings._repr_html_()


def import_settings(source: str | Path, labels: Sequence[str] = PEOPLENET_LABELS) -> Imported:
    """Read the settings that another program runs with.

    Parameters
    ----------
    source : str or Path
        A file: nvinfer's configuration (INI or YAML), TAO's specification, the Triton client's clustering or a script
        with jetson-inference's command; or that command itself, which begins with ``detectnet``.
    labels : sequence of str
        The model's classes, in its order.

    Returns
    -------
    Imported

    Raises
    ------
    SettingsError
        When there is no such file, it is none of these, or says something that is not understood: the key is named.

    Examples
    --------
    >>> import_settings("detectnet --confidence=0.4").settings.default.threshold
    0.4
    """
    if not labels:
        raise SettingsError("A model has at least one class", seen=labels, next_step="give them: labels=(…).")
    try:
        if isinstance(source, str) and re.match(r"\s*\S*detectnet\S*\s+-", source):
            return _jetson(source, "jetson-inference")
        return _read(Path(source).expanduser(), labels)
    except FileNotFoundError:
        raise SettingsError("No such configuration", seen=source, next_step="check the path.") from None
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: the home of nobody
        raise SettingsError(
            "The configuration cannot be read", seen=f"{source}: {error}", next_step=_FORMATS
        ) from error


def _read(path: Path, labels: Sequence[str]) -> Imported:
    text = read_text(path)
    if re.search(r"^\s*\[[\w-]+\]", text, re.MULTILINE) and "=" in text:
        settings, notes = from_nvinfer(ini_groups(text), labels, path.name, yaml=False)
        return Imported(Target.DEEPSTREAM, settings, tuple(notes))
    if re.search(r"^\s*\S*detectnet\S*\s.*--", text, re.MULTILINE):
        return _jetson(text, path.name)
    if re.search(r"(classwise_\w+_config|target_class_config)\s*:?\s*\{", text):
        fields = read_prototext(path)
        return _prototext(fields, labels, path.name)
    if re.search(r"^(property|class-attrs-\w+):", text, re.MULTILINE):
        if not isinstance(data := read_yaml(path), Mapping):
            raise ValueError("it is no table of groups")
        settings, notes = from_nvinfer(yaml_groups(data), labels, path.name, yaml=True)
        return Imported(Target.DEEPSTREAM_YAML, settings, tuple(notes))
    raise ValueError("it is of no program that is known here")


def _part(fields: Iterable[tuple[str, Any]], name: str) -> Message:
    """Return a message in a message, empty where it is not there."""
    return next((value for key, value in fields if key == name and not isinstance(value, str)), ())


def _entries(fields: Message, name: str) -> dict[str, Message]:
    """Return a map's messages by key."""
    entries = {}
    for entry in (value for key, value in fields if key == name):
        if isinstance(entry, str):
            raise ValueError(f"{name} is no message")  # noqa: TRY004 - of a file
        refuse_unknown(dict(entry), ["key", "value"], f"field of {name}")
        entries[str(dict(entry).get("key", ""))] = _part(entry, "value")
    return entries


def _prototext(fields: Message, labels: Sequence[str], name: str) -> Imported:
    if triton := _entries(fields, "classwise_clustering_config"):
        refuse_unknown(dict(fields), ["classwise_clustering_config", "linewidth", "stride"], "field")
        return _of_classes(Target.TRITON, {k: _triton(k, v) for k, v in triton.items()}, labels, name)
    inner = _part(fields, "bbox_handler_config") or _part(fields, "postprocessing_config") or fields
    handlers = _entries(inner, "classwise_bbox_handler_config") or _entries(inner, "target_class_config")
    messages = {label: _part(value, "clustering_config") for label, value in handlers.items()}
    if not messages:
        raise ValueError("it names no class")
    return _of_classes(Target.TAO, {k: _tao(k, v) for k, v in messages.items()}, labels, name)


def _numbers(label: str, fields: Message, known: Sequence[str]) -> dict[str, float]:
    """Return the numbers of a message; what is left out is 0, as Protocol Buffers have it."""
    refuse_unknown(dict(fields), known, f"field of class '{label}'")
    plain = {k: v for k, v in fields if isinstance(v, str) and k != "clustering_algorithm"}
    return dict.fromkeys(known, 0.0) | {
        key: number(f"{key} of {label}", value) for key, value in plain.items()
    }


def _tao(label: str, fields: Message) -> dict[str, Any]:
    said = _numbers(label, fields, _TAO_FIELDS)
    algorithm = str(dict(fields).get("clustering_algorithm", "DBSCAN"))
    names = {str(index): kind for index, kind in enumerate(("DBSCAN", "NMS", "HYBRID"))}
    algorithm = names.get(algorithm, algorithm)
    refuse_unknown([algorithm], names.values(), f"clustering_algorithm of class '{label}'")
    if said["dbscan_min_samples"] % 1:
        raise SettingsError(
            f"dbscan_min_samples of class '{label}' is a whole number for TAO",
            seen=f"{said['dbscan_min_samples']:g}",
            next_step="correct it; the Triton client's file takes any number, under classwise_clustering_config.",
        )
    clustering = Clustering(algorithm.lower())
    confidence = "nms_confidence_threshold" if clustering is Clustering.NMS else "dbscan_confidence_threshold"
    common: dict[str, Any] = {"clustering": clustering}
    if clustering is not Clustering.NMS:  # max(int(min_samples), 1) in TAO deploy
        common |= {"eps": said["dbscan_eps"], "min_samples": max(1.0, said["dbscan_min_samples"])}
    if clustering is not Clustering.DBSCAN:
        common["nms_iou"] = said["nms_iou_threshold"]
    return {"common": common, "own": _class(said, said[confidence])}


def _triton(label: str, fields: Message) -> dict[str, Any]:
    said = _numbers(label, fields, _TRITON_FIELDS)
    dbscan = _numbers(label, _part(fields, "dbscan_config"), _TRITON_DBSCAN)
    common = {
        "clustering": Clustering.DBSCAN,
        "eps": dbscan["dbscan_eps"],
        "min_samples": dbscan["dbscan_min_samples"],
    }
    return {"common": common, "own": _class(said, dbscan["dbscan_confidence_threshold"])}


def _class(said: Mapping[str, float], confidence: float) -> ClassSettings:
    return ClassSettings(
        said["coverage_threshold"],
        min_height=said["minimum_bounding_box_height"],
        min_confidence=confidence,
    )


def _of_classes(
    target: Target, read: Mapping[str, dict[str, Any]], labels: Sequence[str], name: str
) -> Imported:
    """Return settings of classes that are named one by one."""
    read = {label.strip().lower(): value for label, value in read.items()}
    wanted = [label.strip().lower() for label in labels]
    there = [label for label in wanted if label in read]
    if not there:
        raise SettingsError(
            f"The file names no class of the model ({', '.join(wanted)})",
            seen=", ".join(list(read)[:10]),
            next_step="give the model's classes: labels=(…).",
        )
    notes = [f"'{label}' is no class of the model." for label in read if label not in wanted]
    notes += [f"'{label}' is not named: there it is not looked for." for label in wanted if label not in read]
    first = read[there[0]]["common"]
    for label in there[1:]:
        for key, value in read[label]["common"].items():
            if value != first.get(key, value):
                notes.append(f"{key} of {label} is {value}: {there[0]}'s {first[key]} is taken for all.")
    own = {label: read[label]["own"] for label in there}
    settings = Settings(
        preset=name, flavour=Flavour.TAO, score=Score.SUM, default=own[there[0]], classes=own, **first
    )
    return Imported(target, settings, tuple(notes))


def _jetson(text: str, name: str) -> Imported:
    """Return the settings of a command line; the first one of ``detectnet`` in a script."""
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
    settings = Settings(
        preset=name,
        clustering=Clustering.NMS,
        nms_iou=round(clustering / (2 - clustering), 9),
        default=ClassSettings(confidence),
    )
    return Imported(Target.JETSON, settings, tuple(notes))


def _share(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SettingsError(
            f"--{key} must be a number from 0 to 1",
            seen=repr(text),
            next_step="write it as --confidence=0.5.",
        )
    return value
