"""Runs over sources: reading, inference and writing overlapped, resumable, with a video and tables at the end.

What is finished is on disk: a run writes in parts, and everything a person opens is made of them.
"""

from __future__ import annotations

from peoplenet_nb.video.checks import run_name
from peoplenet_nb.video.compare import KeyFrameRuns, compare_keyframes
from peoplenet_nb.video.interrupt import RunInterrupted
from peoplenet_nb.video.result import RunResult
from peoplenet_nb.video.running import run
from peoplenet_nb.video.several import Failure, run_all
from peoplenet_nb.video.tracking import TrackedRun, track

__all__ = [
    "Failure",
    "KeyFrameRuns",
    "RunInterrupted",
    "RunResult",
    "TrackedRun",
    "compare_keyframes",
    "run",
    "run_all",
    "run_name",
    "track",
]
