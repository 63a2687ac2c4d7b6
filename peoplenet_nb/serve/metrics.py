"""What Prometheus reads: calls, times, the queue, what was found.

One decision to know: labels come from this program only, routes and not paths, so that nobody outside can make
endless series.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from peoplenet_nb.serve.values import Served

if TYPE_CHECKING:
    from peoplenet_nb.serve.service import Service

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        count = partial(Counter, registry=self.registry)
        spread = partial(Histogram, buckets=_SECONDS, registry=self.registry)
        self.calls = count("peoplenet_calls", "Calls answered, by route and HTTP status", ["route", "status"])
        self.received = count("peoplenet_received_bytes", "Bytes of the bodies of calls that were answered")
        self.boxes = count("peoplenet_boxes", "Boxes found by /detect, by class", ["label"])
        self.reload_failures = count("peoplenet_reload_failures", "Changed files that could not be used")
        self.call_seconds = spread(
            "peoplenet_call_seconds", "From a call's head to its answer's end", ["route"]
        )
        self.network_seconds = spread("peoplenet_network_seconds", "Time of a batch in the network")
        self.batch_size = spread("peoplenet_batch_size", "Pictures in a batch", buckets=(1, 2, 4, 8, 16, 32))
        about = "The model and the settings that answer"
        self._info = Info("peoplenet_served", about, registry=self.registry)

    def follow(self, service: Service) -> None:
        """Read some gauges from a service whenever they are asked for."""
        gate = service.gate
        for name, text, value in (
            ("peoplenet_calls_in_house", "Calls being read, waiting or computed", lambda: gate.calls),
            ("peoplenet_held_bytes", "Bytes that those calls hold", lambda: gate.bytes),
            ("peoplenet_waiting", "Calls in the queue before the network", lambda: service.waiting),
            ("peoplenet_ready", "1 while calls are answered", lambda: service.state.state == "ready"),
        ):
            Gauge(name, text, registry=self.registry).set_function(value)

    def loaded(self, served: Served) -> None:
        """Note what is served now."""
        told = served.model_dump(include={"model", "device", "precision", "settings_hash"})
        self._info.info(told | {"sha256": served.model_sha256})

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
