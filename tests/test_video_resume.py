"""Runs that are cut: by a kill, by Ctrl-C, by a failing frame; and folders that are refused."""

from __future__ import annotations

import copy
import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from functools import reduce
from operator import getitem
from pathlib import Path
from shutil import copytree

import cv2
import pytest

from peoplenet_nb.cells import open_grids
from peoplenet_nb.errors import DeviceError, GridsError, OutputError, SettingsError, SourceError
from peoplenet_nb.settings import ClassSettings, Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import RunInterrupted
from peoplenet_nb.video.mp4 import check_video
from peoplenet_nb.video.runfolder import RunFolder
from runs import interrupt_at, run, tables
from videos import FakeModel, make_video, number_of, picture


@pytest.fixture
def clip(tmp_path) -> Path:
    return make_video(tmp_path / "clip.mp4", 40)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


# ---------------------------------------------------------------- cut and continued

CUT = """
import sys
from pathlib import Path
from videos import FakeModel
from peoplenet_nb.video import running
from peoplenet_nb.settings import Settings
try:
    running.run(sys.argv[1], FakeModel(lambda n: 0.02), Settings(), sys.argv[2], progress=False, workers=2,
              part_frames=10, save_grids=True)
except running.RunInterrupted as stopped:
    print("interrupted", stopped.result.summary["frames"], stopped.result.interrupted)
    sys.exit(130)
"""


def cut_run(video: Path, output: Path, how: signal.Signals, parts: int) -> subprocess.Popen[str]:
    """Start a run in a process of its own and send it a signal once some parts are finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", CUT, str(video), str(output)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    manifest = output / video.stem / "run.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if manifest.exists() and len(json.loads(manifest.read_text())["parts"]) >= parts:
            break
        time.sleep(0.005)
    assert process.poll() is None, process.communicate()
    process.send_signal(how)
    return process


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "long.mp4", 200)


@pytest.fixture(scope="module")
def uncut(long_video, tmp_path_factory):
    return run(long_video, tmp_path_factory.mktemp("uncut"), save_grids=True)


@pytest.mark.parametrize("parts", [1, 4])
def test_killed_run_continues_to_the_same_tables(long_video, uncut, tmp_path, parts):
    process = cut_run(long_video, tmp_path, signal.SIGKILL, parts)
    assert process.wait(30) == -signal.SIGKILL
    folder = tmp_path / "long"
    assert not (folder / "video.mp4").exists()
    # A kill in the middle of a rename leaves a part that the manifest does not know; it must not be used.
    (folder / "parts" / "00099.detections.csv").write_text("rubbish")
    model = FakeModel()
    seen = []
    model.delay = lambda n: seen.append(n) or 0.0
    result = run(long_video, tmp_path, model, resume=True, save_grids=True)
    assert tables(result.folder) == tables(uncut.folder)
    assert check_video(result.video, frames=200).problems == ()
    assert [number_of(f.image) for f in open_source(result.video)] == list(range(200))
    assert min(seen) >= 10 * parts  # finished parts are not inferred again
    assert open_grids(result.folder).frames == list(range(200))
    assert result.summary["complete"]
    assert result.summary["counts"] == uncut.summary["counts"]
    assert not (folder / "parts").exists()


def test_interrupted_run_leaves_valid_files_and_continues(long_video, uncut, tmp_path):
    process = cut_run(long_video, tmp_path, signal.SIGINT, 2)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    folder = tmp_path / "long"
    summary = json.loads((folder / "summary.json").read_text())
    assert out.split() == ["interrupted", str(summary["frames"]), "True"]
    assert not summary["complete"]
    assert 20 <= summary["frames"] < 200
    assert check_video(folder / "video.mp4", frames=summary["frames"]).problems == ()
    whole = (uncut.folder / "detections.csv").read_bytes()
    assert whole.startswith((folder / "detections.csv").read_bytes())  # valid, and a beginning of the whole
    result = run(long_video, tmp_path, resume=True, save_grids=True)
    assert tables(result.folder) == tables(uncut.folder)
    assert check_video(result.video, frames=200).problems == ()
    assert not result.interrupted


def test_ctrl_c_raises_to_the_caller_with_the_result(clip, tmp_path):
    before, threads = signal.getsignal(signal.SIGINT), set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt) as caught:
        run(clip, tmp_path, FakeModel(interrupt_at(20)), workers=2)
    assert isinstance(caught.value, RunInterrupted)
    assert caught.value.result.interrupted
    assert 20 < caught.value.result.summary["frames"] < 40
    assert signal.getsignal(signal.SIGINT) is before
    assert {one.name for one in threading.enumerate() if one not in threads} <= {"tqdm_monitor"}


def test_second_ctrl_c_stops_at_once_and_keeps_finished_parts(clip, tmp_path):
    def press(number):
        if number in (22, 23):
            time.sleep(0.2 * (number == 23))  # two signals at once would count as one
            os.kill(os.getpid(), signal.SIGINT)
        return 0.02  # slower than the reader, so that some frames are in flight

    with pytest.raises(KeyboardInterrupt) as caught:
        run(clip, tmp_path, FakeModel(press), workers=1, part_frames=10)
    assert not isinstance(caught.value, RunInterrupted)
    kept = json.loads((tmp_path / "clip" / "run.json").read_text())["parts"]
    assert [part["frames"] for part in kept] == [10, 10]
    assert not list((tmp_path / "clip" / "parts").glob("*.part"))
    result = run(clip, tmp_path, resume=True)
    assert list(result.frames_to_pandas()["frame"]) == list(range(40))


def test_run_in_a_thread_of_its_own_needs_no_signals(clip, tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(clip, tmp_path)))
    thread.start()
    thread.join(30)
    assert results[0].summary["complete"]


@pytest.mark.parametrize("every", [1, 7])
def test_source_that_breaks_off_keeps_what_was_done(clip, tmp_path, every):
    class Breaking(type(open_source(clip))):
        broken = True

        def _walk(self):
            for candidate in super()._walk():
                if self.broken and candidate.index == 22:
                    raise SourceError(
                        "The connection to the video broke off", next_step="continue with --resume."
                    )
                yield candidate

    source = open_source(clip, every=every)
    source.__class__ = Breaking
    with pytest.raises(SourceError, match="broke off"):
        run(source, tmp_path / "out")
    Breaking.broken = False
    result = run(source, tmp_path / "out", resume=True)
    assert tables(result.folder) == tables(run(clip, tmp_path / "whole", every=every).folder)


def test_frame_that_fails_is_an_error_and_can_be_continued(clip, tmp_path):
    def fail(number):
        if number == 17:
            raise GridsError("coverage holds values that are not numbers", seen="NaN")
        return 0.0

    with pytest.raises(GridsError, match="not numbers"):
        run(clip, tmp_path, FakeModel(fail), workers=2)
    result = run(clip, tmp_path, resume=True)
    assert list(result.frames_to_pandas()["frame"]) == list(range(40))


def test_complete_run_returns_at_once(clip, tmp_path):
    first = run(clip, tmp_path)
    model = FakeModel(lambda n: pytest.fail("it was run again"))
    again = run(clip, tmp_path, model, resume=True)
    assert again.summary == first.summary
    assert again.video == first.video
    assert not (first.folder / "parts").exists()


# ---------------------------------------------------------------- folders that are refused


def test_existing_results_are_refused_naming_both_ways_on(clip, tmp_path):
    run(clip, tmp_path)
    with pytest.raises(OutputError, match=r"--resume.*--overwrite"):
        run(clip, tmp_path)


def test_overwrite_begins_anew_and_leaves_other_files_alone(clip, tmp_path):
    first = run(clip, tmp_path, save_grids=True)
    (first.folder / "mine.txt").write_text("keep me")
    second = run(clip, tmp_path, every=2, overwrite=True)
    assert len(second.frames_to_pandas()) == 20
    assert (first.folder / "mine.txt").read_text() == "keep me"
    assert not (first.folder / "cells.parquet").exists()


COUNTED = ("tracks.csv", "tracked.csv", "crossings.csv", "visits.csv", "presence.csv")


def test_a_run_that_becomes_another_keeps_no_tracks_of_before(clip, tmp_path):
    def tracked(folder: Path) -> None:
        for name in COUNTED:
            (folder / name).write_text("of before")

    folder = tmp_path / "clip"
    folder.mkdir()
    tracked(folder)
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path, FakeModel(interrupt_at(20)), part_frames=5)
    assert all((folder / name).exists() for name in COUNTED), "no run was here"
    run(clip, tmp_path, resume=True)
    assert not any((folder / name).exists() for name in COUNTED)
    tracked(folder)
    run(clip, tmp_path, resume=True)
    assert all((folder / name).exists() for name in COUNTED), "it was complete"
    run(clip, tmp_path, overwrite=True)
    assert not any((folder / name).exists() for name in COUNTED)
    (folder / "tracks.csv").write_text("of another program")
    run(clip, tmp_path, overwrite=True)
    assert (folder / "tracks.csv").exists()


def made_by_an_earlier_version(folder: Path) -> Path:
    """Leave a run's grids as they were kept before there was one file for them: a file a frame."""
    saved = open_grids(folder)
    for frame, grids in zip(saved.frames, saved, strict=True):
        grids.save(folder / "grids" / f"{frame:06d}.npz")
    (folder / "cells.parquet").unlink()
    manifest = (folder / "run.json").read_text()
    (folder / "run.json").write_text(manifest.replace('"save_grids": "cells.parquet"', '"save_grids": true'))
    return folder / "grids"


def test_overwrite_removes_what_an_earlier_version_saved(clip, tmp_path):
    old = made_by_an_earlier_version(run(clip, tmp_path, save_grids=True).folder)
    with pytest.raises(OutputError, match="save_grids was True and is cells.parquet"):
        run(clip, tmp_path, save_grids=True, resume=True)
    assert len(list(old.iterdir())) == 40
    run(clip, tmp_path, overwrite=True)
    assert not old.exists()


def test_two_sources_that_share_a_folder_are_told_apart(clip, tmp_path):
    """``clip.mp4`` and ``clip.png`` in separate calls both go to ``clip``."""
    first = run(clip, tmp_path)
    cv2.imwrite(str(tmp_path / "clip.png"), picture(1))
    with pytest.raises(OutputError, match=r"summary.json.* of clip.mp4"):
        run(tmp_path / "clip.png", tmp_path)
    with pytest.raises(OutputError, match=r"another source.*clip.mp4, not clip.png"):
        run(tmp_path / "clip.png", tmp_path, overwrite=True)
    assert first.video.is_file()
    assert run(clip, tmp_path, every=2, overwrite=True).summary["frames"] == 20


def test_overwrite_removes_nothing_that_the_run_did_not_write(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(1))
    first = run(folder, tmp_path / "out", save_grids=True)
    made_by_an_earlier_version(first.folder)
    mine = [first.folder / name for name in ("images/mine.png", "grids/1.npz", "parts/mine.mp4")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("keep me")
    (folder / "1.png").rename(folder / "2.png")
    second = run(folder, tmp_path / "out", overwrite=True)
    assert [path.read_text() for path in mine] == ["keep me"] * 3
    assert sorted(path.name for path in second.images.iterdir()) == ["2.png", "mine.png"]
    assert [path.name for path in (first.folder / "grids").iterdir()] == ["1.npz"]


def test_overwrite_removes_nothing_through_a_link(clip, tmp_path):
    first = run(clip, tmp_path, save_grids=True)
    made_by_an_earlier_version(first.folder)
    (first.folder / "grids").rename(tmp_path / "elsewhere")
    (first.folder / "grids").symlink_to(tmp_path / "elsewhere")
    run(clip, tmp_path, overwrite=True)
    assert len(list((tmp_path / "elsewhere").iterdir())) == 40


def test_parts_behind_a_link_are_left_alone(clip, tmp_path):
    folder, elsewhere = tmp_path / "clip", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "00042.mp4").write_text("keep me")
    (folder / "parts").symlink_to(elsewhere)
    assert run(clip, tmp_path, overwrite=True).summary["complete"]
    assert (elsewhere / "00042.mp4").read_text() == "keep me"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"settings": Settings(nms_iou=0.3)}, "settings.nms.iou was 0.5 and is 0.3"),  # other boxes
        ({"every": 2}, "sampling.every was 1 and is 2"),  # other frames
        ({"model": FakeModel(sha256="0" * 64)}, "model.sha256"),  # another network
        ({"video": False}, "video was True and is False"),  # parts without a picture
    ],
)
def test_another_run_is_not_continued(clip, tmp_path, change, named):
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path, FakeModel(interrupt_at(9)))
    with pytest.raises(OutputError, match=named):
        run(clip, tmp_path, **({"resume": True} | change))


def test_another_video_of_the_same_name_is_not_continued(clip, tmp_path):
    run(clip, tmp_path / "out")
    (tmp_path / "other").mkdir()
    other = make_video(tmp_path / "other" / "clip.mp4", 30)
    with pytest.raises(OutputError, match="another run"):
        run(other, tmp_path / "out", resume=True)
    assert run(other, tmp_path / "out", name="clip-2").folder.name == "clip-2"


def test_a_preset_renamed_is_still_the_same_run(clip, tmp_path):
    run(clip, tmp_path, settings=Settings(preset="mine"))
    assert run(clip, tmp_path, settings=Settings(preset="yours"), resume=True).summary["complete"]


def test_a_run_killed_before_its_first_record_does_not_block_the_next(clip, tmp_path):
    """Neither with --resume nor without; what is in ``parts/`` of somebody else's stays."""
    for resume in (True, False):
        folder = tmp_path / f"out-{resume}" / "clip"
        (folder / "parts").mkdir(parents=True)
        (folder / "parts" / ".00000.frames.csv.part").write_text("half a line")
        (folder / "parts" / "mine.txt").write_text("keep me")
        assert run(clip, folder.parent, resume=resume).summary["frames"] == 40
        assert [path.name for path in (folder / "parts").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("resume", [True, False])
def test_a_failed_first_run_does_not_block_the_corrected_one(clip, tmp_path, resume):
    def fails(_number):
        raise GridsError("outputs are float16", seen="float16")

    with pytest.raises(GridsError):
        run(clip, tmp_path, FakeModel(fails, sha256="0" * 64), save_grids=True)
    assert (tmp_path / "clip" / "run.json").exists()
    assert run(clip, tmp_path, resume=resume).summary["complete"]


def test_an_unknown_encoder_leaves_no_folder(clip, tmp_path):
    with pytest.raises(DeviceError, match="Unknown encoder"):
        run(clip, tmp_path / "out", encoder="x")
    assert not (tmp_path / "out").exists()


def photos(folder: Path) -> Path:
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"{number}.png"), picture(number))
    return folder


def test_images_of_a_part_that_was_killed_are_known_to_the_next_run(tmp_path):
    def dies(number):
        if number == 7:  # as if the process were killed: nothing is tidied up
            raise KeyboardInterrupt
        return 0.0

    folder = photos(tmp_path / "photos")
    with pytest.raises(KeyboardInterrupt):
        run(folder, tmp_path / "out", FakeModel(dies), workers=1, part_frames=5)
    images = tmp_path / "out" / "photos" / "images"
    assert len(list(images.iterdir())) > 5  # more than the finished part names
    (images / "mine.png").write_text("keep me")
    for path in list(folder.iterdir())[2:]:
        path.unlink()
    again = run(folder, tmp_path / "out", overwrite=True)
    assert len(list(images.iterdir())) == 3 == again.summary["frames"] + 1


def test_images_of_somebody_else_are_not_replaced_unasked(tmp_path):
    folder, mine = photos(tmp_path / "photos"), tmp_path / "out" / "photos" / "images" / "3.png"
    mine.parent.mkdir(parents=True)
    mine.write_text("keep me")
    with pytest.raises(OutputError, match="would replace.*images/3.png"):
        run(folder, tmp_path / "out")
    assert mine.read_text() == "keep me"
    run(folder, tmp_path / "out", overwrite=True)
    assert mine.read_bytes() != b"keep me"


@pytest.fixture(scope="module")
def cut_photos(tmp_path_factory) -> Path:
    """The folder of a run that was interrupted."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.raises(RunInterrupted):
        run(photos(folder / "photos"), folder / "out", FakeModel(interrupt_at(8)), part_frames=3, workers=1)
    return folder / "out" / "photos"


def places(value, path=()):
    """Yield the path to each value of a manifest; the fingerprint may hold anything."""
    yield path
    if isinstance(value, dict | list) and path != ("fingerprint",):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*path, key))


ODD = [
    None,
    True,
    "x",
    -1,
    10**400,
    0.5,
    [],
    {},
    [None],
    {"../x": "y"},
    math.nan,
    math.inf,
    "../../x",
    [0, 0],
]


def test_a_manifest_with_anything_odd_in_it_is_taken_as_it_is_or_refused(cut_photos, tmp_path, monkeypatch):
    """No other exception; whatever is taken holds what the run's code expects."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    good = json.loads((cut_photos / "run.json").read_text())
    folder = tmp_path / "run"
    folder.mkdir()
    refused = 0
    for path in places(good):
        for odd in ODD:
            data = {"": copy.deepcopy(good)}
            *above, last = ("", *path)
            reduce(getitem, above, data)[last] = odd
            (folder / "run.json").write_text(json.dumps(data[""]))
            try:
                manifest = RunFolder(folder, good["fingerprint"], resume=True, overwrite=False)
            except OutputError:
                refused += 1
                continue
            manifest.release()
            manifest.save()
    assert refused > 500


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("parts", 0, "files"), None, "it.parts\\[0\\].files is 'None'"),
        (("parts", 1, "wall_s"), "x", "it.parts\\[1\\].wall_s is 'x'"),
        (("parts", 0, "seconds", "read"), math.nan, "it.parts\\[0\\].seconds.read is 'nan'"),
        (("parts", 0, "frames"), True, "frames is 'True'"),
        (("parts", 0, "cat"), 1, "holds 'cat'"),
        (("parts", 0, "files"), {"../../etc/passwd": ""}, "with files"),
        (("parts", 0, "files"), {"00001.mp4": ""}, "with files"),  # another part's
        (("parts", 0, "name"), "00007", "is called"),
        (("parts", 0, "frames"), 0, "has 0 frames"),
        (("parts", 0, "first"), 7, "has 3 frames, 7 to 2"),
        (("parts", 0, "counts"), {"cat": 1}, "count different classes"),
        (("video_size",), [0, 0], "the video is"),
        (("video_size",), [1], "video_size is"),
        (("images",), [1], "it.images\\[0\\] is '1'"),
        (("format",), 7, "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named(cut_photos, tmp_path, path, value, reason):
    data = json.loads((cut_photos / "run.json").read_text())
    reduce(getitem, path[:-1], data)[path[-1]] = value
    (tmp_path / "run.json").write_text(json.dumps(data))
    with pytest.raises(OutputError, match=reason):
        RunFolder(tmp_path, data["fingerprint"], resume=True, overwrite=False)


def test_a_manifest_whose_parts_name_their_images_is_read_too(cut_photos, tmp_path):
    data = json.loads((cut_photos / "run.json").read_text())
    data["parts"][0]["images"], data["images"] = ["a.png"], []
    (tmp_path / "run.json").write_text(json.dumps(data))
    folder = RunFolder(tmp_path, data["fingerprint"], "", ["b.png"], resume=True, overwrite=False)
    folder.release()
    assert folder.manifest.images == ["a.png", "b.png"]


def test_classes_that_a_manifest_made_up_are_not_counted(cut_photos, tmp_path):
    copytree(cut_photos, tmp_path / "photos")
    data = json.loads((cut_photos / "run.json").read_text())
    for part in data["parts"]:
        part["counts"] = part["frames_with"] = {"cat": 1}
    (tmp_path / "photos" / "run.json").write_text(json.dumps(data))
    result = run(cut_photos.parents[1] / "photos", tmp_path, resume=True)
    assert list(result.summary["counts"]) == list(FakeModel().labels)


@pytest.mark.parametrize("harm", ["cut", "gone"])
@pytest.mark.parametrize(
    "name", ["00001.frames.csv", "00001.detections.csv", "00001.cells.parquet", "00001.mp4"]
)
def test_a_part_that_was_harmed_is_made_again(clip, tmp_path, name, harm):
    with pytest.raises(RunInterrupted):
        run(clip, tmp_path / "out", FakeModel(interrupt_at(25)), part_frames=8, workers=1, save_grids=True)
    path = tmp_path / "out" / "clip" / "parts" / name
    if harm == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
    result = run(clip, tmp_path / "out", resume=True, part_frames=8, save_grids=True)
    assert tables(result.folder) == tables(run(clip, tmp_path / "whole", save_grids=True).folder)
    assert check_video(result.video, frames=40).problems == ()


def test_a_complete_run_without_its_table_is_not_given_as_complete(clip, tmp_path):
    first = run(clip, tmp_path)
    first.video.unlink()
    again = run(clip, tmp_path, resume=True)
    assert again.video is None
    assert "video.mp4" not in str(again)
    first.table.unlink()
    with pytest.raises(OutputError, match=r"not there any more.*detections\.csv.*--overwrite"):
        run(clip, tmp_path, resume=True)


BROKEN = ["", "{", '{"format": 99}', "[]", "null", '{"format": 1, "parts": [{}]}', "[" * 10**5]


@pytest.mark.parametrize(
    "text", [*BROKEN, '{"format": 1, "parts": [], "video_size": null, "fingerprint": 3}']
)
def test_broken_manifest_is_an_error(clip, tmp_path, text):
    folder = tmp_path / "clip"
    folder.mkdir()
    (folder / "run.json").write_text(text)
    with pytest.raises(OutputError, match="manifest"):
        run(clip, tmp_path, resume=True)
    assert run(clip, tmp_path, overwrite=True).summary["complete"]


@pytest.mark.parametrize(
    "text",
    [*BROKEN, '{"complete": true, "files": {"detections": "detections.csv", "frames": "frames.csv"}}'],
)
def test_broken_summary_is_an_error(clip, tmp_path, text):
    first = run(clip, tmp_path)
    (first.folder / "summary.json").write_text(text)
    with pytest.raises(OutputError, match="summary"):
        run(clip, tmp_path, resume=True)


def test_folder_that_cannot_be_written_is_an_error(clip, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run(clip, tmp_path / "file")


def test_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(clip, tmp_path):
    started, go_on = threading.Event(), threading.Event()

    def wait(number):
        started.set()
        go_on.wait(20)
        return 0.0

    first = threading.Thread(target=lambda: run(clip, tmp_path, FakeModel(wait)))
    first.start()
    try:
        assert started.wait(20)
        with pytest.raises(OutputError, match="Another run"):
            run(clip, tmp_path, resume=True)
    finally:
        go_on.set()
        first.join(30)
    assert run(clip, tmp_path, resume=True).summary["complete"]


def test_full_disk_is_an_error_and_the_run_continues_when_there_is_room(clip, tmp_path, monkeypatch):
    from peoplenet_nb.video.parts import PartWriter

    real = PartWriter._write_video

    def full(self, image, at_s):
        if len(self._run.manifest.parts) == 2:
            raise OSError(28, "No space left on device")
        real(self, image, at_s)

    monkeypatch.setattr(PartWriter, "_write_video", full)
    with pytest.raises(OutputError, match="No space left"):
        run(clip, tmp_path, part_frames=10)
    monkeypatch.setattr(PartWriter, "_write_video", real)
    result = run(clip, tmp_path, resume=True)
    assert list(result.frames_to_pandas()["frame"]) == list(range(40))
    assert check_video(result.video, frames=40).problems == ()


@pytest.mark.parametrize("part_frames", [20, 100])
def test_a_disk_that_is_full_when_a_part_ends_is_an_error_of_ours(clip, tmp_path, part_frames):
    """The last lines of a part are not on disk before it ends: closing its tables fails a second time."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(number):
        if number == 15:
            resource.setrlimit(resource.RLIMIT_FSIZE, (400, hard))
        return 0.0

    try:
        with pytest.raises(OutputError, match="cannot be written"):
            run(clip, tmp_path, FakeModel(full), video=False, part_frames=part_frames)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert run(clip, tmp_path, resume=True, video=False).summary["frames"] == 40


def test_wrong_class_name_is_an_error_before_anything_is_written(clip, tmp_path):
    with pytest.raises(SettingsError, match="dog"):
        run(clip, tmp_path / "out", settings=Settings(classes={"dog": ClassSettings()}))
    assert not (tmp_path / "out").exists()


def test_source_without_any_frame_left_is_an_error(tmp_path):
    path = make_video(tmp_path / "a.mkv", 5)  # it does not state its number of frames
    with pytest.raises(SourceError, match="gave no frame"):
        run(path, tmp_path / "out", start=50)
