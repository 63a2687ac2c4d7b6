"""Labels in XML: CVAT 1.1 (images and video) and Pascal VOC."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from xml.etree.ElementTree import Element

import numpy as np

from peoplenet_nb.labels.as_json import upright
from peoplenet_nb.labels.names import Raw, Row

Box = tuple[float, float, float, float]
_MOST_FRAMES, _MOST_BOXES = 2_000_000, 5_000_000


def from_cvat(root: Element) -> Raw:
    """Return what a CVAT file holds: boxes, and the boxes around polygons."""
    labels = [label.text or "" for label in root.iterfind("./meta//labels/label/name")]
    raw = Raw("CVAT", names=labels or None)
    for image in root.iterfind("image"):
        name = image.attrib["name"]
        raw.frames.append(name)
        for shape in image:
            if (box := _shape(shape)) is not None:
                raw.rows.append(Row(name, shape.attrib["label"], box))
    tracks = root.findall("track")
    for track in tracks:
        for frame, box in _track(track):
            raw.rows.append(Row(frame, track.attrib["label"], box))
            if len(raw.rows) > _MOST_BOXES:  # two keyframes that are far apart make any number of them
                raise ValueError(f"its tracks make more than {_MOST_BOXES:,} boxes")
    if tracks or not raw.frames:
        raw.frames += list(_frames(root, raw))
    return raw


def _frames(root: Element, raw: Raw) -> range:
    """Return the frames of a labelled video, as its task says, else up to its last box."""
    said = {
        key: int(text)
        for key in ("start_frame", "stop_frame", "size")
        for about in ("task", "job")
        if (text := root.findtext(f"./meta/{about}/{key}"))
    }
    boxes = [row.frame for row in raw.rows if isinstance(row.frame, int)]
    first = min([said.get("start_frame", 0), *boxes])
    last = max([said.get("stop_frame", said.get("size", 0) - 1), *boxes])
    if not 0 <= first <= last + 1 <= _MOST_FRAMES:
        raise ValueError(f"its frames are {first} to {last}")
    return range(first, last + 1)


def _track(track: Element) -> Iterator[tuple[int, Box]]:
    """Yield a track's boxes; between boxes that are some frames apart it moves in a straight line, as CVAT has it."""
    marks = [
        (int(s.attrib["frame"]), _shape(s), s.get("outside") == "1") for s in track if "frame" in s.attrib
    ]
    marks.sort(key=lambda mark: mark[0])
    for (frame, box, outside), (following, end_box, gone) in pairwise([*marks, (0, None, False)]):
        if outside or box is None:
            continue
        yield frame, box
        if end_box is None or following - frame > _MOST_FRAMES:
            continue
        begin, end = np.array(box), np.array(end_box)
        for between in range(frame + 1, following):
            share = 0.0 if gone else (between - frame) / (following - frame)
            x1, y1, x2, y2 = (begin + share * (end - begin)).tolist()
            yield between, (x1, y1, x2, y2)


def _shape(shape: Element) -> Box | None:
    """Return the upright box of a shape; None for what has no extent, as a point or a tag."""
    if shape.tag == "box":
        x1, y1, x2, y2 = (float(shape.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        return upright((x1, y1, x2, y2), float(shape.get("rotation") or 0), ((x1 + x2) / 2, (y1 + y2) / 2))
    if shape.tag == "polygon":
        points = np.array([pair.split(",") for pair in shape.attrib["points"].split(";")], np.float64)
        (x1, y1), (x2, y2) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        return x1, y1, x2, y2
    return None


def from_voc(root: Element, stem: str) -> Raw:
    """Return what one Pascal VOC file holds; its corners count from 1, the lower right one is inside the box."""
    name = (root.findtext("filename") or stem).replace("\\", "/").rpartition("/")[2]
    raw = Raw("Pascal VOC", [name])
    for thing in root.iterfind("object"):
        box = [float(thing.findtext(f"bndbox/{key}") or "nan") for key in ("xmin", "ymin", "xmax", "ymax")]
        hard = (thing.findtext("difficult") or "0").strip() == "1"
        raw.rows.append(
            Row(name, thing.findtext("name") or "", (box[0] - 1, box[1] - 1, box[2], box[3]), hard)
        )
    return raw
