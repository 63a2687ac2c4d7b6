"""Files: hashes, locks, and writes that lose nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import PartialFile, atomic, lock, sha256_of, write_bytes, write_text


def test_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = b"coverage" * 300_000  # more than one read
    (tmp_path / "a").write_bytes(data)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_what_stood_there_stays_when_writing_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("before")

    def break_off() -> None:
        with atomic(path) as partial:
            partial.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_text_is_written_into_folders_that_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "Fläche\n", durable=True)
    assert (tmp_path / "a" / "b.txt").read_bytes() == "Fläche\n".encode()
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b.txt"]


def test_a_full_disk_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.txt: No space left"):
        write_text(tmp_path / "a.txt", "text", durable=True)
    assert list(tmp_path.iterdir()) == []


def test_a_device_or_pipe_in_the_files_place_is_refused_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OutputError, match="that is a device or a pipe"):
            write_text(path, "new")
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match="that is a folder"):
        write_bytes(tmp_path / "a.txt", b"")


def test_a_link_under_the_temporary_name_leads_nowhere(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    PartialFile(tmp_path / "a.txt").partial.symlink_to(precious)
    write_text(tmp_path / "a.txt", "new")
    assert precious.read_text() == "kept"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert not (tmp_path / "a.txt").is_symlink()


def test_a_partial_file_is_kept_or_dropped(tmp_path: Path) -> None:
    for act, left in ((PartialFile.drop, []), (PartialFile.keep, ["a.txt"])):
        file = PartialFile(tmp_path / "a.txt")
        file.partial.write_text("a")
        act(file)
        file.drop()  # harmless once it is in place
        assert [path.name for path in tmp_path.iterdir()] == left


@pytest.mark.parametrize("name", ["file.lock", "."])
def test_another_process_cannot_take_what_is_locked(tmp_path: Path, name: str) -> None:
    code = (
        "import sys\nfrom peoplenet_nb.files import lock\n"
        "try:\n    with lock(sys.argv[1]):\n        print('taken')\n"
        "except BlockingIOError:\n    print('busy')\n"
    )

    def other() -> str:
        return subprocess.check_output([sys.executable, "-c", code, tmp_path / name], text=True).strip()

    with lock(tmp_path / name):
        assert other() == "busy"
    assert other() == "taken"


def test_a_lock_neither_empties_a_file_nor_follows_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    with lock(precious):
        assert precious.read_text() == "kept"
    (tmp_path / "link").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links") as raised, lock(tmp_path / "link"):
        pass
    assert raised.value.errno == errno.ELOOP
    assert precious.read_text() == "kept"


def test_a_volume_without_locks_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def none(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with lock(tmp_path / "a.lock"):
        assert (tmp_path / "a.lock").exists()


def test_a_folder_behind_a_link_can_be_locked(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    with lock(tmp_path / "out"):
        assert list((tmp_path / "real").iterdir()) == []
