"""What is written in Protocol Buffers' text format: TAO, NVIDIA's Triton client, DeepStream's nvinferserver.

Fields after ``postprocessing_config.proto`` and ``inference.proto`` of ``tao_deploy``, ``postprocessor_config.proto``
of ``tao-toolkit-triton-apps`` and ``nvdsinferserver_*.proto`` of DeepStream.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peoplenet_nb.export.deepstream import SCALE
from peoplenet_nb.export.prototext import Word, to_prototext
from peoplenet_nb.export.targets import NetworkFile
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import ClassSettings, Clustering, Settings

TAO_NOTES = """
| A candidate must be above coverage_threshold there, at or above it here.
sizes | minimum_bounding_box_height counts network pixels there, the frame's here. It is written as it is.
| Boxes are clipped to the frame after clustering there, before it here.
nms hybrid | TAO's NMS adds a pixel to widths and heights, and gives its boxes each other's confidences.
"""
TRITON_NOTES = """
| A candidate must be above coverage_threshold there, at or above it here.
| The client takes Euclid's distance between rows of 1 - IoU, where 1 - IoU itself is meant: its clusters differ.
| With metric='precomputed' in the client's code its clusters are the same.
| scikit-learn 1.9 refuses a min_samples that is no whole number.
"""
NVINFERSERVER_NOTES = """
| Boxes are clipped at the last pixel (width - 1, height - 1) there and at the edge here: less than a pixel.
nms | topk counts before boxes are dropped by size or region there, after it here; 0 keeps all.
dbscan | A cluster's confidence is the best coverage in it there; min_score is a least sum, one for all classes.
letterbox | Boxes that reach into the padding are dropped there, and cropped to the frame here.
| Put the model to triton_model_repo/peoplenet/1/model.onnx.
"""
_COLOURS = ((0, 255, 0), (255, 0, 0), (0, 0, 255))

_Message = dict[str, Any]


def _colour(index: int) -> _Message:
    return dict(zip("RGB", _COLOURS[index % len(_COLOURS)], strict=True))


def tao_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return TAO's specification of an inference, and the part of a training's that clusters."""
    width, height = network.size
    clustering = {label: _tao(settings, label) for label in network.labels}
    engine = f"{network.path.removesuffix('.onnx')}.engine"
    inferencer: _Message = {
        "target_classes": list(network.labels),
        "image_width": width,
        "image_height": height,
        "image_channels": 3,
        "batch_size": 1,
        "gpu_index": 0,
        "stride": network.stride,
        "tensorrt_config": {"parser": Word("ETLT"), "backend_data_type": Word("FP16"), "trt_engine": engine},
    }
    values = [
        {"confidence_model": "aggregate_cov", "output_map": label, "bbox_color": _colour(index)}
        | {"clustering_config": clustering[label]}
        for index, label in enumerate(network.labels)
    ]
    handlers = [{"key": label, "value": value} for label, value in zip(network.labels, values, strict=True)]
    drawn = {"kitti_dump": True, "disable_overlay": False, "overlay_linewidth": 2}
    inference = {
        "#": comments,
        "inferencer_config": inferencer,
        "bbox_handler_config": drawn | {"classwise_bbox_handler_config": handlers},
    }
    each = [{"key": k, "value": {"clustering_config": value}} for k, value in clustering.items()]
    training = {"#": comments, "postprocessing_config": {"target_class_config": each}}
    return {
        "inferencer_spec.txt": to_prototext(inference),
        "postprocessing_config.txt": to_prototext(training),
    }


def _tao(settings: Settings, label: str) -> _Message:
    """Return a class's clustering."""
    numbers = settings.for_class(label)
    fields: _Message = {
        "coverage_threshold": float(numbers.threshold),
        "minimum_bounding_box_height": int(numbers.min_height),
        "clustering_algorithm": Word(settings.clustering.name),
    }
    if settings.clustering is not Clustering.NMS:
        fields |= _dbscan(settings, label, int)
    if settings.clustering is not Clustering.DBSCAN:
        fields["nms_iou_threshold"] = float(settings.own(label, "nms_iou"))
        fields["nms_confidence_threshold"] = float(numbers.min_confidence)
    return fields


def _dbscan(settings: Settings, label: str, kind: type[int] | type[float]) -> _Message:
    return {
        "dbscan_eps": float(settings.own(label, "eps")),
        "dbscan_min_samples": kind(settings.own(label, "min_samples")),
        "dbscan_confidence_threshold": float(settings.for_class(label).min_confidence),
    }


def triton_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return the clustering of NVIDIA's Triton client."""
    classes = []
    for index, label in enumerate(network.labels):
        numbers = settings.for_class(label)
        value = {
            "coverage_threshold": float(numbers.threshold),
            "minimum_bounding_box_height": int(numbers.min_height),
            "dbscan_config": _dbscan(settings, label, float),
            "bbox_color": _colour(index),
        }
        classes.append({"key": label, "value": value})
    whole = {"#": comments, "linewidth": 4, "stride": network.stride, "classwise_clustering_config": classes}
    return {"clustering_config_peoplenet.prototxt": to_prototext(whole)}


def nvinferserver_files(settings: Settings, network: NetworkFile, comments: Sequence[str]) -> dict[str, str]:
    """Return nvinferserver's configuration, and that of the model in Triton's repository."""
    each = [settings.for_class(label) for label in network.labels]
    lowest = float(settings.default.threshold)
    own = [
        {"key": index, "value": {"pre_threshold": float(numbers.threshold)}}
        for index, numbers in enumerate(each)
    ]
    detection: _Message = {"num_detected_classes": len(network.labels), "per_class_params": own}
    if settings.clustering is Clustering.NMS:
        iou, most = float(settings.nms_iou), settings.top_k or 0
        detection["nms"] = {"confidence_threshold": lowest, "iou_threshold": iou, "topk": most}
    else:
        cluster = {"eps": float(settings.eps), "min_boxes": int(settings.min_samples)}
        detection["dbscan"] = {
            "pre_threshold": lowest,
            **cluster,
            "min_score": float(settings.default.min_sum),
        }
    repository = {"root": "./triton_model_repo", "strict_model_config": True}
    preprocess: _Message = {
        "network_format": Word("IMAGE_FORMAT_RGB"),
        "tensor_order": Word("TENSOR_ORDER_LINEAR"),
        "tensor_name": network.input,
        "maintain_aspect_ratio": int(settings.fit is FitMode.LETTERBOX),
        "symmetric_padding": 0,
        "normalize": {"scale_factor": SCALE},
    }
    inference = {
        "unique_id": 1,
        "gpu_ids": 0,
        "max_batch_size": 1,
        "backend": {"triton": {"model_name": "peoplenet", "version": -1, "model_repo": repository}},
        "preprocess": preprocess,
        "postprocess": {"labelfile_path": "labels.txt", "detection": detection},
    }
    filters = [{"key": index, "value": _limits(numbers)} for index, numbers in enumerate(each)]
    control = {"default_filter": _limits(settings.default), "specific_class_filters": filters}
    whole = {
        "#": comments,
        "infer_config": inference,
        "input_control": {"process_mode": Word("PROCESS_MODE_FULL_FRAME"), "interval": 0},
        "output_control": {"detect_control": control},
    }
    return {
        "config_inferserver_peoplenet.txt": to_prototext(whole),
        "triton_model_repo/peoplenet/config.pbtxt": _model_config(network),
    }


def _limits(numbers: ClassSettings) -> _Message:
    sizes = {
        name: int(getattr(numbers, name)) for name in ("min_width", "min_height", "max_width", "max_height")
    }
    regions = {f"{name}_offset": int(getattr(numbers, name)) for name in ("roi_top", "roi_bottom")}
    return {"bbox_filter": {k: v for k, v in sizes.items() if v}} | {k: v for k, v in regions.items() if v}


def _model_config(network: NetworkFile) -> str:
    """Return Triton's configuration of the model."""
    (width, height), classes = network.size, len(network.labels)
    grid = [height // network.stride, width // network.stride]

    def tensor(name: str, *dims: int) -> _Message:
        return {"name": name, "data_type": Word("TYPE_FP32"), "dims": list(dims)}

    head = {"name": "peoplenet", "platform": "onnxruntime_onnx", "max_batch_size": 1}
    outputs = [tensor(network.coverage, classes, *grid), tensor(network.boxes, 4 * classes, *grid)]
    tensors = {"input": tensor(network.input, 3, height, width), "output": outputs}
    return to_prototext({**head, "default_model_filename": "model.onnx", **tensors})
