"""Follow an ONNX output back to the weights that make it.

Exporters wrap weights in many ways: a bias added after the convolution, reshapes and transposes behind it, Q/DQ
pairs around the kernel. Tracing never guesses: whatever does not lead to one weight matrix whose rows are the
output's channels raises `Untraceable` with the reason, and the caller reports "unknown" instead of "dead".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    Array = NDArray[np.float64]

# Ops that hand each channel on unchanged, or squash it; the weights lie behind their first input.
_PASS = {
    *("Identity", "Cast", "Sigmoid", "HardSigmoid", "Clip", "Relu", "Reshape", "Transpose", "Squeeze"),
    *("Unsqueeze", "Flatten", "QuantizeLinear", "DequantizeLinear", "BatchNormalization", "Dropout"),
}
_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul", "QLinearConv"}
_DEEPEST = 64
_MOST_STEPS = 10_000  # of one model: branches that meet again and again multiply
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, OSError, AttributeError, RecursionError)


class Untraceable(Exception):  # noqa: N818  (an outcome, not a fault: callers turn it into "unknown")
    """The output's weights cannot be found; the message says where the trace ended."""


class WeightTracer:
    """Finds the weight rows behind the outputs of a model; ``folder`` holds tensors stored outside its file."""

    def __init__(self, model: ModelProto, folder: Path) -> None:
        self._folder = folder
        self._made_by = {name: node for node in model.graph.node for name in node.output if name}
        self._initializers = {tensor.name: tensor for tensor in model.graph.initializer}
        self._steps = _MOST_STEPS

    def rows(self, output: str, channels: int) -> Array:
        """Return the weights of an output by its name, ``(channels, fan_in)`` float64, or raise `Untraceable`.

        They are as the network applies them: Q/DQ pairs are undone.
        """
        try:
            found = self._rows(output)
        except _UNREADABLE as error:
            raise Untraceable(f"the weights could not be read ({type(error).__name__})") from error
        if len(found) != channels:
            raise Untraceable(f"{len(found)} weight rows found for {channels} channels")
        return found

    def _rows(self, name: str) -> Array:
        scale: Array = np.ones(1)
        for _ in range(_DEEPEST):
            self._count_step()
            node = self._made_by.get(name)
            if node is None:
                raise Untraceable(f"no operation makes {name!r}")
            if node.op_type in _WEIGHTED:
                return self._own_rows(node) * scale[:, None]
            if node.op_type == "Concat":
                return np.concatenate([self._rows(part) for part in node.input]) * scale[:, None]
            if node.op_type in ("Add", "Sub", "Mul", "Div"):
                name, constant = self._through_constant(node)
                # A bias changes no row; a factor per channel, or one for all, is carried back to the rows.
                if node.op_type in ("Mul", "Div"):
                    factor = self._constant(constant).ravel()
                    scale = scale * (factor if node.op_type == "Mul" else 1.0 / factor)
            elif node.op_type in _PASS:
                name = node.input[0]
            else:
                raise Untraceable(f"the trace ends at an operation of type {node.op_type}")
        raise Untraceable(f"no weights within {_DEEPEST} operations of the output")

    def _count_step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise Untraceable("its operations branch or go round without end")

    def _through_constant(self, node: NodeProto) -> tuple[str, str]:
        """Return the names of the branch that is computed and of the constant it is combined with."""
        first, second = node.input[:2]
        for data, constant in ((first, second), (second, first)):
            if self._is_constant(constant) and not self._is_constant(data):
                return data, constant
        raise Untraceable(f"two computed branches meet in an operation of type {node.op_type}")

    def _own_rows(self, node: NodeProto) -> Array:
        operation = node.op_type
        if operation == "QLinearConv":
            kernel = _dequantize(*(self._constant(name) for name in node.input[3:6]), axis=0)
        elif operation == "MatMul" and self._is_constant(node.input[0]):
            kernel = self._constant(node.input[0])
            return kernel.reshape(len(kernel), -1)
        else:
            kernel = self._constant(node.input[1])
        if operation == "ConvTranspose":
            kernel = np.moveaxis(kernel, 1, 0)
        elif operation == "MatMul" or (operation == "Gemm" and not options_of(node).get("transB")):
            kernel = kernel.T
        return kernel.reshape(len(kernel), -1)

    def _is_constant(self, name: str) -> bool:
        self._count_step()
        if name in self._initializers:
            return True
        node = self._made_by.get(name)
        if node is None:
            return False
        return node.op_type == "Constant" or (
            node.op_type in _PASS and all(self._is_constant(part) for part in node.input if part)
        )

    def _constant(self, name: str) -> Array:
        from onnx import numpy_helper

        self._count_step()
        tensor = self._initializers.get(name)
        if tensor is not None:
            return np.asarray(numpy_helper.to_array(tensor, str(self._folder)), dtype=np.float64)
        node = self._made_by.get(name)
        if node is None:
            raise Untraceable(f"the weights {name!r} are fed from outside")
        options = options_of(node)
        if node.op_type == "Constant":
            value = next(
                (options[kind] for kind in ("value", "value_float", "value_int") if kind in options), None
            )
            if value is not None:
                return np.asarray(numpy_helper.to_array(value) if "value" in options else value, np.float64)
        if node.op_type == "DequantizeLinear":
            parts = [self._constant(part) for part in node.input if part]
            return _dequantize(*parts, axis=options.get("axis", 1))
        if node.op_type == "Transpose":
            return np.transpose(self._constant(node.input[0]), options.get("perm"))
        if node.op_type in ("Identity", "Cast", "QuantizeLinear"):
            # A quantised constant counts with the value it had before: rounding changes no verdict.
            return self._constant(node.input[0])
        raise Untraceable(f"the weights come out of an operation of type {node.op_type}")


def options_of(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of an operation by name, with their values."""
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _dequantize(values: Array, scale: Array, zero: Array | None = None, *, axis: int) -> Array:
    """Undo linear quantisation, per tensor or along ``axis`` (ONNX DequantizeLinear)."""

    def spread(part: Array) -> Array:
        if part.size == 1:
            return part.reshape(())
        if part.ndim > 1:
            raise Untraceable("the weights are quantised in blocks")
        shape = [1] * values.ndim
        shape[axis] = part.size
        return part.reshape(shape)

    return (values - (0.0 if zero is None else spread(zero))) * spread(scale)
