"""Labels for the browser: which frames of a clip are judged, and what is to be found in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from peoplenet_nb.errors import SourceError
from peoplenet_nb.evaluation.reading import run_labels
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Labels, align, read_labels
from peoplenet_nb.video.result import RunResult


def labels_of_clip(
    labels: str | Path | Labels,
    run: RunResult | None,
    grids: Grids,
    names: Sequence[str] | None,
    classes: Mapping[str, str] | None = None,
) -> Labels:
    """Return labels whose frames are indices in the source of a run.

    Parameters
    ----------
    labels : str, Path or Labels
        What `evaluate` takes.
    run : RunResult or None
        None for saved grids without a folder.
    grids : Grids
        One frame of it.
    names : sequence of str or None
        Of the images that were run, where there is no run to say so; None of a video.
    classes : mapping, optional
        As in `read_labels`.

    Raises
    ------
    SourceError
        When the labels cannot be read, or are of other frames or classes.
    """
    if run is not None:
        found = run_labels(run, labels, classes)
    else:
        if not isinstance(labels, Labels):
            labels = read_labels(labels, grids.labels, classes=classes, size=grids.fit.frame_size)
        found = align(labels, names)
    if found.classes != tuple(label.lower() for label in grids.labels):
        what = "The labels were read for other classes than the model's"
        fix = "pass their file, or read_labels(file, labels=grids.labels)."
        raise SourceError(what, seen=", ".join(found.classes), next_step=fix)
    return found


def to_browser(labels: Labels, frames: Sequence[int], seen: Sequence[int]) -> dict[str, Any]:
    """Return labels as the browser has them (``Truths`` in ``static/truths.js``).

    Parameters
    ----------
    labels : Labels
        Of `labels_of_clip`.
    frames : sequence of int
        The clip's frames, by their index in the source.
    seen : sequence of int
        Positions in the clip of those that the network saw: others are not judged.

    Returns
    -------
    dict
        ``judged``, the classes that were labelled; ``frames``, the positions in the clip of the labelled frames; and
        ``rows``, little-endian float64 ``(N, 7)``: number of the labelled frame, class (-1 for every one), whether
        to ignore it, and xyxy in frame pixels.

    Raises
    ------
    SourceError
        When no labelled frame is in the clip.
    """
    where = {key: i for i, key in enumerate(labels.frames)}
    both = [(position, where[frames[position]]) for position in seen if frames[position] in where]
    if not both:
        what, fix = "None of the labelled frames is in this clip", "name the labels of this run."
        raise SourceError(what, seen=f"labels of frame {labels.frames[0]} …", next_step=fix)
    taken = labels.take([i for _, i in both])
    columns = [taken.frame, taken.class_id, taken.ignore, *taken.xyxy.T]
    return {
        "judged": [labels.classes.index(label) for label in labels.judged],
        "frames": [position for position, _ in both],
        "rows": np.stack([np.asarray(c, "<f8") for c in columns], axis=1).tobytes(),
    }
