"""Whole runs timed: each stage, frames per second, the ratio to a bare loop, and memory at its peak.

One decision to know: each configuration runs in a process of its own, so that peak memory is its own and a
device that crashes becomes a row with its reason. The bare loop (``run`` of the same engine on inputs that are
ready, with all cores in one inference) is timed in the same process just after the run that it is compared with.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from peoplenet_nb.errors import DeviceError, PeopleNetError, SettingsError, choose
from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.network.devices import DEVICES, Device, Precision, precisions_of
from peoplenet_nb.video.manifest import STAGES

if TYPE_CHECKING:
    import pandas as pd

    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.video import RunResult

logger: logging.Logger = logging.getLogger(__name__)

COLUMNS = (
    *("device", "precision", "batch", "variant", "fps", "bare_fps", "ratio", "first_s", "peak_mb"),
    *("agreement", "agreement_75"),
    *STAGES,
    "note",
)
_BARE_FRAMES = 20  # timed in the bare loop, in batches of the run's size


@dataclass(frozen=True)
class Case:
    """One configuration to time, as `bench` takes it."""

    model: str  #: empty: what is there
    source: str
    device: str
    precision: str
    frames: int
    video: bool
    batch: int | None = None


def bench(
    model: str | Path | None,
    source: str | Path,
    *,
    devices: Sequence[str] = DEVICES,
    precisions: Sequence[str] | None = None,
    batch: int | None = None,
    frames: int = 60,
    video: bool = True,
    timeout: float = 1800.0,
    progress: bool = False,
) -> pd.DataFrame:
    """Time whole runs of a model over a source, on every device and in every precision that loads.

    Parameters
    ----------
    model : str or Path, optional
        As for `PeopleNet.load`.
    source : str or Path
        As for `open_source`.
    devices : sequence of str
        What to try.
    precisions : sequence of str, optional
        What to try; one that a device does not run is left out there. Left out: all that each runs.
    batch : int, optional
        Frames per inference; left out, one on CPUs and what a short probe finds on GPUs.
    frames : int
        Frames of the source to run over.
    video : bool
        Whether to write the video too.
    timeout : float
        Seconds for one configuration; TensorRT builds its first engine within it.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    DataFrame
        A row per configuration with `COLUMNS`: ``variant`` is the file that ran; ``fps`` the run's own frames per
        second, its start left out; ``bare_fps`` and ``ratio`` compare it with the bare loop; ``first_s`` seconds
        from the start to the first finished frame; ``peak_mb`` memory of the process; ``agreement`` and
        ``agreement_75`` the AP at IoU 0.5 and 0.75 of an INT8 variant with its FP32 model's boxes as truth, from its
        record, where it is worse: on frames like those of the calibration or on other pictures; then milliseconds per
        frame of each stage as seen by its own thread; ``note`` why it did not run. A device that does not load has
        one row.

    Raises
    ------
    SettingsError
        When a precision is named that does not exist, or nothing is left to time.
    SourceError
        When the source cannot be opened.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    from peoplenet_nb.sources import open_source

    open_source(source)  # what is no video is an error now, and not a reason in every row
    wanted = {
        choose(Precision, name, "precision") for name in (Precision if precisions is None else precisions)
    }
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(devices), disable=not progress, unit=" devices", leave=False) as bar:
        for device in devices:
            try:
                tried = [p for p in precisions_of(device) if p in wanted]
            except SettingsError as error:
                tried = []
                rows.append({"device": device, "note": _reason(error)})
            for precision in tried:
                bar.set_description(f"{device}, {precision}")
                case = Case(str(model or ""), str(source), device, str(precision), frames, video, batch)
                answer = _in_own_process(case, timeout)
                absent = answer.pop("absent", False)
                rows.append({"device": device, "precision": str(precision)} | answer)
                if absent and precision == tried[0]:
                    break  # it is the device that is not there, whatever the precision
            bar.update()
    if not rows:
        raise SettingsError(
            "There is nothing to time: no device that was named computes in a precision that was named",
            seen=f"devices {', '.join(devices)}; precisions {', '.join(precisions or ())}",
            next_step="leave the precisions out to time all that each device runs.",
        )
    return pd.DataFrame(rows).reindex(columns=list(COLUMNS))


def ran(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a bench table that ran."""
    return cast("list[dict[str, Any]]", table[table["fps"].notna()].to_dict("records"))


def write_report(table: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Write a bench table as JSON and as a bar chart; return both paths."""
    from peoplenet_nb.files import write_text
    from peoplenet_nb.plots import charts

    written = Path(folder) / "bench.json"
    write_text(written, table.to_json(orient="records", indent=1) + "\n")
    return [written, charts.speed_bars(ran(table)).save(written.with_suffix(".png"))]


def measure(case: Case) -> dict[str, Any]:
    """Time one configuration in this process."""
    from peoplenet_nb.network.model import PeopleNet

    model = PeopleNet.load(case.model or None, device=case.device, precision=case.precision)
    result = first = _run(case, model, case.batch)
    batch = int(first.summary["model"]["batch"])
    if Device(model.device).on_gpu:
        # A GPU chooses its kernels and makes its buffers with the first frames, which take seconds.
        result = _run(case, model, batch)
    peak = peak_memory_mb()  # before the bare loop loads the network once more
    speed, bare = result.summary["speed"], _bare(case, model, batch)
    return {
        "batch": batch,
        "variant": model.runs.path.name if model.runs is not model.file else "as it is",
        "fps": speed["fps"],
        "bare_fps": bare,
        "ratio": speed["fps"] / bare,
        "first_s": first.summary["speed"]["first_s"],
        "peak_mb": peak,
        **_agreement(model),
        "note": "",
    } | {stage: speed["ms_per_frame"].get(stage) for stage in STAGES}


def _run(case: Case, model: PeopleNet, batch: int | None) -> RunResult:
    from peoplenet_nb.settings import preset
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video import run

    source = open_source(case.source, frames=case.frames)
    with tempfile.TemporaryDirectory() as folder:
        return run(source, model, preset("default"), folder, video=case.video, batch=batch, progress=False)


def _bare(case: Case, model: PeopleNet, batch: int) -> float:
    """Return frames per second of the engine alone: inputs ready, one inference after the other, all cores in it."""
    import numpy as np

    from peoplenet_nb.hardware import available_threads
    from peoplenet_nb.sources import open_source

    images = [frame.image for frame in open_source(case.source, frames=min(case.frames, _BARE_FRAMES))]
    inputs = [model.preprocess(image)[0] for image in images]
    engine = model.with_threads(available_threads()).backend
    engine.run(np.concatenate([inputs[i % len(inputs)] for i in range(batch)]))
    taken = []
    for start in range(0, max(len(inputs), 3 * batch), batch):
        made = np.concatenate([inputs[(start + i) % len(inputs)] for i in range(batch)])
        began = perf_counter()
        engine.run(made)
        taken.append(perf_counter() - began)
    return batch / float(np.median(taken))


def _agreement(model: PeopleNet) -> dict[str, float]:
    """Return how well the INT8 variant that runs agrees with its model; nothing for other precisions."""
    from peoplenet_nb.network.variants import LEAST_BOXES, Target, Variant, int8_path

    if model.precision is not Precision.INT8:
        return {}
    if model.file.quantized:
        return {"agreement": 1.0, "agreement_75": 1.0}  # the model itself is INT8
    record = Variant.load(int8_path(model.file, Target.of(Device(model.device))), model.file)
    if record is None or min(found.boxes for found in record.agreements) < LEAST_BOXES:
        return {}
    return {
        "agreement": min(found.ap50 for found in record.agreements),
        "agreement_75": min(found.ap75 for found in record.agreements),
    }


def _reason(error: PeopleNetError) -> str:
    return error.what if error.seen is None else f"{error.what}: {error.seen}"


def _in_own_process(case: Case, timeout: float) -> dict[str, Any]:
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", json.dumps(asdict(case))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"note": f"not done within {timeout:.0f} s"}
    except (IndexError, ValueError):
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"note": f"ended without an answer: {last[0]}"}
    return answer


def main() -> None:
    """Time the configuration of the command line and write one line of JSON: what `bench` starts."""
    try:
        answer = measure(Case(**json.loads(sys.argv[1])))
    except PeopleNetError as error:
        answer = {"note": _reason(error), "absent": isinstance(error, DeviceError)}
    sys.stdout.write(json.dumps(answer) + "\n")
