"""What the service takes, and the gate that holds it to that.

One decision to know: what is bounded is everything that is in progress, read, waiting or computed, in calls and in
bytes. Whoever comes when it is full is told so at once, before his picture is read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.serve.refusals import RefusedError

_MIB = 1 << 20


def _limit(default: Any, about: str) -> Any:
    return field(default=default, metadata={"about": about})


@dataclass(frozen=True)
class Limits:
    """What a service takes; what each field means stands beside it, for the page at ``/docs`` too."""

    body_mb: float = _limit(16.0, "MiB of a body; of KServe's calls, for a batch of pictures")
    megapixels: float = _limit(50.0, "millions of pixels of a picture, looked at before it is decoded")
    queue: int = _limit(64, "calls in progress at once")
    memory_mb: float = _limit(512.0, "MiB that all calls hold together: bodies, pictures, inputs")
    seconds: float = _limit(60.0, "seconds of a call, reading its body included")
    upload_seconds: float = _limit(20.0, "seconds for a body to come")
    max_batch: int = _limit(8, "pictures in a batch, or in a call of KServe")
    wait_ms: float = _limit(5.0, "milliseconds that a picture waits for others, where batches gain something")

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1e6 and not (name == "wait_ms" and value == 0):
                step = "choose a number in that range, or leave it out."
                raise SettingsError(
                    f"The limit {name} must be above 0 and below a million", seen=value, next_step=step
                )

    @property
    def body_bytes(self) -> int:
        """Largest body in bytes."""
        return int(self.body_mb * _MIB)

    @property
    def pixels(self) -> int:
        """Most pixels of a picture."""
        return int(self.megapixels * 1e6)


class Hold:
    """The bytes that one call holds; afterwards none can be taken, also by a thread that still works for it."""

    def __init__(self, gate: Gate) -> None:
        self._gate, self._bytes, self._over = gate, 0, False

    def take(self, size: int) -> None:
        """Count bytes more.

        Raises
        ------
        RefusedError
            429 when all calls together would hold too many; 503 when the call is over.
        """
        gate = self._gate
        with gate.lock:
            if self._over:
                raise RefusedError(503, "The call is over", None, "send it again.", retry_after=1)
            if gate.bytes + size > gate.limits.memory_mb * _MIB:
                raise gate.full(f"{gate.bytes / _MIB:.0f} MiB in {gate.calls} calls")
            self._count(size)

    def give(self, size: int | None = None) -> None:
        """Count bytes less; all that are left where no number is given."""
        with self._gate.lock:
            self._count(-self._bytes if size is None else -min(size, self._bytes))

    def end(self) -> None:
        """Give everything back for good."""
        with self._gate.lock:
            self._over = True
            self._count(-self._bytes)

    def _count(self, size: int) -> None:
        self._bytes += size
        self._gate.bytes += size


class Gate:
    """Counts the calls in progress and the bytes that they hold, and refuses more than the limits say."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.calls = 0
        self.bytes = 0
        self.seconds_a_call: float = 0.1  #: of the network lately; kept up to date by who runs it
        self.lock = threading.Lock()

    @contextmanager
    def entered(self) -> Iterator[Hold]:
        """Let a call in for as long as the block runs.

        Raises
        ------
        RefusedError
            429 when the house is full, with the seconds after which there should be room.
        """
        with self.lock:
            if self.calls >= self.limits.queue:
                raise self.full(f"{self.calls} calls")
            self.calls += 1
        hold = Hold(self)
        try:
            yield hold
        finally:
            hold.end()
            with self.lock:
                self.calls -= 1

    def full(self, seen: str) -> RefusedError:
        """Return the error of a call for which there is no room."""
        # Half of what is waiting will be through by then; sooner would only bring the same refusal again.
        wait = max(1.0, 0.5 * self.calls * self.seconds_a_call)
        step = f"try again in {wait:.0f} s, as the header Retry-After says, or send fewer at once."
        what = "The service is busy: as many calls as it takes are being answered"
        return RefusedError(429, what, seen, step, retry_after=wait)
