"""Faster models made from a model: a uint8 input, and static INT8 for CPUs.

One decision to know: a derived model is a file of its own with a record beside it (what it was made from,
with which tools, how, and how well it agrees), kept in a ``derived`` folder where no search for models
looks, so that it is never mistaken for NVIDIA's file.
"""

from __future__ import annotations

from peoplenet_nb.derived import Agreement, Derived, Target, derived_dir
from peoplenet_nb.optimise.build import build_int8, build_uint8

__all__ = ["Agreement", "Derived", "Target", "build_int8", "build_uint8", "derived_dir"]
