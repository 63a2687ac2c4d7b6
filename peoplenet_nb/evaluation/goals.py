"""What settings are chosen for: the best F1, a recall to be reached, or false alarms that are bearable."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.metrics.curves import f1_of
from peoplenet_nb.metrics.matching import Floats

_KINDS = ("f1", "recall", "false-alarms")


@dataclass(frozen=True)
class Goal:
    """What is wanted.

    Parameters
    ----------
    kind : str
        ``f1``; ``recall``: the best precision with a recall of at least ``value``; ``false-alarms``: the best recall
        with at most ``value`` false alarms an hour. Boxes where nothing is are alarms, at one spot within a second one.
    value : float
        The recall, 0..1, or the false alarms an hour of each class.
    """

    kind: str = "f1"
    value: float = 0.0

    @classmethod
    def parse(cls, text: Goal | str) -> Goal:
        """Return a goal from itself or from ``f1``, ``recall=0.95``, ``false-alarms=2``.

        Raises
        ------
        SettingsError
            For anything else.
        """
        if isinstance(text, Goal):
            return text
        kind, _, number = str(text).strip().lower().replace("_", "-").partition("=")
        try:
            value = float(number) if kind != "f1" else 0.0
        except ValueError:
            value = np.nan
        if (
            kind not in _KINDS
            or (kind == "f1" and number)
            or not 0 <= value < (1 if kind == "recall" else 1e9)
        ):
            raise SettingsError(
                "This is no goal",
                seen=repr(text),
                next_step="choose f1, recall=0.95 or false-alarms=2 (an hour).",
            )
        return cls(kind, value)

    def __str__(self) -> str:
        if self.kind == "recall":
            return f"a recall of at least {self.value:g}"
        return "the best F1" if self.kind == "f1" else f"at most {self.value:g} false alarms an hour"

    def worth(self, hits: Floats, false: Floats, wanted: float, alarms_per_hour: Floats | None) -> Floats:
        """Return how good each of T thresholds is: what counts where the goal is met, below 0 where it is not.

        Right and false boxes are ``(T,)``, as are the alarms, which that goal needs; ``wanted`` boxes are to be found.
        """
        recall, precision = hits / max(wanted, 1.0), hits / np.maximum(hits + false, 1.0)
        if self.kind == "recall":
            return np.where(recall >= self.value, precision, recall - 1.0)
        if alarms_per_hour is not None:
            return np.where(alarms_per_hour <= self.value, recall, -alarms_per_hour)
        return f1_of(precision, recall)
