"""What the tests of live streams share: an RTSP server, a relay that spoils what it passes on, waiting."""

from __future__ import annotations

import queue
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
import pytest

from peoplenet_nb.live.rtsp import PACKAGES, PYTHON, SCRIPT, have_rtsp_server
from peoplenet_nb.sources.feed import Limits
from peoplenet_nb.sources.stream import open_live
from videos import picture

SIZE = (320, 192)
FPS = 25
QUICK = Limits(open_s=4.0, frame_s=0.6, least_pause_s=0.05, most_pause_s=0.4)


def require_gstreamer() -> None:
    """Skip the test where GStreamer's RTSP server is not installed."""
    if not have_rtsp_server():
        pytest.skip(f"no RTSP server: apt-get install {PACKAGES}")


def noisy(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A numbered picture whose lower half takes many bytes."""
    image = picture(number, size)
    half = image[size[1] // 2 :]
    half[:] = np.random.default_rng(number).integers(40, 220, half.shape, np.uint8)
    return image


def make_pictures(
    folder: Path,
    size: tuple[int, int] = SIZE,
    frames: int = 100,
    draw: Callable[[int, tuple[int, int]], np.ndarray] = picture,
) -> Path:
    """Numbered pictures as H.264, one access unit a file, a key frame every ten."""
    folder.mkdir()
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base, context.framerate, context.gop_size = Fraction(1, FPS), Fraction(FPS), 10
    context.thread_count = 1  # one slice a picture: the server would send its parameters between two
    context.options = {"tune": "zerolatency", "preset": "ultrafast", "crf": "18"}
    packets = []
    for i in range(frames):
        frame = av.VideoFrame.from_ndarray(draw(i, size), format="bgr24")
        frame.pts = i
        packets += context.encode(frame)
    for i, packet in enumerate([*packets, *context.encode(None)]):
        (folder / f"{i:05d}.h264").write_bytes(bytes(packet))
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """The RTSP server; it can be frozen, thawed, killed and started again on the same port."""

    def __init__(self, pictures: Path, *, fps: int = FPS, password: str = "") -> None:
        self.port, self.process = free_port(), None
        self.start(pictures, fps=fps, password=password)

    def start(self, pictures: Path, *, fps: int = FPS, password: str = "") -> None:
        command = [PYTHON, SCRIPT, str(self.port), pictures, str(fps), *([password] if password else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self.process.stdout.readline() == b"ready\n"

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.process.stdin.close()

    def address(self, name: str = "video", login: str = "", port: int | None = None) -> str:
        return f"rtsp://{login}127.0.0.1:{port or self.port}/{name}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Relay:
    """A TCP relay in front of a port, which changes what comes from it: ``spoil`` gets each piece of data."""

    def __init__(self, port: int, spoil: Callable[[bytes], bytes]) -> None:
        self._to, self._spoil = port, spoil
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for pair in ((near, far, bytes), (far, near, self._spoil)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, spoil: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(spoil(data))
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


class SlowLink:
    """A TCP relay in front of a web address, which `slow` makes a link with a delay and few bits a second."""

    def __init__(self, address: str) -> None:
        host, _, rest = address.partition("://")[2].partition("/")
        self._to = int(host.rpartition(":")[2])
        self._delay, self._bits = 0.0, 0.0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/{rest}"
        self._locks = (threading.Lock(), threading.Lock())  # all connections share the link, either way
        threading.Thread(target=self._accept, daemon=True).start()

    def slow(self, *, delay_s: float, bits: float) -> None:
        """From now on data takes so long either way, and so many bits pass in a second."""
        self._delay, self._bits = delay_s, bits

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                for source, target, lock in ((near, far, self._locks[0]), (far, near, self._locks[1])):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    late: queue.Queue[tuple[float, bytes]] = queue.Queue(64)
                    threading.Thread(target=self._take, args=(source, late, lock), daemon=True).start()
                    threading.Thread(target=self._give, args=(target, late), daemon=True).start()

    def _take(
        self, source: socket.socket, late: queue.Queue[tuple[float, bytes]], lock: threading.Lock
    ) -> None:
        data = b"x"
        while data:
            try:
                data = source.recv(2048 if self._bits else 65536)
            except OSError:
                data = b""
            if self._bits:
                with lock:
                    time.sleep(8 * len(data) / self._bits)
            late.put((time.monotonic() + self._delay, data))

    @staticmethod
    def _give(target: socket.socket, late: queue.Queue[tuple[float, bytes]]) -> None:
        with suppress(OSError):
            while True:
                at, data = late.get()
                time.sleep(max(0.0, at - time.monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


def losing(share: float, seed: int = 0) -> Callable[[bytes], bytes]:
    """Damage a share of large pieces of data, as a bad radio link that nobody checks would."""
    dice = random.Random(seed)

    def spoil(data: bytes) -> bytes:
        if len(data) < 400 or dice.random() > share:
            return data
        at = dice.randrange(100, len(data) - 100)
        return data[:at] + dice.randbytes(60) + data[at + 60 :]

    return spoil


def quick(address: str, limits: Limits = QUICK, **options: Any) -> Any:
    return open_live(address, limits=limits, **options)


def wait_for(what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "stream"]
