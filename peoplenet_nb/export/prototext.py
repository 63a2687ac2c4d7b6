"""Protocol Buffers' text format, written and read without the schema: what TAO, Triton and nvinferserver take.

A message is a list of fields in their order, so that repeated fields and maps are what they are in the file. A file
from outside is read in bounded time: its size and the depth of its messages are limited.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from peoplenet_nb.files import read_text

#: Fields in their order: names, and strings, words, numbers, truth values or messages.
Message: TypeAlias = Sequence[tuple[str, Any]]
_DEEPEST = 16
_TOKEN = re.compile(
    r"""(?P<gap>(?:\s|\#[^\n]*)+) | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<word>[-+.\w/]+) | (?P<sign>[{}<>\[\]:,;])""",
    re.VERBOSE,
)
_CLOSES = {"{": "}", "<": ">"}


class Word(str):
    """A value that stands without quotes: a number, a truth value, the name of an enum."""

    __slots__ = ()


def to_prototext(message: Message | Mapping[str, Any], depth: int = 0) -> str:
    """Return a message as text, a field a line; a list is a field that is repeated, ``#`` a comment.

    Examples
    --------
    >>> print(to_prototext({"stride": 16, "box": {"name": "a", "kind": Word("NMS")}, "dims": [3, 4]}), end="")
    stride: 16
    box {
      name: "a"
      kind: NMS
    }
    dims: 3
    dims: 4
    """
    lines, indent = [], "  " * depth
    for name, values in message.items() if isinstance(message, Mapping) else message:
        whole = isinstance(message, Mapping) and isinstance(values, list | tuple)
        for value in values if whole else [values]:
            if name == "#":
                lines.append(f"{indent}# {value}\n")
            elif isinstance(value, Word | int | float) and not isinstance(value, bool):
                lines.append(f"{indent}{name}: {value}\n")
            elif isinstance(value, str | bool):
                lines.append(f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}\n")
            else:
                lines.append(f"{indent}{name} {{\n{to_prototext(value, depth + 1)}{indent}}}\n")
    return "".join(lines)


def read_prototext(path: Path) -> list[tuple[str, Any]]:
    """Return the fields of a file in the text format; every value is a string, a `Word` or a message.

    Raises
    ------
    ValueError
        When it is not in that format, is large or nests deeply.
    """
    return _fields(_tokens(read_text(path)), "", 0)


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"line {text.count(chr(10), 0, place) + 1}: {text[place : place + 20]!r}")
        place = match.end()
        if match.lastgroup != "gap":
            yield match[0]


def _fields(tokens: Iterator[str], end: str, depth: int) -> list[tuple[str, Any]]:
    """Return the fields up to a closing sign, or to the end of the text."""
    if depth > _DEEPEST:
        raise ValueError(f"it nests more than {_DEEPEST} messages")
    fields: list[tuple[str, Any]] = []
    for name in tokens:
        if name == end:
            return fields
        if name in (",", ";"):
            continue
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ValueError(f"{name!r} stands where a name belongs")
        sign = next(tokens, "")
        first = next(tokens, "") if sign == ":" else sign
        if sign != ":" and first not in _CLOSES:
            raise ValueError(f"{name} has no value")
        for item in iter(tokens.__next__, "]") if first == "[" else (first,):
            if item in _CLOSES:
                fields.append((name, _fields(tokens, _CLOSES[item], depth + 1)))
            elif item != ",":
                fields.append((name, _scalar(name, item)))
    if end:
        raise ValueError(f"a message is not closed with {end!r}")
    return fields


def _scalar(name: str, token: str) -> str:
    if token[:1] in "\"'" and token:
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if not re.fullmatch(r"[-+.\w/]+", token):
        raise ValueError(f"{name} has no value")
    return Word(token)


def number(name: str, value: object) -> float:
    """Return a field's value as a finite number; a `ValueError` when it is none."""
    try:
        found = float(value.rstrip("f") if isinstance(value, Word) else "none")
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"{name} is {value!r}, not a number")
    return found
