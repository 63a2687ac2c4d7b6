"""Out and back: settings as other programs' files and from them, and detections in the formats of other tools."""

from __future__ import annotations

from peoplenet_nb.export.settings_in import Imported, import_settings
from peoplenet_nb.export.settings_out import export_settings
from peoplenet_nb.export.targets import Exported, NetworkFile, Target

__all__ = ["Exported", "Imported", "NetworkFile", "Target", "export_settings", "import_settings"]
