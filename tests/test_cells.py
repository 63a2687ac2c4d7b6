"""A run's cells in one file: exact from the floor up, whatever the frames are like, and refused when damaged."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from conftest import LABELS, make_grids, random_grids, stretched
from peoplenet_nb.cells import FLOOR, Cells, CellsFile, CellsWriter, join_cells, open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, OutputError, SettingsError
from peoplenet_nb.explain import explain_cell, explain_missing, explain_point
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, Clustering, Flavour, Score, Settings, preset


def save(path: Path, frames: dict[int, Grids]) -> Path:
    writer = CellsWriter(path)
    for frame, grids in frames.items():
        writer.add(frame, Cells.of(grids))
    writer.finish()
    return path


def kept(grids: Grids) -> tuple[np.ndarray, np.ndarray | None]:
    """What a straightforward reading expects: the numbers of cells from the floor up, 0 elsewhere."""
    there = grids.coverage >= np.float32(FLOOR)
    boxes = None if grids.boxes is None else np.where(np.repeat(there, 4, axis=0), grids.boxes, 0)
    return np.where(there, grids.coverage, 0), boxes


def check(found: Grids, grids: Grids) -> None:
    coverage, boxes = kept(grids)
    assert np.array_equal(found.coverage, coverage)
    assert (found.boxes is None) == (boxes is None)
    assert boxes is None or np.array_equal(found.boxes, boxes)
    assert (found.fit, found.labels, found.stride) == (grids.fit, grids.labels, grids.stride)
    assert found.floor == FLOOR


def test_the_floor_is_the_lowest_threshold_of_any_preset() -> None:
    settings = [preset(name, fit) for name in PRESETS for fit in ("stretch", "letterbox")]
    assert min(min(s.for_class(label).threshold for label in LABELS) for s in settings) == FLOOR


def test_every_frame_comes_back_as_it_was(tmp_path: Path) -> None:
    frames = {3 * i + (i > 40): random_grids(i) for i in range(70)}
    saved = open_grids(save(tmp_path / "cells.parquet", frames))
    assert (saved.frames, len(saved)) == (list(frames), 70)
    for position in [69, 0, *range(70), 31, 32]:
        check(saved[position], list(frames.values())[position])
    check(saved[-1], frames[saved.frames[-1]])
    assert len(list(saved)) == 70
    with pytest.raises(IndexError):
        saved[70]


def detections(grids: Grids, settings: Settings) -> list[object]:
    found = decode(grids, settings)
    of = found.detections
    arrays = (of.xyxy, of.confidence, of.class_id, of.row, of.col, found.source, found.outcome.fate)
    return [array.tolist() for array in (*arrays, found.outcome.by, found.outcome.iou, found.outcome.cluster)]


@examples(max_examples=60, deadline=None)
@given(data=st.data())
def test_decode_from_the_store_is_decode_from_the_network(data: st.DataObject, tmp_path_factory) -> None:
    """Every threshold from the floor up, every clustering: boxes, order and the fate of every candidate."""
    grids = random_grids(data.draw(st.integers(0, 99)), ties=data.draw(st.booleans()))
    coverage = grids.coverage.copy()
    coverage[0, :4] = data.draw(
        st.sampled_from([FLOOR, np.nextafter(np.float32(FLOOR), np.float32(0)), 0.0, 1.0])
    )
    grids = Grids(coverage, grids.boxes, grids.fit, grids.labels)
    (stored,) = open_grids(save(tmp_path_factory.mktemp("one") / "c.parquet", {5: grids}))
    chosen = data.draw(st.sampled_from([preset(name) for name in PRESETS] + [Settings()]))
    if data.draw(st.booleans()):
        chosen = chosen.replace(
            clustering=data.draw(st.sampled_from(list(Clustering))),
            flavour=data.draw(st.sampled_from(list(Flavour))),
            score=data.draw(st.sampled_from(list(Score))),
        )
        for label in LABELS:
            threshold = data.draw(st.floats(FLOOR, 1.0) | st.sampled_from([FLOOR, 0.125, 1.0]))
            chosen = chosen.with_class(label, threshold=threshold)
    assert detections(stored, chosen) == detections(grids, chosen)


def test_frames_without_any_cell_are_known(tmp_path: Path) -> None:
    full = random_grids(1)
    for name, there in (("some", {40}), ("none", set())):
        frames = {i: full if i in there else make_grids(fit=full.fit) for i in range(70)}
        saved = open_grids(save(tmp_path / name, frames))
        assert saved.frames == list(range(70))
        assert [len(saved.cells(i)) > 0 for i in range(70)] == [i in there for i in range(70)]
        check(saved[40], frames[40])


def test_images_of_different_sizes_keep_their_own_fit(tmp_path: Path) -> None:
    frames = {}
    for i, size in enumerate([(640, 480)] * 3 + [(480, 640), (640, 480)] * 20):
        made = random_grids(i)
        fit = Fit.of(size, (960, 544), "letterbox")
        frames[i] = Grids(made.coverage, made.boxes, fit, made.labels)
    saved = open_grids(save(tmp_path / "c.parquet", frames))
    for grids, found in zip(frames.values(), saved, strict=True):
        check(found, grids)


def test_another_model_without_boxes(tmp_path: Path) -> None:
    coverage = random_grids(2).coverage[:2, :17, :30].copy()
    grids = Grids(coverage, None, stretched((64, 36)), ("a person", "ü, \"quoted\" 'so'"), 32)
    saved = open_grids(save(tmp_path / "c.parquet", {7: grids}))
    check(saved[0], grids)


def test_pandas_reads_it(tmp_path: Path) -> None:
    grids = {2: random_grids(2), 4: make_grids({(2, 3, 59): (0.25, (1, 2, 3, 4))}, fit=random_grids(2).fit)}
    table = pd.read_parquet(save(tmp_path / "c.parquet", grids))
    names = ["frame", "class", "row", "column", "coverage", "left", "top", "right", "bottom"]
    assert list(table.columns) == names
    assert table.iloc[-1].to_list() == [4, "face", 3, 59, 0.25, 1, 2, 3, 4]
    assert len(table) == 1 + (grids[2].coverage >= np.float32(FLOOR)).sum()
    assert table["coverage"].dtype == np.float32
    about = json.loads(pq.read_metadata(tmp_path / "c.parquet").metadata[b"peoplenet_nb"])
    assert (about["floor"], about["labels"], about["rows"]) == (FLOOR, list(LABELS), 34)


@pytest.mark.parametrize("cuts", [(70,), (1, 2, 33), (32, 64)])
def test_what_is_joined_does_not_depend_on_the_parts(cuts: tuple[int, ...], tmp_path: Path) -> None:
    frames = {2 * i: random_grids(i % 7) for i in range(70)}
    whole = save(tmp_path / "whole", frames)
    edges, parts = [0, *cuts, 70], []
    for a, b in pairwise(edges):
        if b > a:
            parts.append(save(tmp_path / f"part{a}", dict(list(frames.items())[a:b])))
    join_cells(parts, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()
    assert len(list(tmp_path.iterdir())) == len(parts) + 2, "nothing temporary is left"


def test_frames_that_the_network_did_not_see_are_known(tmp_path: Path) -> None:
    """Also those at the end of a part, whose next key frame is in the next part."""
    every, keys = [10, 12, 14, 15, 20, 22, 23], {10: 1, 15: 1, 20: 2, 22: 0}
    times = [frame / 30 for frame in every]

    def write(path: Path, some: slice) -> Path:
        writer = CellsWriter(path)
        for frame, time_s in list(zip(every, times, strict=True))[some]:
            if frame in keys:
                writer.add(frame, Cells.of(random_grids(frame)), time_s=time_s, begins=keys[frame])
            else:
                writer.add_between(frame, time_s)
        writer.finish()
        return path

    whole = write(tmp_path / "whole", slice(None))
    saved = open_grids(whole)
    assert (saved.frames, saved.timeline.frames) == (list(keys), every)
    assert (saved.timeline.times.tolist(), saved.timeline.begins) == (times, "1120")
    parts = [write(tmp_path / "a", slice(0, 3)), write(tmp_path / "b", slice(3, None))]
    join_cells(parts, tmp_path / "joined")
    assert (tmp_path / "joined").read_bytes() == whole.read_bytes()


def test_nothing_saved_is_no_file(tmp_path: Path) -> None:
    join_cells([], tmp_path / "c.parquet")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(GridsError, match="No saved grids"):
        open_grids(tmp_path)
    with pytest.raises(GridsError, match="No saved grids"):
        open_grids(tmp_path / "nowhere")


ONE = random_grids(1)


@pytest.mark.parametrize(
    ("frame", "cells"),
    [(5, Cells.of(ONE)), (6, Cells.of(Grids(ONE.coverage, None, ONE.fit, LABELS))), (6, Cells.of(ONE, 0.01))],
    ids=["order", "network", "floor"],
)
def test_frames_that_do_not_belong_together_are_refused(frame: int, cells: Cells, tmp_path: Path) -> None:
    writer = CellsWriter(tmp_path / "c.parquet")
    writer.add(5, Cells.of(ONE))
    with pytest.raises(GridsError, match="must rise"):
        writer.add(frame, cells)
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_is_an_error_of_ours_and_leaves_nothing(tmp_path: Path) -> None:
    writer = CellsWriter(tmp_path / "c.parquet")
    writer._stream.close()
    writer._stream = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115
    for frame in range(31):
        writer.add(frame, Cells.of(ONE))
    with pytest.raises(OutputError, match="cannot be written"):
        writer.add(31, Cells.of(ONE))
    writer.abandon()
    del writer
    assert list(tmp_path.iterdir()) == []


def test_many_threads_read_one_file(tmp_path: Path) -> None:
    frames = {i: random_grids(i % 5) for i in range(100)}
    saved = open_grids(save(tmp_path / "c.parquet", frames))
    wrong: list[int] = []

    def read(seed: int) -> None:
        for position in np.random.default_rng(seed).permutation(100)[:10].tolist():
            coverage, _ = kept(frames[position])
            if not np.array_equal(saved[position].coverage, coverage):
                wrong.append(position)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# ---------------------------------------------------------------- below the floor


def test_thresholds_below_the_floor_are_refused(tmp_path: Path) -> None:
    (stored,) = open_grids(save(tmp_path / "c.parquet", {0: random_grids(1)}))
    decode(stored, Settings().with_class("face", threshold=FLOOR))
    for settings in (
        Settings().with_class("face", threshold=0.0049),
        Settings().with_class("bag", threshold=0),
    ):
        with pytest.raises(SettingsError, match=r"0.005 or more were saved.*threshold of 0"):
            decode(stored, settings)


def test_a_frame_saved_again_remembers_its_floor(tmp_path: Path) -> None:
    (stored,) = open_grids(save(tmp_path / "c.parquet", {0: random_grids(1)}))
    again = Grids.load(stored.save(tmp_path / "g.npz"))
    check(again, random_grids(1))
    with np.load(tmp_path / "g.npz") as data:
        earlier = {name: data[name] for name in data.files if name != "floor"}
    np.savez(tmp_path / "earlier.npz", **earlier)
    assert Grids.load(tmp_path / "earlier.npz").floor == 0


def test_cells_above_a_higher_floor() -> None:
    cells = Cells.of(random_grids(1))
    check_against = random_grids(1).coverage.ravel()
    higher = cells.above(0.04)
    assert higher.flat.tolist() == np.flatnonzero(check_against >= np.float32(0.04)).tolist()
    assert higher.floor == higher.grids().floor == 0.04
    assert Cells.of(higher.grids()).floor == 0.04, "what was lost stays lost"


def test_explanations_say_what_was_not_saved() -> None:
    grids = make_grids(
        {
            (0, 10, 10): (0.9, (1, 1, 1, 1)),
            (0, 20, 30): (0.0058, (1, 1, 1, 1)),
            (0, 25, 30): (0.004, (1, 1, 1, 1)),
        }
    )
    stored = Cells.of(grids).grids()
    report = explain_cell(stored, Settings(), 0, 25, 30)
    assert "below 0.005, and weaker cells were not saved" in report.sentence
    assert (report.xyxy, report.rescue) == (None, None)
    assert "not saved" in explain_point(stored, Settings(), 500, 500).sentence
    assert explain_missing(stored, Settings()).rescue == FLOOR, "and not 0.005 rounded down"


# ---------------------------------------------------------------- earlier versions


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    for index in (1_000_000, 200, 7):
        random_grids(index).save(tmp_path / "grids" / f"{index:06d}.npz")
    (tmp_path / "grids" / "000007 (1).npz").write_bytes((tmp_path / "grids" / "000007.npz").read_bytes())
    for path in (tmp_path, tmp_path / "grids"):
        saved = open_grids(path)
        assert (saved.frames, len(saved)) == ([7, 200, 1_000_000], 3)
        assert np.array_equal(saved[1].coverage, random_grids(200).coverage)
        assert saved[1].floor == 0
        check(saved.cells(1).grids(), random_grids(200))


# ---------------------------------------------------------------- damaged files


def rewritten(path: Path, change: Callable[[dict[str, np.ndarray]], None], about: object = None) -> None:
    """Write a file anew with columns or metadata changed."""
    table = pq.read_table(path)
    columns = {name: table[name].to_numpy() for name in table.column_names}
    change(columns)
    schema = table.schema.remove_metadata()
    metadata = pq.read_metadata(path).metadata[b"peoplenet_nb"]
    if about is not None:
        said = json.loads(metadata)
        metadata = json.dumps(said | about if isinstance(about, dict) else about).encode()
    fields = {name: schema.field(name).type for name in schema.names if name in columns}
    arrays = {name: pa.array(columns[name], kind) for name, kind in fields.items()}
    made = pa.table(arrays)
    with pq.ParquetWriter(path, made.schema, store_schema=False) as writer:
        writer.write_table(made, 1 << 30)
        writer.add_key_value_metadata({b"peoplenet_nb": metadata})


def other(name: str, value: object) -> Callable[[dict[str, np.ndarray]], None]:
    def change(columns: dict[str, np.ndarray]) -> None:
        columns[name] = columns[name].copy()
        columns[name][3] = value

    return change


def same(_: dict[str, np.ndarray]) -> None:
    pass


def read_all(path: Path) -> Sequence[Grids]:
    return list(CellsFile(path))


HARM: dict[str, tuple[Callable[[dict[str, np.ndarray]], None], object]] = {
    "class": (other("class", "ghost"), None),
    "row": (other("row", 34), None),
    "column": (other("column", 60), None),
    "order": (other("column", 0), None),
    "frame": (other("frame", 6), None),
    "nan": (other("coverage", np.nan), None),
    "coverage": (other("coverage", 1.5), None),
    "below the floor": (other("coverage", 0.001), None),
    "distance": (other("left", np.inf), None),
    "no column": (lambda columns: columns.pop("left"), None),
    "format": (same, {"format": 2}),
    "labels": (same, {"labels": ["person"]}),
    "no labels": (same, {"labels": []}),
    "grid": (same, {"rows": 1 << 40}),
    "floor": (same, {"floor": 7}),
    "other frames": (same, {"frames": [[4, 1, 1]]}),
    "falling frames": (same, {"frames": [[5, -1, 2]]}),
    "endless frames": (same, {"frames": [[5, 1, 1 << 40]], "frames_per_row_group": 1 << 40}),
    "far frames": (same, {"frames": [[1 << 80, 1, 1]]}),
    "no frames": (same, {"frames": []}),
    "a frame twice": (same, {"between": [[5, 1, 1]], "times": "A" * 22 + "=="}),
    "a time too many": (same, {"times": "A" * 22 + "=="}),
    "times": (same, {"times": "AAAA"}),
    "no times": (same, {"times": ""}),
    "begins": (same, {"begins": "3"}),
    "begins of others": (same, {"begins": "11"}),
    "text for frames": (same, {"frames": "none"}),
    "fits": (same, {"fits": []}),
    "fit": (same, {"fits": [[1, "stretch", [0, 0], [960, 544]]]}),
    "unknown fit": (same, {"fits": [[1, "squeeze", [64, 36], [960, 544]]]}),
    "a list": (same, [1]),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_file_that_only_looks_like_ours_is_refused(harm: str, tmp_path: Path) -> None:
    path = save(tmp_path / "c.parquet", {5: random_grids(1)})
    rewritten(path, same)
    read_all(path)
    rewritten(path, *HARM[harm])
    with pytest.raises((GridsError, SettingsError)):
        read_all(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" * 40], ids=["empty", "text", "magic only"])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "c.parquet").write_bytes(content)
    with pytest.raises(GridsError, match="does not hold saved cells"):
        open_grids(tmp_path / "c.parquet")


def test_any_parquet_and_pipes_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(GridsError, match="does not hold saved cells"):
        open_grids(tmp_path / "c.parquet")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GridsError, match="No s"):
        open_grids(tmp_path / "pipe")
    with pytest.raises(GridsError, match="No such file of cells"):
        CellsFile(tmp_path / "pipe")


def test_one_long_text_named_by_every_row_is_never_multiplied(tmp_path: Path) -> None:
    path = save(tmp_path / "c.parquet", {5: random_grids(1)})
    table, metadata = pq.read_table(path), pq.read_metadata(path).metadata
    named = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(table), np.int32)), ["x" * 40_000])
    table = table.set_column(1, "class", named)
    with pq.ParquetWriter(path, table.schema, store_schema=False, use_dictionary=["class"]) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({b"peoplenet_nb": metadata[b"peoplenet_nb"]})
    assert path.stat().st_size < 1 << 18
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(GridsError, match="does not hold saved cells"):
        read_all(path)
    assert pa.default_memory_pool().max_memory() < before + (20 << 20), "200 MB if each row had its own"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = save(tmp_path / "c.parquet", {5: random_grids(1)})

    def swell(columns: dict[str, np.ndarray]) -> None:
        for name, values in columns.items():
            columns[name] = np.repeat(values[:1], 5_000_000)

    rewritten(path, swell)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(GridsError, match="5,000,000 cells in 1 frames"):
        read_all(path)
