"""How good the stand-in network is, measured on scenes it was not trained on.

Held-out frames go the way of every frame (preprocess, decode, NMS, evaluate), so the figure in the training
record is the one that the tests and the notebooks see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy.typing as npt

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import Truth
from peoplenet_nb.metrics import precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import PEOPLENET_LABELS, ClassSettings, Settings
from tools.standin.patch import Bytes
from tools.standin.scene import Scene

HELD_OUT_SEEDS = tuple(range(9001, 9013))
"""Scenes that training never sees."""

_LEAST_COVERAGE = 0.02  # below this, candidates no longer change the average precision
_SECONDS_APART = 2.5


def held_out_frames(seeds: Sequence[int] = HELD_OUT_SEEDS, frames: int = 5) -> Iterator[tuple[Bytes, Truth]]:
    """Render frames of 1280x720 of each scene, 2.5 seconds apart, with their ground truth."""
    for seed in seeds:
        scene = Scene(seed)
        for index in range(frames):
            yield scene.render(index, 1.0 / _SECONDS_APART)


def precision_on(model: str | Path, frames: Iterable[tuple[Bytes, Truth]]) -> dict[str, float]:
    """Return the average precision per class: 101 points, IoU 0.5, NMS 0.5.

    Parameters
    ----------
    model : str or Path
        An ONNX file with PeopleNet's interface.
    frames : iterable of (ndarray, Truth)
        BGR frames of shape (H, W, 3), uint8, and what is in them.

    Returns
    -------
    dict
        By class name, rounded to four digits.
    """
    net = PeopleNet.load(model, device="cpu")
    settings = Settings(nms_iou=0.5, default=ClassSettings(threshold=_LEAST_COVERAGE))
    rows: dict[str, list[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]]] = {
        n: [] for n in PEOPLENET_LABELS
    }
    for frame, truth in frames:
        found = decode(net.infer(frame), settings).detections
        for class_id, name in enumerate(PEOPLENET_LABELS):
            mine, real = found.class_id == class_id, truth.class_id == class_id
            rows[name].append((found.xyxy[mine], found.confidence[mine], truth.xyxy[real]))
    return {name: round(precision_recall(of_class).average_precision, 4) for name, of_class in rows.items()}
