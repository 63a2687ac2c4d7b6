"""Full disks, Ctrl-C, a second download at the same time, and the progress bar."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from ngc_server import HALF, MODEL, VERSION, WEIGHTS, Fetch, Ngc, break_off, chain, folder
from peoplenet_nb.errors import DownloadError, PeopleNetError
from peoplenet_nb.ngc import fetch as ngc_fetch

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


def test_full_disk_is_seen_before_anything_is_fetched(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(ngc_fetch.shutil, "disk_usage", lambda _: usage._replace(free=len(WEIGHTS) // 2))
    with pytest.raises(DownloadError, match="Not enough space") as raised:
        fetch()
    assert "volume" in raised.value.next_step
    assert "PEOPLENET_HOME=/workspace" in raised.value.next_step
    assert "MB free" in str(raised.value.seen)
    assert server.to("storage") == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_that_fills_up_during_the_download(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    append = ngc_fetch.append
    half = HALF + 100

    def full(path: Path, chunk: bytes) -> None:
        append(path, b"")
        room = half - path.stat().st_size
        append(path, chunk[:room])
        if room < len(chunk):
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(ngc_fetch, "append", full)
        with pytest.raises(DownloadError, match="Not enough space") as raised:
            fetch()
    assert chain(raised.value) == [raised.value]
    assert not folder(tmp_path).exists()
    server.seen.clear()
    assert fetch().path.read_bytes() == WEIGHTS  # and once there is room it goes on
    (rest,) = server.to("storage", MODEL)
    assert rest.headers["range"] == f"bytes={half}-"


def test_the_kernels_own_no_space_is_understood(fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    append = ngc_fetch.append
    monkeypatch.setattr(ngc_fetch, "append", lambda _, piece: append(Path("/dev/full"), piece))
    with pytest.raises(DownloadError, match="Not enough space") as raised:
        fetch()
    assert os.strerror(errno.ENOSPC) in str(raised.value.seen)


@pytest.mark.parametrize("make", ["file", "below a file"])
def test_folder_that_cannot_be_written(fetch: Fetch, tmp_path: Path, make: str) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    with pytest.raises(DownloadError, match="cannot be written") as raised:
        fetch(dest=blocked if make == "file" else blocked / "models")
    assert chain(raised.value) == [raised.value]


def test_ctrl_c_leaves_the_part_for_the_next_run(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = ngc_fetch.append

    def interrupted(path: Path, chunk: bytes) -> None:
        append(path, chunk)
        if path.stat().st_size >= HALF:
            raise KeyboardInterrupt

    with monkeypatch.context() as pressed:
        pressed.setattr(ngc_fetch, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch()
    (part,) = tmp_path.rglob("*.part/*.part")
    got = part.stat().st_size
    assert HALF <= got < len(WEIGHTS)
    assert part.read_bytes() == WEIGHTS[:got]
    assert not folder(tmp_path).exists()
    server.seen.clear()
    assert fetch().path.read_bytes() == WEIGHTS
    assert server.to("storage", MODEL)[0].headers["range"] == f"bytes={got}-"


def test_second_download_at_the_same_time_is_refused(server: Ngc, fetch: Fetch) -> None:
    caught: list[PeopleNetError] = []

    def meanwhile(_: object) -> None:
        with pytest.raises(DownloadError, match="Another process") as raised:
            fetch()
        caught.append(raised.value)

    server.fault("api", "/versions/", meanwhile)
    assert fetch().verified == "listing"
    assert len(caught) == 1


@pytest.mark.parametrize("progress", [True, False])
def test_progress_bar_is_shown_or_silent(
    fetch: Fetch, progress: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(progress=progress)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (VERSION in shown.err, "100%" in shown.err) == (progress, progress)


@pytest.mark.parametrize("ranges", [True, False])
def test_progress_counts_every_byte_once(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, ranges: bool
) -> None:
    import tqdm.auto

    bars: list[Any] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            self.total, self.n = options["total"], 0
            bars.append(self)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, n: int) -> None:
            self.n += n
            assert 0 <= self.n <= self.total

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    total = sum(len(content) for content in server.versions[VERSION].values())
    server.ranges = ranges
    break_off(server, fetch)
    server.fault("storage", MODEL, HALF // 2)
    fetch()
    assert bars[0].n == (HALF if ranges else 0), "what a server that ignores ranges resends is counted anew"
    assert (bars[1].n, bars[1].total) == (total, total)
