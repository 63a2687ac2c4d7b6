"""Identities: the same person keeps a number, gaps are closed, who was never confirmed is not there."""

from __future__ import annotations

import builtins
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import peoplenet_nb as pn
from crowds import LABELS, SIZE, detections, walkers
from onnx_builder import detectnet, write
from peoplenet_nb.cli.main import app
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import InstallationError, OutputError, SettingsError, SourceError
from peoplenet_nb.tracks import Line, Scene, Tracker, count, track_boxes
from peoplenet_nb.video import tables
from runs import run
from videos import FakeModel, MovingModel, make_video

pytest.importorskip("trackers")

FPS = 10.0
CROWD = [(60, 200, 40, 0), (600, 300, -50, 0), (200, 420, 0, 2)]


def crowd(count: int, people=CROWD, lost=()) -> tuple[list[Detections], list[float]]:
    """People who walk; ``lost`` are ``(person, first, last)``: in those frames the person is not found."""
    times = [i / FPS for i in range(count)]
    frames = []
    for i, time in enumerate(times):
        seen = [n for n in range(len(people)) if not any(n == who and a <= i <= b for who, a, b in lost)]
        frames.append(walkers([people[n] for n in seen], time))
    return frames, times


@pytest.mark.parametrize("tracker", list(Tracker))
def test_everybody_keeps_a_number_with_every_tracker(tracker):
    tracks = track_boxes(*crowd(40), tracker=tracker)
    assert len(tracks) == 3
    for number in tracks.numbers:
        feet = tracks.feet[tracks.of(number)]
        who = [np.abs(feet - np.array([[x + dx * t, y + dy * t] for t in tracks.time_s[tracks.of(number)]])).max()
               for x, y, dx, dy in CROWD]  # fmt: skip
        assert min(who) < 1
        assert len(feet) > 30
    assert tracks.numbers.tolist() == [1, 2, 3]


def test_a_gap_is_closed_where_the_person_was_and_a_long_one_is_not():
    frames, times = crowd(40, CROWD[:1], lost=[(0, 15, 19)])
    tracks = track_boxes(frames, times)
    assert len(tracks) == 1
    closed = tracks.detection < 0
    assert tracks.frame[closed].tolist() == [15, 16, 17, 18, 19]
    truth = np.concatenate([walkers(CROWD[:1], times[i]).xyxy for i in range(15, 20)])
    assert tracks.xyxy[closed] == pytest.approx(truth, abs=0.01)
    assert not (track_boxes(frames, times, gap_s=0.3).detection < 0).any()
    long, times = crowd(60, CROWD[:1], lost=[(0, 15, 50)])
    assert not (track_boxes(long, times).detection < 0).any()


def test_what_is_seen_once_or_faintly_is_nobody():
    frames, times = crowd(30, CROWD[:1])
    flicker = detections([(500, 50, 540, 150, 0.9, 0)])
    faint = detections([(300, 300, 340, 400, 0.2, 0)])

    def with_(i):
        parts = [frames[i], *([flicker] if i == 12 else []), faint]
        arrays = {
            n: np.concatenate([getattr(p, n) for p in parts])
            for n in ("xyxy", "confidence", "class_id", "row", "col")
        }
        return Detections(**arrays, labels=LABELS)

    tracks = track_boxes([with_(i) for i in range(30)], times)
    assert len(tracks) == 1
    assert (tracks.xyxy[:, 0] < 250).all()


def test_every_class_has_its_own_tracks_and_detections_are_counted_over_all_frames():
    frames, times = crowd(20, CROWD[:2])
    both = [replace(f, class_id=np.array([0, 2])) for f in frames]
    tracks = track_boxes(both, times, numbers=range(100, 120))
    assert {tracks.labels[i] for i in tracks.class_id} == {"person", "face"}
    assert len(tracks.of_class("Face")) == len(tracks.of_class("person")) == 1
    assert len(tracks.of_class("car")) == 0
    assert tracks.frame.min() >= 100
    stacked = np.concatenate([f.xyxy for f in both])
    assert tracks.xyxy == pytest.approx(stacked[tracks.detection])
    assert tracks.frames.tolist() == list(range(100, 120))


def test_tables_say_who_was_there_for_how_long(tmp_path):
    frames, times = crowd(40, CROWD[:1], lost=[(0, 15, 17)])
    tracks = track_boxes(frames, times)
    (line,) = tracks.summary().to_dict("records")
    assert (line["track"], line["class"], line["last_frame"], line["gaps"]) == (1, "person", 39, 3)
    assert line["boxes"] + line["gaps"] == 40 - line["first_frame"]
    assert line["seconds"] == pytest.approx(3.9 - line["first_s"])
    assert line["confidence"] == pytest.approx(0.8)
    table = tracks.to_pandas()
    assert table["origin"].value_counts().to_dict() == {"detected": line["boxes"], "gap": 3}
    assert "1 person" in repr(tracks)
    assert "1 person" in tracks._repr_html_()
    lines = np.loadtxt(tracks.to_mot(tmp_path / "mot.txt"), delimiter=",")
    assert lines[:, 0].min() == tracks.frame.min() + 1
    assert lines[0, 2:6] == pytest.approx(
        [*(tracks.xyxy[0, :2] + 1), *(tracks.xyxy[0, 2:] - tracks.xyxy[0, :2])], abs=0.01
    )


@pytest.mark.parametrize("frames", [[], [Detections.empty(LABELS)] * 5])
def test_nobody_is_nobody(frames, tmp_path):
    tracks = track_boxes(frames, [i / FPS for i in range(len(frames))])
    assert len(tracks) == len(tracks.summary()) == len(tracks.to_pandas()) == 0
    assert tracks.to_mot(tmp_path / "mot.txt").read_text() == ""
    assert "0 in" in repr(tracks)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tracker": "kalman"}, "bytetrack"),
        ({"gap_s": -1}, "gap_s"),
        ({"gap_s": float("nan")}, "gap_s"),
        ({"times": [0.0, 0.0]}, "in seconds"),
        ({"times": [0.0]}, "in seconds"),
        ({"times": [0.0, float("nan")]}, "in seconds"),
    ],
)
def test_bad_requests_are_refused(options, says):
    options = {"times": [0.0, 0.1]} | options
    with pytest.raises(SettingsError, match=says):
        track_boxes([Detections.empty(LABELS)] * 2, **options)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name in ("trackers", "supervision"):
            raise ImportError(f"no module named {name}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InstallationError, match="bash setup_runpod.sh installs it"):
        track_boxes(*crowd(3))


# ---------------------------------------------------------------- runs


@pytest.fixture(autouse=True)
def no_cuts(monkeypatch):
    """The pictures of tests carry numbers, each another picture."""
    monkeypatch.setattr("peoplenet_nb.video.original.scene_cut", lambda before, after: False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4", 50)


@pytest.mark.parametrize("keyframes", ["off", 3])
def test_a_run_is_followed_and_stays_as_it_is(clip, tmp_path, keyframes, monkeypatch):
    monkeypatch.setattr("peoplenet_nb.video.pipeline.scene_cut", lambda before, after: False)
    result = run(clip, tmp_path, MovingModel(), keyframes=keyframes)
    before = {path: path.read_bytes() for path in result.folder.rglob("*") if path.is_file()}
    tracked = pn.track(result)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert len(tracked.tracks) == 1
    (line,) = pd.read_csv(tracked.table).to_dict("records")
    assert (line["class"], line["last_frame"]) == ("person", 49)
    boxes = pd.read_csv(tracked.boxes_table)
    wanted = result.to_pandas().iloc[tracked.tracks.detection]
    assert boxes[["x1", "y1", "x2", "y2"]].to_numpy() == pytest.approx(
        wanted[["x1", "y1", "x2", "y2"]].to_numpy(), abs=0.011
    )
    assert str(tracked.table) in str(tracked)
    assert "1 person" in tracked._repr_html_()
    assert len(pn.track(str(result.folder)).tracks) == 1


def test_everybody_has_a_track_from_the_first_frame_on():
    tracks = track_boxes(*crowd(20))
    assert len(tracks.at(0)) == 3
    frames, times = crowd(20)
    faint = [
        replace(f, confidence=np.full(3, 0.35 if i < 6 else 0.9, np.float32)) for i, f in enumerate(frames)
    ]
    tracks = track_boxes(faint, times)
    assert len(tracks.at(0)) == 3, "they were too faint to begin a track, and the video is recorded"
    assert len(tracks) == 3
    stray = [replace(f, class_id=np.full(3, 2)) if i < 6 else f for i, f in enumerate(frames)]
    first = [tracks.frame[tracks.of(n)][0] for tracks in [track_boxes(stray, times)] for n in tracks.numbers]
    assert sorted(first) == [0, 0, 0, 6, 6, 6], "faces before are nobody's bodies"


def test_nobody_is_followed_over_a_cut_nor_counted_there():
    whole = track_boxes(*crowd(20, CROWD[:1]))
    x = float(whole.feet[9:11, 0].mean())  # where they are at the cut
    scene = Scene(SIZE, {"gate": Line(((x, 0), (x, SIZE[1])))})
    assert len(count(whole, scene).crossings) == 1
    tracks = track_boxes(*crowd(20, CROWD[:1]), begins=[10])
    assert not len(count(tracks, scene).crossings)
    assert len(tracks) == 2
    assert [tracks.frame[tracks.of(n)].tolist() for n in (1, 2)] == [[*range(10)], [*range(10, 20)]]


def test_the_video_of_a_run_is_found_from_another_folder(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(clip.parent)
    result = run(Path(clip.name), tmp_path, MovingModel())
    monkeypatch.chdir(tmp_path)
    assert pn.track(result.folder).notes == ()


def test_cuts_of_a_run_are_looked_for_in_its_video(clip, tmp_path, monkeypatch):
    result = run(clip, tmp_path, MovingModel())
    seen = []

    def cut(before, after):
        seen.append(after)
        return len(seen) == 25

    monkeypatch.setattr("peoplenet_nb.video.original.scene_cut", cut)
    tracked = pn.track(result)
    assert tracked.tracks.summary()["first_frame"].tolist() == [0, 25]
    assert tracked.notes == ()
    result.summary["source"]["spec"] = str(tmp_path / "gone.mp4")
    tracked = pn.track(result)
    assert len(tracked.tracks) == 1
    assert "Cuts were not looked for" in str(tracked)
    assert "Cuts were not looked for" in tracked._repr_html_()
    result.summary["source"]["spec"] = "https://example.org/video.mp4"
    assert "not on this machine" in str(pn.track(result))
    with pytest.raises(SourceError):
        pn.track(result, source=tmp_path / "gone.mp4")


class Fading(MovingModel):
    """Who walks is seen faintly for some frames."""

    def _grids(self, number, fit):
        grids = super()._grids(number, fit)
        if 20 <= number < 28:
            grids = replace(grids, coverage=grids.coverage / 3)
        return grids


@pytest.mark.parametrize("tracker", ["bytetrack", "sort"])
def test_faint_boxes_of_saved_cells_carry_tracks_on(clip, tmp_path, tracker):
    settings = pn.Settings().with_class("person", threshold=0.5)
    result = run(clip, tmp_path, Fading(), settings, save_grids=True)
    assert len(result.to_pandas()) == 42
    tracked = pn.track(result, tracker=tracker)
    table = pd.read_csv(tracked.boxes_table)
    kept = table[table["detection"] >= 0]
    own = result.to_pandas().iloc[kept["detection"]]
    assert own["frame"].tolist() == kept["frame"].tolist()
    assert own[["x1", "y2"]].to_numpy() == pytest.approx(kept[["x1", "y2"]].to_numpy(), abs=0.02)
    of_gap = table[table["frame"].between(20, 27)]["origin"].unique().tolist()
    assert of_gap == (["faint"] if tracker == "bytetrack" else ["gap"])
    assert tracked.tracks.summary()["boxes"].tolist() == [50 if tracker == "bytetrack" else 42]


def test_tracks_are_drawn_into_the_video(clip, tmp_path):
    result = run(clip, tmp_path, MovingModel(), video=False)
    tracked = pn.track(result, smooth_s=0.2)
    scene = pn.Scene.from_dict({"frame_size": [160, 96], "lines": {"door": {"points": [[80, 0], [80, 96]]}}})
    video = tracked.draw(tracked.count(scene), progress=False)
    drawn = list(pn.open_source(video))
    assert len(drawn) == 50
    i = int(tracked.tracks.at(20)[0])
    x1, y1, _, y2 = tracked.tracks.xyxy[i].round().astype(int)
    plain = next(iter(pn.open_source(clip, start=20))).image
    assert abs(drawn[20].image[(y1 + y2) // 2, x1].astype(int) - plain[(y1 + y2) // 2, x1]).max() > 40
    assert abs(drawn[20].image[60:, 78:83].astype(int) - plain[60:, 78:83]).max() > 80, "the line"
    pn.track(result)
    assert not video.exists(), "its tracks have other numbers now"
    done = CliRunner().invoke(
        app, ["track", str(result.folder), "--video", "--no-progress", "--smooth", "0.3"]
    )
    assert done.exit_code == 0, done.output
    assert video.exists()
    video.unlink()
    video.hardlink_to(clip)
    with pytest.raises(OutputError, match="over the original"):
        tracked.draw(progress=False)


def test_what_is_no_run_of_a_video_is_refused(tmp_path, clip):
    for no_run in (tmp_path, "~nobody-of-that-name/run", "a\0b"):
        with pytest.raises(OutputError, match="not the folder of a run"):
            pn.track(no_run)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "run.json").touch()
    with pytest.raises(OutputError, match="--resume"):
        pn.track(tmp_path / "begun")
    result = run(clip, tmp_path, FakeModel())
    result.summary["source"]["kind"] = "images"
    with pytest.raises(SourceError, match="run of a video"):
        pn.track(result)


def test_the_shell_says_what_it_wrote(clip, tmp_path):
    folder = run(clip, tmp_path, MovingModel()).folder
    done = CliRunner().invoke(app, ["track", str(folder), "--tracker", "sort", "--gap", "0.5"])
    assert done.exit_code == 0, done.output
    assert "1 person" in done.output
    assert (folder / "tracks.csv").exists()
    done = CliRunner().invoke(app, ["track", str(folder), "--tracker", "magic"])
    assert (done.exit_code, "bytetrack" in done.output) == (1, True)


def test_a_scene_is_counted_on_a_run(clip, tmp_path):
    result = run(clip, tmp_path, MovingModel())
    tracked = pn.track(result)
    feet = tracked.tracks.feet[tracked.tracks.of(1)]
    middle = float(feet[:, 0].mean())
    scene = pn.Scene.from_dict(
        {"frame_size": [160, 96], "lines": {"door": {"points": [[middle, 0], [middle, 96]], "swap": True}}}
    )
    path = scene.to_yaml(tmp_path / "scene.yaml")
    assert tracked.count(path).lines().to_dict("records") == [{"line": "door", "in": 1, "out": 0}]
    assert len(pd.read_csv(result.folder / "crossings.csv")) == 1
    assert len(pd.read_csv(result.folder / "presence.csv")) == 50
    done = CliRunner().invoke(app, ["track", str(result.folder), "--scene", str(path)])
    assert "door" in done.output
    with pytest.raises(SettingsError, match="another size"):
        tracked.count(scene.scaled((320, 192)))
    again = pn.track(result, tracker="sort")
    assert not (result.folder / "crossings.csv").exists(), "its tracks have other numbers now"
    assert "Removed" in str(again)
    assert "crossings.csv, visits.csv, presence.csv;" in str(again)
    assert pn.track(result).notes == ()


def test_detect_follows_people_too(tmp_path):
    model = write(detectnet(), tmp_path / "model" / "m.onnx")
    video = make_video(tmp_path / "clip.mp4", 8)
    scene = pn.Scene.from_dict({"frame_size": [160, 96], "lines": {"door": {"points": [[80, 0], [80, 96]]}}})
    path = scene.to_yaml(tmp_path / "scene.yaml")
    command = [
        "detect",
        str(video),
        "--model",
        str(model),
        "--device",
        "cpu",
        "--no-progress",
        "-o",
        str(tmp_path),
    ]
    done = CliRunner().invoke(app, [*command, "--scene", str(path)])
    assert done.exit_code == 0, done.output
    assert "door" in done.output
    assert (tmp_path / "clip" / "tracks.csv").exists()
    done = CliRunner().invoke(app, [*command, "--overwrite", "--scene", str(tmp_path / "none.yaml")])
    assert (done.exit_code, "cannot be read" in done.output) == (1, True)


def test_times_that_do_not_rise_are_those_of_the_frames_that_were_taken():
    result = SimpleNamespace(summary={"source": {"fps": 25.0}, "sampling": {"every": 5}})
    assert tables._rising([0.0, 0.0, 1.0], result) == pytest.approx([0.0, 0.2, 0.4])
    assert tables._rising([0.0, 0.1, 1.0], result) == [0.0, 0.1, 1.0]
