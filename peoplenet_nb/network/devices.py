"""Where the network runs, and what it computes in there.

One decision to know: a device is what answered after construction. Asked for a GPU and given a CPU is an
error that carries the loader's own reason; only ``auto`` may choose, and it reports what it took.
"""

from __future__ import annotations

from enum import StrEnum

from peoplenet_nb.errors import choose


class Device(StrEnum):
    """Where the network runs, from the simplest on."""

    AUTO = "auto"
    CPU = "cpu"
    MNN = "mnn"
    OPENVINO = "openvino"
    CUDA = "cuda"
    TENSORRT = "tensorrt"

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU, which wants frames in batches."""
        return self in (Device.CUDA, Device.TENSORRT)


class Precision(StrEnum):
    """What the network computes in, from the exact one on."""

    AUTO = "auto"
    FP32 = "fp32"
    TF32 = "tf32"
    """FP32 with the products of NVIDIA's tensor cores: 10 bits of mantissa. CUDA only."""
    BF16 = "bf16"
    """OpenVINO only, on CPUs that have it."""
    FP16 = "fp16"
    """TensorRT only."""
    INT8 = "int8"


_PRECISIONS_OF = {
    Device.CPU: (Precision.FP32, Precision.INT8),
    Device.MNN: (Precision.FP32,),
    Device.OPENVINO: (Precision.FP32, Precision.BF16, Precision.INT8),
    Device.CUDA: (Precision.FP32, Precision.TF32),
    Device.TENSORRT: (Precision.FP32, Precision.FP16, Precision.INT8),
}
#: Every device but ``auto``.
DEVICES: tuple[str, ...] = tuple(map(str, _PRECISIONS_OF))


def precisions_of(device: Device | str) -> tuple[Precision, ...]:
    """Return the precisions that a device runs, the exact one first; of none in particular, the CPU's.

    Raises
    ------
    SettingsError
        When there is no such device.
    """
    device = choose(Device, device, "device")
    return _PRECISIONS_OF[Device.CPU if device is Device.AUTO else device]
