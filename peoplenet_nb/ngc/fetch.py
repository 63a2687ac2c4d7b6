"""Fetch one file from NGC: resumed, bounded and checked.

Bytes are appended to ``<name>.part``, and a note beside it says which file they belong to. The file gets its name
only after size and SHA-256 agree with the listing.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from peoplenet_nb.errors import DownloadError
from peoplenet_nb.files import write_text
from peoplenet_nb.ngc.errors import Destination
from peoplenet_nb.ngc.http import Client
from peoplenet_nb.ngc.listing import RemoteFile
from peoplenet_nb.ngc.record import json_object
from peoplenet_nb.ngc.session import pause_before
from peoplenet_nb.onnxfile.kind import HEAD, what_it_is
from peoplenet_nb.web import LEAST_RATE, number_in, pieces, read_up_to, too_slow

_SPARE = 8 << 20  # bytes that stay free: a disk that is full to the last byte breaks everything else
_LARGEST = 2 << 30  # bytes of a file whose size NGC does not list
_GRACE = 300.0  # seconds until a file that comes slower than `web.LEAST_RATE` is given up

log: logging.Logger = logging.getLogger(__name__)

Moved = Callable[[int], object]


def ensure_space(folder: Path, needed: int, destination: Destination, unfinished: Path | None = None) -> None:
    """Raise the row "space" unless a disk has room for so many bytes more; name a hidden, unfinished download."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        seen = f"{free / 1e6:.0f} MB free in {folder}, {(needed + _SPARE) / 1e6:.0f} MB needed"
        if unfinished is not None:
            seen += f"; an unfinished download lies in {unfinished} and may be deleted"
        raise destination.failure("space", seen)


class _Part:
    """The unfinished bytes of a file, a note of what they belong to, and what they have cost so far.

    A part without a fitting note is thrown away: its bytes may be the beginning of another file.
    """

    def __init__(self, target: Path, expected: RemoteFile, destination: Destination) -> None:
        self.path = target.with_name(target.name + ".part")
        self.expected, self.destination = expected, destination
        self.received = self.restarts = 0
        self._began = time.monotonic()
        self._note = target.with_name(target.name + ".part.json")
        note = (json_object(self._note.read_bytes()) if self._note.is_file() else None) or {}
        self._etag = str(note.get("etag") or "")
        fits = (note.get("size"), note.get("sha256")) == (expected.size, expected.sha256)
        # Neither a hash nor an ETag: nothing would notice that the file has changed since.
        if not fits or not (expected.sha256 or self._etag):
            self.discard()

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def too_slow(self) -> bool:
        """Whether too little has come for the time that has gone by."""
        return too_slow(time.monotonic() - self._began, self.received, _GRACE)

    def headers(self) -> dict[str, str]:
        """Ask for the rest only, and only if the file is still the same."""
        if not self.size:
            return {}
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": self._etag} if self._etag else {})

    def continues(self, answer: requests.Response) -> bool:
        """Whether a partial answer goes on exactly where the part ends."""
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if found is None or number_in(found[1]) != self.size:
            return False
        return found[2] == "*" or self.expected.size in (None, number_in(found[2]))

    def restart(self, answer: requests.Response) -> None:
        """Begin at the first byte, and note which file this is."""
        self.restarts += self.size > 0
        self.discard()
        etag = answer.headers.get("ETag", "")
        self._etag = "" if etag.startswith("W/") else etag  # a weak one must not guard a range
        note = {"size": self.expected.size, "sha256": self.expected.sha256, "etag": self._etag}
        self.destination.write(lambda: write_text(self._note, json.dumps(note)), self._note)

    def append(self, piece: bytes) -> None:
        """Write unbuffered, so that an interrupted run keeps every byte that it received."""
        self.destination.write(lambda: append(self.path, piece), self.path)
        self.received += len(piece)

    def finish(self, target: Path) -> None:
        """Give the verified bytes their name."""
        self.destination.write(lambda: self.path.replace(target), self.path)
        self._note.unlink(missing_ok=True)

    def discard(self) -> None:
        """Throw the bytes away."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def append(path: Path, piece: bytes) -> None:
    """Write to the end of a file, which is made if need be, but through no link."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o644)
    try:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def fetch(
    client: Client, path: str, query: Mapping[str, str], target: Path, expected: RemoteFile, moved: Moved
) -> None:
    """Fetch a file to ``target``, going on where an earlier attempt stopped.

    ``path`` and ``query`` are its address below the API's base; ``moved`` is called with the number of bytes
    that were gained, or lost (negative) when a part is thrown away. Where NGC cannot be reached, keeps breaking
    off or is too slow (`Unreachable`), the part stays for the next run.
    """
    part = _Part(target, expected, client.destination)
    moved(part.size)
    for last in (False, True):
        resumed = part.size > 0
        part.append(b"")  # an empty file is a file as well
        if part.size != expected.size:
            _fill(client, path, query, part, moved)
        wrong = expected.mismatch(part.path)
        if not wrong:
            part.finish(target)
            return
        error = unwanted(client.destination, part.path, wrong)
        moved(-part.size)
        part.discard()
        if last or not resumed:
            raise error
        log.warning("%s; it had been resumed, so it is fetched again from the start", wrong)


def _fill(client: Client, path: str, query: Mapping[str, str], part: _Part, moved: Moved) -> None:
    """Append to the part until the server has no more, repeating on broken connections."""
    failures = 0
    while True:
        before = part.size
        reason = answer = client.get(path, query, part.headers())
        if not isinstance(answer, str):
            with answer:
                reason = _take(client, answer, part, moved)
        if not reason:
            return
        # A connection over which something came counts as a fresh start: only dead ones use up the attempts.
        failures = 0 if part.size > before else failures + 1
        if part.too_slow:
            reason = f"{reason}, and less than {LEAST_RATE / 1000:g} kB a second came"
        if part.too_slow or max(failures, part.restarts) > client.retries:
            row = "cut" if part.size else "unreachable"
            raise client.destination.failure(row, f"{part.expected.name}: {reason}")
        log.info("%s: %s, going on at byte %d", part.expected.name, reason, part.size)
        time.sleep(pause_before(failures, client.backoff))


def _take(client: Client, answer: requests.Response, part: _Part, moved: Moved) -> str:
    """Take what one answer brings; return "" when it was all, else why there is more to ask for."""
    expected, destination = part.expected, client.destination
    other = answer.status_code == 416 or (answer.status_code == 206 and not part.continues(answer))
    if other or answer.status_code == 200:
        moved(-part.size)
        part.restart(answer)
    if other:
        return "the server has another file than the one begun"
    if answer.status_code not in (200, 206):
        raise client.refusal(answer)
    length = number_in(answer.headers.get("Content-Length"))
    promised = expected.size if length is None else part.size + length
    if expected.size is not None and promised != expected.size:
        wrong = f"{expected.name}: {promised} bytes, expected {expected.size}"
        raise unwanted(destination, read_up_to(answer, HEAD)[0], wrong)
    try:
        for piece in pieces(answer):
            if expected.size is None:
                ensure_space(part.path.parent, len(piece), destination, part.path)
            part.append(piece)
            moved(len(piece))
            if part.size > (expected.size or _LARGEST) or part.too_slow:
                break
    except requests.ConnectionError:
        return "the connection broke"
    if expected.size is None and part.size > _LARGEST:
        part.discard()
        raise destination.failure(
            "damaged", f"{expected.name}: more than {_LARGEST} bytes, and NGC lists no size"
        )
    if part.too_slow and promised != part.size:
        return "it takes too long"
    return "the connection ended early" if expected.size is not None and part.size < expected.size else ""


def unwanted(destination: Destination, came: Path | bytes, wrong: str) -> DownloadError:
    """Build the error for something, a file or its first bytes, that is not the file listed."""
    if isinstance(came, Path):
        with came.open("rb") as file:
            came = file.read(HEAD)
    other = what_it_is(came)
    return destination.failure(
        "not a model" if other else "damaged", f"{wrong}, {other[0]}" if other else wrong
    )
