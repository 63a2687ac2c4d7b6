"""Static INT8 by ONNX Runtime's quantizer, with the choices that were measured to matter on CPUs.

One decision to know: activations are *uint8* and weights int8 per channel. On x86 that is the pair that VNNI
multiplies; symmetric int8 activations gain nothing there. Without VNNI the 16-bit sums of that pair can
saturate, so weights are kept to 7 bits.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.runtime import has_int8_instructions

if TYPE_CHECKING:
    from onnx import ModelProto

METHODS = ("minmax", "percentile", "entropy")


def fold_range() -> bool:
    """Return whether weights are kept to 7 bits, because this CPU has neither VNNI nor AMX."""
    return not has_int8_instructions()


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
    model: ModelProto, source: ModelFile, frames: Sequence[npt.NDArray[np.uint8]], method: str
) -> ModelProto:
    """Return the static INT8 form of a model with uint8 input.

    Parameters
    ----------
    model : onnx.ModelProto
        The model with uint8 input (`peoplenet_nb.optimise.graph.with_uint8_input`).
    source : ModelFile
        The model that it came from: names and size of the input.
    frames : sequence of ndarray
        BGR frames to calibrate on.
    method : str
        One of `METHODS`.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    preprocess = Preprocessor(source.network_size, as_bytes=True)
    batches = [preprocess(frame)[0] for frame in frames]
    methods: dict[str, Any] = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    quiet = logging.getLogger()
    before = quiet.level
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("plain", "prepared", "int8"))
        onnx.save(model, str(plain))
        quiet.setLevel(logging.ERROR)  # the quantizer warns on the root logger about what was just done
        try:
            quant_pre_process(str(plain), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(made),
                _Reader(source.input.name, batches),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=fold_range(),
                calibrate_method=methods[method],
                # One frame after the other: all layers' outputs of many frames do not fit in memory.
                extra_options={"CalibStridedMinMax": 1, "CalibPercentile": 99.999},
            )
        finally:
            quiet.setLevel(before)
        return onnx.load(str(made))
