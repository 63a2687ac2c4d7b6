"""DeepStream's nvinfer: its configuration as INI and as YAML.

Keys, defaults and what they do after ``gstnvinfer_property_parser.cpp`` and
``nvdsinfer_context_impl_output_parsing.cpp``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from peoplenet_nb.export.targets import NetworkFile
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Score, Settings

#: 1/255 as the sample of NVIDIA has it.
SCALE = 0.0039215697906911373
CLUSTER_MODES = {Clustering.DBSCAN: 1, Clustering.NMS: 2, Clustering.HYBRID: 3}
NOTES = (
    "Boxes are clipped at the last pixel (width - 1, height - 1) there and at the edge here: less than a pixel.",
    "topk counts before boxes are dropped by size there, after it here.",
    "A box must be above post-cluster-threshold there (NMS and hybrid), at or above min_confidence here.",
    "A DBSCAN cluster's confidence is the best coverage in it there. A least sum of coverages is "
    "dbscan-min-score, which keeps the same clusters.",
    "detected-min-w and -h are pixels of the buffer that nvinfer gets: where nvstreammux resizes, not of the source.",
    "Frames are resized by the GPU or VIC there, by OpenCV here: coverage differs in the second or third decimal.",
)

Groups = Mapping[str, Mapping[str, "str | int | float"]]


def nvinfer_groups(settings: Settings, network: NetworkFile) -> Groups:
    """Return the groups of a configuration with their keys and values."""
    width, height = network.size
    groups: dict[str, dict[str, str | int | float]] = {
        "property": {
            "gpu-id": 0,
            "net-scale-factor": SCALE,
            "onnx-file": network.path,
            "labelfile-path": "labels.txt",
            "infer-dims": f"3;{height};{width}",
            "batch-size": 1,
            "process-mode": 1,
            "model-color-format": 0,
            "network-mode": 2,
            "num-detected-classes": len(network.labels),
            "interval": 0,
            "gie-unique-id": 1,
            "output-blob-names": f"{network.boxes};{network.coverage}",
            "maintain-aspect-ratio": int(settings.fit is FitMode.LETTERBOX),
            "symmetric-padding": 0,
            "cluster-mode": CLUSTER_MODES[settings.clustering],
        },
        "class-attrs-all": _attributes(settings, settings.default),
    }
    for index, label in enumerate(network.labels):
        if (name := label.strip().lower()) in settings.classes:
            groups[f"class-attrs-{index}"] = _attributes(settings, settings.classes[name])
    return groups


def _attributes(settings: Settings, numbers: ClassSettings) -> dict[str, str | int | float]:
    sums = settings.clustering is Clustering.DBSCAN and settings.score is Score.SUM
    attributes: dict[str, str | int | float] = {
        "pre-cluster-threshold": numbers.threshold,
        "post-cluster-threshold": 0.0 if sums else numbers.min_confidence,
        "detected-min-w": int(numbers.min_width),
        "detected-min-h": int(numbers.min_height),
    }
    if settings.clustering is not Clustering.DBSCAN:
        attributes["nms-iou-threshold"] = settings.nms_iou
    if settings.clustering is not Clustering.NMS:
        attributes |= {"eps": settings.eps, "minBoxes": int(settings.min_samples)}
    if sums:  # of a cluster's coverages, in `nvdsinfer_dbscan.cpp`
        attributes["dbscan-min-score"] = numbers.min_confidence
    if settings.top_k is not None:  # a negative one is refused there, and 0 keeps none
        attributes["topk"] = settings.top_k
    return attributes


def to_ini(groups: Groups, comments: Sequence[str]) -> str:
    """Return groups as the INI file that nvinfer reads (GLib's key file)."""
    lines = [f"# {text}" for text in comments]
    for name, keys in groups.items():
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]
    return "\n".join([*lines, ""])


def to_yaml(groups: Groups, comments: Sequence[str]) -> str:
    """Return groups as the YAML file that nvinfer reads."""
    import yaml

    text = yaml.safe_dump(
        {k: dict(v) for k, v in groups.items()}, sort_keys=False, allow_unicode=True, width=10**6
    )
    return "".join(f"# {line}\n" for line in comments) + text
