"""scikit-learn's DBSCAN as a worker, three ways; a table of 1 - IoU per class goes in each time.

``weighted``: the table as distances, coverages as weights: TAO deploy's way, and what NVIDIA's Triton client
means. ``client``: what that client does in fact: it names no metric, so the rows of the table are taken for
points, Euclidean. ``counted``: neighbours counted, strictly nearer than eps, border points left out: DeepStream's
rules, as near as scikit-learn comes to them.

The client's ``min_samples`` of 0.05 is refused by today's scikit-learn (it wants whole numbers), so 1 stands there.
"""

from __future__ import annotations

import numpy as np
from protocol import Answer, Jobs, Task, about, per_call, serve


def distances(boxes: np.ndarray) -> np.ndarray:
    """Return the table of 1 - IoU of ``(N, 4)`` xyxy boxes, ``(N, N)``."""
    left, top, right, bottom = boxes.T
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    inter = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    area = (right - left) * (bottom - top)
    return np.maximum(1.0 - inter / (area[:, None] + area - inter), 0.0)


def build(task: Task) -> tuple[Answer, Jobs]:
    from sklearn.cluster import DBSCAN

    heaps = np.load(task["candidates"])
    eps, least = task["eps"], task["least"]
    below = float(np.nextafter(eps, 0.0))

    def clusterer(way: str) -> DBSCAN:
        if way == "client":
            return DBSCAN(eps=eps, min_samples=1)
        if way == "counted":
            return DBSCAN(eps=below, min_samples=least["deepstream"], metric="precomputed")
        return DBSCAN(eps=eps, min_samples=least["tao"], metric="precomputed")

    def dbscan(count: int, way: str) -> Answer:
        boxes, scores, classes = (heaps[f"{what}{count}"] for what in ("boxes", "scores", "classes"))

        def call() -> np.ndarray:
            found = np.full(len(boxes), -1)
            for class_id in np.unique(classes):
                own = np.flatnonzero(classes == class_id)
                made = clusterer(way)
                made.fit(distances(boxes[own]), sample_weight=None if way == "counted" else scores[own])
                labels = made.labels_
                if way == "counted":
                    core = np.zeros(len(own), bool)
                    core[made.core_sample_indices_] = True
                    labels = np.where(core, labels, -1)
                found[own] = np.where(labels >= 0, labels + found.max() + 1, -1)
            return found

        return {"seconds": per_call(call), "clusters": call().tolist()}

    return about("scikit-learn", "numpy"), {"dbscan": dbscan}


serve(build)
