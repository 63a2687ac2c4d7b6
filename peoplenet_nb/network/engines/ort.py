"""ONNX Runtime: on the CPU, with CUDA and with TensorRT.

One decision to know: on a GPU the optional accelerations (a CUDA graph) are tried once, on a real inference,
when the model is loaded. What does not work there is left out and logged; what runs later is what ran then.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import numpy as np

from peoplenet_nb.errors import DeviceError, ModelError
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines.arrays import Array, Outputs, as_outputs
from peoplenet_nb.network.engines.buffers import BufferedRunner
from peoplenet_nb.network.engines.loader import gist, preload, refusal
from peoplenet_nb.network.engines.providers import PROVIDER, provider_options
from peoplenet_nb.onnxfile import ModelFile

logger: logging.Logger = logging.getLogger(__name__)


def check_provider(device: Device) -> None:
    """Raise a DeviceError where the ONNX Runtime that is installed was not built for a device."""
    import onnxruntime as ort

    built_for = ort.get_available_providers()
    if PROVIDER[device] not in built_for:
        raise DeviceError(
            f"The device '{device}' is not there",
            seen=f"onnxruntime {ort.__version__} was built with {', '.join(built_for)}",
            next_step="install the GPU build (bash setup_runpod.sh chooses it by the driver), or use device='cpu'.",
        )


class OrtBackend:
    """ONNX Runtime on one device; ``graph`` tells whether inference replays a CUDA graph."""

    def __init__(
        self,
        runs: ModelFile,
        device: Device = Device.CPU,
        threads: int | None = None,
        precision: Precision = Precision.FP32,
    ) -> None:
        self._runs = runs
        self.device: Device = device
        self.precision: Precision = precision
        self.threads: int = threads or available_threads()
        self._bound: BufferedRunner | None = None
        self._lock = threading.Lock()
        self.graph: bool = False
        if device is Device.CUDA:
            self._open_with_graph()
        else:
            self.session = self._open()
        self.providers: tuple[str, ...] = tuple(self.session.get_providers())
        if device is Device.TENSORRT:
            self._bound = self._bind()

    def run(self, batch: Array) -> Outputs:
        """Run the network on a batch."""
        if self._bound is not None:
            bound = self._bound
            try:
                return bound.run(batch)
            except Exception as error:
                if not self.graph:
                    raise
                logger.warning("CUDA goes on without a graph: %s", gist(str(error)))
                return self._without_graph(bound).run(batch)
        names = [tensor.name for tensor in self._runs.outputs]
        return as_outputs(self.session.run(names, {self._runs.input.name: batch}))

    def _open_with_graph(self) -> None:
        """Open on CUDA with its graphs, or without where this network or this GPU does not take them."""
        try:
            self.session = self._open(graph=True)
            self._bound = self._bind()
            self._bound.run(self._nothing())
            self.graph = True
        except DeviceError:
            raise
        except Exception as error:
            logger.info("CUDA is tried without a graph: %s", gist(str(error)))
            self._without_graph(self._bound)

    def _without_graph(self, failed: BufferedRunner | None) -> BufferedRunner:
        """Open the session anew without graphs, once for all threads that failed with the same runner."""
        with self._lock:
            if self._bound is None or self._bound is failed:
                self.session = self._open()
                self._bound, self.graph = self._bind(), False
            return self._bound

    def _open(self, *, graph: bool = False) -> Any:
        """Return a session whose first provider is the device's, or raise."""
        import onnxruntime as ort

        wanted = PROVIDER[self.device]
        preload(wanted)
        if self.device is Device.TENSORRT and (reason := refusal(wanted)):
            raise self._not_loaded(reason)  # before a build is announced that could not begin
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # ONNX Runtime sizes its pool from the host's cores, not the container's quota, and its threads spin.
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = provider_options(self.device, self.precision, self._runs, graph=graph)
        try:
            # Without the last ONNX Runtime prints a refused provider's reason and goes on with the CPU.
            session = ort.InferenceSession(str(self._runs.path), options, providers, enable_fallback=0)
        except Exception as error:
            if self.device is Device.CPU:
                step = "fetch it again: peoplenet-nb download."
                raise ModelError("ONNX Runtime cannot load the model", seen=error, next_step=step) from error
            reason = refusal(wanted)
            if graph and not reason:
                raise  # the provider itself loads: it is the graph that it refuses
            raise self._not_loaded(reason or gist(str(error))) from error
        if session.get_providers()[0] != wanted:
            fell = f"the session fell back to {', '.join(session.get_providers())}"
            raise self._not_loaded(refusal(wanted) or fell)
        return session

    def _bind(self) -> BufferedRunner:
        outputs = [(tensor.name, tuple(map(int, tensor.shape[1:]))) for tensor in self._runs.outputs]
        return BufferedRunner(self.session, self._runs.input.name, outputs)

    def _nothing(self) -> Array:
        """Return one black frame as the network takes it."""
        width, height = self._runs.network_size
        if self._runs.channels_last:
            return np.zeros((1, height, width, 3), np.uint8)
        return np.zeros((1, 3, height, width), np.float32)

    def _not_loaded(self, reason: str) -> DeviceError:
        return DeviceError(
            f"The device '{self.device}' was asked for and could not be loaded",
            seen=reason,
            next_step="run `peoplenet-nb doctor` for the driver and libraries, or use device='cpu'.",
        )
