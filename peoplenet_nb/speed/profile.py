"""The speed profile of a machine: the device, precision and batch that were found to be fastest for a model there.

Beside them stands which frames the network is to see (``keyframes``), which a person chooses.

Notebook 06 measures, picks the best with `best` and saves it to ``speed.yaml`` under the home; what is left to ``auto``
elsewhere begins with `fastest`.

One decision to know: a volume outlives its pod, so the file names what it belongs to: GPU, driver, processor and cores,
and the model's SHA-256. On another machine, or with another model, it is as if it were not there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import DeviceError, PeopleNetError, SettingsError, choose
from peoplenet_nb.files import write_text
from peoplenet_nb.hardware import cpu_name, gpus
from peoplenet_nb.html_tables import note, pairs
from peoplenet_nb.network.devices import Device, Precision, precisions_of
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.paths import home
from peoplenet_nb.tracks import KeyFrames

if TYPE_CHECKING:
    import pandas as pd

logger: logging.Logger = logging.getLogger(__name__)

# Paired runs of the same thing differ by that much on a shared machine: less is no reason for anything.
MARGIN = 1.05
_MAX_BATCH = 1024
_HEAD = "# The fastest way to run this model on this machine, written by notebook 06. Remove the file to go without.\n"


@dataclass(frozen=True)
class SpeedProfile:
    """What to run with, and what that was found on.

    Raises
    ------
    SettingsError
        When a value makes no sense, or the device does not run the precision.
    """

    device: str  #: as for `PeopleNet.load`, but ``auto``
    precision: str
    batch: int  #: frames per inference, at least 1
    machine: str  #: as `machine_name` gave it
    model_sha256: str  #: of the model that was timed
    keyframes: str | int = "off"  #: as for `peoplenet_nb.run`: wanted by a person, not measured

    def __post_init__(self) -> None:
        KeyFrames.parse(self.keyframes)
        device = choose(Device, self.device, "device")
        runs = device is not Device.AUTO and self.precision in precisions_of(device)
        if not runs or type(self.batch) is not int or not 1 <= self.batch <= _MAX_BATCH:
            raise SettingsError(
                f"A speed profile is a device, a precision that it runs, and a batch of 1 to {_MAX_BATCH} frames",
                seen=f"device={self.device}, precision={self.precision}, batch={self.batch}",
                next_step="run notebook 06 again.",
            )

    def __str__(self) -> str:
        key = "" if self.keyframes == "off" else f", key frames: {self.keyframes}"
        return f"{self.device}, {self.precision}, {frames_at_once(self.batch)}{key}"

    def _repr_html_(self) -> str:
        rows = [("runs fastest with", str(self)), ("on", self.machine), ("in a shell", self.command())]
        return pairs(rows, "Speed profile")

    @classmethod
    def load(cls, model_file: ModelFile | None = None) -> SpeedProfile | None:
        """Return the profile that was saved for this machine, else None.

        Parameters
        ----------
        model_file : ModelFile, optional
            The model that is to run; a profile of another one is not returned. Left out, any will do.

        Returns
        -------
        SpeedProfile or None
            None too where the file cannot be understood, which is logged as a warning.
        """
        import yaml

        path = profile_file()
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and data.get("keyframes") is False:
                data["keyframes"] = "off"  # what YAML makes of a bare `off`
            found = cls(**data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError, SettingsError) as error:
            reason = " ".join(str(error).split())
            logger.warning("%s is not used: %s Remove it, or run notebook 06 again.", path, reason)
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
        """Write the profile to `profile_file` in place of an earlier one, and return that path.

        Raises
        ------
        OutputError
            When it cannot be written.
        """
        import yaml

        path = profile_file()
        write_text(path, _HEAD + yaml.safe_dump(asdict(self), sort_keys=False))
        return path

    def command(self, video: str = "VIDEO") -> str:
        """Return the shell command that runs a video with it."""
        chosen = f"--device {self.device} --precision {self.precision} --batch {self.batch}"
        key = "" if self.keyframes == "off" else f" --keyframes {self.keyframes}"
        return f"peoplenet-nb detect {video} {chosen}{key}"


def profile_file() -> Path:
    """Return where the speed profile is kept: ``home()/speed.yaml``."""
    return home() / "speed.yaml"


def machine_name() -> str:
    """Return GPUs and driver, processor and cores: what a measurement of speed holds for."""
    parts = [f"{gpu.name} (driver {gpu.driver})" for gpu in gpus()]
    return "; ".join([*parts, cpu_name()])


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
    """Return the simplest of the rows of a bench table that nothing beats by 5 %; None when none ran.

    So what is taken is never more than 5 % slower than the fastest, and never more complicated than it
    need be for that: noise does not decide. FP32 is simplest, then TF32, bf16, FP16, INT8; then the CPU, MNN,
    OpenVINO, CUDA, TensorRT; then the smaller batch.
    """
    able = [row for row in rows if counts(row)]
    fastest = max((row["fps"] for row in able), default=0.0)
    near = [row for row in able if row["fps"] * MARGIN > fastest]
    return min(near, key=_complexity, default=None)


def best(table: pd.DataFrame, model_file: ModelFile, keyframes: str | int = "off") -> SpeedProfile:
    """Return the speed profile that a bench table of a model on this machine leads to; it is not saved.

    Raises
    ------
    DeviceError
        When no row of the table may be chosen.
    SettingsError
        When ``keyframes`` is none.
    """
    rows: list[Any] = table.to_dict("records")
    row = best_row(rows)
    if row is None:
        raise DeviceError(
            "The network ran on no device, so there is nothing to choose",
            seen="; ".join(str(row["note"]) for row in rows),
            next_step="run `peoplenet-nb doctor`, and name a device that loads.",
        )
    chosen = str(row["device"]), str(row["precision"]), int(row["batch"])
    return SpeedProfile(*chosen, machine_name(), model_file.sha256, keyframes)


def _complexity(row: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return the places of precision, device and batch in the order from simple to complex."""
    devices, precisions = list(Device), list(Precision)
    return precisions.index(row["precision"]), devices.index(row["device"]), int(row["batch"])


@dataclass(frozen=True)
class Fastest:
    """What to run with, as `PeopleNet.load` and `peoplenet_nb.run` take it, and why."""

    device: str
    precision: str = str(Precision.FP32)
    batch: int | None = None
    reason: str = ""
    keyframes: str | int = "off"

    def _repr_html_(self) -> str:
        return note(self.reason, "ok" if self.batch else "note")


def fastest(model: str | Path | None = None, device: str = "auto") -> Fastest:
    """Return device, precision, batch and key frames of the speed profile that was saved for this machine and model.

    Parameters
    ----------
    model : str or Path, optional
        As for `PeopleNet.load`.
    device : str
        Another than ``auto`` is taken as it is, in FP32.

    Raises
    ------
    ModelError
        When there is no such model.
    """
    if device.lower() != "auto":
        return Fastest(device, reason=f"The device that was named: {device}, fp32.")
    path = resolve_model(model or None)  # loaded by its path: whoever loads it next warns of the stand-in
    profile = SpeedProfile.load(read_model_file(path))
    if profile is None:
        reason = "Notebook 06 has measured nothing here yet: the first device that loads, fp32."
        return Fastest(device, reason=reason)
    try:
        PeopleNet.load(path, profile.device, precision=profile.precision)
    except PeopleNetError as error:
        gone = f"Notebook 06 chose {profile}, which no longer loads ({error.seen or error.what})"
        instead = "so the first device that loads takes its place, fp32. Run notebook 06 again."
        return Fastest(device, reason=f"{gone}, {instead}")
    reason = f"As notebook 06 chose: {profile}."
    return Fastest(profile.device, profile.precision, profile.batch, reason, profile.keyframes)
