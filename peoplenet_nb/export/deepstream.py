"""DeepStream's nvinfer: its configuration as INI and as YAML.

Keys, defaults and what they do after ``gstnvinfer_property_parser.cpp`` and
``nvdsinfer_context_impl_output_parsing.cpp``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from peoplenet_nb.export.targets import NetworkFile
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import Clustering, Settings

#: 1/255 as the sample of NVIDIA has it.
SCALE = 0.0039215697906911373
CLUSTER_MODES = {Clustering.DBSCAN: 1, Clustering.NMS: 2, Clustering.HYBRID: 3}
NOTES = """
| Boxes are clipped at the last pixel (width - 1, height - 1) there and at the edge here: less than a pixel.
top_k | topk counts before boxes are dropped by size or region there, after it here.
nms hybrid | A box must be above post-cluster-threshold there, at or above min_confidence here.
dbscan | A cluster's confidence is the best coverage in it there; a least sum of them is dbscan-min-score.
sizes | Sizes and regions are pixels of the buffer that nvinfer gets: where nvstreammux resizes, not the source's.
region | Boxes that reach into the padding are dropped there, unless no class has a region of the frame.
| Frames are resized by the GPU or VIC there, by OpenCV here: coverage differs in the second or third decimal.
"""
#: A class's keys with what they are where a file does not say them.
CLASS_DEFAULTS = dict.fromkeys(
    re.findall(
        r"\S+",
        "post-cluster-threshold eps group-threshold minBoxes dbscan-min-score roi-top-offset roi-bottom-offset "
        "detected-min-w detected-min-h detected-max-w detected-max-h",
    ),
    0.0,
) | {"pre-cluster-threshold": 0.2, "nms-iou-threshold": 0.3, "topk": -1.0}
COLOURS = ("border-color", "bg-color")
LEGACY = "threshold"  # pre-cluster-threshold of before; the YAML reader of nvinfer does not know it
#: Of [property]: what says nothing of which boxes there are.
NEUTRAL = frozenset(
    re.findall(
        r"\S+",
        """gpu-id labelfile-path gie-unique-id batch-size network-mode model-engine-file int8-calib-file workspace-size
    output-blob-names force-implicit-batch-dim infer-dims output-io-formats layer-device-precision
    scaling-filter scaling-compute-hw onnx-file model-file proto-file uff-file uff-input-order input-dims
    uff-input-dims uff-input-blob-name tlt-encoded-model tlt-model-key output-tensor-meta
    disable-output-host-copy auto-inc-mem max-gpu-mem-per enable-dla use-dla-core dump-input-tensor
    dump-output-tensor overwrite-input-tensor overwrite-output-tensor ip-tensor-file op-tensor-files
    raw-output-file-write tensor-meta-pool-size network-input-order custom-network-config strongly-typed
    warmup-engine stabilize-buffer-count secondary-reinfer-interval input-object-min-width
    input-object-min-height input-object-max-width input-object-max-height operate-on-gie-id
    operate-on-class-ids classifier-type classifier-threshold classifier-async-mode segmentation-threshold
    segmentation-output-order engine-create-func-name parse-classifier-func-name parse-segmentation-func-name
    dynamic-properties is-classifier network-type num-detected-classes cluster-mode enable-dbscan
    net-scale-factor model-color-format maintain-aspect-ratio symmetric-padding crop-objects-to-roi-boundary""",
    )
)
#: What it does to the boxes cannot be held in settings; with the value that does nothing.
NAMED = {
    "offsets": "0",
    "mean-file": "",
    "interval": "0",
    "process-mode": "1",
    "filter-out-class-ids": "",
    "custom-lib-path": "",
    "parse-bbox-func-name": "",
    "parse-bbox-instance-mask-func-name": "",
    "output-instance-mask": "0",
    "input-tensor-from-meta": "0",
}

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
            "crop-objects-to-roi-boundary": int(crops(settings)),
            "cluster-mode": CLUSTER_MODES[settings.clustering],
        },
    }
    each = (settings.default, *settings.classes.values())
    pixels = {
        key: name for key, name in PIXELS.items() if "min" in key or any(getattr(v, name) for v in each)
    }
    groups["class-attrs-all"] = _attributes(settings, "", pixels)
    # No class can say "all" where a number is said for all classes: then each says its own.
    limited = {settings.own(label, "top_k") for label in ("", *network.labels)}
    if len(limited) > 1:
        groups["class-attrs-all"].pop("topk", None)
    for index, label in enumerate(network.labels):
        if label.strip().lower() in settings.classes or len(limited) > 1:
            groups[f"class-attrs-{index}"] = _attributes(settings, label, pixels)
    return groups


def crops(settings: Settings) -> bool:
    """Return whether nvinfer is told to crop boxes to the frame: else it drops those that reach into the padding."""
    each = (settings.default, *settings.classes.values())
    return settings.fit is FitMode.LETTERBOX and not any(v.roi_top or v.roi_bottom for v in each)


#: Keys of a class's pixels, which are whole there.
PIXELS = {
    "detected-min-w": "min_width",
    "detected-min-h": "min_height",
    "detected-max-w": "max_width",
    "detected-max-h": "max_height",
    "roi-top-offset": "roi_top",
    "roi-bottom-offset": "roi_bottom",
}


def _attributes(settings: Settings, label: str, pixels: Mapping[str, str]) -> dict[str, str | int | float]:
    """Return what a class says, or all of them: with the empty label, which no class has."""
    numbers = settings.for_class(label)
    attributes: dict[str, str | int | float] = {
        "pre-cluster-threshold": numbers.threshold,
        "post-cluster-threshold": numbers.min_confidence,
        **{key: int(getattr(numbers, name)) for key, name in pixels.items()},
    }
    if settings.clustering is not Clustering.DBSCAN:
        attributes["nms-iou-threshold"] = settings.own(label, "nms_iou")
    if settings.clustering is not Clustering.NMS:
        attributes |= {"eps": settings.own(label, "eps"), "minBoxes": int(settings.own(label, "min_samples"))}
    if settings.clustering is Clustering.DBSCAN:  # of a cluster's coverages, in `nvdsinfer_dbscan.cpp`
        attributes["dbscan-min-score"] = numbers.min_sum
    if (
        most := settings.own(label, "top_k")
    ) is not None:  # a negative one is refused there, and 0 keeps none
        attributes["topk"] = most
    return attributes


def ini_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return nvinfer's configuration as INI (GLib's key file)."""
    lines = [f"# {text}" for text in comments]
    for name, keys in nvinfer_groups(settings, network).items():
        lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in keys.items())]
    return {"config_infer_primary_peoplenet.txt": "\n".join([*lines, ""])}


def yaml_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return nvinfer's configuration as YAML."""
    return {"config_infer_primary_peoplenet.yml": to_yaml(nvinfer_groups(settings, network), comments)}


def to_yaml(data: Mapping[str, Any], comments: Sequence[str]) -> str:
    """Return tables as YAML with comments above them."""
    import yaml

    text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True, width=10**6)
    return "".join(f"# {line}\n" for line in comments) + text
