"""Inference through buffers that stay on the device (ONNX Runtime's IOBinding), for GPUs.

One decision to know: a GPU takes one batch after the other anyway, so one set of buffers per size serves all
threads, and one thread of its own runs them all. That is also what CUDA graphs demand: the same addresses in every
replay, and one and the same thread. Batches are padded to the next power of two, so that few sizes are ever seen
and each is captured, or built, once.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from peoplenet_nb.network.engines.arrays import Array, Outputs, as_outputs

MAX_BATCH = 32


def padded(count: int) -> int:
    """Return the size of the batch that ``count`` frames run in: the next power of two."""
    return 1 << max(0, count - 1).bit_length()


@dataclass(frozen=True)
class _Buffers:
    """One size's buffers on the device, bound to the session's inputs and outputs."""

    staging: Array
    entering: Any
    leaving: list[Any]
    binding: Any
    options: Any


class BufferedRunner:
    """Run an ONNX Runtime session on buffers of its device, ``cuda`` or ``cpu``.

    ``outputs`` are the names of its outputs, and the shape of each without the batch axis.
    """

    def __init__(
        self,
        session: Any,
        input_name: str,
        outputs: Sequence[tuple[str, tuple[int, ...]]],
        memory: str = "cuda",
    ) -> None:
        self._session, self._input, self._outputs, self._memory = session, input_name, outputs, memory
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bound")
        self._kept: dict[tuple[int, ...], _Buffers] = {}

    def run(self, batch: Array) -> Outputs:
        """Run the network on a batch of any size; longer ones than `MAX_BATCH` go in pieces."""
        starts = range(0, len(batch), MAX_BATCH)
        pieces = list(self._thread.map(lambda start: self._piece(batch[start : start + MAX_BATCH]), starts))
        columns = zip(*pieces, strict=True)
        return as_outputs([np.concatenate(column) if len(pieces) > 1 else column[0] for column in columns])

    def _piece(self, batch: Array) -> list[Array]:
        count = len(batch)
        buffers = self._buffers((padded(count), *batch.shape[1:]), batch.dtype)
        if count == len(buffers.staging):
            buffers.entering.update_inplace(np.ascontiguousarray(batch))
        else:  # what lies in the rest of the staging buffer is computed and thrown away
            buffers.staging[:count] = batch
            buffers.entering.update_inplace(buffers.staging)
        self._session.run_with_iobinding(buffers.binding, buffers.options)
        return [value.numpy()[:count].copy() for value in buffers.leaving]

    def _buffers(self, shape: tuple[int, ...], dtype: Any) -> _Buffers:
        """Return the buffers of a size of batch, made on first use."""
        if shape in self._kept:
            return self._kept[shape]
        import onnxruntime as ort

        staging: Array = np.zeros(shape, dtype)
        # An OrtValue in CPU memory is the array that it was made from, so it gets one of its own.
        entering = ort.OrtValue.ortvalue_from_numpy(staging.copy(), self._memory, 0)
        binding, leaving = self._session.io_binding(), []
        binding.bind_ortvalue_input(self._input, entering)
        for name, rest in self._outputs:
            value = ort.OrtValue.ortvalue_from_shape_and_type((shape[0], *rest), np.float32, self._memory, 0)
            binding.bind_ortvalue_output(name, value)
            leaving.append(value)
        options = ort.RunOptions()
        # A captured graph holds addresses and shapes: each size has a number of its own. 0 is reserved.
        options.add_run_config_entry("gpu_graph_id", str(len(self._kept) + 1))
        self._kept[shape] = _Buffers(staging, entering, leaving, binding, options)
        return self._kept[shape]
