"""Which labelled frame is which frame of a source: by index in videos, by file name in folders of images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePath

from peoplenet_nb.errors import SourceError
from peoplenet_nb.labels.values import Key, Labels

_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def align(labels: Labels, names: Sequence[str] | None) -> Labels:
    """Return labels whose frames are the 0-based indices of a source's frames, in their order.

    Parameters
    ----------
    labels : Labels
        As read from a file.
    names : sequence of str or None
        The file names of a source of images, in its order; None for a video. Names of labelled frames are then taken
        for numbers: ``frame_000012.jpg`` is frame 12, as CVAT and this package count.

    Returns
    -------
    Labels
        Without the labelled frames that the source lacks; a note says how many those are.

    Raises
    ------
    SourceError
        When no labelled frame is of this source, or two of them are the same frame of it.
    """
    if names is None:
        where = {i: _number(key) for i, key in enumerate(labels.frames)}
    else:
        where = _by_name(labels.frames, names)
    found = sorted((frame, i) for i, frame in where.items() if frame is not None)
    if not found:
        raise SourceError(
            "None of the labelled frames is in the source",
            seen=f"labels of {', '.join(str(key) for key in labels.frames[:3])} …"
            + (f", images {', '.join(names[:3])} …" if names else ", and a video"),
            next_step="name the labels of this source; images go by their file names, videos by frame numbers.",
        )
    frames = [frame for frame, _ in found]
    for (one, first), (other, second) in pairwise(found):
        if one == other:
            raise SourceError(
                "Two labelled frames are the same frame of the source",
                seen=f"{labels.frames[first]} and {labels.frames[second]}",
                next_step="name the labels of one folder only.",
            )
    aligned = labels.take([i for _, i in found], frames)
    notes = list(labels.notes)
    if names is None and isinstance(labels.frames[found[0][1]], str):
        notes.append(f"Frames go by the numbers in names: {labels.frames[found[0][1]]} is frame {frames[0]}.")
    if lost := len(labels.frames) - len(found):
        notes.append(
            f"{lost} of {len(labels.frames)} labelled frames are not in the source and were left out."
        )
    return replace(aligned, notes=tuple(notes))


def _number(key: Key) -> int | None:
    if isinstance(key, int):
        return key
    found = _LAST_NUMBER.search(PurePath(key).stem)
    return int(found[1]) if found and len(found[1]) <= 12 else None


def _by_name(keys: Sequence[Key], names: Sequence[str]) -> dict[int, int | None]:
    """Return the source's frame for each labelled one: by name, by name without folder, by stem, or by number."""
    whole = {name: index for index, name in enumerate(names)}
    stems: dict[str, int | None] = {}
    for index, name in enumerate(names):
        stem = PurePath(name).stem
        stems[stem] = None if stem in stems else index  # a.jpg beside a.png: only whole names tell them apart
    where: dict[int, int | None] = {}
    for i, key in enumerate(keys):
        if isinstance(key, int):
            where[i] = key if key < len(names) else None
        else:
            name = key.replace("\\", "/").rpartition("/")[2]
            stem = name if name in stems else PurePath(name).stem
            where[i] = whole[name] if name in whole else stems.get(stem)
    return where
