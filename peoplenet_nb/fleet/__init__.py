"""Many videos: a list is shared among processes and machines, and whatever dies, only the rest is done again."""

from __future__ import annotations

from peoplenet_nb.fleet.coordinator import batch
from peoplenet_nb.fleet.result import BatchResult

__all__ = ["BatchResult", "batch"]
