"""A piece of HTML that a cell ends in."""

from __future__ import annotations

import html
import re


class Html:
    """HTML in a notebook, its text elsewhere.

    Parameters
    ----------
    *parts : str
        HTML, one below the other.
    """

    def __init__(self, *parts: str) -> None:
        self._whole = "".join(parts)

    def _repr_html_(self) -> str:
        return self._whole

    def __repr__(self) -> str:
        return html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"</(tr|p|caption)>", "\n", self._whole))).strip()
