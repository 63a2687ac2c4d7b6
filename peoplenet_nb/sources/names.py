"""Names of folders and files made from those of sources."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count


def folder_name(name: str) -> str:
    """Return a name with what no folder should be called replaced."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "source"


def unique_names(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Return a different name for each ``(stem, suffix)``: the first keeps its own, later ones get a number.

    Examples
    --------
    >>> unique_names([("f", ""), ("f", ""), ("f-2", "")])
    ['f', 'f-3', 'f-2']
    """
    own = {stem + suffix for stem, suffix in wanted}
    used: set[str] = set()
    names = []
    for stem, suffix in wanted:
        name = stem + suffix
        if name in used:
            name = next(n for i in count(2) if (n := f"{stem}-{i}{suffix}") not in own | used)
        used.add(name)
        names.append(name)
    return names
