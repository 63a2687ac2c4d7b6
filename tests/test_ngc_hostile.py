"""Servers that never end, never hurry, or say what cannot be: nothing hangs, nothing fills the disk."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from ngc_server import HALF, MODEL, SIGNATURE, VERSION, WEIGHTS, Answer, Fetch, Ngc, break_off, folder
from peoplenet_nb import ngc, web
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc import fetch as ngc_fetch
from peoplenet_nb.ngc.errors import redact

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")

DEEP = b"[" * 200_000
NO_NUMBERS = ["²", "9" * 5000, "-1", "1e3", "0x10", " "]


def test_continue_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_HEAD_LIMIT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def play() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    with connection:
                        while True:
                            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                            time.sleep(0.01)
                except ConnectionError:
                    continue
                except OSError:
                    return

        threading.Thread(target=play, daemon=True).start()
        begun = time.monotonic()
        with pytest.raises(ngc.Unreachable):
            ngc.download(dest=tmp_path, api=f"http://127.0.0.1:{server.getsockname()[1]}/v2", backoff=0.0)
        assert time.monotonic() - begun < 10


def test_a_listing_that_drips_is_given_up(server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_BODY_LIMIT", 0.2)
    server.fault("api", "/versions/", *[Answer(200, b" " * 10_000, pause=0.02)] * 2)
    begun = time.monotonic()
    with pytest.raises(ngc.Unreachable):
        fetch()
    assert time.monotonic() - begun < 10


def test_a_file_that_drips_is_given_up_and_can_be_continued(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault("storage", MODEL, Answer(200, WEIGHTS, pause=0.01))
    with monkeypatch.context() as hurried:
        hurried.setattr(ngc_fetch, "_GRACE", 0.2)
        begun = time.monotonic()
        with pytest.raises(ngc.Unreachable, match="10 kB a second"):
            fetch()
        assert time.monotonic() - begun < 10
    (part,) = tmp_path.rglob("*.part/*.part")
    assert 0 < part.stat().st_size < len(WEIGHTS)
    server.seen.clear()
    assert fetch().path.read_bytes() == WEIGHTS
    assert "range" in server.to("storage", MODEL)[0].headers


def test_a_server_that_sends_half_and_takes_it_back_is_left(server: Ngc, fetch: Fetch) -> None:
    server.fault("storage", MODEL, *[HALF, Answer(416)] * 50)
    with pytest.raises(ngc.Unreachable):
        fetch(retries=2)
    assert len(server.to("storage", MODEL)) < 12


@pytest.mark.parametrize("status", [302, 503])
def test_the_body_of_a_redirect_or_refusal_is_not_waited_for(server: Ngc, fetch: Fetch, status: int) -> None:
    """It announces a gigabyte and sends a byte; the connection stays open."""
    location = f"{server.storage}/{VERSION}/{MODEL}?X-Amz-Signature={SIGNATURE}" if status == 302 else ""
    endless = {"Content-Length": str(1 << 30), "Location": location}
    server.fault("api", "/org/nvidia", Answer(status, b"x", endless))
    begun = time.monotonic()
    assert fetch().path.read_bytes() == WEIGHTS
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("length", [True, False])
def test_a_file_of_unknown_size_has_a_limit(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: bool
) -> None:
    monkeypatch.setattr(ngc_fetch, "_LARGEST", 100_000)
    server.listed[MODEL] = {"path": MODEL}
    server.fault("storage", MODEL, Answer(200, WEIGHTS, {} if length else {"Content-Length": ""}))
    with pytest.raises(DownloadError, match="NGC lists no size"):
        fetch()
    assert not folder(tmp_path).exists()
    assert not list(tmp_path.rglob("*.part/*.part")), "what was too large is not kept"


def test_a_file_of_unknown_size_does_not_fill_the_disk(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage, room = shutil.disk_usage("/"), 200_000
    monkeypatch.setattr(ngc_fetch, "_SPARE", 50_000)

    def left(path: Path) -> object:
        used = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
        return usage._replace(free=room - used)

    monkeypatch.setattr(ngc_fetch.shutil, "disk_usage", left)
    server.listed[MODEL] = {"path": MODEL}
    with pytest.raises(DownloadError, match="Not enough space") as raised:
        fetch()
    (part,) = tmp_path.rglob("*.part/*.part")
    assert part.stat().st_size <= room - 50_000
    assert str(part) in str(raised.value.seen), "the hidden file that takes the room is named"


def test_an_unfinished_download_that_takes_the_room_is_named(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(server, fetch)
    monkeypatch.setattr(ngc_fetch.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1000, 1000, 0))
    with pytest.raises(DownloadError, match="Not enough space") as raised:
        fetch()
    assert str(tmp_path / f".peoplenet_v{VERSION}.part") in str(raised.value.seen)
    assert "may be deleted" in str(raised.value.seen)


def test_a_listing_without_hashes_is_reported(
    server: Ngc, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    server.with_hashes = False
    fetch()
    assert "NGC lists no SHA-256 for" in caplog.text
    assert MODEL in caplog.text


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_a_length_that_is_no_number_is_not_read(server: Ngc, fetch: Fetch, text: str) -> None:
    headers = {"Content-Length": text, "Connection": "close"}
    server.fault("storage", MODEL, Answer(200, WEIGHTS, headers))
    assert fetch().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_a_pause_that_is_no_number_is_not_waited_for(server: Ngc, fetch: Fetch, text: str) -> None:
    server.fault("api", "/versions/", Answer(503, b"", {"Retry-After": text}))
    begun = time.monotonic()
    assert fetch().verified == "listing"
    assert time.monotonic() - begun < 10


def test_a_range_that_is_no_number_is_not_continued(server: Ngc, fetch: Fetch) -> None:
    wrong = {"Content-Range": f"bytes {'9' * 5000}-1/²", "ETag": "x"}
    server.fault("storage", MODEL, HALF, Answer(206, WEIGHTS[HALF:], wrong))
    assert fetch().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("host", ["127.0.0.1:99999", "[::1", "127.0.0.1:port", "a" * 300, "*"])
def test_a_redirect_to_no_address_is_an_error_of_ours(server: Ngc, fetch: Fetch, host: str) -> None:
    server.fault("api", "/org/nvidia", *[Answer(302, b"", {"Location": f"http://{host}/f?sig=abc"})] * 99)
    with pytest.raises(DownloadError) as raised:
        fetch(retries=1)
    assert "sig=abc" not in str(raised.value)


def test_an_empty_file_is_a_file(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    server.versions[VERSION]["empty.txt"] = b""
    assert fetch().files["empty.txt"].size == 0
    assert (folder(tmp_path) / "empty.txt").read_bytes() == b""


def test_a_model_of_no_bytes_is_no_model(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    server.versions[VERSION][MODEL] = b""
    with pytest.raises(DownloadError, match="not the model"):
        fetch()
    assert not folder(tmp_path).exists()


@pytest.mark.parametrize("size", [True, -1, "8", 1e300, None, [], {}])
def test_a_size_that_is_none_is_left_out(server: Ngc, fetch: Fetch, size: object) -> None:
    server.listed[MODEL] = (server.entry(MODEL, WEIGHTS) or {}) | {"sizeInBytes": size}
    assert fetch().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("digest", [True, "!!", "YWJj", 5, "", "ä"])
def test_a_hash_that_is_none_is_left_out(server: Ngc, fetch: Fetch, digest: object) -> None:
    server.listed[MODEL] = (server.entry(MODEL, WEIGHTS) or {}) | {"sha256_base64": digest}
    assert fetch().verified == "size+structure"


@pytest.mark.parametrize("text", [DEEP, b'{"modelFiles": ' + DEEP, b'{"modelFiles": ' + b"9" * 5000])
def test_a_listing_that_no_parser_bears_is_none(server: Ngc, fetch: Fetch, text: bytes) -> None:
    server.versions["new_v9"] = server.versions[VERSION]
    server.fault("api", "/versions/", Answer(200, text))
    with pytest.raises(DownloadError, match="listing of new_v9 cannot be understood"):
        fetch("new_v9")


def test_a_refusal_that_no_parser_bears_keeps_its_row(server: Ngc, fetch: Fetch) -> None:
    server.fault("api", "peoplenet", *[Answer(403, DEEP)] * 9)
    with pytest.raises(DownloadError, match="refuses this download"):
        fetch()


def test_a_record_or_note_that_no_parser_bears_is_none(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    break_off(server, fetch)
    (note,) = tmp_path.rglob("*.part.json")
    note.write_bytes(DEEP)
    path = fetch().path
    assert path.read_bytes() == WEIGHTS
    (path.parent / ngc.RECORD_NAME).write_bytes(DEEP)
    server.seen.clear()
    assert fetch().via == "hand", "without a record, what is there is held against the listing"


@pytest.mark.parametrize("name", ["a" * 300, "²", "a\x1b[2Jb", ""])
def test_a_name_that_no_file_should_have_is_left_out(server: Ngc, fetch: Fetch, name: str) -> None:
    server.versions[VERSION][name] = b"x"
    assert len(fetch().files) == 4


def test_links_under_the_names_of_lock_part_and_note_lead_nowhere(
    server: Ngc, fetch: Fetch, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    models = tmp_path / "models"
    stage = models / f".peoplenet_v{VERSION}.part"
    stage.mkdir(parents=True)
    lock = models / f".peoplenet_v{VERSION}.lock"
    lock.symlink_to(precious)
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(dest=models)
    assert precious.read_text() == "kept"
    lock.unlink()
    for name in (f"{MODEL}.part", f"{MODEL}.part.json"):
        (stage / name).symlink_to(precious)
    assert fetch(dest=models).path.read_bytes() == WEIGHTS
    assert precious.read_text() == "kept"


def test_a_part_behind_a_link_is_not_written_to(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    break_off(server, fetch)
    (part,) = tmp_path.rglob("*.part/*.part")
    part.unlink()
    part.symlink_to(precious)  # its note still fits
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch()
    assert precious.read_text() == "kept"


def test_texts_from_outside_cannot_steer_a_terminal(server: Ngc, fetch: Fetch) -> None:
    assert redact("a\x1b]0;title\x07b\x9b2Jc\nd") == "a]0;titleb2Jc\nd"
    body = json.dumps({"requestStatus": {"statusCode": "NO", "statusDescription": "\x1b[2Jcleared"}})
    server.fault("api", "peoplenet", *[Answer(403, body.encode())] * 9)
    with pytest.raises(DownloadError) as raised:
        fetch()
    assert "cleared" in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_no_timer_outlives_its_request(fetch: Fetch) -> None:
    fetch()
    ends = time.monotonic() + 5
    while (
        left := [t for t in threading.enumerate() if isinstance(t, threading.Timer)]
    ) and time.monotonic() < ends:
        time.sleep(0.01)
    assert not left
