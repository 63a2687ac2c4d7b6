"""Straightforward implementations to hold the fast ones against: loops, no cleverness, written from the facts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peoplenet_nb.detections import Detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import ClassSettings, Settings


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> tuple[list[int], dict[int, int]]:
    """Return the kept indices, best first, and who suppressed whom."""
    order = sorted(range(len(boxes)), key=lambda i: (-scores[i], i))
    kept: list[int] = []
    suppressed: dict[int, int] = {}
    for i in order:
        for k in kept:
            if iou(boxes[k], boxes[i]) > threshold:
                suppressed[i] = k
                break
        else:
            kept.append(i)
    return kept, suppressed


def dbscan(
    boxes: np.ndarray, weights: np.ndarray, eps: float, min_samples: float, *, deepstream: bool
) -> list[int]:
    count = len(boxes)

    def near(i: int, j: int) -> bool:
        if i == j:
            return True
        distance = 1.0 - iou(boxes[i], boxes[j])
        return distance < eps if deepstream else distance <= eps

    neighbours = [[j for j in range(count) if near(i, j)] for i in range(count)]
    mass = [len(n) if deepstream else sum(weights[j] for j in n) for n in neighbours]
    core = [m >= min_samples for m in mass]
    cluster = [-1] * count
    number = 0
    for seed in range(count):
        if not core[seed] or cluster[seed] >= 0:
            continue
        stack = [seed]
        while stack:
            i = stack.pop()
            if cluster[i] >= 0:
                continue
            cluster[i] = number
            if core[i]:
                stack += [j for j in neighbours[i] if cluster[j] < 0 and (core[j] or not deepstream)]
        number += 1
    return cluster


def decode_nms(
    grids: Grids, thresholds: Sequence[float], iou_threshold: float
) -> list[tuple[int, int, int, float, list[float]]]:
    """Decode a frame cell by cell: ``(class, row, col, coverage, xyxy in frame pixels)``, best first per class."""
    found = []
    width, height = grids.fit.content_size
    frame_width, frame_height = grids.fit.frame_size
    for c in range(grids.coverage.shape[0]):
        cells, boxes, scores = [], [], []
        for j in range(grids.coverage.shape[1]):
            for i in range(grids.coverage.shape[2]):
                coverage = float(grids.coverage[c, j, i])
                if coverage < thresholds[c]:
                    continue
                left, top, right, bottom = (float(v) for v in grids.boxes[4 * c : 4 * c + 4, j, i])
                x1 = min(max(16 * i + 0.5 - 35 * left, 0), width)
                y1 = min(max(16 * j + 0.5 - 35 * top, 0), height)
                x2 = min(max(16 * i + 0.5 + 35 * right, 0), width)
                y2 = min(max(16 * j + 0.5 + 35 * bottom, 0), height)
                if x2 > x1 and y2 > y1:
                    cells.append((j, i))
                    boxes.append([x1, y1, x2, y2])
                    scores.append(coverage)
        kept, _ = nms(np.array(boxes), np.array(scores), iou_threshold)
        sx, sy = frame_width / width, frame_height / height
        for k in kept:
            x1, y1, x2, y2 = boxes[k]
            found.append((c, *cells[k], scores[k], [x1 * sx, y1 * sy, x2 * sx, y2 * sy]))
    return found


def _clustered(
    boxes: np.ndarray,
    scores: np.ndarray,
    settings: Settings,
    own: ClassSettings,
    iou_limit: float,
    eps: float,
    samples: float,
) -> list[tuple[float, list[float]]]:
    """Return score and box of what a class's clustering leaves."""
    kept = list(range(len(boxes)))
    if settings.clustering != "nms":
        cluster = dbscan(boxes, scores, eps, samples, deepstream=settings.flavour == "deepstream")
        members = [[k for k in kept if cluster[k] == n] for n in range(max(cluster, default=-1) + 1)]
        kept = [k for group in members for k in group]
    if settings.clustering != "dbscan":
        best, _ = nms(np.array([boxes[k] for k in kept]), np.array([scores[k] for k in kept]), iou_limit)
        return [(scores[kept[k]], boxes[kept[k]]) for k in best]
    merged = []
    for group in members:
        total = sum(scores[k] for k in group)
        mean = [sum(boxes[k][n] * scores[k] for k in group) / total for n in range(4)]
        side = ((mean[2] - mean[0]) * (mean[3] - mean[1])) ** 0.5
        if total >= own.min_sum and (settings.flavour == "tao" or side / (len(group) + 1) <= 60):
            merged.append((total if settings.score == "sum" else max(scores[k] for k in group), mean))
    return merged


def decode_all(grids: Grids, settings: Settings) -> list[tuple[int, float, list[float]]]:
    """Decode a frame with everything settings can say: ``(class, confidence, xyxy in frame pixels)``."""
    found = []
    width, height = grids.fit.content_size
    frame_width, frame_height = grids.fit.frame_size
    for c, label in enumerate(grids.labels):
        own = settings.for_class(label)
        iou_limit, eps, samples, most = (
            getattr(settings, name) if getattr(own, name) is None else getattr(own, name)
            for name in ("nms_iou", "eps", "min_samples", "top_k")
        )
        boxes, scores = [], []
        for i in range(grids.coverage.shape[2]):  # column by column, as NVIDIA's programs walk
            for j in range(grids.coverage.shape[1]):
                coverage = float(grids.coverage[c, j, i])
                if coverage < own.threshold:
                    continue
                left, top, right, bottom = (float(v) for v in grids.boxes[4 * c : 4 * c + 4, j, i])
                x1, x2 = (
                    min(max(x, 0), width) for x in (16 * i + 0.5 - 35 * left, 16 * i + 0.5 + 35 * right)
                )
                y1, y2 = (
                    min(max(y, 0), height) for y in (16 * j + 0.5 - 35 * top, 16 * j + 0.5 + 35 * bottom)
                )
                if x2 > x1 and y2 > y1:
                    boxes.append([x1, y1, x2, y2])
                    scores.append(coverage)
        merged = _clustered(np.array(boxes), np.array(scores), settings, own, iou_limit, eps, samples)
        passed = []
        sx, sy = frame_width / width, frame_height / height
        for score, box in sorted(merged, key=lambda item: -item[0]):
            x1, y1, x2, y2 = box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy
            if x2 - x1 < own.min_width or y2 - y1 < own.min_height or score < own.min_confidence:
                continue
            if (own.max_width and x2 - x1 > own.max_width) or (own.max_height and y2 - y1 > own.max_height):
                continue
            if y1 >= own.roi_top and y2 <= frame_height - own.roi_bottom:
                passed.append((c, score, [x1, y1, x2, y2]))
        found += passed[:most]
    return found


def average_precision(frames: list, least_iou: float) -> float:
    """COCO's 101 points, one loop a step; frames of (boxes, confidence, truth, ignore)."""
    flat = sorted(
        ((c, f, i) for f, (_, conf, _, _) in enumerate(frames) for i, c in enumerate(conf)),
        key=lambda e: -e[0],
    )
    used: set[tuple[int, int]] = set()
    hits: list[bool] = []
    for _, f, i in flat:
        boxes, _, truth, ignore = frames[f]
        options = [(iou(boxes[i], t), k) for k, t in enumerate(truth) if not ignore[k] and (f, k) not in used]
        best = max(options, key=lambda o: (o[0], -o[1]), default=(0.0, -1))
        if best[0] >= least_iou:
            used.add((f, best[1]))
            hits.append(True)
            continue
        x1, y1, x2, y2 = boxes[i]
        inside = [
            max(0, min(x2, t[2]) - max(x1, t[0])) * max(0, min(y2, t[3]) - max(y1, t[1]))
            for t in truth[ignore]
        ]
        if not inside or max(inside) / ((x2 - x1) * (y2 - y1)) < least_iou:
            hits.append(False)
    total = sum(int((~ignore).sum()) for *_, ignore in frames)
    points = [(sum(hits[: n + 1]) / total, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    return (
        sum(max((p for r, p in points if r >= level), default=0.0) for level in np.linspace(0, 1, 101)) / 101
    )


def differences(a: Detections, b: Detections) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """Return which boxes only one of two has, and which are in both and moved: the pairs that overlap most first."""
    pairs = [
        (-iou(one.tolist(), other.tolist()), i, j)
        for i, one in enumerate(a.xyxy)
        for j, other in enumerate(b.xyxy)
        if a.class_id[i] == b.class_id[j]
    ]
    left_a, left_b, moved = set(range(len(a))), set(range(len(b))), []
    for overlap, i, j in sorted(pairs):
        if overlap <= -0.5 and i in left_a and j in left_b:
            left_a.remove(i)
            left_b.remove(j)
            if overlap > -0.95:
                moved.append((i, j))
    return sorted(left_a), sorted(left_b), sorted(moved)


def counts_of(found: Sequence[Detections]) -> list[list[int]]:
    """Return how many boxes of each class there are in each frame."""
    return [list(one.counts().values()) for one in found]
