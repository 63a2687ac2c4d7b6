"""The browser's part of the tuner, run in Node or Deno: what the tests hold against Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import Settings
from peoplenet_nb.tuner import wire
from peoplenet_nb.tuner.bundle import module_source


def javascript() -> list[str]:
    """Return what runs a script without a browser: Node, else the Deno of the extra ``youtube``, else nothing."""
    if node := shutil.which("node"):
        return [node]
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    deno = shutil.which("deno", path=beside)
    # All permissions: the runner reads and writes files of the test's own.
    return [deno, "run", "-A", "--no-config", "--no-lock"] if deno else []


JAVASCRIPT = javascript()
needs_node = pytest.mark.skipif(not JAVASCRIPT, reason="neither node nor deno is installed")
RUNNER = Path(__file__).parent / "tuner_node" / "run.mjs"

Job = dict[str, Any]
Run = Callable[[list[Job]], list[Any]]


def runner(folder: Path) -> Run:
    """Return what runs jobs through the very module that the browser loads; ``folder`` is for its files."""
    bundle = folder / "tuner.mjs"
    bundle.write_text(module_source(), encoding="utf-8")
    saved = iter(range(1_000_000))

    def keep(data: bytes) -> str:
        path = folder / f"{next(saved)}.bin"
        path.write_bytes(data)
        return str(path)

    def run(jobs: list[Job]) -> list[Any]:
        kept: dict[bytes, str] = {}
        for job in jobs:
            for name in ("grids", "clip"):
                if isinstance(job.get(name), bytes):
                    data = job[name]
                    job[name] = kept[data] if data in kept else kept.setdefault(data, keep(data))
        asked, answered = folder / "jobs.json", folder / "answers.json"
        asked.write_text(json.dumps(jobs), encoding="utf-8")
        command = [*JAVASCRIPT, str(RUNNER), str(bundle), str(asked), str(answered)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return list(json.loads(answered.read_text(encoding="utf-8")))

    return run


def job(call: str, grids: Grids, settings: Settings | None = None, **more: Any) -> Job:
    made: Job = {"call": call, "shape": wire.shape_of(grids), "grids": wire.pack_grids(grids)} | more
    if settings is not None:
        made["settings"] = wire.numbers_of(settings.for_fit(grids.fit.mode), grids.labels)
    return made
