"""Ctrl-C during a run.

What is in flight is finished, the files are joined and valid, and then `RunInterrupted` (a ``KeyboardInterrupt``) is
raised with the result in it, so that a notebook's "run all" and a shell loop stop as they should. A second Ctrl-C stops
at once; the last finished part stays.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from peoplenet_nb.video.result import RunResult

logger: logging.Logger = logging.getLogger(__name__)


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C during a run, after its files were put in order: `result` is what ``resume=True`` continues."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__(f"{result.folder} holds what was finished; --resume (resume=True) continues it")


@contextmanager
def ctrl_c(stop: Callable[[], None]) -> Iterator[list[bool]]:
    """Let the first Ctrl-C call ``stop``, the second interrupt as ever; yield a list, not empty once it was pressed.

    Only the main thread gets signals.
    """
    pressed: list[bool] = []
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or previous in (signal.SIG_IGN, None):
        yield pressed
        return

    def on_signal(_number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(True)
        stop()
        logger.warning("Interrupted: finishing what is in flight. Press Ctrl-C again to stop at once.")

    signal.signal(signal.SIGINT, on_signal)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, previous)
