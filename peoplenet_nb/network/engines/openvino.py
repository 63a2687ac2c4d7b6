"""OpenVINO on the CPU.

One decision to know: by default OpenVINO computes in bf16 where the CPU has it, without saying so. Here the
precision is always named, and what was compiled is asked whether it is so.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from peoplenet_nb.errors import DeviceError, ModelError
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines.arrays import Array, Outputs, as_outputs
from peoplenet_nb.onnxfile import ModelFile

# What is not quantised in an INT8 file is computed in float32.
_HINT = {Precision.FP32: "f32", Precision.INT8: "f32", Precision.BF16: "bf16"}


def check_installed() -> None:
    """Raise a DeviceError where OpenVINO is not installed."""
    try:
        import openvino  # noqa: F401
    except ImportError as error:
        raise DeviceError(
            "The device 'openvino' is not there",
            seen=error,
            next_step="PEOPLENET_WITH=openvino bash setup_runpod.sh adds it, or pip install openvino.",
        ) from error


class OpenVinoBackend:
    """OpenVINO; as many inferences side by side as ``threads`` leaves cores for."""

    def __init__(
        self, runs: ModelFile, threads: int | None = None, precision: Precision = Precision.FP32
    ) -> None:
        import openvino as ov

        self.device: Device = Device.OPENVINO
        self.precision: Precision = precision
        cores = available_threads()
        self.threads: int = threads or cores
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINT[precision],
            "INFERENCE_NUM_THREADS": max(cores, self.threads),
            "NUM_STREAMS": max(1, cores // self.threads),
        }
        try:
            core = ov.Core()
            self._compiled = core.compile_model(core.read_model(str(runs.path)), "CPU", config)
        except Exception as error:
            step = "use device='cpu', or fetch the model again."
            raise ModelError("OpenVINO cannot load the model", seen=error, next_step=step) from error
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision is Precision.BF16 and "BF16" not in able:
            what = "OpenVINO does not compute in bf16 on this CPU"
            raise DeviceError(what, seen=able, next_step="use precision='fp32' or 'int8'.")
        self._outputs = [self._compiled.output(tensor.name) for tensor in runs.outputs]
        self._local = threading.local()
        self.providers: tuple[str, ...] = (f"OpenVINO {ov.__version__.split('-')[0]} CPU",)

    def run(self, batch: Array) -> Outputs:
        """Run the network on a batch; each thread has a request of its own."""
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        results = self._local.request.infer({0: batch}, share_inputs=True)
        return as_outputs([np.array(results[output]) for output in self._outputs])
