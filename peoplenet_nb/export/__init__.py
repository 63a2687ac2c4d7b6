"""Out and back: settings as other programs' files and from them, and detections in the formats of other tools."""

from __future__ import annotations

from peoplenet_nb.export.agreeing import Agreement
from peoplenet_nb.export.comparing import Comparison, compare
from peoplenet_nb.export.detections_out import Format, Written, export_detections
from peoplenet_nb.export.difference import Difference, Differing, expected_difference, write_dump
from peoplenet_nb.export.frames import FrameBoxes
from peoplenet_nb.export.nvdsanalytics import export_scene
from peoplenet_nb.export.settings_in import Imported, import_settings
from peoplenet_nb.export.settings_out import Exported, export_settings
from peoplenet_nb.export.targets import NetworkFile, Target

__all__ = [
    "Agreement",
    "Comparison",
    "Difference",
    "Differing",
    "Exported",
    "Format",
    "FrameBoxes",
    "Imported",
    "NetworkFile",
    "Target",
    "Written",
    "compare",
    "expected_difference",
    "export_detections",
    "export_scene",
    "export_settings",
    "import_settings",
    "write_dump",
]
