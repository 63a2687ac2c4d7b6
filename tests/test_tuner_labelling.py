"""Labels made in the notebook: what an action does, how many a person needs, and the file that is left after each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import peoplenet_nb as pn
import runs
from conftest import LABELS, make_grids, stored, walking
from javascript import Run, needs_node
from labelling import Hand, overlap, put_right
from peoplenet_nb.cells import CELLS, Cells, CellsWriter, SavedGrids, open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, OutputError, SettingsError, SourceError
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Truth, read_labels
from peoplenet_nb.settings import ClassSettings, Settings, preset
from peoplenet_nb.tuner.choosing import LEAST, choose_frames, doubt, prefilled
from peoplenet_nb.tuner.labelling import Labeller, label
from videos import FakeModel, make_video, picture

SIZE = (640, 360)


def box(x1: float, y1: float, x2: float, y2: float, c: int = 0, sure: bool = True) -> dict[str, Any]:
    return {"c": c, "box": [x1, y1, x2, y2], "sure": sure, "score": 0.5}


def record(*boxes: dict[str, Any], done: bool = False) -> dict[str, Any]:
    return {"boxes": list(boxes), "done": done}


def work(node: Run, records: list[dict[str, Any]], *calls: list[Any]) -> dict[str, Any]:
    return dict(
        node([{"call": "labelling", "records": records, "size": list(SIZE), "calls": list(calls)}])[0]
    )


# -- in the browser


@needs_node
def test_actions_and_the_way_back(node: Run) -> None:
    start = [record(box(10, 10, 50, 100), box(200, 50, 260, 200, sure=False)), record(), record(done=True)]
    one = work(node, start, ["accept", 1], ["setClass", 0, 2], ["setBox", 0, [60, 120, 20, -5]])
    assert one["records"][0]["boxes"] == [
        {"c": 2, "box": [20, 0, 60, 120], "sure": True, "score": 0.5},
        {"c": 0, "box": [200, 50, 260, 200], "sure": True, "score": 0.5},
    ], "corners in order and in the frame"
    back = work(node, start, ["accept", 1], ["remove", 0], ["add", 1, [300, 300, 340, 350]], *[["undo"]] * 5)
    assert back["records"] == start
    again = work(node, start, ["remove", 0], ["undo"], ["redo"], ["redo"])
    assert len(again["records"][0]["boxes"]) == 1
    small = work(node, start, ["add", 0, [300, 300, 302, 350]], ["setBox", 0, [50, 100, 50, 100]])
    assert small["records"] == start, "a slip of the hand is no box"


@needs_node
def test_done_drops_what_was_not_accepted_and_goes_to_the_next_that_is_open(node: Run) -> None:
    start = [record(box(1, 1, 9, 9), box(20, 1, 29, 9, sure=False)), record(done=True), record()]
    one = work(node, start, ["finish"])
    assert one["records"][0] == record(box(1, 1, 9, 9), done=True)
    assert (one["position"], one["done"]) == (2, 2)
    every = work(node, start, ["finish"], ["finish"])
    assert (every["position"], every["done"]) == (2, 3), "nothing is left"
    undone = work(node, start, ["finish"], ["undo"])
    assert (undone["position"], undone["records"]) == (0, start), "undo shows the frame that it changes"


@needs_node
@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((30, 50), {"i": 0, "edges": ""}),
        ((11, 50), {"i": 0, "edges": "l"}),
        ((52, 102), {"i": 0, "edges": "rb"}),
        ((300, 300), None),
        ((110, 60), {"i": 2, "edges": ""}),
        ((120, 40), {"i": 2, "edges": "t"}),
    ],
    ids=["inside", "an edge", "a corner, from outside", "nothing", "the smaller one", "its edge"],
)
def test_what_lies_under_the_pointer(
    node: Run, point: tuple[float, float], expected: dict[str, Any] | None
) -> None:
    start = [record(box(10, 10, 50, 100), box(100, 10, 200, 200), box(105, 40, 135, 80))]
    assert work(node, start, ["at", {"x": point[0], "y": point[1]}, 4])["answers"] == [expected]


@needs_node
def test_a_drag_moves_within_the_frame_and_resizes_by_the_edges_that_were_taken(node: Run) -> None:
    one = box(10, 10, 50, 100)
    calls = [["dragged", one, "", -30, 300], ["dragged", one, "rt", 5, 7], ["dragged", one, "l", 5, 7]]
    moved, corner, edge = work(node, [record(one)], *calls)["answers"]
    assert moved == [0, 270, 40, 360]
    assert corner == [10, 17, 55, 100]
    assert edge == [15, 10, 50, 100]


# -- how many actions a person needs


def labelled_by_hand(
    node: Run, first: list[dict[str, Any]], truth: list[Truth], size: tuple[int, int]
) -> Hand:
    """Put every frame right; what is left must be the truth."""
    hand = Hand()
    for made, target in zip(first, truth, strict=True):
        put_right(hand, made["boxes"], target)
    job = {"call": "labelling", "records": first, "size": list(size), "calls": hand.calls}
    (left,) = node([job])
    assert left["done"] == len(first)
    for made, target in zip(left["records"], truth, strict=True):
        boxes = np.array([one["box"] for one in made["boxes"]]).reshape(-1, 4)
        for goal in target.xyxy[~target.ignore]:
            assert max(overlap(one, goal) for one in boxes) >= 0.5
        assert len(boxes) <= len(target.xyxy), "nothing that is false is left"
    return hand


@needs_node
def test_few_actions_put_frames_right_that_the_model_saw_nearly_right(node: Run) -> None:
    frames = walking(3, 8, people=9)
    rng = np.random.default_rng(2)
    first, truth = [], []
    for grids in frames:
        first.append(record(*prefilled(grids, preset("default"), ["person"])))
        found = decode(grids, Settings(default=ClassSettings(threshold=LEAST))).detections.of_class("person")
        kept = found.xyxy[rng.random(len(found)) < 0.9].astype(np.float64)
        truth.append(Truth.of(np.vstack([kept, [[5, 5, 60, 140]]])))
    hand = labelled_by_hand(node, first, truth, frames[0].fit.frame_size)
    assert hand.right > 15
    assert hand.spent["add"] >= 8
    assert hand.actions <= 1.3 * hand.wanted


@needs_node
@pytest.mark.real
@pytest.mark.slow
def test_twenty_frames_of_a_street_take_few_actions(
    node: Run, shared: Path, real_model_path: Path, tmp_path: Path
) -> None:
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    model = PeopleNet.load(real_model_path, device="cpu")
    writer = CellsWriter(tmp_path / "run" / CELLS)
    for frame in open_source(shared / "data" / "vtest.avi", every=36):
        writer.add(frame.index, Cells.of(model.infer(frame.image)))
    writer.finish()
    saved, settings = open_grids(tmp_path / "run"), preset("default")
    frames = choose_frames(saved, settings, ["person"], 20)
    assert len(frames) == 20
    first = [record(*prefilled(saved[saved.frames.index(f)], settings, ["person"])) for f in frames]
    truth = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    hand = labelled_by_hand(node, first, [truth[f] for f in frames], saved[0].fit.frame_size)
    assert hand.right > 0.8 * hand.wanted
    assert hand.actions <= 1.3 * hand.right, "all actions, those for missed and false boxes too"


# -- which frames, and what stands in them


def test_frames_are_those_in_doubt_spread_over_the_run(tmp_path: Path) -> None:
    sure, unsure = ({(0, 10, 10): (value, (1, 2, 1, 2))} for value in (0.95, 0.26))
    times = [i / 10 for i in range(40)]
    doubted = {3, 17, 25, 38}
    frames = [make_grids(unsure if i in doubted else sure) for i in range(40)]
    saved = open_grids(stored(tmp_path, frames, list(range(40)), "1" + "0" * 39, times))
    settings = preset("default")
    assert doubt(frames[3], settings, ["person"]) > 5 * doubt(frames[0], settings, ["person"])
    assert set(choose_frames(saved, settings, ["person"], 4)) == doubted
    more = choose_frames(saved, settings, ["person"], 8, sorted(doubted))
    assert len(more) == 8
    assert doubted < set(more)
    assert choose_frames(saved, settings, ["person"], 100) == list(range(40)), "a short run has no more"


class Kept(SavedGrids):
    """Saved grids without a file."""

    def __init__(self, grids: list[Grids]) -> None:
        self._grids, self.frames = grids, list(range(len(grids)))

    def cells(self, position: int) -> Cells:
        return Cells.of(self._grids[position])


@examples(max_examples=25, deadline=None)
@given(many=st.integers(1, 30), taken=st.sets(st.integers(0, 19), max_size=10))
def test_as_many_frames_as_there_are_and_those_that_were_taken(many: int, taken: set[int]) -> None:
    grids = make_grids({(0, 5, 5): (0.3, (1, 2, 1, 2))})
    saved = Kept([grids] * 20)
    chosen = choose_frames(saved, preset("default"), ["person"], many, taken)
    assert chosen == sorted(set(chosen))
    assert taken <= set(chosen)
    assert len(chosen) == min(20, max(many, len(taken)))


def test_boxes_in_doubt_go_down_to_low_coverage_and_are_none_twice() -> None:
    shape = (1.0, 2.0, 1.0, 2.0)
    grids = make_grids(
        {
            (0, 10, 10): (0.9, shape),
            (0, 10, 11): (0.1, shape),  # the same person
            (0, 10, 40): (0.1, shape),  # somebody else, perhaps
            (0, 20, 40): (0.01, shape),  # nothing
            (1, 20, 20): (0.9, shape),  # a bag
        }
    )
    assert [(one["sure"], one["score"]) for one in prefilled(grids, preset("default"), ["person"])] == [
        (True, 0.9),
        (False, 0.1),
    ]
    both = prefilled(grids, preset("default"), ["person", "bag"])
    assert {one["c"] for one in both if one["sure"]} == {0, 1}


def test_what_is_put_in_before_can_be_saved_whatever_the_model_found() -> None:
    """A box that begins at the frame's edge may be thinner than the tenth of a pixel that is kept."""
    grids = make_grids({(0, 10, 59): (0.9, (-0.4423, 2, 1, 2)), (0, 20, 30): (0.9, (1, 2, 1, 2))})
    thin = decode(grids, preset("default")).detections.xyxy
    assert sorted(thin[:, 2] - thin[:, 0])[0] < 0.05
    (one,) = prefilled(grids, preset("default"), ["person"])
    assert one["box"][2] - one["box"][0] > 60


# -- the file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of a video of 12 frames, with its raw output."""
    video = make_video(tmp_path / "v.mp4", 12)
    return runs.run(video, tmp_path / "out", FakeModel(), save_grids=True, video=False).folder


def act(panel: Labeller, records: list[dict[str, Any]], revision: int = 1) -> None:
    """What the page sends after an action."""
    changed = [[position, record] for position, record in enumerate(records)]
    panel._on_message(None, {"type": "work", "revision": revision, "records": changed}, [])


def finished(panel: Labeller) -> list[dict[str, Any]]:
    """All frames are right as they stand, and an ignored region is in the first."""
    records = [
        record(*(one for one in made["boxes"] if one["sure"]), done=True) for made in panel.canvas.records
    ]
    return [record(*records[0]["boxes"], box(0, 0, 30, 30, c=-1), done=True), *records[1:]]


def test_what_was_labelled_is_read_and_judged_as_any_labels(run: Path) -> None:
    panel = pn.label(run, frames=6, classes=["person", "face"])
    assert panel.path == run.parent / "v-labels.json"
    assert not panel.path.exists()
    with pytest.raises(SourceError, match="No frame is labelled"):
        _ = panel.labels
    act(panel, finished(panel))
    assert panel.errors == []
    assert (panel.done, panel.canvas.saved) == (6, 1)
    labels = panel.labels
    assert labels.format == "COCO"
    assert labels.judged == ("person", "face"), "bags were not labelled, so they are not judged"
    assert int(labels.ignore.sum()) == 1
    result = pn.evaluate(run, panel.path, progress=False)
    assert len(result.clip.labels.frames) == 6
    assert [int(f) for f in result.clip.labels.frames] == panel.file.frames
    assert result.scores["person"].f1.value == 1, "the boxes were the run's own"
    tuned = pn.tune_run(run, labels=panel.path)
    assert [tuned.canvas.frame_names[i] for i in tuned.canvas.truth["frames"]] == panel.file.frames
    panel.close()
    tuned.close()


def test_only_frames_that_are_done_are_judged_and_the_others_go_on_tomorrow(run: Path) -> None:
    panel = label(run, frames=4)
    records = panel.canvas.records
    half = record(box(10, 10, 40, 60), box(50, 10, 80, 60, sure=False))
    act(panel, [record(box(1, 2, 30, 40.5), done=True), half, *records[2:]])
    panel.close()
    assert len(read_labels(panel.path).frames) == 1
    again = label(run, frames=4)
    assert again.file.frames == panel.file.frames
    kept = again.canvas.records
    assert kept[0]["done"]
    assert kept[0]["boxes"][0]["box"] == [1, 2, 30, 40.5]
    assert kept[1] == half
    assert kept[2:] == records[2:]
    more = label(run, frames=7)
    assert len(more.file.frames) == 7
    assert set(again.file.frames) < set(more.file.frames)
    assert more.done == 1
    for one in (again, more):
        one.close()


def test_classes_keep_their_meaning_whatever_their_numbers(run: Path) -> None:
    panel = label(run, frames=2, classes=["face", "person"])
    assert panel.canvas.classes == [2, 0]
    act(panel, [record(box(1, 1, 20, 20, c=2), done=True), record(box(30, 30, 60, 60), done=True)])
    assert panel.labels.counts() == {"person": 1, "face": 1}
    again = label(run, frames=2, classes=["face", "person"])
    assert again.canvas.records[0]["boxes"][0]["c"] == 2
    panel.close()
    again.close()


def test_images_go_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(6):
        cv2.imwrite(str(tmp_path / "in" / f"street {i}.png"), picture(i + 1))
    run = runs.run(tmp_path / "in", tmp_path / "out", save_grids=True, video=False).folder
    panel = label(run, frames=3)
    act(panel, finished(panel))
    assert panel.errors == []
    assert list(panel.labels.frames) == [f"street {i}.png" for i in panel.file.frames]
    assert pn.evaluate(run, panel.path, progress=False).scores["person"].f1.value == 1
    panel.close()
    cv2.imwrite(str(tmp_path / "in" / "zebra.png"), picture(9))
    label(run, frames=3).close()  # one more at the end changes no number
    cv2.imwrite(str(tmp_path / "in" / "alley.png"), picture(9))
    with pytest.raises(SourceError, match="not the pictures that were run"):
        label(run, frames=3)
    for path in sorted((tmp_path / "in").glob("*"))[:7]:
        path.unlink()
    with pytest.raises(SourceError, match="not the pictures that were run"):
        label(run, frames=3)


def test_another_video_is_neither_labelled_nor_tuned_by_a_runs_boxes(run: Path, tmp_path: Path) -> None:
    other = make_video(tmp_path / "v.mkv", 12, (320, 192))
    for call in (label, pn.tune_run):
        with pytest.raises(SourceError, match="not the pictures that were run"):
            call(run, other)


def test_the_tuner_says_how_a_run_looked_and_needs_no_tables(run: Path) -> None:
    path = run / "summary.json"
    summary = json.loads(path.read_text())
    summary["settings"]["tiles"] = 2
    path.write_text(json.dumps(summary))
    panel = pn.tune_run(run, settings=preset("deepstream"))
    assert panel.settings.tiles == 2
    (run / "detections.csv").unlink()
    assert pn.tune_run(run).settings == preset("default").for_fit(panel.settings.fit)


@pytest.mark.parametrize(
    "wrong",
    [
        [record(), record(), record()],
        [record(box(10, 10, 5, 20)), record()],
        [record(box(0, 0, 161, 20)), record()],
        [record(box(0, 0, 20, 20, c=1)), record()],
        [record(box(0, 0, float("nan"), 20)), record()],
    ],
    ids=["other frames", "inside out", "outside", "no such class", "not a number"],
)
def test_what_makes_no_sense_is_not_saved(run: Path, wrong: list[dict[str, Any]]) -> None:
    panel = label(run, frames=2)
    right = finished(panel)
    act(panel, right)
    before = panel.path.read_bytes()
    act(panel, wrong)
    assert panel.path.read_bytes() == before
    assert len(panel.errors) == 1
    assert "SettingsError" in panel._strip.value
    assert panel.canvas.saved == 1, "the page goes on saying that it is being saved"
    act(panel, right, 3)
    assert (panel.canvas.saved, panel._strip.value) == (3, "")
    panel.close()


def test_only_what_changed_is_sent_and_a_page_that_is_loaded_anew_has_all(run: Path) -> None:
    panel = label(run, frames=3)
    first, _, third = panel.canvas.records
    sent: list[str] = []
    panel.canvas.observe(lambda change: sent.append(change["name"]), names=["records", "saved"])
    one = record(box(10, 10, 40, 60), done=True)
    panel._on_message(None, {"type": "work", "revision": 1, "records": [[1, one]]}, [])
    assert panel.errors == []
    assert sent == ["saved"], "the page has the records already"
    assert panel.canvas.get_state()["records"] == [first, one, third]
    assert panel.file.records[1]["done"]
    assert len(read_labels(panel.path).frames) == 1
    panel.close()


def test_a_disk_that_is_full_leaves_the_last_action_but_one(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = label(run, frames=2)
    act(panel, finished(panel))
    before = panel.path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        act(panel, [record(done=True), record(done=True)])
    assert panel.path.read_bytes() == before
    assert "No space left" in panel.errors[0]
    assert [path.name for path in panel.path.parent.glob("v-labels*")] == ["v-labels.json"]
    panel.close()


def test_files_of_others_and_of_other_runs_are_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    with pytest.raises(OutputError, match="not begun by labelling"):
        label(run, to=other)
    assert "peoplenet_nb" not in other.read_text()
    panel = label(run, frames=2)
    act(panel, finished(panel))
    with pytest.raises(OutputError, match="other frames or classes"):
        label(run, classes=["bag"])
    large = stored(tmp_path / "large", walking(1, 3), [0, 1, 2], "100", [0.0, 0.1, 0.2])
    with pytest.raises(SourceError, match="not the pictures that were run"):
        label(large, tmp_path / "v.mp4", panel.path)
    short = runs.run(tmp_path / "v.mp4", tmp_path / "short", save_grids=True, video=False, frames=1).folder
    if panel.file.frames != [0]:
        with pytest.raises(OutputError, match="another run"):
            label(short, to=panel.path)
    panel.close()


def test_labels_of_another_video_of_that_size_are_not_gone_on_with(run: Path, tmp_path: Path) -> None:
    panel = label(run, frames=2)
    act(panel, finished(panel))
    other = runs.run(
        make_video(tmp_path / "w.mp4", 12), tmp_path / "other", FakeModel(), save_grids=True
    ).folder
    with pytest.raises(OutputError, match=r"v\.mp4.*; now w\.mp4"):
        label(other, to=panel.path)
    panel.close()


def test_a_panel_does_not_write_over_what_another_one_saved(run: Path) -> None:
    first, second = label(run, frames=2), label(run, frames=2)
    act(second, finished(second))
    kept = second.path.read_bytes()
    act(first, [record(), record()])
    assert second.path.read_bytes() == kept
    assert "written elsewhere since" in first.errors[0]
    assert first.canvas.saved == 0
    act(second, finished(second))
    assert second.errors == []
    again = label(run, frames=2)
    act(again, finished(again))
    kept = again.path.read_bytes()
    act(second, [record(), record()])
    assert second.path.read_bytes() == kept, "neither the one that was shown before"
    second.path.unlink()
    act(again, finished(again))
    assert again.errors == []
    assert again.path.exists(), "a file that was taken away is written anew"
    for panel in (first, second, again):
        panel.close()


@pytest.mark.parametrize("ours", [{"frames": [[1]]}, {"size": [160]}, {"classes": [1]}, {"open": []}])
def test_a_damaged_file_of_ours_is_refused(run: Path, ours: dict[str, Any]) -> None:
    panel = label(run, frames=2)
    act(panel, finished(panel))
    data = json.loads(panel.path.read_text())
    panel.path.write_text(json.dumps(data | {"peoplenet_nb": data["peoplenet_nb"] | ours}))
    with pytest.raises(OutputError):
        label(run, frames=2)
    panel.close()


def test_images_of_several_sizes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i, size in enumerate([(160, 96), (320, 192)]):
        cv2.imwrite(str(tmp_path / "in" / f"{i}.png"), picture(i + 1, size))
    run = runs.run(tmp_path / "in", tmp_path / "out", save_grids=True, video=False).folder
    with pytest.raises(GridsError, match="not all of one size"):
        label(run)


def test_what_is_missing_is_said(run: Path, tmp_path: Path) -> None:
    grids = stored(tmp_path / "grids", walking(1, 3), [0, 1, 2], "100", [0.0, 0.1, 0.2])
    with pytest.raises(SourceError, match="needs the pictures"):
        label(grids)
    with pytest.raises(OutputError, match="need a file"):
        label(open_grids(run), tmp_path / "v.mp4")
    with pytest.raises(SettingsError, match="no class 'dog'|dog"):
        label(run, classes=["dog"])
    for nothing in ({"frames": 0}, {"classes": []}):
        with pytest.raises(SettingsError, match="nothing to label"):
            label(run, **nothing)  # type: ignore[arg-type]
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="not begun by labelling"):
        label(run, to=tmp_path / "folder")
    assert LABELS[0] == "person"
