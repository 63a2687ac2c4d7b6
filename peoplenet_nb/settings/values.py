"""Everything a person may turn after the network has run: thresholds, sizes, clustering.

``Settings`` is an immutable value. A slider, a YAML file and a preset all make new
ones through `Settings.replace`, so what is on the screen is what is saved, and nothing changes behind a
caller's back. A threshold belongs to a preprocessing (``fit``) and to a kind of score (``score``): both
travel with it.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from dataclasses import replace as _replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from peoplenet_nb.errors import SettingsError, choose, refuse_unknown, unknown
from peoplenet_nb.files import read_yaml, write_text
from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings.checks import check_clustering, class_name, mapping, wrong
from peoplenet_nb.settings.of_class import ClassSettings, plain_numbers, read_numbers
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


@dataclass(frozen=True)
class Settings:
    """Thresholds, sizes and clustering of one decode.

    Parameters
    ----------
    preset : str
        Where the numbers came from; a name only, nothing is looked up by it.
    fit : FitMode
        The preprocessing that the thresholds were chosen for. ``auto`` decides by each frame's shape, and its classes
        may have a threshold for either; settings for one of them have one.
    tiles : int
        2: the network looks at four parts of a frame too (`peoplenet_nb.network.tiles`), which finds small people in
        large frames and takes five times as long; 1: at the whole alone.
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
    tiles: int = 1
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
        if type(self.tiles) is not int or self.tiles not in (1, 2):
            raise wrong(
                "tiles must be 1 or 2", self.tiles, "2 looks at 2 x 2 parts of a frame too, 1 at none."
            )
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
        set_(self, "default", self.default.for_fit(self.fit))
        set_(self, "classes", {class_name(k): value.for_fit(self.fit) for k, value in self.classes.items()})
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
        """Return a number of `ClassSettings` as it holds for a class: its own, else that of all."""
        value = getattr(self.for_class(label), name)
        return getattr(self, name, None) if value is None else value

    def for_fit(self, fit: FitMode) -> Settings:
        """Return the settings for frames that were resized so; ``auto`` serves ``stretch`` and ``letterbox``.

        Raises
        ------
        SettingsError
            When the thresholds were chosen for another preprocessing.
        """
        if fit in (self.fit, FitMode.AUTO):
            return self
        if self.fit is FitMode.AUTO and fit is not FitMode.NEAR:
            return self._for_each[fit]
        raise SettingsError(
            f"These settings were chosen for another preprocessing ({self.fit}): a threshold for one "
            "finds too much or too little with the other",
            seen=f"settings.fit={str(self.fit)!r}, and the frames here have {str(fit)!r}",
            next_step=f"load the model with fit={str(self.fit)!r}, take preset(name, fit={str(fit)!r}), "
            f"or, to use these numbers all the same, settings.replace(fit={str(fit)!r}).",
        )

    @cached_property
    def _for_each(self) -> dict[FitMode, Settings]:
        """Those for either fit, the same objects each time: `bind` knows them again."""
        return {fit: self.replace(fit=fit) for fit in (FitMode.STRETCH, FitMode.LETTERBOX)}

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; unknown names raise `SettingsError`.

        Another ``fit`` keeps the numbers, which of ``auto`` are those for that fit.
        """
        refuse_unknown(changes, [f.name for f in fields(self)], "setting")
        return _replace(self, **changes)

    def with_class(self, label: str, **changes: Any) -> Self:
        """Return a copy with some numbers of one class changed; a ``threshold`` alone is for both fits.

        Examples
        --------
        >>> Settings().with_class("face", threshold=0.1).for_class("Face").threshold
        0.1
        """
        refuse_unknown(changes, [f.name for f in fields(ClassSettings)], "class setting")
        name, now = class_name(label), self.for_class(label)
        if "threshold" in changes:
            now = _replace(now, letterbox_threshold=None)
        known = list(dict.fromkeys([*PEOPLENET_LABELS, *self.classes]))
        # Other models have other classes, but a near miss of a known one is a slip, which `bind` would meet too late.
        for_people = not self.classes.keys().isdisjoint(PEOPLENET_LABELS)
        if name not in known and for_people and difflib.get_close_matches(name, known, n=1):
            raise unknown("class", label, known)
        return self.replace(classes={**self.classes, name: _replace(now, **changes)})

    def to_dict(self) -> dict[str, Any]:
        """Return plain data in the layout of the YAML file."""
        return {
            "preset": self.preset,
            "fit": str(self.fit),
            **({"tiles": self.tiles} if self.tiles != 1 else {}),
            "clustering": str(self.clustering),
            "nms": {"iou": self.nms_iou},
            "dbscan": {
                "eps": self.eps,
                "min_samples": self.min_samples,
                "flavour": str(self.flavour),
                "score": str(self.score),
            },
            "top_k": self.top_k,
            "classes": {"default": plain_numbers(self.default, ClassSettings())}
            | {name: plain_numbers(value, self.default) for name, value in self.classes.items()},
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
        refuse_unknown(
            data, ["preset", "fit", "tiles", "clustering", "nms", "dbscan", "top_k", "classes"], "key"
        )
        nms = mapping(data.get("nms") or {}, "nms")
        dbscan = mapping(data.get("dbscan") or {}, "dbscan")
        classes = mapping(data.get("classes") or {}, "classes")
        refuse_unknown(nms, ["iou"], "key under nms")
        refuse_unknown(dbscan, ["eps", "min_samples", "flavour", "score"], "key under dbscan")
        chosen: dict[str, Any] = {
            k: data[k] for k in ("preset", "fit", "tiles", "clustering", "top_k") if k in data
        }
        chosen |= dbscan | {f"nms_{key}": value for key, value in nms.items()}
        default = read_numbers("default", classes.get("default") or {}, ClassSettings())
        named = {
            name: read_numbers(name, value, default) for name, value in classes.items() if name != "default"
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
