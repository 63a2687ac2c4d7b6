"""The shell command `peoplenet-nb`."""

from __future__ import annotations

from peoplenet_nb.cli.main import app

__all__ = ["app"]
