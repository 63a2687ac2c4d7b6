"""The doctor's checks of the machine: cores, GPU, driver, runtimes, codecs.

Nothing heavy is imported here. Whether a library works is tried in a child process (`probe`), so a broken one
becomes a line of the report and does not end the kernel that asked.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from functools import partial

from packaging.version import Version

from peoplenet_nb import hardware
from peoplenet_nb.diagnostics.check import SETUP, Check
from peoplenet_nb.diagnostics.packages import FAMILIES, clash_fix, installed, pip_command, versions_of
from peoplenet_nb.diagnostics.probe import ask

_LEAST_MEMORY = 2 * 1024**3
_FIRST_CUDA13 = Version("1.27")
_RUNS = "runs ({ms} ms for a small convolution)"


def check_threads() -> list[Check]:
    """Return the cores and the memory that this process may use."""
    quota, affinity = hardware.cpu_quota(), hardware.affinity()
    limit = "no quota" if quota is None else f"cgroup quota {quota:g}"
    usable, in_machine = hardware.available_threads(), os.cpu_count()
    checks = [Check("Threads", "ok", f"{usable} (affinity {affinity}, {limit}, {in_machine} in the machine)")]
    if (memory := hardware.memory_limit()) is not None:
        low = memory < _LEAST_MEMORY
        fix = "give the container or the machine 2 GB or more" if low else ""
        checks.append(Check("Memory", "warn" if low else "ok", f"{memory / hardware.GB:.1f} GB", fix))
    return checks


def check_gpu() -> list[Check]:
    """Return the GPUs, the driver and the CUDA version that it runs."""
    found = hardware.gpus()
    if not found:
        hint = "for more speed, use a pod with an NVIDIA GPU; everything also works without one"
        if shutil.which("nvidia-smi"):
            hint = "nvidia-smi is installed but lists no GPU: run it to see why, then restart the pod or fix the driver"
            return [Check("GPU", "warn", "the driver does not answer", hint)]
        return [Check("GPU", "ok", "none, inference runs on the CPU", hint)]
    names = ", ".join(f"{gpu.name} ({gpu.memory_mb or '?'} MB)" for gpu in found)
    cuda = hardware.cuda_of_driver()
    computes = [gpu.compute for gpu in found if gpu.compute is not None]
    extra, why = hardware.extra_for(found[0].driver, min(computes, default=None))
    most = f"supports CUDA up to {cuda or 'an unknown version'}"
    value = f"{found[0].driver}, {most}; its extra is {extra}: {why}"
    return [Check("GPU", "ok", names), Check("Driver", "ok" if extra != "cpu" else "warn", value)]


def check_onnxruntime() -> list[Check]:
    """Return which ONNX Runtime is installed, and which of its providers run."""
    found = installed(FAMILIES["ONNX Runtime"])
    runtime = _family("ONNX Runtime", found)
    if not found:
        return [runtime]
    if runtime.status == "ok":
        wheels = ("nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
        runtime = Check(runtime.name, "ok", versions_of(found | installed(wheels)))
    answer = ask("provider", "CPUExecutionProvider")
    if answer["ok"]:
        cpu = Check("Provider CPU", "ok", _RUNS.format(**answer))
    else:
        cpu = Check("Provider CPU", "fail", answer["reason"], SETUP)
    built_with = answer.get("built_with", [])
    return [runtime, cpu, _cuda_provider(built_with, next(iter(found))), *_tensorrt_provider(built_with)]


def _family(name: str, found: dict[str, str]) -> Check:
    """Return which member of a family is installed: exactly one should be."""
    if not found:
        return Check(name, "fail", "not installed", SETUP)
    if len(found) > 1:
        return Check(name, "fail", f"two at once: {versions_of(found)}", clash_fix(name, found))
    return Check(name, "ok", versions_of(found))


def _cuda_provider(built_with: list[str], distribution: str) -> Check:
    """Return whether CUDA runs, and if not, whether it should."""
    driver = hardware.gpu_driver()
    extra, _ = hardware.extra_for(driver)
    name = "Provider CUDA"
    if "CUDAExecutionProvider" not in built_with:
        if extra == "cpu":
            return Check(name, "ok", "not in this build, and there is no GPU for it")
        return Check(name, "warn", f"{distribution} has no CUDA, so the GPU is not used", SETUP)
    if driver is None:
        return Check(name, "ok", "in this build, but there is no GPU; inference runs on the CPU")
    answer = ask("provider", "CUDAExecutionProvider")
    if answer["ok"]:
        return Check(name, "ok", _RUNS.format(**answer))
    fix = f"{SETUP} installs {extra}, which driver {driver} supports"
    if _extra_of(distribution) == extra:
        reinstall = f"rm -rf {shlex.quote(sys.prefix)}; {SETUP}"
        fix = f"the right build ({extra}) is installed: reinstall it ({reinstall}), or use another pod"
    return Check(name, "warn", answer["reason"], fix)


def _extra_of(distribution: str) -> str:
    """Return the extra to which an installed ONNX Runtime belongs; from 1.27 on its wheels are for CUDA 13."""
    if distribution != "onnxruntime-gpu":
        return "cpu"
    return "cuda12" if Version(installed([distribution])[distribution]) < _FIRST_CUDA13 else "cuda13"


def _tensorrt_provider(built_with: list[str]) -> list[Check]:
    """Return whether TensorRT runs; its libraries are optional."""
    if "TensorrtExecutionProvider" not in built_with or hardware.gpu_driver() is None:
        return []
    answer = ask("provider", "TensorrtExecutionProvider")
    if answer["ok"]:
        return [Check("Provider TensorRT", "ok", "runs")]
    major = "12" if installed(["nvidia-cudnn-cu12"]) else "13"
    # ONNX Runtime's wheels are linked against TensorRT 10 and do not find a newer one.
    hint = "optional: " + pip_command("install", f"'tensorrt-cu{major}<11'")
    return [Check("Provider TensorRT", "ok", f"not available: {answer['reason']}", hint)]


def check_engine(name: str, distribution: str) -> list[Check]:
    """Return whether an engine for the CPU, which is optional, loads."""
    if not installed([distribution]):
        hint = f"optional, for the CPU: {pip_command('install', distribution)}"
        return [Check(name, "ok", "not installed", hint)]
    answer = ask(distribution.lower())
    if answer["ok"]:
        devices = f", devices {', '.join(answer['devices'])}" if "devices" in answer else ""
        return [Check(name, "ok", f"{answer['version']}{devices}")]
    return [Check(name, "warn", answer["reason"], pip_command("install", "--force-reinstall", distribution))]


def check_opencv() -> list[Check]:
    """Return which OpenCV is installed and whether it loads."""
    opencv = _family("OpenCV", installed(FAMILIES["OpenCV"]))
    if opencv.status != "ok" or (answer := ask("opencv"))["ok"]:
        return [opencv]
    fix = f"reinstall it: {SETUP}"
    if ".so" in answer["reason"]:
        fix = f"as root: apt-get install libgl1 libglib2.0-0; or let {SETUP} install opencv-python-headless"
    return [Check("OpenCV", "fail", f"{opencv.value} does not load: {answer['reason']}", fix)]


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
    """Return what YouTube addresses need: yt-dlp, a JavaScript runtime and ffmpeg."""
    value = "not installed; only yt-dlp needs it, to merge streams"
    ffmpeg = Check("ffmpeg", "warn", value, "as root: apt-get install ffmpeg")
    if tool := shutil.which("ffmpeg"):
        ffmpeg = Check("ffmpeg", "ok", f"{_version_of(tool, '-version')} at {tool}")
    fix = pip_command("install", "'yt-dlp[default,deno]'")
    version = installed(["yt-dlp"]).get("yt-dlp")
    if version is None:
        value = "not installed, so YouTube addresses do not work"
        return [ffmpeg, Check("yt-dlp", "warn", value, fix)]
    value = "no deno; YouTube requires one since November 2025"
    runtime = Check("JavaScript runtime", "warn", value, fix)
    # yt-dlp also looks beside its own Python, so deno's wheel works even if the environment is not activated.
    if tool := shutil.which("deno", path=sysconfig.get_path("scripts")) or shutil.which("deno"):
        runtime = Check("JavaScript runtime", "ok", f"{_version_of(tool, '--version')} at {tool}")
    return [ffmpeg, Check("yt-dlp", "ok", version), runtime]


def _version_of(tool: str, option: str) -> str:
    """Return the first words of a tool's version."""
    try:
        done = subprocess.run([tool, option], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"does not answer ({error})"
    words = (done.stdout or done.stderr).split()
    return " ".join(words[: 3 if "version" in words[:3] else 2])


CHECKS = (
    ("Threads", check_threads),
    ("GPU", check_gpu),
    ("ONNX Runtime", check_onnxruntime),
    ("MNN", partial(check_engine, "MNN", "MNN")),
    ("OpenVINO", partial(check_engine, "OpenVINO", "openvino")),
    ("OpenCV", check_opencv),
    ("H.264 (PyAV)", check_codecs),
    ("YouTube", check_youtube),
)
