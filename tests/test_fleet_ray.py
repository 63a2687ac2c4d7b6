"""A batch on a real cluster of Ray's, two nodes on this machine: workers and a node are killed, and nothing is lost."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from peoplenet_nb.fleet import batch
from peoplenet_nb.fleet.claims import STATE, started_at
from runs import TABLES
from videos import make_video

pytestmark = pytest.mark.slow(60)

LIMIT_S = 90
TOKEN = secrets.token_hex(32)
FILES = (*TABLES, "video.mp4")


def ports() -> dict[str, int]:
    """Ports for a node's helpers: for those that it chooses itself Ray waits 15 s only (ray-project/ray#65983)."""
    names = (
        "metrics_agent_port",
        "metrics_export_port",
        "dashboard_agent_listen_port",
        "runtime_env_agent_port",
    )
    with contextlib.ExitStack() as opened:
        free = [opened.enter_context(socket.socket()) for _ in names]
        for one in free:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(names, free, strict=True)}


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def ours() -> set[int]:
    """The processes of this test's cluster that live: all of them inherit its token."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if TOKEN.encode() in path.read_bytes() and started_at(int(path.parent.name)):
                found.add(int(path.parent.name))
    return found


@pytest.fixture
def cluster(monkeypatch):
    for name, value in (
        ("RAY_USAGE_STATS_ENABLED", "0"),
        ("RAY_AUTH_MODE", "token"),
        ("RAY_AUTH_TOKEN", TOKEN),
        ("RAY_memory_monitor_refresh_ms", "0"),  # another test may fill the machine
        ("RAY_agent_register_timeout_ms", "180000"),  # 30 s otherwise, then a node gives up
    ):
        monkeypatch.setenv(name, value)
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    def end(*, seconds: float) -> set[int]:
        """End what was started and return what was left then, which is ended, too."""
        ray.shutdown()
        made.shutdown()
        until = time.monotonic() + seconds
        while ours() and time.monotonic() < until:
            time.sleep(0.1)
        left = ours()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    start = ray._private.services.start_raylet

    def start_raylet(*given: Any, **options: Any) -> Any:
        """Say in the place of a node's agent that it listens on no port, for which Ray waits 15 s only, too."""
        node, session = given[2], Path(given[11])
        (session / f"dashboard_agent_listen_port_{node}").write_text("-1")
        return start(*given, **options)

    monkeypatch.setattr(ray._private.services, "start_raylet", start_raylet)
    for last in (False, True):
        made = Cluster()
        try:
            made.add_node(num_cpus=1, num_gpus=0, include_dashboard=False, **ports())
            made.second = made.add_node(num_cpus=1, num_gpus=0, **ports())
            break
        except Exception as error:  # Ray's own limits on how long its helpers may take to start
            end(seconds=1)
            if last:
                pytest.skip(f"Ray does not start its nodes on this machine now: {error}")
    try:
        yield made
    finally:
        assert not end(seconds=30)


@pytest.mark.timeout(600)
def test_a_killed_node_and_a_killed_worker_lose_nothing(cluster, tmp_path):
    clips, out, there = tmp_path / "clips", tmp_path / "out", tmp_path / "here"
    clips.mkdir()
    for name, frames in (("long", 400), ("other", 300), ("a", 10), ("b", 12)):
        make_video(clips / f"{name}.mp4", frames)
    (raylet,) = cluster.second.all_processes["raylet"]
    killed: list[int] = []
    over = threading.Event()

    def busy(raylets: set[int] | None = None) -> int | None:
        """The number of a process that works on a long video, on a node where that is asked for."""
        while not over.is_set():
            for path in (out / STATE / "workers").glob("r-*.json"):
                with contextlib.suppress(OSError, ValueError):
                    state = json.loads(path.read_text())
                    pid = state["pid"]
                    fine = state["name"] in ("long", "other") and state["frames"] > 5 and pid not in killed
                    if fine and started_at(pid) and (raylets is None or parent(pid) in raylets):
                        return int(pid)
            time.sleep(0.02)
        return None

    def kill() -> None:
        if (pid := busy({raylet.process.pid})) is None:
            return
        killed.append(pid)
        cluster.remove_node(cluster.second, allow_graceful=False)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # a machine takes its processes along
        # Whoever is left has this node's video to do, so there is somebody.
        if (pid := busy()) is not None:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = batch(
            clips, out, model="standin", on="ray", address=cluster.address, workers=2, tries=4, progress=False
        )
    finally:
        over.set()
        killer.join()
    assert result.summary["complete"] == 4
    if len(killed) < 2:
        pytest.skip("one node had done all before the other had begun: nothing was killed in time")
    assert sum(record["tries"] - 1 for record in result.records.values()) >= 1
    assert batch(clips, there, model="standin", progress=False).summary["complete"] == 4
    for name in result.records:
        # A video that went on from a finished part has a key frame there; its tables are the same.
        for file in FILES if name in "ab" else TABLES:
            mine, single = out / name / file, there / name / file
            assert mine.is_file() == single.is_file()
            assert not mine.is_file() or mine.read_bytes() == single.read_bytes(), (name, file)
    assert (out / "sheet" / "a.jpg").read_bytes() == (there / "sheet" / "a.jpg").read_bytes()

    # A driver with another token is told so.
    command = [
        sys.executable,
        "-m",
        "peoplenet_nb.cli",
        "batch",
        str(clips / "a.mp4"),
        "-o",
        str(tmp_path / "no"),
    ]
    command += ["--model", "standin", "--on", "ray", "--address", cluster.address]
    environment = os.environ | {"RAY_AUTH_TOKEN": TOKEN[::-1], "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 1
    assert "RAY_AUTH_TOKEN" in done.stderr
    assert TOKEN[::-1] not in done.stderr
