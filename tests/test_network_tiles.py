"""Parts of a frame join the whole: small people come from the parts, large ones from the whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import LABELS, make_grids
from onnx_builder import detectnet, write
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import SettingsError
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.tiles import join, parts_of
from peoplenet_nb.settings import ClassSettings, Settings

SIZE = (1920, 1088)
PART = (1152, 653)
LOW = Settings(fit="auto", default=ClassSettings(0.1))
NOTHING = make_grids({}, fit=Fit.of(SIZE, (960, 544), "auto"))


def part(cells: dict[tuple[int, int, int], tuple[float, tuple[float, ...]]]) -> Grids:
    return make_grids(cells, fit=Fit.of(PART, (960, 544), "auto"))


def test_parts_overlap_by_a_fifth_and_cover_the_frame() -> None:
    frame = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    frame[:, :, 0] = np.arange(SIZE[0])[None] // 8
    parts = parts_of(frame)
    assert [p.shape[:2] for p in parts] == [PART[::-1]] * 4
    assert [int(p[0, 0, 0]) for p in parts] == [0, 96, 0, 96]
    assert [p.shape for p in parts_of(np.zeros((1, 1, 3), np.uint8))] == [(1, 1, 3)] * 4


@given(
    which=st.integers(0, 3),
    row=st.integers(8, 25),
    col=st.integers(10, 49),
    class_id=st.integers(0, 2),
    size=st.floats(0.3, 1.2),
)
def test_a_small_box_of_a_part_is_found_where_it_is(
    which: int, row: int, col: int, class_id: int, size: float
) -> None:
    parts = [part({}) for _ in range(4)]
    parts[which] = part({(class_id, row, col): (0.8, (size, size, size, size))})
    (expected,) = decode(parts[which], LOW).detections.xyxy
    origin = np.array([(SIZE[0] - PART[0]) * (which % 2), (SIZE[1] - PART[1]) * (which // 2)] * 2)
    joined = join(NOTHING, parts)
    found = decode(joined, LOW).detections
    np.testing.assert_allclose(found.xyxy, [expected + origin], atol=0.01)
    assert found.class_id.tolist() == [class_id]
    assert found.confidence[0] == np.float32(0.8)
    row, col = int(found.row[0]), int(found.col[0])
    middle = (found.xyxy[0, :2] + found.xyxy[0, 2:]) / 2
    assert joined.cell_at(*middle) in {(row + i, col + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        ({(0, 17, 30): (0.9, (1, 1, 1, 1))}, 1),
        ({(0, 17, 30): (0.9, (5, 5, 5, 5))}, 0),
        ({(0, 17, 30): (0.9, (1, 5, 1, 5))}, 0),
        ({(0, 17, 59): (0.9, (1, 1, 1, 1))}, 0),
        ({(0, 33, 30): (0.9, (1, 1, 1, 1))}, 0),
        ({(0, 17, 0): (0.9, (1, 1, 1, 1))}, 1),
        ({(0, 17, 30): (0.004, (1, 1, 1, 1))}, 0),
    ],
    ids=["small", "large", "tall", "cut on the right", "cut below", "at the frame's own edge", "too faint"],
)
def test_only_whole_and_small_boxes_are_taken_from_a_part(cell: dict, kept: int) -> None:
    joined = join(NOTHING, [part(cell), part({}), part({}), part({})])
    assert int((joined.coverage > 0).sum()) == kept


def test_the_better_cell_stays_and_the_whole_is_not_changed() -> None:
    whole = replace(make_grids({(0, 10, 18): (0.7, (4, 4, 4, 4))}), fit=NOTHING.fit)
    before = whole.coverage.copy()
    small = (1.0, 1.0, 1.0, 1.0)
    for coverage, expected in ((0.6, 0.7), (0.8, 0.8)):
        joined = join(whole, [part({(0, 17, 30): (coverage, small)}), part({}), part({}), part({})])
        assert joined.coverage.max() == np.float32(expected)
    assert np.array_equal(whole.coverage, before)
    bare = Grids(whole.coverage, None, whole.fit, LABELS)
    assert join(bare, [bare] * 4) is bare


def test_a_model_looks_at_parts_when_settings_ask_for_it(tmp_path: Path) -> None:
    model = PeopleNet.load(write(detectnet(), tmp_path / "m" / "small.onnx"), device="cpu")
    frames = [np.random.default_rng(i).integers(0, 256, (90, 160, 3), dtype=np.uint8) for i in (0, 1)]
    looking = model.for_settings(Settings(fit="auto", tiles=2))
    assert (model.tiles, looking.tiles, looking.with_threads(2).tiles) == (1, 2, 2)
    assert looking.backend is model.backend
    assert "2 x 2" in str(looking.describe())
    for frame, grids in zip(frames, looking.infer_batch(frames), strict=True):
        expected = join(model.infer(frame), [model.infer(np.ascontiguousarray(p)) for p in parts_of(frame)])
        np.testing.assert_allclose(grids.coverage, expected.coverage, atol=1e-6)
        np.testing.assert_allclose(grids.boxes, expected.boxes, atol=1e-4)
    for wrong in (0, 3, 2.0, True):
        with pytest.raises(SettingsError, match="tiles must be 1 or 2"):
            Settings(tiles=wrong)  # type: ignore[arg-type]
    assert Settings.from_dict(Settings(tiles=2).to_dict()).tiles == 2
    assert "tiles" not in Settings().to_dict(), "runs of before are continued"
