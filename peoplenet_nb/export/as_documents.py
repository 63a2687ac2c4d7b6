"""Detections in one document: COCO (dataset and results), CVAT 1.1, Label Studio's predictions, FiftyOne's dataset."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from peoplenet_nb.export.as_files import Files, rows_of
from peoplenet_nb.export.frames import FoundFrames, FrameBoxes


def _corner_and_size(box: Sequence[float], digits: int = 2) -> list[float]:
    x1, y1, x2, y2 = box
    return [round(value, digits) for value in (x1, y1, x2 - x1, y2 - y1)]


def coco_files(found: FoundFrames) -> Files:
    """COCO's dataset and its results; an image's id is its frame's number, so that the two go together."""
    category = {label: index for index, label in enumerate(found.labels, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for frame in found.walk():
        width, height = frame.size
        images.append({"id": frame.number, "file_name": frame.name, "width": width, "height": height})
        for label, confidence, box in rows_of(frame):
            x, y, w, h = _corner_and_size(box)
            annotations.append(
                {
                    "id": len(annotations) + 1,  # 0 is no match for COCO's own program
                    "image_id": frame.number,
                    "category_id": category[label],
                    "bbox": [x, y, w, h],
                    "area": round(w * h, 2),
                    "iscrowd": 0,
                    "segmentation": [],
                    "score": round(confidence, 4),
                }
            )
    categories = [{"id": number, "name": label, "supercategory": ""} for label, number in category.items()]
    dataset = {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    results = [{k: a[k] for k in ("image_id", "category_id", "bbox", "score")} for a in annotations]
    yield "annotations/instances_default.json", json.dumps(dataset, ensure_ascii=False)
    yield "results/detections.json", json.dumps(results)


def cvat_files(found: FoundFrames) -> Files:
    """CVAT for images 1.1, which its video tasks take too: their frames are named ``frame_000012``."""
    names = "".join(f"<label><name>{escape(label)}</name></label>" for label in found.labels)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta><task><labels>{names}</labels></task></meta>\n"
    ]
    for place, frame in enumerate(found.walk()):
        number = frame.number if found.video else place
        name = f"frame_{frame.number:06d}" if found.video else frame.name
        width, height = frame.size
        parts.append(f'  <image id="{number}" name={quoteattr(name)} width="{width}" height="{height}">\n')
        for label, _, (x1, y1, x2, y2) in rows_of(frame):
            parts.append(
                f'    <box label={quoteattr(label)} occluded="0" source="auto" xtl="{x1:.2f}" ytl="{y1:.2f}" '
                f'xbr="{x2:.2f}" ybr="{y2:.2f}" z_order="0"></box>\n'
            )
        parts.append("  </image>\n")
    yield "annotations.xml", "".join([*parts, "</annotations>\n"])


def label_studio_files(found: FoundFrames) -> Files:
    """Label Studio's tasks with predictions, whose boxes are percent, and the labelling that shows them."""
    tasks = [
        {
            "data": {"image": f"/data/local-files/?d=images/{frame.name}"},
            "predictions": [
                {
                    "model_version": "peoplenet",
                    "score": round(float(frame.detections.confidence.mean()), 4)
                    if len(frame.detections)
                    else 0.0,
                    "result": [_result(frame, i, *row) for i, row in enumerate(rows_of(frame))],
                }
            ],
        }
        for frame in found.walk()
    ]
    yield "tasks.json", json.dumps(tasks, ensure_ascii=False)
    labels = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in found.labels)
    yield (
        "labelling.xml",
        '<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n'
        f"{labels}  </RectangleLabels>\n</View>\n",
    )


def _result(frame: FrameBoxes, index: int, label: str, confidence: float, box: list[float]) -> dict[str, Any]:
    (width, height), (x1, y1, x2, y2) = frame.size, box
    return {
        "id": f"{frame.number}-{index}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": round(confidence, 4),
        "value": {
            "x": round(100 * x1 / width, 5),
            "y": round(100 * y1 / height, 5),
            "width": round(100 * (x2 - x1) / width, 5),
            "height": round(100 * (y2 - y1) / height, 5),
            "rotation": 0,
            "rectanglelabels": [label],
        },
    }


def fiftyone_files(found: FoundFrames) -> Files:
    """FiftyOne's own dataset of detections; boxes are shares of the picture, keys are names without ending."""
    labels = {
        frame.stem: [
            {
                "label": label,
                "bounding_box": [
                    round(value / of, 6)
                    for value, of in zip(_corner_and_size(box, 6), (*frame.size, *frame.size), strict=True)
                ],
                "confidence": round(confidence, 4),
            }
            for label, confidence, box in rows_of(frame)
        ]
        for frame in found.walk()
    }
    yield "labels.json", json.dumps({"classes": list(found.labels), "labels": labels}, ensure_ascii=False)
