"""How good the stand-in network is, measured on scenes it was not trained on.

One decision to know: held-out frames go the way of every frame (preprocess, decode, NMS, evaluate), so the
figure in the training record is the one that the tests and the notebooks see.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy.typing as npt

from peoplenet_nb.demo.scene import Scene
from peoplenet_nb.demo.truth import LABELS

HELD_OUT_SEEDS = tuple(range(9001, 9013))
"""Scenes that training never sees."""

_LEAST_COVERAGE = 0.02  # below this, candidates no longer change the average precision
_SECONDS_APART = 2.5


def held_out_precision(
    model: str | Path, seeds: Sequence[int] = HELD_OUT_SEEDS, frames: int = 5
) -> dict[str, float]:
    """Return the average precision per class (101 points, IoU 0.5, NMS 0.5) on rendered scenes.

    Parameters
    ----------
    model : str or Path
        An ONNX file with PeopleNet's interface.
    seeds : sequence of int
        Scenes to render at 1280x720.
    frames : int
        Frames per scene, 2.5 seconds apart.

    Returns
    -------
    dict
        By class name, rounded to four digits.
    """
    # Imported here: the model's own module imports this package to find the stand-in.
    from peoplenet_nb.decode import decode
    from peoplenet_nb.evaluate import precision_recall
    from peoplenet_nb.model import PeopleNet
    from peoplenet_nb.settings import ClassSettings, Settings

    net = PeopleNet.load(model, device="cpu")
    settings = Settings(nms_iou=0.5, default=ClassSettings(threshold=_LEAST_COVERAGE))
    rows: dict[str, list[tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]]] = {n: [] for n in LABELS}
    for seed in seeds:
        scene = Scene(seed)
        for index in range(frames):
            frame, truth = scene.render(index, 1.0 / _SECONDS_APART)
            found = decode(net.infer(frame), settings).detections
            for class_id, name in enumerate(LABELS):
                mine = found.class_id == class_id
                rows[name].append(
                    (found.xyxy[mine], found.confidence[mine], truth.xyxy[truth.class_id == class_id])
                )
    return {name: round(precision_recall(frames_).average_precision, 4) for name, frames_ in rows.items()}
