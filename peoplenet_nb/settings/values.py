"""Everything a person may turn after the network has run: thresholds, sizes, clustering.

``Settings`` is an immutable value. A slider, a YAML file and a preset all make new
ones through `Settings.replace`, so what is on the screen is what is saved, and nothing changes behind a
caller's back. A threshold belongs to a preprocessing (``fit``) and to a kind of score (``score``): both
travel with it.
"""

from __future__ import annotations

import difflib
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from dataclasses import replace as _replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import numpy as np

from peoplenet_nb.errors import SettingsError, choose, refuse_unknown, unknown
from peoplenet_nb.files import read_yaml, write_text
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.view import settings_html

PEOPLENET_LABELS = ("person", "bag", "face")


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
    """

    threshold: float = 0.3
    min_width: float = 0.0
    min_height: float = 0.0
    min_confidence: float = 0.0

    def __post_init__(self) -> None:
        _check("threshold", self.threshold, 0.0, 1.0)
        for name in ("min_width", "min_height", "min_confidence"):
            _check(name, getattr(self, name), 0.0, math.inf)


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
        for name, count in Counter(_class_name(name) for name in _mapping(self.classes, "classes")).items():
            if count > 1:
                raise SettingsError(
                    "A class is named twice (case does not matter)",
                    seen=repr(name),
                    next_step="keep one of them.",
                )
        for name, value in {"default": self.default, **self.classes}.items():
            if not isinstance(value, ClassSettings):
                raise _wrong(
                    f"class '{name}' must have ClassSettings", value, "pass ClassSettings(threshold=…)."
                )
        set_(self, "classes", {_class_name(name): value for name, value in self.classes.items()})
        _check("nms_iou", self.nms_iou, 0.0, 1.0)
        _check("eps", self.eps, 0.0, 1.0)
        _check("min_samples", self.min_samples, 0.0, math.inf)
        if self.top_k is not None and (type(self.top_k) is not int or self.top_k < 1):
            what = "top_k must be a whole number of at least 1"
            raise _wrong(what, self.top_k, "leave it out to keep every box.")

    def _repr_html_(self) -> str:
        return settings_html(self.to_dict())

    def for_class(self, label: str) -> ClassSettings:
        """Return what applies to a class (case does not matter)."""
        return self.classes.get(_class_name(label), self.default)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; unknown names raise `SettingsError`."""
        refuse_unknown(changes, [f.name for f in fields(self)], "setting")
        return _replace(self, **changes)

    def with_class(self, label: str, **changes: float) -> Self:
        """Return a copy with some numbers of one class changed.

        Examples
        --------
        >>> Settings().with_class("face", threshold=0.1).for_class("Face").threshold
        0.1
        """
        refuse_unknown(changes, [f.name for f in fields(ClassSettings)], "class setting")
        name = _class_name(label)
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
            "classes": {"default": asdict(self.default)} | {k: asdict(v) for k, v in self.classes.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make settings from the layout of the YAML file; what is left out keeps its default.

        Raises
        ------
        SettingsError
            For unknown keys (with the nearest known one), wrong types and values out of range.
        """
        data = _mapping(data, "settings")
        refuse_unknown(data, ["preset", "fit", "clustering", "nms", "dbscan", "top_k", "classes"], "key")
        nms = _mapping(data.get("nms") or {}, "nms")
        dbscan = _mapping(data.get("dbscan") or {}, "dbscan")
        classes = _mapping(data.get("classes") or {}, "classes")
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


def _wrong(what: str, value: object, next_step: str) -> SettingsError:
    return SettingsError(what, seen=repr(value), next_step=next_step)


def _check(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, int | float | np.floating | np.integer) and not isinstance(value, bool)
    # Compared as it is: a whole number may be too large for a float.
    if not number or not low <= value <= min(high, sys.float_info.max):  # type: ignore[operator]
        span = f"between {low:g} and {high:g}" if math.isfinite(high) else f"a number of at least {low:g}"
        raise _wrong(f"{name} must be {span}", value, f"choose {name} in that range.")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(f"{what} must be a table of keys and values", value, "compare with a preset's YAML.")
    return dict(value)


def _class_name(name: object) -> str:
    return str(name).strip().lower()


def _class_settings(name: object, value: object, default: ClassSettings) -> ClassSettings:
    data = _mapping(value, f"class '{name}'")
    refuse_unknown(data, [f.name for f in fields(ClassSettings)], f"key of class '{name}'")
    return _replace(default, **data)
