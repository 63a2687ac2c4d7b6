"""What Prometheus reads: calls, times, the queue, what was found.

One decision to know: labels come from this program only, routes and not paths, so that nobody outside can make
endless series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from peoplenet_nb.serve.values import Served

if TYPE_CHECKING:
    from peoplenet_nb.serve.service import Service

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.calls: Counter = Counter(
            "peoplenet_calls", "Calls answered, by route and HTTP status", ["route", "status"], registry=own
        )
        self.call_seconds: Histogram = Histogram(
            "peoplenet_call_seconds",
            "Time from a call's head to its answer's end",
            ["route"],
            buckets=_SECONDS,
            registry=own,
        )
        self.received: Counter = Counter(
            "peoplenet_received_bytes", "Bytes of the bodies of calls that were answered", registry=own
        )
        self.boxes: Counter = Counter(
            "peoplenet_boxes", "Boxes found by /detect, by class", ["label"], registry=own
        )
        self.batch_size: Histogram = Histogram(
            "peoplenet_batch_size", "Pictures in a batch", buckets=(1, 2, 4, 8, 16, 32), registry=own
        )
        self.network_seconds: Histogram = Histogram(
            "peoplenet_network_seconds", "Time of a batch in the network", buckets=_SECONDS, registry=own
        )
        self.reload_failures: Counter = Counter(
            "peoplenet_reload_failures",
            "Changed model or settings files that could not be used",
            registry=own,
        )
        self._info = Info("peoplenet_served", "The model and the settings that answer", registry=own)

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
        self._info.info(
            {
                "model": served.model,
                "sha256": served.model_sha256,
                "device": served.device,
                "precision": served.precision,
                "settings_hash": served.settings_hash,
            }
        )

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
