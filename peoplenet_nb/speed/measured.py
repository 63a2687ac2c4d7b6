"""What this machine has, and how fast it is: devices that load, batches, whole runs, and the profile chosen from them.

Each step is measured and shown before anything is chosen, and what could not be built or loaded is a sentence with its
reason, not an error: whatever the machine, there is a best of what is there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb import hardware
from peoplenet_nb.errors import ModelError, PeopleNetError
from peoplenet_nb.html_tables import note, pairs, table
from peoplenet_nb.network.batching import SIZES, probe_batch
from peoplenet_nb.network.devices import DEVICES, Device, precisions_of
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75
from peoplenet_nb.plots import charts
from peoplenet_nb.plots.picture import Picture
from peoplenet_nb.sources import Source
from peoplenet_nb.speed.bench import bench as measure
from peoplenet_nb.speed.bench import ran
from peoplenet_nb.speed.profile import SpeedProfile, best, best_row, counts, frames_at_once
from peoplenet_nb.video.manifest import STAGES

if TYPE_CHECKING:
    import pandas as pd

logger: logging.Logger = logging.getLogger(__name__)

_WORTH_SAYING = 1.2  # a batch that gains less is not worth the wait for its first frame


@dataclass(repr=False)
class Machine:
    """What there is to run on."""

    parts: list[tuple[str, object]]  #: what, and what of it there is
    #: ``device``, ``loads``, ``precisions``, ``answer``: what it runs on, or why it does not
    devices: list[dict[str, object]]

    @property
    def loaded(self) -> list[str]:
        """The devices that really loaded."""
        return [str(row["device"]) for row in self.devices if row["loads"] == "yes"]

    def _repr_html_(self) -> str:
        return pairs(self.parts) + table(self.devices, "Devices, each tried with this model")

    def __repr__(self) -> str:
        return "\n".join([*(f"{what}: {value}" for what, value in self.parts), f"loads: {self.loaded}"])


def try_devices(model: PeopleNet, devices: Sequence[str] = DEVICES) -> Machine:
    """Return what this machine has, and which of the devices really load the model."""
    quota, memory = hardware.cpu_quota(), hardware.memory_limit()
    limit = "no quota" if quota is None else f"a quota of {quota:g}"
    able = hardware.has_int8_instructions()
    gpus = [f"{g.name}, {(g.memory_mb or 0) / 1024:.0f} GB, driver {g.driver}" for g in hardware.gpus()]
    parts: list[tuple[str, object]] = [
        ("processor", hardware.processor_name()),
        ("cores for us", f"{hardware.available_threads()} of {os.cpu_count()} ({limit})"),
        ("memory for us", f"{memory / hardware.GB:.0f} GB" if memory else "no limit known"),
        ("instructions for INT8", "yes (VNNI or AMX)" if able else "no VNNI, no AMX: INT8 gains less here"),
        ("GPU", "\n".join(gpus) or "none that answers"),
    ]
    return Machine(parts, [_try_device(model, device) for device in devices])


def _try_device(model: PeopleNet, device: str) -> dict[str, object]:
    row: dict[str, object] = {"device": device, "loads": "no", "precisions": "", "answer": ""}
    try:
        row["precisions"] = ", ".join(precisions_of(device))
        loaded = PeopleNet.load(model.file.path, device)
    except ModelError as error:  # the device may be there: a variant of the model is missing
        return row | {"answer": error.what}
    except PeopleNetError as error:
        return row | {"answer": str(error.seen or error.what)}
    return row | {"loads": "yes", "answer": ", ".join(loaded.providers)}


@dataclass(repr=False)
class Batches:
    """How many frames a second the network takes, in batches of several sizes."""

    device: str
    fps: dict[int, float]  #: by size
    best: int  #: the size to take

    def _repr_html_(self) -> str:
        rows = [{"device": self.device, "batch": n, "ms_per_frame": 1e3 / fps} for n, fps in self.fps.items()]
        return charts.latency_bars(rows).to_html() + note(repr(self), "ok")

    def __repr__(self) -> str:
        largest = self.best if self.best > 1 else max(self.fps)
        gain = self.fps[largest] / self.fps[min(self.fps)]
        pays = f"{frames_at_once(largest)} make {gain:.2f} times the frames per second on {self.device}"
        if Device(self.device).on_gpu:
            return f"{pays}." if gain >= _WORTH_SAYING else f"Batches do not pay here: {pays}."
        lead = "" if gain >= _WORTH_SAYING else "Batches do not pay here: "
        return f"{lead}{pays}. A run on a CPU takes one frame at a time and works on several side by side."


def time_batches(
    model: PeopleNet, source: Source, sizes: Sequence[int] | None = None, seconds: float = 1.0
) -> Batches:
    """Time the network alone with several frames at once.

    Parameters
    ----------
    model : PeopleNet
        The model, and the device it is on.
    source : Source
        Some frames.
    sizes : sequence of int, optional
        Frames per inference; left out, 1 to 32 on a GPU, and 1 and 2 on a CPU.
    seconds : float
        About how long all of it may take.
    """
    device = model.device
    sizes = sizes or (SIZES if Device(device).on_gpu else (1, 2))
    images = [frame.image for frame in source.sampled(1, 4)]
    newest = PeopleNet.load(model.file.path, device)  # the variant that was built since
    probe = probe_batch(newest, images, sizes=sizes, seconds=seconds)
    return Batches(device, probe.fps, probe.best)


@dataclass(repr=False)
class RunTimes:
    """Whole runs, timed."""

    table: pd.DataFrame  #: what `peoplenet_nb.speed.bench.bench` returned

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows that ran."""
        return ran(self.table)

    def _repr_html_(self) -> str:
        names = {"fps": "frames/s", "ratio": "of the bare loop"}
        names |= {"first_s": "first frame after (s)", "peak_mb": "peak MB"}
        whole = self.table[self.table["fps"].notna()]
        absent = self.table.loc[self.table["fps"].isna(), ["device", "precision", "note"]]
        parts = []
        if len(whole):
            shown = whole[["device", "precision", "batch", *names]]
            timed = shown.astype({"batch": int}).rename(columns=names)
            parts += [charts.speed_bars(self.rows).to_html(), table(timed.round(2), "Whole runs")]
        if len(absent):
            parts.append(table(absent.fillna("").rename(columns={"note": "reason"}), "Not timed"))
        return "".join(parts)

    def __repr__(self) -> str:
        return "\n".join(f"{r['device']}, {r['precision']}: {r['fps']:.1f} frames/s" for r in self.rows)

    def stages(self, chosen: SpeedProfile | None = None) -> Picture:
        """Return where a frame's time goes: in the plainest configuration and, beside it, in the chosen one."""
        rows = self.rows[:1]
        if chosen is not None:
            key = (chosen.device, chosen.precision)
            rows += [row for row in self.rows[1:] if (row["device"], row["precision"]) == key]
        return charts.stage_bars(rows, STAGES)


def time_runs(
    model: PeopleNet, source: Source, devices: Sequence[str] = DEVICES, frames: int = 40
) -> RunTimes:
    """Time whole runs over some frames, video and tables written, on each device in each precision it runs."""
    return RunTimes(measure(model.file.path, source.opened, devices=devices, frames=frames, progress=True))


@dataclass(repr=False)
class Chosen:
    """What was chosen, where it is kept, and what was passed over."""

    profile: SpeedProfile
    fps: float  #: frames per second of a whole run with it
    path: Path  #: the file that the other notebooks read
    passed_over: list[str]  #: what was as fast or faster, and why it was not taken

    def _repr_html_(self) -> str:
        notes = [f"It is kept in {self.path}.", *self.passed_over]
        return note(repr(self), "ok") + self.profile._repr_html_() + "".join(map(note, notes))

    def __repr__(self) -> str:
        return f"Best here: {self.profile}; {self.fps:.1f} frames per second in a whole run."


def choose_best(model: PeopleNet, times: RunTimes, keyframes: str | int = "off") -> Chosen:
    """Choose from what was timed of a model, and save the speed profile where the other notebooks find it.

    Parameters
    ----------
    model : PeopleNet
        The model.
    times : RunTimes
        What was timed, with every frame seen by the network.
    keyframes : str or int
        Goes into the profile as it is: which frames of a video the network sees, as for `peoplenet_nb.run`.

    Raises
    ------
    DeviceError
        When nothing ran.
    SettingsError
        When ``keyframes`` is none.
    OutputError
        When the file cannot be written.
    """
    profile = best(times.table, model.file, keyframes)
    fps = (best_row(times.rows) or {})["fps"]
    taken, passed_over = (profile.device, profile.precision, profile.batch), []
    for row in times.rows:
        if row["fps"] < fps or (row["device"], row["precision"], row["batch"]) == taken:
            continue
        name = f"{row['device']}, {row['precision']} reached {row['fps']:.1f} frames per second"
        if counts(row):
            why = ": less than 5 % more, which is no reason to leave what is simpler."
        elif not (row["agreement"] or 0.0) > 0:  # None or NaN where it is not known
            why = ", but there were too few boxes to tell how well its own agree with the model's."
        else:
            why = (
                f", but with the model's own boxes as truth its AP is {row['agreement']:.3f} at IoU 0.5 and "
                f"{row['agreement_75']:.3f} at 0.75; {LEAST_AP50:g} and {LEAST_AP75:g} are asked for. It can still be "
                "named by hand."
            )
        passed_over.append(name + why)
    return Chosen(profile, fps, profile.save(), passed_over)
