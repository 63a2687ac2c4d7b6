"""People hidden: what is found, what lies in gaps and around tracks; what was changed by hand; the job as a whole."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import av
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import peoplenet_nb as pn
from conftest import make_grids
from crowds import LABELS, SIZE, detections, walkers
from peoplenet_nb.cells import CELLS, Cells, CellsWriter
from peoplenet_nb.cli import people as shell
from peoplenet_nb.cli.main import app
from peoplenet_nb.detections import Detections
from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.fit import Fit
from peoplenet_nb.redaction import How, What, hide
from peoplenet_nb.redaction.byhand import ByHand
from peoplenet_nb.redaction.regions import CORNERS, REGIONS, heads_of, regions_of
from peoplenet_nb.sources import open_source
from peoplenet_nb.tracks import track_boxes
from peoplenet_nb.video.faint import with_faint
from peoplenet_nb.video.sound import with_sound
from runs import interrupt_at, run
from videos import FakeModel, MovingModel, make_video

pytest.importorskip("trackers")

ONE = [(100, 300, 50, 0)]
HOW = list(How)

# ---------------------------------------------------------------- pixels


def noise(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (60, 80, 3), np.uint8)


def spans(limit: int):
    ends = st.integers(-120, 4 * limit + 120).map(lambda quarters: quarters / 4)
    return st.tuples(ends, ends).map(sorted).filter(lambda span: span[0] < span[1])


@pytest.mark.parametrize("how", HOW)
@settings(deadline=None, max_examples=40)
@given(boxes=st.lists(st.tuples(spans(80), spans(60)), max_size=4))
def test_all_of_a_box_changes_and_nothing_outside_of_it(how, boxes):
    before, after = noise(), noise()
    hide(after, [(x1, y1, x2, y2) for (x1, x2), (y1, y2) in boxes], how)
    inside, y, x = np.zeros((60, 80), bool), *np.mgrid[:60, :80]
    x, y = x - x % 2, y - y % 2  # pairs of pixels share their colour
    for (x1, x2), (y1, y2) in boxes:
        inside |= (x1 < x + 2) & (x < x2) & (y1 < y + 2) & (y < y2)
    assert (after[~inside] == before[~inside]).all()
    if inside.sum() > 30:
        assert (after != before).any(axis=2)[inside].mean() > 0.9


@pytest.mark.parametrize("how", HOW)
def test_what_is_shown_of_a_box_comes_from_within_it(how):
    one, other = noise(1), noise(2)
    other[20:40, 10:50] = one[20:40, 10:50]
    for picture in (one, other):
        hide(picture, [(10, 20, 50, 40)], how)
    assert (one[20:40, 10:50] == other[20:40, 10:50]).all()
    if how is How.SOLID:
        assert len(np.unique(one[20:40, 10:50])) == 1


# ---------------------------------------------------------------- regions


def looked(count: int, lost=(), begins=(), what="head", extra=None, shifted=0.0, **options):
    """One who walks and is lost for some frames; ``extra`` are rows of more boxes, by frame; tracks lie ``shifted``."""
    frames, times = [], [i / 10 for i in range(count)]
    for i, time in enumerate(times):
        found = walkers(ONE, time) if i not in lost else Detections.empty(LABELS)
        more = detections((extra or {}).get(i, []))
        columns = ("xyxy", "confidence", "class_id", "row", "col")
        both = {n: np.concatenate([getattr(found, n), getattr(more, n)]) for n in columns}
        frames.append(replace(more, **both))
    tracks = track_boxes(frames, times, begins=begins)
    tracks = replace(tracks, xyxy=tracks.xyxy + shifted)
    return regions_of(tracks, frames, SIZE, What(what), begins=begins, **options)


def covers(regions: pd.DataFrame, frame: int, box) -> bool:
    """Whether one region of a frame covers a box."""
    of = regions[regions["frame"] == frame][CORNERS].to_numpy()
    return bool(
        ((of[:, :2] <= np.array(box[:2]) + 1e-3) & (of[:, 2:] >= np.array(box[2:]) - 1e-3)).all(axis=1).any()
    )


def true_head(frame: int) -> np.ndarray:
    return heads_of(walkers(ONE, frame / 10).xyxy.astype(float))[0]


@pytest.mark.parametrize("what", ["head", "face", "person"])
def test_gaps_are_filled_and_tracks_held_where_somebody_walks_on(what):
    lost = {*range(6), *range(20, 27), *range(34, 60)}
    regions, _ = looked(60, lost, what=what)
    hidden = sorted(set(regions["frame"]))
    assert hidden == list(range(1, 39)), "five frames before and after, and the gap"
    assert all(covers(regions, frame, true_head(frame)) for frame in hidden)
    assert list(regions.columns) == REGIONS
    by_origin = regions.groupby("origin")["frame"].unique()
    assert {*by_origin["gap"]} == {*range(20, 27)}
    assert {*by_origin["held"]} >= {1, 5, 34, 38}
    none, _ = looked(60, lost, what=what, hold=0)
    assert sorted(set(none["frame"])) == list(range(6, 34))


@pytest.mark.parametrize("what", ["head", "face", "person"])
def test_what_was_found_is_hidden_also_where_the_smoothed_box_left_it(what):
    regions, _ = looked(20, what=what, shifted=30.0)
    assert all(covers(regions, frame, true_head(frame)) for frame in range(20))
    assert all(covers(regions, frame, true_head(frame) + 30) for frame in range(20))
    near, _ = looked(20, what=what, shifted=0.5)
    assert not near.duplicated(["frame", "part", "track"]).any(), "once where one covers the other"


def test_nothing_is_held_over_a_cut_nor_filled():
    regions, _ = looked(40, lost={*range(18, 23)}, begins=[20])
    assert {*regions["frame"]} == {*range(40)}, "held up to the cut from either side"
    at_cut = regions[regions["frame"].isin([18, 19, 20, 21, 22])]
    assert set(at_cut["origin"]) == {"held"}
    lone, _ = looked(40, lost={*range(20, 40)}, begins=[20])
    assert lone["frame"].max() == 19


def test_what_is_of_no_track_is_hidden_too_and_doubted():
    stray = (500, 100, 540, 200, 0.3, 0)
    regions, doubts = looked(30, extra={12: [stray]})
    assert covers(regions, 12, heads_of(np.array([stray[:4]], float))[0])
    (doubt,) = doubts[doubts["reason"] == "found for a moment only"].to_dict("records")
    assert (doubt["frame"], doubt["track"], doubt["x1"]) == (12, 0, 500)
    ours = walkers(ONE, 1.2).xyxy[0] + [1, 0, 4, 3]
    _, doubts = looked(30, extra={12: [(*ours, 0.3, 0)]})
    assert "found for a moment only" not in set(doubts["reason"]), "its head is hidden anyway"


def test_a_face_stands_for_the_head_only_where_it_was_found_in_it():
    def face(i, down=10.0):
        left, top, right, _ = walkers(ONE, i / 10).xyxy[0]
        middle = (left + right) / 2
        return (middle - 4, top + down - 5, middle + 4, top + down + 5, 0.8, 2)

    extra = {i: [face(i)] for i in range(10, 20)}
    regions, _ = looked(30, extra=extra, what="face")
    assert set(regions[regions["frame"] == 15]["part"]) == {"face"}
    assert set(regions[regions["frame"] == 2]["part"]) == {"head"}
    assert set(regions[regions["frame"] == 22]["part"]) == {"face", "head"}, (
        "a face that is held is none that was found"
    )
    assert all(covers(regions, i, face(i)[:4]) for i in range(10, 20))
    low, _ = looked(30, extra={i: [face(i, 70)] for i in range(10, 20)}, what="face")
    assert set(low[low["frame"] == 15]["part"]) == {"face", "head"}, "a face at the knee is somebody else's"
    behind = {i: walkers(ONE, i / 10).xyxy[0] + [8, 4, 8, 4] for i in range(10, 20)}
    both = {i: [face(i), (*box, 0.8, 0)] for i, box in behind.items()}
    two, _ = looked(30, extra=both, what="face")
    (head,) = two[(two["frame"] == 15) & (two["part"] == "head")][CORNERS].to_numpy()
    other = heads_of(behind[15][None].astype(float))[0]
    assert ((head[:2] <= other[:2]) & (head[2:] >= other[2:])).all(), "one face is not that of two people"
    heads, _ = looked(30, extra=extra, what="head")
    assert set(heads[heads["frame"] == 15]["part"]) == {"face", "head"}


def test_the_margin_is_about_the_middle_and_ends_at_the_frame():
    regions, _ = looked(20, margin=2.0)
    plain, _ = looked(20, margin=1.0)
    both = [r[r["origin"] == "found"][CORNERS].to_numpy() for r in (regions, plain)]
    assert (both[0][:, 2] - both[0][:, 0]) == pytest.approx(2 * (both[1][:, 2] - both[1][:, 0]))
    assert both[0].min() >= 0
    wide = heads_of(np.array([[0, 0, 100, 100.0], [0, 0, 40, 100.0], [0, 0, 10, 100.0]]))
    assert wide[:, 3].tolist() == [50, 20, 20], "who is cut by the edge has a larger head"


@pytest.mark.parametrize(
    ("lost", "reasons"),
    [
        ((), set()),
        ({*range(10)}, {"appears in the middle of the picture"}),
        ({*range(30, 60)}, {"vanishes in the middle of the picture"}),
        ({*range(20, 28)}, {"not found for 0.9 s: hidden where it may have been"}),
        ({20, 21}, set()),
    ],
)
def test_doubtful_moments(lost, reasons):
    _, doubts = looked(60, lost)
    assert set(doubts["reason"]) - {"found for a moment only"} == reasons


def test_nobody_is_hidden_where_nobody_is():
    frames = [Detections.empty(LABELS)] * 3
    tracks = track_boxes(frames, [0.0, 0.1, 0.2])
    regions, doubts = regions_of(tracks, frames, SIZE, What.FACE)
    assert len(regions) == len(doubts) == 0
    assert list(regions.columns) == REGIONS


# ---------------------------------------------------------------- by hand


def read(tmp_path, text: str) -> ByHand:
    path = tmp_path / "redact.yaml"
    path.write_text(text)
    return ByHand.read(path)


def test_boxes_are_added_and_taken_away(tmp_path):
    regions, _ = looked(20)
    at, times = np.arange(20), np.arange(20) / 10
    text = (
        "hide:\n- {from: 0.5, to: 1.0, box: [10, 10, 20, 30], then: [60, 10, 70, 30]}\n"
        "show:\n- {from: 1.2, to: 1.4, track: 1}\n- {box: [0, 0, 5, 5]}\n"
    )
    changed = read(tmp_path, text).changed(regions, at, times)
    mine = changed[changed["part"] == "by hand"]
    assert mine["frame"].tolist() == [5, 6, 7, 8, 9, 10]
    assert mine["x1"].tolist() == pytest.approx([10, 20, 30, 40, 50, 60])
    assert {*regions["frame"]} - {*changed[changed["part"] != "by hand"]["frame"]} == {12, 13, 14}
    assert changed["frame"].is_monotonic_increasing
    shown_then = read(
        tmp_path, "hide:\n- {from: 0.55, to: 0.699, box: [1, 1, 5, 5]}"
    )  # as tables round times
    mine = shown_then.changed(regions, at, times + 0.0003)
    assert mine[mine["part"] == "by hand"]["frame"].tolist() == [5, 6]
    beside = shown_then.changed(regions, at, times - 0.0006)
    assert beside[beside["part"] == "by hand"]["frame"].tolist() == [5, 6, 7], "0.6994 stands there as 0.699"
    everywhere = read(tmp_path, "show:\n- {box: [0, 0, 640, 480]}").changed(regions, at, times)
    assert len(everywhere) == 0


def test_the_file_explains_itself_and_is_never_written_over(tmp_path):
    path = tmp_path / "redact.yaml"
    assert ByHand.read(path) == ByHand() == ByHand.read(path)
    shown = path.read_text().replace(" []\n", "\n").replace("#  - ", "  - ")
    path.write_text(shown)
    assert (len(ByHand.read(path).hidden), len(ByHand.read(path).shown)) == (2, 2)
    assert path.read_text() == shown
    path.write_text("")
    assert ByHand.read(path) == ByHand()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hide: [", "cannot be read"),
        ("[]", "two parts"),
        ("hidden: []", "hide"),
        ("hide: 7", "is a list"),
        ("hide: [7]", "mapping"),
        ("hide: [{from: 1}]", "has a box"),
        ("hide: [{box: [1, 2, 3]}]", "four numbers"),
        ("hide: [{box: [1, 2, 3, .nan]}]", "four numbers"),
        ("hide: [{box: [5, 2, 3, 9]}]", "left before its right"),
        ("hide: [{box: [1, 2, 3, 4], from: 5, to: 4}]", "not before"),
        ("hide: [{box: [1, 2, 3, 4], from: soon}]", "seconds"),
        ("hide: [{box: [1, 2, 3, 4], then: [5, 2, 7, 4], from: 3}]", "until when"),
        ("hide: [{box: [1, 2, 3, 4], form: 5}]", "from"),
        ("show: [{from: 1}]", "is a track, or lies in a box"),
        ("show: [{track: yes}]", "number from 1"),
    ],
)
def test_what_makes_no_sense_by_hand_is_refused(tmp_path, text, says):
    with pytest.raises(SettingsError, match=says):
        read(tmp_path, text)


# ---------------------------------------------------------------- the job


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_video(tmp_path_factory.mktemp("video") / "clip.mp4", 40)


@pytest.fixture(autouse=True)
def no_cuts(monkeypatch):
    """The pictures of tests carry numbers, each another picture."""
    for module in ("pipeline", "original"):
        monkeypatch.setattr(f"peoplenet_nb.video.{module}.scene_cut", lambda before, after: False)


def pictures(path) -> list[np.ndarray]:
    with av.open(str(path)) as video:
        return [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]


@pytest.mark.parametrize("keyframes", ["off", 3])
def test_a_run_is_redacted_and_all_else_stays(clip, tmp_path, keyframes):
    result = run(clip, tmp_path, MovingModel(), keyframes=keyframes)
    before = {path: path.read_bytes() for path in (clip, *result.folder.iterdir())}
    done = pn.redact(result, progress=False)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert done.video == result.folder / "redacted.mp4"
    shown, original = pictures(done.video), pictures(clip)
    assert len(shown) == len(original) == 40
    table = pd.read_csv(result.folder / "redacted.csv")
    assert {*table["frame"]} == {*range(40)}
    for i, (picture, was) in enumerate(zip(shown, original, strict=True)):
        mask = np.zeros(picture.shape[:2], bool)
        for x1, y1, x2, y2 in table[table["frame"] == i][CORNERS].to_numpy():
            assert (
                abs(picture[int(y1) + 2 : int(y2) - 1, int(x1) + 2 : int(x2) - 1].astype(int) - 48).max() < 12
            )
            mask[max(0, int(y1) - 6) : int(y2) + 7, max(0, int(x1) - 6) : int(x2) + 7] = True
        assert abs(picture.astype(int) - was)[~mask].mean() < 4
    assert not list(result.folder.glob(".*"))
    assert (result.folder / "redacted.txt").read_text().startswith(str(done.video))
    assert "look at all of it" in str(done)
    assert "doubtful" in done._repr_html_().lower() or not len(done.doubts)


@pytest.mark.parametrize("keyframes", ["off", 3])
def test_whom_the_network_saw_faintly_is_hidden_where_cells_were_saved(clip, tmp_path, keyframes):
    high = pn.Settings().with_class("person", threshold=0.95)
    plain = run(clip, tmp_path / "plain", MovingModel(), high, keyframes=keyframes)
    done = pn.redact(plain, progress=False)
    assert len(done.regions) == 0
    assert any("--save-grids" in text for text in done.notes)
    saved = run(clip, tmp_path / "saved", MovingModel(), high, keyframes=keyframes, save_grids=True)
    assert len(saved.to_pandas()) == 0
    done = pn.redact(saved, progress=False)
    assert {*done.regions["frame"]} == {*range(40)}
    assert not any("--save-grids" in text for text in done.notes)


def test_faint_boxes_are_never_fewer_than_those_of_the_run(tmp_path):
    """Of the two thresholds of the fit auto the lower one counts, whichever the frames had."""
    grids = make_grids({(0, 10, 20): (0.15, (1, 2, 1, 2))}, fit=Fit.of((600, 800), (960, 544), "auto"))
    used = pn.Settings(fit="auto", default=pn.ClassSettings(0.2, letterbox_threshold=0.1))
    writer = CellsWriter(tmp_path / CELLS)
    writer.add(0, Cells.of(grids))
    writer.finish()
    before = pn.decode(grids, used).detections
    assert len(before) == 1
    run_of = SimpleNamespace(
        folder=tmp_path, summary={"settings": used.to_dict(), "counts": dict.fromkeys(grids.labels, 0)}
    )
    (found,), _ = with_faint(run_of, [before], [0])
    assert len(found) == 1


def test_what_was_changed_by_hand_is_rendered_again(clip, tmp_path):
    result = run(clip, tmp_path, MovingModel())
    first = pn.redact(result, progress=False)
    first.by_hand.write_text("hide: [{box: [90, 4, 150, 20]}]\nshow: [{track: 1}]")
    again = pn.redact(result.folder, how="mosaic", progress=False)
    assert set(again.regions["part"]) == {"by hand"}
    picture, was = pictures(again.video)[5], pictures(clip)[5]
    assert abs(picture.astype(int) - was)[60:].mean() < 3, "who walks there is shown"
    assert abs(picture.astype(int) - was)[6:18, 92:148].mean() > 8
    assert any("partly be undone" in text for text in again.notes)


def sounding(path, silent):
    """A copy of a video with a tone and a title."""
    with av.open(str(silent)) as pictures_of, av.open(str(path), "w", format="mp4") as out:
        out.metadata["title"] = "where it was filmed"
        video = out.add_stream_from_template(pictures_of.streams.video[0])
        sound = out.add_stream("aac", rate=8000)
        for packet in pictures_of.demux(video=0):
            if packet.pts is not None:
                packet.stream = video
                out.mux(packet)
        for k in range(12):
            tone = np.sin(np.arange(1024) * 0.3 + k).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, k * 1024
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("keep", "start"), [(False, 0), (True, 0), (True, 20)])
def test_sound_is_kept_only_if_asked_and_what_the_file_says_of_itself_never(clip, tmp_path, keep, start):
    video = sounding(tmp_path / "loud.mp4", clip)
    result = run(video, tmp_path, MovingModel(), start=start)
    done = pn.redact(result, keep_audio=keep, progress=False)
    with av.open(str(done.video)) as shown:
        assert "title" not in shown.metadata
        assert len(shown.streams.video) == 1
        assert len(shown.streams.audio) == keep
        assert float(shown.duration / av.time_base) == pytest.approx((40 - start) / 25, abs=0.15)
    assert len(pictures(done.video)) == 40 - start
    if keep:
        with av.open(str(done.video)) as shown, av.open(str(video)) as loud:
            kept, all_of_it = ([p for p in one.demux(audio=0) if p.size] for one in (shown, loud))
        assert len(kept) == sum(start / 25 <= p.pts * p.time_base <= 41 / 25 for p in all_of_it)
        assert bytes(kept[-1]) == bytes(all_of_it[-1])
        assert any("voices" in text for text in done.notes)
        assert pn.redact(run(clip, tmp_path, MovingModel()), keep_audio=True, progress=False).video.exists()


def test_sound_is_never_taken_from_where_a_playlist_leads(clip, tmp_path, monkeypatch):
    source, asked = open_source(sounding(tmp_path / "loud.mp4", clip)), []
    pictures, real = run(clip, tmp_path, MovingModel()).video, av.open

    def spy(file, *about, **options):
        asked.append((file, options.get("container_options", {})))
        return real(file, *about, **options)

    monkeypatch.setattr(av, "open", spy)
    with_sound(pictures, source, (0.0, 1.0), tmp_path / "out.mp4")
    (options,) = (options for file, options in asked if file.endswith("loud.mp4"))
    assert "mov" in options["format_whitelist"]
    assert "concat" not in options["format_whitelist"]
    assert options["protocol_whitelist"] == "file"


def test_a_video_that_changed_or_went_is_refused(clip, tmp_path):
    video = tmp_path / "my.mp4"
    video.write_bytes(clip.read_bytes())
    result = run(video, tmp_path, MovingModel())
    video.rename(tmp_path / "elsewhere.mp4")
    with pytest.raises(SourceError, match="--source"):
        pn.redact(result, progress=False)
    assert pn.redact(result, source=tmp_path / "elsewhere.mp4", progress=False).video.exists()
    make_video(video, 39)
    with pytest.raises(SourceError, match="content has changed"):
        pn.redact(result, progress=False)
    (tmp_path / "elsewhere.mp4").rename(video)
    frames = result.frames_table.read_text().splitlines(keepends=True)
    result.frames_table.write_text("".join(frames[:-2]))
    with pytest.raises((SourceError, OutputError), match="frames of its run|tables"):
        pn.redact(result, progress=False)


def test_what_lacks_something_is_refused(clip, tmp_path, monkeypatch):
    with pytest.raises(pn.video.RunInterrupted) as cut:
        run(clip, tmp_path, MovingModel(delay=interrupt_at(20)), part_frames=5, workers=1)
    with pytest.raises(OutputError, match="--resume"):
        pn.redact(cut.value.result.folder, progress=False)
    result = run(clip, tmp_path, MovingModel(), resume=True)
    for options in (
        {"what": "nose"},
        {"how": "paint"},
        {"margin": 0.5},
        {"margin": float("nan")},
        {"hold": -1},
    ):
        with pytest.raises(SettingsError):
            pn.redact(result, progress=False, **options)
    (result.folder / "redacted.mp4").hardlink_to(clip)
    with pytest.raises(OutputError, match="written over the original"):
        pn.redact(result, progress=False)
    (result.folder / "redacted.mp4").unlink()
    result.summary["counts"] = {"car": 0}
    with pytest.raises(OutputError, match="knows no class person"):
        pn.redact(result, progress=False)
    (result.folder / "run.json").unlink()
    with pytest.raises(OutputError, match="manifest of the run"):
        pn.redact(result.folder, progress=False)


def test_a_reading_that_breaks_off_leaves_the_video_of_before(clip, tmp_path, monkeypatch):
    result = run(clip, tmp_path, MovingModel())
    whole = pn.redact(result, progress=False).video.read_bytes()

    def broken(image, boxes, how):
        raise MemoryError

    monkeypatch.setattr("peoplenet_nb.redaction.redacting.hide", broken)
    with pytest.raises(MemoryError):
        pn.redact(result, progress=False)
    assert (result.folder / "redacted.mp4").read_bytes() == whole
    assert not list(result.folder.glob(".*"))


def test_a_run_that_is_overwritten_keeps_no_redaction(clip, tmp_path):
    done = pn.redact(run(clip, tmp_path, MovingModel()), progress=False)
    run(clip, tmp_path, FakeModel(), overwrite=True)
    assert not done.video.exists()
    assert not list(done.video.parent.glob("doubtful*"))
    assert done.by_hand.exists(), "that is somebody's work"


def test_the_shell_redacts(clip, tmp_path):
    folder = run(clip, tmp_path, MovingModel()).folder
    done = CliRunner().invoke(
        app, ["redact", str(folder), "--what", "person", "--how", "blur", "--no-progress"]
    )
    assert done.exit_code == 0, done.output
    assert "redacted.mp4" in done.output
    assert set(pd.read_csv(folder / "redacted.csv")["part"]) == {"person"}
    done = CliRunner().invoke(app, ["redact", str(folder), "--what", "nose"])
    assert (done.exit_code, "person" in done.output) == (1, True)
    assert shell.WHAT.split("|") == ["head", "face", "person"]
    assert {*shell.WHAT.split("|")} == {*What}
    assert shell.HOW.split("|") == list(How)
