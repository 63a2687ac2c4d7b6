"""Faster variants of a model (a uint8 input, static INT8), how fast runs are, and the speed profile of a machine.

One decision to know: a variant is a file of its own with a record beside it (what it was made from, with which
tools, how, and how well it agrees), kept in a folder ``variants`` where no search for models looks, so that it is never
mistaken for NVIDIA's file.
"""

from __future__ import annotations

from peoplenet_nb.network.variants import Agreement, Target, Variant, variants_dir
from peoplenet_nb.speed.build import build_int8, build_uint8

__all__ = ["Agreement", "Target", "Variant", "build_int8", "build_uint8", "variants_dir"]
