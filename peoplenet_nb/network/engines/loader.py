"""Why a GPU provider of ONNX Runtime is refused, and what helps the loader to find what it needs.

One decision to know: ONNX Runtime's own message about a provider that would not load is vague; the loader's
names the missing library. So the library is opened once more by hand, and its error is the reason given.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import re
from pathlib import Path

_LONGEST_REASON = 400

logger: logging.Logger = logging.getLogger(__name__)

_LIBRARY = {
    "CUDAExecutionProvider": "libonnxruntime_providers_cuda.so",
    "TensorrtExecutionProvider": "libonnxruntime_providers_tensorrt.so",
}
# In the order in which they need each other.
_TENSORRT = ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10")


def refusal(provider: str) -> str:
    """Return why the loader refuses a provider's library, empty when it takes it or there is none."""
    import onnxruntime as ort

    library = Path(ort.__file__).parent / "capi" / _LIBRARY.get(provider, "")
    if not library.is_file():
        return ""
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return ""


def gist(text: str) -> str:
    """Return the message of a C++ exception of ONNX Runtime, without the signatures around it."""
    found = re.search(r"CU\w+ failure \d+: [^;]*", text)
    return found.group().strip() if found else shorten(text)


def shorten(text: str) -> str:
    """Return a text on one line, its end when it is long: that is where tracebacks have their reason."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_REASON else "…" + line[-_LONGEST_REASON:]


def preload(provider: str) -> None:
    """Let ONNX Runtime find CUDA, cuDNN and TensorRT in their pip wheels, where the system has none; no telemetry."""
    import onnxruntime as ort

    # The variable is read when ONNX Runtime is imported, which may have been before this package was.
    if os.environ.get("ORT_DISABLE_TELEMETRY") != "0":
        ort.disable_telemetry_events()
    if provider not in _LIBRARY:
        return
    preload_dlls = getattr(ort, "preload_dlls", None)
    if preload_dlls is not None:
        try:
            preload_dlls()
        except Exception as error:  # what it cannot load, the session's own error will name
            logger.debug("preload_dlls: %s", error)
    if provider == "TensorrtExecutionProvider":
        for path in _tensorrt_libraries():
            try:
                ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            except OSError as error:
                logger.debug("%s: %s", path, error)


def _tensorrt_libraries() -> list[Path]:
    """Return TensorRT's libraries in its wheel (``tensorrt-cu12`` or ``tensorrt-cu13``), in loading order."""
    found = importlib.util.find_spec("tensorrt_libs")
    folders = found.submodule_search_locations if found is not None else None
    return [path for folder in folders or [] for name in _TENSORRT if (path := Path(folder) / name).is_file()]
