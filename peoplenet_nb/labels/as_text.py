"""Labels in lines of text: MOTChallenge, KITTI, YOLO, and a table with a header."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np

from peoplenet_nb.labels.names import Raw, Row
from peoplenet_nb.labels.values import Key

#: Width and height of an image in pixels, by its name.
Sizes = Callable[[str], tuple[int, int]]
# MOT16: 1 is a pedestrian; on a vehicle, static, distractor and reflection are neither right nor wrong.
_MOT_NEITHER = (2, 7, 8, 12)
_MOT_COLUMNS = 9  # of MOT16's truth: flag, class, visibility; that of 2015 has ten and names no class
_MOST_FRAMES = 2_000_000


def is_number(text: str) -> bool:
    """Return whether a word is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def from_mot(text: str) -> Raw:
    """Return MOTChallenge's truth: ``frame, id, left, top, width, height, flag, ...``.

    Frames and pixels count from 1; a flag of 0 marks a box to be ignored.
    """
    lines = [line.split(",") for line in text.splitlines() if line.strip()]
    table = np.array([line[:7] for line in lines], np.float64).reshape(-1, 7)
    raw, numbers = Raw("MOT", names=["pedestrian"]), list[int]()
    for line, (frame, _, x, y, width, height, flag) in zip(lines, table.tolist(), strict=True):
        numbers.append(_index(frame - 1))
        kind = int(float(line[7])) if len(line) == _MOT_COLUMNS and is_number(line[7]) else 1
        if kind == 1 or kind in _MOT_NEITHER:
            box = (x - 1, y - 1, x - 1 + width, y - 1 + height)
            raw.rows.append(Row(numbers[-1], "pedestrian", box, flag == 0 or kind in _MOT_NEITHER))
    raw.frames = list(spaced(numbers))
    return raw


def from_table(text: str) -> Raw:
    """Return a table with the columns ``frame``, ``class`` and ``x, y, w, h`` or ``x1, y1, x2, y2``; counted from 0."""
    raw, rows = Raw("table"), csv.DictReader(io.StringIO(text))
    for row in rows:
        if "x1" in row:
            x1, y1, x2, y2 = (float(row[key]) for key in ("x1", "y1", "x2", "y2"))
        else:
            x1, y1 = float(row["x"]), float(row["y"])
            x2, y2 = x1 + float(row["w"]), y1 + float(row["h"])
        if row["class"] is None:
            raise ValueError(f"line {rows.line_num} ends too early")
        frame: Key = _index(float(row["frame"])) if is_number(row["frame"]) else row["frame"]
        raw.rows.append(
            Row(frame, row["class"], (x1, y1, x2, y2), (row.get("ignore") or "0") not in ("0", ""))
        )
    numbers = [row.frame for row in raw.rows if isinstance(row.frame, int)]
    raw.frames = list(spaced(numbers)) if len(numbers) == len(raw.rows) else []
    return raw


def _index(number: float) -> int:
    if not (number.is_integer() and 0 <= number <= _MOST_FRAMES):
        raise ValueError(f"{number:g} (counted from 0) is no number of a frame")
    return int(number)


def spaced(numbers: Sequence[int]) -> range:
    """Return the labelled frames of files that say nothing of empty ones: as far apart as those with boxes are."""
    there = sorted(set(numbers))
    if not there:
        return range(0)
    step = math.gcd(*(number - there[0] for number in there)) or 1
    return range(there[0], there[-1] + 1, step)


def from_kitti(text: str, name: str) -> Raw:
    """Return KITTI's labels of one image; DeepStream's, where an id may stand second, too."""
    raw = Raw("KITTI", [name])
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        label = list(takewhile(lambda word: not is_number(word), words))
        numbers = [float(word) for word in words[len(label) :]]
        if not label or len(numbers) < 14:
            raise ValueError(f"a line has {len(numbers)} numbers instead of 14: {line[:80]!r}")
        # 14 numbers, 15 with a score, one more with the tracker's id in front of the truncation, which is at most 1.
        shift = 1 if len(numbers) > 15 or (len(numbers) == 15 and numbers[0] > 1) else 0
        x1, y1, x2, y2 = numbers[3 + shift : 7 + shift]
        raw.rows.append(Row(name, " ".join(label), (x1, y1, x2, y2)))
    return raw


def from_yolo(text: str, name: str, names: Sequence[str] | None, sizes: Sizes) -> Raw:
    """Return YOLO's labels of one image, ``class cx cy w h [conf]`` or a polygon, as shares of its size."""
    raw = Raw("YOLO", [name], names=list(names) if names else None)
    lines = [[float(word) for word in line.split()] for line in text.splitlines() if line.strip()]
    width, height = sizes(name) if lines else (1, 1)
    for first, *numbers in lines:
        number = _index(first)
        if names and number >= len(names):
            raise ValueError(f"class {number}, and there are {len(names)} names")
        if len(numbers) in (4, 5):
            x, y, w, h = numbers[:4]
            box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        elif len(numbers) >= 6 and len(numbers) % 2 == 0:
            box = (min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
        else:
            raise ValueError(f"a line has {len(numbers) + 1} numbers instead of 5")
        if not all(-1 <= value <= 2 for value in box):
            raise ValueError(f"{box} are no shares of a picture's size")
        x1, y1, x2, y2 = box
        label = names[number] if names else str(number)
        raw.rows.append(Row(name, label, (x1 * width, y1 * height, x2 * width, y2 * height)))
    return raw
