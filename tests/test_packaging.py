"""pyproject.toml, constraints/, environment.yml and the set-up script agree with each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.list_licences import packages
from tools.update_constraints import USERS

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
RUNTIMES = ("cpu", "cuda12", "cuda13")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
# Written so that this file does not contain what it forbids.
INDEX_ADDRESS = re.compile(
    r"pypi[.]org|pythonhosted[.]|npmjs[.]|https?://\S+/simple\b|index-url[ =]+[\"']?https?:|INDEX(_URL)?=[\"']?https?:"
)
# Folders that hold no sources, for a checkout without git.
NOT_SOURCES = {
    ".git",
    "workspace",
    "__pycache__",
    ".ruff_cache",
    ".mypy_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
    "build",
    "dist",
    "site",
}


def sources() -> list[Path]:
    """The files of the project: what git knows or would add, else everything but caches."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [
            str(path.relative_to(ROOT))
            for path in ROOT.rglob("*")
            if path.is_file() and not NOT_SOURCES & set(path.relative_to(ROOT).parts)
        ]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def pins(name: str) -> dict[str, list[Requirement]]:
    """The versions of a constraints file by package; one package may have several, told apart by markers."""
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints" / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line.partition("  #")[0])
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def requirements_for(runtime: str) -> list[Requirement]:
    names = [name for name in EXTRAS if name not in RUNTIMES or name == runtime]
    lines = [*PROJECT["project"]["dependencies"], *(line for name in names for line in EXTRAS[name])]
    return [Requirement(line) for line in lines]


def versions_on(pinned: list[Requirement], python: str) -> list[Version]:
    surroundings = {"python_version": python, "python_full_version": f"{python}.9", "sys_platform": "linux"}
    return [
        Version(str(requirement.specifier).removeprefix("=="))
        for requirement in pinned
        if requirement.marker is None or requirement.marker.evaluate(surroundings)
    ]


def test_there_is_one_constraints_file_a_runtime() -> None:
    names = {path.name for path in (ROOT / "constraints").iterdir()}
    assert names == {"cpu.txt", "cuda12.txt", "cuda13.txt", "build.txt", "hashes.txt"}


def hashes() -> dict[str, list[str]]:
    text = (ROOT / "constraints" / "hashes.txt").read_text(encoding="utf-8")
    return {line.split()[0]: line.split()[1:] for line in text.splitlines()}


@pytest.mark.parametrize("name", [*(f"{runtime}.txt" for runtime in RUNTIMES), "build.txt"])
def test_every_version_has_hashes(name: str) -> None:
    known = hashes()
    for requirement in (one for found in pins(name).values() for one in found):
        assert known.get(f"{requirement.name}{requirement.specifier}"), (
            f"{requirement} has none: make constraints ARGS=--keep"
        )


def test_hashes_are_sha256_of_what_is_pinned_and_of_the_other_opencv() -> None:
    known = hashes()
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for of in known.values() for one in of)
    files = [*(f"{runtime}.txt" for runtime in RUNTIMES), "build.txt"]
    pinned = {
        f"{one.name}{one.specifier}" for name in files for found in pins(name).values() for one in found
    }
    (headless,) = known.keys() - pinned
    assert headless.replace("-headless", "") in pinned


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_only_the_tests_or_other_extras_need_is_marked(runtime: str) -> None:
    """Set-up leaves out the lines that are marked."""
    marks: dict[str, str] = {}
    for line in (ROOT / "constraints" / f"{runtime}.txt").read_text(encoding="utf-8").splitlines():
        pin, _, mark = line.partition("  # ")
        marks[canonicalize_name(Requirement(pin).name)] = mark
    assert set(marks.values()) == {"", "test", "optional"}
    users = [
        *PROJECT["project"]["dependencies"],
        *(one for extra in (runtime, *USERS) for one in EXTRAS[extra]),
    ]
    assert {marks[canonicalize_name(Requirement(one).name)] for one in users} == {""}
    assert marks["pytest"] == marks["iniconfig"] == "test"  # asked for, and what that asks for
    assert marks["openvino"] == marks["openvino-telemetry"] == "optional"


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_requirement_is_pinned_to_one_version_that_it_allows(runtime: str, python: str) -> None:
    pinned = pins(f"{runtime}.txt")
    for requirement in requirements_for(runtime):
        versions = versions_on(pinned.get(canonicalize_name(requirement.name), []), python)
        assert len(versions) == 1, (
            f"{requirement} has {len(versions)} versions in {runtime}.txt on Python {python}"
        )
        assert requirement.specifier.contains(versions[0], prereleases=False), (
            f"{requirement} against {versions[0]}"
        )


@pytest.mark.parametrize("name", [*(f"{runtime}.txt" for runtime in RUNTIMES), "build.txt"])
def test_constraints_hold_exact_versions_and_nothing_else(name: str) -> None:
    for requirements in pins(name).values():
        for requirement in requirements:
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", requirement
            assert "*" not in specifier.version, requirement
            assert requirement.url is None
            assert not requirement.extras


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_python_gets_the_same_versions(runtime: str) -> None:
    forked = {
        name: [str(line) for line in lines] for name, lines in pins(f"{runtime}.txt").items() if lines[1:]
    }
    assert forked == {}, "what was tested on one Python would not be what another gets"


def test_runtimes_share_everything_but_the_runtime() -> None:
    def others(runtime: str) -> dict[str, list[str]]:
        own = re.compile(r"onnxruntime|nvidia-|mnn$")  # MNN is for those without a GPU
        found = pins(f"{runtime}.txt")
        return {name: sorted(map(str, lines)) for name, lines in found.items() if not own.match(name)}

    assert others("cpu") == others("cuda12") == others("cuda13")


@pytest.mark.parametrize(
    ("runtime", "distribution", "allowed"),
    [
        pytest.param("cpu", "onnxruntime", ">=1.25", id="no CUDA"),
        pytest.param("cuda12", "onnxruntime-gpu", ">=1.25,<1.27", id="the last wheels for CUDA 12"),
        pytest.param("cuda13", "onnxruntime-gpu", ">=1.27", id="built for CUDA 13"),
    ],
)
def test_each_runtime_pins_its_own_onnxruntime_and_no_other(
    runtime: str, distribution: str, allowed: str
) -> None:
    found = {name: lines for name, lines in pins(f"{runtime}.txt").items() if name.startswith("onnxruntime")}
    assert list(found) == [distribution]
    assert versions_on(found[distribution], "3.12")[0] in SpecifierSet(allowed)


def test_the_build_is_pinned_too() -> None:
    pinned = pins("build.txt")
    for line in [*PROJECT["build-system"]["requires"], "editables", "uv"]:
        requirement = Requirement(line)
        (pin,) = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(pin.specifier).removeprefix("=="))


# ------------------------------------------------------------------------------------- other descriptions


@pytest.fixture(scope="module")
def conda() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return loaded


def test_the_list_of_licences_has_every_package_that_set_up_installs() -> None:
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| ([\w.-]+) \| \d", text, re.MULTILINE)
    assert named == packages(), "make licences"


def test_conda_gets_the_same_extras_under_the_same_constraints(conda: dict[str, Any]) -> None:
    (pip,) = [part["pip"] for part in conda["dependencies"] if isinstance(part, dict)]
    assert pip == ["-c constraints/cpu.txt", f"-e .[{','.join(['cpu', *USERS])}]"]
    assert set(USERS) <= set(EXTRAS)


def test_conda_gets_a_python_that_the_project_allows(conda: dict[str, Any]) -> None:
    (python,) = [
        part for part in conda["dependencies"] if isinstance(part, str) and part.startswith("python=")
    ]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["project"]["requires-python"])
    assert "pip" in conda["dependencies"]
    assert "ffmpeg" in conda["dependencies"]
    assert all("/" not in channel for channel in conda["channels"])


def test_tools_agree_on_the_oldest_python() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")
    script = (ROOT / "tools" / "setup_machine.sh").read_text(encoding="utf-8")
    assert f"sys.version_info < ({oldest.replace('.', ', ')})" in script


def test_command_is_declared_and_installed() -> None:
    (entry,) = metadata.entry_points(group="console_scripts", name="peoplenet-nb")
    assert entry.value == PROJECT["project"]["scripts"]["peoplenet-nb"]
    assert callable(entry.load())


def test_installed_version_is_the_projects() -> None:
    assert metadata.version("peoplenet-nb") == PROJECT["project"]["version"]


def test_download_exit_code_is_the_scripts() -> None:
    from peoplenet_nb.cli.shell import EXIT_UNREACHABLE

    script = (ROOT / "setup_runpod.sh").read_text(encoding="utf-8")
    assert f"UNREACHABLE={EXIT_UNREACHABLE} " in script


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    targets = re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE)
    explained = re.findall(r"^([a-z-]+):.*## [A-Z]", text, re.MULTILINE)
    assert sorted(targets) == sorted(phony.split()) == sorted(explained)


def test_ci_runs_the_readmes_test_command() -> None:
    command = "bash setup_runpod.sh test"
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith(command)
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------ what is not there


def test_no_file_says_where_packages_come_from() -> None:
    found = []
    for path in sources():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for line in text.splitlines():
            if INDEX_ADDRESS.search(line) and ".example" not in line:  # a reserved name: tests only
                found.append(f"{path.relative_to(ROOT)}: {line.strip()}")
    assert found == []


def test_no_lock_file_and_nothing_large() -> None:
    names = {path.name for path in sources()}
    assert not names & {"uv.lock", "poetry.lock", "Pipfile.lock", "package-lock.json", ".env"}
    large = [str(path.relative_to(ROOT)) for path in sources() if path.stat().st_size > 1_000_000]
    assert large == []


def test_no_weights_but_the_stand_in() -> None:
    weights = {".onnx", ".etlt", ".engine", ".tlt", ".trt", ".pth", ".pt"}
    found = [path.relative_to(ROOT).as_posix() for path in sources() if path.suffix in weights]
    assert set(found) <= {"peoplenet_nb/demo/standin.onnx"}
    for name in found:
        assert (ROOT / name).stat().st_size <= 400_000


def test_the_wheel_takes_demo_page_and_notebooks_along(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 3_000_000
    with zipfile.ZipFile(wheel) as archive:
        carried = {name: archive.read(name) for name in archive.namelist() if "dist-info" not in name}
    assert all(name.startswith("peoplenet_nb/") for name in carried)
    package = [path for path in sources() if path.is_relative_to(ROOT / "peoplenet_nb")]
    expected = {path.relative_to(ROOT).as_posix(): path for path in package}
    originals = (ROOT / "notebooks").glob("*.ipynb")
    expected |= {f"peoplenet_nb/notebook/notebooks/{path.name}": path for path in originals}
    assert carried == {name: path.read_bytes() for name, path in expected.items()}


def test_the_sdist_holds_every_file_so_that_its_own_tests_run(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    ours = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert held - {"PKG-INFO"} == ours - {"PKG-INFO"}  # which hatchling adds, and an unpacked one has


def test_no_notebook_carries_output() -> None:
    for path in sources():
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            code = [cell for cell in cells if cell["cell_type"] == "code"]
            assert not any(cell["outputs"] or cell["execution_count"] for cell in code), path.name
