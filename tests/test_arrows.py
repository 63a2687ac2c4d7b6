"""Arrows point one way: what a module may pull in when it is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

TOP = {"cli", "notebook", "tuner", "plots", "bench", "optimise", "demo", "video", "report", "environment"}


@pytest.mark.parametrize(
    ("module", "must_not"),
    [
        ("settings", TOP | {"grids", "decode", "cluster", "detections", "model", "evaluate"}),
        ("grids", TOP | {"decode", "cluster", "detections", "model", "evaluate"}),
        ("cluster", TOP | {"grids", "decode", "detections", "model", "evaluate"}),
        ("decode", TOP | {"model", "evaluate", "sources", "ngc"}),
        ("detections", TOP | {"grids", "decode", "model"}),
        ("preprocess", TOP | {"grids", "decode", "model"}),
        ("model", TOP | {"decode", "cluster", "evaluate", "sources", "film"}),
        ("sources", TOP | {"model", "decode", "grids"}),
        ("evaluate", TOP | {"model", "decode"}),
        ("report", (TOP - {"report"}) | {"sources", "film"}),
        ("video", {"cli", "notebook", "tuner", "plots", "bench", "optimise", "report"}),
        (
            "choice",
            TOP | {"model", "decode", "cluster", "evaluate", "sources", "batching", "backends"},
        ),
        ("precision", TOP | {"model", "decode", "backends", "sources"}),
        ("backends", TOP | {"model", "decode", "sources", "batching"}),
        ("batching", TOP | {"decode", "sources"}),
        ("overlap", TOP | {"grids", "decode", "cluster", "model"}),
        ("cells", TOP | {"decode", "cluster", "model"}),
        ("plots", {"cli", "notebook", "tuner", "bench"}),
    ],
)
def test_nothing_below_imports_anything_above(module: str, must_not: set[str]) -> None:
    code = (
        f"import sys, peoplenet_nb.{module}\n"
        "print(*{name.split('.')[1] for name in sys.modules if name.startswith('peoplenet_nb.')})"
    )
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not loaded & must_not
