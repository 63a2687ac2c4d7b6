from __future__ import annotations

import os
from pathlib import Path

import pytest

from peoplenet_nb import hardware


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        pytest.param("0::/", {"cpu.max": "200000 100000\n"}, 2.0, id="v2, own group at the root"),
        pytest.param("0::/", {"cpu.max": "max 100000\n"}, None, id="v2 without a quota"),
        pytest.param(
            "0::/a/b", {"a/cpu.max": "150000 100000", "a/b/cpu.max": "max 100000"}, 1.5, id="v2, the parent"
        ),
        pytest.param(
            "0::/a/b",
            {"a/cpu.max": "150000 100000", "a/b/cpu.max": "400000 100000"},
            1.5,
            id="v2, the smaller of two",
        ),
        pytest.param(
            "0::/host/path", {"cpu.max": "50000 100000"}, 0.5, id="v2, membership names the host's path"
        ),
        pytest.param(
            "0::/../outside", {"cpu.max": "100000 100000"}, 1.0, id="v2, a group outside the namespace"
        ),
        pytest.param(
            "4:cpu,cpuacct:/box",
            {"cpu,cpuacct/box/cpu.cfs_quota_us": "300000", "cpu,cpuacct/box/cpu.cfs_period_us": "100000"},
            3.0,
            id="v1, two controllers mounted together",
        ),
        pytest.param(
            "1:cpu:/",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
            id="v1 without a quota",
        ),
        pytest.param(
            "1:cpu:/\n0::/",
            {
                "cpu/cpu.cfs_quota_us": "250000",
                "cpu/cpu.cfs_period_us": "50000",
                "unified/cpu.max": "max 100000",
            },
            5.0,
            id="hybrid",
        ),
        pytest.param(
            "1:cpuset:/", {"cpuset/cpu.cfs_quota_us": "100000"}, None, id="another controller's folder"
        ),
        pytest.param("nonsense", {"cpu.max": "what is this"}, None, id="files of another shape"),
        pytest.param("", {}, None, id="no cgroups at all"),
    ],
)
def test_quota_is_read_from_both_kinds_of_cgroups(
    tmp_path: Path, membership: str, files: dict[str, str], expected: float | None
) -> None:
    write(tmp_path / "root", files)
    (tmp_path / "membership").write_text(membership, encoding="ascii")
    assert hardware.cpu_quota(tmp_path / "root", tmp_path / "membership") == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [
        pytest.param(16, None, 16, id="no quota: affinity"),
        pytest.param(16, 2.0, 2, id="the quota is smaller"),
        pytest.param(2, 8.0, 2, id="affinity is smaller"),
        pytest.param(16, 2.9, 2, id="a part of a core is no thread"),
        pytest.param(16, 0.25, 1, id="never less than one"),
    ],
)
def test_threads_are_the_smaller_of_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(hardware, "affinity", lambda: affinity)
    monkeypatch.setattr(hardware, "cpu_quota", lambda: quota)
    assert hardware.available_threads() == expected


def test_affinity_is_this_process_own() -> None:
    assert hardware.affinity() == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"memory.max": "1073741824"}, 1 << 30, id="v2"),
        pytest.param({"memory/memory.limit_in_bytes": "536870912"}, 1 << 29, id="v1"),
        pytest.param({"memory.max": "max"}, None, id="v2 without a limit"),
        pytest.param(
            {"memory/memory.limit_in_bytes": "9223372036854771712"}, None, id="v1's way to say no limit"
        ),
    ],
)
def test_memory_is_the_smaller_of_limit_and_machine(
    tmp_path: Path, files: dict[str, str], expected: int | None
) -> None:
    write(tmp_path, files)
    write(tmp_path, {"membership": "1:memory:/\n0::/"})
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert hardware.memory_limit(tmp_path, tmp_path / "membership") == (expected or machine)


def fake_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_gpus_are_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_tool(tmp_path, monkeypatch, "echo 'NVIDIA GeForce RTX 3090, 550.54.15, 24576, 8.6'")
    assert hardware.gpus() == (hardware.Gpu("NVIDIA GeForce RTX 3090", "550.54.15", 24576, 8.6),)
    assert hardware.gpu_driver() == "550.54.15"


def test_tool_that_knows_no_compute_capability_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_tool(tmp_path, monkeypatch, 'case "$1" in *compute_cap*) exit 2;; esac; echo "Tesla, 470.1, [N/A]"')
    assert hardware.gpus() == (hardware.Gpu("Tesla", "470.1", None, None),)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("echo 'NVIDIA-SMI has failed'; exit 9", id="the driver does not answer"),
        pytest.param("echo 'No devices were found'", id="a sentence instead of a table"),
        pytest.param("sleep 30", id="the tool hangs"),
    ],
)
def test_broken_driver_counts_as_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    fake_tool(tmp_path, monkeypatch, text)
    assert hardware.gpus(timeout=0.5) == ()


def test_no_tool_counts_as_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hardware.gpu_driver() is None


@pytest.mark.gpu
def test_real_driver_runs_some_cuda() -> None:
    if hardware.gpu_driver() is None:
        pytest.skip("no NVIDIA driver answers")
    cuda = hardware.cuda_of_driver()
    assert cuda is not None
    assert float(cuda) >= 11
