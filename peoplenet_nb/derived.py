"""Where derived models are kept, and the record that stands beside each.

One decision to know: a record names the SHA-256 of the model it was made from; one that does not fit the
model at hand is as good as none.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from peoplenet_nb.devices import Device
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import cache_dir, models_dir

# Part of the file names: a changed recipe makes new files and never reads old ones.
RECIPE = 2


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
    ap50, ap75 : float
        Average precision of the derived model's boxes with the source's boxes as truth, at IoU 0.5 and
        0.75, over the classes that the source found; 1 when it found nothing.
    """

    frames: int
    coverage: float
    coverage_mean: float
    box_px: float
    ap50: float
    ap75: float

    @property
    def score(self) -> float:
        """One number to choose by: the mean of both average precisions."""
        return (self.ap50 + self.ap75) / 2

    def __str__(self) -> str:
        return (
            f"agrees with the model's own boxes to AP {self.ap50:.3f} at IoU 0.5 and {self.ap75:.3f} at 0.75, "
            f"coverage within {self.coverage:.1e}, edges within {self.box_px:.2g} px ({self.frames} frames)"
        )


@dataclass(frozen=True)
class Derived:
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
    """

    path: Path
    kind: str
    source_sha256: str
    recipe: dict[str, object]
    agreement: Agreement

    @classmethod
    def load(cls, path: Path, source: ModelFile) -> Derived | None:
        """Return a derived model that is on disk and was made from this source, else None."""
        try:
            data = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            found = cls(
                path,
                data["kind"],
                data["source_sha256"],
                data["recipe"],
                Agreement(**data["agreement"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if not path.is_file() or found.source_sha256 != source.sha256:
            return None
        return found if path.stat().st_size == data.get("size") else None

    def save(self) -> None:
        """Write the record beside the model."""
        data = asdict(self) | {"path": self.path.name, "size": self.path.stat().st_size}
        record = self.path.with_suffix(".json")
        partial = record.with_name(record.name + ".part")
        partial.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        partial.replace(record)


def derived_dir(source: ModelFile) -> Path:
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
    return derived_dir(source) / f"{source.path.stem}.{kind}{suffix}.r{RECIPE}.onnx"
