"""The device, precision and batch that were found to be fastest here: found once, kept in a file, read by all.

Notebook 06 measures, chooses with `best` and saves to ``speed.yaml`` under the home; whatever is told ``auto``
may begin from `Choice.load`.

One decision to know: a choice belongs to one machine and one model. A volume outlives its pod, so the file
names GPU, driver, processor and cores and the model's SHA-256; on another machine, or with another model, it
is as if it were not there.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import DeviceError, SettingsError, choose
from peoplenet_nb.files import write_text
from peoplenet_nb.hardware import available_threads, gpus, processor_name
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.precision import Precision, precisions_of
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import home

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

# Paired runs of the same thing differ by that much on a shared machine: less is no reason for anything.
MARGIN = 1.05
_MOST_FRAMES = 1024
_HEAD = (
    "# What notebook 06 found to be fastest on this machine; notebooks with DEVICE = \"auto\" take it.\n"
    "# Remove this file to go without, or run notebook 06 again.\n"
)  # fmt: skip
# From what changes nothing to what changes most: what the network computes in, where, and how many at once.
_PRECISIONS = (Precision.FP32, Precision.TF32, Precision.BF16, Precision.FP16, Precision.INT8)
_DEVICES = (Device.CPU, Device.OPENVINO, Device.CUDA, Device.TENSORRT)


@dataclass(frozen=True)
class Choice:
    """What to run with, and what that was found on.

    Parameters
    ----------
    device, precision : str
        As for `PeopleNet.load`; neither is ``auto``.
    batch : int
        Frames per inference, at least 1.
    fps : float
        Frames per second of a whole run with it.
    machine : str
        As `machine_name` gave it.
    model_sha256 : str
        Of the model that was timed.
    onnxruntime : str
        The version that was installed then.
    when : str
        The day, ``YYYY-MM-DD`` (UTC).

    Raises
    ------
    SettingsError
        When a value makes no sense, or the device does not offer the precision.
    """

    device: str
    precision: str
    batch: int
    fps: float
    machine: str
    model_sha256: str
    onnxruntime: str
    when: str

    def __post_init__(self) -> None:
        device = choose(Device, self.device, "device")
        precision = choose(Precision, self.precision, "precision")
        if device is Device.AUTO or precision not in precisions_of(device):
            raise SettingsError(
                "A choice names a device and a precision that it runs",
                seen=f"device={self.device}, precision={self.precision}",
                next_step="run notebook 06 again.",
            )
        if not 1 <= self.batch <= _MOST_FRAMES or not math.isfinite(self.fps):
            raise SettingsError(
                f"A batch is 1 to {_MOST_FRAMES} frames, and a speed is a number",
                seen=f"batch={self.batch}, fps={self.fps}",
                next_step="run notebook 06 again.",
            )

    def __str__(self) -> str:
        return f"{self.device}, {self.precision}, {frames_at_once(self.batch)}"

    @classmethod
    def load(cls, model_file: ModelFile | None = None) -> Choice | None:
        """Return the choice that was saved for this machine, else None.

        Parameters
        ----------
        model_file : ModelFile, optional
            The model that is to run; a choice that was found with another is not returned. Left out, any will do.

        Returns
        -------
        Choice or None
            None too where the file cannot be understood, which is logged as a warning.
        """
        import yaml

        path = choice_file()
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            found = _understood(data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, yaml.YAMLError, SettingsError) as error:
            told = " ".join(str(error).split())
            logger.warning("%s is passed over: %s Remove it, or run notebook 06 again.", path, told)
            return None
        if model_file is not None and found.model_sha256 != model_file.sha256:
            logger.info("%s was found with another model", path)
            return None
        here = machine_name()
        if found.machine != here:
            logger.info("%s was found on another machine: %s, here is %s", path, found.machine, here)
            return None
        return found

    def save(self) -> Path:
        """Write the choice to `choice_file` in place of an earlier one, and return that path.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        import yaml

        path = choice_file()
        write_text(path, _HEAD + yaml.safe_dump(asdict(self), sort_keys=False))
        return path

    def command(self, video: str = "VIDEO") -> str:
        """Return the shell command that runs a video with it."""
        return (
            f"peoplenet-nb detect {video} --device {self.device} --precision {self.precision} "
            f"--batch {self.batch}"
        )


def choice_file() -> Path:
    """Return where the choice is kept: ``home()/speed.yaml``."""
    return home() / "speed.yaml"


def machine_name() -> str:
    """Return GPUs and driver, processor and cores: what a measurement of speed holds for."""
    found = gpus()
    parts = [f"{gpu.name} (driver {gpu.driver})" for gpu in found]
    return "; ".join([*parts, f"{processor_name()}, {available_threads()} cores"])


def frames_at_once(batch: int) -> str:
    """Return a batch in words."""
    return "one frame at a time" if batch == 1 else f"{batch} frames at a time"


def counts(row: Mapping[str, Any]) -> bool:
    """Tell whether a row of a bench table may be chosen: it ran and, for INT8, agrees with its FP32 model."""
    # None or NaN where there is none.
    fps, ap50, ap75 = (row[name] or 0.0 for name in ("fps", "agreement", "agreement_75"))
    agrees = row["precision"] != Precision.INT8 or (ap50 >= LEAST_AP50 and ap75 >= LEAST_AP75)
    return bool(fps > 0 and agrees)


def best_row(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the simplest of the rows that nothing beats by 5 %; None when none ran.

    Parameters
    ----------
    rows : iterable of mapping
        Rows of `peoplenet_nb.speed.bench.bench`: ``device, precision, batch, fps, agreement, agreement_75``.

    Notes
    -----
    So what is taken is never more than 5 % slower than the fastest, and never more complicated than it
    need be for that: noise does not decide. FP32 is simplest, then TF32, bf16, FP16, INT8; then the CPU, OpenVINO,
    CUDA, TensorRT; then the smaller batch.
    """
    able = [row for row in rows if counts(row)]
    fastest = max((row["fps"] for row in able), default=0.0)
    near = [row for row in able if row["fps"] * MARGIN > fastest]
    return min(near, key=_complexity, default=None)


def best(table: pd.DataFrame, model_file: ModelFile) -> Choice:
    """Return the choice that a bench table leads to; it is not saved.

    Parameters
    ----------
    table : DataFrame
        What `peoplenet_nb.speed.bench.bench` returned on this machine.
    model_file : ModelFile
        The model that was timed.

    Raises
    ------
    DeviceError
        When no row of the table may be chosen.
    """
    import onnxruntime

    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    row = best_row(rows)
    if row is None:
        raise DeviceError(
            "The network ran on no device, so there is nothing to choose",
            seen="; ".join(str(row["note"]) for row in rows),
            next_step="run `peoplenet-nb doctor`, and name a device that loads.",
        )
    return Choice(
        device=str(row["device"]),
        precision=str(row["precision"]),
        batch=int(row["batch"]),
        fps=round(float(row["fps"]), 2),
        machine=machine_name(),
        model_sha256=model_file.sha256,
        onnxruntime=onnxruntime.__version__,
        when=datetime.now(UTC).date().isoformat(),
    )


def _complexity(row: Mapping[str, Any]) -> tuple[int, int, int]:
    precision = choose(Precision, row["precision"], "precision")
    return _PRECISIONS.index(precision), _DEVICES.index(Device(row["device"])), int(row["batch"])


def _understood(data: object) -> Choice:
    """Return the choice that a file holds; ValueError or SettingsError for anything else."""
    names = set(Choice.__dataclass_fields__)
    if not isinstance(data, dict) or set(data) != names:
        seen = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
        raise ValueError(f"it should hold {', '.join(sorted(names))}, and holds {seen}.")
    for name, kinds in (("fps", (int, float)), ("batch", (int,))):
        if type(data[name]) not in kinds:  # so that YAML's yes and no are none
            raise ValueError(f"{name} is {data[name]!r}.")
    # A day or a version that was typed in by hand comes as a date or a number.
    words = {name: str(data[name]) for name in names - {"batch", "fps"}}
    return Choice(batch=data["batch"], fps=float(data["fps"]), **words)
