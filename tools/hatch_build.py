"""What hatchling does besides when it builds a wheel: the notebooks go along, for `peoplenet-nb notebooks`."""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Notebooks(BuildHookInterface):  # type: ignore[type-arg, misc]
    """Put ``notebooks/`` into wheels, but not into editable installs: those use the checkout's."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folder, under the path where `peoplenet_nb.notebook.copying` looks for it."""
        if version == "standard":
            build_data["force_include"]["notebooks"] = "peoplenet_nb/notebook/notebooks"
