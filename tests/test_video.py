"""Runs: what they write, that they can be cut at any moment, and that memory stays bounded."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pandas as pd
import pytest

import peoplenet_nb
from peoplenet_nb.cells import CellsFile, open_grids
from peoplenet_nb.decoding import COVERAGE_ONLY
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import OutputError
from peoplenet_nb.onnxfile import HeadHealth
from peoplenet_nb.settings import ClassSettings, Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import RunInterrupted
from peoplenet_nb.video.manifest import STAGES
from peoplenet_nb.video.mp4 import check_video, writing
from peoplenet_nb.video.parts import COLUMNS, write_image
from peoplenet_nb.video.pipeline import Pipeline
from peoplenet_nb.video.work import Worker
from runs import interrupt_at, run, tables
from videos import FakeModel, damage, make_video, number_of, picture


@pytest.fixture
def clip(tmp_path) -> Path:
    return make_video(tmp_path / "clip.mp4", 40)


# ---------------------------------------------------------------- what is written


def test_run_leaves_video_tables_and_summary(clip, tmp_path):
    result = run(clip, tmp_path / "out", part_frames=15)
    assert result.folder == tmp_path / "out" / "clip"
    assert sorted(p.name for p in result.folder.iterdir()) == [
        "detections.csv",
        "detections.parquet",
        "frames.csv",
        "run.json",
        "summary.json",
        "video.mp4",
    ]
    found = result.to_pandas()
    assert tuple(found.columns) == COLUMNS
    assert list(found["frame"]) == [i for i in range(40) if i % 5]
    assert set(found["source"]) == {"clip.mp4"}
    assert found["time_s"].to_numpy() == pytest.approx(found["frame"].to_numpy() / 25)
    counts = result.frames_to_pandas()
    assert list(counts["frame"]) == list(range(40))
    assert list(counts[["person", "bag", "face"]].sum(axis=1)) == [int(i % 5 > 0) for i in range(40)]
    assert check_video(result.video, frames=40).problems == ()
    assert not result.interrupted


def test_table_holds_what_decode_found(clip, tmp_path):
    """One row by hand: frame 7 has class 1, row 28, column 12 and distances of 35 pixels all round."""
    row = run(clip, tmp_path).to_pandas().query("frame == 7").iloc[0]
    centre = np.array([16 * 12 + 0.5, 16 * 28 + 0.5])
    scale = np.array([160 / 960, 96 / 544])
    assert row["class"] == "bag"
    assert (row["row"], row["col"]) == (28, 12)
    assert row["confidence"] == pytest.approx(0.57)
    assert [row["x1"], row["y1"]] == pytest.approx((centre - 35) * scale, abs=0.006)
    assert [row["x2"], row["y2"]] == pytest.approx((centre + 35) * scale, abs=0.006)


def test_parquet_is_the_same_table(clip, tmp_path):
    result = run(clip, tmp_path)
    pd.testing.assert_frame_equal(
        pd.read_parquet(result.parquet), result.to_pandas(), check_dtype=False, rtol=1e-6
    )


def test_summary_says_what_was_done(clip, tmp_path):
    result = run(clip, tmp_path, every=3, settings=preset("deepstream"))
    summary = json.loads((result.folder / "summary.json").read_text())
    assert summary == result.summary
    assert summary["complete"]
    assert summary["frames"] == 14
    assert sum(summary["counts"].values()) == len(result.to_pandas())
    assert summary["sampling"] == {"every": 3, "frames": None, "start": 0}
    assert summary["model"]["sha256"] == "f" * 64
    assert summary["settings"] == preset("deepstream").to_dict()
    assert set(summary["speed"]["ms_per_frame"]) == set(STAGES)
    assert 0 < summary["speed"]["first_s"] < summary["speed"]["wall_s"] + 5
    assert summary["speed"]["fps"] > 0
    assert {"python", "numpy", "av", "peoplenet-nb"} <= set(summary["versions"])
    assert "14 frames" in str(result)


@pytest.mark.parametrize("batch", [2, 3, 40, 64])
def test_batches_change_nothing_but_how_many_go_at_once(batch, clip, tmp_path):
    """Sizes that divide the video, leave a rest, are all of it and more than it."""
    one = run(clip, tmp_path / "one")
    model = FakeModel()
    many = run(clip, tmp_path / "many", model, batch=batch, part_frames=7)
    assert tables(many.folder) == tables(one.folder)
    assert check_video(many.video, frames=40).problems == ()
    assert many.summary["model"]["batch"] == batch
    assert sorted(model.batches) == sorted([batch] * (40 // batch) + [40 % batch] * bool(40 % batch))


def test_frames_before_a_failure_are_not_lost_with_their_batch(clip, tmp_path):
    class Breaks(type(open_source(clip))):
        def __iter__(self):
            for frame in super().__iter__():
                if frame.index == 8:
                    raise OutputError("cut", seen="cable")
                yield frame

    source = open_source(clip)
    source.__class__ = Breaks
    with pytest.raises(OutputError, match="cut"):
        run(source, tmp_path, batch=3, part_frames=2)
    assert run(clip, tmp_path / "again", batch=3).summary["frames"] == 40


def test_a_caller_that_leaves_early_leaves_no_thread_in_trouble(clip, monkeypatch):
    """The last frames of a batch are not handed to workers that are gone."""
    failures = []
    monkeypatch.setattr(threading, "excepthook", lambda hook: failures.append(hook.exc_value))
    for _ in range(5):
        pipeline = Pipeline(open_source(clip), Worker(FakeModel(lambda n: 0.002), Settings()), batch=4)
        with closing(iter(pipeline)) as line:
            next(line)
    assert failures == []


def test_another_calibration_is_not_continued(clip, tmp_path):
    model = FakeModel(interrupt_at(12))
    model.precision, model.runs = "int8", SimpleNamespace(sha256="1" * 64)
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path, model, part_frames=5)
    other = FakeModel()
    other.precision, other.runs = "int8", SimpleNamespace(sha256="2" * 64)
    with pytest.raises(OutputError, match="another"):
        run(clip, tmp_path, other, resume=True)


def test_a_gpu_gets_the_batch_that_a_probe_finds_best(clip, tmp_path):
    model = FakeModel(device="cuda")
    result = run(clip, tmp_path, model)
    assert result.summary["model"]["batch"] in (1, 2, 4, 8, 16, 32)
    assert set(model.batches) > {1, 2, 4, 8, 16, 32} - {40 % 32}, "all sizes were tried"
    assert result.summary["frames"] == 40


def test_sampled_video_shows_frames_at_their_times(clip, tmp_path):
    result = run(clip, tmp_path, every=10, start=5)
    frames = list(open_source(result.video))
    assert [number_of(f.image) for f in frames] == [5, 15, 25, 35]
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.4, 0.8, 1.2])
    assert result.summary["video"]["starts_at_s"] == pytest.approx(0.2)


def test_variable_frame_rate_reaches_the_video(tmp_path):
    times = [0.0, 0.1, 0.15, 0.9, 1.0, 2.5]
    result = run(make_video(tmp_path / "a.mp4", 6, times=times), tmp_path / "out", part_frames=2)
    assert [f.time_s for f in open_source(result.video)] == pytest.approx(times, abs=1e-3)
    assert "frame rate varies" in " ".join(result.notes)


def test_odd_size_is_padded_in_the_video_only(tmp_path):
    path = make_video(tmp_path / "a.mkv", 4, (161, 97), codec="ffv1", pix_fmt="bgr0")
    result = run(path, tmp_path / "out")
    check = check_video(result.video, frames=4)
    assert (check.width, check.height) == (162, 98)
    assert "162x98" in " ".join(result.notes)
    assert (result.summary["source"]["width"], result.summary["source"]["height"]) == (161, 97)


def test_damaged_video_is_run_to_its_end(tmp_path):
    whole = make_video(tmp_path / "a.mp4", 100, (320, 192), options={"movflags": "+faststart"})
    result = run(damage(whole, tmp_path / "b.mp4", (0.45, 0.6)), tmp_path / "out")
    counts = result.frames_to_pandas()
    assert counts["frame"].iloc[-1] == 99
    assert "damaged" in " ".join(result.notes)
    assert check_video(result.video, frames=len(counts)).problems == ()


@pytest.mark.parametrize(
    "error",
    [
        av.error.ExternalError(-542398533, "the encoder failed"),
        OSError(28, "No space left on device"),
    ],
    ids=["FFmpeg's own, which is no OSError", "the disk's"],
)
def test_what_goes_wrong_while_a_video_is_written_is_an_output_error(tmp_path, error):
    with pytest.raises(OutputError, match="cannot be written") as raised, writing(tmp_path / "a.mp4"):
        raise error
    assert error.strerror in str(raised.value.seen)


def test_cells_are_kept_by_frame_number(clip, tmp_path):
    result = run(clip, tmp_path, every=7, save_grids=True)
    grids = open_grids(result.folder)
    assert grids.frames == [0, 7, 14, 21, 28, 35]
    assert grids[1].coverage.max() == pytest.approx(0.57)


def test_without_video_nothing_is_drawn(clip, tmp_path):
    result = run(clip, tmp_path, video=False)
    assert result.video is None
    assert not (result.folder / "video.mp4").exists()
    assert len(result.to_pandas()) == 32


def test_images_are_annotated_one_by_one(tmp_path):
    folder = tmp_path / "photos, old"
    folder.mkdir()
    for number in (1, 2, 13):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    (folder / "12.jpg").write_bytes(b"\xff\xd8\xff broken")
    result = run(folder, tmp_path / "out")
    assert result.video is None
    assert sorted(p.name for p in result.images.iterdir()) == ["1.png", "13.png", "2.png"]
    found = result.to_pandas()
    assert list(found["source"]) == ["1.png", "2.png", "13.png"]
    assert found["time_s"].isna().all()
    assert "12.jpg" in " ".join(result.notes)
    shown = cv2.imread(str(result.images / "13.png"))
    assert np.abs(shown.astype(int) - picture(13)).max() > 50  # a box was drawn


def test_images_that_were_skipped_before_a_cut_are_still_noted(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(30):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    for number in (2, 28):
        (folder / f"{number}.png").write_bytes(b"\x89PNG")
    with pytest.raises(RunInterrupted):
        run(folder, tmp_path / "out", FakeModel(interrupt_at(12)), workers=2)
    result = run(folder, tmp_path / "out", resume=True)
    assert list(result.frames_to_pandas()["frame"]) == [n for n in range(30) if n not in (2, 28)]
    assert [note[-7:] for note in result.notes] == [" 2.png.", "28.png."]


def test_model_without_a_box_output_says_why_nothing_is_found(clip, tmp_path, caplog):
    result = run(clip, tmp_path / "out", FakeModel(boxes=False))
    assert len(result.to_pandas()) == 0
    assert result.notes == [COVERAGE_ONLY]
    assert json.loads((result.folder / "summary.json").read_text())["notes"] == [COVERAGE_ONLY]
    assert COVERAGE_ONLY in caplog.text
    assert run(clip, tmp_path / "whole").notes == []


@pytest.mark.parametrize(
    ("name", "options"), [("a.jpg", 2), ("a.JPEG", 2), ("a.png", 0)], ids=["jpg", "JPEG", "png"]
)
def test_quality_is_for_jpeg_only(tmp_path, monkeypatch, name, options):
    """OpenCV prints a warning for every image whose format does not know an option."""
    seen = []
    real = cv2.imencode
    monkeypatch.setattr(
        cv2, "imencode", lambda kind, image, given: seen.append(given) or real(kind, image, given)
    )
    write_image(tmp_path / name, picture(5))
    assert [len(given) for given in seen] == [options]
    assert number_of(cv2.imread(str(tmp_path / name))) == 5


def test_commas_and_quotes_in_names_survive_the_tables(tmp_path):
    path = make_video(tmp_path / 'a, "b".mp4', 8)
    result = run(path, tmp_path / "out")
    assert set(result.to_pandas()["source"]) == {path.name}
    assert set(pd.read_parquet(result.parquet)["source"]) == {path.name}


def test_video_without_any_detection_has_empty_tables(clip, tmp_path):
    result = run(clip, tmp_path, settings=Settings(default=ClassSettings(threshold=1.0)))
    assert len(result.to_pandas()) == len(pd.read_parquet(result.parquet)) == 0
    assert tuple(result.to_pandas().columns) == COLUMNS


@pytest.mark.parametrize("video", [True, False])
def test_standin_on_somebodys_own_video_warns_and_says_so(clip, tmp_path, caplog, video):
    result = run(clip, tmp_path, FakeModel(standin=True), video=video)
    assert "stand-in" in caplog.text
    assert "stand-in" in " ".join(result.notes)
    assert result.summary["model"]["standin"]


def test_standin_on_the_demo_clip_does_not_warn(tmp_path, caplog):
    result = run(open_source(demo_clip(), frames=5), tmp_path, FakeModel(standin=True))
    assert "stand-in" not in caplog.text
    assert result.notes == []


@pytest.mark.parametrize(("size", "noted"), [((96, 160), True), ((128, 96), True), ((160, 96), False)])
def test_narrow_frames_that_are_stretched_are_noted(tmp_path, caplog, size, noted):
    path = make_video(tmp_path / "a.mp4", 3, size)
    result = run(path, tmp_path / "out")
    assert ("letterbox usually finds more" in " ".join(result.notes)) is noted
    assert caplog.text == "", "once, in the result, is enough"
    letterboxed = FakeModel()
    letterboxed.fit = "letterbox"
    assert run(path, tmp_path / "box", letterboxed, preset("default", "letterbox")).notes == []


def test_a_dead_head_is_noted(clip, tmp_path, caplog):
    model = FakeModel()
    model.dead_heads = (HeadHealth("bag", 12.0, 1e-7, False, "dead: its box weights are about 1.0e-07"),)
    result = run(clip, tmp_path, model)
    assert result.notes == ["The bag head of this model is dead: its box weights are about 1.0e-07."]
    assert caplog.text == ""


def test_what_is_left_out_of_a_folder_reaches_the_summary(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(1))
    (folder / "2.gif").write_bytes(b"GIF89a")
    result = run(folder, tmp_path / "out")
    assert "2.gif" in " ".join(json.loads((result.folder / "summary.json").read_text())["notes"])


def test_annotated_images_do_not_overwrite_each_other(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.bmp"), picture(3))
    cv2.imwrite(str(folder / "a.bmp.jpg"), picture(500))
    result = run(folder, tmp_path / "out")
    shown = {path.name: number_of(cv2.imread(str(path))) for path in result.images.iterdir()}
    assert shown == {"a.bmp-2.jpg": 3, "a.bmp.jpg": 500}


def test_a_source_alone_is_enough(clip, tmp_path, monkeypatch):
    monkeypatch.setattr("peoplenet_nb.video.running.PeopleNet.load", lambda **options: FakeModel())
    monkeypatch.setattr("peoplenet_nb.video.running.outputs_dir", lambda: tmp_path / "outputs")
    assert peoplenet_nb.run(clip).folder == tmp_path / "outputs" / "clip"
    mine = preset("deepstream").with_class("face", threshold=0.1)
    result = peoplenet_nb.run(str(clip), FakeModel(), mine, output=str(tmp_path / "out"))
    assert result.folder == tmp_path / "out" / "clip"
    assert result.summary["settings"] == mine.to_dict()


def test_the_home_folder_may_be_named_by_its_sign(clip, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run(clip, "~/out").folder == tmp_path / "home" / "out" / "clip"
    assert not (tmp_path / "~").exists()


def test_a_run_stays_in_its_output_folder(clip, tmp_path):
    for name in ("../evil", "a/b", "..", "/evil"):
        with pytest.raises(OutputError, match="name of a folder"):
            run(clip, tmp_path / "out", name=name)


def test_a_notebook_shows_what_was_found_the_times_and_the_paths(tmp_path):
    result = run(make_video(tmp_path / "<b>.mp4", 10), tmp_path / "out")
    shown = result._repr_html_()
    assert "&lt;b&gt;.mp4: 10 frames" in shown
    assert re.search(r">face</td><td[^>]*>2</td><td[^>]*>2</td>", shown)
    assert ">encode</td>" in shown
    assert "video.mp4" in shown
    assert str(result.folder) in shown
    assert "<b>" not in shown


# ---------------------------------------------------------------- order, threads, memory


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_order_holds_whatever_the_workers_do(clip, tmp_path, workers):
    rng = random.Random(workers)
    delays = [rng.choice([0, 0, 0.001, 0.02]) for _ in range(40)]
    result = run(clip, tmp_path, FakeModel(lambda n: delays[n]), workers=workers, part_frames=9)
    assert list(result.frames_to_pandas()["frame"]) == list(range(40))
    assert [number_of(f.image) for f in open_source(result.video)] == list(range(40))
    expected = run(clip, tmp_path / "plain", workers=1)
    assert tables(result.folder) == tables(expected.folder)


def test_reading_waits_for_slow_workers(tmp_path):
    """What bounds the memory: the reader is never more than a few frames per worker ahead."""
    source = open_source(make_video(tmp_path / "a.mp4", 60))
    ahead, most, lock = 0, 0, threading.Lock()
    real = source._pixels

    def pixels(*args):
        nonlocal ahead, most
        with lock:
            ahead += 1
            most = max(most, ahead)
        return real(*args)

    def finished(_number):
        nonlocal ahead
        with lock:
            ahead -= 1
        return 0.004

    source._pixels = pixels
    run(source, tmp_path / "out", FakeModel(finished), workers=2)
    assert most <= 2 * (2 + 1) + 2


MEMORY = """
import sys
from videos import FakeModel, make_video
from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.video import running
from peoplenet_nb.settings import Settings
running.run(sys.argv[1], FakeModel(), Settings(), sys.argv[2], progress=False, workers=2, part_frames=100,
            keyframes=sys.argv[3])
print(round(peak_memory_mb()))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("keyframes", "lengths"), [("off", (40, 400)), ("10", (150, 500))])
def test_memory_does_not_grow_with_the_video(tmp_path, keyframes, lengths):
    """With key frames two windows of 45 frames are in flight."""
    peaks = []
    for frames in lengths:
        path = make_video(tmp_path / f"{frames}.mp4", frames, (640, 360))
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, str(path), str(tmp_path / "out"), keyframes],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    # The frames more are 250 MB as pictures; what may differ is the allocator's mood.
    assert peaks[1] - peaks[0] < 50, peaks


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


# ---------------------------------------------------------------- the real thing


@pytest.mark.real
@pytest.mark.slow
def test_real_weights_find_people_on_the_real_video(shared, real_model_path, tmp_path):
    from peoplenet_nb.network.model import PeopleNet

    model = PeopleNet.load(real_model_path, device="cpu")
    result = run(shared / "data" / "vtest.avi", tmp_path, model, every=100, frames=5)
    assert list(result.frames_to_pandas()["frame"]) == [0, 100, 200, 300, 400]
    assert (result.frames_to_pandas()["person"] >= 2).all()
    assert check_video(result.video, frames=5).problems == ()
    assert result.summary["model"]["workers"] >= 1


@pytest.mark.parametrize("every", [10**6, 10**23])
def test_a_video_of_one_frame_is_written_however_coarse_the_sampling(clip, tmp_path, every):
    result = run(clip, tmp_path, every=every)
    assert check_video(result.video, frames=1).problems == ()


def test_names_that_are_no_utf8_or_have_blanks_at_their_ends_are_run(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a\udcff.png", " b.png"):
        cv2.imwrite(str(tmp_path / "c.png"), picture(3))
        (tmp_path / "c.png").rename(folder / name)
    result = run(folder, tmp_path / "out")
    assert list(result.frames_to_pandas()["source"]) == [" b.png", "a\\udcff.png"]
    assert run(folder, tmp_path / "out", resume=True).summary == result.summary
    assert run(folder, tmp_path / "out", overwrite=True).summary["frames"] == 2
    for name in ("v\udcff.mp4", " v.mp4 "):
        path = make_video(tmp_path / "v.mp4", 3).rename(tmp_path / name)
        assert run(str(path), tmp_path / "out", name="video", overwrite=True).summary["frames"] == 3


def test_an_output_whose_name_is_not_utf8_holds_everything(tmp_path):
    result = run(make_video(tmp_path / "v.mp4", 3), tmp_path / "a\udcff", save_grids=True)
    assert len(result.to_pandas()) > 0
    assert result.parquet.is_file()
    assert CellsFile(result.folder / "cells.parquet").frames == [0, 1, 2]
