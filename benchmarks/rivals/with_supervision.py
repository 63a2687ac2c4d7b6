"""supervision as a worker: its NMS, and `process_video` with its annotators around this project's network.

The callback is what its documentation shows: the frame in, detections, boxes and labels drawn on a copy. Network
and decode are this package's, installed here from the checkout, so that the loops are compared and nothing else;
the network takes all cores in one inference, which is the best for a loop that infers one frame after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from protocol import Answer, Jobs, Task, about, once, per_call, serve


def build(task: Task) -> tuple[Answer, Jobs]:
    import supervision as sv

    heaps = np.load(task["candidates"])

    def nms(count: int) -> Answer:
        columns = [heaps[f"{what}{count}"] for what in ("boxes", "scores", "classes")]
        predictions = np.column_stack(columns)

        def call() -> np.ndarray:
            return sv.box_non_max_suppression(predictions, iou_threshold=task["iou"])

        return {"seconds": per_call(call), "kept": np.flatnonzero(call()).tolist()}

    jobs: Jobs = {"nms": nms}
    names = ["supervision", "numpy"]
    if "clip" in task:
        jobs["video"] = _video_job(task)
        names.append("onnxruntime")
    return about(*names), jobs


def _video_job(task: Task) -> Callable[[], Answer]:
    import cv2
    import supervision as sv

    from peoplenet_nb.decoding import decode
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.settings import preset

    model = PeopleNet.load(task["model"], device="cpu", precision="fp32")
    settings = preset("default")
    boxes, labels = sv.BoxAnnotator(), sv.LabelAnnotator()
    target = Path(task["folder"]) / "supervision.mp4"
    _, first = cv2.VideoCapture(task["clip"]).read()
    model.infer(first)

    def whole() -> int:
        done = 0

        def callback(frame: np.ndarray, _index: int) -> np.ndarray:
            nonlocal done
            done += 1
            found = decode(model.infer(frame), settings).detections.to_supervision()
            texts = [
                f"{name} {confidence:.2f}"
                for name, confidence in zip(found.data["class_name"], found.confidence, strict=True)
            ]
            return labels.annotate(boxes.annotate(frame.copy(), found), found, labels=texts)

        sv.process_video(source_path=task["clip"], target_path=str(target), callback=callback)
        return done

    return lambda: once(whole)


serve(build)
