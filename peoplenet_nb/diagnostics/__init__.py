"""The doctor: GPU, driver, providers, codecs, disk, Jupyter. It examines the environment and changes nothing.

Whatever can crash or hang (a GPU library, a codec) is tried in a process of its own, so that a broken
environment becomes a line of the report instead of ending it.
"""

from __future__ import annotations

from peoplenet_nb.diagnostics.check import Check
from peoplenet_nb.diagnostics.packages import require_single_distributions
from peoplenet_nb.diagnostics.report import Report, doctor

__all__ = ["Check", "Report", "doctor", "require_single_distributions"]
