"""How much of its input a cell of the network can see, computed from the file.

This is the theoretical field, the widest path from input to output. What really moves a cell's output is
concentrated in the middle of it, so a field larger than the frame is no contradiction.

The rule for a layer of kernel ``k``, dilation ``d`` and stride ``s``, with ``j`` input pixels between
neighbours before it: the field grows by ``(k - 1) d j``, and ``j`` is multiplied by ``s`` (Araujo, Norris and
Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import ModelError
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.onnxfile.trace import options_of

if TYPE_CHECKING:
    from onnx import NodeProto

_WINDOWED = {"Conv", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "LpPool"}


@dataclass(frozen=True)
class ReceptiveField:
    """What one cell can see, and how far apart cells are, in network pixels."""

    width: int
    height: int
    stride: int
    layers: int
    """Convolutions and poolings on the widest path."""

    def covers(self, network_size: tuple[int, int]) -> bool:
        """Tell whether the field is at least as large as the whole input ``(width, height)``."""
        return self.width >= network_size[0] and self.height >= network_size[1]


@dataclass(frozen=True, order=True)
class _Reach:
    """State of one tensor: field and distance between neighbours, per axis, and layers passed."""

    height: int = 1
    width: int = 1
    jump_y: int = 1
    jump_x: int = 1
    layers: int = 0

    def through(self, node: NodeProto, kernel: tuple[int, int]) -> _Reach:
        options = options_of(node)
        stride_y, stride_x = (options.get("strides") or [1, 1])[:2]
        spread_y, spread_x = (options.get("dilations") or [1, 1])[:2]
        return _Reach(
            self.height + (kernel[0] - 1) * spread_y * self.jump_y,
            self.width + (kernel[1] - 1) * spread_x * self.jump_x,
            self.jump_y * stride_y,
            self.jump_x * stride_x,
            self.layers + 1,
        )


def receptive_field(file: ModelFile) -> ReceptiveField:
    """Return the receptive field of a model's coverage cells, along the widest path.

    Raises
    ------
    ModelError
        When the file cannot be read again.
    """
    import onnx

    try:
        graph: Any = onnx.load(str(file.path), load_external_data=False).graph
    except Exception as error:  # the protobuf reader raises many kinds
        what, seen = "The model file cannot be read again", f"{file.path}: {error}"
        raise ModelError(what, seen=seen, next_step="fetch it again.") from error
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    constants = (node for node in graph.node if node.op_type == "Constant")
    shapes |= {
        node.output[0]: tuple(a.t.dims) for node in constants for a in node.attribute if a.name == "value"
    }
    reach = {file.input.name: _Reach()}
    for node in graph.node:  # ONNX keeps nodes in an order in which each finds its inputs made
        came = [reach[name] for name in node.input if name in reach]
        if not came:
            # Weights that pass through DequantizeLinear and the like keep their shape for the convolution.
            if node.input and node.input[0] in shapes:
                shapes |= dict.fromkeys(node.output, shapes[node.input[0]])
            continue
        best = max(came)
        if node.op_type in _WINDOWED:
            best = best.through(node, _kernel(node, shapes))
        reach |= dict.fromkeys(node.output, best)
    end = reach[file.coverage.name]
    return ReceptiveField(end.width, end.height, end.jump_x, end.layers)


def _kernel(node: NodeProto, shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    if (size := options_of(node).get("kernel_shape")) is not None:
        return int(size[0]), int(size[1])
    shape = shapes.get(node.input[3 if node.op_type == "QLinearConv" else 1], (1, 1))
    return int(shape[-2]), int(shape[-1])
