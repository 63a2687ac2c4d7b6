"""The download through the NGC CLI: its archive, its check, its environment, its failures."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import stat
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ngc_server import (
    CHUNK,
    CLI_VERSION,
    KEY,
    MODEL,
    VERSION,
    Fetch,
    Ngc,
    chain,
    cli_archive,
    folder,
    secrets_in,
    shown_by,
)
from onnx_builder import detectnet
from peoplenet_nb import ngc, paths
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc import archive as ngc_archive
from peoplenet_nb.ngc import cli as ngc_cli

ONNX = detectnet().SerializeToString()
# Python under whatever path it has, also one with spaces, which a plain #! line cannot name.
PYTHON = f"""#!/bin/sh
''':'
exec "{sys.executable}" "$0" "$@"
'''
"""
# Plays `ngc`: tells what it was started with, and copies files from FAKE_SOURCE as the real one downloads.
SCRIPT = f"""{PYTHON}import json, os, pathlib, shutil, sys
started = {{"argv": sys.argv[1:], "env": dict(os.environ), "tty": sys.stdin.read()}}
started["proc"] = pathlib.Path("/proc/self/cmdline").read_text()
pathlib.Path(os.environ["FAKE_STARTED"]).write_text(json.dumps(started))
words = os.environ.get("FAKE_OUTPUT", "")
print(words, file=sys.stderr)
target = pathlib.Path(sys.argv[-1])
assert target.is_dir(), "--dest must exist"
if words:
    sys.exit(int(os.environ.get("FAKE_STATUS", "1")))
name, version = sys.argv[4].split(":")
shutil.copytree(os.environ["FAKE_SOURCE"], target / f"{{name.split('/')[-1]}}_v{{version}}")
"""

pytest_plugins = ("ngc_fixtures",)


def spoiled(script: str, compression: int = zipfile.ZIP_STORED, method: int | None = None) -> bytes:
    """The archive with a member whose compressed bytes, or whose method's number, are changed."""
    stream = io.BytesIO(cli_archive(script))
    with zipfile.ZipFile(stream, "a", compression) as archive:
        archive.writestr("ngc-cli/bad", b"bytes of a library " * 500)
        member = archive.getinfo("ngc-cli/bad")
        if method is not None:
            member.compress_type = method  # in the directory, which is written at the end
    made = bytearray(stream.getvalue())
    if method is None:
        start = member.header_offset + 30 + len("ngc-cli/bad") + 12
        made[start : start + 8] = b"\xff" * 8
    return bytes(made)


@pytest.fixture
def server(no_ngc_environment: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ngc]:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ngc_cli.platform, "system", lambda: "Linux")
    monkeypatch.setattr(ngc_cli.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(ngc_cli, "_POLL", 0.01)
    source = tmp_path / "source"
    source.mkdir()
    files = {MODEL: ONNX, "labels.txt": b"person\nbag\nface\n"}
    for name, content in files.items():
        (source / name).write_bytes(content)
    monkeypatch.setenv("FAKE_SOURCE", str(source))
    monkeypatch.setenv("FAKE_STARTED", str(tmp_path / "started.json"))
    with Ngc() as playing:
        playing.versions[VERSION] = files
        playing.archives["ngccli_linux.zip"] = cli_archive(SCRIPT)
        yield playing


@pytest.fixture
def fetch(server: Ngc, tmp_path: Path) -> Fetch:
    def run(**options: Any) -> ngc.ModelRecord:
        given = {"dest": tmp_path / "models", "api": server.api, "auth": server.auth, "via": "cli"}
        given |= {"progress": False, "backoff": 0.0}
        return ngc.download(VERSION, **(given | options))

    return run


def started_with(tmp_path: Path) -> dict[str, Any]:
    started: dict[str, Any] = json.loads((tmp_path / "started.json").read_text())
    return started


def test_guest_runs_the_program_without_any_ngc_setting_of_the_user(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NGC_CLI_ORG", "left-over")
    monkeypatch.setenv("NGC_CLI_TEAM", "left-over")
    record = fetch()
    assert (record.via, record.verified) == ("cli", "listing")
    assert record.path == folder(tmp_path / "models") / MODEL
    assert record.path.read_bytes() == ONNX
    started = started_with(tmp_path)
    assert started["argv"][:3] == ["registry", "model", "download-version"]
    assert started["argv"][3:5] == [f"nvidia/tao/peoplenet:{VERSION}", "--dest"]
    ours = {name for name in started["env"] if name.startswith("NGC_")}
    assert ours == {"NGC_CLI_HOME", "NGC_CLI_FORMAT_TYPE"}
    assert not Path(started["env"]["NGC_CLI_HOME"]).exists(), "its home is a temporary one"
    assert [p.name for p in (tmp_path / "models").iterdir() if not p.name.startswith(".")] == [
        folder(tmp_path).name
    ]
    assert not list((tmp_path / "models").glob(".*.part"))


def test_program_cannot_ask_anything(fetch: Fetch, tmp_path: Path) -> None:
    (tmp_path / "typed").write_text("y\n")
    kept = os.dup(0)
    try:
        with (tmp_path / "typed").open() as typed:
            os.dup2(typed.fileno(), 0)
        fetch()
    finally:
        os.dup2(kept, 0)
        os.close(kept)
    assert started_with(tmp_path)["tty"] == ""


def test_key_goes_through_the_environment_only(
    server: Ngc, fetch: Fetch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    record = fetch(api_key=KEY, org="my-org", team="my-team")
    started = started_with(tmp_path)
    assert started["env"]["NGC_CLI_API_KEY"] == KEY
    assert (started["env"]["NGC_CLI_ORG"], started["env"]["NGC_CLI_TEAM"]) == ("my-org", "my-team")
    assert not secrets_in(started["proc"] + repr(started["argv"]), KEY)
    kept = [p.read_bytes().decode("latin-1") for p in (tmp_path / "models").rglob("*") if p.is_file()]
    kept += [p.read_bytes().decode("latin-1") for p in paths.home().rglob("*") if p.is_file()]
    assert not secrets_in("".join(kept) + caplog.text + repr(record), KEY)
    archive = [seen for seen in server.seen if "cli" in seen.path]
    assert archive
    assert not any("authorization" in seen.headers for seen in archive), "the archive needs no key"


def test_archive_is_fetched_once_and_checked_every_time(
    server: Ngc, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    fetch()
    fetch(force=True)
    assert len(server.to("storage", "/cli/")) == 1
    (program,) = paths.cache_dir().rglob("ngc-cli/ngc")
    assert program.stat().st_mode & stat.S_IXUSR
    link = program.parent / "libx.so"
    assert link.is_symlink()
    assert link.resolve() == program.parent / "_internal" / "libx.so"
    program.write_text(program.read_text() + "# tampered with\n")
    fetch(force=True)
    assert len(server.to("storage", "/cli/")) == 2
    assert "tampered" not in program.read_text()
    assert "has changed" in caplog.text


def test_archive_download_is_resumed(server: Ngc, fetch: Fetch) -> None:
    half = 4 * CHUNK
    server.archives["ngccli_linux.zip"] = cli_archive(SCRIPT, extra={"readme": os.urandom(2 * half)})
    server.fault("storage", "/cli/", half)
    fetch()
    first, second = server.to("storage", "/cli/")
    assert first.sent == half
    assert second.headers["range"] == f"bytes={half}-"


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        pytest.param(cli_archive(SCRIPT, md5="0" * 32), "MD5 of the tree", id="md5 of another tree"),
        pytest.param(
            cli_archive(SCRIPT, extra={"ngc-cli/more.py": b"x"}), "MD5 of the tree", id="one file more"
        ),
        pytest.param(cli_archive(SCRIPT, extra={"../evil": b"x"}), "outside", id="a name that climbs out"),
        pytest.param(cli_archive(SCRIPT, extra={"/nowhere/evil": b"x"}), "outside", id="an absolute name"),
        pytest.param(cli_archive(SCRIPT, extra={"a\\..\\evil": b"x"}), "outside", id="backslashes"),
        pytest.param(cli_archive(SCRIPT, links={"ngc-cli/l": "../../etc"}), "leads outside", id="a link out"),
        pytest.param(
            cli_archive(SCRIPT, links={"ngc-cli/l": "/etc"}), "leads outside", id="an absolute link"
        ),
        pytest.param(
            cli_archive(SCRIPT, extra={"ngc-cli/l/evil": b"x"}, links={"ngc-cli/l": "."}),
            "behind a link",
            id="a file written through a link",
        ),
        pytest.param(
            cli_archive(SCRIPT, links={"ngc-cli/l": "a" * 5000}), "a link of 5000 bytes", id="a long link"
        ),
        pytest.param(
            spoiled(SCRIPT, zipfile.ZIP_DEFLATED), "while decompressing", id="a broken deflate stream"
        ),
        pytest.param(spoiled(SCRIPT, zipfile.ZIP_LZMA), "Corrupt input", id="a broken LZMA stream"),
        pytest.param(
            spoiled(SCRIPT, method=99), "compression method is not supported", id="an unknown compression"
        ),
        pytest.param(b"PK\x03\x04 half an archive", "not a zip file", id="no whole archive"),
        pytest.param(b'{"requestStatus": {"statusCode": "NOT_FOUND"}}', "not a zip file", id="a JSON error"),
    ],
)
def test_archive_that_is_not_right_is_never_run(
    server: Ngc, fetch: Fetch, tmp_path: Path, archive: bytes, words: str
) -> None:
    server.archives["ngccli_linux.zip"] = archive
    with pytest.raises(DownloadError, match="is not run") as raised:
        fetch()
    assert words in str(raised.value.seen)
    assert "via='http'" in raised.value.next_step
    assert "By hand" in raised.value.next_step
    assert not (tmp_path / "started.json").exists()
    assert not list(tmp_path.rglob("*evil*"))
    assert not list(paths.cache_dir().rglob("ngc")), "nothing of it is kept"
    assert not folder(tmp_path / "models").exists()


def test_archive_without_md5_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "ngc-cli").mkdir()
    (tmp_path / "ngc-cli" / "ngc").write_text("x")
    assert "no readable ngc-cli.md5" in ngc_cli.md5_fault(tmp_path)


def test_md5_rule_is_nvidias(tmp_path: Path, server: Ngc, fetch: Fetch) -> None:
    """The shell line NVIDIA publishes agrees with ours, run by the real tools."""
    import subprocess

    fetch()
    (tree,) = (paths.cache_dir() / "ngc-cli").glob(CLI_VERSION)
    line = "find ngc-cli/ -type f -exec md5sum {} + | LC_ALL=C sort | md5sum -c ngc-cli.md5"
    done = subprocess.run(["bash", "-c", line], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ngc_cli.md5_fault(tree) == ""


@pytest.mark.parametrize(
    ("says", "status", "options", "words"),
    [
        pytest.param("Error: Invalid apikey", "1", {"api_key": KEY}, "Invalid apikey", id="wrong key"),
        pytest.param("Missing org - If apikey is set, org is also required.", "1", {"api_key": KEY}, "Missing org",
                     id="key without org"),
        pytest.param("Invalid org. Choose from ['no-org', '01234']", "1", {"api_key": KEY}, "Invalid org",
                     id="another's org"),
        pytest.param("Error: 'nvidia/tao/peoplenet:x' could not be found.", "1", {}, "NOT_FOUND", id="not found"),
        pytest.param("Client Error: 404 Response: Not Found", "1", {}, "NOT_FOUND", id="404"),
        pytest.param("Client Error: 412 Response: accept the license", "1", {}, "licence accepted", id="412"),
        pytest.param("Not enough space on disk", "1", {}, "Not enough space", id="full disk"),
        pytest.param("Error: Access denied.", "1", {}, "refuses this download", id="access denied"),
        pytest.param("something unheard of", "3", {}, "NGC CLI failed", id="anything else"),
        pytest.param("Download status: Failed", "0", {}, "NGC CLI failed", id="failed with status 0"),
    ],
)  # fmt: skip
def test_what_the_program_says_becomes_a_row_of_the_table(
    fetch: Fetch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    says: str,
    status: str,
    options: dict[str, str],
    words: str,
) -> None:
    monkeypatch.setenv("FAKE_OUTPUT", says)
    monkeypatch.setenv("FAKE_STATUS", status)
    with pytest.raises(DownloadError, match=words) as raised:
        fetch(**options)
    assert f"exit status {status}" in str(raised.value.seen)
    assert says in str(raised.value.seen)
    assert "By hand" in raised.value.next_step
    assert not folder(tmp_path / "models").exists()


def test_program_that_echoes_the_key_does_not_give_it_away(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    legacy = "c2VjcmV0LWxlZ2FjeS1rZXk"
    server.legacy[legacy, "o"] = "session-token"
    for key in (KEY, legacy):
        monkeypatch.setenv("FAKE_OUTPUT", f"Invalid apikey {key} at https://x.y/z?X-Amz-Signature=abc123")
        monkeypatch.setenv("NGC_API_KEY", key)
        with pytest.raises(DownloadError) as raised:
            fetch(org="o")
        assert "Invalid apikey [hidden]" in str(raised.value.seen)
        assert not secrets_in(shown_by(raised.value) + caplog.text, key)
        assert "abc123" not in str(raised.value.seen)


def test_program_that_cannot_be_started_is_reported(
    fetch: Fetch, server: Ngc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.archives["ngccli_linux.zip"] = cli_archive(f"#!{tmp_path}/no-interpreter\n")
    monkeypatch.setenv("NGC_API_KEY", KEY)
    with pytest.raises(DownloadError, match="NGC CLI failed") as raised:
        fetch(org="o")
    assert "No such file" in str(raised.value.seen)
    assert chain(raised.value) == [raised.value]
    assert not secrets_in(shown_by(raised.value), KEY)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        pytest.param(MODEL, ONNX[:-1] + b"\0", "SHA-256", id="the CLI checks sizes, not hashes"),
        pytest.param(
            MODEL, b'{"requestStatus": {"statusCode": "NOT_FOUND"}}', "JSON", id="an error saved as model"
        ),
        pytest.param("labels.txt", None, "did not come", id="a file is missing"),
    ],
)
def test_what_the_program_brings_is_verified(
    fetch: Fetch, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / "source" / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DownloadError) as raised:
        fetch()
    assert words in str(raised.value.seen)
    assert not folder(tmp_path / "models").exists()


def test_ctrl_c_ends_the_program_too(
    fetch: Fetch, server: Ngc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"{PYTHON}import os, time\nopen(os.environ['FAKE_STARTED'], 'w').write(str(os.getpid()))\n"
    server.archives["ngccli_linux.zip"] = cli_archive(script + "time.sleep(60)\n")

    def pressed(_: float) -> None:
        if (tmp_path / "started.json").exists() and (tmp_path / "started.json").read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(ngc_cli.time, "sleep", pressed)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch()
    assert time.monotonic() - begun < 30, "it is ended, not waited for"
    process = int((tmp_path / "started.json").read_text())
    assert not Path(f"/proc/{process}").exists()


def test_program_that_stands_still_is_ended(
    fetch: Fetch, server: Ngc, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.archives["ngccli_linux.zip"] = cli_archive(f"{PYTHON}import time\ntime.sleep(60)\n")
    monkeypatch.setattr(ngc_cli, "_STALLED", 0.2)
    begun = time.monotonic()
    with pytest.raises(ngc.Unreachable, match="keeps breaking") as raised:
        fetch()
    assert time.monotonic() - begun < 30
    assert "wrote nothing" in str(raised.value.seen)


def test_machines_without_an_archive_are_sent_to_http(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngc_cli.platform, "system", lambda: "Darwin")
    with pytest.raises(DownloadError, match="no NGC CLI archive") as raised:
        fetch()
    assert "Darwin" in str(raised.value.seen)


def test_arm_machines_get_their_own_archive(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngc_cli.platform, "machine", lambda: "aarch64")
    server.archives["ngccli_arm64.zip"] = server.archives.pop("ngccli_linux.zip")
    assert fetch().via == "cli"


def test_too_large_an_archive_is_not_unpacked(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.archives["ngccli_linux.zip"] = cli_archive(SCRIPT, extra={"ngc-cli/zeros": bytes(1 << 20)})
    monkeypatch.setattr(ngc_archive, "_LARGEST", 1 << 19)
    with pytest.raises(DownloadError, match="is not run") as raised:
        fetch()
    assert "unpacks to" in str(raised.value.seen)


def test_a_link_of_gigabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    zipped = tmp_path / "a.zip"
    zipped.write_bytes(cli_archive(SCRIPT, links={"ngc-cli/l": "x" * 1000}))
    with zipfile.ZipFile(zipped, "a") as archive:
        archive.getinfo("ngc-cli/l").file_size = 3 << 30
        archive.writestr("more", b"")  # so that the directory is written anew
    assert "unpacks to" in ngc_archive.unpack(zipped, tmp_path / "tree", links=True)
    assert not (tmp_path / "tree").exists()


def test_the_archives_own_hash_is_reported(
    server: Ngc, fetch: Fetch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fetch()
    assert hashlib.sha256(server.archives["ngccli_linux.zip"]).hexdigest() in caplog.text


def test_program_that_drips_is_ended(fetch: Fetch, server: Ngc, monkeypatch: pytest.MonkeyPatch) -> None:
    drip = (
        f"{PYTHON}import pathlib, sys, time\n"
        f"made = pathlib.Path(sys.argv[-1]) / 'peoplenet_v{VERSION}'\n"
        "made.mkdir()\n"
        "for size in range(600):\n    (made / 'x').write_bytes(bytes(size))\n    time.sleep(0.1)\n"
    )
    server.archives["ngccli_linux.zip"] = cli_archive(drip)
    monkeypatch.setattr(ngc_cli, "_STALLED", 1.5)
    begun = time.monotonic()
    with pytest.raises(ngc.Unreachable, match="next to nothing"):
        fetch()
    assert time.monotonic() - begun < 30


def test_existing_good_model_starts_nothing(fetch: Fetch, tmp_path: Path, server: Ngc) -> None:
    fetch()
    (tmp_path / "started.json").unlink()
    server.seen.clear()
    assert fetch().via == "cli"
    assert server.seen == []
    assert not (tmp_path / "started.json").exists()


def test_only_http_and_cli_are_ways(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no such way") as raised:
        fetch(via="ftp")
    assert raised.value.seen == "ftp"
    assert server.seen == []
    assert not (tmp_path / "models").exists()
