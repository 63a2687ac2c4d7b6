"""Who works on which video: claims by files, for several processes and several machines on one volume.

A claim on a video is a file ``claims/NAME.N`` that is made in one step and names its owner. It is never taken away:
whoever goes on where an owner died, or tries again what failed, makes ``NAME.N+1``, and of two who try, one succeeds.
Beside a claim stands how it ended: ``NAME.N.failed``, which counts as a try, or ``NAME.N.left``, which does not. The
last word on a video is ``done/NAME.json``.

An owner is alive while its file in ``workers/`` is refreshed. On the same machine its process is looked at instead,
which tells at once. Ages are by the volume's own clock: that of the machine may differ.
"""

from __future__ import annotations

import json
import logging
import os
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import read_json, write_new, write_text, writing

logger: logging.Logger = logging.getLogger(__name__)

STATE = ".batch"  #: the folder of all this, in the output folder of a batch
STALE_S = (
    120.0  # no word for so long, and another machine's worker counts as dead; NFS may show times of 60 s ago
)
HEARTBEAT_S = 2.0
_CLAIM = re.compile(r"(?P<name>.+)\.(?P<number>[1-9][0-9]{0,5})(?P<end>\.failed|\.left)?", re.DOTALL)


def started_at(pid: int) -> str:
    """Return when a process started, in ticks since boot; empty where there is none, or it has ended already.

    A number of a process that ended is given to another one; the two together are not.
    """
    try:
        fields = (
            Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]  # proc(5): state and starttime, fields 3 and 22


def this_machine() -> str:
    """Return what tells this machine, and this container on it, from others: numbers of processes belong to it."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
    with suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").stat().st_ino))
    return " ".join(parts)


@dataclass
class WorkerState:
    """What a worker says of itself, every few seconds."""

    host: str = field(default_factory=socket.gethostname)
    machine: str = field(default_factory=this_machine)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: started_at(os.getpid()))
    start: str = ""  #: which start of a batch it belongs to
    name: str = ""  #: the video in progress
    frames: int = 0  #: frames of it
    expected: int | None = None  #: how many it has
    total: int = 0  #: frames of all videos so far
    error: dict[str, str] | None = None  #: what ended it


@dataclass
class Survey:
    """Where all videos stand at one moment."""

    last: dict[str, int] = field(default_factory=dict)  #: the number of the latest claim
    ended: set[str] = field(default_factory=set)  #: names whose latest claim has ended
    failed: dict[str, list[int]] = field(default_factory=dict)  #: numbers of the claims that failed
    done: set[str] = field(default_factory=set)


class Claims:
    """The claims of a batch, as one worker or coordinator sees them.

    Parameters
    ----------
    output : Path
        The output folder of the batch.
    token : str
        Who is asking: a name that nobody else has.
    tries : int
        After so many failures a video is put aside.
    stale_s : float
        Seconds after which a worker of another machine that was not heard of counts as dead.
    """

    def __init__(self, output: Path, token: str, tries: int = 2, stale_s: float = STALE_S) -> None:
        self.folder: Path = output / STATE
        self.token: str = token
        self.tries: int = tries
        self.stale_s: float = stale_s
        self.state: WorkerState = WorkerState()
        self._claims, self._done = self.folder / "claims", self.folder / "done"
        self._mine = self.worker_file(token)
        self._machine = self.state.machine
        with writing(self.folder):
            for folder in (self._claims, self._done, self._mine.parent):
                folder.mkdir(parents=True, exist_ok=True)

    def worker_file(self, token: str) -> Path:
        """Return where a worker says how it is."""
        return self.folder / "workers" / f"{token}.json"

    def beat(self) -> None:
        """Say that this worker is alive, and what it does."""
        write_text(self._mine, json.dumps(asdict(self.state)))

    def survey(self) -> Survey:
        """Look at all claims."""
        seen = Survey()
        ends: dict[tuple[str, int], str] = {}
        for entry in _names(self._claims):
            if (found := _CLAIM.fullmatch(entry)) is None:
                continue
            name, number, end = found["name"], int(found["number"]), found["end"]
            seen.last[name] = max(number, seen.last.get(name, 0))
            if end:
                ends[name, number] = end
            if end == ".failed":
                seen.failed.setdefault(name, []).append(number)
        seen.ended = {name for name, number in seen.last.items() if (name, number) in ends}
        seen.done = {entry.removesuffix(".json") for entry in _names(self._done) if entry.endswith(".json")}
        return seen

    def take(self, names: Iterable[str]) -> tuple[str, int] | None:
        """Claim the first video that is free: one that nobody had, else one of a dead owner, else one that failed.

        Returns
        -------
        (name, number) of the claim, or None when there is nothing to be had.
        """
        seen = self.survey()
        for name in self.free(names, seen):
            number = seen.last.get(name, 0) + 1
            record = json.dumps({"owner": self.token, "host": self.state.host})
            if write_new(self._claims / f"{name}.{number}", record.encode()):
                return name, number
        return None

    def free(self, names: Iterable[str], seen: Survey) -> Iterator[str]:
        """Yield the videos that may be claimed; those that failed too often are put aside."""
        later = []
        for name in names:
            if name in seen.done:
                continue
            if name not in seen.last:
                yield name
            elif len(seen.failed.get(name, ())) >= self.tries:
                self._put_aside(name, seen)
            else:
                later.append(name)
        yield from (name for name in later if name not in seen.ended and not self._held(name, seen))
        yield from (name for name in later if name in seen.ended)

    def _put_aside(self, name: str, seen: Survey) -> None:
        last = read_json(self._claims / f"{name}.{max(seen.failed[name])}.failed")
        self.finish(name, {"state": "aside", "tries": len(seen.failed[name])} | last)
        seen.done.add(name)

    def owner(self, name: str, number: int) -> str:
        """Return whose claim it is; empty where that was not written."""
        return str(read_json(self._claims / f"{name}.{number}").get("owner", ""))

    def _held(self, name: str, seen: Survey) -> bool:
        """Return whether the owner of the latest claim is alive, as far as can be told."""
        number = seen.last[name]
        token = self.owner(name, number)
        path = self.worker_file(token)
        state = read_json(path) if token else {}
        pid, started = state.get("pid"), state.get("started")  # no start where there is no /proc
        if state.get("machine") == self._machine and isinstance(pid, int) and started:
            return started_at(pid) == str(started)
        age = self._age(path if state else self._claims / f"{name}.{number}")
        if age > self.stale_s:
            logger.warning(
                "%s was left behind by a worker on %s, %.0f s ago", name, state.get("host", "?"), age
            )
        return age <= self.stale_s

    def _age(self, path: Path) -> float:
        """Return how long ago a file was refreshed, by the volume's clock: that of a file that is touched now."""
        clock = self._mine.with_name(f".{self.token}.clock")
        with writing(clock):
            clock.touch()
        try:
            with path.open("rb") as stream:  # NFS looks anew when a file is opened
                return clock.stat().st_mtime - os.fstat(stream.fileno()).st_mtime
        except OSError:
            return 0.0

    def lost(self, name: str, number: int) -> bool:
        """Return whether somebody has taken a video over, because this worker was not heard of for long."""
        return (self._claims / f"{name}.{number + 1}").exists()

    def fail(self, name: str, number: int, reason: str) -> None:
        """Say that a try has failed, and why."""
        record = json.dumps({"reason": reason, "host": self.state.host})
        write_new(self._claims / f"{name}.{number}.failed", record.encode())

    def leave(self, name: str, number: int) -> None:
        """Give a claim back that did not fail: the batch was stopped."""
        write_new(self._claims / f"{name}.{number}.left", b"{}")

    def finish(self, name: str, record: dict[str, Any]) -> None:
        """Write the last word on a video; whose came first stays."""
        write_new(self._done / f"{name}.json", json.dumps(record, indent=1).encode())

    def record(self, name: str) -> dict[str, Any]:
        """Return the last word on a video; nothing where there is none."""
        return read_json(self._done / f"{name}.json")

    def begin_again(self, name: str) -> None:
        """Forget what was said of a video, so that it is done once more."""
        with writing(self.folder):
            (self._done / f"{name}.json").unlink(missing_ok=True)
            if number := self.survey().last.get(name):
                self.leave(name, number)
            for entry in _names(self._claims):
                found = _CLAIM.fullmatch(entry)
                if found and found["name"] == name and found["end"] == ".failed":
                    path = self._claims / entry
                    path.replace(path.with_suffix(".left"))

    def workers(self, start: str = "") -> dict[str, dict[str, Any]]:
        """Return what workers say of themselves: those of one start, or of all."""
        files = [name for name in _names(self._mine.parent) if name.endswith(".json") and name[0] != "."]
        states = {name.removesuffix(".json"): read_json(self._mine.parent / name) for name in files}
        return {token: state for token, state in states.items() if not start or state.get("start") == start}

    def close(self) -> None:
        """Take this worker's own files away."""
        for path in (self._mine, self._mine.with_name(f".{self.token}.clock")):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError as error:
        raise OutputError(
            "The state of the batch cannot be read",
            seen=f"{folder}: {error.strerror}",
            next_step="check that the volume is there, and start again.",
        ) from error
