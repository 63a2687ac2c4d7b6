"""How fast this machine is, and what makes it faster: timings, variants of the model, and the profile chosen from them.

A variant is a file of its own with a record beside it (what it was made from, with which tools, how, and how well it
agrees), kept in a folder ``variants`` where no search for models looks, so that it is never mistaken for NVIDIA's file.
"""

from peoplenet_nb.speed.build import build_int8, build_uint8
from peoplenet_nb.speed.latency import time_devices
from peoplenet_nb.speed.measured import choose_best, time_batches, time_runs, try_devices
from peoplenet_nb.speed.profile import Fastest, fastest
from peoplenet_nb.speed.variants import build_variants

__all__ = ["Fastest", "build_int8", "build_uint8", "build_variants", "choose_best", "fastest"]
__all__ += ["time_batches", "time_devices", "time_runs", "try_devices"]
