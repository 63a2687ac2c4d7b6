"""The baseline: the tutorial's loop, written down once, straight from its description.

One session with default options, FP32, float input made by resize, cvtColor, ``/ 255`` and transpose; one frame
after the other; coverage only, thresholded at five values, cells as boxes, a plain NMS; drawn, and written with
OpenCV's ``mp4v``. Wrong as a detector (it reads one of two outputs), and what people run.

    python benchmarks/tutorial_loop.py MODEL.onnx VIDEO [--frames N] [--video OUT.mp4]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

CLASSES = ("person", "bag", "face")
COLOURS = ((0, 255, 0), (255, 0, 0), (0, 0, 255))
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)

Box = tuple[int, int, int, int, float, int]


def preprocess_frame(frame: np.ndarray) -> np.ndarray:
    resized = cv2.resize(frame, (960, 544))
    rgb = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB)
    scaled = rgb.astype(np.float32) / 255.0
    return np.expand_dims(np.transpose(scaled, (2, 0, 1)), axis=0)


def calculate_iou(a: Box, b: Box) -> float:
    width = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / union if union else 0.0


def simple_nms(boxes: list[Box], threshold: float = 0.5) -> list[Box]:
    waiting = sorted(boxes, key=lambda box: box[4], reverse=True)
    kept: list[Box] = []
    while waiting:
        best = waiting.pop(0)
        kept.append(best)
        waiting = [box for box in waiting if box[5] != best[5] or calculate_iou(best, box) <= threshold]
    return kept


def postprocess(coverage: np.ndarray, shape: tuple[int, ...]) -> list[Box]:
    scale_x, scale_y = shape[1] / 60, shape[0] / 34
    boxes: list[Box] = []
    for class_id in range(len(CLASSES)):
        for threshold in THRESHOLDS:
            rows, cols = np.where(coverage[class_id] > threshold)
            if threshold != THRESHOLDS[2]:
                continue
            for row, col in zip(rows, cols, strict=True):
                corner = (int(col * scale_x), int(row * scale_y))
                far = (int((col + 1) * scale_x), int((row + 1) * scale_y))
                boxes.append((*corner, *far, float(coverage[class_id, row, col]), class_id))
    return simple_nms(boxes)


def draw_detections(frame: np.ndarray, boxes: list[Box]) -> np.ndarray:
    for x1, y1, x2, y2, confidence, class_id in boxes:
        cv2.rectangle(frame, (x1, y1), (x2, y2), COLOURS[class_id], 2)
        label = f"{CLASSES[class_id]}: {confidence:.2f}"
        cv2.putText(frame, label, (x1, y1 - 10), cv2.FONT_HERSHEY_SIMPLEX, 0.5, COLOURS[class_id], 2)
    return frame


def run_tutorial(
    model: Path, source: Path, frames: int | None = None, video: Path | None = None
) -> tuple[int, float]:
    """Run the loop; return the number of frames and the seconds, loading the model not counted."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    capture = cv2.VideoCapture(str(source))
    writer = None
    done, began = 0, time.perf_counter()
    while frames is None or done < frames:
        ok, frame = capture.read()
        if not ok:
            break
        outputs = session.run(None, {name: preprocess_frame(frame)})
        boxes = postprocess(outputs[0][0], frame.shape)
        if video is not None:
            if writer is None:
                size = (frame.shape[1], frame.shape[0])
                writer = cv2.VideoWriter(
                    str(video), cv2.VideoWriter_fourcc(*"mp4v"), capture.get(cv2.CAP_PROP_FPS), size
                )
            writer.write(draw_detections(frame, boxes))
        done += 1
    if writer is not None:
        writer.release()
    seconds = time.perf_counter() - began
    capture.release()
    return done, seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("source", type=Path)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--video", type=Path)
    options = parser.parse_args()
    done, seconds = run_tutorial(options.model, options.source, options.frames, options.video)
    print(f"{done} frames in {seconds:.1f} s: {done / seconds:.2f} fps")


if __name__ == "__main__":
    main()
