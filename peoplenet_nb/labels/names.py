"""What other people's class names mean here, and the step from a file's rows to `Labels`.

A name that is not known is left out and said, never guessed. People on bicycles and the like are neither right nor
wrong to find, as MOTChallenge counts them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from peoplenet_nb.errors import SourceError, refuse_unknown
from peoplenet_nb.labels.values import EVERY_CLASS, Key, Labels

IGNORE = "ignore"
_ALIASES = {
    "person": "persons people pedestrian pedestrians human humans man woman boy girl child adult worker "
    "personsitting staticperson humanbody standing walking",
    "bag": "bags backpack handbag suitcase luggage baggage purse briefcase rucksack luggageandbags",
    "face": "faces humanface personface",
    IGNORE: "dontcare ignored ignoreregion ignoredregion ignoredregions crowd misc distractor reflection",
    "person: ignore": "cyclist rider bicyclist motorcyclist persononvehicle",
}
_MEANING = {name: meaning for meaning, names in _ALIASES.items() for name in (meaning, *names.split())}
_SHOWN = 6


class Row(NamedTuple):
    """One box of a label file: frame, the file's own name of the class, frame pixels from 0, whether to ignore it."""

    frame: Key
    label: str
    xyxy: tuple[float, float, float, float]
    ignore: bool = False
    area: float | None = None


@dataclass
class Raw:
    """What a reader found in a file, before its class names are mapped."""

    format: str
    frames: list[Key] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    names: list[str] | None = None  #: the classes that the file declares, boxes or not
    notes: list[str] = field(default_factory=list)


def plain(name: str) -> str:
    """Return a class name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\W_]+", "", name).lower()


def _meaning(name: str, classes: Sequence[str], given: Mapping[str, str]) -> str:
    """Return a class, ``ignore``, ``<class>: ignore``, or nothing for a name that is not known."""
    if name in given:
        return given[name]
    own = {plain(label): label for label in classes}
    if plain(name) in own:
        return own[plain(name)]
    meaning = _MEANING.get(plain(name), "")
    return meaning if meaning == IGNORE or meaning.partition(":")[0] in classes else ""


def to_labels(raw: Raw, classes: Sequence[str], given: Mapping[str, str]) -> Labels:
    """Map the class names of a file to those of the model, and return its boxes as arrays.

    ``given`` is the user's own meaning of names: a class, ``ignore``, or empty to leave them out.

    Raises
    ------
    SourceError
        When no name means a class, or a number is none.
    SettingsError
        When a given meaning is no class.
    """
    classes = tuple(label.lower() for label in classes)
    refuse_unknown([m for m in given.values() if m], [*classes, IGNORE], "class", "choose one of")
    counts = Counter(row.label for row in raw.rows)
    names = list(dict.fromkeys([*(raw.names or ()), *counts]))
    meaning = {name: _meaning(name, classes, given) for name in names}
    judged = tuple(label for label in classes if label in meaning.values())
    if names and not judged:
        raise SourceError(
            f"The labels name no class of the model ({', '.join(classes)})",
            seen=", ".join(names[:20]),
            next_step=f"say what a name means: --class {names[0]}={classes[0]} (classes={{{names[0]!r}: …}}).",
        )
    number = {
        name: index for index, name in enumerate(dict.fromkeys([*raw.frames, *(r.frame for r in raw.rows)]))
    }
    if not number:
        raise SourceError(
            "The labels hold no frame", seen=raw.format, next_step="name the file that holds them."
        )
    kept = [row for row in raw.rows if meaning[row.label]]
    means = [meaning[row.label].partition(":") for row in kept]
    xyxy = np.array([row.xyxy for row in kept], np.float64).reshape(-1, 4)
    size = xyxy[:, 2:] - xyxy[:, :2]
    area = np.array([np.nan if row.area is None else row.area for row in kept], np.float64)
    if not np.isfinite(xyxy).all() or np.abs(xyxy).max(initial=0) > 1e7:
        bad = kept[int(np.argmax(~(np.isfinite(xyxy) & (np.abs(xyxy) <= 1e7)).all(axis=1)))]
        raise SourceError("A box of the labels is not in pixels", seen=bad, next_step="correct the file.")
    good = (size > 0).all(axis=1)
    notes = [*raw.notes, *_notes(meaning, counts)]
    if not good.all():
        notes.append(f"{int((~good).sum())} boxes without width or height were left out.")
    labels = Labels(
        classes,
        tuple(number),
        np.array([number[row.frame] for row in kept], np.int64)[good],
        np.array([EVERY_CLASS if m == IGNORE else classes.index(m) for m, _, _ in means], np.int64)[good],
        xyxy[good],
        np.array(
            [row.ignore or m == IGNORE or bool(i) for row, (m, _, i) in zip(kept, means, strict=True)], bool
        )[good],
        np.where(np.isfinite(area), area, size.prod(axis=1))[good],
        judged or classes,
        raw.format,
        tuple(notes),
    )
    return labels.take(range(len(labels.frames)))  # by frame


def _notes(meaning: Mapping[str, str], counts: Mapping[str, int]) -> list[str]:
    """Return what was mapped, what is ignored and what was left out, a sentence each."""
    groups: dict[str, list[str]] = {"read": [], "neither right nor wrong": [], "left out, no class here": []}
    for name, means in meaning.items():
        many = f"{name!r} ({counts.get(name, 0)})"
        if not means:
            groups["left out, no class here"].append(many)
        elif means.endswith(IGNORE):
            groups["neither right nor wrong"].append(many)
        elif name != means:
            groups["read"].append(f"{many} as {means}")
    return [
        f"Class names {what}: {', '.join(found[:_SHOWN])}{' …' if len(found) > _SHOWN else ''}."
        for what, found in groups.items()
        if found
    ]
