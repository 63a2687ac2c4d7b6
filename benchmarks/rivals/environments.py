"""An environment for each rival, made by plain pip names; what is there already is left alone.

One decision to know: a stamp beside each environment holds everything it was made from (requirements, versions
asked for, this Python, this package's sources); another stamp and it is made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The versions that this project is tested with, so that ONNX Runtime and NumPy are the same on both sides.
CONSTRAINTS = ROOT / "constraints" / "cpu.txt"
OURS = f"peoplenet-nb[cpu] @ {ROOT.as_uri()}"
REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "supervision": ("supervision", OURS),
    "scikit-learn": ("scikit-learn",),
    "torchvision": ("torchvision", "numpy"),
    "ultralytics": ("ultralytics", "onnx", "onnxruntime"),
}
WITH_TORCH = ("torchvision", "ultralytics")
_LIMIT = 1800  # seconds; torch with CUDA is gigabytes


class NotMeasured(Exception):  # noqa: N818 -- it is what the table says
    """Why a rival has no figure, in one line."""


def environment(name: str, folder: Path, torch: str | None = None) -> Path:
    """Return the Python of a rival's environment, made now if it is not there.

    Parameters
    ----------
    name : str
        A key of `REQUIREMENTS`.
    folder : Path
        Where the environments are.
    torch : str, optional
        A requirement of PyTorch, installed first and held to; the newest that torchvision takes when left out.

    Raises
    ------
    NotMeasured
        When it cannot be made, with the installer's own reason.
    """
    home = folder / name
    python, stamp = home / "bin" / "python", home / "made_from.json"
    torch = torch if name in WITH_TORCH else None
    made_from = _made_from(name, torch)
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
        return python
    print(f"making the environment of {name} in {home}", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}-install.log"
    log.unlink(missing_ok=True)
    held = ["-c", str(CONSTRAINTS)]
    # uv reads none of pip's settings, and it is those that may name a chosen build of PyTorch.
    uv = None if torch else shutil.which("uv")
    if uv:
        _do([uv, "venv", "--python", sys.executable, str(home)], log)
        install = [uv, "pip", "install", "--python", str(python), "--refresh-package", "peoplenet-nb"]
    else:
        _do([sys.executable, "-m", "venv", str(home)], log)
        install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    if torch:
        _do([*install, torch, *held], log)
        chosen = home / "torch.txt"
        chosen.write_text(torch + "\n", encoding="utf-8")
        held += ["-c", str(chosen)]
    _do([*install, *REQUIREMENTS[name], *held], log)
    stamp.write_text(made_from, encoding="utf-8")
    return python


def _made_from(name: str, torch: str | None) -> str:
    """Return everything an environment is made from, as text."""
    requirements = REQUIREMENTS[name]
    sources = [CONSTRAINTS]
    if OURS in requirements:
        sources += [ROOT / "pyproject.toml", *sorted((ROOT / "peoplenet_nb").rglob("*.py"))]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    made_from = {"requirements": requirements, "torch": torch, "python": sys.version, "sources": digest}
    return json.dumps(made_from, indent=1)


def _do(command: list[str], log: Path) -> None:
    """Run a step of an installation into the log."""
    with log.open("a", encoding="utf-8") as lines:
        lines.write(" ".join(command) + "\n")
        lines.flush()
        try:
            code = subprocess.run(
                command,
                stdout=lines,
                stderr=lines,
                stdin=subprocess.DEVNULL,
                timeout=_LIMIT,
                env=clean(),
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"installing took over {_LIMIT} s") from None
    if code:
        raise NotMeasured(f"it cannot be installed: {last_words(log)}")


def clean() -> dict[str, str]:
    """Return the variables of this process without those that would lead another Python to this one's packages."""
    drop = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in drop}


def last_words(log: Path) -> str:
    """Return the line of a log that says best why something ended: the last that names an error, else the last."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no message"])[-1][:300]
