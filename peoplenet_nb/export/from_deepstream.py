"""DeepStream's nvinfer configuration, INI or YAML, as settings: what the program really does with its keys.

Defaults, the order in which groups override each other and what each cluster mode does are those of
``gstnvinfer_property_parser.cpp`` and ``nvdsinfer_context_impl_output_parsing.cpp``, a DBSCAN's numbers those of
``nvdsinfer_dbscan.cpp``. A key that is not known is an error, where nvinfer would only print a line and go on.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from typing import Any

from peoplenet_nb.errors import SettingsError, refuse_unknown
from peoplenet_nb.export.deepstream import CLASS_DEFAULTS, COLOURS, LEGACY, NAMED, NEUTRAL, PIXELS, SCALE
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Flavour, Settings

Groups = Mapping[str, Mapping[str, str]]


def ini_groups(text: str) -> Groups:
    """Return the groups of GLib's key file; a `ValueError` when it is none."""
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#",), default_section="\0"
    )
    parser.optionxform = str  # type: ignore[assignment]
    try:  # a key may be indented there, and is no continuation
        parser.read_string("\n".join(line.strip() for line in text.splitlines()))
    except configparser.Error as error:
        raise ValueError(" ".join(str(error).split())) from error
    return {name: dict(parser[name]) for name in parser.sections()}


def yaml_groups(data: Mapping[str, Any]) -> Groups:
    """Return the groups of nvinfer's YAML; a `ValueError` when one is no table of keys and values."""
    groups: dict[str, dict[str, str]] = {}
    for name, keys in data.items():
        if not isinstance(keys, Mapping):
            raise ValueError(f"{name} is no group of keys")  # noqa: TRY004 - of a file
        groups[str(name)] = {str(key): _text(f"{key} of {name}", value) for key, value in keys.items()}
    return groups


def _text(what: str, value: object) -> str:
    if isinstance(value, dict | list):
        raise ValueError(f"{what} is neither a number nor a text")  # noqa: TRY004 - of a file
    return "" if value is None else str(int(value) if isinstance(value, bool) else value)


_OF_APP = {"application", "primary-gie", "source0", "streammux", "tiled-display"}


class _Reader:
    """Reads groups; collects what cannot be held."""

    def __init__(self, groups: Groups, labels: Sequence[str], yaml: bool) -> None:
        self.groups, self.yaml, self.notes = groups, yaml, list[str]()
        self.labels = [label.strip().lower() for label in labels]

    def number(self, group: str, key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < 1e9:
            what = f"'{key}' of [{group}] must be a number of at least 0"
            raise SettingsError(what, seen=repr(text), next_step="correct it; DeepStream refuses it too.")
        return value

    def whole(self, key: str) -> int:
        """Return a whole number of ``[property]``, 0 where it is not said."""
        text = self.groups.get("property", {}).get(key, "0")
        if (number := self.number("property", key, text)) % 1:
            raise SettingsError(f"'{key}' must be a whole number", seen=text, next_step="correct it.")
        return int(number)

    def attributes(self, group: str) -> dict[str, float]:
        """Return what a group says of its class."""
        known = [*CLASS_DEFAULTS, *COLOURS, LEGACY]
        keys = self.groups.get(group, {})
        refuse_unknown(keys, known, f"key in [{group}]", "a class has")
        if LEGACY in keys and self.yaml:
            self.notes.append(f"threshold of {group}: nvinfer does not know it in YAML and leaves it out.")
        read = {k: self.number(group, k, v) for k, v in keys.items() if k not in COLOURS}
        legacy = read.pop(LEGACY, None)
        if legacy is not None and not self.yaml:
            read.setdefault("pre-cluster-threshold", legacy)
        if read.get("topk") == 0:
            what = f"'topk' of [{group}] is 0, which keeps no box at all"
            raise SettingsError(what, seen="topk=0", next_step="leave it out to keep all.")
        return read


def from_nvinfer(
    groups: Groups, labels: Sequence[str], name: str, *, yaml: bool
) -> tuple[Settings, list[str]]:
    """Return the settings that nvinfer runs with, named so, and what cannot be held in settings.

    Raises
    ------
    SettingsError
        For a key or group that is not known, a value that nvinfer refuses, symmetric padding and no detector.
    """
    reader = _Reader(groups, labels, yaml)
    fit, mode = _property(reader)
    common = {**CLASS_DEFAULTS, **reader.attributes("class-attrs-all")}
    own = {group: match[1] for group in groups if (match := re.fullmatch(r"class-attrs-(\d+)", group))}
    rows = dict.fromkeys(reader.labels, common)
    named = []
    for group, number in own.items():
        row = {**common, **reader.attributes(group)}
        if int(number) < len(reader.labels):
            named.append(reader.labels[int(number)])
            rows[named[-1]] = row
        else:
            reader.notes.append(f"[{group}]: the model has {len(reader.labels)} classes.")
    clustering, keys = _clustering(reader, rows, mode)
    _note_edges(reader, rows, fit)
    shared = {field: _number(common, field) for field in keys}
    if mode == 0:
        shared = {"nms_iou": 0.5, "top_k": 20}
    elif clustering is Clustering.NMS and "nms_iou" not in keys:
        shared["nms_iou"] = 1.0  # nothing is above an IoU of 1

    def numbers(row: Mapping[str, float]) -> ClassSettings:
        own: dict[str, Any] = {field: row[key] for key, field in PIXELS.items()}
        for field in keys:
            value = _number(row, field)
            own[field] = None if value == shared[field] else value
        return ClassSettings(
            row["pre-cluster-threshold"],
            min_confidence=0.0 if mode == 4 else row["post-cluster-threshold"],
            min_sum=row["dbscan-min-score"],
            **own,
        )

    settings = Settings(
        preset=name,
        fit=fit,
        flavour=Flavour.DEEPSTREAM,
        clustering=clustering,
        default=numbers(common),
        classes={label: numbers(rows[label]) for label in reader.labels if label in named},
        **shared,
    )
    return settings, reader.notes


_KEYS = {"nms_iou": "nms-iou-threshold", "eps": "eps", "min_samples": "minBoxes", "top_k": "topk"}


def _number(row: Mapping[str, float], field: str) -> Any:
    """Return a number of the clustering as settings have it."""
    value = row[_KEYS[field]]
    return value if field != "top_k" else None if value < 0 else int(value)


def _property(reader: _Reader) -> tuple[FitMode, int]:
    """Return the preprocessing and the cluster mode that ``[property]`` says."""
    groups, keys = reader.groups, reader.groups.get("property", {})
    if not _OF_APP.isdisjoint(groups):
        raise SettingsError(
            "This is the configuration of deepstream-app, not of nvinfer",
            seen=", ".join(list(groups)[:5]),
            next_step="read the file that its [primary-gie] names under config-file.",
        )
    classes = [group for group in groups if re.fullmatch(r"class-attrs-(all|\d{1,4})", group)]
    refuse_unknown(groups, ["property", *classes, "class-attrs-all", "class-attrs-0"], "group", "nvinfer has")
    refuse_unknown(keys, sorted(NEUTRAL | NAMED.keys()), "key in [property]")
    if reader.whole("network-type") or reader.whole("is-classifier"):
        seen = f"network-type={keys.get('network-type', keys.get('is-classifier'))}"
        what = "This configuration is not of a detector"
        raise SettingsError(what, seen=seen, next_step="read the one of PeopleNet.")
    letterbox = reader.whole("maintain-aspect-ratio")
    if letterbox and reader.whole("symmetric-padding"):
        raise padded_on_both_sides("symmetric-padding=1", "symmetric-padding=0")
    scale = reader.number("property", "net-scale-factor", keys.get("net-scale-factor", "1"))
    count, notes = reader.whole("num-detected-classes"), reader.notes
    if scale and abs(scale - SCALE) >= 1e-5:
        notes.append(f"net-scale-factor is {scale:g}, not 1/255: the network sees other pixels there.")
    if reader.whole("model-color-format"):
        notes.append("model-color-format is not 0 (RGB): the network sees other colours there.")
    if count and count != len(reader.labels):
        notes.append(f"num-detected-classes is {count}, and the model has {len(reader.labels)} classes.")
    for key, neutral in NAMED.items():
        if keys.get(key, neutral).strip(" ;") not in (neutral, "0;0;0", "0.0;0.0;0.0"):
            notes.append(f"{key}={keys[key]} cannot be held.")
    if "cluster-mode" in keys:
        mode = reader.whole("cluster-mode")
    elif "enable-dbscan" in keys and not reader.yaml:
        mode = int(reader.whole("enable-dbscan") != 0)
    else:
        mode = 0
        notes.append("cluster-mode is not said: it is taken for 0.")
    if mode > 4:
        what = "cluster-mode must be 0, 1, 2, 3 or 4"
        raise SettingsError(what, seen=f"cluster-mode={mode}", next_step="correct it.")
    return FitMode.LETTERBOX if letterbox else FitMode.STRETCH, mode


def padded_on_both_sides(seen: str, right: str) -> SettingsError:
    """Return the error of padding that is not at the right and bottom alone."""
    what = (
        "Frames are padded on both sides there, and at the right and bottom here: thresholds and boxes differ"
    )
    return SettingsError(what, seen=seen, next_step=f"set {right} in both, and choose thresholds for that.")


def _note_edges(reader: _Reader, rows: Mapping[str, Mapping[str, float]], fit: FitMode) -> None:
    """Note where boxes at the edge of the frame or a region are others than here."""
    crops = reader.groups.get("property", {}).get("crop-objects-to-roi-boundary", "0") != "0"
    region = any(row["roi-top-offset"] or row["roi-bottom-offset"] for row in rows.values())
    if crops and region:
        reader.notes.append(
            "crop-objects-to-roi-boundary crops boxes there that are dropped at the region here."
        )
    if fit is FitMode.LETTERBOX and not crops:
        what = "Boxes that reach into the padding are dropped there, and cropped to the frame here"
        reader.notes.append(
            f"{what}." if region else f"{what}: crop-objects-to-roi-boundary=1 crops them there."
        )


def _clustering(
    reader: _Reader, rows: Mapping[str, Mapping[str, float]], mode: int
) -> tuple[Clustering, tuple[str, ...]]:
    """Return how boxes are clustered and by which numbers; note what else is said and cannot be held."""
    notes = reader.notes

    def any_has(key: str) -> bool:
        return any(row[key] for row in rows.values())

    if mode == 0:
        notes.append("cluster-mode 0 is NMS with topk=20 and IoU 0.5 there, whatever the file says.")
        if any_has("group-threshold"):
            notes.append("group-threshold counts where nvinfer was built with OpenCV, which is not held.")
        return Clustering.NMS, ()
    if mode == 4:
        if any_has("post-cluster-threshold"):
            notes.append("post-cluster-threshold does nothing in cluster-mode 4.")
        return Clustering.NMS, ("top_k",)
    if mode == 2:
        return Clustering.NMS, ("nms_iou", "top_k")
    if mode == 3:
        if any_has("dbscan-min-score"):
            notes.append("dbscan-min-score does nothing in cluster-mode 3.")
        return Clustering.HYBRID, tuple(_KEYS)
    if skipped := [label for label, row in rows.items() if row["minBoxes"] < 1]:
        what = f"minBoxes is 0 for {', '.join(skipped)}: DBSCAN is skipped there, and every box stays"
        if len(skipped) == len(rows):
            notes.append(f"{what}.")
            return Clustering.NMS, ("top_k",)
        notes.append(f"{what}, which cannot be held beside classes that are clustered.")
    return Clustering.DBSCAN, ("eps", "min_samples", "top_k")
