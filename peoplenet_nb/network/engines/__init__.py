"""The engines that run the network: ONNX Runtime with its providers, MNN, and OpenVINO.

One decision to know: an engine is what answered after construction; asked for a device that is not there,
it raises, with the loader's own reason, and never takes another one instead.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from peoplenet_nb.errors import choose
from peoplenet_nb.network.devices import Device, Precision
from peoplenet_nb.network.engines.arrays import Array, Outputs
from peoplenet_nb.onnxfile import ModelFile

__all__ = ["Backend", "Releases", "check_device", "open_backend"]


class Backend(Protocol):
    """What a model needs of an engine; `run` may be called from several threads at once."""

    device: Device
    precision: Precision
    providers: tuple[str, ...]  #: what runs the network, as the engine itself reports it
    threads: int  #: of one inference on a CPU

    def run(self, batch: Array) -> Outputs:
        """Return coverage ``(N, C, rows, cols)`` and boxes ``(N, 4C, rows, cols)`` or None."""
        ...


@runtime_checkable
class Releases(Protocol):
    """An engine that can let go of memory while another one of the same model works."""

    def release(self) -> None:
        """Let go of what the next `run` can make again."""
        ...


def open_backend(
    runs: ModelFile,
    device: Device | str = Device.CPU,
    threads: int | None = None,
    precision: Precision | str = Precision.FP32,
) -> Backend:
    """Load a model file, the one that fits a device (`variant_for`, `in_mnn`), on that device, which is not ``auto``.

    Raises
    ------
    DeviceError
        When the device is not there, or does not compute in that precision, with the reason.
    ModelError
        When the engine refuses the model itself.
    """
    device = choose(Device, device, "device")
    check_device(device)
    precision = choose(Precision, precision, "precision")
    if runs.quantized:
        precision = Precision.INT8
    elif precision is Precision.AUTO:
        precision = Precision.FP32
    if device is Device.MNN:
        from peoplenet_nb.network.engines.mnn import MnnBackend

        return MnnBackend(runs, threads)
    if device is Device.OPENVINO:
        from peoplenet_nb.network.engines.openvino import OpenVinoBackend

        return OpenVinoBackend(runs, threads, precision)
    from peoplenet_nb.network.engines.ort import OrtBackend

    return OrtBackend(runs, device, threads, precision)


def check_device(device: Device) -> None:
    """Raise a DeviceError where what is installed cannot know a device; whether it loads shows in loading."""
    if device is Device.MNN:
        from peoplenet_nb.network.engines import mnn

        mnn.check_installed()
    elif device is Device.OPENVINO:
        from peoplenet_nb.network.engines import openvino

        openvino.check_installed()
    else:
        from peoplenet_nb.network.engines.ort import check_provider

        check_provider(device)
