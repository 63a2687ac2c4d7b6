"""What a notebook judges by: a file, what was labelled in it, or the demo clip's own truth."""

from __future__ import annotations

from pathlib import Path

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import SourceError
from peoplenet_nb.labels import Labels, read_labels
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.tuner.labelling import Labeller


def labels_for(named: str, labeller: Labeller, source: Source) -> Labels:
    """Return the labels of a file, else those made in the notebook, else the demo clip's.

    Parameters
    ----------
    named : str
        A file or folder of labels, or empty.
    labeller : Labeller
        Where frames may have been labelled.
    source : Source
        What they are of.

    Raises
    ------
    SourceError
        When there are none, or the file cannot be read.
    """
    if named:
        size = (source.info.width, source.info.height)
        return read_labels(
            named, size=size, images=source.files[0].parent if source.info.kind == "images" else None
        )
    if labeller.done:
        return labeller.labels
    if Path(source.info.spec).resolve() == demo_clip().resolve():
        truth = read_labels(demo_clip().with_suffix(".csv"))
        return truth.take(range(0, len(truth.frames), source.every))
    raise SourceError(
        "There are no labels to judge by yet",
        seen=f"LABELS is empty, and no frame of {source.info.name} is labelled",
        next_step="label some frames above (Enter accepts one) or name a file in LABELS, then run this cell and the "
        "rest again.",
    )
