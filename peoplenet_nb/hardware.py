"""What this machine really gives to a process: cores, memory, GPU and driver.

Counting the host's cores is wrong in a container: 16 threads on a quota of 2 cores are 12 times slower
than 2. So the number of threads comes from the smallest of affinity and cgroup quota (v1 and v2).

One decision to know: nothing here raises. A file that cannot be read or a tool that is not there means
"no limit known" or "no GPU", because every caller (the model, the doctor, set-up) has to go on without it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

logger: logging.Logger = logging.getLogger(__name__)

GB = 1024**3
CGROUP_ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")

#: First driver branch that runs CUDA 13 (NVIDIA's CUDA release notes, minor version compatibility).
CUDA13_DRIVER = 580
#: First driver branch that runs every CUDA 12.x (the same table: 525.60.13).
CUDA12_DRIVER = 525
#: CUDA 13 left out everything before Turing, so a Volta card stays with CUDA 12 whatever its driver.
CUDA13_COMPUTE = 7.5

# cgroup v1 writes "no limit" as the largest page-aligned number; anything near it is no limit.
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU as ``nvidia-smi`` reports it.

    Attributes
    ----------
    name : str
        E.g. ``NVIDIA GeForce RTX 3090``.
    driver : str
        Driver version, e.g. ``550.54.15``.
    memory_mb : int | None
        Total memory in MiB, ``None`` where the tool does not say.
    compute : float | None
        Compute capability, e.g. ``8.6``, ``None`` where the tool is too old to say.
    """

    name: str
    driver: str
    memory_mb: int | None
    compute: float | None


def affinity() -> int:
    """Return how many cores this process may be scheduled on, at least 1."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except (AttributeError, OSError):  # no such call on macOS and Windows
        return max(1, os.cpu_count() or 1)


def cpu_quota(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """Return the cgroup's CPU quota in cores.

    Parameters
    ----------
    root : Path
        Where the cgroup file systems are mounted.
    membership : Path
        The file that names the groups of this process.

    Returns
    -------
    float | None
        E.g. ``2.0``; ``None`` where no quota is set. The smallest quota from the process's own group up to
        the root counts, in cgroup v2 (``cpu.max``) as in v1 (``cpu.cfs_quota_us / cpu.cfs_period_us``).
    """
    quotas = []
    for folder in _group_folders(root, membership, "cpu"):
        words = _read(folder / "cpu.max").split()
        if not words:
            words = [_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")]
        quota, period = _number(words[0]), _number(words[1]) if len(words) > 1 else 100_000
        if quota and period and quota > 0 and period > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def available_threads() -> int:
    """Return how many threads are worth starting: the smaller of affinity and CPU quota, at least 1.

    A quota of 2.5 cores gives 2: a third would be throttled. ``PEOPLENET_CORES`` is this process's share of them.
    """
    quota, share = cpu_quota(), _number(os.environ.get("PEOPLENET_CORES", ""))
    cores = affinity() if quota is None else max(1, min(affinity(), int(quota)))
    return max(1, min(cores, share)) if share else cores


def memory_limit(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> int | None:
    """Return the bytes this process may use: the smaller of the cgroup's limit and the machine's memory."""
    limits = []
    for folder in _group_folders(root, membership, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _number(_read(folder / name))
            if limit and 0 < limit < _NO_LIMIT:
                limits.append(limit)
    try:
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        logger.debug("the machine does not say how much memory it has")
    return min(limits, default=None)


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name as the kernel gives it, else its kind."""
    try:
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        logger.debug("%s cannot be read", cpuinfo)
    return platform.processor() or platform.machine()


def cpu_name() -> str:
    """Return the processor and the cores of it that are ours: what a measurement of speed on the CPU holds for."""
    return f"{processor_name()}, {available_threads()} cores"


def peak_memory_mb(status: Path = Path("/proc/self/status")) -> float:
    """Return the most memory that this process has held, in MiB; of another one where its ``status`` is named.

    Notes
    -----
    ``getrusage`` would do, but on Linux it begins from what the *parent* held when it started this process.
    """
    try:
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        logger.debug("%s cannot be read", status)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def gpus(timeout: float = 20.0) -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that ``nvidia-smi`` lists; empty without GPU, driver or tool.

    Parameters
    ----------
    timeout : float
        Seconds to wait for the tool: with a broken driver it can hang.
    """
    for fields in ("name,driver_version,memory.total,compute_cap", "name,driver_version,memory.total"):
        found = tuple(gpu for line in _nvidia_smi(fields, timeout) if (gpu := _parse_gpu(line)) is not None)
        if found:
            return found
    return ()


def gpu_driver() -> str | None:
    """Return the NVIDIA driver's version, e.g. ``550.54.15``, or ``None`` without one."""
    found = gpus()
    return found[0].driver if found else None


def cuda_of_driver() -> str | None:
    """Return the newest CUDA version that the driver itself runs, e.g. ``12.4``, or ``None``.

    Read from ``libcuda`` (``cuDriverGetVersion``), which belongs to the driver and not to any toolkit.
    """
    try:
        library = ctypes.CDLL("libcuda.so.1")
        version = ctypes.c_int(0)
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}" if version.value > 0 else None


def extra_for(
    driver: str | None, compute: float | None = None, machine: str | None = None
) -> tuple[str, str]:
    """Return which of the extras ``cuda13``, ``cuda12`` and ``cpu`` a driver can run, and why.

    Parameters
    ----------
    driver : str | None
        Driver version, ``None`` without a GPU.
    compute : float | None
        Lowest compute capability of the GPUs, where known.
    machine : str | None
        Processor, as ``platform.machine()`` gives it; this machine's when left out.

    Returns
    -------
    tuple[str, str]
        The extra and one sentence with the reason. ``setup_runpod.sh`` holds the same rules, because it
        must decide before any Python package is there; a test holds the two to each other.
    """
    machine = machine or platform.machine()
    if driver is None:
        return "cpu", "no NVIDIA driver answers"
    major = _number(driver.split(".", maxsplit=1)[0])
    if major is None:
        return "cpu", f"the driver's version {driver!r} is not understood"
    if machine not in {"x86_64", "AMD64"}:
        return "cpu", f"onnxruntime-gpu has no wheel for {machine}"
    if major >= CUDA13_DRIVER and (compute is None or compute >= CUDA13_COMPUTE):
        return "cuda13", f"driver {driver} is {CUDA13_DRIVER} or newer and runs CUDA 13"
    if major >= CUDA13_DRIVER:
        return "cuda12", f"driver {driver} runs CUDA 13, but not on a GPU of compute capability {compute}"
    if major >= CUDA12_DRIVER:
        return "cuda12", f"driver {driver} runs CUDA 12; CUDA 13 needs {CUDA13_DRIVER}"
    return "cpu", f"driver {driver} is older than {CUDA12_DRIVER}, which CUDA 12 needs"


def _nvidia_smi(fields: str, timeout: float) -> list[str]:
    """Return the lines of one query, empty when there is no tool, no driver or no answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    command = [tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.SubprocessError) as reason:
        logger.debug("nvidia-smi failed: %s", reason)
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _parse_gpu(line: str) -> Gpu | None:
    """Return the GPU of one csv line, ``None`` for anything that is not one."""
    words = [word.strip() for word in line.split(",")]
    if len(words) < 3 or not words[1][:1].isdigit():
        return None
    compute = _decimal(words[3]) if len(words) > 3 else None
    return Gpu(name=words[0], driver=words[1], memory_mb=_number(words[2]), compute=compute)


def _group_folders(root: Path, membership: Path, controller: str) -> list[Path]:
    """Return the folders of this process's groups, own group first, for one controller in v1 and v2."""
    folders: list[Path] = []
    for line in _read(membership).splitlines() or ["0::/"]:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            tops = [root, root / "unified"]
        elif controller in controllers.split(","):
            tops = [root / controllers, root / controller]
        else:
            continue
        inner = Path(path.lstrip("/"))
        if ".." in inner.parts:  # a group outside this namespace: only its mounted root can be seen
            inner = Path()
        for top in tops:
            folders += [top / part for part in (inner, *inner.parents)]
    # A container often sees its own group at the mount's root while the membership names the host's path.
    return list(dict.fromkeys([*folders, root]))


def _read(path: Path) -> str:
    """Return a small file's text, empty when it cannot be read."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    """Return the whole number in ``text``, ``None`` for ``max``, ``[N/A]`` and the like."""
    try:
        return int(text)
    except ValueError:
        return None


def _decimal(text: str) -> float | None:
    """Return the number in ``text``, ``None`` for ``[N/A]`` and the like."""
    try:
        return float(text)
    except ValueError:
        return None


def has_int8_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the CPU multiplies bytes natively (VNNI or AMX), which makes INT8 worth it."""
    flags = _read(cpuinfo).split()
    return any(name in flags for name in ("avx512_vnni", "avx_vnni", "amx_int8"))
