"""The device, precision and batch to begin with: those of the saved speed profile, where they still load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.html_tables import note
from peoplenet_nb.network.devices import Precision
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.speed.profile import SpeedProfile


@dataclass(frozen=True)
class Fastest:
    """What to run with.

    Parameters
    ----------
    device, precision : str
        As for `PeopleNet.load`.
    batch : int or None
        As for `peoplenet_nb.run`.
    reason : str
        Why these.
    """

    device: str
    precision: str = str(Precision.FP32)
    batch: int | None = None
    reason: str = ""

    def _repr_html_(self) -> str:
        return note(self.reason, "ok" if self.batch else "note")


def fastest(model: str | Path | None = None, device: str = "auto") -> Fastest:
    """Return the device, precision and batch of the speed profile that was saved for this machine and model.

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
    profile = SpeedProfile.load(read_model_file(resolve_model(model or None)))
    if profile is None:
        return Fastest(
            device, reason="Notebook 06 has measured nothing here yet: the first device that loads, fp32."
        )
    try:
        PeopleNet.load(model or None, profile.device, precision=profile.precision)
    except PeopleNetError as error:
        return Fastest(
            device,
            reason=f"Notebook 06 chose {profile}, which no longer loads ({error.seen or error.what}), so the first "
            "device that loads takes its place, fp32. Run notebook 06 again.",
        )
    return Fastest(profile.device, profile.precision, profile.batch, f"As notebook 06 chose: {profile}.")
