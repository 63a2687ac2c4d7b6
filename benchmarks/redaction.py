"""How many heads a redaction covers, and how much else, beside `deface` and beside hiding frame by frame.

    PEOPLENET_SHARED=... python benchmarks/redaction.py [--deface faces.json] [--write]

A head is the upper fifth of a true box, of everybody whom the truth does not ignore, in every frame. ``--deface`` takes
what `redaction_deface.py` wrote: its faces from a score of 0.2 up, 1.3 times as large, as its own program hides them.
Margin and frames are those that `deface` and the authors of trackers use; that tracks are smoothed over 0.2 s was
chosen on `vtest.avi`, and the demo clip says what it does elsewhere.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from keyframes import Clip, filled, look
from results_file import shared_folder, show_section, table

from peoplenet_nb.demo import STANDIN, demo_clip, demo_truth
from peoplenet_nb.detections import Detections
from peoplenet_nb.labels import read_labels
from peoplenet_nb.metrics import Truth
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.redaction.redacting import LEAST, SMOOTH_S
from peoplenet_nb.redaction.regions import CORNERS, MARGIN, What, grown_by, heads_of, regions_of
from peoplenet_nb.settings import preset
from peoplenet_nb.tracks import KeyFrames, smooth, track_boxes

Boxes = npt.NDArray[np.float64]
_DEFACE = 0.2  # its default threshold
_SETTINGS = preset("default", fit="stretch")


def figures(hidden: Sequence[Boxes], clip: Clip) -> list[str]:
    """Return the share of heads that are covered by half, by 95 %, the middle of them by 95 %, and what else is."""
    width, height = clip.size
    covered, middle, rest = [], [], []
    for boxes, truth in zip(hidden, clip.truth, strict=True):
        mask, heads = np.zeros((height, width), bool), np.zeros((height, width), bool)
        for x1, y1, x2, y2 in boxes:
            mask[int(np.floor(y1)) : int(np.ceil(y2)), int(np.floor(x1)) : int(np.ceil(x2))] = True
        for x1, y1, x2, y2 in truth.xyxy[~truth.ignore]:
            left, right = round(max(0.0, float(x1))), round(min(width, float(x2)))
            part = slice(round(max(0.0, float(y1))), round(min(height, float(y1 + (y2 - y1) / 5))))
            quarter = (right - left) // 4
            if mask[part, left:right].size and mask[part, left + quarter : right - quarter].size:
                covered.append(mask[part, left:right].mean())
                middle.append(mask[part, left + quarter : right - quarter].mean())
                heads[part, left:right] = True
        rest.append(mask[~heads].mean())
    shares = (np.array(covered) >= 0.5, np.array(covered) >= 0.95, np.array(middle) >= 0.95)
    return [*(f"{100 * share.mean():.1f} %" for share in shares), f"{100 * np.mean(rest):.2f} %"]


def by_frame(found: Sequence[Detections], clip: Clip, heads: bool) -> list[Boxes]:
    """Return faces, or heads of people, of each frame by itself."""
    label = "person" if heads else "face"
    boxes = [frame.of_class(label).xyxy.astype(np.float64) for frame in found]
    return [grown_by(heads_of(one) if heads else one, MARGIN, clip.size) for one in boxes]


def redacted(found: Sequence[Detections], clip: Clip, what: What) -> tuple[list[Boxes], int]:
    """Return what `pn.redact` hides of each frame, and how many moments it doubts."""
    begins = np.flatnonzero(clip.cuts).tolist()
    tracks = smooth(track_boxes(found, [i / clip.fps for i in range(len(found))], begins=begins), SMOOTH_S)
    regions, doubts = regions_of(tracks, found, clip.size, what, begins=begins)
    at, boxes = regions["frame"].to_numpy(), regions[CORNERS].to_numpy(np.float64)
    bounds = np.searchsorted(at, np.arange(len(found) + 1)).tolist()
    return [boxes[first:last] for first, last in pairwise(bounds)], len(doubts)


def rows(faint: Clip, deface: list[Boxes] | None) -> Iterator[list[object]]:
    least = _SETTINGS.for_class("person").threshold
    clip = replace(faint, found=[f[(f.confidence >= least) | (f.class_id != 0)] for f in faint.found])
    if deface is not None:
        yield [clip.name, "deface, frame by frame", "", *figures(deface, clip), ""]
    for name, heads in (("faces, frame by frame", False), ("heads, frame by frame", True)):
        yield [clip.name, name, "off", *figures(by_frame(clip.found, clip, heads), clip), ""]
    for what in What:
        hidden, doubts = redacted(clip.found, clip, what)
        yield [clip.name, f"`redact --what {what}`", "off", *figures(hidden, clip), doubts]
    hidden, doubts = redacted(faint.found, clip, What.HEAD)
    yield [clip.name, "`redact --what head`, saved cells", "off", *figures(hidden, clip), doubts]
    for choice in ("3", "auto"):
        hidden, doubts = redacted(filled(clip, KeyFrames.parse(choice))[0], clip, What.HEAD)
        yield [clip.name, "`redact --what head`", choice, *figures(hidden, clip), doubts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deface", type=Path, help="faces that deface found in vtest.avi")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    shared, done = shared_folder(), []
    (weights,) = (shared / "models").glob("*/*.onnx")
    video, people = (
        shared / "data" / "vtest.avi",
        read_labels(shared / "data" / "vtest_gt.txt").truth("person"),
    )
    settings, deface = _SETTINGS.with_class("person", threshold=LEAST), None
    truth = [people[i] for i in range(795)]
    vtest = look(
        "vtest.avi", PeopleNet.load(weights, device="cpu", fit="stretch"), video, truth, settings=settings
    )
    if options.deface is not None:
        faces = [
            np.array(frame, np.float64).reshape(-1, 5) for frame in json.loads(options.deface.read_text())
        ]
        deface = [grown_by(one[one[:, 4] >= _DEFACE, :4], MARGIN, vtest.size) for one in faces]
    alone = [Truth.of(t.xyxy[t.class_id == 0].astype(np.float64)) for t in demo_truth()]
    standin = PeopleNet.load(STANDIN, device="cpu", fit="stretch")
    demo = look("demo clip, stand-in", standin, demo_clip(), alone, settings=settings)
    for row in (*rows(vtest, deface), *rows(demo, None)):
        done.append(row)
        print(row, flush=True)
    shares = ("half of the head", "all of it", "all of its middle", "of the rest")
    columns = ("video", "hidden", "keyframes", *shares, "doubts")
    shown = [
        "Share of person-frames whose head (the true box's upper fifth) is covered by half or more, by 95 % or more,",
        "of whose head the middle half is; and how much of the rest of the picture is hidden. `deface` looks for",
        "faces, and most heads here are some 15 pixels wide or seen from behind; `--what face` hides those too.",
        "",
        *table(columns, done),
    ]
    show_section("Redaction", shown, write=options.write)


if __name__ == "__main__":
    main()
