"""The project itself as a worker, in the environment that runs the benchmark; OpenCV's NMS too, which is in it.

One decision to know: ours is a worker like the others, so that nobody has the warmer process.
"""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import cv2
import numpy as np
from protocol import Answer, Jobs, Task, about, once, per_call, serve

from peoplenet_nb.decoding import dbscan, nms
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Flavour, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import run


def build(task: Task) -> tuple[Answer, Jobs]:
    heaps = np.load(task["candidates"])
    iou, eps, least = task["iou"], task["eps"], task["least"]
    jobs: Jobs = {}

    def heap(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return heaps[f"boxes{count}"], heaps[f"scores{count}"], heaps[f"classes{count}"]

    def our_nms(count: int) -> Answer:
        boxes, scores, classes = heap(count)
        return {
            "seconds": per_call(lambda: nms(boxes, scores, iou, classes)),
            "kept": sorted(nms(boxes, scores, iou, classes).kept.tolist()),
        }

    def opencv_nms(count: int) -> Answer:
        boxes, scores, classes = heap(count)

        def call() -> object:
            # Lists are twice as fast as arrays here; the classes are moved apart, there is no argument for them.
            moved = np.column_stack([boxes[:, :2] + 4096 * classes[:, None], boxes[:, 2:] - boxes[:, :2]])
            return cv2.dnn.NMSBoxes(moved.tolist(), scores.tolist(), 0.0, iou)

        return {"seconds": per_call(call), "kept": sorted(np.ravel(call()).tolist())}

    def our_dbscan(count: int, flavour: str) -> Answer:
        boxes, scores, classes = heap(count)

        def call() -> np.ndarray:
            return dbscan(boxes, scores, eps, least[flavour], Flavour(flavour), classes)

        return {"seconds": per_call(call), "clusters": call().tolist()}

    jobs.update(nms=our_nms, opencv_nms=opencv_nms, dbscan=our_dbscan)
    if "clip" in task:
        jobs.update(_video_jobs(task))
    return about("numpy", "opencv-python", "onnxruntime"), jobs


def _video_jobs(task: Task) -> Jobs:
    model = PeopleNet.load(task["model"], device="cpu", precision="fp32")
    single = model.with_threads(1)  # made once, outside the measurement, as a notebook would
    inputs = [model.preprocess(frame.image)[0] for frame in open_source(task["clip"], frames=8)]
    for session in (model, single):
        session.backend.run(inputs[0])
    numbers = itertools.count()

    def bare() -> int:
        for i in range(task["frames"]):
            model.backend.run(inputs[i % len(inputs)])
        return int(task["frames"])

    def whole(video: bool) -> int:
        folder = Path(task["folder"]) / f"ours{next(numbers)}"
        result = run(
            open_source(task["clip"]), single, preset("default"), folder, video=video, progress=False
        )
        shutil.rmtree(folder)
        return int(result.summary["frames"])

    return {"bare": lambda: once(bare), "run": lambda video: once(lambda: whole(video))}


serve(build)
