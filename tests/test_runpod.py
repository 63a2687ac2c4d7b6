"""The bill: RunPod's API as a local server plays it, idle pods, and what may be removed."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from peoplenet_nb.cli.main import app
from peoplenet_nb.errors import OutputError, SettingsError
from peoplenet_nb.hardware import Gpu
from peoplenet_nb.paths import cache_dir, outputs_dir
from peoplenet_nb.runpod import PodError, Pods, StopWhenIdle, cost, duration_s, idle, space
from peoplenet_nb.runpod import api as api_module
from peoplenet_nb.runpod.clean import remove
from peoplenet_nb.runpod.prices import TFLOPS, compare, known_gpu
from runs import run
from videos import make_video

KEY = "rpa_very-secret-key-of-the-pod"
# As the examples of RunPod's own OpenAPI description have them (https://api.runpod.io/v2/openapi.json, 2.0.0).
POD = {
    "id": "pod1", "name": "mine", "status": "RUNNING", "cloud": "SECURE", "cost": 0.44, "locked": False, "disk": 20,
    "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1},
    "mounts": {"network": [{"volumeId": "vol1", "path": "/workspace"}], "persistent": {"size": 50, "path": "/data"}},
}  # fmt: skip
VOLUME = {"id": "vol1", "name": "set", "size": 100, "dataCenter": "US-KS-2", "type": "STANDARD"}
CATALOGUE = {
    "gpus": [
        {"id": "NVIDIA GeForce RTX 4090", "name": "RTX 4090", "memory": 24, "secure": True, "community": True,
         "price": {"secure": 0.69, "community": 0.34, "serverless": 1.1}, "availability": "HIGH"},
        {"id": "NVIDIA L4", "name": "L4", "memory": 24, "secure": True, "community": False,
         "price": {"secure": 0.43, "community": 0.01}},  # a price of a cloud that has none
        {"id": "new", "name": "RTX 9999", "secure": True, "price": {"secure": 9.0}},
        {"id": "broken", "secure": True, "price": "free"}, None, 7,
    ]
}  # fmt: skip
UNAUTHORIZED = {"title": "Unauthorized", "status": 401, "detail": "missing bearer token"}
NOT_FOUND = {"title": "Not Found", "status": 404, "detail": "resource not found"}


class Api(ThreadingHTTPServer):
    """RunPod's API, version 2, as far as its published description is used here."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str, bytes]] = []
        self.answers: list[
            tuple[int, object, dict[str, str]]
        ] = []  # used up one by one, before the usual ones
        self.address = f"http://127.0.0.1:{self.server_address[1]}/v2"


class Handler(BaseHTTPRequestHandler):
    server: Api

    def log_message(self, *_):
        pass

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization", ""), body))
        status, data, headers = self.server.answers.pop(0) if self.server.answers else self._usual(body)
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def _usual(self, body):
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            return 401, UNAUTHORIZED, {}
        if self.command == "GET" and self.path == "/v2/pods/pod1":
            return 200, POD, {}
        if self.command == "GET" and self.path == "/v2/network-volumes/vol1":
            return 200, VOLUME, {}
        if self.command == "GET" and self.path == "/v2/catalog/gpus?include=AVAILABILITY&product=POD":
            return 200, CATALOGUE, {}
        if (
            self.command == "POST"
            and self.path == "/v2/pods/pod1/action"
            and json.loads(body) == {"action": "stop"}
        ):
            return 200, {"id": "pod1", "status": "EXITED"}, {}
        return 404, NOT_FOUND, {}

    do_GET = do_POST = do_DELETE = do_PATCH = _answer  # noqa: N815


@pytest.fixture
def server(monkeypatch, tmp_path):
    one = Api()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("PEOPLENET_RUNPOD_API", one.address)
    monkeypatch.setenv("RUNPOD_POD_ID", "pod1")
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no runpodctl, no nvidia-smi of this machine
    monkeypatch.setattr(idle, "busy_kernels", lambda: 0)
    yield one
    one.shutdown()
    one.server_close()
    thread.join()


def program(folder, name, text):
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_what_a_pod_costs(server):
    shown = str(cost())
    assert "this pod: pod1, 1 GeForce RTX 4090" in shown
    assert "$0.440 an hour, $10.56 a day" in shown
    assert "container 20 GB $2.00 while it runs" in shown
    assert "volume 50 GB $5.00, stopped $10.00" in shown
    assert "network volume 100 GB $7.00" in shown
    asked = ["/v2/pods/pod1", "/v2/network-volumes/vol1"]
    assert [seen[:3] for seen in server.seen] == [("GET", path, f"Bearer {KEY}") for path in asked]
    server.answers = [(200, POD, {}), (403, {}, {})]  # the pod's own key is for the pod
    assert "volume 50 GB $5.00, stopped $10.00" in str(cost())


def test_what_a_run_cost(server, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text('{"speed": {"wall_s": 1800}}')
    assert "30.0 min at $0.440 an hour: $0.2200" in str(cost(folder))
    (folder / "summary.json").unlink()
    (folder / "batch.json").write_text('{"wall_seconds": 7200}')
    assert "2.00 h at $0.440 an hour: $0.8800" in str(cost(folder))
    assert "not the folder of a finished run" in str(cost(tmp_path))


def test_gpus_are_compared_and_it_is_said_what_is_measured(server, monkeypatch):
    estimated = cost(hours=10)
    assert {row["speed"] for row in estimated.offers} == {"estimated"}
    assert [row["USD"] for row in estimated.offers] == sorted(row["USD"] for row in estimated.offers)
    assert "No GPU was measured here" in str(estimated)
    assert "RTX 9999" in str(estimated)
    here = (Gpu("NVIDIA GeForce RTX 4090", "580.1", 24000, 8.9),)
    monkeypatch.setattr("peoplenet_nb.runpod.prices.gpus", lambda: here)
    rows = {(row["gpu"], row["cloud"]): row for row in cost(hours=10, fps=400).offers}
    mine, other = rows["RTX 4090", "community"], rows["L4", "secure"]
    assert (mine["speed"], mine["fps"], mine["hours"]) == ("measured", 400, 0.62)
    assert mine["USD"] == pytest.approx(10 * 3600 * 25 / 400 / 3600 * 0.34, abs=1e-4)
    assert (other["speed"], other["fps"]) == ("estimated", round(400 * TFLOPS["L4"] / TFLOPS["RTX 4090"], 1))
    assert "measured" in cost(hours=10, fps=400)._repr_html_()


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("NVIDIA GeForce RTX 3080 Ti", "RTX 3080 Ti"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA RTX 4000 Ada Generation", "RTX 4000 Ada"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA RTX A40000", None),
    ],
)
def test_gpus_are_known_by_their_whole_names(name, known):
    assert known_gpu(name) == known


def test_a_gpu_is_not_measured_because_its_name_is_part_of_anothers(monkeypatch):
    monkeypatch.setattr("peoplenet_nb.runpod.prices.gpus", lambda: (Gpu("NVIDIA L40S", "580.1", 48000, 8.9),))
    offers = [api_module.GpuOffer(name, {"secure": 1.0}) for name in ("L4", "L40S", "RTX A4000")]
    rows, _ = compare(offers, 1e6, 400.0)
    assert {row["gpu"]: row["speed"] for row in rows} == {
        "L40S": "measured", "L4": "estimated", "RTX A4000": "estimated"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        ((401, {"title": "Unauthorized", "detail": f"bad key {KEY}"}, {}), "refuses the key"),
        ((403, {}, {}), "may not do this"),
        ((404, NOT_FOUND, {}), "no such pod"),
        ((429, {}, {"Retry-After": "3600"}), "asked too often"),
        ((500, b"<html>", {}), "does not do this"),
        ((302, b"", {"Location": "http://127.0.0.1:1/steal"}), "does not do this"),
        ((200, b"<html>hello</html>", {}), "not understood"),
    ],
)
def test_what_the_api_refuses_is_a_sentence_without_the_key(server, answer, match):
    server.answers = [answer]
    with pytest.raises(PodError, match=match) as caught:
        Pods().pod("pod1")
    assert KEY not in str(caught.value)
    assert len(server.seen) == 1
    server.answers = [answer]
    assert match in str(cost())  # the rest is told all the same


def test_too_many_questions_are_asked_once_more_after_what_was_said(server, monkeypatch):
    waited = []
    monkeypatch.setattr(api_module.time, "sleep", waited.append)
    server.answers = [(429, {}, {"Retry-After": "3"})]
    assert Pods().pod("pod1").hourly == 0.44
    assert waited == [3]
    server.answers = [(429, {}, {}), (429, {}, {})]
    with pytest.raises(PodError, match="too often"):
        Pods().pod("pod1")


def test_an_api_that_cannot_be_reached_and_a_machine_that_is_no_pod(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("RUNPOD_API_KEY", KEY)
    with pytest.raises(PodError, match="cannot be reached"):
        Pods(f"http://127.0.0.1:{port}/v2").pod("pod1")
    monkeypatch.delenv("RUNPOD_POD_ID", raising=False)
    assert "not a pod" in str(cost(pods=Pods(f"http://127.0.0.1:{port}/v2"), hours=1))
    monkeypatch.setenv("RUNPOD_POD_ID", "../other")
    with pytest.raises(PodError, match="not a pod"):
        _ = Pods().here
    monkeypatch.delenv("RUNPOD_API_KEY")
    with pytest.raises(PodError, match="no key"):
        Pods().pod("pod1")


@pytest.mark.parametrize("data", [{"gpu": {"id": "NVIDIA L4", "count": 0}}, {"cpu": {"id": "cpu3c"}}])
def test_a_pod_that_came_back_without_a_gpu_is_told(server, data):
    server.answers = [(200, {"id": "pod1", **data}, {})]
    shown = str(cost())
    assert "without a GPU" in shown
    assert "may come back without one" in shown
    assert "now: not told" in shown


@pytest.mark.parametrize(
    "data",
    [[], "x", 7, None, {"cost": "x", "gpu": 3, "mounts": []}, {"cost": -1, "mounts": {"network": [7]}}],
)
def test_an_answer_of_another_shape_is_not_told_rather_than_wrong(server, data):
    server.answers = [(200, data, {})]
    assert Pods().pod("pod1").hourly is None
    server.answers = [(200, data, {})]
    assert Pods().gpus() == []


def test_a_pod_is_stopped_and_never_terminated(server):
    assert Pods().stop("pod1") == "RunPod's API"
    method, path, _, body = server.seen[0]
    assert (method, path, json.loads(body)) == ("POST", "/v2/pods/pod1/action", {"action": "stop"})
    package = Path(api_module.__file__).parent
    words = [text for file in package.glob("*.py") for text in file.read_text().lower().split('"')[1::2]]
    assert not [w for w in words if w in ("delete", "terminate", "remove", "podterminate")]


def test_runpodctl_stops_it_where_the_api_does_not(server, tmp_path):
    program(tmp_path, "runpodctl", f'echo "$@" >> {tmp_path}/said; [ "$1" = stop ]')
    server.answers = [(500, {}, {})]
    assert Pods().stop("pod1") == "runpodctl stop pod"
    assert (tmp_path / "said").read_text() == "pod stop pod1\nstop pod pod1\n"
    program(tmp_path, "runpodctl", f"echo no: {KEY} >&2; exit 1")
    server.answers = [(500, {}, {})]
    with pytest.raises(PodError, match="billed on") as caught:
        Pods().stop("pod1")
    assert KEY not in str(caught.value)


# Idle pods.


def test_times():
    assert [duration_s(text) for text in ("20m", "90s", "1.5h", 10, "1")] == [1200, 90, 5400, 600, 60]
    for text in ("", "soon", "0", "9s", "8000h", "-5m", "1d"):
        with pytest.raises(SettingsError):
            duration_s(text)


def watch(after=10, **options):
    watching = StopWhenIdle(f"{after}s", warning=5.0, **options)
    said = []
    return watching, said, watching.watch(said.append, look_s=0.01)


@pytest.fixture
def quick(monkeypatch):
    """A clock that a wait moves, so that minutes pass at once."""
    now = [1000.0]
    monkeypatch.setattr(idle, "monotonic", lambda: now[0])

    class Event(threading.Event):
        def wait(self, timeout=None):
            now[0] += 1.0
            return self.is_set()

    monkeypatch.setattr(idle, "Event", Event)
    return now


def test_an_idle_pod_is_stopped_after_a_countdown(server, quick):
    _, said, stopped = watch()
    assert stopped
    counted = [text for text in said if "is stopped in" in text]
    assert len(counted) >= 4
    assert "pod1 was stopped by RunPod's API" in said[-1]
    assert server.seen[-1][1] == "/v2/pods/pod1/action"


def test_a_dry_run_stops_nothing_and_needs_no_pod(server, quick, monkeypatch):
    monkeypatch.delenv("RUNPOD_POD_ID")
    _, said, stopped = watch(dry_run=True)
    assert stopped
    assert "would be stopped now" in said[-1]
    assert server.seen == []
    with pytest.raises(PodError, match="not a pod"):
        StopWhenIdle("20m")


@pytest.mark.parametrize("what", ["gpu", "kernel", "run", "batch"])
def test_whoever_works_keeps_the_pod(server, quick, monkeypatch, tmp_path, what):
    folder = tmp_path / "outputs"
    busy = {"gpu": 0, "kernel": 0}
    monkeypatch.setattr(idle, "gpu_use", lambda: [0, busy["gpu"]])
    monkeypatch.setattr(idle, "busy_kernels", lambda: busy["kernel"])
    marks = {"run": folder / "a" / "run.json", "batch": folder / "b" / ".batch" / "workers" / "w.json"}

    def work(until):
        if quick[0] >= until:
            busy.update(gpu=0, kernel=0)
            return
        if what in busy:
            busy[what] = 50
        else:
            marks[what].parent.mkdir(parents=True, exist_ok=True)
            marks[what].unlink(missing_ok=True)
            marks[what].write_text("{}")
            ahead = time.time() + quick[0]  # each later than the one before
            os.utime(marks[what], (ahead, ahead))
            os.utime(marks[what].parent, (ahead, ahead))

    real = idle.activity
    monkeypatch.setattr(idle, "activity", lambda *given: (work(1030.0), real(*given))[1])
    monkeypatch.setattr(idle, "time", lambda: time.time() + quick[0])
    _, said, stopped = watch(folder=folder)
    assert stopped
    assert quick[0] >= 1039
    words = {
        "gpu": "a GPU works (50 %)",
        "kernel": "50 busy kernels",
        "run": "a run writes (a)",
        "batch": "a run writes (b)",
    }
    assert any(words[what] in text for text in said)


def test_a_pod_that_cannot_be_stopped_is_tried_again_for_a_while(server, quick):
    server.answers = [(500, {}, {})] * 3
    _, said, stopped = watch()
    assert stopped
    assert sum("tried again in 60 s" in text for text in said) == 3
    assert "was stopped by RunPod's API" in said[-1]
    server.answers = [(500, {}, {})] * 10
    with pytest.raises(PodError, match="billed on"):
        watch()
    assert not server.answers


def test_keep_it_begins_anew_and_ending_stops_nothing(server, quick):
    watching = StopWhenIdle("10s", warning=5.0)
    said = []

    def say(text):
        said.append(text)
        if "stopped in 2 s" in text and quick[0] < 1020:
            watching.keep()
        elif quick[0] > 1012 and "stopped in 3 s" in text:
            watching.end()

    assert not watching.watch(say, look_s=0.01)
    assert quick[0] > 1012
    assert server.seen == []


def test_the_widget_shows_the_countdown_and_its_buttons_work(server):
    watching = StopWhenIdle("20m")
    shown = watching._repr_mimebundle_()
    text, buttons = watching._widget.children
    until = time.monotonic() + 20
    while not watching.said and time.monotonic() < until:
        time.sleep(0.01)
    assert "pod1 is stopped after 20 min" in text.value
    assert [button.description for button in buttons.children] == ["keep it", "watch no longer"]
    buttons.children[1].click()
    watching._thread.join(20)
    assert not watching._thread.is_alive()
    assert "runs on, and is billed" in watching.said
    assert shown


def test_kernels_are_asked_at_the_servers_of_this_machine(monkeypatch, tmp_path):
    class Jupyter(Handler):
        def _usual(self, body):
            fine = self.headers.get("Authorization") == "token hush" and self.path == "/base/api/kernels"
            return 200 if fine else 403, [{"execution_state": s} for s in ("busy", "idle", "busy")], {}

    one = Api()
    one.RequestHandlerClass = Jupyter
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    port = one.server_address[1]
    data = {"url": f"http://pod:{port}/base/", "port": port, "base_url": "/base/", "token": "hush"}
    (tmp_path / "jpserver-1.json").write_text(json.dumps(data))
    (tmp_path / "jpserver-2.json").write_text("{")
    assert idle.busy_kernels() == 2
    one.shutdown()
    one.server_close()
    thread.join()


# Space.


@pytest.fixture
def home(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(bytes(2 << 20))
    for name in ("uv", "tensorrt", "somebody's"):
        path = cache_dir() / name / "deep"
        path.mkdir(parents=True)
        (path / "file").write_bytes(bytes(2 << 20))
    (cache_dir() / "uv" / "link").symlink_to(outside)
    (cache_dir() / "links").symlink_to(outside)
    result = run(make_video(tmp_path / "a.mp4", 5), outputs_dir())
    (result.folder / "mine.txt").write_text("keep")
    (outputs_dir() / "foreign").mkdir()
    (outputs_dir() / "foreign" / "video.mp4").write_bytes(bytes(2 << 20))
    (outputs_dir() / "elsewhere").symlink_to(outside)
    return outside


def test_space_is_shown_safest_first_and_only_what_is_ours(home):
    found = space()
    assert [(item.what, item.path.name) for item in found.items] == [
        ("cache", "uv"),
        ("cache", "tensorrt"),
        ("run", "a"),
    ]
    assert found.items[0].size == 2 << 20
    assert "comes back" in found._repr_html_()
    assert [item.path.name for item in found.removable] == ["uv", "tensorrt"]


def test_what_is_removed_is_ours_and_nothing_behind_links(home):
    for item in space().items:
        remove(item)
    assert not (cache_dir() / "uv").exists()
    assert (home / "precious").is_file()
    assert (cache_dir() / "somebody's" / "deep" / "file").is_file()
    assert [path.name for path in (outputs_dir() / "a").iterdir()] == ["mine.txt"]
    assert (outputs_dir() / "foreign" / "video.mp4").is_file()
    assert space().items == []


def test_a_link_that_took_the_place_of_a_folder_is_not_followed(home):
    item = space().items[0]
    (cache_dir() / "uv").rename(cache_dir() / "was")
    (cache_dir() / "uv").symlink_to(home)
    with pytest.raises(OutputError, match="not removed"):
        remove(item)
    assert (home / "precious").is_file()


def test_the_command_asks_before_anything_goes(home):
    asked = CliRunner().invoke(app, ["clean"], input="n\ny\n")
    assert asked.exit_code == 0, asked.output
    assert (cache_dir() / "uv").exists()
    assert not (cache_dir() / "tensorrt").exists()
    assert "Remove cache" in asked.output
    assert "Remove" not in CliRunner().invoke(app, ["clean", "--dry-run"]).output


def test_the_commands_of_the_bill(server, monkeypatch):
    done = CliRunner().invoke(app, ["cost", "--hours", "2"])
    assert done.exit_code == 0, done.output
    assert "cheapest first" in done.output
    assert KEY not in done.output
    monkeypatch.setattr(idle, "_WARNING_S", 1.0)
    monkeypatch.setattr(idle, "activity", lambda *_: "")
    monkeypatch.setattr(idle, "duration_s", lambda _: 0.2)
    done = CliRunner().invoke(app, ["stop-when-idle", "--after", "20m", "--dry-run"])
    assert "would be stopped" in done.output, done.output


def test_prices_are_compared_by_the_cost_and_not_by_the_hour():
    rows, _ = compare(api_module._offers(CATALOGUE["gpus"]), 1e6, None)
    assert rows[0]["gpu"] == "RTX 4090"
    assert rows[0]["an hour"] < rows[-1]["an hour"]
