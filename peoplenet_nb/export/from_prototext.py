"""Settings from Protocol Buffers' text format: TAO's specifications, the Triton client's clustering, nvinferserver."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.export.from_deepstream import padded_on_both_sides
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
BOX_SIZES = ("min_width", "min_height", "max_width", "max_height")
_FILTER = ("bbox_filter", "roi_top_offset", "roi_bottom_offset", "border_color", "bg_color")


def of_message(fields: Message, labels: Sequence[str], name: str) -> Read:
    """Return the settings of a file of TAO, the Triton client or nvinferserver.

    A field that is not known is a `SettingsError`, a value that is not what its field takes a `ValueError`.
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
    plain = [(k, v) for k, v in fields if isinstance(v, str) and k != "clustering_algorithm"]
    return dict.fromkeys(known, 0.0) | {key: number(f"{key} of {label}", value) for key, value in plain}


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
    shared = {"eps": dbscan["dbscan_eps"], "min_samples": dbscan["dbscan_min_samples"]}
    numbers = _class(said, dbscan["dbscan_confidence_threshold"])
    return {"clustering": Clustering.DBSCAN, **shared}, numbers


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
            numbers = replace(numbers, **differs)
        own[label] = numbers
    return target, Settings(preset=name, default=own[there[0]], classes=own, **shared, **more), notes


def _nvinferserver(fields: Message, infer: Message, labels: Sequence[str], name: str) -> Read:
    """Return what nvinferserver runs with; what says nothing of which boxes there are is passed over."""
    notes: list[str] = []
    preprocess = part(infer, "preprocess")
    normal = dict(part(preprocess, "normalize"))
    if number("symmetric_padding", dict(preprocess).get("symmetric_padding", _ZERO)):
        raise padded_on_both_sides("symmetric_padding: 1", "symmetric_padding: 0")
    if abs(number("scale_factor", normal.get("scale_factor", _ZERO)) - 1 / 255) > 1e-5:
        notes.append("scale_factor is not 1/255: the network sees other pixels there.")
    letterbox = number("maintain_aspect_ratio", dict(preprocess).get("maintain_aspect_ratio", _ZERO))
    if str(dict(preprocess).get("network_format", "IMAGE_FORMAT_RGB")) not in ("IMAGE_FORMAT_RGB", "1"):
        notes.append("network_format is not IMAGE_FORMAT_RGB: the network sees other colours there.")
    if "mean_file" in normal or any(
        number(key, value) for key, value in part(preprocess, "normalize") if key == "channel_offsets"
    ):
        notes.append("channel_offsets and mean_file cannot be held: the network sees other pixels there.")
    if number("interval", dict(part(fields, "input_control")).get("interval", _ZERO)):
        notes.append("interval cannot be held: boxes of the frames between are the tracker's there.")
    detection = part(part(infer, "postprocess"), "detection")
    policies = ("nms", "dbscan", "group_rectangle", "simple_cluster")
    other = ("num_detected_classes", "per_class_params", "custom_parse_bbox_func")
    refuse_unknown(dict(detection), [*other, *policies], "field of detection")
    policy = next((key for key, _ in detection if key in policies), "none")
    if policy == "nms":
        said = _numbers(policy, part(detection, policy), ("confidence_threshold", "iou_threshold", "topk"))
        low, least = said["confidence_threshold"], 0.0
        shared: dict[str, Any] = {"nms_iou": said["iou_threshold"], "top_k": int(said["topk"]) or None}
    elif policy == "dbscan":
        said = _numbers(policy, part(detection, policy), ("pre_threshold", "eps", "min_boxes", "min_score"))
        low, least = said["pre_threshold"], said["min_score"]
        shared = {"eps": said["eps"], "min_samples": said["min_boxes"]}
    else:
        what = "Only nms and dbscan of nvinferserver can be held"
        raise SettingsError(what, seen=policy, next_step="name one of them.")
    params = _entries(detection, "per_class_params")
    control = part(part(fields, "output_control"), "detect_control")
    filters = _entries(control, "specific_class_filters")

    def numbers(key: str) -> ClassSettings:
        limits = filters.get(key, part(control, "default_filter"))
        region = _numbers("a filter", [item for item in limits if isinstance(item[1], str)], _FILTER)
        refuse_unknown(dict(limits), _FILTER, "field of a filter")
        own: dict[str, Any] = _numbers("bbox_filter", part(limits, "bbox_filter"), BOX_SIZES)
        own |= {"roi_top": region["roi_top_offset"], "roi_bottom": region["roi_bottom_offset"]}
        mine = _numbers("per_class_params", params[key], ("pre_threshold",)) if key in params else {}
        return ClassSettings(mine.get("pre_threshold", low), min_sum=least, **own)

    classes, default = {label.strip().lower(): numbers(str(c)) for c, label in enumerate(labels)}, numbers("")
    settings = Settings(
        preset=name,
        fit=FitMode.LETTERBOX if letterbox else FitMode.STRETCH,
        clustering=Clustering(policy),
        flavour=Flavour.DEEPSTREAM,
        default=default,
        classes={label: value for label, value in classes.items() if value != default},
        **shared,
    )
    return Target.NVINFERSERVER, settings, notes
