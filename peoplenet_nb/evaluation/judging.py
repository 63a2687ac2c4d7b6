"""How good boxes are against labels: `evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from peoplenet_nb.evaluation.clip import Clip
from peoplenet_nb.evaluation.reading import read_clip
from peoplenet_nb.evaluation.result import Evaluation
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics.mistakes import find_mistakes
from peoplenet_nb.metrics.scores import score_class, stretches
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Source
from peoplenet_nb.video.result import RunResult


def evaluate(
    what: str | Path | Source | RunResult | Clip,
    labels: str | Path | Labels | None = None,
    settings: Settings | None = None,
    model: PeopleNet | None = None,
    *,
    classes: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Evaluation:
    """Score what is found in a source, or was found in a run, against labels.

    Parameters
    ----------
    what : str, Path, Source or RunResult
        What `open_source` takes, whose labelled frames then go through the network; or a finished run or its folder.
        With saved grids any settings can be tried on a run, else only its table is scored.
    labels : str, Path or Labels
        A file or folder in a format of `read_labels`. Frames go by number in videos, by file name in folders.
    settings : Settings, optional
        Left out: the run's own, or the default preset of the model's fit.
    model : PeopleNet, optional
        For a source; left out, what was downloaded.
    classes : mapping, optional
        What class names of the labels mean, where they are not understood: ``{"Worker": "person"}``.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Evaluation

    Raises
    ------
    SourceError
        When source or labels cannot be read, or do not belong together.
    OutputError
        When the run cannot be read, or kept no raw output and other settings are asked for.
    SettingsError
        When settings and model do not go together.

    Examples
    --------
    >>> import peoplenet_nb as pn
    >>> result = pn.evaluate("street.mp4", "street.json")  # doctest: +SKIP
    >>> result.scores["person"].f1  # doctest: +SKIP
    """
    if isinstance(what, Clip):
        clip = what
    elif labels is None:
        raise TypeError("evaluate() needs labels")
    else:
        clip = read_clip(what, labels, settings, model, classes=classes, progress=progress)
    chosen = settings or clip.settings
    final, low = clip.found(chosen), clip.curve(chosen)
    if clip.pool is not None:
        chosen = chosen.for_fit(clip.pool.fit)
    drawn = stretches(len(clip.labels.frames), clip.video)
    scores = {
        label: score_class(clip.labels.classes.index(label), low, final, clip.labels, drawn)
        for label in clip.labels.judged
    }
    return Evaluation(clip, chosen, scores, tuple(find_mistakes(final, clip.labels)))
