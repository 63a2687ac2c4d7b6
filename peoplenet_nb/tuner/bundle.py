"""The browser's part as one ES module: the files of ``static/``, one after the other.

There is no build step. The files are plain ES modules that import each other; joining them only takes their
``import`` lines away, so top-level names must differ, which a test sees to by loading the result in Node.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"

# Each file after the ones it uses; the last one has the default export that anywidget asks for.
MODULES = tuple(
    f"{name}.js"
    for name in (
        *("geometry", "cluster", "decode", "explain", "assign", "between", "clip", "truths", "judge"),
        *("zoom", "labels", "heat", "pen", "paint", "verdicts"),
        *("scene", "scenepaint", "charts", "store", "dom"),
        *("inspector", "cliprow", "scorerow", "drawing", "page", "kernel", "actions", "paced", "view"),
        *("labelwork", "labelpaint", "labelview", "widget"),
    )
)

_IMPORT = re.compile(r"^import\b[^;]*;\n", re.MULTILINE)


def joined(files: Iterable[Path]) -> str:
    """Return ES modules, each after the ones it uses, as the text of one that imports nothing."""
    return "\n".join(_IMPORT.sub("", path.read_text(encoding="utf-8")) for path in files)


@cache
def module_source() -> str:
    """Return the whole of the browser's part as the text of one ES module that imports nothing."""
    return joined(STATIC / name for name in MODULES)


@cache
def style_sheet(name: str) -> str:
    """Return the style sheet of the canvas ("tuner") or of the panel around it ("panel")."""
    return (STATIC / f"{name}.css").read_text(encoding="utf-8")
