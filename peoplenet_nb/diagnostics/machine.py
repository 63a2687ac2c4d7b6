"""The doctor's checks of the machine and of what is installed: cores, GPU, driver, runtimes, codecs.

One decision to know: nothing heavy is imported here. Whether a library works is asked in a child process
(`probe`), so a broken one costs a line of the report and not the kernel that asked for it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import peoplenet_nb
from peoplenet_nb import hardware
from peoplenet_nb.diagnostics.probe import ask
from peoplenet_nb.diagnostics.report import FAMILIES, Check, clash_mend, installed, pip_command

SETUP = "bash setup_runpod.sh"
_OLDEST_PYTHON = (3, 11)
_LEAST_MEMORY = 2 * 1024**3
_FIRST_CUDA13 = (1, 27)
_GB = 1024**3


def check_python() -> list[Check]:
    """Return the Python and the package's own version."""
    version = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return [Check("Python", "fail", version, "3.11 or newer is needed; set-up looks for one: " + SETUP)]
    found = installed(["peoplenet-nb"]).get("peoplenet-nb")
    where = Path(peoplenet_nb.__file__).resolve().parent
    package = (
        Check("peoplenet-nb", "ok", f"{found} at {where}")
        if found
        else Check("peoplenet-nb", "warn", f"not installed, used from {where}", SETUP)
    )
    return [Check("Python", "ok", version), package]


def check_threads() -> list[Check]:
    """Return the cores and the memory that this process may really use."""
    quota, affinity = hardware.cpu_quota(), hardware.affinity()
    limit = "no quota" if quota is None else f"cgroup quota {quota:g}"
    threads = (
        f"{hardware.available_threads()} (affinity {affinity}, {limit}, {os.cpu_count()} in the machine)"
    )
    checks = [Check("Threads", "ok", threads)]
    memory = hardware.memory_limit()
    if memory is not None:
        low = memory < _LEAST_MEMORY
        mend = "give the container or the machine 2 GB or more" if low else ""
        checks.append(Check("Memory", "warn" if low else "ok", f"{memory / _GB:.1f} GB", mend))
    return checks


def check_gpu() -> list[Check]:
    """Return the GPUs, the driver and the CUDA version that it runs."""
    found = hardware.gpus()
    if not found:
        hint = "for speed, take a pod with an NVIDIA GPU; everything works without"
        if shutil.which("nvidia-smi"):
            hint = "nvidia-smi is here but lists no GPU: see what it says, then restart the pod or mend the driver"
            return [Check("GPU", "warn", "the driver does not answer", hint)]
        return [Check("GPU", "ok", "none, inference runs on the CPU", hint)]
    names = ", ".join(f"{gpu.name} ({gpu.memory_mb or '?'} MB)" for gpu in found)
    cuda = hardware.cuda_of_driver()
    computes = [gpu.compute for gpu in found if gpu.compute is not None]
    extra, why = hardware.extra_for(found[0].driver, min(computes, default=None))
    value = f"{found[0].driver}, runs CUDA up to {cuda or 'an unknown version'}; the extra for it is {extra}: {why}"
    driver = Check("Driver", "ok" if extra != "cpu" else "warn", value)
    return [Check("GPU", "ok", names), driver]


def check_onnxruntime() -> list[Check]:
    """Return which ONNX Runtime is installed, and which providers really run."""
    found = installed(FAMILIES["ONNX Runtime"])
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        return [Check("ONNX Runtime", "fail", "not installed", SETUP)]
    cpu = ask("provider", "CPUExecutionProvider")
    checks = []
    if len(found) > 1:
        checks.append(
            Check("ONNX Runtime", "fail", f"two at once: {told}", clash_mend("ONNX Runtime", found))
        )
    else:
        checks.append(Check("ONNX Runtime", "ok", told + _cuda_wheels()))
    if cpu["ok"]:
        checks.append(Check("Provider CPU", "ok", f"runs ({cpu['ms']} ms for a small convolution)"))
    else:
        checks.append(Check("Provider CPU", "fail", cpu["reason"], SETUP))
    built_with = cpu.get("built_with", [])
    return [*checks, _cuda_provider(built_with, next(iter(found))), *_tensorrt_provider(built_with)]


def _cuda_provider(built_with: list[str], distribution: str) -> Check:
    """Return whether CUDA runs, and when not, whether that is a loss."""
    driver = hardware.gpu_driver()
    extra, _ = hardware.extra_for(driver)
    name = "Provider CUDA"
    if "CUDAExecutionProvider" not in built_with:
        if extra == "cpu":
            return Check(name, "ok", "not in this build, and there is no GPU for it")
        return Check(name, "warn", f"{distribution} has no CUDA, so the GPU lies idle", SETUP)
    if driver is None:
        return Check(name, "ok", "in this build, but there is no GPU; inference runs on the CPU")
    answer = ask("provider", "CUDAExecutionProvider")
    if answer["ok"]:
        return Check(name, "ok", f"runs ({answer['ms']} ms for a small convolution)")
    mend = f"{SETUP} takes {extra}, which driver {driver} runs"
    if _extra_of(distribution) == extra:
        afresh = f"rm -rf {shlex.quote(sys.prefix)}; {SETUP}"
        mend = f"the right build ({extra}) is here: install it afresh ({afresh}), or take another pod"
    return Check(name, "warn", answer["reason"], mend)


def _extra_of(distribution: str) -> str:
    """Return which extra an installed ONNX Runtime belongs to; from 1.27 on its wheels are for CUDA 13."""
    if distribution != "onnxruntime-gpu":
        return "cpu"
    numbers = installed([distribution])[distribution].split(".")
    return "cuda12" if (int(numbers[0]), int(numbers[1])) < _FIRST_CUDA13 else "cuda13"


def _tensorrt_provider(built_with: list[str]) -> list[Check]:
    """Return whether TensorRT runs; its libraries are an option that nobody needs."""
    if "TensorrtExecutionProvider" not in built_with or hardware.gpu_driver() is None:
        return []
    answer = ask("provider", "TensorrtExecutionProvider")
    if answer["ok"]:
        return [Check("Provider TensorRT", "ok", "runs")]
    major = "12" if installed(["nvidia-cudnn-cu12"]) else "13"
    # ONNX Runtime's wheels link TensorRT 10; a newer one is not found by them.
    hint = "an option: " + pip_command("install", f"'tensorrt-cu{major}<11'")
    return [Check("Provider TensorRT", "ok", f"not there: {answer['reason']}", hint)]


def _cuda_wheels() -> str:
    """Return the CUDA and cuDNN wheels in words, empty without any."""
    names = ("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
    found = installed(names)
    return "".join(f", {name} {version}" for name, version in found.items())


def check_openvino() -> list[Check]:
    """Return whether OpenVINO, an option, loads."""
    if not installed(["openvino"]):
        hint = f"an option for the CPU: {pip_command('install', 'openvino')}"
        return [Check("OpenVINO", "ok", "not installed", hint)]
    answer = ask("openvino")
    if answer["ok"]:
        return [Check("OpenVINO", "ok", f"{answer['version']}, devices {', '.join(answer['devices'])}")]
    return [
        Check("OpenVINO", "warn", answer["reason"], pip_command("install", "--force-reinstall", "openvino"))
    ]


def check_opencv() -> list[Check]:
    """Return which OpenCV is installed and whether it loads."""
    found = installed(FAMILIES["OpenCV"])
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    if not found:
        return [Check("OpenCV", "fail", "not installed", SETUP)]
    if len(found) > 1:
        return [Check("OpenCV", "fail", f"two at once: {told}", clash_mend("OpenCV", found))]
    answer = ask("opencv")
    if answer["ok"]:
        return [Check("OpenCV", "ok", told)]
    mend = f"{SETUP} puts it back"
    if ".so" in answer["reason"]:
        mend = f"as root: apt-get install libgl1 libglib2.0-0; otherwise {SETUP} takes opencv-python-headless instead"
    return [Check("OpenCV", "fail", f"{told} does not load: {answer['reason']}", mend)]


def check_libraries() -> list[Check]:
    """Return the versions of the other packages that the main job needs."""
    needed = _requirements()
    found = installed(needed)
    missing = [name for name in needed if name not in found]
    if missing:
        return [Check("Packages", "fail", f"missing: {', '.join(missing)}", SETUP)]
    return [Check("Packages", "ok", ", ".join(f"{name} {version}" for name, version in found.items()))]


def _requirements() -> list[str]:
    """Return what the package itself declares to need, without the families that have checks of their own."""
    try:
        declared = metadata.requires("peoplenet-nb") or []
    except metadata.PackageNotFoundError:
        declared = ["av", "numpy", "onnx", "pandas", "requests"]
    wanted = [
        each for each in map(Requirement, declared) if not each.marker or each.marker.evaluate({"extra": ""})
    ]
    return [each.name for each in wanted if each.name not in FAMILIES["OpenCV"]]


def check_codecs() -> list[Check]:
    """Return whether videos can be written (libx264, needed) and whether the GPU's encoder opens."""
    answer = ask("pyav")
    if not answer["ok"]:
        return [Check("H.264 (PyAV)", "fail", answer["reason"], SETUP)]
    checks = [Check("H.264 (PyAV)", "ok", f"PyAV {answer['version']} encodes with libx264")]
    if answer["nvenc"]:
        return [*checks, Check("NVENC", "ok", "h264_nvenc opens")]
    if hardware.gpu_driver() is None:
        return [*checks, Check("NVENC", "ok", "no GPU for it; videos are encoded by libx264")]
    hint = "videos are encoded by libx264; some GPUs (A100, H100) have no encoder at all"
    return [*checks, Check("NVENC", "ok", f"does not open: {answer['nvenc_reason']}", hint)]


def check_youtube() -> list[Check]:
    """Return what a YouTube address needs: yt-dlp, a JavaScript runtime and ffmpeg."""
    ffmpeg = shutil.which("ffmpeg")
    checks = [
        Check("ffmpeg", "ok", f"{_version_of(ffmpeg, '-version')} at {ffmpeg}")
        if ffmpeg
        else Check(
            "ffmpeg",
            "warn",
            "not here; only yt-dlp wants it, to join streams",
            "as root: apt-get install ffmpeg",
        )
    ]
    version = installed(["yt-dlp"]).get("yt-dlp")
    if version is None:
        return [
            *checks,
            Check(
                "yt-dlp",
                "warn",
                "not installed, so no YouTube",
                pip_command("install", "'yt-dlp[default,deno]'"),
            ),
        ]
    checks.append(Check("yt-dlp", "ok", version))
    # yt-dlp looks beside its own Python too, so deno's wheel works without the environment being activated.
    deno = shutil.which("deno", path=sysconfig.get_path("scripts")) or shutil.which("deno")
    if deno is None:
        mend = pip_command("install", "'yt-dlp[default,deno]'")
        return [
            *checks,
            Check("JavaScript runtime", "warn", "no deno; YouTube wants one since November 2025", mend),
        ]
    return [*checks, Check("JavaScript runtime", "ok", f"{_version_of(deno, '--version')} at {deno}")]


def _version_of(tool: str, option: str) -> str:
    """Return the beginning of what a tool says of its version."""
    try:
        done = subprocess.run([tool, option], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not answer ({error})"
    words = (done.stdout or done.stderr).split()
    return " ".join(words[: 3 if "version" in words[:3] else 2])


CHECKS = (
    ("Python", check_python),
    ("Threads", check_threads),
    ("GPU", check_gpu),
    ("ONNX Runtime", check_onnxruntime),
    ("OpenVINO", check_openvino),
    ("OpenCV", check_opencv),
    ("Packages", check_libraries),
    ("H.264 (PyAV)", check_codecs),
    ("YouTube", check_youtube),
)
