"""The other end of `protocol`: a worker's process as the benchmark sees it.

One decision to know: a worker that dies, hangs or answers with an error raises `NotMeasured`; the run goes on
without it, and its row says why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from rivals.environments import NotMeasured, clean, last_words

HERE = Path(__file__).parent


class Worker:
    """A contestant in a process of its own.

    Parameters
    ----------
    python : Path
        The Python of its environment.
    script : str
        The file in this folder.
    task : dict
        What it needs to know, as JSON.
    folder : Path
        Where the task and the log go.
    limit : float
        Seconds an answer may take.
    """

    def __init__(self, python: Path, script: str, task: dict[str, Any], folder: Path, limit: float) -> None:
        given, self.log = folder / f"{script}.json", folder / f"{script}.log"
        given.write_text(json.dumps(task), encoding="utf-8")
        self.limit = limit
        # No GPU for anybody: the CPU is what is compared.
        own = dict(os.environ) if python == Path(sys.executable) else clean()
        variables = own | {"CUDA_VISIBLE_DEVICES": "", "PEOPLENET_HOME": str(folder / "home")}
        with self.log.open("wb") as errors:
            self.process = subprocess.Popen(
                [str(python), str(HERE / script), str(given)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=variables,
                cwd=folder,
                text=True,
            )
        self.about = self._answer()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Have one job done, and return the answer."""
        with suppress(BrokenPipeError):  # it ended; reading says so
            print(json.dumps({"do": do} | arguments), file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> dict[str, Any]:
        watch = threading.Timer(self.limit, self.process.kill)
        watch.start()
        line = self.process.stdout.readline()
        late = not watch.is_alive()
        watch.cancel()
        if not line:
            if late:
                raise NotMeasured(f"no answer within {self.limit:.0f} s")
            code = self.process.wait()
            raise NotMeasured(f"it ended by itself (exit code {code}): {last_words(self.log)}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NotMeasured(answer["error"])
        return answer
