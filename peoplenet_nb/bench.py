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
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import PeopleNetError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

DEVICES = ("cpu", "openvino", "cuda", "tensorrt")
PRECISIONS = ("fp32", "int8")
STAGES = ("read", "preprocess", "infer", "decode", "draw", "encode")


@dataclass(frozen=True)
class Case:
    """One configuration to time.

    Parameters
    ----------
    model, source : str
        As for `PeopleNet.load` (empty: what is there) and `open_source`.
    device, precision : str
        As for `PeopleNet.load`.
    frames : int
        How many frames of the source.
    film : bool
        Whether to draw and write the film too.
    """

    model: str
    source: str
    device: str
    precision: str
    frames: int
    film: bool


def bench(
    model: str | Path | None,
    source: str | Path,
    *,
    devices: Sequence[str] = DEVICES,
    precisions: Sequence[str] = PRECISIONS,
    frames: int = 60,
    film: bool = True,
    timeout: float = 1800.0,
) -> pd.DataFrame:
    """Time whole runs of a model over a source, on every device and in every precision that loads.

    Parameters
    ----------
    model : str or Path, optional
        As for `PeopleNet.load`.
    source : str or Path
        As for `open_source`.
    devices, precisions : sequence of str
        What to try.
    frames : int
        Frames of the source to run over.
    film : bool
        Whether to write the film too.
    timeout : float
        Seconds for one configuration; TensorRT builds its first engine within it.

    Returns
    -------
    DataFrame
        A row per configuration: ``device, precision, form, fps, bare_fps, ratio, peak_mb``, milliseconds of each
        stage per frame as seen by its own thread, and ``note`` with the reason where it did not run.
    """
    import pandas as pd

    rows = []
    for device in devices:
        for precision in precisions:
            case = Case(str(model or ""), str(source), device, precision, frames, film)
            rows.append({"device": device, "precision": precision} | _in_own_process(case, timeout))
    columns = ["device", "precision", "form", "fps", "bare_fps", "ratio", "peak_mb", *STAGES, "note"]
    return pd.DataFrame(rows).reindex(columns=columns)


def write_report(table: pd.DataFrame, folder: str | Path) -> list[Path]:
    """Write a bench table as JSON and as a bar chart; return both paths."""
    from peoplenet_nb.plots import charts

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    told, drawn = folder / "bench.json", folder / "bench.png"
    told.write_text(
        json.dumps(json.loads(table.to_json(orient="records")), indent=1) + "\n", encoding="utf-8"
    )
    ran = table[table["fps"].notna()]
    rows = [{str(key): value for key, value in row.items()} for row in ran.to_dict("records")]
    return [told, charts.speed_bars(rows).save(drawn)]


def measure(case: Case) -> dict[str, Any]:
    """Time one configuration in this process."""
    import resource

    import numpy as np

    from peoplenet_nb.model import PeopleNet
    from peoplenet_nb.presets import preset
    from peoplenet_nb.runtime import available_threads
    from peoplenet_nb.sources import open_source
    from peoplenet_nb.video import run

    model = PeopleNet.load(case.model or None, device=case.device, precision=case.precision)
    source = open_source(case.source, frames=case.frames)
    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        result = run(source, model, preset("default"), folder, film=case.film, progress=False)
        seconds = perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    speed = result.summary["speed"]
    images = [frame.image for frame in open_source(case.source, frames=min(case.frames, 20))]
    inputs = [model.preprocess(image)[0] for image in images]
    engine = model.with_threads(available_threads()).backend
    engine.run(inputs[0])
    taken = []
    for batch in inputs:
        began = perf_counter()
        engine.run(np.ascontiguousarray(batch))
        taken.append(perf_counter() - began)
    fps, bare = result.summary["frames"] / seconds, 1.0 / float(np.median(taken))
    return {
        "form": model.runs.path.name if model.runs is not model.file else "as it is",
        "fps": fps,
        "bare_fps": bare,
        "ratio": fps / bare,
        "peak_mb": peak,
        "note": "",
    } | {stage: speed["ms_per_frame"].get(stage) for stage in STAGES}


def _in_own_process(case: Case, timeout: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "peoplenet_nb.bench", json.dumps(asdict(case))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"note": f"not done within {timeout:.0f} s"}
    except (IndexError, ValueError):
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"note": f"ended without an answer: {last[0]}"}
    return answer


def _main() -> None:
    """Time the configuration of the command line and write one line of JSON: what `bench` starts."""
    try:
        answer = measure(Case(**json.loads(sys.argv[1])))
    except PeopleNetError as error:
        answer = {"note": str(error.seen or error.what)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    _main()
