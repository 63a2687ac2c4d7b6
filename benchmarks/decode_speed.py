"""Decode with clustering, every fate recorded: microseconds, and ratios to what users would pick instead.

    PEOPLENET_SHARED=... python benchmarks/decode_speed.py [--repeats 200]

Medians of interleaved runs in one process. Typical frames and all 6120 cells come from the real film where
``PEOPLENET_SHARED`` names it, else from the demo clip on the stand-in. The candidates of the second table are
cells around objects, as a network leaves them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from peoplenet_nb.cluster import dbscan, iou_matrix, nms
from peoplenet_nb.decode import decode
from peoplenet_nb.grids import Grids
from peoplenet_nb.model import PeopleNet
from peoplenet_nb.presets import preset
from peoplenet_nb.settings import ClassSettings, Flavour
from peoplenet_nb.sources import open_source


def medians(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the median microseconds of each job; the jobs take turns."""
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - began)
    return {name: 1e6 * float(np.median(times)) for name, times in taken.items()}


def some_grids() -> list[Grids]:
    shared = os.environ.get("PEOPLENET_SHARED")
    if shared:
        (weights,) = (Path(shared) / "models").glob("*/*.onnx")
        model, film = PeopleNet.load(weights, device="cpu"), str(Path(shared) / "data" / "vtest.avi")
    else:
        from peoplenet_nb.demo import demo_clip

        model, film = PeopleNet.load("standin", device="cpu"), str(demo_clip())
    print(f"grids: {model.file.path.name} on {Path(film).name}, every 40th frame")
    return [model.infer(frame.image) for frame in open_source(film, every=40, frames=20)]


def heap(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes, scores and classes of ``count`` candidates: heaps of 12 around objects."""
    rng = np.random.default_rng(seed)
    objects = max(1, count // 12)
    centre = rng.uniform((40, 60), (920, 480), (objects, 2))[np.arange(count) % objects]
    size = rng.uniform((24, 60), (60, 160), (objects, 2))[np.arange(count) % objects]
    corner = centre - size / 2 + rng.normal(0, 3, (count, 2))
    classes = np.sort(rng.integers(0, 3, objects)[np.arange(count) % objects])
    return np.concatenate([corner, corner + size], axis=1), rng.uniform(0.2, 1, count), classes


def supervision_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> object:
    import supervision as sv

    return sv.box_non_max_suppression(np.column_stack([boxes, scores, classes]), iou_threshold=0.5)


def opencv_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> object:
    shifted = np.column_stack([boxes[:, :2] + 4096 * classes[:, None], boxes[:, 2:] - boxes[:, :2]])
    return cv2.dnn.NMSBoxes(shifted.tolist(), scores.tolist(), 0.0, 0.5)


def sklearn_dbscan(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> list[np.ndarray]:
    from sklearn.cluster import DBSCAN

    found = []
    for class_id in np.unique(classes):
        own = classes == class_id
        distance = np.clip(1.0 - iou_matrix(boxes[own], boxes[own]), 0.0, None)
        clusterer = DBSCAN(eps=0.3, min_samples=1, metric="precomputed")
        found.append(clusterer.fit_predict(distance, sample_weight=scores[own]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    grids = some_grids()
    zero = preset("default").replace(default=ClassSettings(threshold=0.0), classes={})
    print("\nwhole decode, median over frames")
    cases = {name: preset(name) for name in ("default", "deepstream", "tao")} | {"all 6120 cells": zero}
    for name, settings in cases.items():
        few = max(5, repeats // 10)
        times = [medians({"": lambda g=g, s=settings: decode(g, s)}, few)[""] for g in grids]
        print(
            f"{name:>16}: {np.median(times):8.0f} us   ({len(decode(grids[0], settings).candidates)} candidates)"
        )
    print("\nclustering alone, us (and times ours)")
    for count in (50, 500, 2040):
        boxes, scores, classes = heap(count)
        jobs: dict[str, Callable[[], object]] = {
            "ours: NMS": lambda b=boxes, s=scores, c=classes: nms(b, s, 0.5, c),
            "OpenCV NMSBoxes": lambda b=boxes, s=scores, c=classes: opencv_nms(b, s, c),
            "supervision NMS": lambda b=boxes, s=scores, c=classes: supervision_nms(b, s, c),
            "ours: DBSCAN TAO": lambda b=boxes, s=scores, c=classes: dbscan(b, s, 0.3, 1, Flavour.TAO, c),
            "ours: DBSCAN DeepStream": lambda b=boxes, s=scores, c=classes: dbscan(
                b, s, 0.3, 3, Flavour.DEEPSTREAM, c
            ),
            "scikit-learn DBSCAN": lambda b=boxes, s=scores, c=classes: sklearn_dbscan(b, s, c),
        }
        times_ = medians(jobs, max(5, repeats // (1 + count // 100)))
        print(f"{count} candidates")
        for name, taken in times_.items():
            ours = times_["ours: DBSCAN TAO" if "DBSCAN" in name else "ours: NMS"]
            print(f"{name:>26}: {taken:9.0f} us  {taken / ours:7.1f}")


if __name__ == "__main__":
    main()
