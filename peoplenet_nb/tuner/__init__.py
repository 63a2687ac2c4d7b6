"""The tuner: sliders on the raw grids of a frame or a clip, with boxes that follow at the display's speed.

Nothing of the widgets is imported before it is used, so that the model behind the panel serves scripts and tests
without Jupyter.

Examples
--------
>>> import peoplenet_nb as pn
>>> panel = pn.tune(frame, grids)  # doctest: +SKIP
>>> panel.settings, panel.errors  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:
    from peoplenet_nb.tuner.labelling import Labeller as Labeller
    from peoplenet_nb.tuner.labelling import label as label
    from peoplenet_nb.tuner.make import tune as tune
    from peoplenet_nb.tuner.make import tune_run as tune_run
    from peoplenet_nb.tuner.model import TunerModel as TunerModel
    from peoplenet_nb.tuner.panel import Tuner as Tuner

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "labelling": ["Labeller", "label"],
        "make": ["tune", "tune_run"],
        "model": ["TunerModel"],
        "panel": ["Tuner"],
    },
)
