"""How long one inference takes, on every device that really loads, and why the others do not.

A device is timed on the network alone (input ready, no reading, decoding or drawing), as the median of several runs
after one that is thrown away. `peoplenet_nb.speed.bench` times whole runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.network.devices import DEVICES
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.plots import charts


@dataclass(repr=False)
class DeviceTimes:
    """Milliseconds per frame of each device and batch size."""

    model: str  #: which was timed
    rows: list[dict[str, object]]  #: ``device``, ``providers``, ``batch``, ``ms_per_frame``
    absent: list[dict[str, object]]  #: ``device``, the loader's ``reason``, and what to do ``next``

    @property
    def best(self) -> dict[str, object]:
        """The row with the fewest milliseconds per frame."""
        return min(self.rows, key=lambda row: float(str(row["ms_per_frame"])))

    def __repr__(self) -> str:
        lines = [f"{r['device']} batch {r['batch']}: {r['ms_per_frame']:.1f} ms" for r in self.rows]
        return "\n".join([*lines, *(f"{r['device']}: {r['reason']}" for r in self.absent)])

    def _repr_html_(self) -> str:
        parts = []
        if self.rows:
            best = self.best
            text = f"{self.model}: {best['ms_per_frame']:.1f} ms per frame at best, on {best['providers']}."
            parts += [charts.latency_bars(self.rows).to_html(), note(text, "ok")]
        if self.absent:
            parts.append(table(self.absent, "Not timed, with the reason the loader gave"))
        return "".join(parts)


def time_devices(
    model: str | Path | None = None,
    *,
    devices: Sequence[str] = DEVICES,
    batches: Sequence[int] = (1,),
    repeats: int = 3,
) -> DeviceTimes:
    """Time the network on each device.

    Parameters
    ----------
    model : str or Path, optional
        As for `PeopleNet.load`.
    devices : sequence of str
        Which to try; one that does not load is reported with its reason. TensorRT builds an engine first, which
        can take minutes once.
    batches : sequence of int
        Frames per inference.
    repeats : int
        Timed inferences, after one that warms up.
    """
    rows: list[dict[str, object]] = []
    absent: list[dict[str, object]] = []
    name = ""
    for device in devices:
        try:
            # By its path: the warning that it is the stand-in would come for each device, and the result says so.
            loaded = PeopleNet.load(resolve_model(model or None), device=device)
            name = f"{loaded.file.path.name}{' (stand-in)' if loaded.is_standin else ''}"
            on: dict[str, object] = {"device": device, "providers": ", ".join(loaded.providers)}
            for batch in batches:
                rows.append(on | {"batch": batch, "ms_per_frame": _one(loaded, batch, repeats) / batch})
        except PeopleNetError as error:
            reason = str(error.seen or error.what)
            absent.append({"device": device, "reason": reason, "next": error.next_step})
    return DeviceTimes(name, rows, absent)


def _one(model: PeopleNet, batch: int, repeats: int) -> float:
    """Return the median milliseconds of one inference of a batch."""
    width, height = model.file.network_size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    one, fit = model.preprocess(noise)
    frames, fits = np.repeat(one, batch, axis=0), [fit] * batch
    times = []
    for _ in range(repeats + 1):
        began = perf_counter()
        model.infer_input(frames, fits)
        times.append(1e3 * (perf_counter() - began))
    return median(times[1:])
