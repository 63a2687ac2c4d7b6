"""What recommended settings are worth on frames that they were not chosen on; writes its section of ``RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/recommend_settings.py [--write]

Settings are recommended on the first third of ``vtest.avi`` and tested on the rest, from several starts and for two
goals; the same without labels, on each third and on the demo clip with the stand-in, against the best threshold that
hindsight would choose. Last, how long thousands of settings take.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from results_file import shared_folder, show_section, table

import peoplenet_nb as pn
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.evaluation import Clip, read_clip
from peoplenet_nb.evaluation.tracklets import tracklet_labels
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.scores import ClassScore


def clip_of(video: Path, labels: Path, model: pn.PeopleNet) -> Clip:
    return read_clip(video, labels, model=model)


def person(clip: Clip, settings: pn.Settings) -> ClassScore:
    return pn.evaluate(clip, settings=settings).scores["person"]


def supervised(clip: Clip) -> list[list[object]]:
    """Return a row for each start and goal: F1, recall and AP 0.75 on the rest before and after."""
    frames = len(clip.labels.frames)
    first, rest = clip.take(range(frames // 3)), clip.take(range(frames // 3, frames))
    rows = []
    for goal, start in (
        ("f1", "default"),
        ("f1", "deepstream"),
        ("f1", "jetson-inference"),
        ("f1", "tao"),
        ("recall=0.9", "deepstream"),
        ("recall=0.92", "default"),
    ):
        base = pn.preset(start)
        found = pn.recommend(first, goal=goal, settings=base)
        before, after = person(rest, base), person(rest, found.settings)
        validated = found.figures["F1" if goal == "f1" else "recall"]
        rows.append(
            [
                goal,
                start,
                f"{found.settings.clustering}, {found.choices['person'].threshold:g}",
                str(validated[1]),
                *(f"{b.value:.3f} to {a.value:.3f}" for b, a in pairs(before, after)),
            ]
        )
    return rows


def pairs(before: ClassScore, after: ClassScore) -> list[tuple]:
    names = ("f1", "precision", "recall", "ap50", "ap75")
    return [(getattr(before, name), getattr(after, name)) for name in names]


def unlabelled(name: str, clip: Clip) -> list[object]:
    """Return a row: the threshold chosen without labels, the best one, and what it loses in F1."""
    base = pn.preset("default")
    blind = tracklet_labels(
        Clip(**(vars(clip) | {"labels": Labels.none(clip.labels.classes, clip.labels.frames)})), base
    )
    chosen = pn.recommend(blind, settings=base).choices["person"]
    curve = person(clip, base).curve
    best, at, _, _ = curve.best()
    reached = float(curve.f1[np.searchsorted(-curve.confidence, -chosen.threshold, side="right") - 1])
    plateau = "{:g} to {:g}".format(*chosen.plateau)
    return [name, f"{chosen.threshold:g}", plateau, f"{at:.2f}", f"{best:.3f}", f"{best - reached:.4f}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    shared = shared_folder()
    (weights,) = (shared / "models").glob("*/*.onnx")
    real = pn.PeopleNet.load(weights, device="cpu", fit="stretch")
    street = clip_of(shared / "data" / "vtest.avi", shared / "data" / "vtest_gt.txt", real)
    demo = clip_of(demo_clip(), demo_clip().with_suffix(".csv"), pn.PeopleNet.load("standin", device="cpu"))
    whole = person(street, pn.preset("default"))
    frames = len(street.labels.frames)
    thirds = [street.take(range(i * frames // 3, (i + 1) * frames // 3)) for i in range(3)]
    timed = pn.recommend(street)
    columns = ["goal", "start", "chosen", "cross-validated", "F1", "precision", "recall", "AP 0.5", "AP 0.75"]
    blind = [unlabelled("vtest.avi", street)]
    blind += [unlabelled(f"vtest.avi, third {i + 1}", clip) for i, clip in enumerate(thirds)]
    blind.append(unlabelled("demo clip, stand-in", demo))
    show_section(
        "Recommended settings on frames that they were not chosen on",
        [
            f"People, stretched. The default preset on all {frames} frames of vtest.avi: F1 {whole.f1},",
            f"AP {whole.ap50} at IoU 0.5, {whole.ap75} at 0.75, {whole.ap} at 0.5:0.95 (in brackets the middle 95 %).",
            "",
            "Chosen on the first third of vtest.avi; cross-validated there (F1, or the recall asked for); then before",
            "and after on the other two thirds.",
            "",
            *table(columns, supervised(street)),
            "",
            "Without labels: the threshold chosen by who stays for two seconds, against the best in hindsight.",
            "",
            *table(["video", "chosen", "plateau", "best", "its F1", "lost F1"], blind),
            "",
            f"{timed.tried:,} settings on {frames} frames took {timed.seconds:.1f} s, cross-validation included.",
        ],
        write=options.write,
    )


if __name__ == "__main__":
    main()
