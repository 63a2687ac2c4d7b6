"""The names of a model's classes: from ``labels.txt`` beside it, from its metadata, or made up."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from peoplenet_nb.errors import ModelError
from peoplenet_nb.files import read_text
from peoplenet_nb.settings import PEOPLENET_LABELS

_LONGEST_LABEL = 60


def labels_for(path: Path, classes: int, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return one lower-case label per class: from labels.txt, the metadata, or made up.

    Raises
    ------
    ModelError
        There are labels, but not one distinct, printable label of at most 60 characters per class.
    """
    beside = next((p for p in sorted(path.parent.iterdir()) if p.name.lower() == "labels.txt"), None)
    source, labels = "", []
    if beside is not None:
        source = str(beside)
        # DeepStream writes its classifier labels on one line with semicolons; both forms occur.
        labels = re.split(r"[\n;]", _labels_text(beside))
    elif metadata.get("labels", "").strip():
        source, text = f"metadata of {path.name}", metadata["labels"]
        labels = _json_list(text) or re.split(r"[\n;,]", text)
    labels = [label.strip().lower() for label in labels if label.strip()]
    if not labels:
        made_up = tuple(f"class{i}" for i in range(classes))
        return PEOPLENET_LABELS if classes == len(PEOPLENET_LABELS) else made_up
    # Labels go into tables, file names, pictures and code to paste.
    unfit = [label for label in labels if len(label) > _LONGEST_LABEL or not label.isprintable()]
    if unfit:
        what = f"A label must be printable text of at most {_LONGEST_LABEL} characters"
        raise _refused(what, f"{source}: {unfit[0][:100]!r}")
    if len(labels) != classes or len(set(labels)) != classes:
        what = f"The model has {classes} classes but there are {len(labels)} labels, or two of the same name"
        raise _refused(what, f"{source}: {', '.join(labels)}")
    return tuple(labels)


def _labels_text(path: Path) -> str:
    try:
        return read_text(path)
    except (OSError, ValueError) as error:
        raise _refused("labels.txt cannot be read", f"{path}: {error}") from error


def _refused(what: str, seen: str) -> ModelError:
    fix = "Make labels.txt a text file with one line per class, or move it away to use the default names."
    return ModelError(what, seen=seen, next_step=fix)


def _json_list(text: str) -> list[str]:
    try:
        parsed = json.loads(text)
    except ValueError:
        return []
    return [str(item) for item in parsed] if isinstance(parsed, list) else []
