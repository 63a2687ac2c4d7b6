"""The options of ONNX Runtime's providers, for CUDA and TensorRT.

One decision to know: TensorRT builds its engines once per GPU, TensorRT, ONNX Runtime and model, for minutes,
and they are worth nothing elsewhere. So they lie on the volume in a folder named by all of that, and the first build
is announced.
"""

from __future__ import annotations

import hashlib
import logging
import re
from importlib import metadata
from pathlib import Path

from peoplenet_nb.files import writing
from peoplenet_nb.hardware import gpus
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines.buffers import MAX_BATCH
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import cache_dir

logger: logging.Logger = logging.getLogger(__name__)

PROVIDER = {
    Device.CPU: "CPUExecutionProvider",
    Device.CUDA: "CUDAExecutionProvider",
    Device.TENSORRT: "TensorrtExecutionProvider",
}
_OPTIMAL_BATCH = 8  # the size that TensorRT chooses its kernels for; the others run too

Provider = tuple[str, dict[str, str]]


def provider_options(
    device: Device, precision: Precision, runs: ModelFile, *, graph: bool = False
) -> list[Provider]:
    """Return ONNX Runtime's providers of a device in order, each with its options for the file that will run.

    With ``graph`` CUDA captures each size of batch as a graph.
    """
    cpu: Provider = (PROVIDER[Device.CPU], {})
    # Tensor cores round FP32 factors to TF32 unless forbidden: FP32 means FP32 here, and TF32 has its own name.
    cuda = {"use_tf32": str(int(precision is Precision.TF32))}
    if graph:
        cuda["enable_cuda_graph"] = "1"
    if device is Device.CPU:
        return [cpu]
    if device is Device.CUDA:
        return [(PROVIDER[device], cuda), cpu]
    return [(PROVIDER[device], _tensorrt_options(precision, runs)), (PROVIDER[Device.CUDA], cuda), cpu]


def _tensorrt_options(precision: Precision, runs: ModelFile) -> dict[str, str]:
    folder = engine_folder(precision, runs)
    if not any(folder.glob("*.engine")):
        text = "TensorRT builds its engine for this model and GPU: some minutes, once. It is kept in %s."
        logger.warning(text, folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    options = {
        # "True" and "False": here, unlike for CUDA, ONNX Runtime refuses "1" and "0".
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(folder),
        "trt_fp16_enable": str(precision is Precision.FP16),
        "trt_int8_enable": str(precision is Precision.INT8),
    }
    # A file that came quantised: TensorRT then builds for each shape that it meets.
    if ":" in runs.input.name:
        return options
    rest = "x".join(map(str, runs.input.shape[1:]))
    for name, batch in (("min", 1), ("opt", _OPTIMAL_BATCH), ("max", MAX_BATCH)):
        options[f"trt_profile_{name}_shapes"] = f"{runs.input.name}:{batch}x{rest}"
    return options


def engine_folder(precision: Precision, runs: ModelFile) -> Path:
    """Return where TensorRT's engines for a file, a precision and this very machine are kept."""
    import onnxruntime as ort

    found = gpus()
    machine = f"{found[0].name} sm{found[0].compute} driver {found[0].driver}" if found else "no gpu"
    versions = f"trt {_tensorrt_version()} ort {ort.__version__}"
    key = hashlib.sha256(f"{machine} {versions} {runs.sha256}".encode()).hexdigest()[:12]
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", f"{machine} {versions}").strip("-").lower()
    return cache_dir() / "tensorrt" / f"{readable}-{precision}-{key}"


def _tensorrt_version() -> str:
    for name in ("tensorrt-cu12-libs", "tensorrt-cu13-libs", "tensorrt-cu12", "tensorrt-cu13", "tensorrt"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "of the system"
