"""The engines that run the network: ONNX Runtime with its providers, and OpenVINO.

One decision to know: a device is what answered after construction. Asked for a GPU and given a CPU is an
error that carries the loader's own reason; only ``auto`` may choose, and it reports what it took.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import DeviceError, ModelError
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import cache_dir
from peoplenet_nb.runtime import available_threads
from peoplenet_nb.settings import choose

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"


_PROVIDER = {
    Device.CPU: "CPUExecutionProvider",
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
}
_LIBRARY = {
    Device.CUDA: "libonnxruntime_providers_cuda.so",
    Device.TENSORRT: "libonnxruntime_providers_tensorrt.so",
}
# TensorRT is left out of `auto`: its first engine takes minutes to build. OpenVINO too: it must be asked for.
_AUTO_ORDER = (Device.CUDA, Device.CPU)


class Backend(Protocol):
    """What a model needs of an engine; `run` may be called from several threads at once."""

    device: Device
    providers: tuple[str, ...]
    threads: int

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        """Return coverage ``(N, C, rows, cols)`` and boxes ``(N, 4C, rows, cols)`` or None."""
        ...


def open_backend(file: ModelFile, device: Device | str = Device.AUTO, threads: int | None = None) -> Backend:
    """Load a model on a device.

    Parameters
    ----------
    file : ModelFile
        A checked model file.
    device : Device or str
        ``auto`` takes CUDA where it really loads, else the CPU.
    threads : int, optional
        Threads of one inference on a CPU; the cores this process may use when left out.

    Raises
    ------
    DeviceError
        When the device is not there, with the loader's reason.
    ModelError
        When the engine refuses the model itself.
    """
    device = choose(Device, device, "device")
    if device is Device.AUTO:
        for candidate in _AUTO_ORDER[:-1]:
            try:
                return OrtBackend(file, candidate, threads)
            except DeviceError as error:
                logger.info("auto passes over %s: %s", candidate, error)
        device = _AUTO_ORDER[-1]
    if device is Device.OPENVINO:
        return OpenVinoBackend(file, threads)
    return OrtBackend(file, device, threads)


class OrtBackend:
    """ONNX Runtime."""

    def __init__(self, file: ModelFile, device: Device, threads: int | None = None) -> None:
        import onnxruntime as ort

        self.device = device
        self.threads = threads or available_threads()
        self._outputs = [file.coverage.name] + ([file.boxes.name] if file.boxes else [])
        self._input = file.input.name
        wanted = _PROVIDER[device]
        if wanted not in ort.get_available_providers():
            raise DeviceError(
                f"The device '{device}' is not there",
                seen=f"onnxruntime {ort.__version__} was built with {', '.join(ort.get_available_providers())}",
                next_step="install the GPU build (bash setup_runpod.sh chooses it by the driver), or use device='cpu'.",
            )
        if device is not Device.CPU:
            _preload(ort)
        options = ort.SessionOptions()
        options.log_severity_level = 3
        # ONNX Runtime sizes its pool from the host's cores, not the container's quota, and its threads spin.
        options.intra_op_num_threads = self.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # Without this ONNX Runtime prints a refused provider's reason and goes on with the CPU.
            self.session = ort.InferenceSession(
                str(file.path), options, providers=list(_providers(device)), enable_fallback=0
            )
        except Exception as error:
            if device is Device.CPU:
                raise ModelError(
                    "ONNX Runtime cannot load the model",
                    seen=error,
                    next_step="fetch it again: peoplenet-nb download.",
                ) from error
            raise _not_loaded(device, str(error)) from error
        self.providers = tuple(self.session.get_providers())
        if self.providers[0] != wanted:
            raise _not_loaded(device, f"the session fell back to {', '.join(self.providers)}")

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        """Run the network on ``(N, 3, H, W)`` float32."""
        outputs = self.session.run(self._outputs, {self._input: batch})
        return outputs[0], outputs[1] if len(outputs) > 1 else None


class OpenVinoBackend:
    """OpenVINO on the CPU, in float32: by default it computes in bf16 where it can, without saying so."""

    def __init__(self, file: ModelFile, threads: int | None = None) -> None:
        try:
            import openvino as ov
        except ImportError as error:
            raise DeviceError(
                "The device 'openvino' is not there",
                seen=error,
                next_step="pip install 'peoplenet-nb[openvino]'.",
            ) from error
        self.device = Device.OPENVINO
        self.threads = threads or available_threads()
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            core = ov.Core()
            self._compiled = core.compile_model(core.read_model(str(file.path)), "CPU", config)
        except Exception as error:
            raise ModelError(
                "OpenVINO cannot load the model",
                seen=error,
                next_step="use device='cpu', or fetch the model again.",
            ) from error
        self._outputs = [self._compiled.output(t.name) for t in (file.coverage, file.boxes) if t is not None]
        self.providers: tuple[str, ...] = (f"OpenVINO {ov.__version__.split('-')[0]} CPU",)

    def run(self, batch: Floats) -> tuple[Floats, Floats | None]:
        """Run the network on ``(N, 3, H, W)`` float32."""
        request = self._compiled.create_infer_request()
        results = request.infer({0: batch})
        arrays = [np.array(results[output]) for output in self._outputs]
        return arrays[0], arrays[1] if len(arrays) > 1 else None


def _providers(device: Device) -> Iterable[str | tuple[str, dict[str, str]]]:
    if device is Device.TENSORRT:
        cache = cache_dir() / "tensorrt"
        cache.mkdir(parents=True, exist_ok=True)
        options = {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(cache),
            "trt_timing_cache_enable": "1",
        }
        yield (_PROVIDER[device], options)
        yield _PROVIDER[Device.CUDA]
    elif device is Device.CUDA:
        yield _PROVIDER[device]
    yield _PROVIDER[Device.CPU]


def _preload(ort: Any) -> None:
    """Let ONNX Runtime find CUDA and cuDNN in their pip wheels."""
    preload = getattr(ort, "preload_dlls", None)
    if preload is not None:
        try:
            preload()
        except Exception as error:  # what it cannot load, the session's own error will name
            logger.debug("preload_dlls: %s", error)


def _not_loaded(device: Device, told: str) -> DeviceError:
    """Return the error for a provider that the wheel has and the machine refuses, with the loader's reason."""
    import onnxruntime as ort

    reason = told
    library = Path(ort.__file__).parent / "capi" / _LIBRARY[device]
    if library.exists():
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            reason = str(error)
    return DeviceError(
        f"The device '{device}' was asked for and could not be loaded",
        seen=reason,
        next_step="run `peoplenet-nb doctor` for the driver and libraries, or use device='cpu'.",
    )
