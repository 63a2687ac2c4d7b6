"""What the tests of whole runs share: a run with the fake model, its tables, and a Ctrl-C at a chosen frame."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from peoplenet_nb.settings import Settings
from peoplenet_nb.video import running
from videos import FakeModel

TABLES = ("detections.csv", "frames.csv", "cells.parquet")


def run(source, output, model=None, settings=None, **options):
    options = {"progress": False} | options
    return running.run(source, model or FakeModel(), settings or Settings(), output, **options)


def tables(folder: Path) -> list[bytes]:
    """The tables of a run, and its cells where they were saved."""
    return [path.read_bytes() for path in (folder / name for name in TABLES) if path.exists()]


def interrupt_at(number: int):
    """A delay that presses Ctrl-C when the network meets a number."""
    return lambda n: (os.kill(os.getpid(), signal.SIGINT) or 0.01) if n == number else 0.0
