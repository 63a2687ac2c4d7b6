"""NVIDIA PeopleNet in notebooks: fetch it, see inside it, tune it on its raw grids, run whole videos.

The network runs once per frame and leaves `Grids`; everything a person wants to turn afterwards works on those.
Names are imported when they are first used, so ``import peoplenet_nb`` costs nothing and pulls in nothing optional.

Examples
--------
>>> import cv2
>>> import peoplenet_nb as pn
>>> model = pn.PeopleNet.load()  # doctest: +SKIP
>>> image = cv2.imread("street.jpg")
>>> found = model.detect(image)  # doctest: +SKIP
>>> cv2.imwrite("out.jpg", pn.draw_detections(image, found))  # doctest: +SKIP
"""

from __future__ import annotations

import os as _os
from typing import TYPE_CHECKING

import lazy_loader as _lazy

if TYPE_CHECKING:  # the same names once more, for type checkers; a test holds the two lists to each other
    from peoplenet_nb.cells import open_grids as open_grids
    from peoplenet_nb.decoding import Decoded as Decoded
    from peoplenet_nb.decoding import Fate as Fate
    from peoplenet_nb.decoding import decode as decode
    from peoplenet_nb.demo import demo_clip as demo_clip
    from peoplenet_nb.detections import Detections as Detections
    from peoplenet_nb.diagnostics import doctor as doctor
    from peoplenet_nb.draw import draw_detections as draw_detections
    from peoplenet_nb.draw import draw_heatmap as draw_heatmap
    from peoplenet_nb.errors import PeopleNetError as PeopleNetError
    from peoplenet_nb.evaluation import Evaluation as Evaluation
    from peoplenet_nb.evaluation import Recommendation as Recommendation
    from peoplenet_nb.evaluation import evaluate as evaluate
    from peoplenet_nb.evaluation import recommend as recommend
    from peoplenet_nb.explain import explain_point as explain_point
    from peoplenet_nb.explain import report_frame as report_frame
    from peoplenet_nb.export import compare as compare
    from peoplenet_nb.export import export_detections as export_detections
    from peoplenet_nb.export import export_settings as export_settings
    from peoplenet_nb.export import import_settings as import_settings
    from peoplenet_nb.fit import Fit as Fit
    from peoplenet_nb.fleet import batch as batch
    from peoplenet_nb.grids import Grids as Grids
    from peoplenet_nb.labels import Labels as Labels
    from peoplenet_nb.labels import read_labels as read_labels
    from peoplenet_nb.live import BrowserCamera as BrowserCamera
    from peoplenet_nb.live import watch as watch
    from peoplenet_nb.network import PeopleNet as PeopleNet
    from peoplenet_nb.ngc.download import download as download
    from peoplenet_nb.redaction import Redacted as Redacted
    from peoplenet_nb.redaction import redact as redact
    from peoplenet_nb.settings import ClassSettings as ClassSettings
    from peoplenet_nb.settings import Settings as Settings
    from peoplenet_nb.settings import preset as preset
    from peoplenet_nb.sources import open_source as open_source
    from peoplenet_nb.tracks import Scene as Scene
    from peoplenet_nb.tuner import label as label
    from peoplenet_nb.tuner import tune as tune
    from peoplenet_nb.tuner import tune_run as tune_run
    from peoplenet_nb.video import RunResult as RunResult
    from peoplenet_nb.video import run as run
    from peoplenet_nb.video import track as track

__version__ = "0.2.0"

# ONNX Runtime, once it is imported, keeps a device id and queued events for Microsoft under the user's cache otherwise.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "cells": ["open_grids"],
        "decoding": ["Decoded", "Fate", "decode"],
        "demo": ["demo_clip"],
        "detections": ["Detections"],
        "diagnostics": ["doctor"],
        "draw": ["draw_detections", "draw_heatmap"],
        "errors": ["PeopleNetError"],
        "evaluation": ["Evaluation", "Recommendation", "evaluate", "recommend"],
        "explain": ["explain_point", "report_frame"],
        "export": ["compare", "export_detections", "export_settings", "import_settings"],
        "fit": ["Fit"],
        "fleet": ["batch"],
        "grids": ["Grids"],
        "labels": ["Labels", "read_labels"],
        "live": ["BrowserCamera", "watch"],
        "network": ["PeopleNet"],
        "ngc": ["download"],
        "redaction": ["Redacted", "redact"],
        "settings": ["ClassSettings", "Settings", "preset"],
        "sources": ["open_source"],
        "tracks": ["Scene"],
        "tuner": ["label", "tune", "tune_run"],
        "video": ["RunResult", "run", "track"],
    },
)
