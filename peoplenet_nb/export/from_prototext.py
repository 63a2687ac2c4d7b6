"""Settings from Protocol Buffers' text format: TAO's specifications, the Triton client's clustering, nvinferserver."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.export.prototext import Message, Word, number
from peoplenet_nb.export.targets import Target
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Flavour, Score, Settings

#: The program, what it runs with, and what cannot be held.
Read = tuple[Target, Settings, list[str]]
_TAO_FIELDS = re.findall(
    r"\S+",
    "coverage_threshold minimum_bounding_box_height clustering_algorithm dbscan_eps dbscan_min_samples "
    "neighborhood_size dbscan_confidence_threshold nms_iou_threshold nms_confidence_threshold",
)
_TRITON_FIELDS = ("coverage_threshold", "minimum_bounding_box_height", "dbscan_config", "bbox_color")
_TRITON_DBSCAN = ("dbscan_eps", "dbscan_min_samples", "neighborhood_size", "dbscan_confidence_threshold")
_ZERO = Word("0")
_BOX = ("min_width", "min_height", "max_width", "max_height")
_FILTER = ("bbox_filter", "roi_top_offset", "roi_bottom_offset", "border_color", "bg_color")


def of_message(fields: Message, labels: Sequence[str], name: str) -> Read:
    """Return the settings of a file of TAO, the Triton client or nvinferserver.

    Raises
    ------
    ValueError
        When it is of none of them, or a value is not what its field takes.
    SettingsError
        For a field that is not known.
    """
    if infer := part(fields, "infer_config"):
        return _nvinferserver(fields, infer, labels, name)
    if triton := _entries(fields, "classwise_clustering_config"):
        refuse_unknown(dict(fields), ["classwise_clustering_config", "linewidth", "stride"], "field")
        return of_classes(Target.TRITON, {k: _triton(k, v) for k, v in triton.items()}, labels, name, _SUMMED)
    inner = part(fields, "bbox_handler_config") or part(fields, "postprocessing_config") or fields
    handlers = _entries(inner, "classwise_bbox_handler_config") or _entries(inner, "target_class_config")
    messages = {label: part(value, "clustering_config") for label, value in handlers.items()}
    if not messages:
        raise ValueError("it names no class")
    return of_classes(Target.TAO, {k: _tao(k, v) for k, v in messages.items()}, labels, name, _SUMMED)


_SUMMED = {"flavour": Flavour.TAO, "score": Score.SUM}


def part(fields: Iterable[tuple[str, Any]], name: str) -> Message:
    """Return a message in a message, empty where it is not there."""
    return next((value for key, value in fields if key == name and not isinstance(value, str)), ())


def _entries(fields: Message, name: str) -> dict[str, Message]:
    """Return a map's messages by key."""
    entries = {}
    for entry in (value for key, value in fields if key == name):
        if isinstance(entry, str):
            raise ValueError(f"{name} is no message")  # noqa: TRY004 - of a file
        refuse_unknown(dict(entry), ["key", "value"], f"field of {name}")
        entries[str(dict(entry).get("key", ""))] = part(entry, "value")
    return entries


def _numbers(label: str, fields: Message, known: Sequence[str]) -> dict[str, float]:
    """Return the numbers of a message; what is left out is 0, as Protocol Buffers have it."""
    refuse_unknown(dict(fields), known, f"field of {label}")
    plain = {k: v for k, v in fields if isinstance(v, str) and k != "clustering_algorithm"}
    return dict.fromkeys(known, 0.0) | {
        key: number(f"{key} of {label}", value) for key, value in plain.items()
    }


def _tao(label: str, fields: Message) -> tuple[dict[str, Any], ClassSettings]:
    said = _numbers(label, fields, _TAO_FIELDS)
    algorithm = str(dict(fields).get("clustering_algorithm", "DBSCAN"))
    names = {str(index): kind for index, kind in enumerate(("DBSCAN", "NMS", "HYBRID"))}
    algorithm = names.get(algorithm, algorithm)
    refuse_unknown([algorithm], names.values(), f"clustering_algorithm of {label}")
    if said["dbscan_min_samples"] % 1:
        raise SettingsError(
            f"dbscan_min_samples of {label} is a whole number for TAO",
            seen=f"{said['dbscan_min_samples']:g}",
            next_step="correct it; the Triton client's file takes any number, under classwise_clustering_config.",
        )
    clustering = Clustering(algorithm.lower())
    confidence = "nms_confidence_threshold" if clustering is Clustering.NMS else "dbscan_confidence_threshold"
    shared: dict[str, Any] = {"clustering": clustering}
    if clustering is not Clustering.NMS:  # max(int(min_samples), 1) in TAO deploy
        shared |= {"eps": said["dbscan_eps"], "min_samples": max(1.0, said["dbscan_min_samples"])}
    if clustering is not Clustering.DBSCAN:
        shared["nms_iou"] = said["nms_iou_threshold"]
    return shared, _class(said, said[confidence])


def _triton(label: str, fields: Message) -> tuple[dict[str, Any], ClassSettings]:
    said = _numbers(label, fields, _TRITON_FIELDS)
    dbscan = _numbers(label, part(fields, "dbscan_config"), _TRITON_DBSCAN)
    shared = {
        "clustering": Clustering.DBSCAN,
        "eps": dbscan["dbscan_eps"],
        "min_samples": dbscan["dbscan_min_samples"],
    }
    return shared, _class(said, dbscan["dbscan_confidence_threshold"])


def _class(said: Mapping[str, float], confidence: float) -> ClassSettings:
    height = said["minimum_bounding_box_height"]
    return ClassSettings(said["coverage_threshold"], min_height=height, min_confidence=confidence)


def of_classes(
    target: Target,
    read: Mapping[str, tuple[dict[str, Any], ClassSettings]],
    labels: Sequence[str],
    name: str,
    more: Mapping[str, Any],
) -> Read:
    """Return settings of classes that are named one by one, each with its clustering and its own numbers."""
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
    shared = dict(read[there[0]][0])
    if any(read[label][0].get("top_k", 0) is None for label in there):
        shared["top_k"] = None  # no class can say "all" beside it
    own = {}
    for label in there:
        values, numbers = read[label]
        if values["clustering"] is not shared["clustering"]:
            notes.append(
                f"clustering of {label} is {values['clustering']}: {shared['clustering']} is taken for all."
            )
        else:
            differs = {k: v for k, v in values.items() if v != shared[k]}
            numbers = ClassSettings(**{**_as_dict(numbers), **differs})
        own[label] = numbers
    return target, Settings(preset=name, default=own[there[0]], classes=own, **shared, **more), notes


def _as_dict(numbers: ClassSettings) -> dict[str, Any]:
    return {name: getattr(numbers, name) for name in numbers.__slots__}


def _nvinferserver(fields: Message, infer: Message, labels: Sequence[str], name: str) -> Read:
    """Return what nvinferserver runs with; what says nothing of which boxes there are is passed over."""
    notes: list[str] = []
    preprocess = part(infer, "preprocess")
    normal = dict(part(preprocess, "normalize"))
    if number("symmetric_padding", dict(preprocess).get("symmetric_padding", _ZERO)):
        raise SettingsError(
            "Frames are padded on both sides there, and at the right and bottom here: thresholds and boxes differ",
            seen="symmetric_padding: 1",
            next_step="set it to 0 in both, and choose thresholds for that.",
        )
    if abs(number("scale_factor", normal.get("scale_factor", _ZERO)) - 1 / 255) > 1e-5:
        notes.append("scale_factor is not 1/255: the network sees other pixels there.")
    letterbox = number("maintain_aspect_ratio", dict(preprocess).get("maintain_aspect_ratio", _ZERO))
    if number("interval", dict(part(fields, "input_control")).get("interval", _ZERO)):
        notes.append("interval cannot be held: boxes of the frames between are the tracker's there.")
    detection = part(part(infer, "postprocess"), "detection")
    policies = ("nms", "dbscan", "group_rectangle", "simple_cluster")
    refuse_unknown(
        dict(detection),
        ["num_detected_classes", "per_class_params", "custom_parse_bbox_func", *policies],
        "field of detection",
    )
    policy = next((key for key, _ in detection if key in policies), "")
    if policy not in ("nms", "dbscan"):
        raise SettingsError(
            "Only nms and dbscan of nvinferserver can be held",
            seen=policy or "none",
            next_step="name one of them.",
        )
    known = {
        "nms": ("confidence_threshold", "iou_threshold", "topk"),
        "dbscan": ("pre_threshold", "eps", "min_boxes", "min_score"),
    }
    said = _numbers(policy, part(detection, policy), known[policy])
    shared: dict[str, Any] = {"nms_iou": said.get("iou_threshold"), "top_k": int(said.get("topk", 0)) or None}
    if policy == "dbscan":
        shared = {"eps": said["eps"], "min_samples": said["min_boxes"]}
    low, least = (
        (said["confidence_threshold"], 0.0) if policy == "nms" else (said["pre_threshold"], said["min_score"])
    )
    params = _entries(detection, "per_class_params")
    control = part(part(fields, "output_control"), "detect_control")
    filters = _entries(control, "specific_class_filters")

    def numbers(key: str) -> ClassSettings:
        limits = filters.get(key, part(control, "default_filter"))
        region = _numbers("a filter", [item for item in limits if isinstance(item[1], str)], _FILTER)
        refuse_unknown(dict(limits), _FILTER, "field of a filter")
        box: dict[str, Any] = _numbers("bbox_filter", part(limits, "bbox_filter"), _BOX)
        own: dict[str, Any] = (
            _numbers("per_class_params", params[key], ("pre_threshold",)) if key in params else {}
        )
        regions: dict[str, Any] = {
            "roi_top": region["roi_top_offset"],
            "roi_bottom": region["roi_bottom_offset"],
        }
        return ClassSettings(own.get("pre_threshold", low), min_sum=least, **box, **regions)

    classes = {label.strip().lower(): numbers(str(c)) for c, label in enumerate(labels)}
    fit = FitMode.LETTERBOX if letterbox else FitMode.STRETCH
    settings = Settings(
        preset=name,
        fit=fit,
        clustering=Clustering(policy),
        flavour=Flavour.DEEPSTREAM,
        default=numbers(""),
        classes={label: value for label, value in classes.items() if value != numbers("")},
        **shared,
    )
    return Target.NVINFERSERVER, settings, notes
