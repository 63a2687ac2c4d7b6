"""Decode with clustering, every fate recorded: microseconds, and ratios to what users would pick instead.

    PEOPLENET_SHARED=... python benchmarks/decode_speed.py [--repeats 100] [--write]

Interleaved runs in one process: the least time is what the code costs, the median what this machine gave. Grids
come from the real video where ``PEOPLENET_SHARED`` names it, else from the demo clip on the stand-in; for a given
number of candidates all but the best cells of such a frame are silenced. ``--write`` puts the tables into RESULTS.md.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from results_file import show_section, table

from peoplenet_nb.decoding import cluster_candidates, dbscan, decode, find_candidates, iou_matrix, nms
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import ClassSettings, Flavour, preset
from peoplenet_nb.sources import open_source

COUNTS = (50, 500, 2040)
_FAINT = 1e-6  # coverage of a cell that is to be a candidate although the network saw nothing there

Jobs = dict[str, Callable[[], object]]


def spread(jobs: Jobs, repeats: int) -> dict[str, tuple[float, float]]:
    """Return the least and the median microseconds of each job; the jobs take turns."""
    # glibc keeps what is freed from now on, up to twice the size of this: no job pays for another's fresh pages.
    np.empty(31 << 20, np.uint8)
    for job in jobs.values():
        job()
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - began)
    return {name: (1e6 * min(times), 1e6 * float(np.median(times))) for name, times in taken.items()}


def medians(jobs: Jobs, repeats: int) -> dict[str, float]:
    """Return the median microseconds of each job; the jobs take turns."""
    return {name: median for name, (_, median) in spread(jobs, repeats).items()}


def some_grids() -> list[Grids]:
    shared = os.environ.get("PEOPLENET_SHARED")
    if shared:
        (weights,) = (Path(shared) / "models").glob("*/*.onnx")
        model, video = PeopleNet.load(weights, device="cpu"), str(Path(shared) / "data" / "vtest.avi")
    else:
        from peoplenet_nb.demo import demo_clip

        model, video = PeopleNet.load("standin", device="cpu"), str(demo_clip())
    return [model.infer(frame.image) for frame in open_source(video, every=40, frames=20)]


def with_candidates(grids: Grids, count: int) -> Grids:
    """Return the grids with all but the ``count`` best cells silenced."""
    best = np.argsort(-grids.coverage.ravel(), kind="stable")[:count]
    coverage = np.zeros(grids.coverage.size, np.float32)
    coverage[best] = np.maximum(grids.coverage.ravel()[best], np.float32(2 * _FAINT))
    return Grids(coverage.reshape(grids.coverage.shape), grids.boxes, grids.fit, grids.labels)


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


def sklearn_dbscan(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, least_count: int | None = None
) -> list[np.ndarray]:
    """NVIDIA's client's way: a table of all distances, coverage as weights (or boxes counted) for scikit-learn."""
    from sklearn.cluster import DBSCAN

    found = []
    for class_id in np.unique(classes):
        own = classes == class_id
        distance = np.clip(1.0 - iou_matrix(boxes[own], boxes[own]), 0.0, None)
        clusterer = DBSCAN(eps=0.3, min_samples=least_count or 1, metric="precomputed")
        weights = None if least_count else scores[own]
        found.append(clusterer.fit_predict(distance, sample_weight=weights))
    return found


def typical(grids: list[Grids], repeats: int) -> list[str]:
    zero = preset("default").replace(default=ClassSettings(threshold=0.0), classes={})
    cases = {name: preset(name) for name in ("default", "deepstream", "tao")} | {"threshold 0": zero}
    rows = []
    for name, settings in cases.items():
        times = [spread({"": lambda g=g, s=settings: decode(g, s)}, repeats)[""] for g in grids]
        counts = [len(find_candidates(g, settings)) for g in grids]
        least, median = np.median(times, axis=0)
        rows.append((name, int(np.median(counts)), f"{least:.0f}", f"{median:.0f}"))
    columns = ("settings", "candidates", "least, us", "median, us")
    return [f"A frame's decode, middle one of {len(grids)} frames.", "", *table(columns, rows)]


def whole(grids: Grids, repeats: int) -> list[str]:
    settings = preset("default").replace(default=ClassSettings(threshold=_FAINT), classes={})
    rows = []
    for count in COUNTS:
        frame = with_candidates(grids, count)
        found = find_candidates(frame, settings)
        if len(found) != count:
            raise RuntimeError(f"{len(found)} candidates instead of {count}")
        boxes, scores = found.network_xyxy, found.coverage.astype(np.float64)
        has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, scores, classes = boxes[has_area], scores[has_area], found.class_id[has_area]
        jobs: Jobs = {
            "decode and NMS": lambda f=frame: decode(f, settings),
            "find_candidates": lambda f=frame: find_candidates(f, settings),
            "cluster_candidates": lambda f=frame, c=found: cluster_candidates(c, f, settings),
            "nms alone": lambda b=boxes, s=scores, c=classes: nms(b, s, settings.nms_iou, c),
        }
        times = spread(jobs, repeats)
        # Not in turn with ours: it leaves nothing of ours in the caches.
        slow: Jobs = {"scikit-learn's DBSCAN": lambda b=boxes, s=scores, c=classes: sklearn_dbscan(b, s, c)}
        times |= spread(slow, fewer(repeats, count))
        rows += rows_of(count, times, lambda name: "decode and NMS")
    return [
        "Grids of one frame with exactly so many candidates.",
        "",
        *table(("candidates", "what", "least, us", "median, us", "times ours"), rows),
    ]


def alone(repeats: int) -> list[str]:
    rows = []
    for count in COUNTS:
        boxes, scores, classes = heap(count)
        jobs: Jobs = {
            "ours: NMS": lambda b=boxes, s=scores, c=classes: nms(b, s, 0.5, c),
            "OpenCV NMSBoxes": lambda b=boxes, s=scores, c=classes: opencv_nms(b, s, c),
            "supervision NMS": lambda b=boxes, s=scores, c=classes: supervision_nms(b, s, c),
            "ours: DBSCAN TAO": lambda b=boxes, s=scores, c=classes: dbscan(b, s, 0.3, 1, Flavour.TAO, c),
            "scikit-learn DBSCAN": lambda b=boxes, s=scores, c=classes: sklearn_dbscan(b, s, c),
            "ours: DBSCAN DeepStream": lambda b=boxes, s=scores, c=classes: dbscan(
                b, s, 0.3, 3, Flavour.DEEPSTREAM, c
            ),
            "scikit-learn DBSCAN, counting": lambda b=boxes, s=scores, c=classes: sklearn_dbscan(b, s, c, 3),
        }
        own = {"OpenCV NMSBoxes": "ours: NMS", "supervision NMS": "ours: NMS"}
        own |= {
            "scikit-learn DBSCAN": "ours: DBSCAN TAO",
            "scikit-learn DBSCAN, counting": "ours: DBSCAN DeepStream",
        }
        times = spread(jobs, fewer(repeats, count))
        rows += rows_of(count, times, lambda name, own=own: own.get(name, name))
    return [
        "Clustering alone, on heaps of 12 boxes as a network leaves them around objects.",
        "",
        *table(("candidates", "what", "least, us", "median, us", "times ours"), rows),
    ]


def rows_of(
    count: int, times: dict[str, tuple[float, float]], own: Callable[[str], str]
) -> list[tuple[object, ...]]:
    return [
        (count, name, f"{least:.0f}", f"{median:.0f}", f"{median / times[own(name)][1]:.2f}")
        for name, (least, median) in times.items()
    ]


def fewer(repeats: int, count: int) -> int:
    return max(5, repeats // (1 + count // 100))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    options = parser.parse_args()
    grids = some_grids()
    lines = [
        *typical(grids, max(5, options.repeats // 10)),
        "",
        *whole(grids[len(grids) // 2], options.repeats),
        "",
        *alone(options.repeats),
    ]
    show_section("Decode, NMS and DBSCAN", lines, write=options.write)


if __name__ == "__main__":
    main()
