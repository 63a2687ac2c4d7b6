"""What the other programs can say: the table of their abilities.

A target either takes settings as they are, or the export is refused with the nearest settings that it can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from peoplenet_nb.settings import PEOPLENET_LABELS, ClassSettings, Clustering, Flavour, Score


class Target(StrEnum):
    """A program that settings can be written for."""

    DEEPSTREAM = "deepstream"
    DEEPSTREAM_YAML = "deepstream-yaml"
    NVINFERSERVER = "nvinferserver"
    SAVANT = "savant"
    TAO = "tao"
    TRITON = "triton"
    JETSON = "jetson"
    ISAAC = "isaac"


@dataclass(frozen=True, slots=True)
class Ability:
    """What a target can say; numbers are fields of `ClassSettings`."""

    clusterings: tuple[Clustering, ...]  # the first is taken where the settings ask for another
    own: frozenset[str]  # numbers that each class can have for its own
    common: frozenset[str] = frozenset()  # those that are one for all classes there
    flavour: Flavour = Flavour.DEEPSTREAM
    score: Score = Score.MAX
    letterbox: bool = False  # whether it can keep the aspect, padded at the bottom and right
    whole_samples: bool = True  # whether ``min_samples`` of TAO's DBSCAN is a whole number there


_NMS, _DBSCAN, _HYBRID = Clustering.NMS, Clustering.DBSCAN, Clustering.HYBRID
_SIZES = {"min_width", "min_height", "max_width", "max_height"}
_NVINFER = Ability(
    (_NMS, _DBSCAN, _HYBRID), frozenset(field.name for field in fields(ClassSettings)), letterbox=True
)
_TAO = frozenset({"threshold", "min_height", "min_confidence", "eps", "min_samples", "nms_iou"})
ABILITIES: Mapping[Target, Ability] = {
    Target.DEEPSTREAM: _NVINFER,
    Target.DEEPSTREAM_YAML: _NVINFER,
    Target.NVINFERSERVER: Ability(
        (_NMS, _DBSCAN),
        frozenset({"threshold", "roi_top", "roi_bottom", *_SIZES}),
        frozenset({"nms_iou", "top_k", "eps", "min_samples", "min_sum"}),
        letterbox=True,
    ),
    Target.SAVANT: Ability((_NMS,), frozenset({"threshold", "nms_iou", "top_k", *_SIZES}), letterbox=True),
    Target.TAO: Ability((_DBSCAN, _NMS, _HYBRID), _TAO, flavour=Flavour.TAO, score=Score.SUM),
    Target.TRITON: Ability((_DBSCAN,), _TAO, flavour=Flavour.TAO, score=Score.SUM, whole_samples=False),
    Target.JETSON: Ability((_NMS,), frozenset(), frozenset({"threshold", "nms_iou"})),
    Target.ISAAC: Ability((_DBSCAN,), frozenset(), frozenset({"threshold", "eps", "min_samples", "min_sum"})),
}


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What the files say of the model."""

    path: str = "resnet34_peoplenet_int8.onnx"  # relative ones start at the written file
    labels: tuple[str, ...] = PEOPLENET_LABELS
    size: tuple[int, int] = (960, 544)  # width and height of its input in pixels
    stride: int = 16  # network pixels per cell
    input: str = "input_1:0"  # this and the next two are names of tensors
    coverage: str = "output_cov/Sigmoid:0"
    boxes: str = "output_bbox/BiasAdd:0"
