"""What the other programs can say: the table of their abilities, and what an export leaves behind.

A target either takes settings as they are, or the export is refused with the nearest settings that it can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from html import escape
from pathlib import Path

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import write_bytes, write_text, writing
from peoplenet_nb.html_tables import fold, note
from peoplenet_nb.settings import PEOPLENET_LABELS, ClassSettings, Clustering, Flavour, Score, Settings


class Target(StrEnum):
    """A program that settings can be written for."""

    DEEPSTREAM = "deepstream"
    DEEPSTREAM_YAML = "deepstream-yaml"
    NVINFERSERVER = "nvinferserver"
    SAVANT = "savant"
    TAO = "tao"
    TRITON = "triton"
    JETSON = "jetson"
    ISAAC = "isaac"


@dataclass(frozen=True, slots=True)
class Ability:
    """What a target can say.

    Parameters
    ----------
    clusterings : tuple of Clustering
        The first is taken where the settings ask for another.
    own : frozenset of str
        The numbers (fields of `ClassSettings`) that each class can have for its own.
    common : frozenset of str
        Those that are one for all classes there.
    flavour : Flavour
        Whose DBSCAN.
    score : Score
        A DBSCAN cluster's confidence.
    letterbox : bool
        Whether it can keep the aspect, padded at the bottom and right.
    whole_samples : bool
        Whether ``min_samples`` of TAO's DBSCAN is a whole number there.
    """

    clusterings: tuple[Clustering, ...]
    own: frozenset[str]
    common: frozenset[str] = frozenset()
    flavour: Flavour = Flavour.DEEPSTREAM
    score: Score = Score.MAX
    letterbox: bool = False
    whole_samples: bool = True


_NMS, _DBSCAN, _HYBRID = Clustering.NMS, Clustering.DBSCAN, Clustering.HYBRID
_SIZES = {"min_width", "min_height", "max_width", "max_height"}
_NVINFER = Ability(
    (_NMS, _DBSCAN, _HYBRID), frozenset(field.name for field in fields(ClassSettings)), letterbox=True
)
_TAO = frozenset({"threshold", "min_height", "min_confidence", "eps", "min_samples", "nms_iou"})
ABILITIES: Mapping[Target, Ability] = {
    Target.DEEPSTREAM: _NVINFER,
    Target.DEEPSTREAM_YAML: _NVINFER,
    Target.NVINFERSERVER: Ability(
        (_NMS, _DBSCAN),
        frozenset({"threshold", "roi_top", "roi_bottom", *_SIZES}),
        frozenset({"nms_iou", "top_k", "eps", "min_samples", "min_sum"}),
        letterbox=True,
    ),
    Target.SAVANT: Ability((_NMS,), frozenset({"threshold", "nms_iou", "top_k", *_SIZES}), letterbox=True),
    Target.TAO: Ability((_DBSCAN, _NMS, _HYBRID), _TAO, flavour=Flavour.TAO, score=Score.SUM),
    Target.TRITON: Ability((_DBSCAN,), _TAO, flavour=Flavour.TAO, score=Score.SUM, whole_samples=False),
    Target.JETSON: Ability((_NMS,), frozenset(), frozenset({"threshold", "nms_iou"})),
    Target.ISAAC: Ability((_DBSCAN,), frozenset(), frozenset({"threshold", "eps", "min_samples", "min_sum"})),
}


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What the files say of the model.

    Parameters
    ----------
    path : str
        Where the other program finds it; relative paths start at the written file.
    labels : tuple of str
        In the order of the model's classes.
    size : tuple of int
        ``(width, height)`` of its input in pixels.
    stride : int
        Network pixels per cell.
    input, coverage, boxes : str
        Names of its tensors.
    """

    path: str = "resnet34_peoplenet_int8.onnx"
    labels: tuple[str, ...] = PEOPLENET_LABELS
    size: tuple[int, int] = (960, 544)
    stride: int = 16
    input: str = "input_1:0"
    coverage: str = "output_cov/Sigmoid:0"
    boxes: str = "output_bbox/BiasAdd:0"


@dataclass(frozen=True)
class Exported:
    """The files for a target, and what the reader must know of them.

    Attributes
    ----------
    target : Target
        Whose files they are.
    settings : Settings
        What they say: the settings that were given, or the nearest.
    files : Mapping[str, str or bytes]
        Contents by name.
    notes : tuple of str
        What does not transfer, and why.
    changes : tuple of str
        What the nearest settings differ in.
    """

    target: Target
    settings: Settings
    files: Mapping[str, str | bytes]
    notes: tuple[str, ...]
    changes: tuple[str, ...] = ()

    def write(self, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
        """Write the files to a folder and return their paths.

        Raises
        ------
        OutputError
            When a file is there already and ``overwrite`` is not set, or nothing can be written.
        """
        folder = Path(folder).expanduser()
        paths = [folder / name for name in self.files]
        with writing(folder):
            there = [path for path in paths if path.exists() and not overwrite]
        if there:
            raise OutputError(
                "A file of the export is there already",
                seen=there[0],
                next_step="choose another folder, or replace it with --overwrite (overwrite=True).",
            )
        for path, content in zip(paths, self.files.values(), strict=True):
            if isinstance(content, bytes):
                write_bytes(path, content)
            else:
                write_text(path, content)
        return paths

    def __str__(self) -> str:
        changed = [f"  changed: {text}" for text in self.changes]
        return "\n".join(
            [f"for {self.target}: {', '.join(self.files)}", *changed, *(f"  note: {t}" for t in self.notes)]
        )

    def _repr_html_(self) -> str:
        texts = {name: text for name, text in self.files.items() if isinstance(text, str)}
        parts = [fold(name, f"<pre>{escape(text)}</pre>") for name, text in texts.items()]
        return "".join([*(note(text) for text in (*self.changes, *self.notes)), *parts])
