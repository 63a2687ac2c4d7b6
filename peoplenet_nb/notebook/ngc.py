"""What a reader of notebook 02 wants to know about NGC: its versions, what a failure means, and the way by hand."""

from __future__ import annotations

from contextlib import suppress

from peoplenet_nb.html_tables import note, table
from peoplenet_nb.ngc import DEFAULT_VERSION, VERSIONS
from peoplenet_nb.ngc.errors import ROWS, Destination
from peoplenet_nb.notebook.shown import Html
from peoplenet_nb.paths import models_dir


def versions() -> Html:
    """Return the versions that are known by name; any other of NGC's may be named as well."""
    return Html(table([{"version": name, "about": known.about} for name, known in VERSIONS.items()]))


def failures() -> Html:
    """Return what can go wrong with NGC, what it means and what to do."""
    rows = [{"what happened": what, "what to do": step} for what, step in ROWS.values()]
    return Html(table(rows, limit=len(rows)))


def by_hand(version: str = DEFAULT_VERSION) -> Html:
    """Return how to bring the files without any program; the folder that they belong into is made."""
    destination = Destination(version, models_dir() / f"peoplenet_v{version}")
    with suppress(OSError):  # where it cannot be made, its name still helps
        destination.folder.mkdir(parents=True, exist_ok=True)
    known = VERSIONS.get(version)
    files = {} if known is None else known.files
    rows = [{"file": name, "bytes": "not known beforehand" if n is None else n} for name, n in files.items()]
    return Html(note(destination.by_hand), table(rows) if rows else note("NGC's page lists its files."))
