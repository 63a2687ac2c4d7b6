"""What a notebook cell ends in: tables that are not cut off, sentences, and several of them together.

One decision to know: colours come from JupyterLab's own variables where it has them, so that a table is as
legible in the dark theme as in the light one; meaning is always carried by words as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_MUTED = "color:var(--jp-ui-font-color2,inherit)"
_EDGES = {"ok": "#009e73", "note": "#0072b2", "instead": "#d55e00"}
_LEADS = {"ok": "", "note": "", "instead": "Instead: "}


class Rich:
    """Something that shows itself as HTML in a notebook and as text elsewhere."""

    def to_html(self) -> str:
        """Return the HTML that a notebook shows."""
        raise TypeError(f"{type(self).__name__} shows nothing")

    def to_text(self) -> str:
        """Return what a shell shows."""
        return type(self).__name__

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/html": self.to_html(), "text/plain": self.to_text()}


class Sentence(Rich):
    """One sentence with a coloured edge.

    Parameters
    ----------
    text : str
        What to say.
    kind : {"ok", "note", "instead"}
        ``instead`` for what was done in place of what was asked for; it then begins with that word.
    """

    def __init__(self, text: str, kind: str = "note") -> None:
        self.text, self.kind = text, kind

    def to_html(self) -> str:
        """Return a paragraph."""
        lead = f"<b>{_LEADS[self.kind]}</b>" if _LEADS[self.kind] else ""
        style = f"border-left:4px solid {_EDGES[self.kind]};padding:0.25em 0.8em;margin:0.4em 0"
        return f'<p style="{style}">{lead}{html.escape(self.text)}</p>'

    def to_text(self) -> str:
        """Return the sentence."""
        return _LEADS[self.kind] + self.text


class Table(Rich):
    """A table with all of its text; long ones are cut after ``limit`` rows, and say so.

    Parameters
    ----------
    rows : DataFrame or sequence of mappings
        What to show.
    caption : str
        A line above it.
    limit : int
        Most rows shown; `frame` keeps all.
    more : str
        Where the rest is.
    """

    def __init__(
        self,
        rows: pd.DataFrame | Iterable[Mapping[str, object]],
        caption: str = "",
        *,
        limit: int = 40,
        more: str = "",
    ) -> None:
        import pandas as pd

        self.frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        self.caption, self.limit, self.more = caption, limit, more

    def __len__(self) -> int:
        return len(self.frame)

    def to_html(self) -> str:
        """Return a table with numbers to the right and words to the left."""
        shown = self.frame.head(self.limit)
        numeric = [all(_is_number(value) for value in shown.iloc[:, i]) for i in range(shown.shape[1])]
        sides = ["right" if number else "left" for number in numeric]
        head = "".join(
            f'<th style="text-align:{side}">{html.escape(str(name))}</th>'
            for name, side in zip(self.frame.columns, sides, strict=True)
        )
        body = "".join(
            "<tr>" + "".join(_cell(value, side) for value, side in zip(row, sides, strict=True)) + "</tr>"
            for row in shown.itertuples(index=False, name=None)
        )
        caption = (
            f'<caption style="text-align:left">{html.escape(self.caption)}</caption>' if self.caption else ""
        )
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{self._rest()}"

    def _rest(self) -> str:
        left = len(self.frame) - self.limit
        if left <= 0:
            return ""
        where = f" {html.escape(self.more)}" if self.more else ""
        return f'<p style="{_MUTED}">… and {left} more rows.{where}</p>'

    def to_text(self) -> str:
        """Return the table for a shell."""
        return f"{self.caption}\n{self.frame.head(self.limit).to_string(index=False)}".strip()


class Stack(Rich):
    """Several results below one another.

    Parameters
    ----------
    *parts : object
        `Rich`, pictures, or whatever has ``_repr_html_``.
    """

    def __init__(self, *parts: object) -> None:
        self.parts = parts

    def to_html(self) -> str:
        """Return all parts."""
        return "\n".join(html_of(part) for part in self.parts)

    def to_text(self) -> str:
        """Return all parts as text."""
        return "\n".join(part.to_text() if isinstance(part, Rich) else repr(part) for part in self.parts)


class Fold(Rich):
    """Something that opens when its headline is clicked."""

    def __init__(self, headline: str, inside: object) -> None:
        self.headline, self.inside = headline, inside

    def to_html(self) -> str:
        """Return a ``<details>`` element."""
        style = "cursor:pointer;padding:0.2em 0"
        return (
            f'<details><summary style="{style}">{html.escape(self.headline)}</summary>'
            f"{html_of(self.inside)}</details>"
        )

    def to_text(self) -> str:
        """Return headline and content."""
        return f"{self.headline}\n{self.inside}"


def html_of(part: object) -> str:
    """Return how a notebook would show an object."""
    for name in ("to_html", "_repr_html_"):
        method = getattr(part, name, None)
        if method is not None:
            return str(method())
    return f"<pre>{html.escape(str(part))}</pre>"


def pairs(
    rows: Sequence[tuple[str, object]], caption: str = "", names: tuple[str, str] = ("what", "value")
) -> Table:
    """Return a table of two columns."""
    return Table([dict(zip(names, row, strict=True)) for row in rows], caption)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object, side: str) -> str:
    if isinstance(value, float) and math.isnan(value):  # there is nothing to say
        return "<td></td>"
    text = f"{value:,}" if _is_number(value) else str(value)
    if isinstance(value, float):
        text = f"{value:,.3f}".rstrip("0").rstrip(".")
    style = f"text-align:{side}" + ("" if side == "right" else ";overflow-wrap:anywhere;white-space:pre-line")
    return f'<td style="{style}">{html.escape(text)}</td>'
