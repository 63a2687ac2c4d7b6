"""Runs in which the network sees some of the frames: which, what stands in the others, and that cuts change nothing."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.optimize  # noqa: F401  the first window would wait for it

from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, OutputError, SettingsError, SourceError
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.frames import Frame
from peoplenet_nb.sources.pixels import VideoPixels
from peoplenet_nb.tracks import KeyFrames, choose_and_fill, scene_cut, thumbnail
from peoplenet_nb.video import RunInterrupted, compare_keyframes, run_name, work
from peoplenet_nb.video.checks import key_frames_for
from peoplenet_nb.video.mp4 import check_video
from peoplenet_nb.video.pipeline import Pipeline
from peoplenet_nb.video.work import Worker
from runs import interrupt_at, run, tables
from videos import FakeModel, MovingModel, make_video, number_of, picture

KINDS = [3, "auto"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4", 50)


def small(keyframes, fps, size) -> int:
    """Windows of fewer frames than in earnest, so that short videos have several."""
    return keyframes.every or max(1, round(0.8 * fps))


@pytest.fixture(autouse=True)
def small_windows(monkeypatch) -> None:
    monkeypatch.setattr("peoplenet_nb.video.pipeline.window_frames", small)


@pytest.fixture
def one_shot(monkeypatch) -> None:
    """Numbered pictures differ enough to look like cuts; here they are one shot."""
    monkeypatch.setattr("peoplenet_nb.video.pipeline.scene_cut", lambda before, after: False)


def rows(result, name: str = "detections.csv") -> list[dict[str, str]]:
    with (result.folder / name).open(newline="") as stream:
        return list(csv.DictReader(stream))


def inferred(result) -> list[int]:
    return [int(row["frame"]) for row in rows(result, "frames.csv") if row["origin"] == "inferred"]


# ---------------------------------------------------------------- what comes out


@pytest.mark.usefixtures("one_shot")
def test_the_network_sees_every_nth_frame_and_the_last_once_each(clip, tmp_path):
    model = MovingModel()
    result = run(clip, tmp_path, model, keyframes=3)
    assert sorted(model.seen) == inferred(result) == [*range(0, 50, 3), 49]
    assert {row["origin"] for row in rows(result)} == {"inferred", "interpolated"}
    assert [int(row["frame"]) for row in rows(result)] == list(range(50))
    assert set(model.batches) == {1}


@pytest.mark.usefixtures("one_shot")
@pytest.mark.parametrize("keyframes", KINDS)
def test_boxes_between_are_where_the_network_would_have_seen_them(clip, tmp_path, keyframes):
    """The person walks in a straight line, so that interpolation is exact."""
    every = run(clip, tmp_path / "off", MovingModel()).to_pandas()
    some = run(clip, tmp_path / "some", MovingModel(), keyframes=keyframes).to_pandas()
    assert list(some["frame"]) == list(every["frame"])
    corners = ["x1", "y1", "x2", "y2", "confidence"]
    assert np.abs(some[corners] - every[corners]).to_numpy().max() <= 0.0101  # two decimals are written


@pytest.mark.usefixtures("one_shot")
def test_auto_infers_few_frames_where_the_motion_is_even_and_all_around_a_jump(clip, tmp_path):
    quiet = run(clip, tmp_path / "quiet", MovingModel(), keyframes="auto")
    assert {0, 20, 40, 49} <= set(inferred(quiet))
    assert len(inferred(quiet)) <= 7
    jump = run(clip, tmp_path / "jump", MovingModel((27,)), keyframes="auto")
    assert {0, 20, 26, 27, 40, 49} <= set(inferred(jump))
    assert len(inferred(jump)) < 20
    assert jump.to_pandas()["y1"].nunique() == 2, "nothing lies between the two sides"


def expected(
    source, model, keyframes, frames: list[Frame] | None = None
) -> list[tuple[int, bool, np.ndarray]]:
    """The straightforward way: all frames at hand, each window by itself."""
    chosen, frames = KeyFrames.parse(keyframes), frames or list(source)
    count = small(chosen, source.info.fps / source.every, frames[0].size)
    found = [
        decode(model.infer_input(*model.preprocess_all([f.image]))[0], Settings()).detections for f in frames
    ]
    grey = [thumbnail(frame.grey) for frame in frames]
    cuts = [False, *(scene_cut(before, after) for before, after in pairwise(grey))]
    out: list[tuple[int, bool, np.ndarray]] = []
    for k in range(0, len(frames), count):
        window = range(k, min(k + count + 1, len(frames)))
        filled = choose_and_fill(
            len(window),
            lambda i, k=k: found[k + i],
            lambda i, k=k: cuts[k + i],
            [frames[i].time_s for i in window],
            chosen,
            frames[0].size,
        )
        out += [(frames[k + i].index, seen, boxes.xyxy) for i, (boxes, seen) in enumerate(filled[:count])]
    return out


@pytest.mark.parametrize("keyframes", KINDS)
@pytest.mark.parametrize(
    "sampling",
    [
        {},
        {"every": 2},
        {"frames": 31, "start": 4},
        {"frames": 1},
        {"frames": 2},
        {"frames": 40},
        {"frames": 41},
    ],
    ids=["whole", "every 2nd", "a piece", "one frame", "two", "whole windows", "one frame more"],
)
def test_a_run_gives_what_its_windows_give_one_after_the_other(clip, tmp_path, keyframes, sampling):
    source = open_source(clip, **sampling)
    result = run(source, tmp_path, MovingModel((27,)), keyframes=keyframes, workers=3, part_frames=7)
    wanted = expected(source, MovingModel((27,)), keyframes)
    counts = rows(result, "frames.csv")
    assert [(int(row["frame"]), row["origin"] == "inferred") for row in counts] == [one[:2] for one in wanted]
    corners = result.to_pandas()[["x1", "y1", "x2", "y2"]].to_numpy()
    assert corners == pytest.approx(np.concatenate([boxes for _, _, boxes in wanted]), abs=0.0051)
    assert check_video(result.video, frames=len(wanted)).problems == ()
    assert result.summary["frames_inferred"] == sum(seen for _, seen, _ in wanted)


@pytest.mark.usefixtures("one_shot")
def test_times_and_not_numbers_say_how_far_on_the_way_a_box_is(tmp_path):
    times = [0.0, 0.1, 0.6, 0.7, 0.8, 1.5, 1.6]
    result = run(make_video(tmp_path / "a.mp4", 7, times=times), tmp_path, MovingModel(), keyframes=3)
    x = result.to_pandas()["x1"].to_numpy()
    ends = np.interp(times, [times[i] for i in (0, 3, 6)], [x[i] for i in (0, 3, 6)])
    assert x == pytest.approx(ends, abs=0.011)


@pytest.mark.parametrize("keyframes", KINDS)
def test_nothing_is_interpolated_across_a_cut(tmp_path, keyframes):
    shots = [picture(0)] * 10 + [255 - picture(0)] * 10
    source = numbered(open_source(make_video(tmp_path / "a.mp4", 20)), shots)
    model = FakeModel()
    result = run(source, tmp_path / "out", model, keyframes=keyframes)
    assert {0, 9, 10, 19} <= set(inferred(result))
    assert len(inferred(result)) < 13


def numbered(source, pictures):
    """The same source with other pictures in its frames."""

    class Other(type(source)):
        def __iter__(self):
            for frame in super().__iter__():
                yield Frame(frame.index, frame.time_s, pictures[frame.index])

    source.__class__ = Other
    return source


@pytest.mark.usefixtures("one_shot")
@pytest.mark.parametrize("keyframes", KINDS)
def test_nothing_is_interpolated_between_frames_of_two_sizes(tmp_path, keyframes):
    pictures = [picture(i, (160, 96) if i < 7 else (320, 192)) for i in range(20)]
    source = numbered(open_source(make_video(tmp_path / "a.mp4", 20)), pictures)
    result = run(source, tmp_path / "out", MovingModel(), keyframes=keyframes)
    assert {0, 6, 7, 19} <= set(inferred(result))
    pipeline = Pipeline(source, Worker(MovingModel(), Settings(), KeyFrames.parse(keyframes)))
    begins = {done.frame.index: done.begins for window in pipeline for done in window}
    assert (begins[0], begins[7]) == (1, 2)
    assert (pictures[3] == picture(3)).all(), "what belongs to somebody else is not drawn on"
    every = run(source, tmp_path / "every", MovingModel())
    assert result.to_pandas()[["x1", "x2"]].to_numpy() == pytest.approx(
        every.to_pandas()[["x1", "x2"]].to_numpy(), abs=0.011
    )


@pytest.mark.usefixtures("one_shot")
def test_what_nobody_looks_at_is_not_converted(clip, tmp_path, monkeypatch):
    made = []
    real = VideoPixels._converted
    monkeypatch.setattr(VideoPixels, "_converted", lambda self, name: made.append(name) or real(self, name))
    source = open_source(clip)
    made.clear()
    run(source, tmp_path, MovingModel(), keyframes=10, video=False)
    assert made == ["bgr24"] * 6


def test_pictures_come_in_order_with_their_boxes(clip, tmp_path):
    result = run(clip, tmp_path, MovingModel(), keyframes=4, workers=3, part_frames=9)
    assert [number_of(frame.image) for frame in open_source(result.video)] == list(range(50))


@pytest.mark.usefixtures("one_shot")
def test_grids_are_kept_of_the_frames_that_the_network_saw(clip, tmp_path):
    pipeline = Pipeline(open_source(clip), Worker(MovingModel(), Settings(), KeyFrames(10), keep_grids=True))
    kept = [done.frame.index for window in pipeline for done in window if done.grids is not None]
    assert kept == [0, 10, 20, 30, 40, 49]


@pytest.mark.usefixtures("one_shot")
def test_what_was_done_is_said(clip, tmp_path):
    result = run(clip, tmp_path, MovingModel(), keyframes="auto")
    summary = json.loads((result.folder / "summary.json").read_text())
    seen = len(inferred(result))
    assert (summary["keyframes"], summary["frames"], summary["frames_inferred"]) == ("auto", 50, seen)
    assert summary["model"]["batch"] == 1
    assert summary["speed"]["ms_per_frame"]["interpolate"] > 0
    for shown in (str(result), result._repr_html_()):
        assert f"50 frames ({seen} inferred, the others interpolated)" in shown
    off = run(clip, tmp_path / "off", MovingModel())
    assert (off.summary["keyframes"], off.summary["frames_inferred"]) == ("off", 50)
    assert "interpolated" not in str(off)


@pytest.mark.usefixtures("one_shot")
def test_choices_are_compared_on_the_same_frames(clip):
    compared = compare_keyframes(open_source(clip, frames=30), MovingModel(), Settings(), ("off", 10))
    assert [(row["keyframes"], row["frames"], row["inferred"]) for row in compared.rows] == [
        ("off", 30, 30),
        ("10", 30, 4),
    ]
    assert [row["person boxes"] for row in compared.rows] == [30, 30]
    assert compared.rows[0]["times as fast"] == 1
    for shown in (str(compared), compared._repr_html_()):
        assert "inferred" in shown


def test_the_network_sees_every_image(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    result = run(folder, tmp_path / "out", keyframes="auto")
    assert inferred(result) == list(range(5))
    assert result.summary["keyframes"] == "off"
    assert any("every image" in note for note in result.notes)


@pytest.mark.parametrize("bad", ["on", 0, -3, 2.5, "", None])
def test_what_is_no_choice_of_key_frames_leaves_no_folder(clip, tmp_path, bad):
    with pytest.raises(SettingsError, match="every N-th"):
        run(clip, tmp_path / "out", keyframes=bad)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- cut and continued


@pytest.mark.parametrize("keyframes", KINDS)
@pytest.mark.parametrize(("number", "every"), [(0, 1), (24, 1), (24, 2), (48, 1)])
def test_an_interrupted_run_ends_with_a_window_and_continues_to_the_same_tables(
    clip, tmp_path, number, keyframes, every
):
    options = {"keyframes": keyframes, "every": every, "part_frames": 6}
    whole = run(clip, tmp_path / "whole", MovingModel((27,)), **options)
    with pytest.raises(KeyboardInterrupt) as stopped:
        run(clip, tmp_path / "cut", MovingModel((27,), interrupt_at(number)), workers=2, **options)
    folder, count = (
        tmp_path / "cut" / "clip",
        small(KeyFrames.parse(keyframes), 25 / every, (160, 96)),
    )
    if isinstance(stopped.value, RunInterrupted):
        summary = stopped.value.result.summary
        assert summary["frames"] % count == 0 or summary["complete"]
        for begun, table in zip(tables(folder), tables(whole.folder), strict=True):
            assert table.startswith(begun)
    else:  # before the first window was whole
        assert not list((folder / "parts").glob("*"))
    result = run(clip, tmp_path / "cut", MovingModel((27,)), resume=True, **options)
    assert tables(result.folder) == tables(whole.folder)
    assert result.summary["frames_inferred"] == whole.summary["frames_inferred"]
    assert check_video(result.video, frames=result.summary["frames"]).problems == ()


@pytest.mark.parametrize("keyframes", KINDS)
def test_cells_of_a_continued_run_know_the_cut_at_which_it_was_interrupted(clip, tmp_path, keyframes):
    """Numbered pictures look like cuts; windows end at some of them, and so do parts."""
    options = {"keyframes": keyframes, "part_frames": 1, "save_grids": True, "video": False}
    whole = run(clip, tmp_path / "whole", MovingModel(), **options)
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path / "cut", MovingModel((), interrupt_at(24)), **options)
    result = run(clip, tmp_path / "cut", MovingModel(), resume=True, **options)
    begins = [open_grids(one.folder).timeline.begins for one in (result, whole)]
    assert begins[0] == begins[1]
    assert tables(result.folder) == tables(whole.folder)


KILLED = """
import sys
from videos import MovingModel
from runs import run
from peoplenet_nb.video import pipeline
pipeline.window_frames = lambda keyframes, fps, size: keyframes.every or round(0.8 * fps)
run(sys.argv[1], sys.argv[2], MovingModel((27,), lambda n: 0.03), keyframes=sys.argv[3], workers=2, part_frames=6)
"""


@pytest.mark.parametrize("keyframes", KINDS)
def test_a_killed_run_continues_to_the_same_tables(clip, tmp_path, keyframes):
    whole = run(clip, tmp_path / "whole", MovingModel((27,)), keyframes=keyframes, part_frames=6)
    output = tmp_path / "cut"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(clip), str(output), str(keyframes)],
        env=os.environ | {"PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"},
    )
    manifest = output / "clip" / "run.json"
    while process.poll() is None:
        if manifest.exists() and json.loads(manifest.read_text())["parts"]:
            process.kill()
            break
    assert process.wait(30) == -signal.SIGKILL
    model = MovingModel((27,))
    result = run(clip, output, model, keyframes=keyframes, part_frames=6, resume=True)
    assert tables(result.folder) == tables(whole.folder)
    assert min(model.seen) > 0, "what was finished is not inferred again"
    assert check_video(result.video, frames=50).problems == ()


@pytest.mark.parametrize("keyframes", KINDS)
def test_a_source_that_breaks_off_within_a_window_loses_that_window_only(clip, tmp_path, keyframes):
    class Breaking(type(open_source(clip))):
        broken = True

        def _walk(self):
            for candidate in super()._walk():
                if self.broken and candidate.index == 44:
                    raise SourceError("broke off", next_step="continue with --resume.")
                yield candidate

    source = open_source(clip)
    source.__class__ = Breaking
    with pytest.raises(SourceError, match="broke off"):
        run(source, tmp_path / "out", MovingModel(), keyframes=keyframes)
    kept = json.loads((tmp_path / "out" / "clip" / "run.json").read_text())["parts"]
    assert sum(part["frames"] for part in kept) == (42 if keyframes == 3 else 40)
    Breaking.broken = False
    result = run(source, tmp_path / "out", MovingModel(), keyframes=keyframes, resume=True)
    whole = run(clip, tmp_path / "whole", MovingModel(), keyframes=keyframes)
    assert tables(result.folder) == tables(whole.folder)


@pytest.mark.parametrize("keyframes", KINDS)
def test_a_frame_that_fails_costs_the_windows_that_need_it(clip, tmp_path, keyframes):
    bad = 36 if keyframes == 3 else 40

    def fail(number):
        if number == bad:
            raise GridsError("coverage holds values that are not numbers", seen="NaN")
        return 0.0

    with pytest.raises(GridsError):
        run(clip, tmp_path, MovingModel((41,), fail), keyframes=keyframes)
    result = run(clip, tmp_path, MovingModel((41,)), keyframes=keyframes, resume=True)
    whole = run(clip, tmp_path / "whole", MovingModel((41,)), keyframes=keyframes)
    assert tables(result.folder) == tables(whole.folder)


def test_what_goes_wrong_within_a_window_leaves_no_part_of_it(clip, tmp_path, monkeypatch):
    def fail(frame, *args, **options):
        if number_of(frame) == 27:
            raise SourceError("A frame of the video cannot be converted to a picture", seen="27")
        return drawn(frame, *args, **options)

    drawn = work.draw_detections
    monkeypatch.setattr(work, "draw_detections", fail)
    with pytest.raises(SourceError, match="converted"):
        run(clip, tmp_path / "cut", MovingModel(), keyframes=5, part_frames=10)
    kept = json.loads((tmp_path / "cut" / "clip" / "run.json").read_text())["parts"]
    assert [part["frames"] for part in kept] == [10, 10]
    monkeypatch.setattr(work, "draw_detections", drawn)
    result = run(clip, tmp_path / "cut", MovingModel(), keyframes=5, part_frames=10, resume=True)
    assert tables(result.folder) == tables(run(clip, tmp_path / "whole", MovingModel(), keyframes=5).folder)


def test_a_last_window_for_which_there_is_no_thread_is_not_lost_in_silence(clip, tmp_path, monkeypatch):
    def submit(self, work, taken, *rest):
        if isinstance(taken, list) and taken[0].frame.index == 48:
            raise RuntimeError("can't start new thread")
        return real(self, work, taken, *rest)

    real = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    with pytest.raises(RuntimeError, match="new thread"):
        run(clip, tmp_path, MovingModel(), keyframes=3)


def test_key_frames_that_do_not_fit_into_memory_are_refused(clip):
    source = open_source(clip)
    assert key_frames_for(source, 1000)[0] == KeyFrames(1000)
    source.info.width, source.info.height = 7680, 4320
    with pytest.raises(SourceError, match="choose 5 at most"):
        key_frames_for(source, 6)
    assert key_frames_for(source, 5)[0] == KeyFrames(5)
    assert key_frames_for(source, "auto")[0].auto


def test_other_key_frames_are_another_run(clip, tmp_path):
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path, MovingModel((), interrupt_at(20)))
    with pytest.raises(OutputError, match="keyframes was off and is 3"):
        run(clip, tmp_path, MovingModel(), keyframes=3, resume=True)
    assert run(clip, tmp_path, MovingModel(), keyframes="off", resume=True).summary["complete"]
    source = open_source(clip)
    names = {run_name(source, MovingModel(), Settings(), keyframes) for keyframes in ("off", 3, "auto")}
    assert len(names) == 3
    assert run_name(source, MovingModel(), Settings()) in names


def test_parts_of_a_version_without_origins_are_made_again(clip, tmp_path, caplog):
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path / "out", MovingModel((), interrupt_at(20)), part_frames=5)
    manifest = tmp_path / "out" / "clip" / "run.json"
    data = json.loads(manifest.read_text())
    for part in data["parts"]:
        del part["interpolated"]
    manifest.write_text(json.dumps(data))
    result = run(clip, tmp_path / "out", MovingModel(), resume=True)
    assert "earlier version" in caplog.text
    assert tables(result.folder) == tables(run(clip, tmp_path / "whole", MovingModel()).folder)


# ---------------------------------------------------------------- memory and leaving early


def test_reading_waits_for_slow_workers(tmp_path, monkeypatch):
    source = open_source(make_video(tmp_path / "a.mp4", 200))
    inside, most, lock = 0, 0, threading.Lock()
    real = Pipeline._put

    def put(self, executor, taken, count):
        nonlocal inside, most
        with lock:
            inside += count
            most = max(most, inside)
        real(self, executor, taken, count)

    monkeypatch.setattr(Pipeline, "_put", put)
    pipeline = Pipeline(source, Worker(MovingModel(), Settings(), KeyFrames(5)), workers=2)
    for window in pipeline:
        with lock:
            inside -= len(list(window))
    assert most <= 5 * 2, "a window in hand, and one in work"


@pytest.mark.usefixtures("one_shot")
def test_a_caller_that_leaves_early_does_not_wait_for_the_rest_of_a_window(clip, monkeypatch):
    monkeypatch.setattr("peoplenet_nb.video.pipeline.window_frames", lambda *about: 20)
    model = MovingModel((), lambda n: 0.005 if n <= 20 else 0.1)  # the second window is slow
    pipeline = Pipeline(open_source(clip), Worker(model, Settings(), KeyFrames(2)), workers=2)
    with closing(iter(pipeline)) as line:
        next(line)
        while 22 not in model.seen:
            time.sleep(0.005)
        seen = len(model.seen)
    assert len(model.seen) <= seen + 3
