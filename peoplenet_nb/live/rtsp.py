"""A stream to try things with: the demo clip from an RTSP server on this machine, where GStreamer has one.

It is Debian's: ``apt-get install gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good python3-gi``, which the system's
own Python runs. Where it is missing, the clip itself is played at its own pace.
"""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.html_tables import note

PACKAGES = "gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good python3-gi"
SCRIPT = Path(__file__).resolve().parent / "static" / "rtsp_server.py"
PYTHON = "/usr/bin/python3"
_NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@dataclass(frozen=True)
class DemoStream:
    """Where the demo clip is to be had as a stream; ``address`` is for `peoplenet_nb.open_source`."""

    address: str
    note: str  #: what it is

    def __str__(self) -> str:
        return self.address

    def _repr_html_(self) -> str:
        return note(f"{self.address}: {self.note}")


@cache
def have_rtsp_server() -> bool:
    """Tell whether GStreamer's RTSP server is installed."""
    if shutil.which(PYTHON) is None:
        return False
    tried = subprocess.run([PYTHON, "-c", _NEEDED], capture_output=True, timeout=60, check=False)
    return tried.returncode == 0


@cache
def demo_stream() -> DemoStream:
    """Return a stream of the demo clip; the server is started once and ends with this process."""
    if not have_rtsp_server():
        what = "no RTSP server is installed here, so the demo clip is played at its own pace, again and again"
        return DemoStream("demo", f"{what} (for a server: apt-get install {PACKAGES}).")
    folder = tempfile.TemporaryDirectory(prefix="peoplenet-rtsp-", ignore_cleanup_errors=True)
    fps = write_access_units(demo_clip(), Path(folder.name))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [PYTHON, str(SCRIPT), str(port), folder.name, str(fps)],
        stdin=subprocess.PIPE,  # whose end is the server's
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if server.stdout is None or server.stdout.readline() != b"ready\n":
        server.kill()
        folder.cleanup()
        return DemoStream(
            "demo", "the RTSP server did not start, so the demo clip is played at its own pace."
        )
    atexit.register(_end, server, folder)
    what = "an RTSP server on this machine plays the demo clip, again and again, as a camera would"
    return DemoStream(f"rtsp://127.0.0.1:{port}/video", f"{what}.")


def _end(server: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    server.kill()
    server.wait()
    folder.cleanup()


def write_access_units(video: Path, folder: Path) -> int:
    """Write the pictures of an H.264 video as they are, a file each; return the frames a second, rounded."""
    with av.open(str(video)) as clip:
        stream: Any = clip.streams.video[0]
        to_annex_b = BitStreamFilterContext("h264_mp4toannexb", stream)
        number = 0
        for packet in clip.demux(stream):
            for unit in to_annex_b.filter(packet) if packet.size else ():
                (folder / f"{number:05d}.h264").write_bytes(bytes(unit))
                number += 1
        return round(float(stream.average_rate))
