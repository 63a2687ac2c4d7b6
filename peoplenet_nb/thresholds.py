"""Settings bound to a model's labels, in the form in which every frame needs them.

One decision to know: the last pair of settings and labels is kept, by identity, since both are values that nobody
changes and a film has one pair of them; binding anew for each frame would cost as much as finding its candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from peoplenet_nb.settings import BoundSettings, Settings


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """Settings bound to a model's labels, and which of them change anything.

    Parameters
    ----------
    numbers : BoundSettings
        Per class.
    reached : ndarray
        ``(C, 1)``: the least float32 that reaches the threshold, so that coverage is compared as it is.
    sizes, confidences : bool
        Whether any class has a least size or confidence above 0.
    """

    numbers: BoundSettings
    reached: npt.NDArray[np.float32]
    sizes: bool
    confidences: bool


_last: list[tuple[Settings, tuple[str, ...], Bound]] = []


def bind(settings: Settings, labels: tuple[str, ...]) -> Bound:
    """Return the settings bound to a model's labels.

    Raises
    ------
    SettingsError
        When the settings name a class that the model has not.
    """
    for last, its_labels, bound in _last:
        if last is settings and its_labels == labels:
            return bound
    numbers = settings.bind(labels)
    reached = numbers.threshold.astype(np.float32)
    reached = np.where(reached < numbers.threshold, np.nextafter(reached, np.float32(np.inf)), reached)
    sizes = bool(numbers.min_width.any() or numbers.min_height.any())
    made = Bound(numbers, reached[:, None], sizes, bool(numbers.min_confidence.any()))
    _last[:] = [(settings, labels, made)]
    return made
