from __future__ import annotations

import shutil
from typing import Any

import pytest

from peoplenet_nb import hardware
from peoplenet_nb.diagnostics import Check, Report, machine

GPU = hardware.Gpu("NVIDIA GeForce RTX 3090", "550.54.15", 24576, 8.6)


def only(checks: list[Check]) -> Check:
    (check,) = checks
    return check


def named(checks: list[Check], name: str) -> Check:
    return Report(tuple(checks))[name]


def answering(monkeypatch: pytest.MonkeyPatch, **answers: dict[str, Any]) -> None:
    """Let the trials answer without running; the key is the question's last word."""
    monkeypatch.setattr(machine, "ask", lambda *question: answers[question[-1]])


def with_distributions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    monkeypatch.setattr(
        machine,
        "installed",
        lambda names: {name: versions[name] for name in names if name in versions},
    )


def with_gpu(monkeypatch: pytest.MonkeyPatch, *gpus: hardware.Gpu) -> None:
    monkeypatch.setattr(hardware, "gpus", lambda: gpus)


def test_two_of_a_family_fail_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {
        "onnxruntime": "1.30",
        "onnxruntime-gpu": "1.26",
        "opencv-python": "5.0",
        "opencv-contrib-python": "4.9",
    }
    with_distributions(monkeypatch, both)
    with_gpu(monkeypatch)
    answering(monkeypatch, CPUExecutionProvider={"ok": True, "ms": 0.1, "built_with": []})
    assert named(machine.check_onnxruntime(), "ONNX Runtime").status == "fail"
    check = only(machine.check_opencv())
    assert check.status == "fail"
    assert "opencv-contrib-python" in check.fix


def test_nothing_installed_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {})
    for check in (
        machine.check_onnxruntime,
        machine.check_opencv,
    ):
        assert only(check()).status == "fail"


CUDA_BUILD = {"ok": True, "ms": 0.1, "built_with": ["TensorrtExecutionProvider", "CUDAExecutionProvider"]}
CPU_BUILD = {"ok": True, "ms": 0.1, "built_with": ["CPUExecutionProvider"]}
MISSING = {"ok": False, "reason": "libcudnn.so.9: cannot open shared object file"}


@pytest.mark.parametrize(
    ("gpus", "build", "cuda", "status", "text"),
    [
        pytest.param((), CPU_BUILD, MISSING, "ok", "there is no GPU for it", id="CPU build, no GPU"),
        pytest.param((GPU,), CPU_BUILD, MISSING, "warn", "the GPU is not used", id="CPU build beside a GPU"),
        pytest.param((), CUDA_BUILD, MISSING, "ok", "there is no GPU", id="GPU build, no GPU"),
        pytest.param((GPU,), CUDA_BUILD, MISSING, "warn", "libcudnn.so.9", id="the loader's own reason"),
        pytest.param((GPU,), CUDA_BUILD, CUDA_BUILD, "ok", "runs", id="CUDA runs"),
    ],
)
def test_cuda_is_judged_by_what_ran(
    monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[hardware.Gpu, ...],
    build: dict[str, Any],
    cuda: dict[str, Any],
    status: str,
    text: str,
) -> None:
    with_distributions(monkeypatch, {"onnxruntime-gpu": "1.26"})
    with_gpu(monkeypatch, *gpus)
    answering(
        monkeypatch, CPUExecutionProvider=build, CUDAExecutionProvider=cuda, TensorrtExecutionProvider=MISSING
    )
    check = named(machine.check_onnxruntime(), "Provider CUDA")
    assert (check.status, text in check.value) == (status, True), check
    assert bool(check.fix) == (status == "warn")


@pytest.mark.parametrize(
    ("version", "fix"),
    [
        ("1.26.0", "the right build (cuda12) is installed"),
        ("1.30.1", "installs cuda12, which driver 550.54.15 supports"),
    ],
)
def test_fix_for_cuda_depends_on_the_installed_build(
    monkeypatch: pytest.MonkeyPatch, version: str, fix: str
) -> None:
    with_distributions(monkeypatch, {"onnxruntime-gpu": version})
    with_gpu(monkeypatch, GPU)
    answering(
        monkeypatch,
        CPUExecutionProvider=CUDA_BUILD,
        CUDAExecutionProvider=MISSING,
        TensorrtExecutionProvider=MISSING,
    )
    assert fix in named(machine.check_onnxruntime(), "Provider CUDA").fix


def test_runtime_that_does_not_even_run_on_the_cpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {"onnxruntime": "1.30"})
    answering(monkeypatch, CPUExecutionProvider={"ok": False, "reason": "ImportError: bad file"})
    check = named(machine.check_onnxruntime(), "Provider CPU")
    assert (check.status, check.value) == ("fail", "ImportError: bad file")


def test_opencv_without_libgl_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {"opencv-python": "5.0"})
    answering(
        monkeypatch, opencv={"ok": False, "reason": "ImportError: libGL.so.1: cannot open shared object file"}
    )
    check = only(machine.check_opencv())
    assert check.status == "fail"
    assert "apt-get install libgl1" in check.fix


@pytest.mark.parametrize(
    ("versions", "answer", "status", "says"),
    [
        ({}, {}, "ok", "not installed"),
        ({"MNN": "3.6.1"}, {"ok": True, "version": "3.6.1"}, "ok", "3.6.1"),
        ({"MNN": "3.6.1"}, {"ok": False, "reason": "ImportError: GLIBC"}, "warn", "ImportError: GLIBC"),
    ],
)
def test_mnn_is_optional_and_tried(
    versions: dict[str, str],
    answer: dict[str, Any],
    status: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_distributions(monkeypatch, versions)
    answering(monkeypatch, mnn=answer)
    check = only(machine.check_engine("MNN", "MNN"))
    assert (check.status, check.value) == (status, says)
    assert "MNN" in check.fix or answer.get("ok")


def test_driver_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, GPU)
    checks = machine.check_gpu()
    assert "RTX 3090" in named(checks, "GPU").value
    assert "cuda12" in named(checks, "Driver").value


def test_video_that_cannot_be_encoded_fails_and_nvenc_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, GPU)
    answering(monkeypatch, pyav={"ok": False, "reason": "no libx264"})
    assert only(machine.check_codecs()).status == "fail"
    answering(
        monkeypatch, pyav={"ok": True, "version": "18", "nvenc": False, "nvenc_reason": "PermissionError"}
    )
    checks = machine.check_codecs()
    assert [check.status for check in checks] == ["ok", "ok"]
    assert "PermissionError" in named(checks, "NVENC").value


def test_youtube_wants_three_things(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {"yt-dlp": "2026.1"})
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    checks = machine.check_youtube()
    assert [(check.name, check.status) for check in checks] == [
        ("ffmpeg", "warn"),
        ("yt-dlp", "ok"),
        ("JavaScript runtime", "warn"),
    ]
