"""The guide: it builds without a warning, and the commands that any document prints are the program's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer

from peoplenet_nb.cli import main as cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "README.ko.md", *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAM = typer.main.get_command(cli.app)


def commands(document: Path) -> list[str]:
    """The calls of `peoplenet-nb` in a document: lines of its code blocks and code within sentences."""
    text = document.read_text(encoding="utf-8")
    blocks = [
        line
        for block in re.findall(r"```(?:bash|shell)\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    return [line.strip() for line in blocks + inline if line.strip().startswith("peoplenet-nb ")]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_that_it_prints_exist(document: Path) -> None:
    for line in commands(document):
        words = shlex.split(line.split(" | ")[0], comments=True)[1:]
        known: list[click.Command] = [PROGRAM]
        if not words[0].startswith("-") and words[0] != "COMMAND":
            assert words[0] in PROGRAM.commands, line
            known.append(PROGRAM.commands[words[0]])
        options = {
            name
            for command in known
            for option in command.params
            for name in (*option.opts, *option.secondary_opts)
        }
        asked = {word.strip("[]").partition("=")[0] for word in words if word.strip("[").startswith("-")}
        assert asked <= options | {"-h", "--help"}, line


def test_commands_are_found() -> None:
    assert len([line for document in DOCUMENTS for line in commands(document)]) > 40


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    """All but the executed notebooks: other tests execute those."""
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--site-dir",
        str(tmp_path / "site"),
    ]
    environment = os.environ | {"PEOPLENET_GUIDE_NOTEBOOKS": "no", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="https?://[^"]+\.(?:js|css)', page), "the pages fetch nothing"


def test_the_readmes_agree_on_commands_python_and_notebooks() -> None:
    def promises(name: str) -> list[list[str]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"```(?:bash|python)\n(.*?)```", text, re.DOTALL)
        lines = [[line.partition("#")[0].strip() for line in block.splitlines()] for block in blocks]
        return [*lines, re.findall(r"^\| \[\d\d [^\]]*\]\(([^)]+)\)", text, re.MULTILINE)]

    english, korean = promises("README.md"), promises("README.ko.md")
    assert english == korean
    assert english[-1] == sorted(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
