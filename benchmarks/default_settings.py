"""Choose the default preset: sweep thresholds and NMS on every 4th frame of the video with ground truth.

    PEOPLENET_SHARED=... python benchmarks/default_settings.py

prints, for both fits, AP at IoU 0.5 and the threshold where F1 peaks for each NMS threshold, F1 of every
preset as it stands, and the same figures for bare cells: what is left of a detector when coverage is taken
for boxes, one square of the grid's stride (16x16 pixels) for each cell. The person thresholds of
``peoplenet_nb/settings/presets.py`` lie within 0.01 of the best F1 of these tables and lean to what NVIDIA ships (0.4),
because one video is not all there is: the best F1 is at 0.25 here (stretched), where unseen photographs of pedestrians
want 0.4. Bags and faces have no ground truth here: their default of 0.2 follows the DeepStream sample.
"""

from __future__ import annotations

import numpy as np
from results_file import shared_folder

from peoplenet_nb.decoding import decode
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import IGNORED, Truth, match, precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import PRESETS, Settings, preset
from peoplenet_nb.sources import open_source

EVERY = 4
LEAST = 0.01  # coverage from which on a cell counts when the threshold is swept

Clip = list[tuple[Grids, Truth]]


def people(clip: Clip, settings: Settings) -> list[tuple[np.ndarray, np.ndarray, Truth]]:
    found = [(decode(grids, settings).detections.of_class("person"), truth) for grids, truth in clip]
    return [(d.xyxy, d.confidence, truth) for d, truth in found]


def as_it_stands(clip: Clip, settings: Settings) -> tuple[float, float, float]:
    hits = found = truths = 0
    for boxes, confidence, truth in people(clip, settings):
        matched = match(boxes, confidence, truth)
        hits += int((matched >= 0).sum())
        found, truths = found + int((matched != IGNORED).sum()), truths + len(truth)
    precision, recall = hits / max(found, 1), hits / max(truths, 1)
    return 2 * precision * recall / max(precision + recall, 1e-9), precision, recall


def bare_cells(grids: Grids, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells of a person's coverage as squares ``(N, 4)`` xyxy in the frame, and their coverage ``(N,)``."""
    coverage = grids.coverage[grids.labels.index("person")]
    row, col = np.nonzero(coverage >= least)
    squares = np.stack((col, row, col + 1, row + 1), axis=1) * float(grids.stride)
    return grids.fit.to_frame(squares), coverage[row, col]


def main() -> None:
    shared = shared_folder()
    truth = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    (weights,) = (shared / "models").glob("*/*.onnx")
    for fit in ("stretch", "letterbox"):
        model = PeopleNet.load(weights, device="cpu", fit=fit)
        frames = open_source(str(shared / "data" / "vtest.avi"), every=EVERY)
        clip = [(model.infer(frame.image), truth[frame.index]) for frame in frames]
        print(f"\n{fit}: {len(clip)} frames, {sum(len(t) for _, t in clip)} people")
        print(
            f"{'NMS IoU':>10} {'AP':>7} {'AP 0.75':>8} {'best F1':>8} {'at':>6} {'precision':>10} {'recall':>7}"
        )
        for iou in (0.3, 0.4, 0.5, 0.6):
            low = preset("default", fit).with_class("person", threshold=LEAST).replace(nms_iou=iou)
            curve, strict = precision_recall(people(clip, low)), precision_recall(people(clip, low), iou=0.75)
            f1, threshold, precision, recall = curve.best()
            print(
                f"{iou:>10} {curve.average_precision:>7.3f} {strict.average_precision:>8.3f} {f1:>8.3f} "
                f"{threshold:>6.2f} "
                f"{precision:>10.3f} {recall:>7.3f}"
            )
        for name in PRESETS:
            f1, precision, recall = as_it_stands(clip, preset(name, fit))
            print(f"{name:>18}: F1 {f1:.3f}, precision {precision:.3f}, recall {recall:.3f}")
        curve = precision_recall([(*bare_cells(grids), truths) for grids, truths in clip])
        f1, threshold, precision, recall = curve.best()
        print(
            f"{'bare cells':>18}: AP {curve.average_precision:.3f}, best F1 {f1:.3f} at {threshold:.2f}, "
            f"precision {precision:.3f}, recall {recall:.3f}"
        )


if __name__ == "__main__":
    main()
