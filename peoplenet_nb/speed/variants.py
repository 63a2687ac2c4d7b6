"""All faster variants of a model at once: built, compared with the model, and what they cost in words.

A variant that cannot be built is a sentence with the reason, not an error: the model runs as it is, only slower.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from peoplenet_nb import hardware
from peoplenet_nb.errors import DeviceError, PeopleNetError
from peoplenet_nb.html_tables import note, table
from peoplenet_nb.network.engines.loader import preload, refusal
from peoplenet_nb.network.mnnfile import build_mnn
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75, LEAST_BOXES, Target, Variant
from peoplenet_nb.sources import Source
from peoplenet_nb.sources.repair import some
from peoplenet_nb.speed.build import build_int8, build_uint8

logger: logging.Logger = logging.getLogger(__name__)


@dataclass
class Variants:
    """The faster variants of a model, how well each agrees with it, and why one could not be built."""

    made: list[Variant]  #: those that are on disk now
    instead: list[str]  #: why a variant is not there, one sentence each

    def _repr_html_(self) -> str:
        rows = [row for variant in self.made for row in variant.rows()]
        parts = [table(rows, "Each compared with the model it was made from")] if rows else []
        parts += [note(text, "instead") for text in self.instead]
        parts += [_tried(variant) for variant in self.made if "tried" in variant.recipe]
        return "".join([*parts, *(note(text) for text in self.costs())])

    def costs(self) -> list[str]:
        """Return a sentence on each INT8 variant: what its speed costs."""
        texts = []
        for variant in self.made:
            if variant.kind != "int8":
                continue
            if (boxes := min(found.boxes for found in variant.agreements)) < LEAST_BOXES:
                texts.append(
                    f"The model found {some(boxes, 'box')} in the frames that {variant.path.name} was measured "
                    "on: too few to say what it costs, so it is timed below but not chosen. Take a video with people."
                )
                continue
            least = f"{LEAST_AP50:g} at IoU 0.5 and {LEAST_AP75:g} at 0.75"
            taken = (
                f"That is at least {least} on both, so it may be chosen below."
                if variant.proved
                else f"{least} are asked for on both, so it is timed below but not chosen."
            )
            figures = [f"{found.ap50:.3f} and {found.ap75:.3f}" for found in variant.agreements]
            texts.append(
                f"With the model's own boxes as the truth, those of {variant.path.name} reach an average precision of "
                f"{figures[0]} (at IoU 0.5 and 0.75) on frames like those of the calibration, and of {figures[-1]} on "
                f"other pictures: people enlarged, and the demo clip. {taken}"
            )
        return texts


def _tried(variant: Variant) -> str:
    recipe = variant.recipe
    tried = recipe["tried"] if isinstance(recipe["tried"], dict) else {}
    kept = {recipe["method"]: "kept"}
    rows = [
        {"calibration": name, "mean AP at 0.5 and 0.75": score, "": kept.get(name, "")}
        for name, score in tried.items()
    ]
    on = f"Tried on {recipe['calibration_frames']} frames, measured on {recipe['held_out_frames']} others"
    return table(rows, f"{on}; weights: {recipe['weights']}")


def build_variants(model: PeopleNet, source: Source, *, int8: bool = True, frames: int = 12) -> Variants:
    """Build the faster variants of a model that are not on disk yet, and say how well they agree with it.

    Parameters
    ----------
    model : PeopleNet
        The model.
    source : Source
        Whose frames INT8 is calibrated on.
    int8 : bool
        Whether to build INT8 too; the variant with a uint8 input is built always, and MNN's where MNN is installed.
    frames : int
        Frames of the source, spread over it, to calibrate on and to measure with; at least 6.
    """
    found = Variants([], [])
    every = max(1, (source.info.frame_count or 0) // frames)
    images = [frame.image for frame in source.sampled(every, frames)] if int8 else []
    for target in _targets():
        try:
            found.made.append(build_uint8(model.file, target=target))
            if int8:
                found.made.append(build_int8(model.file, images, target=target))
        except PeopleNetError as error:
            logger.info("no variant for %s: %s", target, error)
            found.instead.append(f"The model runs as it is. {error}")
    try:
        found.made.append(build_mnn(model.file))
    except DeviceError as error:  # optional: its row among the devices says that it is not there
        logger.info("no variant for mnn: %s", error)
    except PeopleNetError as error:
        found.instead.append(f"MNN is left out. {error}")
    return found


def _targets() -> list[Target]:
    """Return what variants are made for: CPUs always, TensorRT where ONNX Runtime has it and there is a GPU."""
    import onnxruntime as ort

    provider = "TensorrtExecutionProvider"
    if provider not in ort.get_available_providers() or not hardware.gpus():
        return [Target.CPU]
    preload(provider)
    return [Target.CPU] if refusal(provider) else [Target.CPU, Target.TENSORRT]
