"""Videos and images behind addresses, from a server of the test's own."""

from __future__ import annotations

import http.server
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress

import av
import cv2
import pytest

from peoplenet_nb import web
from peoplenet_nb.errors import SourceError
from peoplenet_nb.sources import links, open_source, videofile
from peoplenet_nb.urls import hide_secrets
from videos import make_video, number_of, picture


@pytest.fixture
def asked() -> list[str]:
    """The paths that the server was asked for."""
    return []


@pytest.fixture
def server(tmp_path, asked) -> Iterator[str]:
    """A web server over a folder with a video, an image, a page and nothing."""
    folder = tmp_path / "web"
    folder.mkdir()
    make_video(folder / "video.mp4", 12, options={"movflags": "+faststart"})
    cv2.imwrite(str(folder / "image.png"), picture(5))
    (folder / "page").write_text("<html><body>a page</body></html>")
    (folder / "nothing.mp4").touch()
    (folder / "garbage.mp4").write_bytes(bytes(5000))
    (folder / "plain.mp4").write_bytes((folder / "video.mp4").read_bytes())
    make_video(folder / "part.ts", 12)
    playlists = {
        "media": "#EXT-X-TARGETDURATION:1\n#EXTINF:0.48,\npart.ts\n#EXT-X-ENDLIST",
        "master": "#EXT-X-STREAM-INF:BANDWIDTH=5\nloop.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=40\nmedia.m3u8",
        "live": "#EXT-X-TARGETDURATION:1\n#EXTINF:0.48,\npart.ts",
        "nested": "#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nloop.m3u8\n#EXT-X-ENDLIST",
        "loop": "#EXT-X-STREAM-INF:BANDWIDTH=1\nloop.m3u8",
        "sound": '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="a",URI="sound.m3u8"',
        "local": f"#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{folder / 'part.ts'}\n#EXT-X-ENDLIST",
    }
    for name, lines in playlists.items():
        (folder / f"{name}.m3u8").write_text(f"#EXTM3U\n{lines}\n")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def do_GET(self):
            asked.append(self.path)
            if self.path.startswith("/turncoat"):  # a video for all but FFmpeg
                ours = "python-requests" in self.headers["User-Agent"]
                self.path = "/video.mp4" if ours else "/loop.m3u8"
            if self.path.startswith("/two-faced"):  # a list of videos for all but FFmpeg
                self.path = "/media.m3u8" if "python-requests" in self.headers["User-Agent"] else "/loop.m3u8"
            if self.path.startswith("/live"):  # a live stream that becomes something else
                self.path = "/live.m3u8" if asked.count(self.path) < 4 else self.path.partition("?")[2]
            if self.path.startswith("/drip"):
                self.send_response(200)
                self.send_header("Content-Type", "image/png" if "png" in self.path else "video/mp4")
                self.end_headers()
                with suppress(OSError):
                    for _ in range(2000):
                        self.wfile.write(b"\0" * (100 if "head" not in self.path else 1))
                        time.sleep(0.01)
            elif self.path.startswith("/continue"):
                with suppress(OSError):
                    for _ in range(2000):
                        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                        time.sleep(0.01)
            elif self.path.startswith("/private"):
                self.send_error(403)
            elif self.path.startswith("/hang-up"):
                self.close_connection = True
            else:
                super().do_GET()

        def send_header(self, keyword, value):
            if keyword != "Last-Modified" or not self.path.startswith("/plain"):
                super().send_header(keyword, value)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_video_behind_an_address_is_read_as_it_comes(server):
    source = open_source(f"{server}/video.mp4?token=secret")
    assert [number_of(f.image) for f in source] == list(range(12))
    assert source.info.stem == "video"
    assert "secret" not in source.info.spec + source.info.fingerprint


def test_image_behind_an_address_is_fetched(server):
    (frame,) = open_source(f"{server}/image.png")
    assert number_of(frame.image) == 5


@pytest.mark.parametrize("name", ["media", "master"])
def test_of_a_playlist_of_playlists_the_best_is_read(server, name):
    source = open_source(f"{server}/{name}.m3u8")
    assert [number_of(f.image) for f in source] == list(range(12))
    assert source.info.name == f"{name}.m3u8"
    assert not source.endless


@pytest.mark.parametrize("name", ["loop", "sound"])
def test_a_playlist_that_names_itself_ends_at_once(server, asked, name):
    with pytest.raises(SourceError, match="names playlists that name playlists"):
        open_source(f"{server}/{name}.m3u8")
    assert len(asked) <= 2


def test_what_was_no_playlist_is_not_read_as_one(server, asked):
    with pytest.raises(SourceError, match="not a video"):
        open_source(f"{server}/turncoat")
    assert len(asked) <= 3


def test_ffmpeg_reads_the_playlist_that_was_checked_not_the_one_it_would_be_given(server, asked):
    source = open_source(f"{server}/two-faced.m3u8")
    assert [number_of(f.image) for f in source] == list(range(12))
    assert asked == ["/two-faced.m3u8", "/part.ts", "/part.ts"]


def test_a_piece_of_video_that_is_a_playlist_ends_at_once(server, asked):
    with pytest.raises(SourceError, match="not a video"):
        open_source(f"{server}/nested.m3u8")
    assert len(asked) <= 3


@pytest.mark.parametrize(
    ("becomes", "reason"),
    [("loop.m3u8", "names playlists"), ("page", "names playlists"), ("gone", "broke off")],
)
def test_a_live_stream_whose_playlist_turns_into_something_else_ends(server, becomes, reason):
    """FFmpeg itself crashes on the first."""
    with pytest.raises(SourceError, match=reason):
        list(open_source(f"{server}/live.m3u8?/{becomes}"))


def test_a_live_stream_is_read_over_a_lost_piece(server, asked, tmp_path):
    live = tmp_path / "web" / "live.m3u8"
    live.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.48,\ngone.ts\n#EXTINF:0.48,\npart.ts\n")
    source = open_source(f"{server}/live.m3u8?/media.m3u8")
    assert source.endless
    assert [number_of(f.image) for f in source] == list(range(12))
    assert "/gone.ts" in asked


def test_a_live_stream_opens_no_file_of_this_machine(server, tmp_path):
    live = tmp_path / "web" / "live.m3u8"
    live.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tmp_path}/web/part.ts\n")
    with pytest.raises(SourceError):
        open_source(f"{server}/live.m3u8?/live.m3u8")


@pytest.mark.parametrize("path", ["drip.png", "drip-head", "continue"])
def test_what_drips_or_never_begins_is_given_up(server, monkeypatch, path):
    monkeypatch.setattr(web, "_GRACE", 0.2)
    monkeypatch.setattr(web, "_HEAD_LIMIT", 0.2)
    monkeypatch.setattr(web, "LEAST_RATE", 10**6)
    begun = time.monotonic()
    with pytest.raises(SourceError, match="does not answer"):
        open_source(f"{server}/{path}")
    assert time.monotonic() - begun < 10


def test_an_image_may_not_take_for_ever_however_fast_it_comes(server, monkeypatch):
    monkeypatch.setattr(links, "_LONGEST", 0.2)
    with pytest.raises(SourceError, match="does not answer"):
        open_source(f"{server}/drip.png")


def test_an_image_without_end_fills_no_memory(server, monkeypatch):
    monkeypatch.setattr(links, "_LARGEST_IMAGE", 5000)
    with pytest.raises(SourceError, match="too large"):
        open_source(f"{server}/drip.png")


def test_a_video_that_drips_is_given_up(server, monkeypatch):
    monkeypatch.setattr(videofile.VideoFile, "_time_limits", (0.5, 30.0))
    begun = time.monotonic()
    with pytest.raises(SourceError, match="too slowly"):
        open_source(f"{server}/drip.mp4")
    assert time.monotonic() - begun < 10


def test_a_playlist_behind_an_address_reads_no_file_of_this_machine(server):
    with pytest.raises(SourceError):
        list(open_source(f"{server}/local.m3u8"))


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


@pytest.mark.parametrize("path", ["/garbage.mp4", "/gone.mp4", "/page", "/nothing.mp4", "/hang-up.mp4"])
def test_no_error_shows_password_or_token(server, path):
    address = server.replace("//", "//user:PW@") + path + "?token=T0KEN"
    with pytest.raises(SourceError) as caught:
        open_source(address)
    assert path in str(caught.value)
    assert "PW" not in shown(caught.value)
    assert "T0KEN" not in shown(caught.value)


def test_a_connection_that_breaks_off_shows_no_token(server, monkeypatch):
    source = open_source(f"{server}/video.mp4?token=T0KEN")
    monkeypatch.setattr(videofile, "_LINK_FAILURES", 1)
    target = source._target

    def breaks(*_args):
        raise av.error.OSError(5, "Input/output error", target)

    monkeypatch.setattr(source, "_open", lambda: BrokenContainer(source, breaks))
    with pytest.raises(SourceError, match="broke off") as caught:
        list(source)
    assert "T0KEN" not in shown(caught.value)


class BrokenContainer:
    """A container of which no packet can be read."""

    def __init__(self, source, breaks):
        self._real = type(source)._open(source)
        self.streams, self.demux, self.close = self._real.streams, breaks, self._real.close


@pytest.mark.parametrize("path", ["plain.mp4", "video.mp4"])
def test_another_query_is_another_video_where_the_server_names_no_version_or_only_a_date(server, path):
    one, two, again = (open_source(f"{server}/{path}?id={i}").info.fingerprint for i in (1, 2, 1))
    assert one == again != two
    assert "id=" not in one


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/gone.mp4", "answers 404"),
        ("/private.mp4", "answers 403"),
        ("/page", "web page"),
        ("/nothing.mp4", "0 bytes"),
    ],
)
def test_addresses_that_give_no_video_say_why(server, path, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(server + path)


@pytest.mark.parametrize("path", ["garbage.mp4", "page", "nothing.mp4", "gone.mp4"])
def test_no_error_tells_the_password_or_token_of_its_address(server, path):
    address = f"{server}/{path}?token=T0KEN".replace("http://", "http://me:PASSW0RD@")
    with pytest.raises(SourceError) as raised:
        open_source(address)
    shown = "".join(traceback.format_exception(raised.value))
    assert path in shown
    assert "PASSW0RD" not in shown
    assert "T0KEN" not in shown


def test_image_whose_connection_breaks_is_not_a_full_disk(server, monkeypatch):
    monkeypatch.setattr(
        http.server.SimpleHTTPRequestHandler, "copyfile", lambda _, source, out: out.write(source.read(500))
    )
    with pytest.raises(SourceError, match="does not answer"):
        open_source(f"{server}/image.png")


def test_address_where_nobody_answers_is_an_error():
    with pytest.raises(SourceError, match="does not answer"):
        open_source("http://127.0.0.1:9/video.mp4")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("https://[::1", "not a valid address"),  # the bracket is not closed
        ("http://[bad]/x", "not a valid address"),  # no IPv6 address in it
        ("file://[x/y", "not a valid address"),
        ("http://" + "a" * 64 + ".invalid/x.mp4", "does not answer"),  # no host name has so long a part
        ("http://127.0.0.1:port/x.mp4", "does not answer"),
    ],
)
def test_malformed_addresses_are_reported(address, reason):
    with pytest.raises(SourceError, match=reason):
        open_source(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://[::1/x.mp4?token=secret", "https://[::1/x.mp4"),
        ("https://me:secret@[::1/x.mp4", "https://…"),  # where the password ends is not known
        ("https://me:secret@host/x.mp4?token=secret", "https://host/x.mp4"),
    ],
)
def test_secrets_are_hidden_in_malformed_addresses_too(address, shown):
    assert hide_secrets(address) == shown
