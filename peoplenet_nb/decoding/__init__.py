"""From raw grids to boxes: the one formula, candidates, clustering, and what became of every candidate."""

from __future__ import annotations

from peoplenet_nb.decoding.boxes import BBOX_NORM, BBOX_OFFSET, cell_boxes
from peoplenet_nb.decoding.candidates import Candidates, check_floor, find_candidates
from peoplenet_nb.decoding.clustering import dbscan, nms
from peoplenet_nb.decoding.overlap import iou_matrix
from peoplenet_nb.decoding.steps import (
    COVERAGE_ONLY,
    Decoded,
    Fate,
    Outcome,
    cluster_candidates,
    decode,
)

__all__ = [
    "BBOX_NORM",
    "BBOX_OFFSET",
    "COVERAGE_ONLY",
    "Candidates",
    "Decoded",
    "Fate",
    "Outcome",
    "cell_boxes",
    "check_floor",
    "cluster_candidates",
    "dbscan",
    "decode",
    "find_candidates",
    "iou_matrix",
    "nms",
]
