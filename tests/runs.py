"""What the tests of whole runs share: a run with the fake model, its tables, and a Ctrl-C at a chosen frame."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from peoplenet_nb.settings import Settings
from peoplenet_nb.video import running
from videos import FakeModel

TABLES = ("detections.csv", "frames.csv")


def run(source, output, model=None, settings=None, **options):
    options = {"progress": False} | options
    return running.run(source, model or FakeModel(), settings or Settings(), output, **options)


def tables(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in TABLES]


def interrupt_at(number: int):
    """A delay that presses Ctrl-C when the network meets a number."""
    return lambda n: (os.kill(os.getpid(), signal.SIGINT) or 0.01) if n == number else 0.0
