"""The doctor's checks of folders and disk, the model, Jupyter and RunPod.

Whether widgets appear is decided by the *server's* Python, not by the kernel's. So the widget extensions are
looked for where the running server looks, and only without a server in this environment.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peoplenet_nb.diagnostics.check import SETUP, Check, Status
from peoplenet_nb.diagnostics.packages import installed
from peoplenet_nb.hardware import GB
from peoplenet_nb.paths import VOLUME, home, outputs_dir

KERNEL = "peoplenet"
FRONT_ENDS = {"jupyterlab_widgets": "@jupyter-widgets/jupyterlab-manager", "anywidget": "anywidget"}
#: Variables whose values are shown; of all others only whether they are set.
SHOWN = ("RUNPOD_POD_ID", "RUNPOD_GPU_COUNT", "RUNPOD_PUBLIC_IP", "RUNPOD_DC_ID", "CUDA_VERSION")
HIDDEN = ("RUNPOD_API_KEY", "JUPYTER_PASSWORD", "NGC_API_KEY", "NGC_CLI_API_KEY")

_LOW_DISK = 2 * GB
_FULL_DISK = 100 * 1024**2


def check_outputs() -> list[Check]:
    """Return where results are written, and whether that works."""
    folder = outputs_dir()
    fix = f"set PEOPLENET_HOME to a writable folder, then {SETUP}"
    try:
        there = _nearest_existing(folder)
        if not there.is_dir():
            return [Check("Outputs", "fail", f"{folder} cannot be created: {there} is not a folder", fix)]
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return [Check("Outputs", "fail", f"{folder} cannot be written: {error.strerror or error}", fix)]
    return [Check("Outputs", "ok", str(folder))]


def check_disk() -> list[Check]:
    """Return the free space under the home, and whether it survives a pod's stop."""
    place = home()
    try:
        free = shutil.disk_usage(_nearest_existing(place)).free
    except OSError as error:
        fix = "check the owner and permissions of this folder and those above it, or set PEOPLENET_HOME to another"
        return [Check("Disk", "fail", f"{place} cannot be accessed: {error.strerror or error}", fix)]
    status: Status = "fail" if free < _FULL_DISK else "warn" if free < _LOW_DISK else "ok"
    fix = "" if status == "ok" else "remove old outputs, or set PEOPLENET_HOME to a larger disk"
    checks = [Check("Disk", status, f"{free / GB:.1f} GB free at {place}", fix)]
    if not VOLUME.is_dir():
        if os.environ.get("RUNPOD_POD_ID"):
            fix = "add a volume to the pod: a stop clears everything else"
            checks.append(Check("Volume", "warn", f"this pod has no {VOLUME}", fix))
    elif VOLUME in (place, *place.parents):
        checks.append(Check("Volume", "ok", f"{place} is on {VOLUME} and survives a stop"))
    elif os.access(VOLUME, os.W_OK):
        fix = f"unset PEOPLENET_HOME, or point it below {VOLUME}"
        checks.append(Check("Volume", "warn", f"{VOLUME} exists, but the home is {place}", fix))
    return checks


def check_model() -> list[Check]:
    """Return which model will be used, and whether its file is complete."""
    from peoplenet_nb.errors import PeopleNetError
    from peoplenet_nb.ngc import find_model
    from peoplenet_nb.onnxfile import read_model_file

    try:
        path = find_model()
        if path is None:
            value = "none yet; the demo clip uses the stand-in"
            return [Check("Model", "warn", value, "peoplenet-nb download")]
        file = read_model_file(path)
    except PeopleNetError as error:
        return [Check("Model", "fail", f"{error.what} Seen: {error.seen}", error.next_step)]
    kind = "the stand-in, for the demo clip only" if file.standin else ", ".join(file.labels)
    return [Check("Model", "ok", f"{path} ({file.size / 1e6:.1f} MB, {kind})")]


def check_kernel() -> list[Check]:
    """Return whether Jupyter has the kernel PeopleNet, with this Python."""
    name = "Kernel PeopleNet"
    if not installed(["jupyter-client"]):
        return [Check(name, "warn", "Jupyter is not installed here", SETUP)]
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec(KERNEL)
    except NoSuchKernel:
        return [Check(name, "warn", "not registered", SETUP)]
    python = Path(spec.argv[0])
    if not python.is_file():
        return [Check(name, "warn", f"its Python no longer exists: {python}", SETUP)]
    if python.parent != Path(sys.executable).parent:
        return [Check(name, "warn", f"starts another Python: {python}", f"{SETUP} points it at this one")]
    return [Check(name, "ok", spec.resource_dir)]


def check_servers() -> list[Check]:
    """Return the running Jupyter servers and whether each finds the widget extensions."""
    servers = list(running_servers())
    if not servers:
        return [_front_ends("no server is running; in this environment", Path(sys.prefix))]
    checks = []
    for server in servers:
        python, where = server_python(server["pid"]), f"server on port {server.get('port', '?')}"
        if python is None:
            value = f"{where}: its Python is unknown"
            checks.append(Check("Widgets", "warn", value, "reload the page after set-up"))
        else:
            checks.append(_front_ends(f"{where}, Python {python}", python.parent.parent))
    return checks


def _front_ends(where: str, prefix: Path) -> Check:
    """Return whether a server of this prefix finds both widget extensions."""
    folders = labextension_folders(prefix)
    found = {
        name
        for name, front in FRONT_ENDS.items()
        if any((folder / front / "package.json").is_file() for folder in folders)
    }
    missing = " and ".join(name for name in FRONT_ENDS if name not in found)
    if missing:
        value = f"{where}: without {missing}, widgets show 'model not found'"
        fix = f"{SETUP} links them for every server of this user; then reload the page"
        return Check("Widgets", "warn", value, fix)
    return Check("Widgets", "ok", f"{where}: {' and '.join(FRONT_ENDS)} found")


def labextension_folders(prefix: Path) -> list[Path]:
    """Return where a server of a Python prefix looks for widget extensions: the user's, its own, the system's."""
    from jupyter_core.paths import SYSTEM_JUPYTER_PATH, jupyter_data_dir

    named = [Path(path) for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if path]
    data = [*named, Path(jupyter_data_dir()), prefix / "share" / "jupyter", *map(Path, SYSTEM_JUPYTER_PATH)]
    return [folder / "labextensions" for folder in data]


def running_servers() -> Iterator[dict[str, Any]]:
    """Yield the connection files of this user's Jupyter servers whose process is alive."""
    if not installed(["jupyter-core"]):
        return
    from jupyter_core.paths import jupyter_runtime_dir

    for file in sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json")):
        try:
            server = json.loads(file.read_text(encoding="utf-8"))
            os.kill(int(server["pid"]), 0)
        except PermissionError:  # alive, but of another user
            pass
        except (OSError, ValueError, KeyError, TypeError):
            continue
        yield server


def server_python(pid: int) -> Path | None:
    """Return the Python that a server was started with; its folder is that of the environment."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    python = Path(os.fsdecode(words[0]))
    return python if python.is_absolute() and "python" in python.name else None


def check_runpod() -> list[Check]:
    """Return RunPod's variables; of secrets only whether they are set."""
    pod = os.environ.get("RUNPOD_POD_ID")
    shown = [f"{name}={os.environ[name]}" for name in SHOWN if os.environ.get(name)]
    secrets = sorted(name for name in os.environ if name.startswith("RUNPOD_SECRET_"))
    hidden = [f"{name} is set" for name in (*HIDDEN, *secrets) if os.environ.get(name)]
    text = ", ".join(shown + hidden)
    if pod is None:
        return [Check("RunPod", "ok", "not on RunPod" + (f" ({text})" if text else ""))]
    stop = "when you are done, stop the billing: runpodctl pod stop $RUNPOD_POD_ID"
    lab = Check("RunPod JupyterLab", "ok", f"https://{pod}-8888.proxy.runpod.net")
    if not os.environ.get("JUPYTER_PASSWORD"):
        value = "JUPYTER_PASSWORD is not set, so the image does not start JupyterLab"
        fix = "set it in the pod's variables (this restarts the pod), or start JupyterLab as set-up's last lines show"
        lab = Check("RunPod JupyterLab", "warn", value, fix)
    return [Check("RunPod", "ok", text, stop), lab]


def _nearest_existing(folder: Path) -> Path:
    """Return the folder, or the nearest path above it that exists (a broken link too); may raise an ``OSError``."""
    for place in (folder, *folder.parents):
        try:
            # Not is_dir(): without permission it raises on some Pythons and returns False on others.
            os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return place
    return Path(folder.anchor)


CHECKS = (
    ("Outputs", check_outputs),
    ("Disk", check_disk),
    ("Model", check_model),
    ("Kernel PeopleNet", check_kernel),
    ("Widgets", check_servers),
    ("RunPod", check_runpod),
)
