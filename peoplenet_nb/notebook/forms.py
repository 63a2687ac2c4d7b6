"""The faster forms of a model in a notebook: built, compared with the model, and what they cost in words.

One decision to know: a form that cannot be built is a sentence with the reason, not an error: the model runs
as it is, only slower.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from peoplenet_nb import hardware
from peoplenet_nb.errors import PeopleNetError
from peoplenet_nb.network.engines.loader import preload, refusal
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75, LEAST_BOXES, Target, Variant
from peoplenet_nb.notebook.bench import Workbench
from peoplenet_nb.notebook.rich import Rich, Sentence, Stack, Table

logger = logging.getLogger(__name__)


@dataclass(repr=False)
class Forms(Rich):
    """The faster forms of a model, how well each agrees with it, and why one could not be built.

    Attributes
    ----------
    made : list of Variant
        The forms that are on disk now.
    instead : list of str
        Why a form is not there, one sentence each.
    """

    made: list[Variant]
    instead: list[str]

    def to_html(self) -> str:
        """Return a row a form, the methods that were tried, and what INT8 costs in words."""
        rows = [
            {
                "form": form.kind,
                "largest difference in coverage": f"{form.agreement.coverage:.1e}",
                "in box edges (px)": f"{form.agreement.box_px:.1e}",
                "AP at IoU 0.5": form.agreement.ap50,
                "AP at IoU 0.75": form.agreement.ap75,
                "frames compared": form.agreement.frames,
                "MB": form.path.stat().st_size / 1e6,
                "file": form.path.name,
            }
            for form in self.made
        ]
        parts: list[Rich] = [Sentence(text, "instead") for text in self.instead]
        if rows:
            parts.insert(
                0, Table(rows, "Each compared with the model it was made from, on frames it never saw")
            )
        parts += [_tried(form) for form in self.made if "tried" in form.recipe]
        return Stack(*parts, *(Sentence(text) for text in self.costs())).to_html()

    def costs(self) -> list[str]:
        """Return a sentence on each INT8 form: what its speed costs."""
        told = []
        for form in self.made:
            if form.kind != "int8":
                continue
            if (boxes := min(found.boxes for found in form.agreements)) < LEAST_BOXES:
                told.append(
                    f"The model found {boxes} boxes in the frames that {form.path.name} was measured "
                    "on: too few to say what it costs, so it is timed below but not chosen. Take a video with people."
                )
                continue
            least = f"{LEAST_AP50:g} at IoU 0.5 and {LEAST_AP75:g} at 0.75"
            taken = (
                f"That is at least {least} on both, so it may be chosen below."
                if form.proved
                else f"{least} are asked for on both, so it is timed below but not chosen."
            )
            figures = [f"{found.ap50:.3f} and {found.ap75:.3f}" for found in form.agreements]
            told.append(
                f"With the model's own boxes as the truth, those of {form.path.name} reach an average precision of "
                f"{figures[0]} (at IoU 0.5 and 0.75) on frames like those of the calibration, and of {figures[-1]} on "
                f"other pictures: people enlarged, and the demo clip. {taken}"
            )
        return told

    def to_text(self) -> str:
        """Return one line a form."""
        return "\n".join([*(f"{form.kind}: {form.agreement.ap50:.3f}" for form in self.made), *self.instead])


def _tried(form: Variant) -> Table:
    recipe = form.recipe
    tried = recipe["tried"] if isinstance(recipe["tried"], dict) else {}
    rows: list[dict[str, object]] = [
        {
            "calibration": name,
            "mean AP at 0.5 and 0.75": score,
            "": "kept" if name == recipe["method"] else "",
        }
        for name, score in tried.items()
    ]
    told = f"Tried on {recipe['calibration_frames']} frames, measured on {recipe['held_out_frames']} others"
    return Table(rows, f"{told}; weights: {recipe['weights']}")


def build_forms(bench: Workbench, *, int8: bool = True, frames: int = 12) -> Forms:
    """Build the faster forms of the workbench's model that are not on disk yet, and say how well they agree.

    Parameters
    ----------
    bench : Workbench
        The model, and the source whose frames INT8 is calibrated on.
    int8 : bool
        Whether to build INT8 too; the form with a uint8 input is built always.
    frames : int
        Frames of the source, spread over it, to calibrate on and to measure with; at least 6.
    """
    from peoplenet_nb.speed import build_int8, build_uint8

    file, forms = bench.model.file, Forms([], [])
    every = max(1, (bench.source.info.frame_count or 0) // frames)
    images = [frame.image for frame in bench.source.sampled(every, frames)] if int8 else []
    for target in _targets():
        try:
            forms.made.append(build_uint8(file, target=target))
            if int8:
                forms.made.append(build_int8(file, images, target=target))
        except PeopleNetError as error:
            logger.info("no form for %s: %s", target, error)
            forms.instead.append(f"The model runs as it is. {error}")
    return forms


def _targets() -> list[Target]:
    """Return what forms are made for: CPUs always, TensorRT where ONNX Runtime has it and there is a GPU."""
    import onnxruntime as ort

    provider = "TensorrtExecutionProvider"
    if provider not in ort.get_available_providers() or not hardware.gpus():
        return [Target.CPU]
    preload(provider)
    return [Target.CPU] if refusal(provider) else [Target.CPU, Target.TENSORRT]
