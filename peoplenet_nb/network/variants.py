"""Where derived models are kept, and the record that stands beside each.

One decision to know: a record names the SHA-256 of the model it was made from; one that does not fit the
model at hand is as good as none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from peoplenet_nb.files import sha256_of, write_text
from peoplenet_nb.network.devices import Device
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import cache_dir, models_dir

# Part of the file names: a changed recipe makes new files and never reads old ones.
RECIPE = 3
# INT8 is taken without being asked for only when its boxes are nearly the FP32 model's own, and there were some.
LEAST_AP50, LEAST_AP75, LEAST_BOXES = 0.95, 0.9, 10


class Target(StrEnum):
    """What a derived form is made for: TensorRT wants another order of layers and another INT8."""

    CPU = "cpu"
    TENSORRT = "tensorrt"

    @classmethod
    def of(cls, device: Device) -> Target:
        """Return the target of a device; CUDA and OpenVINO take what CPUs take."""
        return cls.TENSORRT if device is Device.TENSORRT else cls.CPU


@dataclass(frozen=True)
class Agreement:
    """What differs between two models on the same frames.

    Parameters
    ----------
    frames : int
        How many were compared.
    coverage : float
        Largest difference of a cell's coverage.
    coverage_mean : float
        Mean difference over all cells.
    box_px : float
        Largest difference of a box edge, network pixels, over cells whose coverage reaches 0.1.
    boxes : int
        How many boxes the source found in them: with few, the next two say little.
    ap50, ap75 : float
        Average precision of the derived model's boxes with the source's boxes as truth, at IoU 0.5 and
        0.75, over the classes that the source found; 0 when it found nothing.
    """

    frames: int
    coverage: float
    coverage_mean: float
    box_px: float
    boxes: int
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
        boxes = (
            f"AP {self.ap50:.3f} at IoU 0.5 and {self.ap75:.3f} at 0.75 against the model's {self.boxes} boxes"
            if self.boxes
            else "no boxes to compare"
        )
        differences = f"coverage within {self.coverage:.1e}, edges within {self.box_px:.2g} px"
        return f"{boxes} in {self.frames} frames; {differences}"


@dataclass(frozen=True)
class Variant:
    """A derived model and the record that stands beside it as JSON.

    Parameters
    ----------
    path : Path
        The derived ``.onnx``.
    kind : str
        ``uint8-input`` or ``int8``.
    source_sha256 : str
        Of the model that it was made from.
    recipe : dict
        How it was made: method, frames, options, versions of the tools.
    agreement : Agreement
        With its source, on frames that were not used in making it.
    unlike : Agreement, optional
        With its source, on pictures unlike those that it was calibrated on; None where nothing was calibrated.
    """

    path: Path
    kind: str
    source_sha256: str
    recipe: dict[str, object]
    agreement: Agreement
    unlike: Agreement | None = None

    @property
    def proved(self) -> bool:
        """Whether its boxes are nearly the source's own, on frames like the calibration's and on others."""
        return all(found.proved for found in self.agreements)

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """All that was measured: `agreement`, and `unlike` where there is one."""
        return (self.agreement,) if self.unlike is None else (self.agreement, self.unlike)

    @classmethod
    def load(cls, path: Path, source: ModelFile) -> Variant | None:
        """Return a derived model that is on disk and was made from this source, else None."""
        try:
            data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            found = cls(
                path,
                data["kind"],
                data["source_sha256"],
                data["recipe"],
                Agreement(**data["agreement"]),
                data["unlike"] and Agreement(**data["unlike"]),
            )
            whole = sha256_of(path) == data["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if whole and found.source_sha256 == source.sha256 else None

    def save(self) -> None:
        """Write the record beside the model."""
        data = asdict(self) | {"path": self.path.name, "sha256": sha256_of(self.path)}
        write_text(self.path.with_suffix(".json"), json.dumps(data, indent=1) + "\n")


def variants_dir(source: ModelFile) -> Path:
    """Return the folder of a model's derived files.

    ``derived/`` beside a model that lies among our own downloads; a folder of the cache for any other, since
    nothing is written where others keep their files.
    """
    if source.path.resolve().is_relative_to(models_dir().resolve()):
        return source.path.parent / "derived"
    return cache_dir() / "derived" / source.sha256[:16]


def uint8_path(source: ModelFile, target: Target = Target.CPU) -> Path:
    """Return where a model's uint8-input form is kept."""
    return _path(source, "uint8-input", target)


def int8_path(source: ModelFile, target: Target = Target.CPU) -> Path:
    """Return where a model's INT8 form is kept."""
    return _path(source, "int8", target)


def _path(source: ModelFile, kind: str, target: Target) -> Path:
    suffix = "" if target is Target.CPU else f".{target}"
    return variants_dir(source) / f"{source.path.stem}.{kind}{suffix}.r{RECIPE}.onnx"
