"""What settings refuse: numbers beyond their range, and what is no table."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

from peoplenet_nb.errors import SettingsError


def wrong(what: str, value: object, next_step: str) -> SettingsError:
    """Return the error of a value that is refused."""
    return SettingsError(what, seen=repr(value), next_step=next_step)


def check(of: Any, name: str, low: float, high: float) -> None:
    """Refuse what is no number of a span; a number of NumPy's becomes one that JSON and YAML know."""
    value = getattr(of, name)
    number = isinstance(value, Real) and not isinstance(value, bool)
    if number and type(value) not in (int, float):
        value = int(value) if isinstance(value, Integral) else float(value)
        object.__setattr__(of, name, value)
    # Compared as it is: a whole number may be too large for a float.
    if not number or not low <= value <= min(high, sys.float_info.max):
        span = f"between {low:g} and {high:g}" if math.isfinite(high) else f"a number of at least {low:g}"
        raise wrong(f"{name} must be {span}", value, f"choose {name} in that range.")


def check_clustering(of: Any) -> None:
    """Refuse numbers of a clustering, of all classes or of one, that are out of range."""
    for name, high in (("nms_iou", 1.0), ("eps", 1.0), ("min_samples", math.inf)):
        if getattr(of, name) is not None:
            check(of, name, 0.0, high)
    if of.top_k is not None and (type(of.top_k) is not int or of.top_k < 1):
        what = "top_k must be a whole number of at least 1"
        raise wrong(what, of.top_k, "leave it out to keep every box.")


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return a table of keys and values; refuse anything else."""
    if not isinstance(value, Mapping):
        raise wrong(f"{what} must be a table of keys and values", value, "compare with a preset's YAML.")
    return dict(value)


def class_name(name: object) -> str:
    """Return a class's name as settings hold it."""
    return str(name).strip().lower()


def thresholds_of(texts: Iterable[str], option: str) -> dict[str, float]:
    """Return thresholds by class, written as ``face=0.1`` after an option or parameter, which an error names."""
    chosen = {}
    for text in texts:
        label, _, value = text.rpartition("=")
        try:
            chosen[label] = float(value)
        except ValueError:
            label = ""
        if not label:
            raise wrong(
                f"{option.strip(' =')} takes a class and a number", text, f"write it as {option}face=0.1."
            )
    return chosen
