"""The doctor's checks of installed packages: what is missing, and what must not be installed together."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import peoplenet_nb
from peoplenet_nb.diagnostics.check import SETUP, Check, Status
from peoplenet_nb.errors import InstallationError
from peoplenet_nb.hardware import extra_for, gpu_driver
from peoplenet_nb.paths import home

PROJECT = "peoplenet-nb"
#: Distributions that overwrite each other's files: at most one of each family may be installed.
FAMILIES: dict[str, tuple[str, ...]] = {
    "ONNX Runtime": (
        *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-directml"),
        *(
            "onnxruntime-training",
            "onnxruntime-migraphx",
            "onnxruntime-rocm",
            "ort-nightly",
            "ort-nightly-gpu",
        ),
    ),
    "OpenCV": (
        *("opencv-python", "opencv-python-headless"),
        *("opencv-contrib-python", "opencv-contrib-python-headless"),
    ),
}
_IN_A_FAMILY = {name for names in FAMILIES.values() for name in names}
_OLDEST_PYTHON = (3, 11)


def installed(names: Sequence[str]) -> dict[str, str]:
    """Return which of some distributions are installed, with their versions."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def versions_of(found: dict[str, str]) -> str:
    """Return distributions and their versions as text."""
    return ", ".join(f"{name} {version}" for name, version in found.items())


def requirements(extra: str = "") -> list[Requirement]:
    """Return what the project declares to need, or what one of its extras adds to that.

    The families are left out: their members replace each other, and they have checks of their own. Raises
    ``metadata.PackageNotFoundError`` if the project itself is not installed.
    """

    def wanted(requirement: Requirement, extra: str) -> bool:
        return requirement.marker is None or requirement.marker.evaluate({"extra": extra})

    declared = [Requirement(line) for line in metadata.requires(PROJECT) or []]
    found = [r for r in declared if wanted(r, extra) and not (extra and wanted(r, ""))]
    return [r for r in found if canonicalize_name(r.name) not in _IN_A_FAMILY]


def unmet(requirement: Requirement) -> str:
    """Return why a requirement is not met, empty if it is."""
    try:
        distribution = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return requirement.name
    if not requirement.specifier.contains(distribution.version, prereleases=True):
        return f"{requirement.name} {distribution.version} (needs {requirement.specifier})"
    # A package whose folder was deleted still has its metadata, and installers take it for installed.
    for file in distribution.files or []:
        if file.name == "__init__.py" and len(file.parts) == 2 and not Path(str(file.locate())).is_file():
            return f"{requirement.name} (its files are gone)"
    return ""


def missing(*extras: str) -> list[str]:
    """Return which requirements of the project and of some extras are not met; set-up asks this too."""
    reasons = [unmet(needed) for extra in ("", *extras) for needed in requirements(extra)]
    return [reason for reason in reasons if reason]


def check_python() -> list[Check]:
    """Return the Python and the package's own version."""
    version = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return [Check("Python", "fail", version, f"3.11 or newer is needed; set-up looks for one: {SETUP}")]
    found = installed([PROJECT]).get(PROJECT)
    folder = Path(peoplenet_nb.__file__).resolve().parent
    package = Check(PROJECT, "warn", f"not installed, used from {folder}", SETUP)
    if found:
        package = Check(PROJECT, "ok", f"{found} at {folder}")
    return [Check("Python", "ok", version), package]


def check_packages() -> list[Check]:
    """Return whether every declared requirement is met, and those of the notebooks.

    The notebooks are an option, unless set-up made this environment: it installs them.
    """
    try:
        needed, notebooks = requirements(), requirements("notebooks")
    except metadata.PackageNotFoundError:
        return [Check("Packages", "warn", f"cannot be checked: {PROJECT} is not installed", SETUP)]
    otherwise: tuple[Status, str] = "fail", SETUP
    if not (Path(sys.prefix) / ".peoplenet-setup").is_file():
        otherwise = "warn", pip_command("install", f"'{PROJECT}[notebooks]'")
    return [
        _requirements_met("Packages", needed, "fail", SETUP),
        _requirements_met("Notebook packages", notebooks, *otherwise),
    ]


def _requirements_met(name: str, needed: list[Requirement], otherwise: Status, fix: str) -> Check:
    missing = [reason for reason in map(unmet, needed) if reason]
    if missing:
        return Check(name, otherwise, f"missing: {', '.join(missing)}", fix)
    return Check(name, "ok", versions_of(installed([requirement.name for requirement in needed])))


def require_single_distributions() -> None:
    """Refuse to run with two OpenCV or two ONNX Runtime distributions, which overwrite each other's files.

    Raises
    ------
    InstallationError
        Names both and the commands that fix it.
    """
    for family, names in FAMILIES.items():
        found = installed(names)
        if len(found) > 1:
            raise InstallationError(
                f"Two {family} distributions are installed and overwrite each other's files",
                seen=versions_of(found),
                next_step=clash_fix(family, found),
            )


def clash_fix(family: str, found: dict[str, str]) -> str:
    """Return what to remove, and what to reinstall, when several of a family are installed.

    Removing one also removes files of the one that stays, which is therefore reinstalled.
    """
    if family == "OpenCV":
        stays = "opencv-python" if "opencv-python" in found else next(iter(found))
    else:
        wanted = "onnxruntime" if extra_for(gpu_driver())[0] == "cpu" else "onnxruntime-gpu"
        stays = wanted if wanted in found else next(iter(found))
    goes = " ".join(name for name in found if name != stays)
    again = pip_command("install", "--force-reinstall", "--no-deps", f"{stays}=={found[stays]}")
    return f"remove {goes} and reinstall {stays}: {pip_command('uninstall', goes)} && {again}"


def pip_command(action: str, *arguments: str) -> str:
    """Return the shell command that manages packages here: with uv if set-up installed it, else with pip."""
    python, uv = shlex.quote(sys.executable), home() / "uv" / "bin" / "uv"
    if uv.is_file():
        words = [shlex.quote(str(uv)), "pip", action, "--python", python]
    else:
        words = [python, "-m", "pip", action, *(["-y"] if action == "uninstall" else [])]
    return " ".join([*words, *arguments])


CHECKS = (("Python", check_python), ("Packages", check_packages))
