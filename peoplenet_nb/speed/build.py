"""Building variants of a model, measuring how well they agree with it, and keeping both on disk.

One decision to know: nothing is kept that was not measured. A variant is built under a temporary name and run
beside the model, INT8 also on pictures unlike those that it was calibrated on, and moved into place with the record
of that.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from peoplenet_nb.errors import ModelError
from peoplenet_nb.files import writing
from peoplenet_nb.hardware import cpu_name
from peoplenet_nb.network.agreement import Frame, compare, infer_all, noise, times_as_fast, unlike
from peoplenet_nb.network.engines import open_backend
from peoplenet_nb.network.graph import stamp, with_uint8_input
from peoplenet_nb.network.variants import TIMES, Agreement, Target, Variant, int8_path, uint8_path
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.speed.int8 import METHODS, quantize

logger: logging.Logger = logging.getLogger(__name__)


def build_uint8(source: ModelFile, *, target: Target = Target.CPU, force: bool = False) -> Variant:
    """Return the variant of a model that takes resized BGR bytes, built if it is not on disk yet.

    Parameters
    ----------
    source : ModelFile
        The model.
    target : Target
        What it is made for.
    force : bool
        Build anew even if there is one.

    Raises
    ------
    ModelError
        When the network cannot take bytes, or its outputs differ from the model's by more than 1e-3 in
        coverage or 0.5 pixels in boxes.
    OutputError
        When the folder cannot be written.
    """
    import onnx

    path = uint8_path(source, target)
    if not force and (found := Variant.load(path, source)) is not None:
        return found
    model = with_uint8_input(onnx.load(str(source.path)), source.input.name, target)
    stamp(model, "uint8-input", source.sha256)
    with _temporary_folder(path) as folder:
        made = folder / path.name
        onnx.save(model, str(made))
        pictures = noise(3)
        agreement = compare(infer_all(source, pictures), infer_all(read_model_file(made), pictures))
        if agreement.coverage > 1e-3 or agreement.box_px > 0.5:
            raise ModelError(
                "The variant with a uint8 input does not agree with the model",
                seen=f"coverage differs by {agreement.coverage:.1e}, boxes by {agreement.box_px:.2f} px",
                next_step="run the model as it is, and report this with the model's sha256.",
            )
        return Variant(path, "uint8-input", source.sha256, _versions(target), agreement).save(made)


def build_int8(
    source: ModelFile, frames: Sequence[Frame], *, target: Target = Target.CPU, force: bool = False
) -> Variant:
    """Return the static INT8 variant of a model, built if it is not on disk yet.

    Every calibration method is tried on two thirds of the frames. It is measured on the others, and on pictures
    unlike all of them (`peoplenet_nb.network.agreement.unlike`); the one whose boxes agree best with the model's is
    kept.

    Parameters
    ----------
    source, target, force
        As for `build_uint8`; the model is FP32.
    frames : sequence of ndarray
        At least 6 BGR frames of the kind that the model will see.

    Raises
    ------
    ModelError
        When there are too few frames, or the model is quantized already.
    OutputError
        When the folder cannot be written.
    """
    import onnx

    path = int8_path(source, target)
    if not force and (found := Variant.load(path, source)) is not None:
        return found
    if source.quantized:
        raise ModelError("The model is quantized already", seen=source.path, next_step="run it as it is.")
    if len(frames) < 6:
        what = "Too few frames to calibrate on and measure with"
        raise ModelError(what, seen=len(frames), next_step="name at least 6 frames.")
    held_out = list(frames[::3])
    calibration = [frame for i, frame in enumerate(frames) if i % 3]
    bytes_in = onnx.load(str(build_uint8(source, target=target).path))
    wanted = infer_all(source, held_out)
    others = unlike(held_out, wanted)
    wanted_of_others = infer_all(source, others)
    with _temporary_folder(path) as folder:
        tried: dict[str, tuple[Path, Agreement, Agreement]] = {}
        for method in METHODS:
            model = quantize(bytes_in, source, calibration, method, target)
            stamp(model, "int8", source.sha256)
            made = folder / f"{path.stem}.{method}.onnx"
            onnx.save(model, str(made))
            file = read_model_file(made)
            alike = compare(wanted, infer_all(file, held_out))
            tried[method] = made, alike, compare(wanted_of_others, infer_all(file, others))
            logger.info("%s: %s; on other pictures: %s", method, *tried[method][1:])
        scores = {method: (one.score + other.score) / 2 for method, (_, one, other) in tried.items()}
        # By the boxes; where there were none to compare, by the coverage.
        best = max(tried, key=lambda method: (scores[method], -tried[method][1].coverage_mean))
        on_cpu = target is Target.CPU
        recipe = _versions(target) | {
            "method": best,
            "tried": {method: round(score, 4) for method, score in scores.items()},
            "calibration_frames": len(calibration),
            "held_out_frames": len(held_out),
            "weights": f"int8 per channel, {'no pair overflows' if on_cpu else 'symmetric'}",
            "activations": "uint8" if on_cpu else "int8, symmetric",
            "in_float": "the last convolution of each output and what follows it",
        }
        made, *agreements = tried[best]
        if on_cpu:
            file, fp32 = read_model_file(made), read_model_file(uint8_path(source))
            recipe["cpu"] = cpu_name()
            recipe[TIMES] = times_as_fast((file, open_backend(file)), (fp32, open_backend(fp32)))
        return Variant(path, "int8", source.sha256, recipe, *agreements).save(made)


def _versions(target: Target) -> dict[str, object]:
    import onnx
    import onnxruntime

    from peoplenet_nb import __version__

    made_with = {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    return {"target": str(target), "peoplenet_nb": __version__, **made_with}


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a folder of this build's own beside where its result will stay, and remove it whatever happens."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
            yield Path(folder)
