"""Ultralytics' predict loop as a worker, on an ONNX file that Ultralytics itself exports here.

Benchmark only: Ultralytics is AGPL-3.0, lives in an environment of its own and is no dependency of anything.

Its weights are not fetched: the network is built from the package's own description, untrained, and exported for
an input of PeopleNet's size. It finds nothing, so its NMS and its drawing have next to no work: what is measured
as its overhead is a lower bound.

One decision to know: the bare loop runs on the very session that predict made, so that both have its options.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from protocol import Answer, Jobs, Task, about, once, serve

NETWORK = "yolo11n"


def build(task: Task) -> tuple[Answer, Jobs]:
    home = Path(task["environment"])
    # No calls home, nothing installed behind the reader's back, settings kept in its own folder.
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_CONFIG_DIR=str(home))
    os.chdir(task["folder"])
    import torch

    notes = ["Ultralytics ran an untrained network, which finds nothing: its overhead is a lower bound"]
    notes += with_torchvision()
    from ultralytics import YOLO
    from ultralytics.utils import SETTINGS

    SETTINGS.update(sync=False)
    torch.manual_seed(0)
    width, height = task["size"]
    network = home / f"{NETWORK}-{width}x{height}.onnx"
    if not network.exists():
        made = YOLO(f"{NETWORK}.yaml").export(
            format="onnx", imgsz=(height, width), simplify=False, device="cpu"
        )
        Path(made).replace(network)
    model = YOLO(network, task="detect")

    def predict(save: bool, source: object = task["clip"]) -> Iterator[object]:
        return model.predict(
            source,
            stream=True,
            save=save,
            project=task["folder"],
            name="ultralytics",
            exist_ok=True,
            imgsz=(height, width),
            device="cpu",
            verbose=False,
        )

    def whole(save: bool) -> int:
        return sum(1 for _ in predict(save))

    for _ in predict(False, np.zeros((height, width, 3), np.uint8)):  # loads the network
        pass
    session = _session(model)
    name = session.get_inputs()[0].name
    inputs = np.random.default_rng(0).random((1, 3, height, width), np.float32)

    def bare() -> int:
        for _ in range(task["frames"]):
            session.run(None, {name: inputs})
        return int(task["frames"])

    threads = session.get_session_options().intra_op_num_threads or "ONNX Runtime's choice"
    notes.append(f"Ultralytics' session, in predict and bare, as it makes it: spinning, threads: {threads}")
    jobs: Jobs = {"bare": lambda: once(bare), "run": lambda video: once(lambda: whole(video))}
    return about("ultralytics", "torch", "onnxruntime", notes=tuple(notes)), jobs


def with_torchvision() -> list[str]:
    """Import torchvision, or put Ultralytics' own NMS in its place where it does not load; return what to note."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        from ultralytics.utils.nms import TorchNMS

        stand_in = types.ModuleType("torchvision")
        stand_in.ops = types.SimpleNamespace(nms=TorchNMS.nms)
        sys.modules["torchvision"] = stand_in
        return ["torchvision does not load here: Ultralytics ran with its own NMS"]
    return []


def _session(model: object) -> object:
    """Return the ONNX Runtime session inside a loaded model, wherever this version keeps it."""
    backend = model.predictor.model
    for holder in (backend, getattr(backend, "backend", None)):
        if hasattr(holder, "session"):
            return holder.session
    raise RuntimeError("this version of Ultralytics keeps its ONNX Runtime session elsewhere")


serve(build)
