"""The benchmark behind the default preset: what it prints without its data, and what it makes of bare cells."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.metrics import precision_recall

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "default_settings.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    sys.path.insert(0, str(SCRIPT.parent))  # a script finds what lies beside it
    spec = importlib.util.spec_from_file_location("default_settings", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))


@pytest.mark.parametrize("value", [None, " "])
def test_without_its_data_it_ends_with_a_sentence(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is not None:
        monkeypatch.setenv("PEOPLENET_SHARED", value)
    with pytest.raises(SystemExit, match="PEOPLENET_SHARED is not set"):
        script.main()


def test_bare_cells_are_squares_of_one_stride_with_their_coverage(script: ModuleType) -> None:
    """By hand, in a frame of half the network's size: cell (row 2, col 3) is x 48..64, y 32..48, halved."""
    coverage = np.zeros((3, 34, 60), np.float32)
    coverage[0, 2, 3], coverage[0, 5, 5], coverage[1, 9, 9] = 0.75, 0.005, 0.9
    grids = Grids(coverage, None, Fit.of((480, 272), (960, 544), "stretch"), ("person", "bag", "face"))
    boxes, confidence = script.bare_cells(grids)
    assert boxes.tolist() == [[24.0, 16.0, 32.0, 24.0]]
    assert confidence.tolist() == [0.75]
    person = np.array([[20.0, 10.0, 40.0, 60.0]])  # a person around that cell: IoU is far below 0.5
    assert precision_recall([(boxes, confidence, person)]).average_precision == 0.0
    assert precision_recall([(boxes, confidence, boxes)]).average_precision == 1.0
