"""The copies of the notebooks that people work in, and a checkout that stays clean for `git pull`."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from fake_machine import Machine

Git = Callable[..., str]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def git(machine: Machine) -> Git:
    """Git in the machine's checkout, which is made a clone of ``upstream`` beside it."""
    tool = shutil.which("git")
    if tool is None:
        pytest.skip("git is not installed")
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "HOME": str(machine.user)}
    names = ["-c", "user.name=a", "-c", "user.email=a@example", "-c", "init.defaultBranch=main"]

    def call(*arguments: str, folder: Path = machine.checkout) -> str:
        command = [tool, *names, *arguments]
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    upstream = machine.folder / "upstream"
    machine.checkout.rename(upstream)
    for command in (("init",), ("add", "."), ("commit", "-m", "first")):
        call(*command, folder=upstream)
    call("clone", str(upstream), str(machine.checkout), folder=machine.folder)
    return call


def run_and_save(notebook: Path) -> None:
    """Leave behind what JupyterLab saves by itself after all cells were run."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
            cell.outputs = [nbformat.v4.new_output("stream", text="some output\n")]
    content.metadata.language_info = {"name": "python", "version": "3.12.1"}
    content.metadata.widgets = {"state": {}}
    nbformat.write(content, notebook)


def change(notebook: Path, text: str) -> None:
    content = nbformat.read(notebook, as_version=4)
    content.cells[-1].source += f"\n{text}"
    nbformat.write(content, notebook)


def first_of(folder: Path) -> Path:
    return min(folder.glob("*.ipynb"))


def test_pull_after_a_session_of_all_notebooks_is_clean_and_updates_the_copies(
    machine: Machine, git: Git
) -> None:
    assert machine.setup().returncode == 0
    copies = sorted((machine.home / "notebooks").glob("*.ipynb"))
    assert [copy.name for copy in copies] == sorted(
        p.name for p in (machine.checkout / "notebooks").iterdir()
    )
    for copy in copies:
        run_and_save(copy)
    assert git("status", "--porcelain") == ""
    upstream = machine.folder / "upstream"
    change(first_of(upstream / "notebooks"), "# new upstream")
    git("commit", "-am", "second", folder=upstream)
    git("pull")
    done = machine.setup()
    assert f"{copies[0].name} was updated" in done.stdout
    assert "# new upstream" in copies[0].read_text(encoding="utf-8")
    assert "some output" in copies[1].read_text(encoding="utf-8"), "one that did not change keeps its outputs"
    assert git("status", "--porcelain") == ""


def test_edited_copy_stays_until_there_is_a_new_version_and_is_then_renamed(machine: Machine) -> None:
    machine.setup()
    copy = first_of(machine.home / "notebooks")
    change(copy, "# mine")
    machine.setup()
    assert "# mine" in copy.read_text(encoding="utf-8")
    change(first_of(machine.checkout / "notebooks"), "# new upstream")
    done = machine.setup()
    kept = copy.with_name(f"{copy.stem}-edited-1.ipynb")
    assert f"{copy.name} has a new version; the one you edited is now {kept.name}" in done.stdout
    assert "# mine" in kept.read_text(encoding="utf-8")
    assert "# new upstream" in copy.read_text(encoding="utf-8")
    assert "has a new version" not in machine.setup().stdout


def test_notebook_that_the_project_dropped_goes_unless_it_was_edited(machine: Machine) -> None:
    machine.setup()
    first, second, *_ = sorted((machine.home / "notebooks").glob("*.ipynb"))
    change(first, "# mine")
    own = machine.home / "notebooks" / "own.ipynb"
    own.write_text("{}", encoding="utf-8")
    for copy in (first, second):
        (machine.checkout / "notebooks" / copy.name).unlink()
    done = machine.setup()
    assert f"{second.name} no longer exists and was removed" in done.stdout
    assert first.exists()
    assert own.exists()
    assert not second.exists()


def test_copies_that_cannot_be_made_fail_the_step(machine: Machine) -> None:
    machine.home.mkdir()
    (machine.home / "notebooks").write_text("a file", encoding="utf-8")
    done = machine.setup()
    assert done.returncode == 1
    assert "FAILED in step 8 of 11: Notebooks" in done.stderr
    assert "saw    [Errno 17] File exists" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
