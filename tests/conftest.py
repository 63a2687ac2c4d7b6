"""Fixtures that several test files share; none of them touches the network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from javascript import Run, runner
from peoplenet_nb.cells import CELLS, Cells, CellsWriter
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids

LABELS = ("person", "bag", "face")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files come first, so that two processes (pytest-xdist) finish at about the same time."""
    slowest: dict[Path, float] = {}
    for item in items:
        if marker := item.get_closest_marker("slow"):
            slowest[item.path] = max(slowest.get(item.path, 0), marker.args[0] if marker.args else 10)
    items.sort(key=lambda item: -slowest.get(item.path, 0))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real weights and video; tests that need it skip where it is not named."""
    named = os.environ.get("PEOPLENET_SHARED")
    if not named:
        pytest.skip("PEOPLENET_SHARED is not set: real weights and video are not here")
    path = Path(named).resolve()
    assert (path / "data" / "vtest.avi").is_file(), f"PEOPLENET_SHARED={path} holds no data/vtest.avi"
    return path


@pytest.fixture(scope="session")
def real_model_path(shared: Path) -> Path:
    (path,) = (shared / "models").glob("*/*.onnx")
    return path


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The tuner's JavaScript."""
    return runner(tmp_path_factory.mktemp("tuner-node"))


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders, counted here: ``mktemp`` would look through all that are there, for each test anew."""
    below = tmp_path_factory.mktemp("homes")
    return (below / str(number) for number in count())


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, _homes: Iterator[Path]) -> None:
    """No test reads or writes the user's models, caches and outputs, or another test's."""
    home = next(_homes)
    home.mkdir()
    monkeypatch.setenv("PEOPLENET_HOME", str(home))
    for name in ("PEOPLENET_MODEL", "PEOPLENET_SHARED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _auto_is_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU without VNNI, ``auto`` would put each test's little model into MNN's format first."""
    monkeypatch.setattr("peoplenet_nb.network.model.mnn_pays", lambda _: False)


def stretched(frame_size: tuple[int, int] = (960, 544)) -> Fit:
    return Fit.of(frame_size, (960, 544), "stretch")


def make_grids(
    cells: dict[tuple[int, int, int], tuple[float, tuple[float, float, float, float]]] | None = None,
    *,
    fit: Fit | None = None,
    labels: tuple[str, ...] = LABELS,
) -> Grids:
    """Grids that are empty but for ``{(class, row, col): (coverage, (L, T, R, B))}``."""
    coverage = np.zeros((len(labels), 34, 60), np.float32)
    boxes = np.zeros((4 * len(labels), 34, 60), np.float32)
    for (class_id, row, col), (value, distances) in (cells or {}).items():
        coverage[class_id, row, col] = value
        boxes[4 * class_id : 4 * class_id + 4, row, col] = distances
    return Grids(coverage, boxes, fit or stretched(), labels)


def random_grids(seed: int, objects: int = 12, *, ties: bool = False) -> Grids:
    """Grids as a network leaves them: blobs of coverage whose cells agree on a box, and a noisy rest."""
    rng = np.random.default_rng(seed)
    coverage = rng.uniform(0, 0.05, (3, 34, 60)).astype(np.float32)
    boxes = rng.normal(0, 1.5, (12, 34, 60)).astype(np.float32)
    for _ in range(objects):
        c, row, col = int(rng.integers(3)), int(rng.integers(2, 32)), int(rng.integers(2, 58))
        size = rng.uniform(0.3, 3.0, 2)
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                j, i = row + dy, col + dx
                if not (0 <= j < 34 and 0 <= i < 60):
                    continue
                coverage[c, j, i] = max(
                    coverage[c, j, i], rng.uniform(0.1, 1.0) * np.exp(-(dx * dx + dy * dy) / 3)
                )
                shift = np.array([dx, dy, -dx, -dy]) * 16 / 35
                boxes[4 * c : 4 * c + 4, j, i] = np.tile(size, 2) + shift + rng.normal(0, 0.05, 4)
    if ties:
        coverage = np.round(coverage * 8) / 8
        boxes = np.round(boxes * 4) / 4
    return Grids(coverage.astype(np.float32), boxes.astype(np.float32), stretched((1280, 720)), LABELS)


def walking(seed: int, frames: int, people: int = 6, *, ties: bool = False) -> list[Grids]:
    """Frames in which people walk about, come and go."""
    rng = np.random.default_rng(seed)
    place, step = rng.uniform(4, (30, 56), (people, 2)), rng.normal(0, 0.8, (people, 2))
    size, class_id = rng.uniform(0.6, 3.0, (people, 2)), rng.integers(0, 3, people)
    made = []
    for _ in range(frames):
        cells = {}
        place += step
        for p in range(people):
            row, col = np.floor(place[p]).astype(int)
            if rng.random() < 0.85 and 0 <= row < 34 and 0 <= col < 60:
                shift = (place[p] - (row, col)) * 16 / 35
                wide, tall = size[p] * rng.normal(1, 0.03, 2)
                box = (wide - shift[1], tall - shift[0], wide + shift[1], tall + shift[0])
                box = tuple(np.round(np.array(box) * (4 if ties else 512)) / (4 if ties else 512))
                cells[int(class_id[p]), int(row), int(col)] = (float(rng.uniform(0.3, 1)), box)
        made.append(make_grids(cells))
    return made


def stored(folder: Path, frames: list[Grids], keys: list[int], begins: str, times: list[float]) -> Path:
    """A run's folder with the cells of its key frames; a frame for each of ``times``."""
    writer = CellsWriter(folder / CELLS)
    for frame, time_s in enumerate(times):
        if frame in keys:
            where = keys.index(frame)
            writer.add(frame, Cells.of(frames[where]), time_s=time_s, begins=int(begins[where]))
        else:
            writer.add_between(frame, time_s)
    writer.finish()
    return folder
