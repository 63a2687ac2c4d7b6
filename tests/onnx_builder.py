"""Small DetectNet_v2 models, made with onnx.helper, in the shapes that exporters give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COVERAGE, BOXES = "output_cov/Sigmoid:0", "output_bbox/BiasAdd:0"


def detectnet(
    *,
    classes: int = 3,
    size: tuple[int, int] = (64, 32),
    stride: int = 16,
    outputs: Sequence[str] = (COVERAGE, BOXES),
    style: str = "conv",
    dead: Mapping[str, Sequence[int]] | None = None,
    metadata: Mapping[str, str] | None = None,
    channels_last: bool = False,
    open_grid: bool = False,
) -> onnx.ModelProto:
    """A model with C coverage and 4C box channels.

    ``style``: "conv" (bias in the convolution), "add" (bias added behind it), "reshape" (a transpose pair and
    a reshape behind it), "qdq" (int8 kernel behind DequantizeLinear, output through a Q/DQ pair), "concat"
    (one convolution per class), "fed" (kernels computed from the picture, so nothing can be traced).
    ``dead``: classes whose "coverage" or "box" weights are 1e-7.
    """
    width, height = size
    rows, columns = height // stride, width // stride
    rng = np.random.default_rng(7)
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []

    def constant(name: str, values: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(values, name))
        return name

    def add(op: str, inputs: list[str], output: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    picture = "input_1:0"
    source = picture
    if channels_last:
        source = add("Cast", [source], "floats", to=TensorProto.FLOAT)
        source = add("Transpose", [source], "chw", perm=[0, 3, 1, 2])
    stem = constant("stem", rng.normal(0, 0.1, (8, 3, stride, stride)).astype(np.float32))
    features = add("Conv", [source, stem], "stem_out", strides=[stride, stride])
    features = add("Relu", [features], "features")

    def head(kind: str, channels: int, output: str) -> None:
        kernel = rng.normal(0, 0.5, (channels, 8, 1, 1)).astype(np.float32)
        for dead_class in (dead or {}).get(kind, ()):
            per = channels // classes
            kernel[per * dead_class : per * (dead_class + 1)] *= 1e-7
        bias = rng.normal(0, 0.1, channels).astype(np.float32)
        last = f"{kind}_raw" if kind == "coverage" else output
        if style == "conv":
            add("Conv", [features, constant(f"{kind}_w", kernel), constant(f"{kind}_b", bias)], last)
        elif style == "add":
            made = add("Conv", [features, constant(f"{kind}_w", kernel)], f"{kind}_conv")
            scaled = add("Mul", [made, constant(f"{kind}_two", np.float32([2.0]))], f"{kind}_scaled")
            add("Add", [constant(f"{kind}_b", bias.reshape(1, -1, 1, 1)), scaled], last)
        elif style == "reshape":
            made = add(
                "Conv", [features, constant(f"{kind}_w", kernel), constant(f"{kind}_b", bias)], f"{kind}_c"
            )
            hwc = add("Transpose", [made], f"{kind}_hwc", perm=[0, 2, 3, 1])
            chw = add("Transpose", [hwc], f"{kind}_chw", perm=[0, 3, 1, 2])
            shape = constant(f"{kind}_shape", np.array([-1, channels, rows, columns], np.int64))
            add("Reshape", [chw, shape], last)
        elif style == "qdq":
            scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-12).astype(np.float32) / 127
            stored = np.round(kernel / scale[:, None, None, None]).astype(np.int8)
            names = [
                constant(f"{kind}_q", stored),
                constant(f"{kind}_s", scale),
                constant(f"{kind}_z", np.zeros(channels, np.int8)),
            ]
            weights = add("DequantizeLinear", names, f"{kind}_w", axis=0)
            made = add("Conv", [features, weights], f"{kind}_conv")
            steps = [constant(f"{kind}_step", np.float32(0.05)), constant(f"{kind}_zero", np.uint8(128))]
            quantised = add("QuantizeLinear", [made, *steps], f"{kind}_u8")
            add("DequantizeLinear", [quantised, *steps], last)
        elif style == "concat":
            parts = [
                add("Conv", [features, constant(f"{kind}_w{i}", part)], f"{kind}_{i}")
                for i, part in enumerate(np.split(kernel, classes))
            ]
            add("Concat", parts, last, axis=1)
        elif style == "fed":
            made = add("Conv", [features, constant(f"{kind}_w", kernel)], f"{kind}_conv")
            other = add("Conv", [features, constant(f"{kind}_v", kernel)], f"{kind}_other")
            add("Mul", [made, other], last)
        if kind == "coverage":
            add("Sigmoid", [last], output)

    shapes = {}
    for output in outputs:
        kind = "box" if output in (BOXES, "b", "boxes_1") else "coverage"
        channels = classes if kind == "coverage" else 4 * classes
        head(kind, channels, output)
        shapes[output] = ["N", channels, None if open_grid else rows, None if open_grid else columns]
    pixels = [height, width, 3] if channels_last else [3, height, width]
    graph = helper.make_graph(
        nodes,
        "detectnet",
        [
            helper.make_tensor_value_info(
                picture, TensorProto.UINT8 if channels_last else TensorProto.FLOAT, ["N", *pixels]
            )
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        tensors,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="builder", producer_version="1"
    )
    model.ir_version = 8
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    return model


def write(model: onnx.ModelProto, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path
