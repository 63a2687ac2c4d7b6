"""How fast this machine is, and what makes it faster: timings, variants of the model, and the profile chosen from them.

A variant is a file of its own with a record beside it (what it was made from, with which tools, how, and how well it
agrees), kept in a folder ``variants`` where no search for models looks, so that it is never mistaken for NVIDIA's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:  # the same names once more, for type checkers; a test holds the two lists to each other
    from peoplenet_nb.speed.build import build_int8 as build_int8
    from peoplenet_nb.speed.build import build_uint8 as build_uint8
    from peoplenet_nb.speed.fastest import Fastest as Fastest
    from peoplenet_nb.speed.fastest import fastest as fastest
    from peoplenet_nb.speed.latency import time_devices as time_devices
    from peoplenet_nb.speed.measured import choose_best as choose_best
    from peoplenet_nb.speed.measured import time_batches as time_batches
    from peoplenet_nb.speed.measured import time_runs as time_runs
    from peoplenet_nb.speed.measured import try_devices as try_devices
    from peoplenet_nb.speed.variants import build_variants as build_variants

# Lazily: `bench` starts itself as a program, and must not be imported by its own package before.
__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "build": ["build_int8", "build_uint8"],
        "fastest": ["Fastest", "fastest"],
        "latency": ["time_devices"],
        "measured": ["choose_best", "time_batches", "time_runs", "try_devices"],
        "variants": ["build_variants"],
    },
)
