# mypy: ignore-errors
"""An RTSP server of GStreamer's, run by the system's Python: ``python3 rtsp_server.py PORT FOLDER FPS [PASSWORD]``.

Started by `peoplenet_nb.live.rtsp` and by tests; it ends with its standard input. What it plays: ``/video``, the H.264
pictures of the folder again and again; ``/jpeg``, another codec of another size; ``/sound``, no pictures; ``/never``,
which is named and never starts.
"""

import itertools
import sys
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def play(media: GstRtspServer.RTSPMedia, pictures: list[bytes], fps: int) -> None:
    """Give the pictures to a pipeline, again and again."""
    given = itertools.count()

    def push(source: Gst.Element, _size: int) -> None:
        number = next(given)
        buffer = Gst.Buffer.new_wrapped(pictures[number % len(pictures)])
        buffer.pts = buffer.dts = number * Gst.SECOND // fps
        buffer.duration = Gst.SECOND // fps
        source.emit("push-buffer", buffer)

    media.get_element().get_by_name("pictures").connect("need-data", push)


def main() -> None:
    """Serve until standard input ends."""
    port, folder, fps, *password = sys.argv[1:]
    Gst.init(None)
    pictures = [path.read_bytes() for path in sorted(Path(folder).glob("*.h264"))]
    h264 = f"video/x-h264,stream-format=byte-stream,alignment=au,framerate={fps}/1"
    pipelines = {
        "video": f'appsrc name=pictures format=time caps="{h264}" ! rtph264pay config-interval=0 name=pay0 pt=96',
        "jpeg": f"videotestsrc ! video/x-raw,format=I420,width=320,height=192,framerate={fps}/1 "
        "! jpegenc ! rtpjpegpay name=pay0 pt=26",
        "sound": "audiotestsrc ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay0 pt=8",
        "never": f'appsrc caps="{h264}" ! rtph264pay name=pay0 pt=96',
    }
    server = GstRtspServer.RTSPServer()
    server.set_service(port)
    server.set_address("127.0.0.1")
    if password:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic("user", password[0]), token)
        server.set_auth(auth)
    for name, pipeline in pipelines.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {pipeline} )")
        factory.set_shared(True)
        if name == "video":
            factory.connect("media-configure", lambda _factory, media: play(media, pictures, int(fps)))
        if password:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(f"/{name}", factory)
    if not server.attach(None):
        sys.exit("the port is taken")
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin.fileno(), GLib.IO_HUP | GLib.IO_IN, lambda *_: loop.quit())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    loop.run()


main()
