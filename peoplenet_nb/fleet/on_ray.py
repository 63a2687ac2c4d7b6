"""Workers as actors of Ray's: each holds the network, and takes videos by the same claims as elsewhere.

Only paths, addresses and settings travel; frames are read where the network is, and results are written where they
belong: the output folder must be a volume that all nodes see under the same path. An actor that dies, with its node or
without, is started anew, and its video goes on from its last finished part.

Ray's reports of use are turned off. Clusters with a token want ``RAY_AUTH_MODE=token`` and one ``RAY_AUTH_TOKEN`` on
every node and here.
"""

from __future__ import annotations

import logging
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import DeviceError, InstallationError, OutputError, PeopleNetError
from peoplenet_nb.fleet.claims import STATE
from peoplenet_nb.hardware import available_threads, gpus

_CORES = 1  # of a worker on a CPU, as on this machine (`peoplenet_nb.fleet.local`)
_GPU_CORES = 2


class _Actor:
    """What runs in an actor's process."""

    def __init__(self, output: str, start: dict[str, Any], token: str, cores: int) -> None:
        os.environ["PEOPLENET_CORES"] = str(cores)
        logging.basicConfig(level=logging.INFO)
        folder = Path(output)
        if not (folder / STATE / "workers" / f"{start['id']}.json").is_file():  # the coordinator's own
            raise OutputError(
                "A node of the cluster does not see the output folder",
                seen=f"{output} on {os.uname().nodename}",
                next_step="choose an --output on a volume that all nodes have under the same path.",
            )
        from peoplenet_nb.fleet.worker import Worker

        self._worker = Worker(folder, start, token)

    def work(self) -> None:
        self._worker.work()

    def stop(self) -> None:
        self._worker.stopping.set()


class RayWorker:
    """A worker in an actor."""

    def __init__(self, ray: Any, kind: Any, *given: Any) -> None:
        self._ray = ray
        self.token: str = f"r-{uuid.uuid4().hex[:12]}"
        output, start, cores = given
        self._state = output / STATE / "workers" / f"{self.token}.json"
        self._actor = kind.remote(str(output), start, self.token, cores)
        self._work = self._actor.work.remote()
        self._end: str | None = None

    @property
    def died(self) -> str | None:
        """Why it ended before its work was over; empty where it did not, None while it works."""
        if self._end is None and self._ray.wait([self._work], timeout=0)[0]:
            self._end = ""
            try:
                self._ray.get(self._work)
            except self._ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, PeopleNetError) else _refused(error) from None
            except self._ray.exceptions.RayError as error:
                inner = getattr(error, "cause", None)  # what the actor could not begin for
                if isinstance(inner, PeopleNetError):
                    raise inner from None
                self._end = f"the worker or node that had it was lost ({type(error).__name__})"
            self._drop()
        return self._end

    def log(self) -> str:
        """Return nothing: Ray keeps the logs."""
        return ""

    def stop(self) -> None:
        """Let it end at the next frame; the part in progress is lost."""
        with suppress(self._ray.exceptions.RayError):
            self._actor.stop.remote()

    def close(self, seconds: float) -> None:
        """Wait for its end, where it has begun, and see to it."""
        if self._end is None and self._state.is_file():
            self.stop()
            with suppress(self._ray.exceptions.RayError):
                self._ray.wait([self._work], timeout=seconds)
        self._drop()

    def _drop(self) -> None:
        with suppress(Exception):
            self._ray.kill(self._actor)


class OnRay:
    """Starts workers on a cluster.

    Parameters
    ----------
    output : Path
        The batch's folder, on a volume that all nodes see.
    start : dict
        What a worker needs to know.
    device : str
        Where the network runs.
    workers : int, optional
        How many; left out, one for each GPU of the cluster, or for each core.
    address : str, optional
        Of the cluster; left out, a small one is started on this machine, and ended with the batch.

    Raises
    ------
    InstallationError
        When Ray is not installed.
    DeviceError
        When the cluster does not answer, or refuses the token.
    """

    def __init__(
        self, output: Path, start: dict[str, Any], device: str, workers: int | None, address: str | None
    ) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ.setdefault("RAY_ENABLE_RECORD_ACTOR_TASK_LOGGING", "0")
        try:
            import ray
        except ImportError as error:
            raise InstallationError(
                "Ray is not installed", seen=error, next_step='pip install "peoplenet-nb[ray]"'
            ) from error
        self._ray: Any = ray
        self._output, self._start = output, start
        self._ours = not ray.is_initialized()
        if self._ours:
            options: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
            if address is None:
                options |= {"num_cpus": max(available_threads(), workers or 1), "num_gpus": len(gpus())}
                options |= {"include_dashboard": False}
            try:
                ray.init(address=address or "local", **options)
            except Exception as error:  # its own errors share no class
                ray.shutdown()
                raise _refused(error, address) from error
        have = self._ray.cluster_resources()
        on_gpu = device in ("auto", "cuda", "tensorrt") and have.get("GPU", 0) >= 1
        cores = _GPU_CORES if on_gpu else _CORES
        self.workers: int = workers or max(1, int(have["GPU"] if on_gpu else have.get("CPU", 1) // cores))
        self._cores = cores if on_gpu else max(1, min(cores, int(have.get("CPU", 1) // self.workers)))
        self._kind = ray.remote(_Actor).options(
            num_cpus=min(cores, have.get("CPU", 1) / self.workers),
            num_gpus=1 if on_gpu else 0,
            max_restarts=0,  # the coordinator starts another, which may lie elsewhere
            max_concurrency=2,  # `stop` is heard while `work` works
            scheduling_strategy="SPREAD",
        )

    def begin(self, place: int) -> RayWorker:
        """Start a worker, wherever there is room."""
        return RayWorker(self._ray, self._kind, self._output, self._start, self._cores)

    def close(self) -> None:
        """Leave the cluster, or end that on this machine."""
        if self._ours:
            self._ray.shutdown()


def _refused(error: Exception, address: str | None = None) -> DeviceError:
    where = f"{address}: " if address else ""
    return DeviceError(
        "Ray's cluster does not take this",
        seen=f"{where}{type(error).__name__}: {str(error)[-200:]}",
        next_step="check the address; where the cluster has a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN here. "
        "Ray gives a node 15 s to start: on a busy machine, try again.",
    )
