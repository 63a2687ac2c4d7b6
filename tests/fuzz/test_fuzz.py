"""Readers of files, fed with files that were tampered with: an error of ours, never another, no hang, no great memory.

A short round runs with the other tests; ``make fuzz`` runs each target for a minute.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from conftest import random_grids
from onnx_builder import detectnet
from peoplenet_nb.cells import Cells, CellsWriter, open_grids
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.grids import Grids
from peoplenet_nb.onnxfile import head_health
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources.mp4boxes import boxes_of

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
LONGEST = 5.0  # seconds an input may take
MEMORY = 500 << 20  # bytes that an input may add

Reader = Callable[[Path], object]


def _settings(path: Path) -> object:
    return Settings.from_yaml(path)


def _boxes(path: Path) -> object:
    return sum(1 for _ in boxes_of(path))


def _cells(path: Path) -> object:
    return sum(len(grids.labels) for grids in open_grids(path))


def seeds(name: str, folder: Path) -> list[bytes]:
    """Whole files to begin from."""
    if name == "model":
        styles = ("conv", "qdq", "concat", "reshape")
        return [detectnet(size=(32, 32), style=style).SerializeToString() for style in styles]
    if name == "settings":
        return [preset(p).to_yaml(folder / "s.yaml").read_bytes() for p in ("default", "tao")]
    if name == "cells":
        writer = CellsWriter(folder / "c.parquet")
        for frame in range(3):
            writer.add(frame, Cells.of(random_grids(frame)).above(0.1))
        writer.finish()
        return [(folder / "c.parquet").read_bytes()]
    if name == "grids":
        return [random_grids(1).save(folder / "g.npz").read_bytes()]
    return [demo_clip().read_bytes()[:4096], b"\0\0\0\1mdat" + (1 << 40).to_bytes(8, "big") + b"\0" * 64]


READERS: dict[str, tuple[str, Reader]] = {
    "model": ("m.onnx", head_health),
    "settings": ("s.yaml", _settings),
    "grids": ("g.npz", Grids.load),
    "cells": ("c.parquet", _cells),
    "mp4": ("v.mp4", _boxes),
}
BYTES = [b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff" * 10]
TEXTS = [b"*a &a ", b"[" * 40, b"!!python/object:os.system", b"nan", b"1e999"]


@st.composite
def tampered(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """A seed that was cut, overwritten, spliced or repeated a few times."""
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(len(data), at + draw(st.sampled_from([1, 2, 4, 8, 64, 512])))
        kind = draw(st.sampled_from(["overwrite", "insert", "delete", "repeat", "cut", "flip"]))
        if kind == "overwrite":
            data[at:end] = draw(st.binary(min_size=end - at, max_size=end - at))
        elif kind == "insert":
            data[at:at] = draw(st.one_of(st.sampled_from(BYTES + TEXTS), st.binary(max_size=16)))
        elif kind == "delete":
            del data[at:end]
        elif kind == "repeat":
            data[at:at] = bytes(data[at:end]) * draw(st.integers(1, 20))
        elif kind == "cut":
            del data[at:]
        elif data:
            data[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Let this process grow by so much and no further; what asks for more gets a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    in_use = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (in_use + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", READERS)
def test_tampered_files_end_in_our_own_errors(name: str, tmp_path: Path) -> None:
    file_name, read = READERS[name]
    path, whole = tmp_path / file_name, seeds(name, tmp_path)
    for data in whole:
        path.write_bytes(data)
        read(path)

    @given(tampered(whole))
    @settings(
        max_examples=400 if SECONDS else 60,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def one_round(data: bytes) -> None:
        path.write_bytes(data)
        began = time.monotonic()
        with contextlib.suppress(PeopleNetError), contextlib.redirect_stderr(io.StringIO()):
            read(path)
        assert time.monotonic() - began < LONGEST

    began, number = time.monotonic(), 0
    with bounded_memory():
        while number == 0 or time.monotonic() - began < SECONDS:
            seed(number)(one_round)()
            number += 1
