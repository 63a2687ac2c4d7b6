"""The canvas widget: traits that sliders are tied to, and the bytes that the browser draws from.

Each number is a trait of its own, because `jslink` ties single traits; what Python believes comes from ``state``
alone, which the browser sets when the hand has come to rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets as t

from peoplenet_nb.grids import Grids
from peoplenet_nb.tuner.bundle import module_source, style_sheet
from peoplenet_nb.tuner.pictures import VideoPictures
from peoplenet_nb.tuner.wire import PER_CLASS, pack_grids

# A trait holds a choice's place here, as a menu does.
CHOICES = {
    "clustering": ("nms", "dbscan", "hybrid"),
    "flavour": ("tao", "deepstream"),
    "score": ("max", "sum"),
}

VIEW: dict[str, Any] = dict.fromkeys(("boxes", "labels", "verdicts"), True)
VIEW |= dict.fromkeys(("heatmap", "grid", "candidates", "suppressed", "compare"), False) | {"class_id": 0}

Message = Callable[[Mapping[str, Any]], None]


class ClipCanvas(anywidget.AnyWidget):
    """Frames in the browser, with their pictures and cells: what the canvas of every mode has."""

    _esm = module_source()
    _css = style_sheet("tuner")

    shape: t.Dict[str, Any] = t.Dict().tag(sync=True)
    jpeg: t.Bytes = t.Bytes(b"").tag(sync=True)
    grids: t.Bytes = t.Bytes(b"").tag(sync=True)
    first_frame: t.Int[int, int] = t.Int(0).tag(sync=True)
    has_pictures: t.Bool[bool, bool | int] = t.Bool(False).tag(sync=True)
    clip: t.Bytes = t.Bytes(b"").tag(sync=True)
    frame_names: Any = t.List().tag(sync=True)
    between: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    """`peoplenet_nb.tuner.between.Between.to_browser`, where the clip has frames that the network did not see."""

    def answer(self, position: int, grids: Grids, pictures: VideoPictures | None) -> None:
        """Send a frame that the browser asked for, once its picture is there."""
        packed = pack_grids(grids)

        def arrived(at: int, picture: bytes) -> None:
            self.send({"type": "frame", "index": at}, [picture, packed])

        if pictures is None:
            arrived(position, b"")
        else:
            pictures.ask(position, arrived)


class LabelCanvas(ClipCanvas):
    """The picture with boxes to be labelled; made by `peoplenet_nb.tuner.labelling.Labeller`."""

    classes: Any = t.List().tag(sync=True)
    """Those that are labelled, by number."""
    records: Any = t.List().tag(sync=True)
    """Of each frame its ``boxes`` and whether it is ``done``. The page sends what changed, by a message."""
    saved: t.Int[int, int] = t.Int(0).tag(sync=True)
    """The last action that is on disk; the page counts them."""
    path: t.Unicode[str, str | bytes] = t.Unicode("").tag(sync=True)


class TunerCanvas(ClipCanvas):
    """The picture with its boxes, decoded and drawn in the browser.

    Made by `peoplenet_nb.tuner.panel.Tuner`, which ties the sliders to it, from `wire.shape_of` of the frames and
    `wire.numbers_of` of the settings.
    """

    floor: t.Float[float, int | float] = t.Float(0.0).tag(sync=True)
    fps: t.Float[float, int | float] = t.Float(10.0).tag(sync=True)
    truth: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    """`peoplenet_nb.tuner.truth.to_browser`, where there are labels."""
    scene: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    """Lines and zones, as `peoplenet_nb.tuner.drawing.Drawing` shows them."""

    frame: t.Int[int, int] = t.Int(0).tag(sync=True)
    view: t.Dict[str, Any] = t.Dict(VIEW).tag(sync=True)
    settings_a: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    state: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    revision: t.Int[int, int] = t.Int(0).tag(sync=True)
    """Counts what Python chose; a state that was on its way meanwhile names an older one."""

    nms_iou: t.Float[float, int | float] = t.Float(0.5).tag(sync=True)
    eps: t.Float[float, int | float] = t.Float(0.3).tag(sync=True)
    min_samples: t.Float[float, int | float] = t.Float(1.0).tag(sync=True)
    top_k: t.Int[int, int] = t.Int(0).tag(sync=True)
    more: t.Dict[str, Any] = t.Dict({}).tag(sync=True)
    """Per-class numbers that have no slider."""
    clustering: t.Int[int, int] = t.Int(0).tag(sync=True)
    flavour: t.Int[int, int] = t.Int(0).tag(sync=True)
    score: t.Int[int, int] = t.Int(0).tag(sync=True)

    # What does nothing under the chosen clustering. Kept by the browser, so that it holds without a kernel too.
    idle_nms: t.Bool[bool, bool | int] = t.Bool(False).tag(sync=True)
    idle_dbscan: t.Bool[bool, bool | int] = t.Bool(False).tag(sync=True)
    idle_score: t.Bool[bool, bool | int] = t.Bool(False).tag(sync=True)

    def __init__(self, shape: Mapping[str, Any], numbers: Mapping[str, Any], **more: Any) -> None:
        names = [f"{name}_{c}" for name in PER_CLASS for c in range(len(shape["labels"]))]
        # Before the rest: the widget's model is made of the traits that are there when it opens.
        self.add_traits(**{name: t.Float(0.0).tag(sync=True) for name in names})
        best = [best_mark(c) for c in range(len(shape["labels"]))]
        self.add_traits(**{name: t.Unicode("").tag(sync=True) for name in best})
        idle = idle_under(numbers["clustering"], has_boxes=shape["hasBoxes"])
        super().__init__(shape=dict(shape), **traits_of(numbers), **idle, **more)


def best_mark(class_id: int) -> str:
    """Return the trait that holds the mark, as HTML, of where a class's F1 is best; kept by the browser."""
    return f"best_{class_id}"


def traits_of(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings (`wire.numbers_of`) as the canvas's traits."""
    traits: dict[str, Any] = {f"{name}_{c}": v for name in PER_CLASS for c, v in enumerate(numbers[name])}
    traits |= {name: float(numbers[name]) for name in ("nms_iou", "eps", "min_samples")}
    traits |= {name: values.index(numbers[name]) for name, values in CHOICES.items()}
    return traits | {"top_k": int(numbers["top_k"] or 0), "more": numbers["more"]}


def idle_under(clustering: str, *, has_boxes: bool) -> dict[str, bool]:
    """Return which groups of controls do nothing under a clustering, as the canvas's traits; as ``idleNow`` in JS."""
    return {
        "idle_nms": not has_boxes or clustering == "dbscan",
        "idle_dbscan": not has_boxes or clustering == "nms",
        "idle_score": not has_boxes or clustering != "dbscan",
    }


def numbers_from_traits(traits: Mapping[str, Any], classes: int) -> dict[str, Any]:
    """Return the opposite of `traits_of`, for values that a kernel-side fallback read from its sliders."""
    numbers: dict[str, Any] = {name: [traits[f"{name}_{c}"] for c in range(classes)] for name in PER_CLASS}
    numbers |= {name: traits[name] for name in ("nms_iou", "eps", "min_samples")}
    numbers |= {name: values[traits[name]] for name, values in CHOICES.items()}
    return numbers | {"top_k": traits["top_k"] or None}
