"""The devices that the network can run on.

One decision to know: a device is what answered after construction. Asked for a GPU and given a CPU is an
error that carries the loader's own reason; only ``auto`` may choose, and it reports what it took.
"""

from __future__ import annotations

from enum import StrEnum


class Device(StrEnum):
    """Where the network runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU, which wants frames in batches."""
        return self in (Device.CUDA, Device.TENSORRT)
