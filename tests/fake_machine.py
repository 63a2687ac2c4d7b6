"""A machine of fakes for the set-up script, in a temporary folder.

Its PATH holds the few system tools that the script may use, and fakes of nvidia-smi, python3, uv, apt-get, id
and df that record each call. So it has no GPU although the machine that runs the tests may have one, and
nothing is ever fetched.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ["setup_runpod.sh", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tools").glob("setup_*.sh"))]
SYSTEM_TOOLS = (
    "awk basename bash cat chmod cp cut date dirname env find flock grep head ln ls mkdir mv realpath rm sed "
    "sha256sum sleep sort tail tee timeout touch tr true uname wc"
)

FAKE_PYTHON = """
    echo "python $*" >>"$FAKE/calls"
    [ -n "${PYTHONSAFEPATH:-}" ] || echo "$*" >>"$FAKE/unsafe"
    here=$(dirname "$0")
    case "$*" in
        *_base_executable*) echo "$0" ;;
        *ctypes*) [ -e "$FAKE/libraries" ] ;;
        *"import ensurepip"*) [ -e "$FAKE/ensurepip" ] ;;
        *jupyter_data_dir*) echo "$HOME/.local/share/jupyter" ;;
        *find_model*) echo "${FAKE_FOUND:-}" ;;
        *"import av, cv2"* | *"import cv2"*)
            if [ -e "$FAKE/missing-package" ]; then
                rm "$FAKE/missing-package"
                echo "matplotlib"
                exit 1
            fi
            if [ -e "$FAKE/broken-opencv" ] && [ ! -e "$FAKE/headless" ]; then
                echo "ImportError: libX11.so.6: cannot open shared object file"
                exit 1
            fi ;;
        "-m venv "*)
            [ -z "${FAKE_VENV_FAILS:-}" ] || { echo "OSError: $FAKE_VENV_FAILS"; exit 1; }
            mkdir -p "${@: -1}/bin"
            cp "$0" "${@: -1}/bin/python" ;;
        "-m pip --version") [ -e "$FAKE/pip" ] ;;
        "-m pip config list") cat "$FAKE/pip-config" 2>/dev/null || true ;;
        "-m pip --python"*) : ;;
        "-m pip install"*) cp "$FAKE/uv" "$here/uv" ;;
        "-m ipykernel install --user"*) folder=$HOME/.local/share/jupyter/kernels/peoplenet ;;
        "-m ipykernel install"*) folder=$(dirname "$here")/share/jupyter/kernels/peoplenet ;;
        "-m ruff"*) echo "checked by $2" ;;
        "-m pytest"*) trap -p INT; echo "1 passed in 0.01s"; exit "${FAKE_PYTEST:-0}" ;;
        *) exec "$REAL_PYTHON" "$@" ;;
    esac
    code=$?
    if [ -n "${folder:-}" ]; then
        mkdir -p "$folder"
        printf '{"argv": ["%s"], "arguments": "%s"}' "$0" "$*" >"$folder/kernel.json"
    fi
    exit $code
"""
FAKE_UV = """
    echo "uv $*" >>"$FAKE/calls"
    [ -n "${PYTHONSAFEPATH:-}" ] || echo "$*" >>"$FAKE/unsafe"
    env | grep '^UV_\\|^SSL_' >>"$FAKE/uv-environment" || true
    case "$*" in
        --version) echo "uv 9.9.9" ;;
        venv*)
            mkdir -p "${@: -1}/bin" "${@: -1}/lib/python3/site-packages"
            mkdir -p "${@: -1}/share/jupyter/labextensions/"{anywidget,@jupyter-widgets/jupyterlab-manager}
            cp "$FAKE/bin/python3" "${@: -1}/bin/python"
            cp "$FAKE/peoplenet-nb" "${@: -1}/bin/peoplenet-nb" ;;
        *"pip install"*)
            [ -z "${FAKE_UV_FAILS:-}" ] || { echo "error: $FAKE_UV_FAILS"; exit 2; }
            case "$*" in
                *--require-hashes*) ! grep -q '^opencv-python-headless==' "${@: -1}" || touch "$FAKE/headless" ;;
            esac ;;
    esac
"""
FAKE_PEOPLENET = """
    echo "peoplenet-nb $*" >>"$FAKE/calls"
    [ -n "${PYTHONSAFEPATH:-}" ] || echo "$*" >>"$FAKE/unsafe"
    case "$1" in
        download) exit "${FAKE_DOWNLOAD:-0}" ;;
        doctor) echo "OK    Python  3.11"; echo "WARN  Model   none yet"; exit "${FAKE_DOCTOR:-0}" ;;
        demo)
            while [ -e "$FAKE/demo-waits" ]; do sleep 0.05; done
            echo "7 people found" ;;
    esac
"""
FAKE_APT = """
    echo "apt-get $*" >>"$FAKE/calls"
    [ -z "${FAKE_APT_FAILS:-}" ] || exit 100
    case "$*" in
        *libgl1*) touch "$FAKE/libraries" ;;
        *-venv*) touch "$FAKE/ensurepip" ;;
        *ffmpeg*) cp "$FAKE/bin/id" "$FAKE/bin/ffmpeg" ;;
    esac
"""
FAKE_DF = 'echo "Filesystem 1024-blocks Used Available"; echo "disk 1 1 ${FAKE_FREE_KB:-90000000}"'
FAKE_SMI = """
    echo "nvidia-smi $*" >>"$FAKE/calls"
    case "$*" in *compute_cap*) [ -z "${FAKE_OLD_TOOL:-}" ] || { echo "Field not valid"; exit 2; } ;; esac
    printf '%b' "$FAKE_SMI"
    exit "${FAKE_SMI_CODE:-0}"
"""


class Machine:
    """A machine of fakes in a folder, with a copy of what the script reads of the checkout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "a machine"
        self.checkout = folder / "a checkout"
        self.home = folder / "a home"
        self.user = folder / "user"
        self.bin = self.folder / "bin"
        for place in (self.bin, self.checkout / "tools", self.user):
            place.mkdir(parents=True)
        for name in SYSTEM_TOOLS.split():
            tool = shutil.which(name)
            assert tool, f"{name} is not on this machine"
            (self.bin / name).symlink_to(tool)
        for script in SCRIPTS:
            shutil.copy(ROOT / script, self.checkout / script)
        shutil.copy(ROOT / "pyproject.toml", self.checkout)
        for name in ("constraints", "notebooks"):
            shutil.copytree(ROOT / name, self.checkout / name)
        copying = Path("peoplenet_nb", "notebook", "copying.py")
        (self.checkout / copying).parent.mkdir(parents=True)
        shutil.copy(ROOT / copying, self.checkout / copying)
        self.fake("python3", FAKE_PYTHON)
        self.fake("uv", FAKE_UV, on_path=False)
        self.fake("peoplenet-nb", FAKE_PEOPLENET, on_path=False)
        self.fake("df", FAKE_DF)
        self.fake("id", 'echo "${FAKE_UID:-1000}"')
        self.fake("ffmpeg", "true")
        self.have("libraries", "ensurepip", "pip")

    def fake(self, name: str, text: str, *, on_path: bool = True) -> None:
        path = (self.bin if on_path else self.folder) / name
        path.write_text("#!/usr/bin/env bash\n" + textwrap.dedent(text), encoding="utf-8")
        path.chmod(0o755)

    def have(self, *marks: str) -> None:
        for mark in marks:
            (self.folder / mark).touch()

    def lack(self, *marks: str) -> None:
        for mark in marks:
            (self.folder / mark).unlink()

    def gpu(self, lines: str) -> dict[str, str]:
        self.fake("nvidia-smi", FAKE_SMI)
        return {"FAKE_SMI": lines}

    def environment(self, **more: str) -> dict[str, str]:
        base = {
            "PATH": str(self.bin),
            "HOME": str(self.user),
            "FAKE": str(self.folder),
            "REAL_PYTHON": sys.executable,
            "PEOPLENET_HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
        }
        return base | more

    def bash(self, text: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run commands after the script was sourced, so that its functions can be called one by one."""
        script = f'source "{self.checkout}/setup_runpod.sh"\n{text}'
        return self._call(["bash", "-c", script], more)

    def setup(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self._call(["bash", str(self.checkout / "setup_runpod.sh"), *arguments], more)

    def start(self) -> subprocess.Popen[str]:
        """Start the script and return at once; its output can be read line by line."""
        return subprocess.Popen(
            [str(self.bin / "bash"), str(self.checkout / "setup_runpod.sh")],
            env=self.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )

    def _call(self, command: list[str], more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / command[0]), *command[1:]],
            env=self.environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        file = self.folder / "calls"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def called(self, part: str) -> list[str]:
        return [call for call in self.calls() if part in call]

    def listed(self, name: str = "requirements.txt") -> dict[str, list[str]]:
        """The packages of a list that was made for pip or uv, with their hashes."""
        lines = (self.home / "cache" / name).read_text(encoding="utf-8").splitlines()
        return {line.split("==")[0]: re.findall(r"--hash=(\S+)", line) for line in lines}

    def forget_calls(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    def stamp(self) -> dict[str, str]:
        lines = (self.home / "venv" / ".peoplenet-setup").read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)
