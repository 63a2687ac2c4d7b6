"""Write ``constraints/``: the exact versions that set-up, conda users and the tests install, and their hashes.

One file per runtime (``cpu.txt``, ``cuda12.txt``, ``cuda13.txt``), each covering every extra that goes with
it, and ``build.txt`` for what builds the package and for uv itself. They are universal: one file serves all
Python versions and platforms, with markers where versions differ. ``# test`` and ``# optional`` stand behind what only
the tests or other extras need. ``hashes.txt`` has the SHA-256 of every file of every version in the four.

One decision to know: the files carry names, versions, markers and hashes only. Where packages come from is each
machine's own business, so an index address in a result is an error here and in the tests. So are the hashes in one
file: lists of versions stay legible, and the runtimes share most of them.

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
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "constraints"
RUNTIMES = ("cpu", "cuda12", "cuda13")
USERS = ("notebooks", "serve", "track", "youtube")  # the extras that set-up installs besides the runtime's
COMPILE = ("pip", "compile", "--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet")
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


def resolve(uv: str, sources: list[str], preferred: Path | None = None) -> dict[str, list[str]]:
    """Resolve requirements.

    Parameters
    ----------
    uv : str
        The uv to call.
    sources : list[str]
        Its arguments that name the requirements.
    preferred : Path, optional
        A file of pins that are preferred to newer versions.

    Returns
    -------
    dict[str, list[str]]
        The hashes by ``name==version``, with its marker if it has one.
    """
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.txt"
        if preferred is not None and preferred.is_file():
            shutil.copy(preferred, draft)
        minimum = project()["requires-python"].removeprefix(">=")
        command = [uv, *COMPILE, "--python-version", minimum, *sources, "--output-file", str(draft)]
        if preferred is None:
            command.append("--upgrade")
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise SystemExit(f"uv could not resolve {' '.join(sources)}; its reason stands above.")
        text = draft.read_text(encoding="utf-8")
    if found := ADDRESS.search(text):
        raise SystemExit(f"uv's answer carries an address ({found.group()!r}); nothing was written.")
    blocks = (line.split(" --hash=") for line in re.sub(r" *\\\n +", " ", text).splitlines())
    return {pin.strip(): [one.strip() for one in hashes] for pin, *hashes in blocks}


def versions(pins: Iterable[str]) -> list[str]:
    """Return pins as ``name==version``, without their markers."""
    return [pin.split()[0] for pin in pins]


def write(name: str, lines: list[str]) -> None:
    """Write one file of ``constraints/``."""
    path = FOLDER / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{os.path.relpath(path)}: {len(lines)} versions")


def wanting(runtime: str, *extras: str) -> list[str]:
    """Return uv's arguments for the project with some of its extras."""
    return ["pyproject.toml", *(word for extra in (runtime, *extras) for word in ("--extra", extra))]


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
    every = sorted(set(project()["optional-dependencies"]) - set(RUNTIMES))
    found: dict[str, dict[str, list[str]]] = {}
    lines: dict[str, list[str]] = {}
    for runtime in RUNTIMES:
        kept = FOLDER / f"{runtime}.txt"
        pins = found[runtime] = resolve(uv, wanting(runtime, *every), kept if keep else None)
        with tempfile.TemporaryDirectory() as folder:
            chosen = Path(folder) / "chosen.txt"
            chosen.write_text("\n".join(pins) + "\n", encoding="utf-8")
            users = versions(resolve(uv, [*wanting(runtime, *USERS), "-c", str(chosen)]))
            tests = versions(resolve(uv, [*wanting(runtime, *USERS, "test"), "-c", str(chosen)]))
        lines[runtime] = [
            pin + ("" if of in users else "  # test" if of in tests else "  # optional")
            for pin, of in zip(pins, versions(pins), strict=True)
        ]
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "build.in"
        wanted.write_text("\n".join(build_requirements()) + "\n", encoding="utf-8")
        found["build"] = resolve(uv, [str(wanted)], FOLDER / "build.txt" if keep else None)
        # Set-up takes it in place of opencv-python where that does not load.
        opencv = next(pin for pin in found["cpu"] if pin.startswith("opencv-python=="))
        wanted.write_text(opencv.replace("python", "python-headless"), encoding="utf-8")
        headless = resolve(uv, [str(wanted), "--no-deps"])
    for name, pins in found.items():
        write(f"{name}.txt", lines.get(name, [*pins]))
    every_pin = [*found.values(), headless]
    hashes = {of: pins[pin] for pins in every_pin for pin, of in zip(pins, versions(pins), strict=True)}
    write("hashes.txt", [" ".join([pin, *hashes[pin]]) for pin in sorted(hashes)])


if __name__ == "__main__":
    main()
