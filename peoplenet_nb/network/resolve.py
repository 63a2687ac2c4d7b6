"""Which model file a path, a name or nothing at all means."""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.errors import ModelError
from peoplenet_nb.ngc import find_model
from peoplenet_nb.paths import STANDIN

STANDIN_NAMES = ("standin", "stand-in", "demo")


def resolve_model(path_or_name: str | Path | None = None) -> Path:
    """Return the model file that a path, a name or nothing at all means.

    Raises
    ------
    ModelError
        When there is no such model.
    """
    if path_or_name is not None and str(path_or_name).lower() in STANDIN_NAMES:
        return STANDIN
    try:
        found = find_model(path_or_name)
    except ValueError:  # a null character
        found = None
    if found is not None:
        return found
    if path_or_name is None:
        return STANDIN
    raise ModelError(
        "No such model",
        seen=path_or_name,
        next_step="pass an .onnx file, fetch it with `peoplenet-nb download`, or use 'standin' for the demo clip.",
    )
