"""MNN on the CPU, in FP32: Winograd's convolutions, which need fewer multiplications than ONNX Runtime's.

Decisions to know:

- Interpreter and session, not the newer Module: ``Module.forward`` holds the GIL, so that nothing else runs meanwhile.
- An interpreter locks itself while it runs: each inference at the same time has an interpreter of its own.
- ``MNN.tools``, the wheel's commands, is never imported: it installs a package with pip and reports over the network
  what was converted. The converter itself is the module ``_tools`` (`peoplenet_nb.network.mnnfile`).
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from typing import Any

import numpy as np

from peoplenet_nb.errors import DeviceError, ModelError
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines.arrays import Array, Outputs, as_outputs
from peoplenet_nb.onnxfile import ModelFile

logger: logging.Logger = logging.getLogger(__name__)

_STDOUT = 1
_WORDS = re.compile(rb"The device supports: |MNN use ")
_redirecting = threading.Lock()


def check_installed() -> None:
    """Raise a DeviceError where MNN is not installed or does not load."""
    try:
        with quiet():
            import MNN

        MNN.Interpreter  # noqa: B018  another module may have that name
        version()
    except Exception as error:  # native code of a wheel for another machine fails in many ways
        raise DeviceError(
            "The device 'mnn' is not there",
            seen=error,
            next_step="bash setup_runpod.sh installs it where there is no GPU, or pip install --force-reinstall MNN.",
        ) from error


def version() -> str:
    """Return the version of MNN that is installed."""
    return metadata.version("MNN")


class MnnBackend:
    """MNN on a file of its own format; ``runs`` names its tensors."""

    device: Device = Device.MNN
    precision: Precision = Precision.FP32

    def __init__(self, runs: ModelFile, threads: int | None = None) -> None:
        self.threads: int = threads or available_threads()
        self.providers: tuple[str, ...] = (f"MNN {version()} CPU",)
        self._runs = runs
        self._idle = [_Inference(runs, self.threads)]

    def run(self, batch: Array) -> Outputs:
        """Run the network on a batch; as many at once as there are callers."""
        try:
            free = self._idle.pop()
        except IndexError:
            free = _Inference(self._runs, self.threads)
        made = free.run(batch)
        self._idle.append(free)
        return made

    def release(self) -> None:
        """Let go of the interpreters that are idle, some 100 MB each; the next `run` makes one."""
        self._idle.clear()


class _Inference:
    """An interpreter with a session: one inference at a time."""

    def __init__(self, runs: ModelFile, threads: int) -> None:
        import MNN

        self._outputs = [tensor.name for tensor in runs.outputs]
        options = {"backend": "CPU", "numThread": threads, "precision": "high"}
        try:
            with quiet():
                self._net = MNN.Interpreter(str(runs.path))
                self._session = self._net.createSession(options)
                self._input = self._net.getSessionInput(self._session, runs.input.name)
        except Exception as error:
            step = "build it again: `peoplenet-nb optimise --force`, or use device='cpu'."
            raise ModelError("MNN cannot load the model", seen=error, next_step=step) from error

    def run(self, batch: Array) -> Outputs:
        import MNN

        kind = MNN.Halide_Type_Uint8 if batch.dtype == np.uint8 else MNN.Halide_Type_Float
        if self._input.getShape() != batch.shape:
            self._net.resizeTensor(self._input, batch.shape)
            self._net.resizeSession(self._session)
        plain = MNN.Tensor_DimensionType_Caffe  # the order of the axes as they are
        self._input.copyFrom(MNN.Tensor(batch.shape, kind, np.ascontiguousarray(batch), plain))
        if code := self._net.runSession(self._session):
            step = "use device='cpu', with smaller batches if memory is short."
            raise ModelError("MNN could not run the network", seen=f"its error code {code}", next_step=step)
        made = []
        for name in self._outputs:
            tensor = self._net.getSessionOutput(self._session, name)
            shape = tensor.getShape()
            host = MNN.Tensor(shape, MNN.Halide_Type_Float, np.empty(shape, np.float32), plain)
            tensor.copyToHostTensor(host)
            made.append(host.getNumpyData().copy())
        return as_outputs(made)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep off the process's standard output what MNN's native code writes there when it loads.

    The descriptor leads to a file meanwhile, for all threads; what others wrote there is passed on afterwards.
    """
    libc: Any = ctypes.CDLL(None)
    with _redirecting, tempfile.TemporaryFile() as caught:
        libc.fflush(None)
        try:
            kept = os.dup(_STDOUT)
        except OSError:  # closed: nothing to keep clean
            yield
            return
        os.dup2(caught.fileno(), _STDOUT)
        try:
            yield
        finally:
            libc.fflush(None)
            os.dup2(kept, _STDOUT)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if _WORDS.match(line):
                    logger.debug("%s", line.decode(errors="replace").rstrip())
                else:
                    os.write(_STDOUT, line)
