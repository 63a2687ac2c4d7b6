"""A run over a source: reading, inference and writing overlapped, resumable, with a video and tables at the end.

One decision to know: what is finished is on disk. A run writes in parts, and everything a person opens is made
of them.
"""

from __future__ import annotations

from peoplenet_nb.video.interrupt import RunInterrupted
from peoplenet_nb.video.running import run
from peoplenet_nb.video.summary import RunResult

__all__ = ["RunInterrupted", "RunResult", "run"]
