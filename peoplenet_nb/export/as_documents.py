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
    images, annotations, results = (list[dict[str, Any]]() for _ in range(3))
    for frame in found.frames:
        width, height = frame.size
        images.append({"id": frame.number, "file_name": frame.name, "width": width, "height": height})
        for label, confidence, box in rows_of(frame):
            x, y, w, h = _corner_and_size(box)
            box_of = {"image_id": frame.number, "category_id": category[label], "bbox": [x, y, w, h]}
            results.append(box_of | {"score": round(confidence, 4)})
            more = {"area": round(w * h, 2), "iscrowd": 0, "segmentation": []}
            annotations.append(
                {"id": len(results), **results[-1], **more}
            )  # 0 is no match for COCO's own program
    categories = [{"id": number, "name": label, "supercategory": ""} for label, number in category.items()]
    dataset = {"info": {}, "licenses": [], "images": images}
    dataset |= {"annotations": annotations, "categories": categories}
    yield "annotations/instances_default.json", json.dumps(dataset, ensure_ascii=False)
    yield "results/detections.json", json.dumps(results)


def cvat_files(found: FoundFrames) -> Files:
    """CVAT for images 1.1, which its video tasks take too: their frames are named ``frame_000012``."""
    names = "".join(f"<label><name>{escape(label)}</name></label>" for label in found.labels)
    parts = [
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n'
        f"  <meta><task><labels>{names}</labels></task></meta>\n"
    ]
    for place, frame in enumerate(found.frames):
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
    tasks = []
    for frame in found.frames:
        scores, result = (
            frame.detections.confidence,
            [_result(frame, i, *r) for i, r in enumerate(rows_of(frame))],
        )
        mean = round(float(scores.mean()), 4) if len(scores) else 0.0
        predictions = [{"model_version": "peoplenet", "score": mean, "result": result}]
        image = f"/data/local-files/?d=images/{frame.name}"
        tasks.append({"data": {"image": image}, "predictions": predictions})
    yield "tasks.json", json.dumps(tasks, ensure_ascii=False)
    labels = "".join(f"    <Label value={quoteattr(label)}/>\n" for label in found.labels)
    yield (
        "labelling.xml",
        '<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n'
        f"{labels}  </RectangleLabels>\n</View>\n",
    )


def _shares(frame: FrameBoxes, box: Sequence[float]) -> list[float]:
    """Return left, top, width and height of a box as shares of the picture's size."""
    corner_and_size = zip(_corner_and_size(box, 6), (*frame.size, *frame.size), strict=True)
    return [value / of for value, of in corner_and_size]


def _result(frame: FrameBoxes, index: int, label: str, confidence: float, box: list[float]) -> dict[str, Any]:
    percent = [round(100 * share, 5) for share in _shares(frame, box)]
    return {
        "id": f"{frame.number}-{index}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": frame.size[0],
        "original_height": frame.size[1],
        "image_rotation": 0,
        "score": round(confidence, 4),
        "value": dict(zip(("x", "y", "width", "height"), percent, strict=True))
        | {"rotation": 0, "rectanglelabels": [label]},
    }


def fiftyone_files(found: FoundFrames) -> Files:
    """FiftyOne's own dataset of detections; boxes are shares of the picture, keys are names without ending."""
    labels = {
        frame.stem: [
            {
                "label": label,
                "bounding_box": [round(share, 6) for share in _shares(frame, box)],
                "confidence": round(confidence, 4),
            }
            for label, confidence, box in rows_of(frame)
        ]
        for frame in found.frames
    }
    yield "labels.json", json.dumps({"classes": list(found.labels), "labels": labels}, ensure_ascii=False)
