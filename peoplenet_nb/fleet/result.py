"""What a batch left behind, shown as text in a shell and as a table in a notebook."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.fleet.listing import INDEX, SHEET, VIDEOS
from peoplenet_nb.fleet.sheet import headline, rows_of, totals
from peoplenet_nb.html_tables import note, table

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("name", "state", "frames", "fps")


class Pictures:
    """Small pictures of videos, which show themselves in a notebook, with all that they need."""

    def __init__(self, output: Path, names: Sequence[str]) -> None:
        self._output, self._names = output, names

    def _repr_html_(self) -> str:
        shown = []
        for name in self._names:
            with suppress(OSError):
                data = base64.b64encode((self._output / SHEET / f"{name}.jpg").read_bytes()).decode()
                image = f'<img alt="" style="width:100%;display:block" src="data:image/jpeg;base64,{data}">'
                shown.append(
                    f'<figure style="margin:0">{image}<figcaption>{escape(name)}</figcaption></figure>'
                )
        columns = "display:grid;gap:0.8em;grid-template-columns:repeat(auto-fill,minmax(220px,1fr))"
        return f'<div style="{columns}">{"".join(shown)}</div>'


@dataclass
class BatchResult:
    """What a batch left behind.

    Attributes
    ----------
    folder : Path
        All of it: a folder for each video, ``videos.csv``, ``batch.json`` and ``index.html``.
    records : dict of str to dict
        What became of each video, by the name of its folder.
    """

    folder: Path
    records: dict[str, dict[str, Any]] = field(repr=False)

    @property
    def table(self) -> Path:
        """``videos.csv``: a line for each video."""
        return self.folder / VIDEOS

    @property
    def page(self) -> Path:
        """``index.html``: a picture of each video."""
        return self.folder / INDEX

    @property
    def summary(self) -> dict[str, Any]:
        """The sums over all videos."""
        return totals(self.records)

    @property
    def failures(self) -> dict[str, str]:
        """The videos that were put aside, with the reason."""
        aside = {n: r for n, r in self.records.items() if r.get("state") == "aside"}
        return {name: str(record.get("reason", "")) for name, record in aside.items()}

    def pictures(self, most: int = 12) -> Pictures:
        """Return a picture of each video, as the page has them, to be shown in a notebook."""
        return Pictures(
            self.folder, [name for name, r in self.records.items() if r.get("state") == "complete"][:most]
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each video."""
        import pandas as pd

        return pd.DataFrame(rows_of(self.records)).convert_dtypes()

    def __str__(self) -> str:
        return "\n".join(
            [
                headline(self.summary),
                f"  written to {self.folder}: {VIDEOS}, {INDEX}",
                *(f"  put aside: {name}: {' '.join(why.split())}" for name, why in self.failures.items()),
            ]
        )

    def _repr_html_(self) -> str:
        labels = self.summary["counts"]
        rows = [{key: row.get(key) for key in (*_SHOWN, *labels)} for row in rows_of(self.records)]
        parts = [
            f"<p>{escape(headline(self.summary))}.</p>",
            table(rows, more=f"{VIDEOS} has all."),
            *(note(f"{name} was put aside: {why}") for name, why in self.failures.items()),
            f"<p>Written to <code>{escape(str(self.folder))}</code>: {VIDEOS}, {INDEX}.</p>",
        ]
        return "".join(parts)
