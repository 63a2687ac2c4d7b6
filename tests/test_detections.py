"""Parallel arrays that stay parallel."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import supervision as sv

from conftest import LABELS
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import GridsError, InstallationError


def some(count: int = 4) -> Detections:
    ids = np.arange(count)
    xyxy = np.stack([ids, ids, ids + 10, ids + 20], axis=1).astype(np.float32)
    return Detections(xyxy, np.linspace(0.9, 0.1, count, dtype=np.float32), ids % 3, ids, ids + 1, LABELS)


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (1, [1]),
        (-1, [3]),
        (slice(1, 3), [1, 2]),
        ([3, 0], [3, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        ([], []),
    ],
    ids=["index", "from the end", "slice", "list", "mask", "nothing"],
)
def test_slicing_keeps_arrays_parallel(which: object, expected: list[int]) -> None:
    found = some()[which]  # type: ignore[index]
    assert found.row.tolist() == expected
    assert found.xyxy[:, 0].tolist() == expected
    assert len(found.confidence) == len(found) == len(expected)


def test_arrays_that_do_not_match_are_refused() -> None:
    good = some()
    with pytest.raises(GridsError, match=r"confidence must have one value for each of the 4 boxes.*\(3,\)"):
        Detections(good.xyxy, good.confidence[:3], good.class_id, good.row, good.col, LABELS)
    with pytest.raises(GridsError, match=r"shape \(N, 4\)"):
        Detections(good.xyxy[:, :3], good.confidence, good.class_id, good.row, good.col, LABELS)


def test_by_class_and_counts() -> None:
    assert some().counts() == {"person": 2, "bag": 1, "face": 1}
    assert some().of_class("Person").row.tolist() == [0, 3]
    assert len(some().of_class("dog")) == 0


def test_table_and_html() -> None:
    table = some().to_pandas()
    assert list(table.columns) == ["class", "confidence", "x1", "y1", "x2", "y2", "row", "col"]
    assert table["class"].tolist() == ["person", "bag", "face", "person"]
    html = some()._repr_html_()
    assert "2 person, 1 bag, 1 face" in html
    assert "<table" in html
    assert len(Detections.empty(LABELS).to_pandas()) == 0


def test_to_supervision() -> None:
    theirs = some().to_supervision()
    assert isinstance(theirs, sv.Detections)
    assert theirs.data["class_name"].tolist() == ["person", "bag", "face", "person"]
    assert np.array_equal(theirs.xyxy, some().xyxy)
    assert len(Detections.empty(LABELS).to_supervision()) == 0


def test_without_supervision_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(InstallationError, match="bash setup_runpod.sh installs it"):
        some().to_supervision()
