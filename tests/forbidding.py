"""A folder that may not be entered, for root too: without the capabilities that let root go everywhere."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
_EVERYWHERE = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Take all permissions from a folder, and from this thread the right to disregard that."""
    libc = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(_VERSION, 0)
    held = (ctypes.c_uint32 * 6)()  # twice effective, permitted, inheritable
    if libc.capget(head, held):
        raise OSError(ctypes.get_errno(), "capget")
    mode = folder.stat().st_mode
    folder.chmod(0)
    try:
        if libc.capset(head, (ctypes.c_uint32 * 6)(held[0] & ~_EVERYWHERE, *held[1:])):
            raise OSError(ctypes.get_errno(), "capset")
        yield
    finally:
        libc.capset(head, held)
        folder.chmod(mode)
