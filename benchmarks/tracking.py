"""Identities on ``vtest.avi``, every tracker, on every frame and on key frames.

    PEOPLENET_SHARED=... python benchmarks/tracking.py [--write]

Scored by the library's own evaluation (`trackers.eval`: HOTA, CLEAR, Identity), at the default preset. Boxes of the
truth whose flag is 0 are neither right nor wrong: the library leaves out what lies on a distractor, so they are
written as that. The crossings of five lines are counted on the truth's own tracks and on ours.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from keyframes import filled, look
from results_file import shared_folder, show_section, table

from peoplenet_nb.demo import STANDIN, demo_clip, demo_truth
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth, precision_recall
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import preset
from peoplenet_nb.tracks import KeyFrames, Line, Scene, Tracker, Tracks, count, smooth, track_boxes, trim
from peoplenet_nb.video.faint import FAINT

FRAMES, FPS = 795, 10.0
LINES = Scene(
    (768, 576),
    {
        "x=384": Line(((384, 0), (384, 576))),
        "y=250": Line(((0, 250), (768, 250))),
        "x=550": Line(((550, 0), (550, 576))),
        "diagonal up": Line(((0, 576), (768, 0))),
        "diagonal down": Line(((0, 0), (768, 576))),
    },
)

#: Trackers, and what is done to their tracks afterwards.
WAYS: list[tuple[Tracker, str, Callable[[Tracks], Tracks]]] = [
    *((tracker, "", lambda tracks: tracks) for tracker in Tracker),
    *((tracker, "smoothed, 0.3 s", lambda tracks: smooth(tracks, 0.3)) for tracker in Tracker),
    (Tracker.BYTETRACK, "smoothed, 0.2 s", lambda tracks: smooth(tracks, 0.2)),
    (Tracker.BYTETRACK, "saved cells", lambda tracks: tracks),
    (Tracker.BYTETRACK, "saved cells, smoothed, 0.2 s", lambda tracks: smooth(tracks, 0.2)),
    (Tracker.BYTETRACK, "trimmed at 0.5", lambda tracks: trim(tracks, 0.5)),
]


def mot_truth(path: Path, target: Path) -> Path:
    """Write the truth with classes that the library knows: 1 a pedestrian, 8 a distractor."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(7))
    lines = [
        f"{int(f)},{int(i)},{x},{y},{w},{h},1,{1 if flag else 8},1\n"
        for f, i, x, y, w, h, flag in rows.tolist()
    ]
    target.write_text("".join(lines))
    return target


def scores(tracks: Tracks, truth: Path, folder: Path) -> list[str]:
    from trackers.eval import evaluate_mot_sequence

    done = evaluate_mot_sequence(
        truth, tracks.of_class("person").to_mot(folder / "ours.txt"), ["CLEAR", "HOTA", "Identity"]
    )
    figures = (done.HOTA.HOTA, done.HOTA.DetA, done.HOTA.AssA, done.CLEAR.MOTA, done.Identity.IDF1)
    return [*(f"{100 * figure:.1f}" for figure in figures), str(done.CLEAR.IDSW)]


def precision(tracks: Tracks, truth: list[Truth]) -> list[str]:
    """Return average precision of the tracks' boxes, gaps included."""
    people = tracks.of_class("person")
    of = [people.at(i) for i in range(len(truth))]
    rows = [(people.xyxy[here], people.confidence[here], truth[i]) for i, here in enumerate(of)]
    return [f"{precision_recall(rows, iou).average_precision:.3f}" for iou in (0.5, 0.75)]


def true_tracks(path: Path) -> Tracks:
    """Return the truth's own tracks, what is to be ignored left out."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2, usecols=range(7))
    rows = rows[rows[:, 6] == 1]
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    corner, number = rows[:, 2:4] - 1, np.zeros(len(rows), np.int64)
    boxes = np.concatenate([corner, corner + rows[:, 4:6]], axis=1)
    frame, track = rows[:, 0].astype(np.int64) - 1, rows[:, 1].astype(np.int64)
    frames = np.arange(FRAMES)
    return Tracks(
        frame, frame / FPS, track, number, boxes, number + 1.0, number, ("person",), frames, frames / FPS
    )


def crossed(tracks: Tracks) -> list[str]:
    return [f"{row['in']}/{row['out']}" for row in count(tracks, LINES).lines().to_dict("records")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    shared, rows = shared_folder(), []
    (weights,) = (shared / "models").glob("*/*.onnx")
    model = PeopleNet.load(weights, device="cpu", fit="stretch")
    settings = preset("default", fit="stretch")
    faint = settings.with_class("person", threshold=FAINT)
    clip = look("vtest.avi", model, shared / "data" / "vtest.avi", [], settings=faint)
    least = settings.for_class("person").threshold
    sure = replace(clip, found=[f[(f.confidence >= least) | (f.class_id != 0)] for f in clip.found])
    times = [i / FPS for i in range(FRAMES)]
    labels = shared / "data" / "vtest_gt.txt"
    people = read_labels(labels).truth("person")
    boxes = [people[i] for i in range(FRAMES)]
    with tempfile.TemporaryDirectory() as name:
        lines = [["ground truth", "", *crossed(true_tracks(labels))]]
        truth = mot_truth(labels, Path(name) / "truth.txt")
        for choice in ("off", "3", "auto"):
            found, share = filled(sure, KeyFrames.parse(choice))
            # Cells are saved of the frames that the network sees; between them there is what the tables say.
            more = [clip.found[i] if one is sure.found[i] else one for i, one in enumerate(found)]
            for tracker, how, change in WAYS:
                tracks = change(track_boxes(more if "cells" in how else found, times, tracker=tracker))
                row = [choice, f"{share:.0%}", str(tracker), how, *scores(tracks, truth, Path(name))]
                rows.append([*row, *precision(tracks, boxes), str(len(tracks.of_class("person")))])
                print(rows[-1], flush=True)
                if tracker is Tracker.BYTETRACK and "trim" not in how:
                    lines.append([choice, how, *crossed(tracks)])
    alone = [Truth.of(t.xyxy[t.class_id == 0].astype(np.float64)) for t in demo_truth()]
    standin = PeopleNet.load(STANDIN, device="cpu", fit="stretch")
    demo = look("demo clip", standin, demo_clip(), alone, settings=settings)
    walked = track_boxes(demo.found, [i / demo.fps for i in range(len(demo.found))])
    spans = [[f"{span} s", *precision(smooth(walked, span), alone)] for span in (0, 0.1, 0.2, 0.3)]
    columns = (
        "keyframes",
        "inferred",
        "tracker",
        "afterwards",
        "HOTA",
        "DetA",
        "AssA",
        "MOTA",
        "IDF1",
        "switches",
        "AP 0.5",
        "AP 0.75",
        "tracks",
    )
    crossings = table(("keyframes", "afterwards", *LINES.lines), lines)
    shown = [
        *table(columns, rows),
        "",
        "Off by default: boxes smoothed (`smooth_s`), ends trimmed (`trim_at`). With saved cells boxes from a coverage",
        f"of {FAINT} up carry tracks on; without, those of the tables, from {least} up.",
        "",
        "Crossings, in/out, ByteTrack (people, feet, 0.3 s on the new side):",
        "",
        *crossings,
        "",
        "Boxes smoothed on the demo clip (the stand-in's are steady, and its people swing with every step):",
        "",
        *table(("smoothed", "AP 0.5", "AP 0.75"), spans),
    ]
    show_section("Tracks", shown, write=options.write)


if __name__ == "__main__":
    main()
