"""The tuner over a run on key frames: boxes of all frames, in Python and in the browser, as the run had them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from conftest import random_grids, stored, walking
from javascript import Run, job, needs_node
from peoplenet_nb.cells import open_grids
from peoplenet_nb.demo import STANDIN, demo_clip
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.tracks import Line, Scene, Zone
from peoplenet_nb.tuner import Tuner, TunerModel, tune_run, wire
from peoplenet_nb.tuner.between import Between
from peoplenet_nb.tuner.make import Clip
from peoplenet_nb.video import RunResult, run
from peoplenet_nb.video.tracking import track
from reference import counts_of


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A run on key frames over a part of the demo clip, with cells."""
    source = open_source(demo_clip(), frames=100)
    model = PeopleNet.load(STANDIN, device="cpu")
    out = tmp_path_factory.mktemp("run")
    return run(source, model, output=out, keyframes=4, save_grids=True, video=False, progress=False)


@pytest.fixture(scope="module")
def panel(result: RunResult) -> Tuner:
    return tune_run(result.folder)


# ---------------------------------------------------------------- in Python


def test_every_frame_of_the_run_has_the_boxes_that_the_run_wrote(result: RunResult, panel: Tuner) -> None:
    """Under the run's own settings; the table rounds to a hundredth of a pixel."""
    table, frames = result.to_pandas(), result.frames_to_pandas()
    assert panel.canvas.frame_names == list(range(100))
    assert 20 < len(open_grids(result.folder)) < 35
    for position in range(100):
        panel.model.go(position)
        found, rows = panel.model.decoded, table[table["frame"] == position]
        between = frames["origin"][position] == "interpolated"
        assert ("Interpolated between frames" in found.note) == between
        np.testing.assert_allclose(found.detections.xyxy, rows[["x1", "y1", "x2", "y2"]], atol=0.0051)
        np.testing.assert_allclose(found.detections.confidence, rows["confidence"], atol=0.00006)
    assert sum(map(len, panel.model.detections())) == len(table)


def test_who_crosses_and_stays_is_what_the_run_says(result: RunResult, panel: Tuner) -> None:
    pytest.importorskip("trackers", reason="the extra `track`")
    width, height = panel.scene.frame_size
    corners = [(0, 0), (width / 2, 0), (width / 2, height), (0, height)]
    panel.scene = Scene(
        (width, height),
        {f"at {x}": Line(((x, 0), (x, height))) for x in range(100, width, 100)},
        {"left": Zone(tuple(corners))},
    )
    here, there = panel.count(), track(result).count(panel.scene)
    assert len(there.crossings) > 3
    assert here.lines().equals(there.lines())
    columns = ["zone", "track", "first_frame", "last_frame", "entered", "left"]
    assert here.visits[columns].equals(there.visits[columns])


def test_what_is_between_follows_the_settings(panel: Tuner) -> None:
    panel.model.go(2)
    before = len(panel.model.decoded.detections)
    panel.settings = panel.settings.with_class("person", threshold=1.0)
    assert len(panel.model.decoded.detections.of_class("person")) == 0
    panel.model.undo()
    assert len(panel.model.decoded.detections) == before
    assert panel.model.decoded.note == "Interpolated between frames 0 and 4."
    assert panel.model.decoded.stages()["candidates"] == 0


def test_the_fallback_says_what_is_interpolated(result: RunResult) -> None:
    panel = tune_run(result.folder, demo_clip(), fallback=True)
    panel.controls.frame.value = 6
    assert "Interpolated between frames 4 and 8." in panel.kernel_picture.note.value
    panel.controls.frame.value = 8
    assert "Interpolated" not in panel.kernel_picture.note.value
    assert panel.errors == []
    panel.close()


def test_a_frame_between_is_sent_with_its_picture_alone(
    result: RunResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = tune_run(result.folder)
    sent: dict[int, list[bytes]] = {}
    monkeypatch.setattr(
        panel.canvas, "send", lambda content, buffers: sent.update({content["index"]: buffers})
    )
    for position in (3, 4):
        panel._on_message(None, {"type": "frame", "index": position}, [])
    assert len(sent[3][1]) < 20 < len(sent[4][1])


def test_of_a_long_run_there_are_key_frames_only(result: RunResult) -> None:
    keys = open_grids(result.folder).frames
    panel = tune_run(result.folder, most=60)
    assert panel.canvas.frame_names == keys
    assert panel.canvas.between == {}
    assert tune_run(result.folder, most=10).canvas.frame_names == keys[::3]


def test_a_run_that_was_cut_ends_with_its_last_key_frame(tmp_path: Path) -> None:
    frames = walking(1, 3)
    folder = stored(tmp_path, frames, [0, 3, 6], "100", [i / 10 for i in range(9)])
    assert len(open_grids(folder).timeline.frames) == 9
    clip = Clip(open_grids(folder), 100)
    assert (clip.frames, list(clip.keys)) == ([*range(7)], [0, 3, 6])


@pytest.mark.parametrize(
    ("begins", "chains"),
    [
        ("100000", {1: (0, 5), 3: (0, 5), 5: (0, 5)}),
        ("100100", {1: (0, 3), 3: (0, 3), 4: (3, 5), 5: (3, 5)}),
        ("100200", {1: (0, 2), 2: (0, 2), 4: (3, 5), 5: (3, 5)}),
        ("212121", {1: (0, 1), 3: (2, 3), 5: (4, 5)}),
    ],
)
def test_a_chain_ends_with_a_window_or_at_a_cut(begins: str, chains: dict[int, tuple[int, int]]) -> None:
    between = Between(range(11), range(0, 11, 2), [i / 10 for i in range(11)], begins)
    assert {number: between._chain(number) for number in chains} == chains


# ---------------------------------------------------------------- in the browser


@needs_node
@pytest.mark.parametrize("ties", [False, True])
def test_the_browsers_assignment_is_scipys(ties: bool, node: Run) -> None:
    rng = np.random.default_rng(5)
    jobs, expected = [], []
    for rows, columns in [
        (0, 0),
        (0, 3),
        (3, 0),
        *itertools.product([1, 2, 5, 9], repeat=2),
        (30, 20),
        (20, 30),
    ]:
        for _ in range(5):
            costs = rng.uniform(0, 1.5, (rows, columns))
            costs = np.minimum(np.round(costs * 4) / 4 if ties else costs, 1.0)
            jobs.append({"call": "assign", "costs": costs.ravel().tolist(), "rows": rows, "columns": columns})
            expected.append(
                [list(pair) for pair in zip(*map(list, linear_sum_assignment(costs)), strict=True)]
            )
    assert node(jobs) == [[[int(i), int(j)] for i, j in pairs] for pairs in expected]


def check_browser(node: Run, folder: Path, settings: Settings) -> None:
    clip = Clip(open_grids(folder), 10_000)
    packed = wire.pack_clip(map(clip.cells, clip.keys), floors=(0.005,), limit=10**9).data
    model = TunerModel(clip, settings, clip.between)
    rules = clip.between.to_browser(clip[0].labels)
    asked = job("between", clip[0], settings, clip=packed, between=rules, frames=list(range(len(clip))))
    (found,) = node([asked])
    for position, answer in enumerate(found):
        model.go(position)
        expected, case = model.decoded, f"{settings.preset} {position}"
        ends = answer["ends"] and [clip.frames[i] for i in answer["ends"]]
        note = f"Interpolated between frames {ends[0]} and {ends[1]}." if ends else ""
        assert note == expected.note, case
        boxes = np.reshape(answer["xyxy"], (-1, 4))
        assert answer["class_id"] == expected.detections.class_id.tolist(), case
        np.testing.assert_allclose(boxes, expected.detections.xyxy, atol=1e-3, err_msg=case)
        np.testing.assert_allclose(
            answer["confidence"], expected.detections.confidence, rtol=1e-5, err_msg=case
        )
    counted = job("counts", clip[0], settings, clip=packed, between=rules, frame=3)
    assert np.reshape(node([counted])[0], (len(clip), 3)).tolist() == counts_of(model.detections())


@needs_node
def test_the_browser_interpolates_a_run_as_python(result: RunResult, node: Run) -> None:
    for settings in (preset("triton"), preset("deepstream").replace(clustering="hybrid")):
        check_browser(node, result.folder, settings)


@needs_node
@pytest.mark.parametrize("seed", range(6))
def test_the_browser_interpolates_hard_cases_as_python(seed: int, node: Run, tmp_path: Path) -> None:
    """People who come and go, chains of all lengths, cuts, times that do not rise, equal costs."""
    rng = np.random.default_rng(seed)
    keys = [0, *np.cumsum(rng.integers(1, 5, 14)).tolist()]
    begins = "1" + "".join(rng.choice(["0", "0", "0", "1", "2"], 14))
    # Nothing is between two frames with a cut in between.
    begins = "".join("1" if one == "2" and keys[i] - keys[i - 1] > 1 else one for i, one in enumerate(begins))
    times = np.cumsum(rng.uniform(0.01, 0.3, keys[-1] + 1))
    if seed == 5:
        times[::7] = 0.0
    frames = walking(seed, len(keys), people=12, ties=seed % 2 == 0)
    folder = stored(tmp_path, frames, keys, begins, times.tolist())
    check_browser(node, folder, Settings())
    check_browser(node, folder, Settings().with_class("person", threshold=0.6))


def test_a_clip_without_anything_between_is_as_before(tmp_path: Path) -> None:
    frames = [random_grids(seed) for seed in range(3)]
    clip = Clip(open_grids(stored(tmp_path, frames, [0, 1, 2], "111", [0.0, 0.1, 0.2])), 100)
    assert clip.between is None
    assert [len(clip.cells(i)) > 100 for i in range(3)] == [True] * 3
