"""NVIDIA PeopleNet in notebooks: fetch it, see inside it, tune it on its raw grids, run whole films.

The network runs once per frame and leaves `Grids`; everything a person wants to turn afterwards works on
those. One decision to know: names are imported when they are first used, so that ``import peoplenet_nb``
costs nothing and pulls in nothing optional.

Examples
--------
>>> from peoplenet_nb import PeopleNet, preset
>>> from peoplenet_nb.decode import decode
>>> model = PeopleNet.load()  # doctest: +SKIP
>>> decode(model.infer(frame), preset("deepstream")).detections  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from peoplenet_nb.detections import Detections as Detections
    from peoplenet_nb.draw import draw_detections as draw_detections
    from peoplenet_nb.environment import doctor as doctor
    from peoplenet_nb.errors import PeopleNetError as PeopleNetError
    from peoplenet_nb.grids import Grids as Grids
    from peoplenet_nb.grids import GridsFolder as GridsFolder
    from peoplenet_nb.model import PeopleNet as PeopleNet
    from peoplenet_nb.ngc import download as download
    from peoplenet_nb.presets import preset as preset
    from peoplenet_nb.report import report_frame as report_frame
    from peoplenet_nb.settings import Settings as Settings
    from peoplenet_nb.sources import open_source as open_source
    from peoplenet_nb.video import run as run

__version__ = "0.1.0"

_HOMES = {
    "Detections": "detections",
    "Grids": "grids",
    "GridsFolder": "grids",
    "PeopleNet": "model",
    "PeopleNetError": "errors",
    "Settings": "settings",
    "doctor": "environment",
    "download": "ngc",
    "draw_detections": "draw",
    "open_source": "sources",
    "preset": "presets",
    "report_frame": "report",
    "run": "video",
}

__all__ = [
    "Detections",
    "Grids",
    "GridsFolder",
    "PeopleNet",
    "PeopleNetError",
    "Settings",
    "__version__",
    "doctor",
    "download",
    "draw_detections",
    "open_source",
    "preset",
    "report_frame",
    "run",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
