"""Settings as a line of Python to paste into a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, preset
from peoplenet_nb.tuner.wire import SHARED

_PER_CLASS = tuple(f.name for f in fields(ClassSettings))


def line_of(settings: Settings, base: Settings, labels: Sequence[str]) -> str:
    """Return settings as a call of `preset` and what differs from it.

    Parameters
    ----------
    settings, base : Settings
        What to write, and the preset or file that it began with.
    labels : sequence of str
        The model's classes.
    """
    name = next((s.preset for s in (settings, base) if s.preset in PRESETS), "default")
    start = preset(name, settings.fit)
    line = f"preset({name!r})" if settings.fit is FitMode.AUTO else f"preset({name!r}, {str(settings.fit)!r})"
    if changed := _arguments(("tiles", *SHARED), settings, start):
        line += f".replace({changed})"
    for label in labels:
        now, before = settings.for_class(label), start.for_class(label)
        if now.threshold != before.threshold:  # which is for both fits, unless the call says otherwise
            before = replace(before, letterbox_threshold=None)
        if changed := _arguments(_PER_CLASS, now, before):
            # A model's label can hold any character: only `repr` makes it a string and nothing else.
            line += f".with_class({label!r}, {changed})"
    return line


def _arguments(names: Sequence[str], now: object, before: object) -> str:
    """Return the values that differ as keyword arguments in Python."""
    values = {k: getattr(now, k) for k in names if getattr(now, k) != getattr(before, k)}
    return ", ".join(f"{k}={_plain(v)!r}" for k, v in values.items())


def _plain(value: Any) -> Any:
    """Return a value whose `repr` is Python without imports: no enum, no NumPy."""
    return str(value) if isinstance(value, str) else value.item() if isinstance(value, np.generic) else value
