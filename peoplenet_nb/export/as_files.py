"""Detections with a file for each image, or lines: MOTChallenge, KITTI, YOLO, Pascal VOC, CSV, Parquet.

Pixels count from 0 here, right and lower edges are exclusive; each format's own way of counting stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from peoplenet_nb.export.frames import FoundFrames, FrameBoxes
from peoplenet_nb.sources.names import folder_name

if TYPE_CHECKING:
    import pandas as pd

#: Names below the folder and their contents.
Files = Iterator[tuple[str, str | bytes]]
_CORNERS = ("x1", "y1", "x2", "y2")


def rows_of(frame: FrameBoxes) -> Iterator[tuple[str, float, list[float]]]:
    """Return class, confidence and box of each detection."""
    found = frame.detections
    return zip(found.class_name, found.confidence.tolist(), found.xyxy.tolist(), strict=True)


def mot_files(found: FoundFrames) -> Files:
    """MOTChallenge's detections, of the first class alone; frames and pixels count from 1."""
    lines = [
        f"{frame.number + 1},-1,{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{confidence:.4f},-1,-1,-1\n"
        for frame in found.frames
        for label, confidence, (x1, y1, x2, y2) in rows_of(frame)
        if label == found.labels[0]
    ]
    yield "det/det.txt", "".join(lines)
    last = found.frames[-1]
    size = f"imWidth={last.size[0]}\nimHeight={last.size[1]}\nimExt=.jpg\n"
    head = f"[Sequence]\nname={folder_name(found.name)}\nimDir=img1\nseqLength={last.number + 1}\n"
    yield "seqinfo.ini", head + size


def kitti_files(found: FoundFrames) -> Files:
    """KITTI's labels with the score as their last number; a label has no space."""
    for frame in found.frames:
        lines = [
            f"{label.replace(' ', '_')} 0.00 0 0.00 {' '.join(f'{v:.2f}' for v in box)} "
            f"0.00 0.00 0.00 0.00 0.00 0.00 0.00 {confidence:.4f}\n"
            for label, confidence, box in rows_of(frame)
        ]
        yield f"label_2/{frame.stem}.txt", "".join(lines)


def yolo_files(found: FoundFrames) -> Files:
    """YOLO's labels, shares of the picture's size, and the same with confidences under ``predictions``."""
    import yaml

    data = {"path": ".", "train": "images/val", "val": "images/val", "names": dict(enumerate(found.labels))}
    yield "data.yaml", yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    number = {label: index for index, label in enumerate(found.labels)}
    for frame in found.frames:
        width, height = frame.size
        lines = []
        for label, confidence, (x1, y1, x2, y2) in rows_of(frame):
            shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            lines.append((f"{number[label]} {' '.join(f'{share:.6f}' for share in shares)}", confidence))
        yield f"labels/val/{frame.stem}.txt", "".join(f"{line}\n" for line, _ in lines)
        yield f"predictions/{frame.stem}.txt", "".join(f"{line} {score:.4f}\n" for line, score in lines)


def voc_files(found: FoundFrames) -> Files:
    """Pascal VOC's annotations; corners count from 1, and the lower right one is inside the box."""
    for frame in found.frames:
        objects = [
            f"  <object>\n    <name>{escape(label)}</name>\n    <difficult>0</difficult>\n"
            f"    <confidence>{confidence:.4f}</confidence>\n    <bndbox><xmin>{x1 + 1:.2f}</xmin>"
            f"<ymin>{y1 + 1:.2f}</ymin><xmax>{x2:.2f}</xmax><ymax>{y2:.2f}</ymax></bndbox>\n  </object>\n"
            for label, confidence, (x1, y1, x2, y2) in rows_of(frame)
        ]
        yield (
            f"Annotations/{frame.stem}.xml",
            f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(frame.name)}</filename>\n"
            f"  <size><width>{frame.size[0]}</width><height>{frame.size[1]}</height><depth>3</depth></size>\n"
            f"  <segmented>0</segmented>\n{''.join(objects)}</annotation>\n",
        )
    yield "ImageSets/Main/default.txt", "".join(f"{frame.stem}\n" for frame in found.frames)
    yield "labelmap.txt", "".join(f"{label}:::\n" for label in ("background", *found.labels))


def _table(found: FoundFrames) -> pd.DataFrame:
    """Return a table with a line for each box: frame from 0, corners in pixels."""
    import pandas as pd

    rows = [
        (frame.number, frame.name, label, confidence, *box)
        for frame in found.frames
        for label, confidence, box in rows_of(frame)
    ]
    kinds = {"frame": "int64", "name": "string", "class": "string"}
    kinds |= dict.fromkeys(("confidence", *_CORNERS), "float32")
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)


def csv_files(found: FoundFrames) -> Files:
    """Yield the table with confidences to four digits and corners to two."""
    digits = {"confidence": "{:.4f}"} | dict.fromkeys(_CORNERS, "{:.2f}")
    table = _table(found)
    for name, form in digits.items():
        table[name] = table[name].map(form.format)
    yield "detections.csv", table.to_csv(index=False, lineterminator="\n")


def parquet_files(found: FoundFrames) -> Files:
    """Yield the table as Parquet."""
    yield "detections.parquet", _table(found).to_parquet(index=False)
