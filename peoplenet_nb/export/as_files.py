"""Detections with a file for each image, or lines: MOTChallenge, KITTI, YOLO, Pascal VOC, CSV, Parquet.

Pixels count from 0 here, right and lower edges are exclusive; each format's own way of counting stands beside it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from xml.sax.saxutils import escape

from peoplenet_nb.export.frames import FoundFrames, FrameBoxes
from peoplenet_nb.sources.names import folder_name

#: Names below the folder and their contents.
Files = Iterator[tuple[str, str | bytes]]
COLUMNS = ("frame", "name", "class", "confidence", "x1", "y1", "x2", "y2")


def rows_of(frame: FrameBoxes) -> Iterator[tuple[str, float, list[float]]]:
    """Return class, confidence and box of each detection."""
    found = frame.detections
    return zip(found.class_name, found.confidence.tolist(), found.xyxy.tolist(), strict=True)


def mot_files(found: FoundFrames) -> Files:
    """MOTChallenge's detections, of the first class alone; frames and pixels count from 1."""
    out, last, size = io.StringIO(), 0, (0, 0)
    for frame in found.walk():
        last, size = frame.number + 1, frame.size
        for label, confidence, (x1, y1, x2, y2) in rows_of(frame):
            if label == found.labels[0]:
                box = f"{x1 + 1:.2f},{y1 + 1:.2f},{x2 - x1:.2f},{y2 - y1:.2f}"
                out.write(f"{frame.number + 1},-1,{box},{confidence:.4f},-1,-1,-1\n")
    yield "det/det.txt", out.getvalue()
    yield (
        "seqinfo.ini",
        f"[Sequence]\nname={folder_name(found.name)}\nimDir=img1\nseqLength={last}\nimWidth={size[0]}\nimHeight={size[1]}\n"
        "imExt=.jpg\n",
    )


def kitti_files(found: FoundFrames) -> Files:
    """KITTI's labels with the score as their last number; a label has no space."""
    for frame in found.walk():
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
    for frame in found.walk():
        width, height = frame.size
        lines = []
        for label, confidence, (x1, y1, x2, y2) in rows_of(frame):
            shares = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
            lines.append((f"{number[label]} {' '.join(f'{share:.6f}' for share in shares)}", confidence))
        yield f"labels/val/{frame.stem}.txt", "".join(f"{line}\n" for line, _ in lines)
        yield f"predictions/{frame.stem}.txt", "".join(f"{line} {score:.4f}\n" for line, score in lines)


def voc_files(found: FoundFrames) -> Files:
    """Pascal VOC's annotations; corners count from 1, and the lower right one is inside the box."""
    stems = []
    for frame in found.walk():
        stems.append(frame.stem)
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
    yield "ImageSets/Main/default.txt", "".join(f"{stem}\n" for stem in stems)
    yield "labelmap.txt", "".join(f"{label}:::\n" for label in ("background", *found.labels))


def csv_files(found: FoundFrames) -> Files:
    """Yield a table with a line for each box: frame from 0, corners in pixels."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for frame in found.walk():
        for label, confidence, box in rows_of(frame):
            corners = (f"{value:.2f}" for value in box)
            writer.writerow((frame.number, frame.name, label, f"{confidence:.4f}", *corners))
    yield "detections.csv", out.getvalue()


def parquet_files(found: FoundFrames) -> Files:
    """Yield the same table as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        (frame.number, frame.name, label, confidence, *box)
        for frame in found.walk()
        for label, confidence, box in rows_of(frame)
    ]
    kinds = (pa.int64(), pa.string(), pa.string(), *[pa.float32()] * 5)
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays, names=list(COLUMNS)), sink)
    yield "detections.parquet", sink.getvalue().to_pybytes()
