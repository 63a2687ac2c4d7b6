"""The tuner: sliders on the raw grids of a frame or a clip, with boxes that follow at the display's speed.

One decision to know: nothing of the widgets is imported before it is used, so that the model behind the panel
serves scripts and tests without Jupyter.

Examples
--------
>>> from peoplenet_nb.tuner import tune
>>> panel = tune(frame, grids)  # doctest: +SKIP
>>> panel.settings, panel.errors  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peoplenet_nb.tuner.model import TunerModel

if TYPE_CHECKING:
    from peoplenet_nb.tuner.make import tune, tune_run
    from peoplenet_nb.tuner.panel import Tuner

__all__ = ["Tuner", "TunerModel", "tune", "tune_run"]


def __getattr__(name: str) -> Any:
    if name == "Tuner":
        from peoplenet_nb.tuner.panel import Tuner

        return Tuner
    if name in ("tune", "tune_run"):
        from peoplenet_nb.tuner import make

        return getattr(make, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
