"""What the other programs can say: the table of their abilities, and what an export leaves behind.

A target either takes settings as they are, or the export is refused with the nearest settings that it can take.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from html import escape
from pathlib import Path

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import write_bytes, write_text, writing
from peoplenet_nb.html_tables import fold, note
from peoplenet_nb.settings import PEOPLENET_LABELS, Clustering, Flavour, Score, Settings


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
    flavour : Flavour
        Whose DBSCAN.
    score : Score
        A DBSCAN cluster's confidence.
    sums : bool
        Whether a least sum of a cluster's coverages can be said where its confidence is the best of them.
    one_sum : bool
        Whether that sum is one for all classes.
    letterbox : bool
        Whether it can keep the aspect, padded at the bottom and right.
    per_class : bool
        Whether thresholds can differ between classes.
    width, height : bool
        Whether a least size can be said.
    confidence : tuple of Clustering
        With which clusterings a least confidence can be said; with NMS a higher threshold says the same.
    top_k : bool
        Whether the number of boxes can be limited.
    whole_samples : bool
        Whether ``min_samples`` of TAO's DBSCAN is a whole number there.
    """

    clusterings: tuple[Clustering, ...]
    flavour: Flavour = Flavour.DEEPSTREAM
    score: Score = Score.MAX
    sums: bool = False
    one_sum: bool = False
    letterbox: bool = False
    per_class: bool = True
    width: bool = True
    height: bool = True
    confidence: tuple[Clustering, ...] = ()
    top_k: bool = True
    whole_samples: bool = True


_NMS, _DBSCAN, _HYBRID = Clustering.NMS, Clustering.DBSCAN, Clustering.HYBRID
_NVINFER = Ability((_NMS, _DBSCAN, _HYBRID), sums=True, letterbox=True, confidence=(_NMS, _DBSCAN, _HYBRID))
ABILITIES: Mapping[Target, Ability] = {
    Target.DEEPSTREAM: _NVINFER,
    Target.DEEPSTREAM_YAML: _NVINFER,
    Target.NVINFERSERVER: Ability((_NMS, _DBSCAN), sums=True, one_sum=True, letterbox=True),
    Target.SAVANT: Ability((_NMS,), letterbox=True),
    Target.TAO: Ability(
        (_DBSCAN, _NMS, _HYBRID),
        Flavour.TAO,
        Score.SUM,
        width=False,
        confidence=(_DBSCAN, _NMS, _HYBRID),
        top_k=False,
    ),
    Target.TRITON: Ability(
        (_DBSCAN,),
        Flavour.TAO,
        Score.SUM,
        width=False,
        confidence=(_DBSCAN,),
        top_k=False,
        whole_samples=False,
    ),
    Target.JETSON: Ability((_NMS,), per_class=False, width=False, height=False, top_k=False),
    Target.ISAAC: Ability(
        (_DBSCAN,), sums=True, one_sum=True, per_class=False, width=False, height=False, top_k=False
    ),
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
