"""The offline default: a rendered street with ground truth, and a stand-in network that was trained on such streets.

Nothing here pretends to be PeopleNet. The network has PeopleNet's tensor names, shapes and meaning, so that
everything around it can be tried without NVIDIA's file, and it knows only rendered streets. The clip, its ground
truth and the network are data files; what renders and trains them is `tools/standin/` of the repository.
"""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.demo.truth import Truth, load_truth
from peoplenet_nb.paths import DEMO_CLIP, STANDIN

__all__ = ["STANDIN", "STANDIN_RECORD", "Truth", "demo_clip", "demo_truth"]

STANDIN_RECORD = STANDIN.with_suffix(".json")
_FRAMES = 300


def demo_clip() -> Path:
    """Return the path of the demo clip: H.264, 1280x720, 25 frames per second, 12 seconds."""
    return DEMO_CLIP


def demo_truth() -> list[Truth]:
    """Return the ground truth of the demo clip, one `Truth` per frame, in the frames' order."""
    return load_truth(DEMO_CLIP.with_suffix(".csv"), _FRAMES)
