"""PeopleNet for a notebook: fetched or said why not, what each failure means, and the way by hand.

One decision to know: a refused or unreachable NGC is a result here, not an exception, so that "run all" goes
on with the stand-in; `peoplenet_nb.ngc.download` still raises for everybody else.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc import DEFAULT_VERSION, VERSIONS, ModelRecord, download, find_model
from peoplenet_nb.ngc.errors import ROWS, Place
from peoplenet_nb.notebook.keyfield import KeyField
from peoplenet_nb.notebook.rich import Rich, Sentence, Stack, Table, pairs
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.paths import models_dir


@dataclass(repr=False)
class Fetched(Rich):
    """What came of a download.

    Attributes
    ----------
    file : ModelFile or None
        The model, None when there is none.
    record : ModelRecord or None
        Where it came from, when this project fetched it.
    error : DownloadError or None
        Why nothing was fetched.
    """

    file: ModelFile | None
    record: ModelRecord | None = None
    error: DownloadError | None = None

    def to_html(self) -> str:
        """Return the record as a table, or the failure with the next step."""
        parts: list[object] = []
        if self.error is not None:
            what = [
                ("what happened", self.error.what),
                ("seen", self.error.seen),
                ("next", self.error.next_step),
            ]
            parts.append(pairs(what))
        if self.file is None:
            parts.append(
                Sentence(
                    "the demo's stand-in network takes PeopleNet's place in the next notebooks.", "instead"
                )
            )
            return Stack(*parts).to_html()
        rows: list[tuple[str, object]] = [
            ("model", self.file.path),
            ("bytes", self.file.size),
            ("sha256", self.file.sha256),
        ]
        if self.record is not None:
            rows += [
                ("version", self.record.version),
                ("verified by", self.record.verified),
                ("came from", f"{self.record.source_url} ({self.record.via}, {self.record.fetched_at})"),
                ("files", ", ".join(f"{name} ({e.size:,})" for name, e in self.record.files.items())),
            ]
        parts.append(pairs(rows))
        said = "PeopleNet is here, whole and readable." if self.record else _WITHOUT_RECORD
        return Stack(*parts, Sentence(said, "ok")).to_html()

    def to_text(self) -> str:
        """Return the model's path, or why there is none."""
        return str(self.error if self.file is None else self.file.path)


_WITHOUT_RECORD = (
    "PeopleNet was here already, brought by another program; nothing was fetched (FORCE = True does)."
)


def fetch_model(
    version: str = DEFAULT_VERSION,
    *,
    via: Literal["http", "cli"] = "http",
    key: KeyField | None = None,
    force: bool = False,
    retries: int = 1,
) -> Fetched:
    """Fetch a version of PeopleNet, unless it is on this machine already.

    Parameters
    ----------
    version : str
        A version of nvidia/tao/peoplenet.
    via : {"http", "cli"}
        Directly, or through the NGC CLI.
    key : KeyField, optional
        Where a key may have been typed.
    force : bool
        Fetch it even if it is here.
    retries : int
        Repetitions of a request that brings nothing.

    Returns
    -------
    Fetched
        With the failure in it where NGC did not give the model.
    """
    found = None if force else find_model(version)
    if found is not None and ModelRecord.load(found.parent) is None:
        return Fetched(read_model_file(found))
    try:
        record = download(
            version,
            via=via,
            api_key=None if key is None else key.reveal(),
            force=force,
            retries=retries,
        )
    except DownloadError as error:
        found = find_model(version) or find_model()
        return Fetched(None if found is None else read_model_file(found), None, error)
    return Fetched(read_model_file(record.path), record)


def versions() -> Table:
    """Return the versions that are known by name; any other of NGC's may be named as well."""
    return Table([{"version": name, "about": known.about} for name, known in VERSIONS.items()])


def failures() -> Table:
    """Return what can go wrong with NGC, what it means and what to do."""
    return Table(
        [{"what happened": what, "what to do": step} for what, step in ROWS.values()], limit=len(ROWS)
    )


def by_hand(version: str = DEFAULT_VERSION, folder: Path | None = None) -> Stack:
    """Return how to bring the files without any program; the folder that they belong into is made."""
    place = Place(version, (folder or models_dir()) / f"peoplenet_v{version}")
    with suppress(OSError):  # where it cannot be made, its name still helps
        place.folder.mkdir(parents=True, exist_ok=True)
    known = VERSIONS.get(version)
    rows = (
        []
        if known is None
        else [
            {"file": name, "bytes": "not known beforehand" if size is None else size}
            for name, size in known.files.items()
        ]
    )
    return Stack(Sentence(place.by_hand), Table(rows) if rows else Sentence("NGC's page lists its files."))
