"""What is judged: labelled frames, and the candidates or boxes that were found in them.

Candidates are found once and kept in a `Pool`, so that any settings can be tried on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import OutputError
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.settings import Clustering, Settings
from peoplenet_nb.sources.frames import Source

FLOOR = 0.005
"""The least coverage of a candidate: that of the presets that sum coverages up."""
CURVE = 0.01
"""The threshold from which on a precision-recall curve is drawn."""


@dataclass
class Clip:
    """Labelled frames and what the network found in them."""

    name: str  # of the source
    video: bool  # whether it is a video, whose neighbouring frames are alike
    fps: float | None  # frames per second of the source
    labels: Labels  # of the frames that there are; ``labels.frames`` are their 0-based indices in the source
    settings: Settings  # those of the run, or the default
    pool: (
        Pool | None
    )  # candidates of the same frames, in their order; None where only a table of detections is left
    table: Found | None  # the detections of a run without raw output
    source: str | Path | Source  # where the pictures are
    notes: list[str] = field(default_factory=list)  # for the reader

    @property
    def rate(self) -> float:
        """Labelled frames a second of a video."""
        first, last = int(self.labels.frames[0]), int(self.labels.frames[-1])
        step = (last - first) / max(len(self.labels.frames) - 1, 1) or 1.0
        return (self.fps or 25.0) / step

    def found(self, settings: Settings) -> Found:
        """Return the boxes that settings give in all frames; an `OutputError` where only a table of others is left."""
        if self.pool is not None:
            return Found(*self.pool.decode(settings))
        if self.table is None or settings != self.settings:
            raise OutputError(
                "The run kept no raw output, so other settings cannot be tried on it",
                seen=self.name,
                next_step="run it again with --save-grids (save_grids=True), or leave the settings out.",
            )
        return self.table

    def curve(self, settings: Settings) -> Found:
        """Return the boxes for curves and average precision: with the thresholds of confidence opened up.

        The threshold of DBSCAN decides on its clusters, not only on what is kept of them: it stays, and the curve
        goes down to what it lets through.
        """
        if self.pool is None:
            return self.found(settings)
        low: dict[str, Any] = {"min_confidence": 0.0}
        if settings.clustering is Clustering.NMS:
            low["threshold"] = max(CURVE, self.pool.floor)
        opened = settings
        for label in self.pool.labels:
            now = settings.for_class(label)
            changes = low | (
                {"threshold": min(now.threshold, low["threshold"])} if "threshold" in low else {}
            )
            opened = opened.with_class(label, **changes)
        return self.found(opened)

    def take(self, frames: Sequence[int]) -> Clip:
        """Return some of the labelled frames, given by their place among them, each once and in rising order."""
        if self.pool is None:
            raise OutputError(
                "A table of detections is taken whole", seen=self.name, next_step="use --save-grids."
            )
        return replace(self, pool=self.pool.take(list(frames)), labels=self.labels.take(list(frames)))
