"""The stand-in network: its layers, and its way into an ONNX file with PeopleNet's interface.

Weights are rounded to half precision *before* anything is measured and stored so, with a Cast in the graph;
what is measured, what is in the file and what runs are the same numbers.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own habit

from tools.standin.data import CLASSES, HEIGHT, STRIDE, WIDTH

DESCRIPTION = (
    "A stand-in for the demo clip only: trained on rendered scenes of tools/standin/. "
    "It is not NVIDIA's PeopleNet and finds nothing of use in real videos."
)


class Unit(nn.Module):
    """Convolution, batch norm, ReLU; the norm is folded into the convolution for export."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        pad = (dilation * (kernel - 1) + 1 - stride) // 2 if kernel % 2 == 0 else dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, dilation, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation."""
        return F.relu(self.norm(self.conv(x)))


class Block(nn.Module):
    """A residual bottleneck; its dilation is what lets a cell see a whole person."""

    def __init__(self, width: int, inner: int, dilation: int) -> None:
        super().__init__()
        self.units = nn.Sequential(
            Unit(width, inner, 1), Unit(inner, inner, 3, dilation=dilation), Unit(inner, width, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation."""
        return x + self.units(x)


class Standin(nn.Module):
    """About 180 000 parameters with PeopleNet's input and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            Unit(
                3, 24, 6, stride=4
            ),  # straight to 1/4: at 1/2 the memory traffic would cost more than the rest
            Unit(24, 24, 3),
            Unit(24, 48, 3, stride=2),
            Unit(48, 48, 3),
            Unit(48, 96, 3, stride=2),
            Block(96, 48, 1),
            Block(96, 48, 2),
            Block(96, 48, 4),
        )
        self.cover = nn.Conv2d(96, CLASSES, 1)
        self.boxes = nn.Conv2d(96, 4 * CLASSES, 1)
        nn.init.constant_(self.cover.bias, -4.0)
        nn.init.constant_(self.boxes.bias, 0.7)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return coverage logits and box distances."""
        x = self.body(x)
        return self.cover(x), self.boxes(x)


def folded(model: Standin) -> Standin:
    """Return a copy without batch norms, its weights rounded to half precision."""
    model = copy.deepcopy(model).eval()
    for unit in [m for m in model.modules() if isinstance(m, Unit)]:
        unit.conv = nn.utils.fuse_conv_bn_eval(unit.conv, unit.norm)
        unit.norm = nn.Identity()
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    return model


def export(model: Standin, path: Path) -> None:
    """Write a folded model as ONNX with plain operators and PeopleNet's names."""
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def constant(name: str, value: Tensor) -> str:
        weights.append(numpy_helper.from_array(value.detach().numpy().astype(np.float16), name + "_half"))
        nodes.append(helper.make_node("Cast", [name + "_half"], [name], to=TensorProto.FLOAT))
        return name

    def convolution(conv: nn.Conv2d, source: str, target: str) -> None:
        base = target.replace("/", "_").replace(":", "_")
        inputs = [source, constant(base + "_w", conv.weight), constant(base + "_b", conv.bias)]
        pad, dilation = conv.padding[0], conv.dilation[0]
        nodes.append(
            helper.make_node(
                "Conv",
                inputs,
                [target],
                kernel_shape=list(conv.kernel_size),
                strides=list(conv.stride),
                pads=[pad] * 4,
                dilations=[dilation] * 2,
            )
        )

    count = 0

    def unit(part: Unit, source: str) -> str:
        nonlocal count
        count += 1
        convolution(part.conv, source, f"conv{count}")
        nodes.append(helper.make_node("Relu", [f"conv{count}"], [f"relu{count}"]))
        return f"relu{count}"

    value = "input_1:0"
    for part in model.body:
        if isinstance(part, Block):
            inner = value
            for piece in part.units:
                inner = unit(piece, inner)
            nodes.append(helper.make_node("Add", [value, inner], [f"sum{count}"]))
            value = f"sum{count}"
        else:
            value = unit(part, value)
    convolution(model.cover, value, "output_cov/BiasAdd:0")
    nodes.append(helper.make_node("Sigmoid", ["output_cov/BiasAdd:0"], ["output_cov/Sigmoid:0"]))
    convolution(model.boxes, value, "output_bbox/BiasAdd:0")

    def info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])

    grid = (HEIGHT // STRIDE, WIDTH // STRIDE)
    outputs = [
        info("output_cov/Sigmoid:0", (CLASSES, *grid)),
        info("output_bbox/BiasAdd:0", (4 * CLASSES, *grid)),
    ]
    graph = helper.make_graph(nodes, "standin", [info("input_1:0", (3, HEIGHT, WIDTH))], outputs, weights)
    proto = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
        producer_name="tools/standin/train.py",
    )
    helper.set_model_props(
        proto, {"peoplenet_nb.standin": "1", "labels": "person,bag,face", "description": DESCRIPTION}
    )
    onnx.checker.check_model(proto)
    path.write_bytes(proto.SerializeToString())
