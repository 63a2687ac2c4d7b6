"""What a pod costs, what a run cost, and which GPU would be the cheapest for so many hours of video.

Prices come from RunPod's API. The speed on this machine's GPU is measured, by its finished runs; that of others is
estimated from it by the arithmetic that NVIDIA publishes for them, and every line says which of the two it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.files import read_json
from peoplenet_nb.hardware import gpus
from peoplenet_nb.html_tables import note, pairs, table
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.runpod.api import GpuOffer, Pod, PodError, Pods

# USD for each GB and month: docs.runpod.io, pricing of pods and network volumes, November 2026.
CONTAINER, VOLUME, VOLUME_STOPPED, NETWORK = 0.10, 0.10, 0.20, 0.07
# TFLOPS in FP32 without tensor cores, by NVIDIA's data sheets: the longest name that is in a GPU's own counts.
TFLOPS = {
    "RTX 3070": 20.3, "RTX 3080": 29.8, "RTX 3080 Ti": 34.1, "RTX 3090": 35.6, "RTX 3090 Ti": 40.0,
    "RTX 4070 Ti": 40.1, "RTX 4080": 48.7, "RTX 4090": 82.6, "RTX 5080": 56.3, "RTX 5090": 104.8,
    "RTX A2000": 8.0, "RTX A4000": 19.2, "RTX A4500": 23.7, "RTX A5000": 27.8, "RTX A6000": 38.7,
    "RTX 2000 Ada": 12.0, "RTX 4000 Ada": 26.7, "RTX 5000 Ada": 65.3, "RTX 6000 Ada": 91.1,
    "A30": 10.3, "A40": 37.4, "A100": 19.5, "H100 PCIe": 51.2, "H100 NVL": 60.0, "H100": 66.9, "H200": 66.9,
    "L4": 30.3, "L40": 90.5, "L40S": 91.6, "T4": 8.1, "V100": 15.7,
}  # fmt: skip
_FLOP = 29.34e9  # of a frame: 14.67 billion multiplications with their additions
_SHARE = 0.25  # of its arithmetic that a GPU reaches, where none was measured
_LEAST_FRAMES = 50  # of a run whose speed counts
_RUNS = 2000  # that are looked at


@dataclass(repr=False)
class Cost:
    """What a pod costs; it shows itself in a notebook and as text."""

    pod: Pod | None
    run: str = ""  #: what a run or batch cost, in words
    offers: list[dict[str, Any]] = field(
        default_factory=list
    )  #: GPUs for some hours of video, cheapest first
    hours: float = 0.0
    notes: list[str] = field(default_factory=list)

    def rows(self) -> list[tuple[str, str]]:
        """Return what it says, as pairs of what and value."""
        rows: list[tuple[str, str]] = []
        if self.pod is not None:
            pod = self.pod
            gpu = (
                "without a GPU" if pod.gpus == 0 else f"{pod.gpus or ''} {pod.gpu or 'GPU not told'}".strip()
            )
            price = (
                "not told"
                if pod.hourly is None
                else f"${pod.hourly:.3f} an hour, ${pod.hourly * 24:.2f} a day"
            )
            rows += [("this pod", f"{pod.id}, {gpu}"), ("now", price)]
            rows.append(("storage, a month", storage(pod)))
        if self.run:
            rows.append(("the run", self.run))
        return rows

    def __str__(self) -> str:
        lines = [f"{what}: {value}" for what, value in self.rows()]
        if self.offers:
            lines.append(f"for {self.hours:g} hours of video, cheapest first:")
            for row in self.offers:
                lines.append(
                    f"  {row['gpu']} ({row['cloud']}): ${row['USD']:.2f} in {row['hours']:.1f} h, "
                    f"${row['an hour']:.2f} an hour, {row['fps']:.0f} frames per second ({row['speed']})"
                )
        return "\n".join([*lines, *(f"note: {text}" for text in self.notes)])

    def _repr_html_(self) -> str:
        about = f"For {self.hours:g} hours of video, cheapest first"
        shown = table(self.offers, about, limit=12) if self.offers else ""
        return pairs(self.rows()) + shown + "".join(note(text) for text in self.notes)


def storage(pod: Pod) -> str:
    """Return what a pod's storage costs a month, in words."""
    parts = []
    if pod.container_gb is not None:
        parts.append(f"container {pod.container_gb:g} GB ${pod.container_gb * CONTAINER:.2f} while it runs")
    if pod.volume_gb:
        stopped = pod.volume_gb * VOLUME_STOPPED
        parts.append(f"volume {pod.volume_gb:g} GB ${pod.volume_gb * VOLUME:.2f}, stopped ${stopped:.2f}")
    if pod.network_volume_gb:
        whole = pod.network_volume_gb * NETWORK
        parts.append(f"network volume {pod.network_volume_gb:g} GB ${whole:.2f}, always")
    return "; ".join(parts) or "not told"


def cost(
    run: str | Path | None = None,
    hours: float | None = None,
    *,
    video_fps: float = 25.0,
    fps: float | None = None,
    pods: Pods | None = None,
) -> Cost:
    """Return what this pod costs, what a run cost, and which GPU would be the cheapest.

    Parameters
    ----------
    run : str or Path, optional
        The folder of a run, or of a batch.
    hours : float, optional
        Hours of video to run over: then GPUs are compared.
    video_fps : float
        Its frames per second.
    fps : float, optional
        Frames per second of this machine; left out, the median of its finished runs.
    pods : Pods, optional
        Whom to ask.

    Returns
    -------
    Cost
        What could not be had stands in its notes.

    Raises
    ------
    SettingsError
        When a number makes no sense.
    """
    for name, value in (("hours", hours), ("video_fps", video_fps), ("fps", fps)):
        if value is not None and not 0 < value < 1e7:
            raise SettingsError(f"{name} is a number above 0", seen=value, next_step="e.g. --hours 100.")
    pods, found = pods or Pods(), Cost(None, hours=hours or 0.0)
    try:
        found.pod = pods.pod(pods.here)
        if found.pod.gpus == 0:
            found.notes.append(
                "This pod has no GPU: a stopped pod may come back without one. Start it later, or make another."
            )
    except PodError as error:
        found.notes.append(str(error))
    if run is not None:
        found.run = _run_cost(Path(run).expanduser(), found.pod)
    if hours is not None:
        try:
            found.offers, more = compare(pods.gpus(), hours * 3600 * video_fps, fps)
            found.notes += more
        except PodError as error:
            found.notes.append(f"No prices: {error}")
    return found


def _run_cost(folder: Path, pod: Pod | None) -> str:
    seconds = next(
        (s for name in ("summary.json", "batch.json") if (s := _seconds(folder / name)) is not None), None
    )
    if seconds is None:
        return f"{folder} is not the folder of a finished run or batch"
    took = f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
    if pod is None or pod.hourly is None:
        return f"{took}; its price is not known here"
    return f"{took} at ${pod.hourly:.3f} an hour: ${seconds / 3600 * pod.hourly:.4f}"


def _seconds(path: Path) -> float | None:
    data = read_json(path)
    speed = data.get("speed")
    value = speed.get("wall_s") if isinstance(speed, dict) else data.get("wall_seconds")
    return float(value) if isinstance(value, int | float) else None


def compare(
    offers: Iterable[GpuOffer], frames: float, fps: float | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what a number of frames costs on each GPU, cheapest first, and what to know of that."""
    here = next((gpu.name for gpu in gpus()), "")
    measured = fps or (measured_fps() if here else None)
    own, notes = known_gpu(here), []
    if measured and own:
        notes.append(
            f"Measured: {measured:.0f} frames per second on this {here}; others by their arithmetic (FP32)."
        )
        share = measured * _FLOP / (TFLOPS[own] * 1e12)
    else:
        share = _SHARE
        notes.append(
            f"No GPU was measured here: all speeds are estimated, at {_SHARE:.0%} of a GPU's FP32 arithmetic."
        )
    notes.append("Reading and writing video on a pod's CPU cores can be the limit instead.")
    rows: list[dict[str, Any]] = []
    unknown = []
    for offer in offers:
        kind = known_gpu(offer.name)
        if kind is None:
            unknown.append(offer.name)
            continue
        same = kind == own
        speed = measured if same and measured else TFLOPS[kind] * 1e12 * share / _FLOP
        for cloud, price in offer.prices.items():
            hours = frames / speed / 3600
            rows.append(
                {
                    "gpu": offer.name,
                    "cloud": cloud,
                    "USD": round(hours * price, 4),
                    "hours": round(hours, 2),
                    "an hour": price,
                    "fps": round(speed, 1),
                    "speed": "measured" if same and measured else "estimated",
                    "available": offer.available,
                }
            )
    if unknown:
        notes.append(f"Left out, because their speed is not known: {', '.join(unknown[:8])}.")
    return sorted(rows, key=lambda row: row["USD"]), notes


def measured_fps(folder: Path | None = None) -> float | None:
    """Return the median speed of this home's finished runs on a GPU, in frames per second; None without any."""
    found = []
    for path in sorted((folder or outputs_dir()).glob("**/summary.json"))[:_RUNS]:
        data = read_json(path)
        try:
            if data["model"]["device"] in ("cuda", "tensorrt") and data["frames"] >= _LEAST_FRAMES:
                found.append(float(data["speed"]["fps"]))
        except (KeyError, TypeError, ValueError):
            continue
    return median(found) if found else None


def known_gpu(name: str) -> str | None:
    """Return which of the GPUs in `TFLOPS` a name means."""
    plain = _plain(name)
    fitting = [known for known in TFLOPS if re.search(rf"(^|\s){re.escape(_plain(known))}(\s|$)", plain)]
    return max(fitting, key=len, default=None)


def _plain(name: str) -> str:
    words = re.sub(r"nvidia|geforce|tesla|generation|quadro", " ", name.lower())
    return " ".join(re.sub(r"[^a-z0-9]+", " ", words).split())
