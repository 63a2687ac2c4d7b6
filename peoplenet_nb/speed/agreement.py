"""How well a derived model agrees with the model it was made from.

One decision to know: the source's own boxes are the truth here. That needs no annotations, so it can be
measured on any frames that the user has; what it costs against real ground truth is measured in
``benchmarks/``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import BBOX_NORM, decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.evaluate import precision_recall
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.engines import open_backend
from peoplenet_nb.network.variants import Agreement
from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import ClassSettings, preset

# Boxes of cells that no threshold in use would take are noise in any precision.
_MEANINGFUL = 0.1


def compare(source: ModelFile, derived: ModelFile, frames: Sequence[npt.NDArray[np.uint8]]) -> Agreement:
    """Run both models on the same frames on the CPU, and measure what differs."""
    ours, theirs = _run(source, frames), _run(derived, frames)
    coverage = [np.abs(a.coverage - b.coverage) for a, b in zip(ours, theirs, strict=True)]
    edges = [0.0]
    for a, b in zip(ours, theirs, strict=True):
        if a.boxes is not None and b.boxes is not None:
            seen = np.repeat(np.maximum(a.coverage, b.coverage) >= _MEANINGFUL, 4, axis=0)
            edges.append(float(np.abs(a.boxes - b.boxes)[seen].max(initial=0.0)) * BBOX_NORM)
    wanted = [decode(grids, preset("default")).detections for grids in ours]
    return Agreement(
        len(frames),
        float(max(c.max() for c in coverage)),
        float(np.mean([c.mean() for c in coverage])),
        max(edges),
        sum(map(len, wanted)),
        _average_precision(wanted, theirs, 0.5),
        _average_precision(wanted, theirs, 0.75),
    )


def _run(file: ModelFile, frames: Sequence[npt.NDArray[np.uint8]]) -> list[Grids]:
    backend = open_backend(file)
    preprocess = Preprocessor(file.network_size, as_bytes=file.channels_last)
    made = []
    for frame in frames:
        batch, fit = preprocess(frame)
        coverage, boxes = backend.run(batch)
        made.append(Grids(coverage[0], None if boxes is None else boxes[0], fit, file.labels, file.stride))
    return made


def _average_precision(wanted: Sequence[Detections], found: Sequence[Grids], iou: float) -> float:
    low = preset("default").replace(default=ClassSettings(threshold=0.05), classes={})
    values = []
    got = [decode(grids, low).detections for grids in found]
    for class_id in range(found[0].shape[0]):
        pairs = [
            (w[w.class_id == class_id], g[g.class_id == class_id]) for w, g in zip(wanted, got, strict=True)
        ]
        if any(len(w) for w, _ in pairs):
            values.append(
                precision_recall([(g.xyxy, g.confidence, w.xyxy) for w, g in pairs], iou).average_precision
            )
    return float(np.mean(values)) if values else 0.0
