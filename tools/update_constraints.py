"""Write ``constraints/``: the exact versions that set-up, conda users and the tests install.

One file per runtime (``cpu.txt``, ``cuda12.txt``, ``cuda13.txt``), each covering every extra that goes with
it, and ``build.txt`` for what builds the package and for uv itself. They are universal: one file serves all
Python versions and platforms, with markers where versions differ.

One decision to know: the files carry names, versions and markers only. Where packages come from is each
machine's own business, so an index address in a result is an error here and in the tests.

Run it as ``make constraints``; ``--keep`` holds on to the present pins and only adds what is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "constraints"
RUNTIMES = ("cpu", "cuda12", "cuda13")
COMPILE = ("pip", "compile", "--universal", "--no-header", "--no-annotate", "--quiet")
# One version for all Pythons wherever there is one: what was tested on 3.11 is what 3.13 gets.
COMPILE += ("--fork-strategy", "fewest")
ADDRESS = re.compile(r"://|--(extra-)?index-url|--find-links")


def find_uv() -> str:
    """Return the uv that set-up made, else the one on the path."""
    sys.path.insert(0, str(ROOT))
    from peoplenet_nb.paths import home

    for candidate in (home() / "uv" / "bin" / "uv", shutil.which("uv")):
        if candidate is not None and Path(candidate).is_file():
            return str(candidate)
    raise SystemExit("No uv here. Next: run `bash setup_runpod.sh` once, or `pip install uv`.")


def compile_constraints(uv: str, sources: list[str], target: Path, *, keep: bool) -> None:
    """Resolve ``sources`` and replace ``target`` by the result.

    Parameters
    ----------
    uv : str
        The uv to call.
    sources : list[str]
        Its arguments that name the requirements.
    target : Path
        The file to write; replaced only when the resolution succeeded.
    keep : bool
        Whether pins that stand in ``target`` are preferred to newer versions.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / target.name
        if keep and target.is_file():
            shutil.copy(target, draft)
        minimum = project()["requires-python"].removeprefix(">=")
        command = [uv, *COMPILE, "--python-version", minimum, *sources, "--output-file", str(draft)]
        if not keep:
            command.append("--upgrade")
        done = subprocess.run(command, cwd=ROOT, check=False)
        if done.returncode != 0:
            raise SystemExit(f"uv could not resolve {target.name}; its reason stands above.")
        text = draft.read_text(encoding="utf-8")
    if found := ADDRESS.search(text):
        raise SystemExit(f"{target.name} would carry an address ({found.group()!r}); nothing was written.")
    target.write_text(text, encoding="utf-8")
    print(f"{os.path.relpath(target)}: {len(text.splitlines())} versions")


def project() -> dict[str, str]:
    """Return the ``[project]`` table of ``pyproject.toml``."""
    table: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def build_requirements() -> list[str]:
    """Return what a set-up needs before the package itself: the build backend and uv."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    # hatchling asks for `editables` only while it builds an editable install, so nothing declares it.
    return [*tomllib.loads(text)["build-system"]["requires"], "editables", "uv"]


def main() -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="keep present pins, only add what is missing")
    keep = parser.parse_args().keep
    uv = find_uv()
    shared = sorted(set(project()["optional-dependencies"]) - set(RUNTIMES))
    for runtime in RUNTIMES:
        sources = ["pyproject.toml"]
        for extra in (runtime, *shared):
            sources += ["--extra", extra]
        compile_constraints(uv, sources, FOLDER / f"{runtime}.txt", keep=keep)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "build.in"
        wanted.write_text("\n".join(build_requirements()) + "\n", encoding="utf-8")
        compile_constraints(uv, [str(wanted)], FOLDER / "build.txt", keep=keep)


if __name__ == "__main__":
    main()
