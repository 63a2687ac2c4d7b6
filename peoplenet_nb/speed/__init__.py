"""Faster models made from a model: a uint8 input, and static INT8 for CPUs.

One decision to know: a derived model is a file of its own with a record beside it (what it was made from,
with which tools, how, and how well it agrees), kept in a ``derived`` folder where no search for models
looks, so that it is never mistaken for NVIDIA's file.
"""

from __future__ import annotations

from peoplenet_nb.network.variants import Agreement, Target, Variant, variants_dir
from peoplenet_nb.speed.build import build_int8, build_uint8

__all__ = ["Agreement", "Target", "Variant", "build_int8", "build_uint8", "variants_dir"]
