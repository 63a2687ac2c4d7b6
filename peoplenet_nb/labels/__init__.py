"""Ground truth from other tools' files, as one value: `read_labels` reads, `align` finds the frames of a source."""

from __future__ import annotations

from peoplenet_nb.labels.aligning import align
from peoplenet_nb.labels.reading import read_labels
from peoplenet_nb.labels.values import EVERY_CLASS, Labels, Truth

__all__ = ["EVERY_CLASS", "Labels", "Truth", "align", "read_labels"]
