"""The doctor: GPU, driver, providers, codecs, disk, Jupyter; it examines and never installs.

One decision to know: what can crash or hang (a GPU library, a codec) is tried in a process of its own, so
that a broken environment becomes a line of the report and not the end of it.
"""

from __future__ import annotations

from peoplenet_nb.diagnostics.report import Check, Report, doctor, require_single_distributions

__all__ = ["Check", "Report", "doctor", "require_single_distributions"]
