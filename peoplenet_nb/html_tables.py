"""HTML for notebooks: tables that are not cut off, notes, and parts that unfold.

Whatever shows itself in a notebook builds its ``_repr_html_`` from these. Colours come from JupyterLab's own
variables where it has them, so that a table is as legible in the dark theme as in the light one; meaning is always
carried by words as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MUTED = "color:var(--jp-ui-font-color2,inherit)"
_SHORT = 24  # characters
_EDGES = {"ok": "#009e73", "note": "#0072b2", "instead": "#d55e00"}


def table(
    rows: Any | Iterable[Mapping[str, object]], caption: str = "", *, limit: int = 40, more: str = ""
) -> str:
    """Return a table with numbers to the right and words to the left, all of its text in it.

    Parameters
    ----------
    rows : DataFrame or iterable of mappings
        What to show; a row may lack columns.
    caption : str
        A line above it.
    limit : int
        Most rows shown; how many are left out is said below.
    more : str
        Where the rest is.
    """
    listed = rows.to_dict("records") if hasattr(rows, "to_dict") else list(rows)
    columns = (
        list(rows.columns) if hasattr(rows, "columns") else list(dict.fromkeys(k for r in listed for k in r))
    )
    shown = listed[:limit]
    sides = {
        c: "right" if shown and all(_is_number(r[c]) for r in shown if r.get(c) is not None) else "left"
        for c in columns
    }
    head = "".join(f'<th style="text-align:{sides[c]}">{html.escape(str(c))}</th>' for c in columns)
    body = "".join("<tr>" + "".join(_cell(r.get(c, ""), sides[c]) for c in columns) + "</tr>" for r in shown)
    above = _caption(caption)
    left = len(listed) - limit
    below = f'<p style="{_MUTED}">… and {left} more rows. {html.escape(more)}</p>' if left > 0 else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def _caption(text: str) -> str:
    style = "text-align:left;white-space:nowrap"  # else it is broken to the width of the table
    return f'<caption style="{style}">{html.escape(text)}</caption>' if text else ""


def pairs(rows: Sequence[tuple[str, object]], caption: str = "") -> str:
    """Return a table of two columns without a head: what, and its value."""
    above = _caption(caption)
    body = "".join(
        f'<tr><th style="text-align:left;white-space:nowrap">{html.escape(what)}</th>{_cell(value, "left")}</tr>'
        for what, value in rows
    )
    return f"<table>{above}<tbody>{body}</tbody></table>"


def note(text: str, kind: str = "note") -> str:
    """Return a paragraph with a coloured edge.

    Parameters
    ----------
    text : str
        What to say.
    kind : {"ok", "note", "instead"}
        ``instead`` for what was done in place of what was asked for; it then begins with that word.
    """
    lead = "<b>Instead: </b>" if kind == "instead" else ""
    style = f"border-left:4px solid {_EDGES[kind]};padding:0.25em 0.8em;margin:0.4em 0"
    return f'<p style="{style}">{lead}{html.escape(text)}</p>'


def fold(headline: str, inside: str) -> str:
    """Return HTML that unfolds when its headline is clicked."""
    style = "cursor:pointer;padding:0.2em 0"
    return f'<details><summary style="{style}">{html.escape(headline)}</summary>{inside}</details>'


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: object, side: str) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):  # there is nothing to say
        return "<td></td>"
    text = f"{value:,}" if _is_number(value) else str(value)
    if isinstance(value, float):
        text = f"{value:,.3f}".rstrip("0").rstrip(".")
    style = f"text-align:{side}"
    if side == "left":  # long paths and hashes may break anywhere, short words nowhere
        style += (
            ";white-space:nowrap" if len(text) <= _SHORT else ";overflow-wrap:anywhere;white-space:pre-line"
        )
    return f'<td style="{style}">{html.escape(text)}</td>'
