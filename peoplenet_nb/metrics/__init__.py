"""How good boxes are, against ground truth: matching, precision and recall, average precision, errors by kind."""

from __future__ import annotations

from peoplenet_nb.labels import Truth
from peoplenet_nb.metrics.curves import PrecisionRecall, precision_recall
from peoplenet_nb.metrics.matching import IGNORED, match

__all__ = ["IGNORED", "PrecisionRecall", "Truth", "match", "precision_recall"]
