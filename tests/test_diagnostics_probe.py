from __future__ import annotations

import sys
from pathlib import Path

import pytest

from peoplenet_nb import hardware
from peoplenet_nb.diagnostics import probe
from peoplenet_nb.network.engines import loader


@pytest.fixture
def driver() -> str:
    """The NVIDIA driver's version; tests that need a GPU skip where there is none."""
    found = hardware.gpu_driver()
    if found is None:
        pytest.skip("no NVIDIA driver answers")
    return found


@pytest.mark.parametrize("question", [("provider", "CPUExecutionProvider"), ("opencv",), ("pyav",), ("mnn",)])
def test_trials_succeed_here(question: tuple[str, ...]) -> None:
    answer = probe.ask(*question)
    assert answer["ok"], answer["reason"]
    assert answer["version"]


def test_provider_that_the_build_lacks_is_no_provider() -> None:
    answer = probe.ask("provider", "NoSuchExecutionProvider")
    assert not answer["ok"]
    assert "does not have it" in answer["reason"]
    assert "CPUExecutionProvider" in answer["built_with"]


@pytest.mark.parametrize(
    ("child", "reason"),
    [
        pytest.param("echo broken library >&2; kill -SEGV $$", "broken library", id="it dies, with a word"),
        pytest.param("exit 7", "code 7: no message", id="it ends without one"),
        pytest.param("sleep 20", "no answer within 0 seconds", id="it hangs"),
    ],
)
def test_child_that_dies_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child: str, reason: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{child}\n", encoding="utf-8")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    answer = probe.ask("opencv", timeout=0.4)
    assert not answer["ok"]
    assert reason in answer["reason"]


@pytest.mark.parametrize(
    ("message", "gist"),
    [
        pytest.param(
            "/src/cuda_call.cc:122 std::conditional_t<THRW, void> CudaCall(int) [with THRW = true] CUDA failure 35: "
            "CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm ; file=/src/x.cc",
            "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version",
            id="the driver refuses",
        ),
        pytest.param(
            "CUDNN failure 1001: no kernel ; GPU=0", "CUDNN failure 1001: no kernel", id="cuDNN refuses"
        ),
        pytest.param(
            "Please install\n TensorRT", "Please install TensorRT", id="anything else stays as it is"
        ),
    ],
)
def test_reason_of_a_refusal_is_free_of_signatures(message: str, gist: str) -> None:
    assert loader.gist(message) == gist


@pytest.mark.gpu
def test_cuda_runs_on_a_gpu(driver: str) -> None:
    answer = probe.ask("provider", "CUDAExecutionProvider")
    assert answer["ok"], f"driver {driver}: {answer['reason']}"


def test_modules_in_the_current_folder_are_never_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("json", "numpy", "random"):
        (tmp_path / f"{name}.py").write_text("open('was-run', 'w')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    assert probe.ask("opencv")["ok"]
    assert not (tmp_path / "was-run").exists()
