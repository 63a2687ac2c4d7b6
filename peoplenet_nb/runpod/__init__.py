"""The bill of a pod on RunPod: what it costs, stopping it when nobody works, and what takes space on its volume.

A pod is stopped, never terminated, and nothing is removed without being asked for.
"""

from __future__ import annotations

from peoplenet_nb.runpod.api import Pod, PodError, Pods
from peoplenet_nb.runpod.clean import Space, space
from peoplenet_nb.runpod.idle import StopWhenIdle, duration_s
from peoplenet_nb.runpod.prices import Cost, cost

__all__ = ["Cost", "Pod", "PodError", "Pods", "Space", "StopWhenIdle", "cost", "duration_s", "space"]
