"""Raw output is checked when it is made, and survives the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import LABELS, random_grids, stretched
from peoplenet_nb.errors import GridsError, SettingsError
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids

GOOD = np.zeros((3, 34, 60), np.float32)
BOXES = np.zeros((12, 34, 60), np.float32)


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[0, 1, 2] = value
    return array


def test_grids_show_as_one_short_line() -> None:
    shown = repr(random_grids(0))
    assert "coverage 3x34x60" in shown
    assert len(shown) < 160


@pytest.mark.parametrize(
    ("coverage", "boxes", "labels", "message"),
    [
        (GOOD[None], BOXES, LABELS, r"classes, rows, columns.*\(1, 3, 34, 60\)"),
        (GOOD, BOXES[:11], LABELS, r"\(12, 34, 60\).*\(11, 34, 60\)"),
        (BOXES, GOOD, LABELS, r"\(48, 34, 60\)"),
        (GOOD, BOXES, LABELS[:2], "one label for each of the 3 classes"),
        (GOOD.astype(np.float64), BOXES, LABELS, "coverage must be float32"),
        (with_value(GOOD, np.nan), BOXES, LABELS, "coverage holds values that are not numbers.*1 of 6120"),
        (GOOD, with_value(BOXES, np.inf), LABELS, "boxes holds values that are not numbers"),
        (np.zeros((3, 0, 60), np.float32), None, LABELS, "classes, rows, columns"),
        (GOOD[:, :10, :10], None, LABELS, "10 rows and 10 columns at stride 16.*160x160 against 960x544"),
        (with_value(GOOD, 1.5), BOXES, LABELS, "between 0 and 1.*0 to 1.5"),
    ],
    ids=["batch axis", "channels", "swapped", "labels", "float64", "nan", "inf", "empty", "cut", "logits"],
)
def test_wrong_output_is_refused(
    coverage: np.ndarray, boxes: np.ndarray, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(GridsError, match=message):
        Grids(coverage, boxes, stretched(), labels)


@pytest.mark.parametrize("with_boxes", [True, False])
def test_survives_the_disk(with_boxes: bool, tmp_path: Path) -> None:
    made = random_grids(1)
    fit = Fit.of((512, 600), (960, 544), "letterbox")
    made = Grids(made.coverage, made.boxes if with_boxes else None, fit, ("a", "b", "ü"), 16)
    read = Grids.load(made.save(tmp_path / "deep" / "g.npz"))
    assert np.array_equal(read.coverage, made.coverage)
    assert (read.boxes is None) == (not with_boxes)
    assert (read.fit, read.labels, read.stride) == (made.fit, made.labels, made.stride)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["g.npz"], "no temporary file is left"


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04broken"], ids=["empty", "text", "broken zip"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    path.write_bytes(content)
    with pytest.raises(GridsError, match="does not hold saved grids"):
        Grids.load(path)
    with pytest.raises(GridsError, match="No such grids file"):
        Grids.load(tmp_path / "none.npz")


def broken_deflate(path: Path) -> None:
    np.savez_compressed(path, **dict(np.load(path)))
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)


def an_array(path: Path) -> None:
    with path.open("wb") as stream:
        np.save(stream, GOOD)


def one_label(path: Path) -> None:
    np.savez(path, **(dict(np.load(path)) | {"labels": np.array("person")}))


def bomb(path: Path) -> None:
    np.savez_compressed(path, **(dict(np.load(path)) | {"coverage": np.zeros((3, 1 << 25), np.float32)}))


@pytest.mark.parametrize("harm", [broken_deflate, an_array, one_label, bomb])
def test_what_only_looks_like_saved_grids_is_refused(harm: Callable[[Path], None], tmp_path: Path) -> None:
    path = random_grids(1).save(tmp_path / "g.npz")
    harm(path)
    with pytest.raises(GridsError, match="does not hold saved grids"):
        Grids.load(path)


def test_a_pipe_is_no_grids_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "g.npz")
    with pytest.raises(GridsError, match="No such grids file"):
        Grids.load(tmp_path / "g.npz")


def test_another_npz_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", coverage=GOOD)
    with pytest.raises(GridsError, match="does not hold saved grids"):
        Grids.load(tmp_path / "g.npz")


def test_cell_at_finds_the_cell_of_a_frame_pixel() -> None:
    grids = random_grids(0)  # of a frame of 1280 x 720
    assert grids.cell_at(0, 0) == (0, 0)
    assert grids.cell_at(1279.9, 719.9) == (33, 59)
    assert grids.cell_at(1280 / 960 * 16, 0) == (0, 1)
    assert grids.cell_at(-1, 5) is None
    assert grids.cell_at(1281, 5) is None


@pytest.mark.parametrize(
    ("point", "cell"),
    [
        ((0, 0), (0, 0)),
        ((959.9, 543.9), (33, 59)),
        ((960, 10), None),
        ((10, 544), None),
        ((-0.1, 10), None),
        ((10, -0.1), None),
        ((float("nan"), 10), None),
        ((10, float("inf")), None),
        ((16, 15.9), (0, 1)),
    ],
)
def test_the_cell_under_a_point(point: tuple[float, float], cell: tuple[int, int] | None) -> None:
    assert Grids(GOOD, BOXES, stretched(), LABELS).cell_at(*point) == cell


def test_another_stride_and_an_unknown_fit(tmp_path: Path) -> None:
    small = Grids(GOOD[:, :17, :30], BOXES[:, :17, :30], stretched(), LABELS, 32)
    path = small.save(tmp_path / "g.npz")
    assert Grids.load(path).stride == 32
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"fit_mode": np.array("squeeze")}))
    with pytest.raises(SettingsError, match="Unknown fit.*squeeze"):
        Grids.load(path)


@pytest.mark.parametrize("value", [-0.001, 1.001])
def test_coverage_below_0_or_above_1_is_refused(value: float) -> None:
    with pytest.raises(GridsError, match="between 0 and 1"):
        Grids(with_value(GOOD, value), BOXES, stretched(), LABELS)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = Grids(GOOD, BOXES, stretched(), LABELS).save(tmp_path / "g.npz")
    arrays = dict(np.load(path))
    np.savez(path, **(arrays | {"labels": np.array([{"a": 1}], object)}))
    with pytest.raises(GridsError, match="does not hold saved grids"):
        Grids.load(path)
