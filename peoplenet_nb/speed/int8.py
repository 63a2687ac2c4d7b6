"""Static INT8 by ONNX Runtime's quantizer, with the choices that were measured to matter.

On CPUs activations are *uint8* and weights int8 per channel: the pair that x86 multiplies. TensorRT takes
symmetric int8 on both sides only (NVIDIA's guide to explicit quantization), so it gets a variant of its own.

One decision to know: no product can saturate, on any x86. Without VNNI the CPU adds products of two neighbouring
weights in 16 bits (``vpmaddubsw``), which full 8-bit weights overflow; ONNX Runtime's remedy, 7-bit weights for
all, costs accuracy. Here each output channel's scale is just large enough that none of its pairs can overflow: about a
fifth of a bit in PeopleNet, and the same file is exact on CPUs with VNNI.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.network.variants import Target
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.preprocess import Preprocessor

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

METHODS = {
    "minmax": "MinMax",
    "percentile": "Percentile",
    "entropy": "Entropy",
}  # ours, and ONNX Runtime's name

_FULL = 127  # the largest int8 weight; -128 is not used
# 255 * (127 + 1) < 2**15: a pair of quantised weights may sum up to 127, and to 128 by rounding.
_PAIR = 127


class _Reader:
    """The calibration frames as ONNX Runtime's quantizer asks for them, one at a time to bound memory."""

    def __init__(self, name: str, batches: Sequence[npt.NDArray[np.uint8]]) -> None:
        self._name, self._batches = name, batches
        self.set_range(0, len(batches))

    def __len__(self) -> int:
        return len(self._batches)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left: Iterator[npt.NDArray[np.uint8]] = iter(self._batches[start_index:end_index])

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        batch = next(self._left, None)
        return None if batch is None else {self._name: batch}


def quantize(
    model: ModelProto,
    source: ModelFile,
    frames: Sequence[npt.NDArray[np.uint8]],
    method: str,
    target: Target = Target.CPU,
) -> ModelProto:
    """Return the INT8 variant of a model that takes bytes (`with_uint8_input`), with quantize/dequantize pairs.

    It is calibrated on BGR frames by one of `METHODS`; ``source``, from which it came, has the size of the input.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    preprocess = Preprocessor(source.network_size, "stretch", as_bytes=True)
    batches = [preprocess(frame)[0] for frame in frames]
    # One frame after the other: all layers' outputs of many frames do not fit in memory.
    options: dict[str, Any] = {"CalibStridedMinMax": 1, "CalibPercentile": 99.999}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "int8"))
        onnx.save(model, str(plain))
        quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
        whole = onnx.load(str(prepared))
        heads = _name_heads(whole.graph)
        onnx.save(whole, str(prepared))
        if target is Target.CPU:
            options["TensorQuantOverrides"] = _weight_ranges(whole.graph, heads)
        else:
            options |= {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}
        quantize_static(
            str(prepared),
            str(made),
            _Reader(model.graph.input[0].name, batches),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8 if target is Target.CPU else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod[METHODS[method]],
            nodes_to_exclude=heads,
            extra_options=options,
        )
        return onnx.load(str(made))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the quantizer prints line by line, and warns on the root logger about what was just done."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(before)


def pair_safe_scales(kernel: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the scale of each output channel with which no pair of neighbouring weights can overflow 16 bits.

    Of weights ``(out, in, height, width)`` it is ``(out,)``: ``round(kernel / scale)`` fits int8, and neighbours of the
    same sign sum up to 128 at most.

    Neighbours are weights ``2k`` and ``2k + 1`` in the order height, width, input channel, which is how ONNX
    Runtime's convolution lines them up for ``vpmaddubsw``; where the number of input channels is odd, also when each
    pixel's channels begin a new pair, as OpenVINO's does. Their products with uint8 activations are added in 16
    bits, so ``255 * (w1 + w2)`` must stay below ``2 ** 15``.
    """
    rows = kernel.astype(np.float64).transpose(0, 2, 3, 1)
    pixels = np.pad(rows, ((0, 0),) * 3 + ((0, rows.shape[3] % 2),))
    flat = rows.reshape(len(rows), -1)
    flat = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2)))
    needed: npt.NDArray[np.float64] = np.abs(flat).max(1) / _FULL
    for weights in (pixels, flat):
        pairs = weights.reshape(len(rows), -1, 2)
        for sign in (1, -1):
            needed = np.maximum(needed, np.maximum(sign * pairs, 0.0).sum(2).max(1) / _PAIR)
    return needed


def _name_heads(graph: GraphProto) -> list[str]:
    """Give every node a name, and return those of the heads: each output back to its last convolution.

    They stay in float. Quantised outputs would leave a dozen different values of coverage, and no distance could
    be larger than the largest among the calibration frames: people nearer to the camera would be cut off.
    """
    for i, node in enumerate(graph.node):
        node.name = node.name or f"{node.op_type}_{i}"
    made_by = {tensor: node for node in graph.node for tensor in node.output}
    heads: dict[str, None] = {}
    waiting = [value.name for value in graph.output]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is None or node.name in heads:
            continue
        heads[node.name] = None
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            waiting += node.input
    return list(heads)


def _weight_ranges(graph: GraphProto, heads: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the range of every output channel of each convolution's weights, as the quantizer takes it."""
    from onnx import numpy_helper
    from onnxruntime.quantization import QuantType

    tensors = {tensor.name: tensor for tensor in graph.initializer}
    ranges: dict[str, list[dict[str, Any]]] = {}
    for node in graph.node:
        if node.op_type == "Conv" and node.name not in heads and node.input[1] in tensors:
            ends = pair_safe_scales(numpy_helper.to_array(tensors[node.input[1]])) * _FULL
            kind = {"quant_type": QuantType.QInt8, "symmetric": True}
            channels = [kind | {"rmin": np.float32(-end), "rmax": np.float32(end)} for end in ends]
            ranges[node.input[1]] = [channels[0] | {"axis": 0}, *channels[1:]]
    return ranges
