"""torchvision's NMS as a worker: ``batched_nms``, which keeps classes apart, on tensors that are already made."""

from __future__ import annotations

import ctypes
import importlib.metadata

import numpy as np
from protocol import Answer, Jobs, Task, about, per_call, serve


def build(task: Task) -> tuple[Answer, Jobs]:
    import torch

    try:
        from torchvision.ops import batched_nms
    except RuntimeError as error:
        raise ImportError(why_not(error)) from error
    torch.set_num_threads(task["threads"])
    heaps = np.load(task["candidates"])

    def nms(count: int) -> Answer:
        boxes, scores, classes = (
            torch.from_numpy(heaps[f"{what}{count}"]) for what in ("boxes", "scores", "classes")
        )

        def call() -> torch.Tensor:
            return batched_nms(boxes, scores, classes, task["iou"])

        return {"seconds": per_call(call), "kept": sorted(call().tolist())}

    return about("torchvision", "torch"), {"nms": nms}


def why_not(error: RuntimeError) -> str:
    """Return why torchvision has no operators: it swallows the reason, so its library is loaded once more."""
    files = importlib.metadata.files("torchvision") or []
    try:
        for file in files:
            if file.match("torchvision/_C*.so"):
                ctypes.CDLL(str(file.locate()))
    except OSError as cause:
        has, wants = importlib.metadata.version("torch"), importlib.metadata.version("torchvision")
        return f"torchvision {wants} does not load beside torch {has}: {cause}"
    return str(error)


serve(build)
