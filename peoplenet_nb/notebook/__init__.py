"""What the notebooks call: one function a cell, each with a result that shows itself.

A notebook holds no logic. What a cell needs beyond the package's own functions is here: choosing a model and
a source (and saying what was taken instead), a field for a key, a video that plays in the page, charts, a run
that is continued, what is fastest here.

One decision to know: names are imported when they are first used, so the notebook on set-up runs even where
matplotlib or ipywidgets are what is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "CutRun": "video_run",
    "VideoRun": "video_run",
    "KeyField": "keyfield",
    "Player": "player",
    "Table": "rich",
    "UploadField": "upload",
    "build_forms": "forms",
    "by_hand": "fetch",
    "choose_best": "speed",
    "choose_settings": "folders",
    "cut_and_continue": "video_run",
    "describe": "inside",
    "explain_missing": "samples",
    "failures": "fetch",
    "fetch_model": "fetch",
    "heads": "inside",
    "keep_settings": "folders",
    "layers": "inside",
    "models_here": "folders",
    "places": "folders",
    "probe_batches": "speed",
    "run_video": "video_run",
    "sample_frames": "samples",
    "this_machine": "speed",
    "time_devices": "timing",
    "time_runs": "speed",
    "versions": "fetch",
    "workbench": "bench",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  (made from the table above, which a test goes through)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
