"""What applies to one class of the model: its threshold, sizes and confidence, and its own clustering."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from dataclasses import replace as _replace
from typing import Any

from peoplenet_nb.errors import refuse_unknown
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.checks import check, check_clustering, mapping

#: Of `ClassSettings`: what a box or cluster is measured by after clustering.
SIZES = (
    "min_width", "min_height", "min_confidence", "max_width", "max_height", "roi_top", "roi_bottom", "min_sum"
)  # fmt: skip
#: Numbers of the clustering that a class may have for its own.
OWN = ("nms_iou", "eps", "min_samples", "top_k")


@dataclass(frozen=True, slots=True)
class ClassSettings:
    """What applies to one class.

    Parameters
    ----------
    threshold : float
        Least coverage of a cell that makes it a candidate, 0..1; accepted when ``coverage >= threshold``.
    min_width, min_height : float
        Least size of a final box, in frame pixels.
    min_confidence : float
        Least confidence of a final box, in the kind of score that `Settings.score` names (a sum of
        coverages may exceed 1).
    max_width, max_height : float
        Largest size of a final box, in frame pixels; 0 for none.
    roi_top, roi_bottom : float
        Frame pixels at the upper and lower edge of the frame that no final box may reach into.
    min_sum : float
        Least sum of the coverages of a DBSCAN cluster, whatever its score is (DeepStream's ``dbscan-min-score``).
    nms_iou, eps, min_samples : float or None
        The class's own in place of those of `Settings`.
    top_k : int or None
        The class's own in place of that of `Settings`.
    letterbox_threshold : float or None
        The threshold for letterboxed frames, where the settings' fit is ``auto``; None: the same.
    """

    threshold: float = 0.3
    min_width: float = 0.0
    min_height: float = 0.0
    min_confidence: float = 0.0
    max_width: float = 0.0
    max_height: float = 0.0
    roi_top: float = 0.0
    roi_bottom: float = 0.0
    min_sum: float = 0.0
    nms_iou: float | None = None
    eps: float | None = None
    min_samples: float | None = None
    top_k: int | None = None
    letterbox_threshold: float | None = None

    def __post_init__(self) -> None:
        check(self, "threshold", 0.0, 1.0)
        if self.letterbox_threshold is not None:
            check(self, "letterbox_threshold", 0.0, 1.0)
        for name in SIZES:
            check(self, name, 0.0, math.inf)
        check_clustering(self)

    def for_fit(self, fit: FitMode) -> ClassSettings:
        """Return the numbers for one fit, or with ``auto`` for both."""
        other = self.letterbox_threshold
        if fit is FitMode.AUTO or other is None:
            return self
        threshold = other if fit is FitMode.LETTERBOX else self.threshold
        return _replace(self, threshold=threshold, letterbox_threshold=None)


def plain_numbers(numbers: ClassSettings, inherited: ClassSettings) -> dict[str, Any]:
    """Return a class's numbers as plain data; what few need stands there only where it is not inherited."""
    usual = ("threshold", "min_width", "min_height", "min_confidence")
    apart = numbers.letterbox_threshold is not None  # a threshold that stands alone is for both fits
    return {
        k: v
        for k, v in asdict(numbers).items()
        if k in usual or v != getattr(inherited, k) or (apart and k == "letterbox_threshold")
    }


def read_numbers(name: object, value: object, default: ClassSettings) -> ClassSettings:
    """Return a class's numbers from plain data; what is left out is as for ``default``."""
    data = mapping(value, f"class '{name}'")
    refuse_unknown(data, [f.name for f in fields(ClassSettings)], f"key of class '{name}'")
    if "threshold" in data:  # one for both fits, unless it says otherwise
        data = {"letterbox_threshold": None, **data}
    return _replace(default, **data)
