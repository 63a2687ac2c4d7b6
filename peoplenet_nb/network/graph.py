"""Graph surgery: a network that takes resized BGR bytes instead of RGB floats.

One decision to know: where the picture goes straight into one convolution, as in PeopleNet, nothing is added to
what the network computes. The layout change and the cast are two cheap nodes in front; the division by 255 and the
swap of red and blue are folded into that convolution's weights, where they cost nothing. Elsewhere both become nodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.network.variants import Target

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

VARIANT_KEY = "peoplenet_nb.variant"
SOURCE_KEY = "peoplenet_nb.source_sha256"


def with_uint8_input(model: ModelProto, input_name: str, target: Target = Target.CPU) -> ModelProto:
    """Return a copy of a model that takes ``(N, H, W, 3)`` uint8 BGR instead of ``(N, 3, H, W)`` RGB / 255.

    Exact but for rounding: ``conv(x / 255, W) = conv(x, W / 255)``, and zero padding is zero in both. The input's name
    stays, but for TensorRT: ONNX Runtime reads the shapes that it is given as ``name:1x3x…`` up to the first colon, and
    TAO's name is ``input_1:0``. TensorRT takes bytes only if they are cast first of all; for CPUs the cast comes last,
    since a transpose of bytes moves a quarter of what a transpose of floats does.
    """
    import onnx
    from onnx import TensorProto, helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    readers = [node for node in graph.node if input_name in node.input]
    name = input_name if target is Target.CPU else re.sub(r"\W", "_", input_name)
    swap = partial(helper.make_node, "Transpose", perm=[0, 3, 1, 2])
    cast = partial(helper.make_node, "Cast", to=TensorProto.FLOAT)
    steps: list[Callable[..., NodeProto]] = [swap, cast] if target is Target.CPU else [cast, swap]
    if not _fold(graph, readers):
        steps += _scaling(graph, input_name)
    ends = [name, *(f"{input_name}/step{i}" for i in range(1, len(steps))), f"{input_name}/floats"]
    nodes = [step(inputs=[a], outputs=[b]) for step, (a, b) in zip(steps, pairwise(ends), strict=True)]
    for node in readers:
        node.input[:] = [ends[-1] if tensor == input_name else tensor for tensor in node.input]
    for node in reversed(nodes):
        graph.node.insert(0, node)
    (value,) = [value for value in graph.input if value.name == input_name]
    batch, _, height, width = value.type.tensor_type.shape.dim
    shape = [batch.dim_param or batch.dim_value or "N", height.dim_value, width.dim_value, 3]
    value.CopyFrom(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
    onnx.checker.check_model(made)
    return made


def _fold(graph: GraphProto, readers: list[NodeProto]) -> bool:
    """Fold the scale and the swap of red and blue into the first convolution, if it alone reads the picture."""
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in graph.initializer}
    if len(readers) != 1 or readers[0].op_type != "Conv" or readers[0].input[1] not in constants:
        return False
    weights = constants[readers[0].input[1]]
    kernel = numpy_helper.to_array(weights)
    folded = np.ascontiguousarray(kernel[:, ::-1].astype(np.float64) / 255.0).astype(kernel.dtype)
    name = f"{weights.name}/bgr_bytes"
    graph.initializer.append(numpy_helper.from_array(folded, name))
    readers[0].input[1] = name
    if not any(weights.name in node.input for node in graph.node):
        graph.initializer.remove(weights)
    return True


def _scaling(graph: GraphProto, prefix: str) -> list[Callable[..., NodeProto]]:
    """Return the nodes that swap red and blue and divide by 255, their constants put into the graph."""
    from onnx import helper, numpy_helper

    order, scale = f"{prefix}/rgb", f"{prefix}/scale"
    graph.initializer.append(numpy_helper.from_array(np.array([2, 1, 0], np.int64), order))
    graph.initializer.append(numpy_helper.from_array(np.array(255.0, np.float32), scale))
    return [
        lambda inputs, outputs: helper.make_node("Gather", [*inputs, order], outputs, axis=1),
        lambda inputs, outputs: helper.make_node("Div", [*inputs, scale], outputs),
    ]


def stamp(model: ModelProto, kind: str, source_sha256: str) -> None:
    """Write into a model what it is and what it was made from, so that it can never pass for its source."""
    from onnx import helper

    kept = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(model, kept | {VARIANT_KEY: kind, SOURCE_KEY: source_sha256})
