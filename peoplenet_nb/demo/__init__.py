"""The offline default: a rendered street with ground truth, and a stand-in network that was trained on it.

One decision to know: nothing here pretends to be PeopleNet. The network has PeopleNet's names, shapes and
meaning so that everything around it can be tried without NVIDIA's file, and it knows only rendered streets.
"""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.demo.clip import DEMO_SEED, demo_clip, demo_scene, demo_truth
from peoplenet_nb.demo.scene import Scene, render_scene
from peoplenet_nb.demo.standin import HELD_OUT_SEEDS
from peoplenet_nb.demo.truth import LABELS, Truth
from peoplenet_nb.paths import STANDIN

STANDIN_RECORD = Path(__file__).with_name("standin.json")

__all__ = [
    "DEMO_SEED",
    "HELD_OUT_SEEDS",
    "LABELS",
    "STANDIN",
    "STANDIN_RECORD",
    "Scene",
    "Truth",
    "demo_clip",
    "demo_scene",
    "demo_truth",
    "render_scene",
]
