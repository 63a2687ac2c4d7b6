"""What JSON gave, as the dataclass it should be: every value has the type that its field says."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

_LARGEST = 1 << 53  # beyond it a float does not tell one whole number from the next


def typed(value: Any, hint: Any, where: str) -> Any:
    """Return a value of JSON as a type hint says.

    Parameters
    ----------
    value : object
        What `json.loads` gave.
    hint : type
        ``Any``, ``str``, ``bool``, ``int`` (not negative), ``float`` (finite), a list, dict or tuple of those, one of
        them or None, or a dataclass.
    where : str
        What the value is called in the error.

    Raises
    ------
    ValueError
        When it is something else; the text names the value that is wrong.
    """
    kind, args = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return value
    if kind is UnionType:
        (other,) = (arg for arg in args if arg is not NoneType)
        return None if value is None else typed(value, other, where)
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass(value, kind, where)
    if kind is list and isinstance(value, list):
        return [typed(one, args[0], f"{where}[{i}]") for i, one in enumerate(value)]
    if kind is tuple and isinstance(value, list) and len(value) == len(args):
        return tuple(
            typed(one, arg, f"{where}[{i}]") for i, (one, arg) in enumerate(zip(value, args, strict=True))
        )
    if kind is dict and isinstance(value, dict):
        return {name: typed(one, args[1], f"{where}.{name}") for name, one in value.items()}
    if kind is float and type(value) in (int, float) and abs(value) < _LARGEST:
        return float(value)
    if kind is int and type(value) is int and 0 <= value < _LARGEST:
        return value
    if kind in (str, bool) and type(value) is kind:
        return value
    raise ValueError(f"{where} is {str(value)[:40]!r}")


def _dataclass(value: dict[str, Any], kind: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if unknown := value.keys() - hints.keys():
        raise ValueError(f"{where} holds {min(unknown)[:40]!r}")
    for field in fields(kind):
        if field.name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{where} has no {field.name!r}")
    return kind(**{name: typed(one, hints[name], f"{where}.{name}") for name, one in value.items()})
