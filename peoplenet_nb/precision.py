"""Which form of a model runs: the file itself, its uint8-input form, or INT8.

One decision to know: nothing is built here. Forms are built, measured and recorded by
`peoplenet_nb.optimise`; a load only takes what is on disk with a record that fits the model, so that what runs
is always something that was proved.
"""

from __future__ import annotations

from enum import StrEnum

from peoplenet_nb.backends import Device
from peoplenet_nb.derived import Derived, int8_path, uint8_path
from peoplenet_nb.errors import ModelError
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.runtime import has_int8_instructions
from peoplenet_nb.settings import choose


class Precision(StrEnum):
    """What the network computes in."""

    AUTO = "auto"
    FP32 = "fp32"
    INT8 = "int8"


# INT8 boxes are taken without being asked for only when they are nearly the FP32 model's own.
AUTO_AGREEMENT = 0.95


def form_of(file: ModelFile, precision: Precision | str, device: Device | str = Device.AUTO) -> ModelFile:
    """Return the file to run for a precision.

    Parameters
    ----------
    file : ModelFile
        The model.
    precision : Precision or str
        ``auto``, ``fp32`` or ``int8``.
    device : Device or str
        Where it will run; ``auto`` takes INT8 on CPUs only.

    Raises
    ------
    ModelError
        When INT8 was asked for and has not been built.
    """
    precision = choose(Precision, precision, "precision")
    int8 = None if precision is Precision.FP32 else Derived.load(int8_path(file), file)
    if precision is Precision.INT8:
        if file.quantized:
            return file
        if int8 is None:
            raise ModelError(
                "There is no INT8 form of this model yet",
                seen=file.path,
                next_step="build it: `peoplenet-nb optimise --int8 SOURCE` with frames like yours.",
            )
        return read_model_file(int8.path)
    on_cpu = choose(Device, device, "device") in (Device.AUTO, Device.CPU)
    if int8 is not None and on_cpu and has_int8_instructions() and int8.agreement.ap50 >= AUTO_AGREEMENT:
        return read_model_file(int8.path)
    uint8 = Derived.load(uint8_path(file), file)
    return read_model_file(uint8.path) if uint8 is not None else file
