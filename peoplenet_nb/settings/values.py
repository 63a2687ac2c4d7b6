"""Everything a person may turn after the network has run: thresholds, sizes, clustering.

``Settings`` is an immutable value. A slider, a YAML file and a preset all make new
ones through `Settings.replace`, so what is on the screen is what is saved, and nothing changes behind a
caller's back. A threshold belongs to a preprocessing (``fit``) and to a kind of score (``score``): both
travel with it.
"""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from dataclasses import replace as _replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from peoplenet_nb.errors import SettingsError, choose, refuse_unknown, unknown
from peoplenet_nb.files import read_yaml, write_text
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.checks import check, check_clustering, class_name, mapping, wrong
from peoplenet_nb.settings.view import settings_html

PEOPLENET_LABELS = ("person", "bag", "face")
#: Of `ClassSettings`: what a box or cluster is measured by after clustering.
SIZES = (
    "min_width", "min_height", "min_confidence", "max_width", "max_height", "roi_top", "roi_bottom", "min_sum"
)  # fmt: skip
#: Numbers of the clustering that a class may have for its own.
OWN = ("nms_iou", "eps", "min_samples", "top_k")


class Clustering(StrEnum):
    """How candidates become objects."""

    NMS = "nms"
    DBSCAN = "dbscan"
    HYBRID = "hybrid"


class Flavour(StrEnum):
    """Whose DBSCAN: TAO weighs points by coverage, DeepStream counts them (``docs`` of both differ)."""

    TAO = "tao"
    DEEPSTREAM = "deepstream"


class Score(StrEnum):
    """What a DBSCAN cluster's confidence is: TAO and Triton add coverages up, DeepStream takes the best."""

    MAX = "max"
    SUM = "sum"


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

    def __post_init__(self) -> None:
        check("threshold", self.threshold, 0.0, 1.0)
        for name in SIZES:
            check(name, getattr(self, name), 0.0, math.inf)
        check_clustering(self)


@dataclass(frozen=True)
class Settings:
    """Thresholds, sizes and clustering of one decode.

    Parameters
    ----------
    preset : str
        Where the numbers came from; a name only, nothing is looked up by it.
    fit : FitMode
        The preprocessing that the thresholds were chosen for.
    clustering : Clustering
        ``nms`` (DeepStream's cluster-mode 2), ``dbscan``, or ``hybrid`` (DBSCAN drops outliers, NMS the rest).
    nms_iou : float
        A box is suppressed by a better one of its class when their IoU is *above* this, 0..1.
    eps : float
        DBSCAN's neighbourhood, as 1 - IoU, 0..1.
    min_samples : float
        DBSCAN's core rule: least sum of coverage (``tao``) or least number of boxes (``deepstream``) in the
        neighbourhood, the point itself included.
    flavour : Flavour
        Whose DBSCAN.
    score : Score
        A DBSCAN cluster's confidence. NMS always gives the coverage of the kept box.
    top_k : int or None
        Keep at most this many boxes of a class, best first.
    default : ClassSettings
        For classes that ``classes`` does not name.
    classes : Mapping[str, ClassSettings]
        By lower-case label.

    Raises
    ------
    SettingsError
        For values outside their range and unknown names.
    """

    preset: str = "custom"
    fit: FitMode = FitMode.STRETCH
    clustering: Clustering = Clustering.NMS
    nms_iou: float = 0.5
    eps: float = 0.3
    min_samples: float = 1.0
    flavour: Flavour = Flavour.TAO
    score: Score = Score.MAX
    top_k: int | None = None
    default: ClassSettings = field(default_factory=ClassSettings)
    classes: Mapping[str, ClassSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "fit", choose(FitMode, self.fit, "fit"))
        set_(self, "clustering", choose(Clustering, self.clustering, "clustering"))
        set_(self, "flavour", choose(Flavour, self.flavour, "DBSCAN flavour"))
        set_(self, "score", choose(Score, self.score, "kind of score"))
        for name, count in Counter(class_name(name) for name in mapping(self.classes, "classes")).items():
            if count > 1:
                raise SettingsError(
                    "A class is named twice (case does not matter)",
                    seen=repr(name),
                    next_step="keep one of them.",
                )
        for name, value in {"default": self.default, **self.classes}.items():
            if not isinstance(value, ClassSettings):
                raise wrong(
                    f"class '{name}' must have ClassSettings", value, "pass ClassSettings(threshold=…)."
                )
        set_(self, "classes", {class_name(name): value for name, value in self.classes.items()})
        for name in ("nms_iou", "eps", "min_samples"):
            if getattr(self, name) is None:
                raise wrong(f"{name} must be a number", None, "leave it out for the usual one.")
        check_clustering(self)

    def _repr_html_(self) -> str:
        return settings_html(self.to_dict())

    def for_class(self, label: str) -> ClassSettings:
        """Return what applies to a class (case does not matter)."""
        return self.classes.get(class_name(label), self.default)

    def own(self, label: str, name: str) -> Any:
        """Return one of ``nms_iou``, ``eps``, ``min_samples`` and ``top_k`` as it holds for a class."""
        value = getattr(self.for_class(label), name)
        return getattr(self, name) if value is None else value

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; unknown names raise `SettingsError`."""
        refuse_unknown(changes, [f.name for f in fields(self)], "setting")
        return _replace(self, **changes)

    def with_class(self, label: str, **changes: Any) -> Self:
        """Return a copy with some numbers of one class changed.

        Examples
        --------
        >>> Settings().with_class("face", threshold=0.1).for_class("Face").threshold
        0.1
        """
        refuse_unknown(changes, [f.name for f in fields(ClassSettings)], "class setting")
        name = class_name(label)
        known = list(dict.fromkeys([*PEOPLENET_LABELS, *self.classes]))
        # Other models have other classes, but a near miss of a known one is a slip, which `bind` would meet too late.
        for_people = not self.classes.keys().isdisjoint(PEOPLENET_LABELS)
        if name not in known and for_people and difflib.get_close_matches(name, known, n=1):
            raise unknown("class", label, known)
        return self.replace(classes={**self.classes, name: _replace(self.for_class(name), **changes)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data in the layout of the YAML file."""
        return {
            "preset": self.preset,
            "fit": str(self.fit),
            "clustering": str(self.clustering),
            "nms": {"iou": self.nms_iou},
            "dbscan": {
                "eps": self.eps,
                "min_samples": self.min_samples,
                "flavour": str(self.flavour),
                "score": str(self.score),
            },
            "top_k": self.top_k,
            "classes": {"default": _plain(self.default, ClassSettings())}
            | {name: _plain(value, self.default) for name, value in self.classes.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make settings from the layout of the YAML file; what is left out keeps its default.

        Raises
        ------
        SettingsError
            For unknown keys (with the nearest known one), wrong types and values out of range.
        """
        data = mapping(data, "settings")
        refuse_unknown(data, ["preset", "fit", "clustering", "nms", "dbscan", "top_k", "classes"], "key")
        nms = mapping(data.get("nms") or {}, "nms")
        dbscan = mapping(data.get("dbscan") or {}, "dbscan")
        classes = mapping(data.get("classes") or {}, "classes")
        refuse_unknown(nms, ["iou"], "key under nms")
        refuse_unknown(dbscan, ["eps", "min_samples", "flavour", "score"], "key under dbscan")
        chosen: dict[str, Any] = {k: data[k] for k in ("preset", "fit", "clustering", "top_k") if k in data}
        chosen |= dbscan | {f"nms_{key}": value for key, value in nms.items()}
        default = _class_settings("default", classes.get("default") or {}, ClassSettings())
        named = {
            name: _class_settings(name, value, default)
            for name, value in classes.items()
            if name != "default"
        }
        return cls(**chosen, default=default, classes=named)

    def to_yaml(self, path: str | Path) -> Path:
        """Write the settings to a YAML file (through a temporary name) and return its path."""
        import yaml

        write_text(path, yaml.safe_dump(self.to_dict(), sort_keys=False))
        return Path(path)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read settings from a YAML file.

        Raises
        ------
        SettingsError
            When there is no such file, it is not YAML, or `from_dict` refuses what it says.
        """
        path = Path(path)
        try:
            data = read_yaml(path)
        except FileNotFoundError:
            raise SettingsError("No such settings file", seen=path, next_step="check the path.") from None
        except (OSError, ValueError) as error:
            what = "The settings file cannot be read as YAML"
            raise SettingsError(what, seen=f"{path}: {error}", next_step="fix or delete it.") from error
        return cls.from_dict(data if data is not None else {})


def _plain(numbers: ClassSettings, inherited: ClassSettings) -> dict[str, Any]:
    """Return a class's numbers as plain data; what few need stands there only where it is not inherited."""
    usual = ("threshold", "min_width", "min_height", "min_confidence")
    return {k: v for k, v in asdict(numbers).items() if k in usual or v != getattr(inherited, k)}


def _class_settings(name: object, value: object, default: ClassSettings) -> ClassSettings:
    data = mapping(value, f"class '{name}'")
    refuse_unknown(data, [f.name for f in fields(ClassSettings)], f"key of class '{name}'")
    return _replace(default, **data)
