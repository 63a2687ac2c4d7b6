"""What the network said, in tables a person can read, and the reason for each box that is or isn't there."""

from __future__ import annotations

from peoplenet_nb.explain.cells import CellReport, class_index, explain_cell, explain_missing, explain_point
from peoplenet_nb.explain.report import (
    CANDIDATE_THRESHOLDS,
    FrameReport,
    FrameReports,
    candidate_table,
    fate_table,
    output_table,
    report_frame,
)

__all__ = [
    "CANDIDATE_THRESHOLDS",
    "CellReport",
    "FrameReport",
    "FrameReports",
    "candidate_table",
    "class_index",
    "explain_cell",
    "explain_missing",
    "explain_point",
    "fate_table",
    "output_table",
    "report_frame",
]
