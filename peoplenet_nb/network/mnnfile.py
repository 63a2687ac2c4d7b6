"""A model in MNN's own format: made from the ONNX, compared with it and timed beside it.

One decision to know: all of that happens in a process of its own. MNN is native code, and its converter talks; a crash
there is an error here with its last words, and what came through has really run on this machine. It is kept as a
variant (`peoplenet_nb.network.variants`), whose record says how well it agrees and how fast it was here.
"""

from __future__ import annotations

import hashlib
import json
import logging
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from peoplenet_nb.errors import DeviceError, ModelError, OutputError, PeopleNetError
from peoplenet_nb.files import sha256_of, write_text, writing
from peoplenet_nb.hardware import cpu_name, has_int8_instructions
from peoplenet_nb.network.agreement import compare, infer_all, noise, times_as_fast
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.engines import check_device, open_backend
from peoplenet_nb.network.engines.mnn import version
from peoplenet_nb.network.graph import stamp, with_uint8_input
from peoplenet_nb.network.variants import RECIPE, TIMES, Agreement, Variant, variants_dir
from peoplenet_nb.onnxfile import ModelFile, TensorInfo, read_model_file
from peoplenet_nb.paths import DEMO_CLIP
from peoplenet_nb.sources import open_source

logger: logging.Logger = logging.getLogger(__name__)

# FP32 by Winograd rounds more than a plain convolution: on `vtest.avi` up to 1e-3 in coverage and 0.05 pixels.
_COVERAGE, _PIXELS = 5e-3, 0.5
_TIMEOUT = 600.0
_LAST_WORDS = 400


def mnn_path(source: ModelFile) -> Path:
    """Return where a model in MNN's format is kept: by MNN's version and processor, which its record speaks of."""
    machine = hashlib.sha256(cpu_name().encode()).hexdigest()[:8]
    return variants_dir(source) / f"{source.path.stem}.mnn-{version()}-{machine}.r{RECIPE}.mnn"


def in_mnn(source: ModelFile, path: Path) -> ModelFile:
    """Return what is known of a model for its file in MNN's format, which takes resized BGR bytes."""
    width, height = source.network_size
    pixels = TensorInfo(source.input.name, "uint8", (source.input.shape[0], height, width, 3))
    return replace(source, path=path, size=path.stat().st_size, sha256=sha256_of(path), input=pixels)


def build_mnn(source: ModelFile, *, force: bool = False) -> Variant:
    """Return the variant of a model in MNN's format, built if it is not on disk yet: a matter of seconds.

    It takes resized BGR bytes, as the variant with a uint8 input does. It is compared with the model on frames of noise
    and of the demo clip; its record holds how many times as fast as ONNX Runtime it was.

    Parameters
    ----------
    source : ModelFile
        The model.
    force : bool
        Build anew even if there is one.

    Raises
    ------
    DeviceError
        When MNN is not installed, or the process was stopped, as where memory runs out.
    ModelError
        When MNN does not take the network, or its outputs differ from the model's by more than 5e-3 in coverage or
        half a pixel.
    OutputError
        When the folder cannot be written.
    """
    check_device(Device.MNN)
    path = mnn_path(source)
    if not force and (found := Variant.load(path, source)) is not None:
        return found
    logger.info("the model is put into MNN's format, once; it is kept in %s", path.parent)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".building-") as folder:
            made = Path(folder) / path.name
            answer = _in_own_process(source, made)
            agreement = Agreement(**answer["agreement"])
            if agreement.coverage > _COVERAGE or agreement.box_px > _PIXELS:
                raise ModelError(
                    "MNN does not agree with the model",
                    seen=f"coverage differs by {agreement.coverage:.1e}, boxes by {agreement.box_px:.2f} px",
                    next_step="use device='cpu', and report this with the model's sha256.",
                )
            return Variant(path, "mnn", source.sha256, answer["recipe"], agreement).save(made)


def mnn_pays(source: ModelFile) -> bool:
    """Return whether ``auto`` on a CPU should take MNN: it agrees with the model and was faster on this machine.

    That is looked up where it is known. It is found out, once, on CPUs without VNNI and AMX; on others only
    `peoplenet-nb optimise`, `bench` and notebook 06 do so. The stand-in is fast enough as it is.
    """
    if source.standin or source.quantized:
        return False
    try:
        check_device(Device.MNN)  # first: without MNN there is no version to name a file by
        path = mnn_path(source)
        failed = path.with_suffix(".failed")
        found = Variant.load(path, source)
        if found is None and (has_int8_instructions() or failed.exists()):
            return False
        found = found or build_mnn(source)
    except PeopleNetError as error:
        logger.info("auto passes over mnn: %s", error)
        if isinstance(error, ModelError):
            with suppress(OutputError):  # the disk may be full, and the CPU still runs
                write_text(failed, f"{error}\n")  # not tried at every load; named by hand, mnn is
        return False
    return found.pays


def _in_own_process(source: ModelFile, made: Path) -> dict[str, Any]:
    """Return agreement and recipe of a conversion that a process of its own made."""
    command = [sys.executable, "-P", "-c", f"from {__name__} import main; main()", str(source.path)]
    options: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "replace"}
    try:
        done = subprocess.run(
            [*command, str(made)], timeout=_TIMEOUT, stdin=subprocess.DEVNULL, check=False, **options
        )
        words, code = done.stdout, done.returncode
        reason = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _stopped(error) from error
    if code == -signal.SIGKILL:  # the system does that where memory runs out
        raise _stopped(reason)
    try:
        answer: dict[str, Any] = json.loads(made.with_suffix(".answer").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            "MNN could not take the model",
            seen=f"{reason}: {' '.join(words.split())[-_LAST_WORDS:]}",
            next_step="use device='cpu', and report this with the model's sha256.",
        ) from error
    return answer


def _stopped(why: object) -> DeviceError:
    """Return the error of what may well work at another time, which `mnn_pays` therefore does not remember."""
    return DeviceError(
        "Putting the model into MNN's format was stopped before its end",
        seen=why,
        next_step="see that memory is free (free -h) and try again, or use device='cpu'.",
    )


def main() -> None:
    """Convert the model of the command line, compare and time it: what `build_mnn` starts."""
    source, made = read_model_file(sys.argv[1]), Path(sys.argv[2])
    convert(source, made)
    runs = in_mnn(source, made)
    here, mnn = open_backend(source), open_backend(runs, Device.MNN)
    pictures = noise(3) + [frame.image for frame in open_source(DEMO_CLIP).sampled(100, 3)]
    agreement = compare(infer_all(source, pictures, here), infer_all(runs, pictures, mnn))
    recipe = {"mnn": version(), "cpu": cpu_name(), TIMES: times_as_fast((runs, mnn), (source, here))}
    write_text(made.with_suffix(".answer"), json.dumps({"agreement": asdict(agreement), "recipe": recipe}))


def convert(source: ModelFile, made: Path) -> None:
    """Write a model in MNN's format, its input resized BGR bytes; the converter prints, and might crash."""
    import _tools  # the wheel's converter, without the telemetry of `MNN.tools`
    import onnx

    model = with_uint8_input(onnx.load(str(source.path)), source.input.name)
    stamp(model, "mnn", source.sha256)
    plain = made.with_suffix(".onnx")
    onnx.save(model, str(plain))
    words = ["-f", "ONNX", "--modelFile", str(plain), "--MNNModel", str(made), "--bizCode", "peoplenet_nb"]
    _tools.mnnconvert(["mnnconvert", *words])
