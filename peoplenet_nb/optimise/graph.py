"""Graph surgery: a network that takes resized BGR bytes instead of RGB floats.

One decision to know: nothing is added to what the network computes. The layout change and the cast are two
cheap nodes in front; the division by 255 and the swap of red and blue are folded into the weights of the
first convolution, where they cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.errors import ModelError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

DERIVED_KEY = "peoplenet_nb.derived"
SOURCE_KEY = "peoplenet_nb.source_sha256"


def with_uint8_input(model: ModelProto, input_name: str) -> ModelProto:
    """Return a copy of a model that takes ``(N, H, W, 3)`` uint8 BGR instead of ``(N, 3, H, W)`` RGB / 255.

    Parameters
    ----------
    model : onnx.ModelProto
        A network with one float32 picture input.
    input_name : str
        The name of that input; it stays the same.

    Raises
    ------
    ModelError
        When the input does not go into one convolution with constant weights and nothing else.

    Notes
    -----
    Exact but for rounding: ``conv(x / 255, W) = conv(x, W / 255)``, and zero padding is zero in both.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    first = _first_convolution(graph, input_name)
    weights = {tensor.name: tensor for tensor in graph.initializer}[first.input[1]]
    kernel = numpy_helper.to_array(weights)
    folded = np.ascontiguousarray(kernel[:, ::-1].astype(np.float64) / 255.0).astype(kernel.dtype)
    name = f"{weights.name}/bgr_bytes"
    graph.initializer.append(numpy_helper.from_array(folded, name))
    floats = f"{input_name}/floats"
    first.input[0], first.input[1] = floats, name
    if not any(weights.name in node.input for node in graph.node):
        graph.initializer.remove(weights)
    planes = f"{input_name}/planes"
    # Cast last: a transpose of bytes moves a quarter of what a transpose of floats does.
    graph.node.insert(0, helper.make_node("Transpose", [input_name], [planes], perm=[0, 3, 1, 2]))
    graph.node.insert(1, helper.make_node("Cast", [planes], [floats], to=TensorProto.FLOAT))
    (value,) = [value for value in graph.input if value.name == input_name]
    batch, _, height, width = value.type.tensor_type.shape.dim
    shape = [batch.dim_param or batch.dim_value or "N", height.dim_value, width.dim_value, 3]
    value.CopyFrom(helper.make_tensor_value_info(input_name, TensorProto.UINT8, shape))
    onnx.checker.check_model(made)
    return made


def _first_convolution(graph: GraphProto, input_name: str) -> NodeProto:
    readers = [node for node in graph.node if input_name in node.input]
    constant = {tensor.name for tensor in graph.initializer}
    if len(readers) != 1 or readers[0].op_type != "Conv" or readers[0].input[1] not in constant:
        raise ModelError(
            "The picture input does not go straight into one convolution, so that it cannot take bytes",
            seen=", ".join(node.op_type for node in readers) or "nothing reads it",
            next_step="run the model as it is.",
        )
    first: NodeProto = readers[0]
    return first


def stamp(model: ModelProto, kind: str, source_sha256: str) -> None:
    """Write into a model what it is and what it was made from, so that it can never pass for its source."""
    from onnx import helper

    kept = {prop.key: prop.value for prop in model.metadata_props}
    helper.set_model_props(model, kept | {DERIVED_KEY: kind, SOURCE_KEY: source_sha256})
