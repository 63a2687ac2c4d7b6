"""Savant's module, Isaac ROS's parameters, jetson-inference's command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from peoplenet_nb.export.deepstream import SCALE, to_yaml
from peoplenet_nb.export.targets import NetworkFile
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import Settings

SAVANT_NOTES = """
| Boxes are clipped at the last pixel (width - 1, height - 1) there and at the edge here: less than a pixel.
top_k | top_k counts before boxes are dropped by size there, after it here.
| Every class is named, because one that is not gets a threshold of 1e10 there.
| min_width and min_height are written even where they are 0: left out they are 32.
"""
ISAAC_NOTES = """
| Its decoder reads a class's box from channel class on, not 4 x class: only the boxes of the first class are right.
| It clusters all classes together, and numbers classes by the first cells: set label_list for one class alone.
| bounding_box_offset is half a pixel over the stride: its own defaults (0.0, 0.5) move boxes by 0.5 and 7.5 pixels.
| Nothing is clipped there. Boxes are pixels of the network's input.
| model_repository_paths is the folder of Triton's models there: name yours.
"""
JETSON_NOTES = """
| Its clustering is no NMS: overlapping boxes become the box around them, which is larger.
| --clustering is the share of the larger box that two have in common: 2 x IoU / (1 + IoU) for boxes of one size.
| Boxes are clipped at the last pixel (width - 1, height - 1) there and at the edge here: less than a pixel.
| A .onnx is taken for an SSD there, with another preprocessing: build the engine first. It needs a fixed batch.
"""


def savant_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return a module with one element."""
    path = PurePosixPath(network.path)
    width, height = network.size
    objects = []
    for index, label in enumerate(network.labels):
        numbers = settings.for_class(label)
        limits: dict[str, Any] = {
            "confidence_threshold": float(numbers.threshold),
            "nms_iou_threshold": float(settings.own(label, "nms_iou")),
            "min_width": int(numbers.min_width),
            "min_height": int(numbers.min_height),
        }
        limits |= {name: int(v) for name in ("max_width", "max_height") if (v := getattr(numbers, name))}
        if (most := settings.own(label, "top_k")) is not None:
            limits["top_k"] = most
        objects.append({"class_id": index, "label": label, "selector": {"kwargs": limits}})
    model: dict[str, Any] = {
        "format": "onnx",
        "model_file": path.name,
        "precision": "fp16",
        "batch_size": 1,
        "input": {
            "layer_name": network.input,
            "shape": [3, height, width],
            "scale_factor": SCALE,
            "color_format": "rgb",
            "maintain_aspect_ratio": settings.fit is FitMode.LETTERBOX,
        },
        "output": {
            "layer_names": [network.boxes, network.coverage],
            "num_detected_classes": len(network.labels),
            "objects": objects,
        },
    }
    if str(path.parent) != ".":
        model["local_path"] = str(path.parent)
    element = {"element": "nvinfer@detector", "name": "peoplenet", "model": model}
    module = {"name": "peoplenet", "pipeline": {"elements": [element]}}
    return {"module.yml": to_yaml(module, comments)}


def isaac_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return the parameters of ``isaac_ros_detectnet``."""
    parameters = {
        "model_repository_paths": ["models"],
        "model_name": "peoplenet",
        "label_list": list(network.labels),
        "enable_confidence_threshold": True,
        "enable_bbox_area_threshold": False,
        "enable_dbscan_clustering": True,
        "confidence_threshold": float(settings.default.threshold),
        "min_bbox_area": 0.0,
        "dbscan_confidence_threshold": float(settings.default.min_sum),
        "dbscan_eps": float(settings.eps),
        "dbscan_min_boxes": int(settings.min_samples),
        "dbscan_enable_athr_filter": 1,
        "dbscan_threshold_athr": 60.0,
        "dbscan_clustering_algorithm": 1,
        "bounding_box_scale": 35.0,
        "bounding_box_offset": 0.5 / network.stride,
    }
    return {"params.yaml": to_yaml(parameters, comments)}


def jetson_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return a script that builds the engine and looks at a camera."""
    width, height = network.size
    name = PurePosixPath(network.path).name.removesuffix(".onnx")
    model, engine = shlex.quote(f"{name}_b1.onnx"), shlex.quote(f"{name}.engine")
    options = [
        f"--input-blob={network.input}",
        f"--output-cvg={network.coverage}",
        f"--output-bbox={network.boxes}",
        f"--confidence={float(settings.default.threshold)}",
        f"--clustering={2 * settings.nms_iou / (1 + settings.nms_iou)}",
    ]
    about = "".join(f"# {text}\n" for text in comments)
    script = f"""#!/bin/sh
{about}# {name}_b1.onnx is the model with a fixed batch of 1 (input 1x3x{height}x{width}).
set -e
here=$(dirname "$0")
[ -f "$here"/{engine} ] || trtexec --onnx="$here"/{model} --saveEngine="$here"/{engine} --fp16
detectnet --model="$here"/{engine} --labels="$here"/labels.txt {shlex.join(options)} "${{1:-csi://0}}" "${{2:-display://0}}"
"""
    return {"detectnet.sh": script}


def fixed_batch(path: Path) -> bytes:
    """Return a model with a batch of 1 in place of a batch of any size."""
    import onnx

    model = onnx.load(str(path))
    for tensor in (*model.graph.input, *model.graph.output):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    return bytes(model.SerializeToString())
