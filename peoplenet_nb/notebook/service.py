"""A service of its own for notebook 11: started, asked once, and ended."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.html_tables import note, table

_PATIENCE_S = 60.0
_END_S = 20.0


@dataclass(repr=False)
class Asked:
    """What a service answered, or why there was none; it shows itself."""

    boxes: list[dict[str, Any]] = field(default_factory=list)
    problem: str = ""

    def _repr_html_(self) -> str:
        if self.problem:
            return note(f"nobody was asked: {self.problem}", "instead")
        return table(self.boxes, "What the service found", limit=6)


def ask_service(picture: npt.NDArray[np.uint8], model: str | None = None, device: str = "auto") -> Asked:
    """Start ``peoplenet-nb serve`` on this machine, ask it about a picture, and end it.

    Parameters
    ----------
    picture : ndarray
        ``(H, W, 3)`` BGR uint8.
    model, device : str
        As for `peoplenet_nb.PeopleNet.load`.
    """
    try:
        from peoplenet_nb.serve import Client
    except ImportError as error:
        return Asked(problem=f'{error}. Install what it needs: pip install "peoplenet-nb[serve]".')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_urlsafe(32)
    command = [sys.executable, "-m", "peoplenet_nb.cli", "serve", "--port", str(port), "--device", device]
    command += ["--model", model] if model else []
    quiet = subprocess.DEVNULL
    with subprocess.Popen(
        command,
        env=os.environ | {"PEOPLENET_TOKEN": token},
        stdin=quiet,
        stdout=quiet,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            _wait_for(port, process)
            with Client(f"http://127.0.0.1:{port}", token, patience=_PATIENCE_S) as client:
                found = client.detect(picture).to_detections().to_pandas()
        except PeopleNetError as error:
            process.terminate()
            said = process.communicate(timeout=_END_S)[1].decode(errors="replace") if process.stderr else ""
            return Asked(problem=" ".join(f"{error} {said[-300:]}".split()))
        finally:
            process.terminate()
            try:
                process.communicate(timeout=_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
    columns = [name for name in ("class", "confidence", "x1", "y1", "x2", "y2") if name in found]
    return Asked(found[columns].round(2).to_dict("records"))


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens, or the process has ended."""
    until = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
