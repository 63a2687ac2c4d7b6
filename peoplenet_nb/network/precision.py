"""What the network computes in, and which form of a model runs: the file itself, its uint8-input form, or INT8.

One decision to know: nothing is built here. Forms are built, measured and recorded by
`peoplenet_nb.speed`; a load only takes what is on disk with a record that fits the model, so that what runs
is always something that was proved.
"""

from __future__ import annotations

from enum import StrEnum

from peoplenet_nb.errors import DeviceError, ModelError, choose
from peoplenet_nb.hardware import has_int8_instructions
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.variants import Target, Variant, int8_path, uint8_path
from peoplenet_nb.onnxfile import ModelFile, read_model_file


class Precision(StrEnum):
    """What the network computes in."""

    AUTO = "auto"
    FP32 = "fp32"
    TF32 = "tf32"
    """FP32 with the products of NVIDIA's tensor cores: 10 bits of mantissa. CUDA only."""
    FP16 = "fp16"
    """TensorRT only."""
    BF16 = "bf16"
    """OpenVINO only, on CPUs that have it."""
    INT8 = "int8"


_PRECISIONS_OF = {
    Device.CPU: (Precision.FP32, Precision.INT8),
    Device.OPENVINO: (Precision.FP32, Precision.BF16, Precision.INT8),
    Device.CUDA: (Precision.FP32, Precision.TF32),
    Device.TENSORRT: (Precision.FP32, Precision.FP16, Precision.INT8),
}


def precisions_of(device: Device | str) -> tuple[Precision, ...]:
    """Return the precisions that a device runs, the exact one first; of none in particular, the CPU's.

    Raises
    ------
    SettingsError
        When there is no such device.
    """
    device = choose(Device, device, "device")
    return _PRECISIONS_OF[Device.CPU if device is Device.AUTO else device]


def computed_precision(runs: ModelFile, asked: Precision | str) -> Precision:
    """Return what a file computes in where a precision was asked for: ``auto`` is settled."""
    asked = choose(Precision, asked, "precision")
    if runs.quantized:
        return Precision.INT8
    return Precision.FP32 if asked is Precision.AUTO else asked


def variant_for(file: ModelFile, precision: Precision | str, device: Device | str = Device.CPU) -> ModelFile:
    """Return the file to run for a precision on a device.

    Parameters
    ----------
    file : ModelFile
        The model.
    precision : Precision or str
        What to compute in; ``auto`` takes INT8 on the CPU only.
    device : Device or str
        Where it will run.

    Raises
    ------
    DeviceError
        When the device does not offer the precision.
    ModelError
        When INT8 was asked for and has not been built, or TensorRT and its form has not been.
    """
    precision, device = choose(Precision, precision, "precision"), choose(Device, device, "device")
    if file.quantized and precision in (Precision.AUTO, Precision.INT8):
        return file
    if precision is not Precision.AUTO and precision not in precisions_of(device):
        raise DeviceError(
            f"The device '{device}' does not compute in '{precision}'",
            seen=f"{device} offers {', '.join(precisions_of(device))}",
            next_step=f"choose one of them, or a device that has {precision}.",
        )
    target = Target.of(device)
    if precision is not Precision.FP32 and device is not Device.CUDA:
        int8 = Variant.load(int8_path(file, target), file)
        if precision is Precision.INT8 and int8 is None:
            raise ModelError(
                f"There is no INT8 form of this model for the device '{device}' yet",
                seen=file.path,
                next_step=f"build it with frames like yours: `peoplenet-nb optimise --int8 SOURCE{_for(target)}`.",
            )
        if int8 is not None and (precision is Precision.INT8 or _worth_it(int8, precision, device)):
            return read_model_file(int8.path)
    uint8 = Variant.load(uint8_path(file, target), file)
    if uint8 is None and target is Target.TENSORRT:
        # ONNX Runtime takes shapes as "name:1x3x…", which "input_1:0" breaks, and TensorRT wants bytes cast first.
        raise ModelError(
            "TensorRT runs a form of the model of its own, and it has not been built yet",
            seen=file.path,
            next_step=f"build it: `peoplenet-nb optimise{_for(target)}`, a matter of seconds.",
        )
    return file if uint8 is None else read_model_file(uint8.path)


def _worth_it(int8: Variant, precision: Precision, device: Device) -> bool:
    """Return whether ``auto`` takes INT8: on a CPU that is fast at it, and where it was proved to agree."""
    able = device is Device.CPU and has_int8_instructions()
    return precision is Precision.AUTO and able and int8.proved


def _for(target: Target) -> str:
    return f" --device {target}" if target is Target.TENSORRT else ""
