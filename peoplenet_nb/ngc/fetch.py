"""Fetch one file from NGC: resumed, bounded and checked.

One decision to know: bytes are appended to ``<name>.part`` and a note beside it says which file they belong
to. The file gets its name only after size and SHA-256 agree with the listing, and a resumed file that does
not agree is fetched once more from its first byte before anybody is bothered.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import requests

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.files import sha256_of
from peoplenet_nb.ngc.errors import Place
from peoplenet_nb.ngc.http import BUSY, Client
from peoplenet_nb.onnxfile.kind import HEAD, what_it_is

_CHUNK = 1 << 14  # urllib3 drops what it has of a chunk when the connection breaks inside it
_SPARE = 8 << 20  # bytes that stay free: a disk that is full to the last byte breaks everything else

log = logging.getLogger(__name__)

Moved = Callable[[int], object]
T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    """A file as NGC lists it.

    Attributes
    ----------
    name : str
        Path within the version, "/" between folders.
    size : int or None
        Bytes.
    sha256 : str or None
        Hexadecimal.
    """

    name: str
    size: int | None = None
    sha256: str | None = None

    def mismatch(self, path: Path) -> str:
        """Say how a file on disk differs from the listing, "" when it does not."""
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{self.name}: {size} bytes, expected {self.size}"
        if self.sha256 is not None and (found := sha256_of(path)) != self.sha256:
            return f"{self.name}: SHA-256 {found}, expected {self.sha256}"
        return ""


def ensure_space(folder: Path, needed: int, place: Place) -> None:
    """Raise unless a folder's disk has room for so many bytes more.

    Raises
    ------
    DownloadError
        The row "space".
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        raise place.failure(
            "space", f"{free / 1e6:.0f} MB free in {folder}, {(needed + _SPARE) / 1e6:.0f} MB needed"
        )


class _Part:
    """The unfinished bytes of a file, and a note of what they belong to.

    A part without a fitting note is thrown away: its bytes may be the beginning of another file.
    """

    def __init__(self, target: Path, expected: RemoteFile, place: Place) -> None:
        self.path = target.with_name(target.name + ".part")
        self.expected = expected
        self.place = place
        self._note = target.with_name(target.name + ".part.json")
        self._etag = ""
        try:
            note = json.loads(self._note.read_text())
            fits = (note["size"], note["sha256"]) == (expected.size, expected.sha256)
            self._etag = str(note["etag"])
        except (OSError, ValueError, KeyError, TypeError):
            fits = False
        # Neither a hash nor an ETag: nothing would notice that the file has changed since.
        if not fits or not (expected.sha256 or self._etag):
            self.discard()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest only, and only if the file is still the same."""
        if not self.size:
            return {}
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": self._etag} if self._etag else {})

    def continues(self, answer: requests.Response) -> bool:
        """Whether a partial answer goes on exactly where the part ends."""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if found is None or int(found.group(1)) != self.size:
            return False
        return found.group(2) == "*" or self.expected.size in (None, int(found.group(2)))

    def restart(self, answer: requests.Response) -> None:
        """Begin at the first byte, and note which file this is."""
        self.discard()
        etag = answer.headers.get("ETag", "")
        self._etag = "" if etag.startswith("W/") else etag  # a weak one must not guard a range
        note = {"size": self.expected.size, "sha256": self.expected.sha256, "etag": self._etag}
        self._guard(lambda: self._note.write_text(json.dumps(note)))

    @contextmanager
    def open(self) -> Iterator[Callable[[bytes], None]]:
        """Give a function that appends; what it wrote stays, whatever happens after."""
        descriptor = self._guard(lambda: os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
        try:
            yield lambda chunk: self._guard(lambda: write_all(descriptor, chunk))
        finally:
            os.close(descriptor)

    def finish(self, target: Path) -> None:
        """Give the verified bytes their name."""
        self._guard(lambda: self.path.replace(target))
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw the bytes away."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _guard(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except OSError as error:
            failure = self.place.write_failure(error.errno, error.strerror, self.path)
        raise failure


def write_all(descriptor: int, chunk: bytes) -> None:
    """Write a chunk unbuffered, so that an interrupted run keeps every byte that it received."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def fetch(
    client: Client, path: str, query: dict[str, str], target: Path, expected: RemoteFile, moved: Moved
) -> None:
    """Fetch a file to ``target``, going on where an earlier attempt stopped.

    Parameters
    ----------
    client : Client
        The conversation with NGC.
    path, query : str, dict
        The file's address below the API's base.
    target : Path
        Where the verified file goes; its folder exists.
    expected : RemoteFile
        Size and hash; either may be unknown.
    moved : callable
        Told how many bytes were gained, or lost (negative) when a part is thrown away.

    Raises
    ------
    DownloadError
        NGC refuses, the disk is full, or what came is not what the listing promises.
    Unreachable
        The connection kept breaking; the part stays for the next run.
    """
    part = _Part(target, expected, client.place)
    moved(part.size)
    for last in (False, True):
        resumed = part.size > 0
        if expected.size is None or part.size != expected.size:
            _fill(client, path, query, part, moved)
        wrong = expected.mismatch(part.path)
        if not wrong:
            part.finish(target)
            return
        with part.path.open("rb") as file:
            error = unwanted(client.place, file.read(HEAD), wrong)
        moved(-part.size)
        part.discard()
        if last or not resumed:
            raise error
        log.warning("%s; it had been resumed, so it is fetched again from the start", wrong)


def _fill(client: Client, path: str, query: dict[str, str], part: _Part, moved: Moved) -> None:
    """Append to the part until the server has no more, repeating on broken connections."""
    failures = 0
    reason = ""
    while failures <= client.retries:
        before = part.size
        answer = client.get(path, query, part.headers())
        if isinstance(answer, str):
            reason, retry_after = answer, None
        else:
            with answer:
                reason, retry_after = _take(client, answer, part, moved), answer
        if not reason:
            return
        # A connection that brought something counts as a fresh start: only dead ones use up the attempts.
        failures = 0 if part.size > before else failures + 1
        if failures <= client.retries:
            log.info("%s: %s, going on at byte %d", part.expected.name, reason, part.size)
            client.pause(failures, retry_after)
    raise client.place.failure("cut" if part.size else "unreachable", f"{part.expected.name}: {reason}")


def _take(client: Client, answer: requests.Response, part: _Part, moved: Moved) -> str:
    """Take what one answer brings; return "" when it was all, else why there is more to ask for."""
    if answer.status_code in BUSY:
        return f"HTTP {answer.status_code}"
    if answer.status_code == 416 or (answer.status_code == 206 and not part.continues(answer)):
        moved(-part.size)
        part.discard()
        return "the server has another file than the one begun"
    if answer.status_code not in (200, 206):
        raise client.refusal(answer)
    if answer.status_code == 200:
        moved(-part.size)
        part.restart(answer)
    expected = part.expected
    length = answer.headers.get("Content-Length", "")
    if expected.size is not None and length.isdigit() and part.size + int(length) != expected.size:
        head = next(answer.iter_content(HEAD), b"")
        wrong = f"{expected.name}: {part.size + int(length)} bytes, expected {expected.size}"
        raise unwanted(client.place, head, wrong)
    chunks = answer.iter_content(_CHUNK)
    with part.open() as write:
        while True:
            try:
                chunk = next(chunks, None)
            except requests.RequestException:
                return "the connection broke"
            if chunk is None:
                break
            write(chunk)
            moved(len(chunk))
            if expected.size is not None and part.size > expected.size:
                break
    short = expected.size is not None and part.size < expected.size
    return "the connection ended early" if short else ""


def _kind(head: bytes) -> str:
    other = what_it_is(head)
    return f", {other[0]}" if other else ""


def unwanted(place: Place, head: bytes, wrong: str) -> DownloadError:
    """Build the error for something that is not the file listed."""
    kind = _kind(head)
    return place.failure("not a model" if kind else "damaged", f"{wrong}{kind}")
