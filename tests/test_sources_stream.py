"""Live streams against a real RTSP server, and what happens when it fails in every way that is known."""

from __future__ import annotations

import contextlib
import http.server
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from itertools import islice, pairwise
from pathlib import Path

import cv2
import pytest

from live_streams import (
    QUICK,
    Relay,
    Server,
    free_port,
    losing,
    make_pictures,
    noisy,
    quick,
    readers,
    require_gstreamer,
    wait_for,
)
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.sources import open_source, stream
from peoplenet_nb.sources.feed import Buffer, Feed, Limits
from peoplenet_nb.sources.stream import LiveSource
from videos import make_sound, make_video, number_of, picture

SECRET = "s3cret-w0rd"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    require_gstreamer()
    return make_pictures(tmp_path_factory.mktemp("rtsp") / "pictures")


@pytest.fixture(scope="module")
def smaller(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp("rtsp") / "smaller", (160, 96))


@pytest.fixture(scope="module")
def server(pictures):
    with Server(pictures) as running:
        yield running


@pytest.fixture
def own_server(pictures):
    with Server(pictures) as running:
        yield running


@pytest.fixture(autouse=True)
def no_thread_left(monkeypatch):
    monkeypatch.setitem(stream._OPTIONS, "analyzeduration", "50000")
    yield
    wait_for(lambda: not readers())


class Reading:
    """A source read in a thread: what came, and the pictures' numbers and sizes."""

    def __init__(self, source: LiveSource) -> None:
        self.source, self.frames = source, []
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        for frame in self.source:
            self.frames.append((frame.time_s, frame.size, number_of(frame.image), float(frame.image.std())))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.source.end()
        self.thread.join(20)
        assert not self.thread.is_alive()

    def more(self, count: int = 5) -> None:
        """Wait for so many frames more."""
        goal = len(self.frames) + count
        wait_for(lambda: len(self.frames) >= goal)


def test_a_stream_gives_its_pictures_with_the_times_of_their_arrival(server):
    source = quick(server.address())
    assert (source.live, source.info.fps, source.expected) == (True, 25.0, None)
    assert (source.info.width, source.info.height) == (320, 192)
    frames = list(islice(source, 5, 25))  # the server sends the first picture twice
    numbers, times = [number_of(frame.image) for frame in frames], [frame.time_s for frame in frames]
    steps = [(after - before) % 100 for before, after in pairwise(numbers)]
    assert all(0 < step < 50 for step in steps)  # in order, the newest of those that came meanwhile
    assert all(before <= after for before, after in pairwise(times))
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    assert source.feed.gaps == []


def test_whoever_is_slow_gets_the_newest_frame_and_what_was_dropped_is_counted(server):
    source = quick(server.address())
    walk = iter(source)
    next(walk)
    wait_for(lambda: source.feed.arrived > 15)
    came = source.feed.arrived
    frame = next(walk)
    walk.close()
    assert frame.index >= came - 1  # the newest, not the second that came
    assert source.feed.dropped >= 10


def test_waiting_leaves_no_frame_out(server):
    source = quick(server.address(), buffer="wait")
    numbers = []
    for frame in islice(source, 5, 20):
        numbers.append(number_of(frame.image))
        time.sleep(0.06)
    assert all((after - before) % 100 == 1 for before, after in pairwise(numbers))
    assert source.feed.dropped == 0


def test_it_ends_when_its_time_is_up_though_nothing_comes(own_server):
    source = quick(own_server.address(), seconds=1.2)
    threading.Timer(0.6, own_server.signal, [signal.SIGSTOP]).start()
    began = time.monotonic()
    assert list(source)
    assert time.monotonic() - began < 10


def test_a_frozen_server_is_a_gap_and_then_it_goes_on(own_server, caplog):
    with Reading(quick(own_server.address())) as reading:
        reading.more()
        own_server.signal(signal.SIGSTOP)
        wait_for(lambda: reading.source.feed.trouble)
        time.sleep(0.8)
        own_server.signal(signal.SIGCONT)
        reading.more()
    (gap,) = reading.source.feed.gaps
    assert gap.ends_s - gap.begins_s > 0.6
    assert not any(gap.begins_s < time_s < gap.ends_s for time_s, *_ in reading.frames)
    assert "no data came" in gap.reason or "no frame came" in gap.reason
    assert "frames come again" in caplog.text


def test_a_killed_server_is_connected_to_again_also_at_another_size(own_server, smaller):
    with Reading(quick(own_server.address())) as reading:
        reading.more()
        own_server.kill()
        wait_for(lambda: "Nobody listens" in reading.source.feed.trouble)
        own_server.start(smaller)
        reading.more()
        sizes = list(dict.fromkeys(size for _, size, *_ in reading.frames))
    assert sizes == [(320, 192), (160, 96)]
    assert "the connection ended; Nobody listens" in reading.source.feed.gaps[0].reason
    assert "160x96, before 320x192" in reading.source.info.notes[-1]


def test_a_server_that_comes_back_with_another_codec_is_read_on(pictures):
    with Server(pictures) as first, Server(pictures) as second:
        target = [first.address("video")]
        source = quick(target[0])
        with Reading(source) as reading:
            reading.more()
            source._target = second.address("jpeg")
            first.kill()
            reading.more()
    assert {spread > 1 for *_, spread in reading.frames} == {True}  # each is a picture, none is plain


def test_what_is_damaged_on_the_way_is_left_out_or_read_over(tmp_path):
    require_gstreamer()
    noise = make_pictures(tmp_path / "noise", draw=noisy)
    with (
        Server(noise) as server,
        Relay(server.port, losing(0.1)) as relay,
        Reading(quick(server.address(port=relay.port), seconds=2.5)) as reading,
    ):
        reading.thread.join(20)
    assert len(reading.frames) > 10
    assert all(spread > 20 for *_, spread in reading.frames)  # no black picture, no grey one


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("sound", "no pictures", id="sound only"),
        pytest.param("nothing", "no stream under this name", id="no such name"),
        pytest.param("never", "in time", id="never starts"),
    ],
)
def test_what_gives_no_pictures_is_refused_in_time(own_server, name, message):
    began = time.monotonic()
    with pytest.raises(SourceError, match=message):
        quick(own_server.address(name), Limits(open_s=2.0, frame_s=0.5))
    assert time.monotonic() - began < 15


def test_nobody_there_is_said_at_once():
    with pytest.raises(SourceError, match="Nobody listens"):
        quick(f"rtsp://127.0.0.1:{free_port()}/video")


def test_somebody_who_accepts_and_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SourceError, match="in time"):
        quick(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/video", Limits(open_s=0.5, frame_s=0.5))


def test_a_password_opens_and_is_shown_nowhere(pictures, caplog):
    caplog.set_level(logging.DEBUG)
    with Server(pictures, password=SECRET) as server:
        with pytest.raises(SourceError, match="another user name or password") as wrong:
            quick(server.address(login=f"user:{SECRET}x@"))
        source = quick(server.address(login=f"user:{SECRET}@"))
        with Reading(source) as reading:
            reading.more()
            server.kill()
            wait_for(lambda: source.feed.trouble)
            server.start(pictures, password="another")
            wait_for(lambda: "password" in source.feed.trouble)
    told = [str(wrong.value), repr(wrong.value.__cause__), repr(source), source._repr_html_(), source.info]
    assert SECRET not in f"{told} {caplog.text} {source.feed.gaps}"


def test_a_source_that_is_made_without_a_name_hides_its_password_too():
    with pytest.raises(SourceError, match="127.0.0.1") as refused:
        LiveSource(f"rtsp://user:{SECRET}@127.0.0.1:{free_port()}/video", limits=QUICK)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["rtsp://", "rtsp://user:a/b@host/x", "rtsp://h/x pass=a/b", "rtsp://h:x/"]
)
def test_an_address_that_is_none_is_refused_without_its_password(address):
    with pytest.raises(SourceError) as refused:
        open_source(address)
    assert "a/b" not in str(refused.value)


def test_a_file_is_played_at_its_own_pace_again_and_again(tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=10, fps=50)
    source = open_source(video, live=True, seconds=0.9)
    numbers = [number_of(frame.image) for frame in source]
    assert source.feed.arrived < 60  # 45 at its own pace
    assert len(numbers) > len(set(numbers)) > 3


def test_only_what_is_live_ends_after_a_time(tmp_path):
    video = make_video(tmp_path / "v.mp4", frames=3)
    with pytest.raises(SettingsError, match="Only a live stream"):
        open_source(video, seconds=3)
    with pytest.raises(SettingsError):
        open_source(video, live=True, seconds=-1)
    with pytest.raises(SourceError, match="no pictures"):
        open_source(make_sound(tmp_path / "s.mp4"), live=True)


def test_memory_stays_flat_however_fast_frames_come():
    """An hour's worth of frames, 90000 of them, as fast as they go."""

    class Picture:
        pass

    alive, most = weakref.WeakSet[Picture](), 0

    def connect():
        nonlocal most
        for _ in range(90_000):
            picture = Picture()
            alive.add(picture)
            most = max(most, len(alive))
            yield time.monotonic(), picture
        threading.Event().wait(0.2)

    feed = Feed(connect, QUICK)
    feed.start()
    while feed.arrived < 90_000:
        assert feed.take() is not None
    feed.stop()
    feed.thread.join(20)
    assert most < 10


def test_a_fault_of_ours_reaches_whoever_takes_frames():
    def connect():
        yield time.monotonic(), object()
        raise KeyError("ours")

    feed = Feed(connect, QUICK, Buffer.WAIT)
    feed.start()
    with pytest.raises(KeyError, match="ours"):
        list(iter(feed.take, None))


def test_connecting_again_takes_longer_with_every_failure():
    asked: list[float] = []

    def connect():
        asked.append(time.monotonic())
        raise SourceError("no")
        yield

    feed = Feed(connect, Limits(1, 1, 0.02, 0.2), seconds=0.8)
    feed.start()
    assert feed.take() is None
    pauses = [after - before for before, after in pairwise(asked)]
    assert 2 <= len(pauses) <= 8
    assert pauses[0] < pauses[-1] > 0.15


def test_python_ends_though_a_frozen_server_is_read(own_server):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from live_streams import quick\n"
        "walk = iter(quick(sys.argv[1])); next(walk); print('reading', flush=True); sys.stdin.readline()"
    )
    python = subprocess.Popen(
        [sys.executable, "-c", code, own_server.address(), str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert python.stdout.readline() == b"reading\n"
    own_server.signal(signal.SIGSTOP)
    _, complaints = python.communicate(b"\n", timeout=20)
    assert (python.returncode, complaints) == (0, b"")


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """A web camera that hangs up after ten pictures."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with contextlib.suppress(OSError):
            for number in range(10):
                data = cv2.imencode(".jpg", picture(number, (320, 192)))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(0.02)

    def log_message(self, *_):
        pass


def test_a_web_camera_is_connected_to_again_and_its_query_is_not_shown(monkeypatch, caplog):
    caplog.set_level(logging.DEBUG, "peoplenet_nb")
    monkeypatch.setattr(
        stream.LiveSource.__init__,
        "__kwdefaults__",
        {
            **stream.LiveSource.__init__.__kwdefaults__,
            "limits": QUICK,
        },
    )
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/cam?key={SECRET}"
        source = open_source(address, live=True)
        with Reading(source) as reading:
            wait_for(lambda: len(source.feed.gaps) >= 2)
        server.shutdown()
    assert MotionJpeg.asked >= 4
    assert {size for _, size, *_ in reading.frames} == {(320, 192)}
    assert SECRET not in f"{source.info} {source.feed.gaps} {caplog.text}"
