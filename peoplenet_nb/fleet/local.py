"""Workers on this machine: one process for each GPU, or for a few cores, with its share of them.

Whatever a worker prints or logs goes to a file beside its state; of one that died, the end of it is shown. What it has
to do is told by its standard input, because addresses may hold passwords, and a file would outlive a kill. The end of
that tells it to stop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from peoplenet_nb.errors import OutputError, SettingsError
from peoplenet_nb.files import writing
from peoplenet_nb.fleet.claims import STATE
from peoplenet_nb.hardware import available_threads, gpus

_CORES = 1  # of a worker on a CPU: benchmarks/many_videos.py has the times
_TAIL = 2000  # characters of a log
# The start is read before what takes long, because the coordinator waits until it is.
_BEGIN = (
    "import sys; start = sys.stdin.buffer.readline(); from peoplenet_nb.fleet.worker import main; main(start)"
)


class LocalWorker:
    """A worker in a process of its own."""

    def __init__(self, output: Path, start: dict[str, Any], environment: dict[str, str]) -> None:
        self.token: str = f"w-{uuid.uuid4().hex[:12]}"
        self._log = output / STATE / "workers" / f"{self.token}.log"
        # The checkout this process runs from comes first, also where another one is installed.
        paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
        environment = os.environ | environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
        with writing(self._log):
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BEGIN, str(output), self.token],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the coordinator, which tells the workers
                )
        self._stdin: IO[bytes] = self._process.stdin  # type: ignore[assignment]
        with suppress(OSError):  # `died` tells why it ended
            self._stdin.write(json.dumps(start).encode() + b"\n")
            self._stdin.flush()

    @property
    def died(self) -> str | None:
        """Why it ended before its work was over; empty where it did not, None while it works."""
        code = self._process.poll()
        if code is None:
            return None
        self.stop()
        if code == 0:
            with suppress(OSError):
                self._log.unlink()
        if code == os.EX_IOERR:  # it could not even write that
            raise OutputError(
                "The output cannot be written",
                seen=f"{self._log.parent}: a worker could not write its state",
                next_step="check free space (df -h) and permissions, and start again: the rest is done then.",
            )
        if code in (0, os.EX_SOFTWARE):  # its state has the error
            return ""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if code == -9:
            how += " (killed; the system does that where memory runs out)"
        return f"the worker that had it ended by {how}"

    def log(self) -> str:
        """Return the end of what it said."""
        try:
            return self._log.read_text(encoding="utf-8", errors="replace")[-_TAIL:]
        except OSError:
            return ""

    def stop(self) -> None:
        """Let it finish its part and end."""
        with suppress(OSError):
            self._stdin.close()

    def close(self, seconds: float) -> None:
        """Wait for its end, and see to it."""
        self.stop()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(OutputError):
            _ = self.died  # a log of nothing but success goes


class Local:
    """Starts workers on this machine.

    Parameters
    ----------
    output : Path
        The batch's folder.
    start : dict
        What a worker needs to know.
    device : str
        Where the network runs.
    workers : int, optional
        How many; left out, one for each GPU or for each core.
    """

    def __init__(self, output: Path, start: dict[str, Any], device: str, workers: int | None = None) -> None:
        self._output, self._start, cores = output, start, available_threads()
        self._gpus = gpu_numbers() if device in ("auto", "cuda", "tensorrt") else []
        if workers is not None and workers < 1:
            raise SettingsError("There is at least one worker", seen=workers, next_step="choose 1 or more.")
        self.workers: int = workers or len(self._gpus) or max(1, cores // _CORES)
        self._cores = max(1, cores // self.workers)

    def begin(self, place: int) -> LocalWorker:
        """Start the worker of a place, 0 to ``workers - 1``: on its GPU, with its share of the cores."""
        environment = {"PEOPLENET_CORES": str(self._cores)}
        if self._gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._gpus[place % len(self._gpus)]
        return LocalWorker(self._output, self._start, environment)

    def close(self) -> None:
        """Nothing is held."""


def gpu_numbers() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [number for part in named.split(",") if (number := part.strip()) and number != "-1"]
    return [str(number) for number in range(len(gpus()))]
