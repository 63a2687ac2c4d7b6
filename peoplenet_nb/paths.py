"""Where things live: the volume on a pod, a folder of the checkout elsewhere.

On RunPod only ``/workspace`` survives a stop, so environment, models, caches and
outputs all go under one *home*. ``PEOPLENET_HOME`` overrides it; the same order stands in
``setup_runpod.sh``, and a test holds the two to each other.
"""

from __future__ import annotations

import os
from pathlib import Path

VOLUME = Path("/workspace")
# The stand-in network of the demo clip; named here so that loading a model need not import the demo.
STANDIN = Path(__file__).with_name("demo") / "standin.onnx"
DEMO_CLIP = STANDIN.with_name("demo-street.mp4")  # so that opening a source need not either


def home() -> Path:
    """Return the folder under which everything is kept.

    Returns
    -------
    Path
        ``$PEOPLENET_HOME`` if set, else ``/workspace/peoplenet`` where that volume exists and can be
        written, else ``workspace/`` of the checkout (not hidden, because Jupyter serves no hidden
        folders), else ``workspace/`` of the current folder.
    """
    named = os.environ.get("PEOPLENET_HOME")
    if named:
        return Path(named).expanduser().resolve()
    if VOLUME.is_dir() and os.access(VOLUME, os.W_OK):
        return VOLUME / "peoplenet"
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file():
        return checkout / "workspace"
    return Path.cwd() / "workspace"


def settings_file() -> Path:
    """Return the file that holds the settings chosen last (``home()/settings.yaml``)."""
    return home() / "settings.yaml"


def models_dir() -> Path:
    """Return the folder that holds downloaded models (``home()/models``)."""
    return home() / "models"


def outputs_dir() -> Path:
    """Return the folder that holds results of runs (``home()/outputs``)."""
    return home() / "outputs"


def cache_dir() -> Path:
    """Return the folder for everything that can be made again (``home()/cache``)."""
    return home() / "cache"
