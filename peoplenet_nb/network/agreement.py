"""How well a variant agrees with the model it was made from.

The model's own boxes are the truth here. That needs no annotations, so it can be measured on any frames that the
user has; what a variant costs against real ground truth is measured in ``benchmarks/``.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import BBOX_NORM, decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.metrics import precision_recall
from peoplenet_nb.network.engines import Backend, open_backend
from peoplenet_nb.network.variants import Agreement
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.paths import DEMO_CLIP
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import ClassSettings, preset
from peoplenet_nb.sources import open_source

Frame = npt.NDArray[np.uint8]

# Boxes of cells that no threshold in use would take are noise in any precision.
_MEANINGFUL = 0.1
_SHARES = (0.6, 0.9)  # of a picture's height that the tallest detection takes once it is enlarged
_DEMO_FRAMES = 6
_PAIRS = 5  # of inferences that are timed


def infer_all(file: ModelFile, frames: Sequence[Frame], backend: Backend | None = None) -> list[Grids]:
    """Run a model file on frames, stretched: on an engine that has loaded it, else on the CPU."""
    backend = backend or open_backend(file)
    preprocess = Preprocessor(file.network_size, FitMode.STRETCH, as_bytes=file.channels_last)
    made = []
    for frame in frames:
        batch, fit = preprocess(frame)
        coverage, boxes = backend.run(batch)
        made.append(Grids(coverage[0], None if boxes is None else boxes[0], fit, file.labels, file.stride))
    return made


def times_as_fast(ours: tuple[ModelFile, Backend], theirs: tuple[ModelFile, Backend]) -> float:
    """Return how many times as fast one file on its engine is as another: the median of inferences that take turns."""
    pairs = [[_seconds(*one) for one in (ours, theirs)] for _ in range(_PAIRS + 1)][1:]
    return round(float(np.median([slow / quick for quick, slow in pairs])), 3)


def _seconds(file: ModelFile, engine: Backend) -> float:
    black = np.zeros((*file.network_size[::-1], 3), np.uint8)
    batch, _ = Preprocessor(file.network_size, FitMode.STRETCH, as_bytes=file.channels_last)(black)
    began = perf_counter()
    engine.run(batch)
    return perf_counter() - began


def compare(wanted: Sequence[Grids], found: Sequence[Grids]) -> Agreement:
    """Measure what differs between a model's grids and a variant's on the same frames."""
    coverage = [np.abs(a.coverage - b.coverage) for a, b in zip(wanted, found, strict=True)]
    edges = [0.0]
    for a, b in zip(wanted, found, strict=True):
        if a.boxes is not None and b.boxes is not None:
            seen = np.repeat(np.maximum(a.coverage, b.coverage) >= _MEANINGFUL, 4, axis=0)
            edges.append(float(np.abs(a.boxes - b.boxes)[seen].max(initial=0.0)) * BBOX_NORM)
    truth = [_detections(grids) for grids in wanted]
    return Agreement(
        len(wanted),
        float(max(c.max() for c in coverage)),
        float(np.mean([c.mean() for c in coverage])),
        max(edges),
        sum(map(len, truth)),
        _average_precision(truth, found, 0.5),
        _average_precision(truth, found, 0.75),
    )


def unlike(frames: Sequence[Frame], found: Sequence[Grids]) -> list[Frame]:
    """Return pictures unlike the frames: enlarged, so that people are several times as tall, and of the demo clip.

    By what the model found, each frame is enlarged around its tallest detection, which then takes 0.6 and 0.9 of the
    height; around its middle where there is none.
    """
    made = []
    for frame, grids in zip(frames, found, strict=True):
        height, width = frame.shape[:2]
        boxes = _detections(grids).xyxy
        middle = np.array([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]])
        x1, y1, x2, y2 = max(boxes if len(boxes) else middle, key=lambda box: float(box[3] - box[1]))
        for share in _SHARES:
            made.append(_enlarged(frame, (x1 + x2) / 2, (y1 + y2) / 2, min(1.0, (y2 - y1) / share / height)))
    demo = open_source(DEMO_CLIP)
    step = max(1, (demo.expected or _DEMO_FRAMES) // _DEMO_FRAMES)
    return made + [frame.image for frame in demo.sampled(step, _DEMO_FRAMES)]


def noise(count: int) -> list[Frame]:
    """Return frames of smooth noise: every value of every channel occurs, and red is not blue."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (count, 34, 60, 3), dtype=np.uint8)
    return [np.asarray(cv2.resize(frame, (1280, 720)), np.uint8) for frame in coarse]


def _enlarged(frame: Frame, x: float, y: float, part: float) -> Frame:
    """Return a part of a frame around a point, in the size of the whole."""
    height, width = frame.shape[:2]
    rows, columns = max(1, round(height * part)), max(1, round(width * part))
    top = int(np.clip(y - rows / 2, 0, height - rows))
    left = int(np.clip(x - columns / 2, 0, width - columns))
    return np.asarray(cv2.resize(frame[top : top + rows, left : left + columns], (width, height)), np.uint8)


def _detections(grids: Grids) -> Detections:
    return decode(grids, preset("default")).detections


def _average_precision(wanted: Sequence[Detections], found: Sequence[Grids], iou: float) -> float:
    """Return the mean over classes, each weighted by its number of boxes: a class with a few is mostly chance."""
    low = preset("default").replace(default=ClassSettings(threshold=0.05), classes={})
    got = [decode(grids, low).detections for grids in found]
    values, weights = [], []
    for class_id in range(found[0].shape[0]):
        frames = []
        for w, g in zip(wanted, got, strict=True):
            one = g[g.class_id == class_id]
            frames.append((one.xyxy, one.confidence, w[w.class_id == class_id].xyxy))
        weights.append(sum(len(truth) for _, _, truth in frames))
        values.append(precision_recall(frames, iou).average_precision)
    return float(np.average(values, weights=weights)) if any(weights) else 0.0
