"""Which videos a batch is over: folders, patterns, lists, addresses of object stores, and the name that each gets.

A name is reserved by a file before anything runs, so that it stays the same however often, in whatever order and on
however many machines the batch is started: the first of the same name keeps its own, later ones get a number.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError, SourceError, refuse_unknown
from peoplenet_nb.files import read_json, read_text, write_new
from peoplenet_nb.fleet.claims import STATE
from peoplenet_nb.paths import DEMO_CLIP
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import remote
from peoplenet_nb.sources.names import folder_name
from peoplenet_nb.sources.opening import DEMO, is_live
from peoplenet_nb.sources.stills import IMAGE_NAME, natural_key, videos_in
from peoplenet_nb.urls import hide_secrets

_COLUMNS = ("source", "name", "settings")
_LARGEST_LIST = 64 << 20
_LONGEST_NAME = 150  # bytes; files beside it have longer ones
#: What a batch itself writes beside the folders of the runs.
SHEET, VIDEOS, SUMMARY, INDEX = "sheet", "videos.csv", "batch.json", "index.html"
_TAKEN = {SHEET, VIDEOS, SUMMARY, INDEX, STATE}


@dataclass
class Job:
    """One video of a batch."""

    source: str  #: what `open_source` opens; it may hold a password
    name: str = ""  #: of its folder
    settings: dict[str, Any] | None = None  #: in place of those of the batch
    size: int = 0  #: bytes, where that is known
    stamp: str = ""  #: changes with a file's content

    @property
    def shown(self) -> str:
        """The source without its secrets."""
        return hide_secrets(self.source)

    @property
    def identity(self) -> str:
        """The source, as a hash where it is an address: that may hold a password."""
        return f"{self.shown} {hashlib.sha256(self.source.encode(errors='surrogateescape')).hexdigest()[:16]}"


def list_jobs(sources: Iterable[str | Path]) -> list[Job]:
    """Return the videos that sources stand for, each once, in order.

    Parameters
    ----------
    sources : iterable of str or Path
        Videos; folders, with the videos in all folders below them; patterns such as ``clips/*.mp4`` and
        ``s3://bucket/2026/**/*.mp4``; addresses; lists (``.csv`` with a column ``source``, and where wanted ``name``
        and ``settings``, the path of a YAML file; paths count from the list's own folder).

    Raises
    ------
    SourceError
        When there is nothing of that name, or no video in it, or a list cannot be read.
    SettingsError
        When a list has another column, or its settings are none.
    """
    jobs: dict[tuple[str, str], Job] = {}
    for given in sources:
        for job in _expanded(str(given)):
            jobs.setdefault((job.source, job.name), job)
    if not jobs:
        raise SourceError("There is no video to run over", next_step="name videos, folders or a list.")
    return list(jobs.values())


def live_refused(shown: str) -> SourceError:
    """Return why a live stream is none of a batch's videos."""
    return SourceError(
        "A live stream has no end, so a batch would never be done with it",
        seen=shown,
        next_step="run it by itself: peoplenet-nb detect ADDRESS --for 60s, or watch it in notebook 10.",
    )


def _expanded(text: str) -> Iterator[Job]:
    if is_live(text):
        raise live_refused(hide_secrets(text))
    if "://" in text:
        if remote.is_remote(text):
            yield from (
                Job(address, size=size, stamp=stamp) for address, size, stamp in remote.videos_at(text)
            )
        else:
            yield Job(text)
        return
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            yield from map(_of_file, _below(path))
        elif path.suffix.lower() == ".csv" and path.is_file():
            yield from _listed(path)
        elif path.exists():
            yield _of_file(path)
        elif text.lower() == DEMO:
            yield _of_file(DEMO_CLIP)
        else:
            # Path.glob takes no absolute pattern.
            named = glob.glob(str(path), recursive=True) if glob.has_magic(text) else []  # noqa: PTH207
            found = sorted(named, key=natural_key)
            if not found:
                step = "check the name; a pattern needs quotes in a shell where it shall reach this program."
                raise SourceError("There is no such file, folder or pattern", seen=text, next_step=step)
            for one in found:
                yield from _expanded(one)
    except (OSError, RuntimeError, ValueError) as error:
        raise SourceError(
            "This cannot be read", seen=f"{text}: {error}", next_step="check the path."
        ) from error


def _of_file(path: Path) -> Job:
    path = path.absolute()  # workers may have another current folder; a link keeps its own name
    status = path.stat()
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return Job(os.path.normpath(path), size=size, stamp=f"{size}:{status.st_mtime_ns}")


def _below(folder: Path) -> Iterator[Path]:
    """Yield the videos in a folder and all below it; a folder of images is one source. Results are none."""
    empty = True
    for at, folders, files in os.walk(folder):
        if "run.json" in files:
            folders.clear()
            continue
        if STATE in folders:
            folders[:] = [name for name in folders if name != SHEET]
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
        found = videos_in(Path(at))
        if not found and any(IMAGE_NAME.search(name) and not name.startswith(".") for name in files):
            found = [Path(at)]
        empty = empty and not found
        yield from found
    if empty:
        raise SourceError(
            "There is no video in the folder", seen=folder, next_step="name one that holds videos or images."
        )


def _listed(path: Path) -> Iterator[Job]:
    try:
        rows = list(csv.DictReader(read_text(path, _LARGEST_LIST).splitlines(), skipinitialspace=True))
    except (OSError, ValueError, csv.Error) as error:
        step = "write it as CSV with a first line such as source,name,settings."
        raise SourceError("The list cannot be read", seen=f"{path}: {error}", next_step=step) from error
    from peoplenet_nb.video.checks import run_path

    read: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows, 2):
        refuse_unknown((column for column in row if column), _COLUMNS, f"column of {path.name}")
        values = {column: (row.get(column) or "").strip() for column in _COLUMNS}
        if None in row or not values["source"]:
            raise SourceError(
                "A line of the list names no source, or has more fields than its first line",
                seen=f"{path}, line {number}",
                next_step="put names with commas in quotes; the first line names the columns: source,name,settings.",
            )
        if values["name"]:
            run_path("", values["name"])
        settings, file = None, values["settings"]
        if file:
            if file not in read:
                read[file] = Settings.from_yaml(path.parent / Path(file).expanduser()).to_dict()
            settings = read[file]
        yield _row(path.parent, values, settings)


def _row(folder: Path, values: dict[str, str], settings: dict[str, Any] | None) -> Job:
    """Return the job of a line; what is not there fails when it is its turn, and the others run."""
    source = values["source"]
    if is_live(source):
        raise live_refused(hide_secrets(source))
    if "://" in source:
        return Job(source, values["name"], settings)
    path = folder / Path(source).expanduser()
    if source.lower() == DEMO and not path.exists():
        path = DEMO_CLIP
    try:
        job = _of_file(path)
    except OSError:
        job = Job(os.path.normpath(path.absolute()))
    job.name, job.settings = values["name"], settings
    return job


def reserve_names(jobs: list[Job], output: Path) -> None:
    """Give each job the name of its folder, the one that it had before where it had one.

    Raises
    ------
    OutputError
        When a name was asked for that another video has, or the folder cannot be written.
    """
    folder = output / STATE / "names"
    # All at once, because a volume across the network takes milliseconds for each.
    known = {path.stem: read_json(path).get("source") for path in folder.glob("*.json")}
    mine = {str(identity): name for name, identity in known.items()}
    given: dict[str, str] = {}
    follows: dict[str, int] = {}  # the number after a stem's last one that is taken
    for job in jobs:
        if job.name:
            identity = f"name {job.name}"
            twice = given.setdefault(job.name, job.source) != job.source
            if twice or not _reserve(folder, job.name, identity, job.shown, known):
                raise OutputError(
                    "Another video of the batch has this name already",
                    seen=f"{job.name}, asked for {job.shown}",
                    next_step="choose another name, or another --output.",
                )
            continue
        where = hide_secrets(job.source)
        stem = folder_name(Path(where.rstrip("/")).name if Path(where).is_dir() else Path(where).stem)
        stem = stem.encode()[:_LONGEST_NAME].decode(errors="ignore")
        while not job.name:
            # Whose the names before are was read already, here or on the way to where the last one was free.
            number = follows.get(stem, 1)
            name = stem if number == 1 else f"{stem}-{number}"
            if job.identity in mine:
                job.name = mine[job.identity]
            elif not _reserve(folder, name, job.identity, job.shown, known):
                follows[stem] = number + 1
            mine.setdefault(str(known.get(name)), name)


def _reserve(folder: Path, name: str, identity: str, shown: str, known: dict[str, Any]) -> bool:
    """Return whether a name belongs to a source, now or already."""
    if name in _TAKEN:
        return False
    if name not in known:
        path = folder / f"{name}.json"
        if write_new(path, json.dumps({"source": identity, "shown": shown}).encode()):
            known[name] = identity
        else:
            known[name] = read_json(path).get("source")
    return bool(known[name] == identity)
