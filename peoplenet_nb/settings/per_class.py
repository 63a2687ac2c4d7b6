"""Settings in the order of a model's classes, as arrays: the form in which every frame needs them.

The last result is kept: settings and labels are values that nobody changes and a video has one pair of them,
while binding anew for each frame would cost as much as finding its candidates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from peoplenet_nb.errors import refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.of_class import OWN, SIZES, ClassSettings
from peoplenet_nb.settings.values import PEOPLENET_LABELS, Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class PerClass:
    """The numbers of each class, ``(C,)``; a largest size of 0 is infinite here, as is a ``top_k`` of None."""

    threshold: npt.NDArray[np.float64]
    min_width: npt.NDArray[np.float64]
    min_height: npt.NDArray[np.float64]
    min_confidence: npt.NDArray[np.float64]
    max_width: npt.NDArray[np.float64]
    max_height: npt.NDArray[np.float64]
    roi_top: npt.NDArray[np.float64]
    roi_bottom: npt.NDArray[np.float64]
    min_sum: npt.NDArray[np.float64]
    nms_iou: npt.NDArray[np.float64]
    eps: npt.NDArray[np.float64]
    min_samples: npt.NDArray[np.float64]
    top_k: npt.NDArray[np.float64]
    least_coverage: npt.NDArray[np.float32]
    """``(C, 1)``: the least float32 that reaches the threshold, so that coverage is compared as it is."""
    measures: bool
    """Whether a size, region or confidence keeps a box out after clustering."""
    counts: bool
    """Whether ``top_k`` does."""
    varies: bool
    """Whether classes are clustered by different numbers."""


_last: list[tuple[Settings, tuple[str, ...], PerClass]] = []


def bind(settings: Settings, labels: Iterable[str], fit: FitMode | None = None) -> PerClass:
    """Return the per-class numbers in the order of a model's labels.

    PeopleNet's own class names are passed over when a model lacks them, so that a preset serves any
    DetectNet_v2 model; any other unknown name is taken for a slip.

    Raises
    ------
    SettingsError
        When ``settings.classes`` names a class that the model has not, or the thresholds were chosen for another
        preprocessing than ``fit``.
    """
    settings = settings if fit is None else settings.for_fit(fit)
    labels = tuple(labels)
    for settings_then, labels_then, numbers in _last:
        if settings_then is settings and labels_then == labels:
            return numbers
    import numpy as np  # here: the shell names the presets without it

    names = [label.strip().lower() for label in labels]
    own = [name for name in settings.classes if name not in PEOPLENET_LABELS]
    refuse_unknown(own, names, "class", "the model's classes are")
    rows = [settings.for_class(name) for name in names]
    names_of_numbers = [f.name for f in fields(ClassSettings) if f.name != "letterbox_threshold"]
    values = {name: [getattr(row, name) for row in rows] for name in names_of_numbers}
    values |= {name: [settings.own(label, name) for label in names] for name in OWN}
    values["top_k"] = [np.inf if k is None else k for k in values["top_k"]]
    columns = {name: np.array(column, float) for name, column in values.items()}
    for name in ("max_width", "max_height"):
        columns[name][columns[name] == 0] = np.inf
    threshold = columns["threshold"]
    least = threshold.astype(np.float32)
    least = np.where(least < threshold, np.nextafter(least, np.float32(np.inf)), least)
    made = PerClass(
        **columns,
        least_coverage=least[:, None],
        measures=any(any(values[name]) for name in SIZES),
        counts=bool(np.isfinite(columns["top_k"]).any()),
        varies=any(len(set(values[name])) > 1 for name in ("nms_iou", "eps", "min_samples")),
    )
    _last[:] = [(settings, labels, made)]
    return made
