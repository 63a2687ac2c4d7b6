"""Fits, tiles and a second look, on more than one shape and size of frame; writes its section of ``RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/fits_and_looks.py [--every 16] [--write]

Every Nth frame of ``vtest.avi`` as it is (4:3), cut to 16:9, 1:1 and 9:16, and four frames as one large one, in which
people are half as high. Truth is cut as the frames are; a person of whom less than half is left counts as neither.
The second look is a mirrored frame; what both looks find is voted on and joined by weighted box fusion, which the
package does not offer: this is what was tried.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from results_file import shared_folder, show_section, table

import peoplenet_nb as pn
from peoplenet_nb.decoding import iou_matrix
from peoplenet_nb.decoding.candidates import find_candidates
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Truth, read_labels
from peoplenet_nb.metrics import precision_recall

Boxes = tuple[np.ndarray, np.ndarray]
CUTS = {"4:3, whole": None, "16:9": (0, 72, 768, 504), "1:1": (192, 0, 768, 576), "9:16": (300, 0, 624, 576)}
LEAST = 0.05
AT = (0.35, 0.4, 0.5, 0.55)  # thresholds


def cut(truth: Truth, window: tuple[int, int, int, int]) -> Truth:
    left, top, right, bottom = window
    whole = np.asarray(truth.xyxy, np.float64).reshape(-1, 4)
    part = np.clip(whole, (left, top) * 2, (right, bottom) * 2)
    before, after = ((b[:, 2:] - b[:, :2]).prod(axis=1) for b in (whole, part))
    kept = after > 0
    return Truth((part - (left, top) * 2)[kept], (np.asarray(truth.ignore) | (after < before / 2))[kept])


def pictures(shared: Path, every: int) -> dict[str, list[tuple[np.ndarray, Truth]]]:
    truth = read_labels(shared / "data" / "vtest_gt.txt").truth("person")
    frames = [(f.image, truth[f.index]) for f in pn.open_source(shared / "data" / "vtest.avi", every=every)]
    made = {}
    for name, window in CUTS.items():
        x1, y1, x2, y2 = window or (0, 0, 768, 576)
        made[name] = [
            (np.ascontiguousarray(image[y1:y2, x1:x2]), cut(t, (x1, y1, x2, y2))) for image, t in frames
        ]
    quarter, large = len(frames) // 4, []
    for i in range(quarter):
        four = [frames[i + k * quarter] for k in range(4)]
        image = np.vstack([np.hstack([four[0][0], four[1][0]]), np.hstack([four[2][0], four[3][0]])])
        moved = [
            np.asarray(t.xyxy, np.float64).reshape(-1, 4) + (768 * (k % 2), 576 * (k // 2)) * 2
            for k, (_, t) in enumerate(four)
        ]
        large.append((image, Truth(np.concatenate(moved), np.concatenate([t.ignore for _, t in four]))))
    return made | {"4:3, four as one": large}


def found(grids: Grids) -> Boxes:
    low = pn.preset("default").with_class("person", threshold=LEAST)
    boxes = pn.decode(grids, low).detections.of_class("person")
    return boxes.xyxy.astype(np.float64), boxes.confidence.astype(np.float64)


def voted(grids: Grids) -> Boxes:
    """Each box that NMS keeps, as the mean of the candidates on it, weighed by coverage and overlap."""
    low = pn.Settings(fit="auto", default=pn.ClassSettings(1.0)).with_class("person", threshold=LEAST)
    candidates = find_candidates(grids, low)
    every, weight = grids.fit.to_frame(candidates.network_xyxy), candidates.coverage.astype(np.float64)
    boxes, confidence = found(grids)
    overlap = iou_matrix(boxes, every)
    weights = np.where(overlap >= 0.5, overlap * weight, 0.0)
    return (weights @ every) / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9), confidence


def fused(looks: list[Boxes]) -> Boxes:
    """Weighted box fusion of looks at the same frame, IoU 0.55."""
    boxes, scores = (np.concatenate([look[i] for look in looks]) for i in (0, 1))
    order = np.argsort(-scores, kind="stable")
    groups: list[list[int]] = []
    means: list[np.ndarray] = []
    for i in order:
        overlap = iou_matrix(boxes[i : i + 1], np.array(means).reshape(-1, 4))[0]
        if means and overlap.max() > 0.55:
            groups[int(overlap.argmax())].append(i)
        else:
            groups.append([i])
            means.append(boxes[i])
            continue
        group = groups[int(overlap.argmax())]
        means[int(overlap.argmax())] = np.average(boxes[group], axis=0, weights=scores[group])
    confidence = [scores[g].mean() * min(len(g), len(looks)) / len(looks) for g in groups]
    return np.array(means).reshape(-1, 4), np.array(confidence)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=int, default=16)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    model = pn.PeopleNet.load(weights, device="cpu", threads=1)

    def twice(image: np.ndarray) -> Boxes:
        boxes, scores = voted(model.infer(np.ascontiguousarray(image[:, ::-1])))
        boxes[:, [0, 2]] = image.shape[1] - boxes[:, [2, 0]]
        return fused([voted(model.infer(image)), (boxes, scores)])

    ways: dict[str, Callable[[np.ndarray], Boxes]] = {
        "stretch": lambda image: found(model.looking(FitMode.STRETCH, 1).infer(image)),
        "letterbox": lambda image: found(model.looking(FitMode.LETTERBOX, 1).infer(image)),
        "auto, tiles 2": lambda image: found(model.looking(FitMode.AUTO, 2).infer(image)),
        "auto, second look": twice,
    }
    rows = []
    for kind, frames in pictures(shared, options.every).items():
        for name, way in ways.items():
            scored = [(*way(image), truth) for image, truth in frames]
            curve, strict = precision_recall(scored), precision_recall(scored, iou=0.75)
            best, at, _, _ = curve.best()
            f1 = [curve.f1[max(0, int((curve.confidence >= t).sum()) - 1)] for t in AT]
            figures = [curve.average_precision, strict.average_precision, best]
            rows.append([kind, name, *(f"{v:.3f}" for v in figures), f"{at:.2f}", *(f"{v:.3f}" for v in f1)])
            print(*rows[-1], flush=True)
    thresholds = [f"F1 at {t}" for t in AT]
    columns = ["frames", "way", "AP 0.5", "AP 0.75", "best F1", "at", *thresholds]
    show_section(
        "Fits, tiles and a second look",
        [
            f"People, every {options.every}th frame of vtest.avi as it is, cut, and four frames as one large one.",
            "The defaults are 0.4 stretched and 0.5 letterboxed; tiles and the second look have the fit auto.",
            "",
            *table(columns, rows),
        ],
        write=options.write,
    )


if __name__ == "__main__":
    main()
