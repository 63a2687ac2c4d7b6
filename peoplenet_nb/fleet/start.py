"""One start of a batch: it lists what is open, starts workers, sees which of them die, and shows how far it is.

The coordinator runs no video itself, and holds nothing that is not in files, so it may be killed too.
"""

from __future__ import annotations

import os
import time
import uuid
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peoplenet_nb.errors import OutputError, PeopleNetError
from peoplenet_nb.files import read_json
from peoplenet_nb.fleet.claims import Claims
from peoplenet_nb.fleet.listing import Job
from peoplenet_nb.fleet.progress import Progress, Standing
from peoplenet_nb.fleet.request import Request, error_of
from peoplenet_nb.fleet.result import BatchResult
from peoplenet_nb.fleet.sheet import write_results

if TYPE_CHECKING:
    from peoplenet_nb.fleet.local import Local, LocalWorker
    from peoplenet_nb.fleet.on_ray import OnRay, RayWorker

_POLL_S = 0.1
_STOP_S = 30.0  # for workers to end their parts
_IDLE_DEATHS = 3  # workers that die before they have a video: something is wrong with all of them


class Start:
    """One start of a batch: which videos are open, which workers run, how far it is."""

    def __init__(self, output: Path, request: Request, jobs: list[Job], tries: int, stale_s: float) -> None:
        self.output: Path = output
        self.request: Request = request
        self.id: str = f"c-{uuid.uuid4().hex[:12]}"
        self.jobs: dict[str, Job] = {job.name: job for job in jobs}
        self.claims: Claims = Claims(output, self.id, tries, stale_s)
        self.open: list[str] = []
        self._began = time.monotonic()
        self._records: dict[str, dict[str, Any]] = {}
        self._frames: dict[str, int] = {}  # by worker, those that are gone too
        self._tokens: set[str] = set()  # of workers
        self._idle_deaths = 0

    def forget_changed(self, *, retry: bool) -> None:
        """See which videos are to be done: not those that are done, unless the file or the results changed since."""
        done = self.claims.survey().done
        for name, job in self.jobs.items():
            record = self.claims.record(name) if name in done else {}
            state = record.get("state")
            same = job.stamp == record.get("stamp", "") or not job.stamp
            whole = state == "complete" and same and (self.output / name / "summary.json").is_file()
            if whole or (state == "aside" and not retry):
                self._records[name] = record
                continue
            if name in done:
                self.claims.begin_again(name)
            self.open.append(name)
        self.before: int = len(self._records)

    def data(self) -> dict[str, Any]:
        """Return what a worker needs to know; it may hold passwords, so it is never written."""
        rank, nodes = (_number(os.environ.get(name)) for name in ("NODE_RANK", "NUM_NODES"))
        # A long one that begins last is waited for.
        names = sorted(self.open, key=lambda name: -self.jobs[name].size)
        if rank is not None and nodes and rank < nodes:  # machines begin apart, not to ask for the same ones
            names = [name for first in range(nodes) for name in names[(rank + first) % nodes :: nodes]]
        data = {"id": self.id, "request": asdict(self.request), "tries": self.claims.tries}
        return data | {"stale_s": self.claims.stale_s, "jobs": [asdict(self.jobs[name]) for name in names]}

    def go(self, place: Local | OnRay, progress: Progress) -> None:
        """Work until every video has its last word."""
        began, running = time.monotonic(), dict[int, "LocalWorker | RayWorker"]()
        self.claims.beat()  # so that an actor on another node knows the folder by it
        try:
            while True:
                self._reap(running)
                looked = time.monotonic()
                seen = self.claims.survey()
                looked = time.monotonic() - looked
                free = len(list(self.claims.free(self.open, seen)))
                for name in seen.done.intersection(self.open):
                    self._records[name] = self.claims.record(name)
                self.open = [name for name in self.open if name not in seen.done]
                states = self.claims.workers(self.id)
                for token, state in states.items():
                    self._frames[token] = max(self._frames.get(token, 0), state.get("total", 0))
                working = [states.get(worker.token, {}) for worker in running.values()]
                progress.show(self._standing(time.monotonic() - began, working), last=not self.open)
                if not self.open:
                    break
                # Those that have no video yet will take one each.
                wanted = free - sum(not state.get("name") for state in working)
                for number in [n for n in range(place.workers) if n not in running][: max(0, wanted)]:
                    running[number] = worker = place.begin(number)
                    self._tokens.add(worker.token)
                # With 10,000 videos a look takes long, and without workers, other machines have the rest.
                time.sleep(max(_POLL_S if running else 10 * _POLL_S, 20 * looked))
        except BaseException:
            for worker in running.values():
                worker.stop()
            raise
        finally:
            until = time.monotonic() + _STOP_S
            for worker in running.values():
                worker.close(max(0.1, until - time.monotonic()))
            progress.close()

    def _reap(self, running: dict[int, LocalWorker | RayWorker]) -> None:
        """See which workers have ended, and write of those that died that their video failed."""
        for number, worker in list(running.items()):
            died = worker.died
            if died is None:
                continue
            del running[number]
            state = read_json(self.claims.worker_file(worker.token))
            self._frames[worker.token] = max(self._frames.get(worker.token, 0), state.get("total", 0))
            if error := state.get("error"):
                raise error_of(error)
            if not died:
                continue
            held = self._held_by({worker.token})
            for name, claim in held:
                self.claims.fail(name, claim, died)
            self.claims.worker_file(worker.token).unlink(missing_ok=True)
            self._idle_deaths = 0 if held else self._idle_deaths + 1
            if self._idle_deaths >= _IDLE_DEATHS:
                raise OutputError(
                    "Workers end before they take a video", seen=f"{died}; {worker.log()[-250:]}",
                    next_step=f"see the logs in {self.claims.folder / 'workers'}.",
                )  # fmt: skip

    def _standing(self, seconds: float, working: list[dict[str, Any]]) -> Standing:
        known = all(job.size for job in self.jobs.values())
        sizes = {name: job.size if known else 1 for name, job in self.jobs.items()}
        aside = {n: str(r.get("reason")) for n, r in self._records.items() if r.get("state") == "aside"}
        return Standing(
            len(self.jobs),
            len(self._records) - len(aside),
            sum(self._frames.values()),
            seconds,
            sum(sizes[name] for name in list(self._records)[self.before :]),
            sum(sizes[name] for name in self.open),
            [state for state in working if state],
            list(aside.items()),
        )

    def finish(self) -> BatchResult:
        """Write the results over all videos of this start, and return them."""
        records = {}
        for name, job in self.jobs.items():
            record = {"source": job.shown} | (self._records.get(name) or self.claims.record(name))
            records[name] = record
        write_results(self.output, records, self.request, time.monotonic() - self._began)
        return BatchResult(self.output, records)

    def close(self) -> None:
        """Give back what workers that have ended still had, and take away what only this start needed."""
        with suppress(OSError, PeopleNetError):
            for name, number in self._held_by(self._tokens):
                self.claims.leave(name, number)
            for token in self._tokens:
                self.claims.worker_file(token).unlink(missing_ok=True)
            self.claims.close()

    def _held_by(self, tokens: set[str]) -> list[tuple[str, int]]:
        """Return the latest claims that some workers made and that have not ended."""
        seen = self.claims.survey()
        held = {name: number for name, number in seen.last.items() if name not in seen.ended | seen.done}
        return [(name, number) for name, number in held.items() if self.claims.owner(name, number) in tokens]


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
