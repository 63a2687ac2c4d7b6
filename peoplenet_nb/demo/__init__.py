"""The offline default: a rendered street with ground truth, and a stand-in network that was trained on such streets.

Nothing here pretends to be PeopleNet. The network has PeopleNet's tensor names, shapes and meaning, so that
everything around it can be tried without NVIDIA's file, and it knows only rendered streets. The clip, its ground
truth and the network are data files; what renders and trains them is `tools/standin/` of the repository.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from peoplenet_nb.demo.truth import Truth, load_truth
from peoplenet_nb.labels import Labels
from peoplenet_nb.paths import DEMO_CLIP, STANDIN
from peoplenet_nb.settings import PEOPLENET_LABELS

__all__ = ["STANDIN", "STANDIN_RECORD", "Truth", "demo_clip", "demo_labels", "demo_truth"]

STANDIN_RECORD = STANDIN.with_suffix(".json")
_FRAMES = 300


def demo_clip() -> Path:
    """Return the path of the demo clip: H.264, 1280x720, 25 frames per second, 12 seconds."""
    return DEMO_CLIP


def demo_truth() -> list[Truth]:
    """Return the ground truth of the demo clip, one `Truth` per frame, in the frames' order."""
    return load_truth(DEMO_CLIP.with_suffix(".csv"), _FRAMES)


def demo_labels(every: int = 1) -> Labels:
    """Return the ground truth of every Nth frame of the demo clip, as `peoplenet_nb.evaluate` takes it."""
    frames = demo_truth()[::every]
    xyxy = np.concatenate([truth.xyxy for truth in frames]).astype(np.float64)
    return Labels(
        PEOPLENET_LABELS,
        tuple(truth.frame for truth in frames),
        np.arange(len(frames)).repeat([len(truth) for truth in frames]),
        np.concatenate([truth.class_id for truth in frames]),
        xyxy,
        np.zeros(len(xyxy), bool),
        (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1),
        PEOPLENET_LABELS,
        "the demo clip's truth",
    )
