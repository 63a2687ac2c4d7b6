"""Batches: whatever dies or is broken, the rest is done, once, and gives what single runs give."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from peoplenet_nb.errors import DeviceError, OutputError, SettingsError
from peoplenet_nb.files import writing
from peoplenet_nb.fleet import batch, worker
from peoplenet_nb.fleet import coordinator as module
from peoplenet_nb.fleet.claims import STATE, started_at
from peoplenet_nb.fleet.progress import Progress, Standing, duration
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.settings import Settings, preset
from runs import tables
from videos import FakeModel, make_video

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 60  # for whatever is waited for, on a machine under load


class InThisProcess:
    """A place whose workers run at once and here, so that a test can reach into them."""

    def __init__(self, folder, start, device, workers=None):
        self.folder, self.start, self.workers, self.begun = folder, start, workers or 1, 0

    def begin(self, place):
        self.begun += 1
        self.token = f"t-{place}-{self.begun}"
        one = worker.Worker(self.folder, self.start, self.token)
        one.work()
        return self

    @property
    def died(self):
        return ""

    def log(self):
        return ""

    def stop(self):
        pass

    def close(self, seconds=0.0):
        pass


@pytest.fixture
def here(monkeypatch):
    """Workers in this process, with a network that costs nothing."""
    model = FakeModel(sha256="")

    def load(path, *_, **__):
        model.file.sha256 = read_model_file(path).sha256
        return model

    monkeypatch.setattr(module, "Local", InThisProcess)
    monkeypatch.setattr(worker.PeopleNet, "load", load)
    return model


def run(sources, output, **options):
    options = {"settings": Settings()} | options  # whatever the default preset is: the network here stretches
    return batch(sources, output, model="standin", progress=False, **options)


def wait_for(what, *, seconds=LIMIT_S):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def rows(output):
    with (output / "videos.csv").open(newline="") as stream:
        return {row["name"]: row for row in csv.DictReader(stream)}


def test_a_broken_video_is_tried_again_and_put_aside_with_its_reason(tmp_path, here):
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("a", "c"):
        make_video(clips / f"{name}.mp4", 6)
    (clips / "<b>.mp4").write_bytes(bytes(5000))
    result = run(clips, tmp_path / "out")
    assert {name: row["state"] for name, row in rows(tmp_path / "out").items()} == {
        "b": "aside",
        "a": "complete",
        "c": "complete",
    }
    assert rows(tmp_path / "out")["b"]["tries"] == "2"
    assert "not a video" in result.failures["b"]
    assert result.summary["frames"] == 12
    page = result.page.read_text()
    assert "&lt;b&gt;.mp4" in page
    assert "<b>.mp4" not in page
    assert page.index("Put aside") < page.index("sheet/a.jpg")
    assert (tmp_path / "out" / "sheet" / "a.jpg").is_file()
    assert "<script" not in result._repr_html_()
    assert "put aside: b" in str(result)
    assert "stand-in network" in page
    assert list((tmp_path / "out" / STATE / "workers").iterdir()) == []


def test_a_second_start_does_the_rest_only(tmp_path, here):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    make_video(clips / "a.mp4", 5)
    (clips / "broken.mp4").write_bytes(bytes(5000))
    run(clips, out)
    before = (out / "a" / "summary.json").stat().st_mtime_ns
    inferred = len(here.batches)
    make_video(clips / "b.mp4", 7)
    result = run(clips, out)
    assert (out / "a" / "summary.json").stat().st_mtime_ns == before
    assert len(here.batches) == inferred + 7
    assert result.summary["complete"] == 2
    assert result.failures.keys() == {"broken"}
    make_video(clips / "broken.mp4", 4)
    assert run(clips, out).failures.keys() == {"broken"}  # until it is asked for
    assert run(clips, out, retry=True).summary["complete"] == 3


def test_results_that_were_deleted_are_made_again_and_another_file_is_told(tmp_path, here):
    clip, out = make_video(tmp_path / "a.mp4", 5), tmp_path / "out"
    run(clip, out)
    kept = tables(out / "a")
    for path in (out / "a").iterdir():
        path.unlink()
    assert run(clip, out).summary["complete"] == 1
    assert tables(out / "a") == kept
    make_video(clip, 9)
    assert "another run" in run(clip, out).failures["a"]


def test_each_video_may_have_settings_and_a_name_of_its_own(tmp_path, here):
    make_video(tmp_path / "a.mp4", 5)
    (tmp_path / "none.yaml").write_text("classes:\n  person: {threshold: 0.99}\n")
    (tmp_path / "list.csv").write_text("source,name,settings\na.mp4,,\na.mp4,strict,none.yaml\n")
    result = run(tmp_path / "list.csv", tmp_path / "out")
    assert {name: record["counts"]["person"] for name, record in result.records.items()} == {
        "a": 1,
        "strict": 0,
    }
    assert list(result.to_pandas()["name"]) == ["a", "strict"]


def test_other_options_are_refused_and_more_videos_are_not(tmp_path, here):
    clip, out = make_video(tmp_path / "a.mp4", 5), tmp_path / "out"
    run(clip, out)
    with pytest.raises(OutputError, match="every was 1 and is 2"):
        run(clip, out, every=2)
    assert run([clip, make_video(tmp_path / "b.mp4", 3)], out).summary["complete"] == 2


@pytest.mark.parametrize("options", [{"tries": 0}, {"on": "x"}, {"address": "auto"}])
def test_what_makes_no_sense_is_refused(tmp_path, here, options):
    with pytest.raises(SettingsError):
        run(make_video(tmp_path / "a.mp4", 2), tmp_path / "out", **options)


def test_a_full_disk_stops_the_batch_and_puts_no_video_aside(tmp_path, here, monkeypatch):
    clips = [make_video(tmp_path / f"{name}.mp4", 5) for name in "abc"]
    real = worker.run

    def full(source, *rest, **options):
        if source.info.name == "b.mp4":
            with writing(tmp_path):
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(source, *rest, **options)

    monkeypatch.setattr(worker, "run", full)
    with pytest.raises(OutputError, match="No space left"):
        run(clips, tmp_path / "out")
    monkeypatch.setattr(worker, "run", real)
    result = run(clips, tmp_path / "out", tries=1)
    assert result.summary["complete"] == 3


def test_what_is_wrong_with_every_video_ends_it_at_once(tmp_path, here):
    clips = [make_video(tmp_path / f"{name}.mp4", 5) for name in "abc"]
    with pytest.raises(DeviceError, match="Unknown encoder"):
        run(clips, tmp_path / "out", encoder="x")
    assert not list((tmp_path / "out" / STATE / "done").iterdir())


def test_a_claim_that_a_dead_machine_left_behind_is_taken_over(tmp_path, here):
    clip, out = make_video(tmp_path / "a.mp4", 5), tmp_path / "out"
    run(make_video(tmp_path / "b.mp4", 5), out)
    state = out / STATE
    (state / "claims" / "a.1").write_text('{"owner": "gone"}')
    far = state / "workers" / "gone.json"
    far.write_text('{"machine": "elsewhere", "host": "elsewhere", "pid": 1, "started": "1"}')
    then = time.time() - 1000
    os.utime(far, (then, then))
    assert run(clip, out).summary["complete"] == 1
    assert (state / "claims" / "a.2").is_file()


def test_a_worker_from_which_a_video_was_taken_ends_at_once(tmp_path, here, monkeypatch):
    """It was not heard of for long (a volume that hung), another has the video, and two would write one folder."""
    ended = threading.Event()
    monkeypatch.setattr(worker.os, "_exit", lambda code: ended.set())
    here.delay = lambda number: 20 if number == 3 and not ended.wait(20) else 0
    real = worker.Worker._one

    def taken(self, name, number):
        self.claims.folder.joinpath("claims", f"{name}.{number + 1}").write_text('{"owner": "another"}')
        real(self, name, number)

    monkeypatch.setattr(worker.Worker, "_one", taken)
    run(make_video(tmp_path / "a.mp4", 5), tmp_path / "out")
    assert ended.is_set()


def test_a_live_stream_that_is_seen_when_it_is_opened_is_put_aside(tmp_path, here, monkeypatch):
    monkeypatch.setattr(worker.VideoFile, "endless", True)
    failures = run(make_video(tmp_path / "hls.mp4", 3), tmp_path / "out").failures
    assert "detect ADDRESS --for" in failures["hls"]


def test_the_log_of_a_worker_holds_no_password(tmp_path, here, monkeypatch, caplog):
    def broken(address, **_):
        raise RuntimeError(f"cannot open {address}")

    monkeypatch.setattr(worker, "open_source", broken)
    failures = run("https://me:s3cret@host/street", tmp_path / "out").failures
    assert "cannot open" in f"{failures}"
    assert "cannot open" in caplog.text
    assert "s3cret" not in f"{failures} {caplog.text}"


@pytest.mark.parametrize("moment", ["take", "_run_video", "save_picture", "finish", "close"])
def test_a_worker_that_is_told_to_stop_at_any_moment_leaves_no_claim_behind(
    tmp_path, here, monkeypatch, moment
):
    """Nor does it run the next video; what it had is given back, or done."""
    owner = next(one for one in (worker.Claims, worker.Worker, worker) if hasattr(one, moment))
    real, before = getattr(owner, moment), signal.getsignal(signal.SIGINT)

    def told(*given, **options):
        if signal.getsignal(signal.SIGINT) != before:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given, **options)

    class Told(worker.Worker):
        def work(self):
            signal.signal(signal.SIGINT, self.interrupt)
            try:
                super().work()
            finally:
                signal.signal(signal.SIGINT, before)

    clips, out = [make_video(tmp_path / f"{name}.mp4", 3) for name in "ab"], tmp_path / "out"
    with monkeypatch.context() as stopped:
        stopped.setattr(worker, "Worker", Told)
        stopped.setattr(owner, moment, told)
        stopped.setattr(module.Start, "go", lambda run, place, _: place.begin(0))
        run(clips, out)
    seen = worker.Claims(out, "looking").survey()
    assert seen.last.keys() == seen.ended | seen.done
    assert len(seen.last) == (2 if moment == "close" else 1)
    assert run(clips, out).summary["complete"] == 2


def test_two_machines_begin_apart(tmp_path, here, monkeypatch):
    clips = [make_video(tmp_path / f"{n}.mp4", 2 + n) for n in range(6)]
    orders = []
    for rank in "01":
        monkeypatch.setenv("NODE_RANK", rank)
        monkeypatch.setenv("NUM_NODES", "2")
        with monkeypatch.context() as stopped:
            stopped.setattr(InThisProcess, "begin", lambda self, place: orders.append(
                [job["name"] for job in self.start["jobs"]]
            ) or (_ for _ in ()).throw(KeyboardInterrupt))  # fmt: skip
            with pytest.raises(KeyboardInterrupt):
                run(clips, tmp_path / f"out{rank}")
    first, second = orders
    assert set(first) == set(second)
    assert set(first[:3]).isdisjoint(second[:3])


# Real processes.


def command(*arguments):
    return [sys.executable, "-m", "peoplenet_nb.cli", "batch", *map(str, arguments), "--model", "standin"]


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT), "PEOPLENET_CORES": "2"}


def busy_worker(out, video):
    """The number of the process that works on a video, once it has some frames of it."""
    for path in (out / STATE / "workers").glob("w-*.json"):
        try:
            state = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if state["name"] == video and state["frames"] > 5 and started_at(state["pid"]):
            return int(state["pid"])
    return None


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pids):
    return [pid for pid in pids if started_at(pid)]


@pytest.mark.slow
def test_a_killed_worker_and_then_all_of_them_lose_nothing(tmp_path):
    """kill -9 of a worker, then of everything; what is there in the end is what single runs give.

    What is there after the kill holds no password, because workers are told by their standard input.
    """
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for name, frames in (("long", 400), ("a", 10), ("b", 12)):
        make_video(clips / f"{name}.mp4", frames)
    (tmp_path / "list.csv").write_text("source\nhttps://me:s3cret@127.0.0.1:1/x.mp4?token=s3cret\n")
    begun = subprocess.Popen(
        command(clips, tmp_path / "list.csv", "-o", out),
        cwd=ROOT,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    first = wait_for(lambda: busy_worker(out, "long"))
    os.kill(first, signal.SIGKILL)
    second = wait_for(lambda: (pid := busy_worker(out, "long")) and pid != first and pid)
    assert (out / STATE / "claims" / "long.1.failed").is_file()
    told = Path(f"/proc/{second}/cmdline").read_bytes() + Path(f"/proc/{second}/environ").read_bytes()
    begun.kill()
    os.kill(second, signal.SIGKILL)
    begun.communicate()
    # Whatever else there was of it ends by itself, because the coordinator is gone.
    wait_for(
        lambda: (
            not alive(json.loads(p.read_text())["pid"] for p in (out / STATE / "workers").glob("w-*.json"))
        )
    )
    kept = [file for file in out.rglob("*") if file.is_file()]
    assert out / STATE / "request.json" in kept
    assert b"s3cret" not in told + b"".join(file.read_bytes() for file in kept)
    done = subprocess.run(  # noqa: PLW1510
        command(clips, "-o", out), cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert "3 of 3 videos complete, 422 frames" in done.stdout
    assert "of 3 videos" in done.stderr  # plain lines, where no terminal is
    assert rows(out)["long"]["tries"] == "3"
    model = PeopleNet.load("standin", "cpu", fit=preset().fit)
    from peoplenet_nb.video import run as run_one

    for name in ("long", "a"):
        single = run_one(clips / f"{name}.mp4", model, preset(), tmp_path / "single", progress=False)
        assert tables(out / name) == tables(single.folder)


@pytest.mark.slow
def test_two_starts_at_once_share_the_list_and_ctrl_c_ends_one(tmp_path):
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for number in range(5):
        make_video(clips / f"v{number}.mp4", 40)
    make_video(clips / "long.mp4", 500)
    one = command(clips, "-o", out, "--workers", "1", "--no-progress")
    both = [
        subprocess.Popen(
            one, cwd=ROOT, env=environment() | {"NODE_RANK": str(rank), "NUM_NODES": "2"}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    pid = wait_for(lambda: busy_worker(out, "long"))
    both.sort(
        key=lambda start: start.pid != parent_of(pid)
    )  # mostly the first, which begins with the largest
    both[0].send_signal(signal.SIGINT)
    _, said = both[0].communicate(timeout=LIMIT_S)
    assert both[0].returncode == 130, said
    assert not started_at(pid)
    shown, said = both[1].communicate(timeout=200)
    assert both[1].returncode == 0, said
    assert "6 of 6 videos complete, 700 frames" in shown
    claims = {path.name for path in (out / STATE / "claims").iterdir()}
    assert claims == {"long.1", "long.1.left", "long.2", *(f"v{number}.1" for number in range(5))}


def test_workers_that_cannot_begin_are_told_with_their_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("peoplenet_nb.fleet.local.sys.executable", "/bin/false")
    with pytest.raises(OutputError, match="exit code 1"):
        run(make_video(tmp_path / "a.mp4", 2), tmp_path / "out", workers=1)


def test_what_is_seen_while_it_works(capsys):
    working = [{"host": "h", "pid": 7, "name": "a", "frames": 3}]
    standing = Standing(9, 4, 300, 10.0, 2.0, 3.0, working, [("b\x1b[31m", "broken\nfile")])
    assert standing.line() == "5 of 9 videos, 1 put aside, 30.0 frames per second, 15 s to go"
    progress = Progress(True)
    progress.show(standing)
    progress.show(standing)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["put aside: b?[31m: broken file", standing.line()]
    assert duration(59.7) == "1 min 0 s"
    assert Standing(9).remaining_s == 0.0
    assert Standing(9, left_size=5.0).remaining_s is None
