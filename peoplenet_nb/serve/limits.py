"""What the service takes, and the gate that holds it to that.

One decision to know: what is bounded is everything that is in progress, read, waiting or computed, in calls and in
bytes. Whoever comes when it is full is told so at once, before his picture is read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.serve.refusals import RefusedError

_MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a service takes.

    Parameters
    ----------
    body_mb : float
        Largest body of a call, in MiB; for `Infer` of KServe, that of its ``max_batch``.
    megapixels : float
        Most pixels of a picture, in millions, looked at before it is decoded.
    queue : int
        Calls that may be in progress at once.
    memory_mb : float
        MiB that all of them may hold: bodies, decoded pictures, inputs of the network.
    seconds : float
        Longest time of a call, reading its body included. RunPod's proxy cuts at 100 s.
    upload_seconds : float
        Longest time in which a body must have come.
    max_batch : int
        Pictures that the network takes at once, at most, and most in a call of KServe.
    wait_ms : float
        How long a picture waits for others to share its batch, where the device gains from that.
    """

    body_mb: float = 16.0
    megapixels: float = 50.0
    queue: int = 64
    memory_mb: float = 512.0
    seconds: float = 60.0
    upload_seconds: float = 20.0
    max_batch: int = 8
    wait_ms: float = 5.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1e6 and not (name == "wait_ms" and value == 0):
                raise SettingsError(
                    f"The limit {name} must be above 0 and below a million",
                    seen=value,
                    next_step="choose a number in that range, or leave it out.",
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
                raise RefusedError(503, "The call is over", next_step="send it again.", retry_after=1)
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
        return RefusedError(
            429,
            "The service is busy: as many calls as it takes are being answered",
            seen=seen,
            next_step=f"try again in {wait:.0f} s, as the header Retry-After says, or send fewer at once.",
            retry_after=wait,
        )
