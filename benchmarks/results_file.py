"""``RESULTS.md``, put together from what each benchmark writes; nothing in it is typed by hand.

A benchmark hands over the lines of its own section and the command that made them; the section of the same
title is replaced, the others stay as they were, each under the date and the machine that it was measured on.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from peoplenet_nb.hardware import available_threads, gpus, has_int8_instructions, processor_name

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = "# Results\n\nWritten by the scripts beside this file, each its own section; not edited by hand.\n"


def shared_folder() -> Path:
    """Return the folder of real weights and video, which `PEOPLENET_SHARED` names; without it the process ends."""
    named = os.environ.get("PEOPLENET_SHARED", "").strip()
    if not named:
        raise SystemExit("PEOPLENET_SHARED is not set: name the folder that holds data/ and models/.")
    return Path(named)


def machine() -> str:
    """Return what the figures were measured on, in one line."""
    vnni = "with" if has_int8_instructions() else "without"
    gpu = ", ".join(gpu.name for gpu in gpus()) or "none, so not measured"
    return f"{processor_name()} ({platform.machine()}), {available_threads()} cores, {vnni} VNNI or AMX; GPU: {gpu}"


def command() -> str:
    """Return the command line of this process, as a reader would type it."""
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a Markdown table.

    Raises
    ------
    ValueError
        When a row has more or fewer cells than there are columns.
    """
    if ragged := [row for row in rows if len(row) != len(columns)]:
        raise ValueError(f"{len(columns)} columns, and a row of {len(ragged[0])}: {ragged[0]}")
    made = [" | ".join(map(str, row)) for row in (columns, ["---"] * len(columns), *rows)]
    return [f"| {line} |" for line in made]


def write_section(title: str, lines: Sequence[str], path: Path = RESULTS) -> None:
    """Replace or append one section.

    Parameters
    ----------
    title : str
        Its heading; one section each.
    lines : sequence of str
        What stands under it, without the date, machine and command, which are added.
    path : Path
        The file.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else _HEAD
    head, *sections = text.split("\n## ")
    made = {section.partition("\n")[0]: section.rstrip() for section in sections}
    origin = f"`{command()}`, {datetime.date.today()}: {machine()}."
    made[title] = "\n".join([title, "", origin, "", *lines])
    path.write_text("\n\n## ".join([head.rstrip(), *made.values()]) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def show_section(title: str, lines: Sequence[str], *, write: bool) -> None:
    """Write a section, or only print it: what a benchmark with ``--write`` ends with."""
    if write:
        write_section(title, lines)
    else:
        print("\n".join(lines))
