"""Copy the notebooks to where people work in them, and keep the copies up to date.

A copy whose cells were not edited follows the original. An edited one is never overwritten: when there is a newer
version, the edited notebook is renamed first. Outputs and metadata do not count as edits.

Set-up starts this file as a script, before it knows whether the package can be imported: nothing but the standard
library is used.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

RECORD = ".copied.json"  # the cells of each notebook as last copied, as a hash


def cells_hash(notebook: Path) -> str:
    """Return a hash of the cells' types and sources; of the whole file if it is not a notebook."""
    content = notebook.read_bytes()
    try:
        cells = json.loads(content)["cells"]
        content = json.dumps([[cell["cell_type"], "".join(cell["source"])] for cell in cells]).encode()
    except (ValueError, KeyError, TypeError):
        pass
    return hashlib.sha256(content).hexdigest()


def free_name(notebook: Path) -> Path:
    """Return a name beside a notebook under which an edited copy can be kept."""
    number = 1
    while (kept := notebook.with_name(f"{notebook.stem}-edited-{number}.ipynb")).exists():
        number += 1
    return kept


def notebooks_dir() -> Path:
    """Return the folder of the original notebooks: the checkout's, or the one that a wheel carries."""
    carried = Path(__file__).with_name("notebooks")
    return carried if carried.is_dir() else Path(__file__).parents[2] / "notebooks"


def copy_notebooks(source: Path, target: Path) -> Iterator[str]:
    """Bring the copies of notebooks up to date.

    Parameters
    ----------
    source : Path
        The folder of the originals.
    target : Path
        The folder of the copies; it is made where there is none.

    Yields
    ------
    str
        A line about each copy that a reader should know of.

    Raises
    ------
    OSError
        The copies cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    record = target / RECORD
    try:
        copied: dict[str, str] = dict(json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        copied = {}
    for original in sorted(source.glob("*.ipynb")):
        copy, wanted = target / original.name, cells_hash(original)
        if copy.exists():
            current = cells_hash(copy)
            if current != wanted and copied.get(copy.name) != wanted:
                if current != copied.get(copy.name):
                    kept = copy.rename(free_name(copy))
                    yield f"{copy.name} has a new version; the one you edited is now {kept.name}"
                else:
                    yield f"{copy.name} was updated"
                shutil.copyfile(original, copy)
        else:
            shutil.copyfile(original, copy)
        copied[copy.name] = wanted
    for name in [name for name in copied if not (source / name).exists()]:
        expected = copied.pop(name)
        old = target / name
        if old.exists() and cells_hash(old) == expected:
            old.unlink()
            yield f"{name} no longer exists and was removed"
    record.write_text(json.dumps(copied, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        for line in copy_notebooks(notebooks_dir(), Path(sys.argv[1])):
            sys.stdout.write(f"{line}\n")
    except OSError as error:
        sys.exit(str(error))
