"""Runs over live streams: valid files whatever ends them, bounded latency and disk, gaps in a table, no secrets."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from unittest.mock import MagicMock

import pytest
from typer.testing import CliRunner

from live_streams import QUICK, Server, make_pictures, quick, require_gstreamer, wait_for
from peoplenet_nb.cli.main import app
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.sources import open_source
from peoplenet_nb.sources.feed import Feed, Gap
from peoplenet_nb.video import livelog, running
from peoplenet_nb.video.manifest import Live, Manifest, Part
from peoplenet_nb.video.mp4 import check_video
from peoplenet_nb.video.original import original_of
from runs import interrupt_at, run
from videos import FakeModel, make_video


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds; played again and again."""
    return make_video(tmp_path_factory.mktemp("live") / "clip.mp4", frames=50, fps=25)


def lines(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_live_run_ends_in_time_with_a_video_as_long_as_the_clock_says(clip, tmp_path):
    result = run(
        open_source(clip, live=True, seconds=2.0), tmp_path, FakeModel(lambda _: 0.06), part_seconds=0.5
    )
    assert not result.interrupted
    summary = result.summary
    assert summary["complete"]
    live, rows = summary["live"], lines(result.frames_table)
    assert live["arrived"] > summary["frames"] > 3
    assert 0 < live["dropped"] <= live["arrived"] - summary["frames"]
    times = [float(row["time_s"]) for row in rows]
    check = check_video(result.video, len(rows))
    assert check.problems == ()
    assert check.duration_s == pytest.approx(times[-1] - times[0] + 0.04, abs=0.02)
    assert lines(result.folder / "gaps.csv") == []
    assert f"{live['dropped']} were dropped" in str(result)
    assert "p95" in result._repr_html_()
    with pytest.raises(SourceError, match="live stream, whose pictures are gone"):
        original_of(result)


def test_a_slow_network_sees_fewer_frames_and_never_older_ones(clip, tmp_path):
    result = run(open_source(clip, live=True, seconds=2.5), tmp_path, FakeModel(lambda _: 0.2), video=False)
    early, late = (lines(result.frames_table)[i] for i in (1, -1))
    assert float(late["time_s"]) - float(early["time_s"]) > 1
    latency = result.summary["live"]["latency_ms"]
    assert 200 <= latency["p50"] < 200 + 2 * 200  # at most two frames' time above the inference
    assert latency["p50"] <= latency["p95"]


def test_ctrl_c_ends_a_live_run_with_its_result(clip, tmp_path):
    result = run(open_source(clip, live=True), tmp_path, FakeModel(interrupt_at(20)), part_seconds=0.3)
    assert not result.interrupted
    assert check_video(result.video, result.summary["frames"]).problems == ()
    assert json.loads((result.folder / "run.json").read_text())["state"] == "complete"


def test_what_is_older_than_what_is_kept_is_removed_as_it_goes_on(clip, tmp_path):
    result = run(open_source(clip, live=True, seconds=2.5), tmp_path, part_seconds=0.2, keep=0.8)
    times = [float(row["time_s"]) for row in lines(result.frames_table)]
    assert times[-1] - times[0] < 2.0
    assert times[0] > 0.8
    check = check_video(result.video, len(times))
    assert check.duration_s == pytest.approx(times[-1] - times[0] + 0.04, abs=0.05)
    assert result.summary["video"]["starts_at_s"] == pytest.approx(times[0], abs=0.001)
    assert result.summary["live"]["arrived"] > len(times)


def test_the_part_in_which_what_is_kept_begins_stays(tmp_path):
    run_folder = MagicMock(parts=tmp_path)
    parts = [Part(f"{i:05d}", i, i, begins_s=10.0 * i, files={f"{i:05d}.mp4": ""}) for i in range(5)]
    for part in parts:
        (tmp_path / f"{part.name}.mp4").touch()
    run_folder.manifest = Manifest({}, parts=parts, origin_s=1.0, live=Live("2026-11-27T10:00:00+00:00"))
    livelog.remove_older(run_folder, now_s=46.0, keep_s=20.0)  # from 25 s on, in the part that begins at 20
    assert [part.begins_s for part in run_folder.manifest.parts] == [20.0, 30.0, 40.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00002.mp4", "00003.mp4", "00004.mp4"]
    assert run_folder.manifest.live.removed == 2


def test_a_live_run_that_was_killed_goes_on_with_its_clock(clip, tmp_path, monkeypatch):
    def killed(*_args, **_kwargs):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(running, "finish_run", killed)
        with pytest.raises(SystemExit):
            run(open_source(clip, live=True, seconds=0.8), tmp_path, part_seconds=0.2)
    time.sleep(0.5)
    source, came = (
        open_source(clip, live=True, seconds=60.0, buffer="wait"),
        [],
    )  # nothing drops the first frame

    def tick():
        came.append(None)
        if len(came) >= 10:
            source.end()

    result = run(source, tmp_path, part_seconds=0.2, resume=True, progress=tick)
    rows, (gap,) = lines(result.frames_table), lines(result.folder / "gaps.csv")
    numbers = [int(row["frame"]) for row in rows]
    assert numbers == sorted(set(numbers))
    assert gap["reason"] == "the run was interrupted"
    assert 0.3 < float(gap["seconds"]) < 20
    times = [float(row["time_s"]) for row in rows]
    assert {float(gap["begins_s"]), float(gap["ends_s"])} <= {*times}, "from the last frame to the next"
    assert len({*times}) == len(times)
    assert check_video(result.video, len(rows)).problems == ()


def test_a_clock_that_goes_on_never_stands_still():
    parts = [Part("00000", 0, 9, 600.0, ends_s=600.4, wall_s=590.0)]  # its first frame came after ten minutes
    manifest = Manifest({}, parts=parts, origin_s=1.0, live=Live("2026-11-27T10:00:00+00:00"))
    source = MagicMock()
    livelog.read_on(source, manifest)
    assert source.after.return_value.since.call_args.args[1] == pytest.approx(601.4)
    put_back = Feed(lambda: iter(()), QUICK, began=datetime.now(UTC), last_s=601.4)
    assert put_back.now_s >= 601.4


def test_only_of_what_is_live_the_last_seconds_are_kept(clip, tmp_path):
    with pytest.raises(SettingsError, match="Only of a live stream"):
        run(clip, tmp_path, keep=5)


def test_key_frames_are_not_for_what_is_live(clip, tmp_path):
    result = run(open_source(clip, live=True, seconds=0.4), tmp_path, keyframes=3)
    assert any("would delay a live stream" in note for note in result.notes)
    assert result.summary["frames"] == result.summary["frames_inferred"]


def test_gaps_and_passwords_of_a_real_stream(tmp_path):
    require_gstreamer()
    secret = "s3cret-w0rd"
    with Server(make_pictures(tmp_path / "pictures"), password=secret) as server:
        source = quick(server.address(login=f"user:{secret}@"))

        def break_it():
            wait_for(lambda: source.feed and source.feed.arrived > 10)
            server.kill()
            wait_for(lambda: source.feed.trouble)
            server.start(tmp_path / "pictures", password=secret)
            came = source.feed.arrived
            wait_for(lambda: source.feed.arrived > came + 10)
            source.end()

        breaking = threading.Thread(target=break_it)
        breaking.start()
        result = run(source, tmp_path / "out", part_seconds=0.5)
        breaking.join()
    (gap,) = lines(result.folder / "gaps.csv")
    times = [float(row["time_s"]) for row in lines(result.frames_table)]
    begins, ends = float(gap["begins_s"]), float(gap["ends_s"])
    assert times[0] <= begins < ends <= times[-1]
    assert not any(begins < time_s < ends for time_s in times)
    assert "the connection ended" in gap["reason"]
    assert all(
        secret.encode() not in path.read_bytes() for path in result.folder.rglob("*") if path.is_file()
    )
    assert secret not in f"{result} {result._repr_html_()}"


def test_the_command_watches_a_stream_for_a_time(clip, tmp_path):
    command = ["detect", str(clip), "--for", "1s", "--keep", "1h", "--model", "standin", "--device", "cpu"]
    answer = CliRunner().invoke(app, [*command, "-o", str(tmp_path), "--no-progress", "--buffer", "wait"])
    assert answer.exit_code == 0, answer.output
    assert "live since" in answer.output
    assert (tmp_path / "clip" / "video.mp4").is_file()


@pytest.mark.parametrize("time_", ["", "soon", "0", "-5s", "1x"])
def test_a_time_that_is_none_is_refused(time_):
    answer = CliRunner().invoke(app, ["detect", "demo", "--for", time_])
    assert answer.exit_code == 2
    assert "1h30m" in answer.output


def test_latencies_are_counted_within_five_percent():
    feed, part = Feed(lambda: iter(()), QUICK), Part("00000", 0, 0, 0.0)
    seconds = [0.02] * 10 + [0.1] * 9 + [3.0]
    for late in seconds:
        livelog.count_latency(part, feed, 5.0, feed.clock(0.0) * -1 + 5.0 + late)
    assert livelog.latency_ms([part, part]) == {
        "p50": pytest.approx(20, rel=0.05),
        "p95": pytest.approx(100, rel=0.05),
    }
    assert livelog.latency_ms([]) == {"p50": None, "p95": None}


def test_the_table_of_gaps_has_their_times(tmp_path):
    live = Live("2026-11-27T10:00:00+00:00", gaps=[Gap(1.5, 3.0, "it\nended")])
    (row,) = lines(livelog.write_gaps(live, tmp_path / "gaps.csv"))
    assert list(row.values()) == ["1.5000", "3.0000", "1.5000", "2026-11-27T10:00:01.500+00:00", "it ended"]
    assert Manifest({}, live=live).removed == 0


def test_a_second_ctrl_c_is_not_needed_while_nothing_comes(tmp_path):
    require_gstreamer()
    with Server(make_pictures(tmp_path / "pictures")) as server:
        source = quick(server.address())

        def freeze():
            wait_for(lambda: source.feed and source.feed.arrived > 10)
            server.signal(signal.SIGSTOP)
            wait_for(lambda: source.feed.trouble)
            os.kill(os.getpid(), signal.SIGINT)  # wakes the main thread, as Ctrl-C does

        freezing = threading.Thread(target=freeze)
        freezing.start()
        began = time.monotonic()
        result = run(source, tmp_path / "out")
        freezing.join()
    assert time.monotonic() - began < 15
    assert result.summary["live"]["gaps"] == 1
