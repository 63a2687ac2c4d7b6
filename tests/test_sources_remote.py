"""Videos in an object store: a server of the test's own plays S3, and s3fs itself reads it."""

from __future__ import annotations

import threading
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from peoplenet_nb.errors import InstallationError, SourceError
from peoplenet_nb.fleet.listing import list_jobs
from peoplenet_nb.sources import open_source, remote
from runs import run, tables
from videos import make_video, number_of

pytest.importorskip("s3fs")
SECRET = "very-secret-key-of-the-store"


class Store(ThreadingHTTPServer):
    """One bucket, as S3's REST API gives it: objects with ranges, heads, lists."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.read = 0
        self.refuse = False


class Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, status, body=b"", **headers):
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            self.server.read += len(body)

    def do_GET(self):
        if self.server.refuse:
            self._send(403, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
            return
        parts = urlsplit(self.path)
        _, bucket, *rest = unquote(parts.path).split("/", 2)
        key, query = "".join(rest), parse_qs(parts.query, keep_blank_values=True)
        if bucket != "bucket":
            self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not key:
            self._list(query)
        elif key not in self.server.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._object(self.server.objects[key])

    do_HEAD = do_GET  # noqa: N815

    def _object(self, data):
        about = {"ETag": f'"{md5(data).hexdigest()}"', "Last_Modified": formatdate(0, usegmt=True)}
        asked = self.headers.get("Range")
        if not asked:
            self._send(200, data, **(about | {"Content_Length": str(len(data))}))
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        piece = data[int(first) : int(last or len(data)) + 1]
        self._send(
            206, piece, Content_Range=f"bytes {first}-{int(first) + len(piece) - 1}/{len(data)}", **about
        )

    def _list(self, query):
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        rows, folders = [], set()
        for key, data in sorted(self.server.objects.items()):
            if not key.startswith(prefix):
                continue
            below = key[len(prefix) :]
            if delimiter and delimiter in below:
                folders.add(prefix + below.split(delimiter)[0] + delimiter)
                continue
            rows.append(
                f'<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>"{md5(data).hexdigest()}"</ETag>'
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders)
        )
        body = (
            '<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>'
            f"<KeyCount>{len(rows) + len(folders)}</KeyCount>{''.join(rows)}{common}</ListBucketResult>"
        )
        self._send(200, body.encode(), Content_Type="application/xml")


@pytest.fixture
def store(monkeypatch, tmp_path):
    one = Store()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    for name, value in (
        ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{one.server_address[1]}"),
        ("AWS_ACCESS_KEY_ID", "me"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_CONFIG_FILE", str(tmp_path / "none")),
        ("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none")),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ):
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    yield one
    s3fs.S3FileSystem.clear_instance_cache()
    one.shutdown()
    one.server_close()
    thread.join()


def put(store, tmp_path, key, frames):
    path = make_video(tmp_path / "made.mp4", frames)
    store.objects[key] = path.read_bytes()
    return path


def test_a_video_is_read_where_it_lies_and_gives_the_same_run(store, tmp_path):
    path = put(store, tmp_path, "2026/street.mp4", 12)
    source = open_source("s3://bucket/2026/street.mp4")
    assert (source.info.name, source.info.stem, source.info.spec) == (
        "street.mp4",
        "street",
        "s3://bucket/2026/street.mp4",
    )
    assert [number_of(frame.image) for frame in source] == list(range(12))
    assert source.files == []
    far = run(source, tmp_path / "far", name="a")
    near = run(path.rename(tmp_path / "street.mp4"), tmp_path / "near", name="a")
    assert tables(far.folder) == tables(near.folder)
    assert run(open_source("s3://bucket/2026/street.mp4"), tmp_path / "far", name="a", resume=True).summary[
        "complete"
    ]


def test_another_content_is_another_source(store, tmp_path):
    put(store, tmp_path, "a.mp4", 5)
    first = open_source("s3://bucket/a.mp4").info.fingerprint
    put(store, tmp_path, "a.mp4", 6)
    assert open_source("s3://bucket/a.mp4").info.fingerprint != first


def test_folders_and_patterns_are_listed(store, tmp_path):
    for key in ("x/10.mp4", "x/9.mp4", "x/y/1.mkv", "x/notes.txt"):
        put(store, tmp_path, key, 2)
    names = [job.source for job in list_jobs(["s3://bucket/x"])]
    assert names == ["s3://bucket/x/9.mp4", "s3://bucket/x/10.mp4", "s3://bucket/x/y/1.mkv"]
    (one,) = list_jobs(["s3://bucket/x/1*.mp4"])
    assert (one.source, one.size) == ("s3://bucket/x/10.mp4", len(store.objects["x/10.mp4"]))
    assert one.stamp


@pytest.mark.parametrize("address", ["s3://bucket/gone.mp4", "s3://nowhere/x.mp4", "s3://bucket/text.mp4"])
def test_what_is_not_there_is_a_sentence(store, tmp_path, address):
    store.objects["text.mp4"] = b"<html>this is no video</html>" * 99
    with pytest.raises(SourceError) as caught:
        open_source(address)
    assert SECRET not in str(caught.value)
    with pytest.raises(SourceError):
        list_jobs(["s3://bucket/none/*.mp4"])


def test_a_store_that_refuses_is_a_sentence(store):
    store.refuse = True
    with pytest.raises(SourceError, match="store does not give") as caught:
        open_source("s3://bucket/a.mp4")
    assert SECRET not in str(caught.value)


def test_a_playlist_names_nothing_else(store, tmp_path):
    store.objects["list.mp4"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/hostname\n"
    with pytest.raises(SourceError):
        open_source("s3://bucket/list.mp4")


@pytest.mark.parametrize(
    "address", ["memory://x.mp4", "reference://x", "http://h/x.mp4", "file:///x", "nope://x"]
)
def test_other_schemes_are_not_taken(address):
    assert not remote.is_remote(address)


def test_a_store_whose_package_is_missing_is_told_with_what_to_install():
    with pytest.raises((InstallationError, SourceError), match=r"remote|store"):
        open_source("gs://bucket/a.mp4")
