"""XML from anywhere as elements: no entities, no external files, bounded depth and size.

``defusedxml`` would be a dependency for this one need; label files declare no entities at all, so a declaration is
refused before anything could be expanded.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from peoplenet_nb.files import read_text

_DEEPEST = 32


def read_xml(path: Path, most: int) -> Element:
    """Return the root of an XML file; a `ValueError` for more bytes, deep nests, and entities that it declares."""
    text = read_text(path, most)
    parser, builder, depth = expat.ParserCreate("utf-8"), TreeBuilder(), 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise ValueError(f"it nests more than {_DEEPEST} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> NoReturn:
        raise ValueError("it declares entities, which label files have no use for")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.EntityDeclHandler = refuse
    parser.buffer_text = True
    try:
        parser.Parse(text.encode("utf-8"), True)
    except expat.ExpatError as error:
        raise ValueError(f"that is no XML: {error}") from error
    return builder.close()
