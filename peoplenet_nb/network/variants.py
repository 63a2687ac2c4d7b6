"""Variants of a model: where they are kept, the record that stands beside each, and which one runs.

One decision to know: nothing is built here. `peoplenet_nb.speed` builds and measures; a load only takes what is on disk
with a record that names the SHA-256 of the model at hand, so that what runs is always something that was measured. Only
the form that MNN runs is made at a load (`peoplenet_nb.network.mnnfile`): it takes seconds, and measures too.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from peoplenet_nb.errors import DeviceError, ModelError, choose
from peoplenet_nb.files import sha256_of, write_text
from peoplenet_nb.hardware import cpu_name, has_int8_instructions
from peoplenet_nb.html_tables import table
from peoplenet_nb.network.devices import Device, Precision, precisions_of
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.paths import cache_dir, models_dir

# Part of the file names: a changed recipe makes new files and never reads old ones.
RECIPE = 4
# INT8 is taken without being asked for only when it loses at most 0.01 of average precision at IoU 0.5 and 0.03 at
# 0.75, the FP32 model's boxes being the truth, and there were some.
LEAST_AP50, LEAST_AP75, LEAST_BOXES = 0.99, 0.97, 10
#: In a recipe: how many times as fast as ONNX Runtime in FP32 it was on the processor that the recipe names as ``cpu``.
TIMES = "times_onnxruntime_fp32"
_WORTH = 1.05  # less is noise on a shared machine


class Target(StrEnum):
    """What a variant is made for: TensorRT wants another order of layers and another INT8."""

    CPU = "cpu"
    TENSORRT = "tensorrt"

    @classmethod
    def of(cls, device: Device) -> Target:
        """Return the target of a device; CUDA and OpenVINO take what CPUs take."""
        return cls.TENSORRT if device is Device.TENSORRT else cls.CPU


@dataclass(frozen=True)
class Agreement:
    """What differs between two models on the same frames.

    Average precisions, at IoU 0.5 and 0.75, are of the variant's boxes with the source's boxes as truth: the mean over
    classes, weighted by the source's boxes of each; 0 when it found nothing.
    """

    frames: int  #: how many were compared
    coverage: float  #: largest difference of a cell's coverage
    coverage_mean: float  #: mean difference over all cells
    box_px: float  #: largest difference of a box edge, network pixels, over cells whose coverage reaches 0.1
    boxes: int  #: how many the source found: with few, the next two say little
    ap50: float
    ap75: float

    @property
    def score(self) -> float:
        """One number to choose by: the mean of both average precisions."""
        return (self.ap50 + self.ap75) / 2

    @property
    def proved(self) -> bool:
        """Whether its boxes are nearly the source's own, on boxes enough to tell."""
        return self.boxes >= LEAST_BOXES and self.ap50 >= LEAST_AP50 and self.ap75 >= LEAST_AP75

    def __str__(self) -> str:
        boxes = "no boxes to compare"
        if self.boxes:
            figures = f"AP {self.ap50:.3f} at IoU 0.5 and {self.ap75:.3f} at 0.75"
            boxes = f"{figures} against the model's {self.boxes} boxes"
        differences = f"coverage within {self.coverage:.1e}, edges within {self.box_px:.2g} px"
        return f"{boxes} in {self.frames} frames; {differences}"

    def row(self) -> dict[str, object]:
        """Return it as a row of a table, without figures that say nothing for want of boxes."""
        return {
            "frames": self.frames,
            "boxes": self.boxes,
            "AP at IoU 0.5": self.ap50 if self.boxes else None,
            "AP at IoU 0.75": self.ap75 if self.boxes else None,
            "largest difference in coverage": f"{self.coverage:.1e}",
            "in box edges (px)": f"{self.box_px:.1e}",
        }

    def _repr_html_(self) -> str:
        return table([self.row()])


@dataclass(frozen=True)
class Variant:
    """A variant and the record that stands beside it as JSON."""

    path: Path  #: the variant's ``.onnx`` or ``.mnn``
    kind: str  #: ``uint8-input``, ``int8`` or ``mnn``
    source_sha256: str  #: of the model that it was made from
    recipe: dict[str, object]  #: how it was made: method, frames, options, versions of the tools
    agreement: Agreement  #: with its source, on frames that were not used in making it
    unlike: Agreement | None = None  #: on pictures unlike those that it was calibrated on, where it was

    @property
    def proved(self) -> bool:
        """Whether its boxes are nearly the source's own, on frames like the calibration's and on others."""
        return all(found.proved for found in self.agreements)

    @property
    def pays(self) -> bool:
        """Whether it was measured to be faster than ONNX Runtime in FP32, on this very machine."""
        times = self.recipe.get(TIMES)
        return self.recipe.get("cpu") == cpu_name() and isinstance(times, float) and times >= _WORTH

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """All that was measured: `agreement`, and `unlike` where there is one."""
        return (self.agreement,) if self.unlike is None else (self.agreement, self.unlike)

    def rows(self) -> list[dict[str, object]]:
        """Return a row of a table for each set of pictures that it was compared with its source on."""
        kinds = ("frames not used in making it", "pictures unlike the calibration's")
        shown = {"variant": self.kind, "file": self.path.name}
        return [
            shown | {"compared on": kind} | a.row() for kind, a in zip(kinds, self.agreements, strict=False)
        ]

    def _repr_html_(self) -> str:
        return table(self.rows(), "Compared with the model it was made from")

    @classmethod
    def load(cls, path: Path, source: ModelFile) -> Variant | None:
        """Return a variant that is on disk and was made from this source, else None."""
        try:
            data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            alike, unlike = Agreement(**data["agreement"]), data["unlike"] and Agreement(**data["unlike"])
            found = cls(path, data["kind"], data["source_sha256"], data["recipe"], alike, unlike)
            whole = sha256_of(path) == data["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if whole and found.source_sha256 == source.sha256 else None

    def save(self, made: Path) -> Variant:
        """Move a built file into place and its record after it; until then an earlier record does not fit it."""
        data = asdict(self) | {"path": self.path.name, "sha256": sha256_of(made)}
        record = made.with_suffix(".json")
        write_text(record, json.dumps(data, indent=1) + "\n")
        made.replace(self.path)
        record.replace(self.path.with_suffix(".json"))
        return self


def variants_dir(source: ModelFile) -> Path:
    """Return the folder of a model's variants.

    ``variants/`` beside a model that lies among our own downloads; a folder of the cache for any other, since
    nothing is written where others keep their files.
    """
    if source.path.resolve().is_relative_to(models_dir().resolve()):
        return source.path.parent / "variants"
    return cache_dir() / "variants" / source.sha256[:16]


def uint8_path(source: ModelFile, target: Target = Target.CPU) -> Path:
    """Return where a model's variant with a uint8 input is kept."""
    return _path(source, "uint8-input", target)


def int8_path(source: ModelFile, target: Target = Target.CPU) -> Path:
    """Return where a model's INT8 variant is kept."""
    return _path(source, "int8", target)


def _path(source: ModelFile, kind: str, target: Target) -> Path:
    suffix = "" if target is Target.CPU else f".{target}"
    return variants_dir(source) / f"{source.path.stem}.{kind}{suffix}.r{RECIPE}.onnx"


def variant_for(file: ModelFile, precision: Precision | str, device: Device | str = Device.CPU) -> ModelFile:
    """Return the file to run a model in a precision on a device; ``auto`` takes INT8 on the CPU only.

    For MNN it is the model itself, from which `peoplenet_nb.network.mnnfile` makes MNN's own.

    Raises
    ------
    DeviceError
        When the device does not run the precision.
    ModelError
        When INT8 was asked for and has not been built, or TensorRT's variant has not been.
    """
    precision, device = choose(Precision, precision, "precision"), choose(Device, device, "device")
    if file.quantized and precision in (Precision.AUTO, Precision.INT8) and device is not Device.MNN:
        return file
    if precision is not Precision.AUTO and precision not in precisions_of(device):
        raise DeviceError(
            f"The device '{device}' does not compute in '{precision}'",
            seen=f"{device} runs {', '.join(precisions_of(device))}",
            next_step=f"choose one of them, or a device that has {precision}.",
        )
    if device is Device.MNN:
        return file
    target = Target.of(device)
    if precision is not Precision.FP32 and device is not Device.CUDA:
        int8 = Variant.load(int8_path(file, target), file)
        if precision is Precision.INT8 and int8 is None:
            raise ModelError(
                f"There is no INT8 variant of this model for the device '{device}' yet",
                seen=file.path,
                next_step=f"build it with frames like yours: `peoplenet-nb optimise --int8 SOURCE{_for(target)}`.",
            )
        # `auto` takes it on a CPU that is fast at it, where it was proved to agree and measured to be faster.
        worth_it = device is Device.CPU and precision is Precision.AUTO and has_int8_instructions()
        if int8 is not None and (precision is Precision.INT8 or (worth_it and int8.proved and int8.pays)):
            return read_model_file(int8.path)
    uint8 = Variant.load(uint8_path(file, target), file)
    if uint8 is None and target is Target.TENSORRT:
        # ONNX Runtime takes shapes as "name:1x3x…", which "input_1:0" breaks, and TensorRT wants bytes cast first.
        raise ModelError(
            "TensorRT runs a variant of the model of its own, and it has not been built yet",
            seen=file.path,
            next_step=f"build it: `peoplenet-nb optimise{_for(target)}`, a matter of seconds.",
        )
    return file if uint8 is None else read_model_file(uint8.path)


def _for(target: Target) -> str:
    return f" --device {target}" if target is Target.TENSORRT else ""
