"""What takes space under the home, safest to remove first; nothing goes without being asked for.

Only what this project made is offered, by its own records: the folders of its cache, and runs and batches by their
``run.json`` and ``.batch``. Files of anybody else's in them stay, and nothing is removed, or counted, through a link.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import writing
from peoplenet_nb.html_tables import table
from peoplenet_nb.paths import cache_dir, home, models_dir, outputs_dir
from peoplenet_nb.video.result import is_run
from peoplenet_nb.video.runfolder import RunFolder

# Folders of the cache, and how each comes back. In the order from the safest.
_CACHE = {
    "pip": "packages are downloaded again when they are installed",
    "uv": "packages are downloaded again when they are installed",
    "pytest": "made again by the tests",
    "mypy": "made again by the checks",
    "ruff": "made again by the checks",
    "previews": "made again when a video is shown",
    "yt-dlp": "made again when a video is fetched",
    "links": "downloaded again when the address is opened",
    "youtube": "downloaded again, if YouTube still gives it",
    "ngc-cli": "downloaded again when it is needed",
    "tensorrt": "engines are built again: minutes",
    "variants": "built again by `peoplenet-nb optimise`: minutes",
}
_BATCH = ("videos.csv", "batch.json", "index.html")  # what a batch writes beside its runs
_LEAST = 1 << 20  # bytes; less is not worth a question


@dataclass(frozen=True)
class Item:
    """Something that takes space."""

    what: str  #: ``cache``, ``run``, ``batch``; or ``models``, ``environment``, which are only shown
    path: Path
    size: int
    back: str  #: how it comes back
    removable: bool = True


@dataclass(repr=False)
class Space:
    """What takes space under the home; it shows itself as a table."""

    items: list[Item] = field(default_factory=list)

    @property
    def removable(self) -> list[Item]:
        """What may be asked about, safest first."""
        return [item for item in self.items if item.removable and item.size >= _LEAST]

    def rows(self) -> list[dict[str, object]]:
        """Return a row for each."""
        return [
            {
                "what": item.what,
                "MB": round(item.size / 1e6, 1),
                "comes back": item.back,
                "where": str(item.path),
            }
            for item in self.items
        ]

    def __str__(self) -> str:
        lines = [
            f"{row['MB']:>10} MB  {row['what']:<12} {row['where']}  ({row['comes back']})"
            for row in self.rows()
        ]
        return "\n".join(lines) or "Nothing of this project's takes space here."

    def _repr_html_(self) -> str:
        return table(self.rows(), "What takes space, safest to remove first")


def space() -> Space:
    """Return what takes space under the home, safest to remove first: the cache, then runs, oldest first."""
    found = []
    for name, back in _CACHE.items():
        path = cache_dir() / name
        if _is_folder(path):
            found.append(Item("cache", path, _size(path), back))
    runs = [
        Item("batch" if _is_batch(path) else "run", path, _size(path), "only by running it again")
        for path in _children(outputs_dir())
        if _is_batch(path) or _runs_below(path)
    ]
    found += sorted(runs, key=lambda item: _changed(item.path))
    kept = (
        ("models", models_dir(), "downloaded again by `peoplenet-nb download`"),
        ("environment", home() / "venv", "made again by setup_runpod.sh"),
    )
    found += [Item(what, path, _size(path), back, False) for what, path, back in kept if _is_folder(path)]
    return Space(found)


def remove(item: Item) -> int:
    """Remove what a `space` found, as far as this project made it, and return the bytes that are free now.

    Raises
    ------
    OutputError
        When a run writes there, or it cannot be removed.
    """
    if not item.removable or not _within(item.path):
        raise OutputError(
            "This is not removed", seen=item.path, next_step="remove it by hand, if you are sure."
        )
    before = _size(item.path)
    with writing(item.path):
        if item.what == "cache":
            shutil.rmtree(item.path)
        else:
            for run in _runs_below(item.path):
                _remove_run(run)
            if _is_batch(item.path):
                shutil.rmtree(item.path / ".batch")
                sheet = item.path / "sheet"
                for path in sheet.glob("*.jpg") if _is_folder(sheet) else ():
                    path.unlink()
                with suppress(OSError):
                    sheet.rmdir()
                for name in _BATCH:
                    (item.path / name).unlink(missing_ok=True)
            with suppress(OSError):  # somebody's own files are in it
                item.path.rmdir()
    return before - (_size(item.path) if item.path.exists() else 0)


def _remove_run(path: Path) -> None:
    """Remove what a run's own record names; the lock sees to it that it is not in progress."""
    folder = RunFolder(path, {}, resume=False, overwrite=True)
    try:
        folder.drop_parts()
        (path / "run.json").unlink(missing_ok=True)
    finally:
        folder.release()
    with suppress(OSError):
        path.rmdir()


def _runs_below(path: Path) -> list[Path]:
    """Return the runs in a folder, itself too: what a run's record stands in."""
    if not _is_folder(path):
        return []
    found = []
    for at, folders, files in os.walk(path, followlinks=False):
        if "run.json" in files and (is_run(at) or "parts" in folders):
            found.append(Path(at))
            folders.clear()
    return found


def _is_batch(path: Path) -> bool:
    return _is_folder(path) and _is_folder(path / ".batch") and (path / ".batch" / "request.json").is_file()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _children(path: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(entry for entry in path.iterdir() if _is_folder(entry))


def _within(path: Path) -> bool:
    """Return whether a path lies in the cache or among the outputs, with no link on the way."""
    for top in (cache_dir(), outputs_dir()):
        if path.parent == top and path.resolve() == top.resolve() / path.name:
            return not path.is_symlink()
    return False


def _size(path: Path) -> int:
    """Return the bytes of what is in a folder, each file once, nothing behind links."""
    total, seen = 0, set[tuple[int, int]]()
    for at, _, files in os.walk(path, followlinks=False):
        for name in files:
            with suppress(OSError):
                status = (Path(at) / name).lstat()
                if status.st_nlink > 1 and (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
