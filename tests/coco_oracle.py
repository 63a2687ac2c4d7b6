"""COCO's own program (`pycocotools`) as an oracle for the figures of an evaluation."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from peoplenet_nb.labels import EVERY_CLASS, Labels
from peoplenet_nb.metrics.found import Found

# What `COCOeval.stats` holds where the most boxes are (1, 10, all).
AREAS = {"small": 1, "medium": 2, "large": 3}


def evaluate(found: Found, labels: Labels, class_id: int) -> dict[str, float]:
    """Average precisions of one class: over all sizes at 0.5:0.95, 0.5 and 0.75, and of each size at 0.5:0.95."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images = [{"id": i + 1, "width": 10_000, "height": 10_000} for i in range(len(labels.frames))]
    truths = [
        {
            "id": number + 1,
            "image_id": int(labels.frame[i]) + 1,
            "category_id": 1,
            "bbox": _xywh(labels.xyxy[i]),
            "area": float(labels.area[i]),
            "iscrowd": int(labels.ignore[i]),
        }
        for number, i in enumerate(np.flatnonzero(np.isin(labels.class_id, (class_id, EVERY_CLASS))))
    ]
    boxes = [
        {
            "image_id": int(found.frame[i]) + 1,
            "category_id": 1,
            "bbox": _xywh(found.xyxy[i]),
            "score": float(found.confidence[i]),
        }
        for i in np.flatnonzero(found.class_id == class_id)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {"images": images, "annotations": truths, "categories": [{"id": 1, "name": "it"}]}
        coco.createIndex()
        results = coco.loadRes(boxes) if boxes else COCO()
        if not boxes:
            results.dataset = {**coco.dataset, "annotations": []}
            results.createIndex()
        run = COCOeval(coco, results, "bbox")
        run.params.maxDets = [1, 10, max(100, len(boxes))]
        run.evaluate()
        run.accumulate()
    precision = run.eval["precision"][:, :, 0, :, -1]  # (IoU, recall, area)
    made = {"ap": precision[:, :, 0], "ap50": precision[0, :, 0], "ap75": precision[5, :, 0]}
    made |= {name: precision[:, :, area] for name, area in AREAS.items()}
    return {name: float("nan") if (p == -1).all() else float(p.mean()) for name, p in made.items()}


def _xywh(xyxy: np.ndarray) -> list[float]:
    return [float(v) for v in (*xyxy[:2], *(xyxy[2:] - xyxy[:2]))]
