"""Everything a person may turn after the network has run, as one immutable value, and presets by name."""

from __future__ import annotations

from peoplenet_nb.settings.checks import thresholds_of
from peoplenet_nb.settings.of_class import OWN, ClassSettings
from peoplenet_nb.settings.per_class import PerClass, bind
from peoplenet_nb.settings.presets import PRESETS, load_settings, preset
from peoplenet_nb.settings.values import (
    PEOPLENET_LABELS,
    Clustering,
    Flavour,
    Score,
    Settings,
)

__all__ = [
    "OWN",
    "PEOPLENET_LABELS",
    "PRESETS",
    "ClassSettings",
    "Clustering",
    "Flavour",
    "PerClass",
    "Score",
    "Settings",
    "bind",
    "load_settings",
    "preset",
    "thresholds_of",
]
