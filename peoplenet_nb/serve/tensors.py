"""Tensors of KServe's Open Inference Protocol v2, with Triton's binary extension: read from a body and written to one.

Two decisions to know. Names are told without the ``:0`` that the model file has behind them, because NVIDIA's sample
client looks for its outputs so; requests may use either, and are answered with theirs. And values as JSON are one flat
list, row by row, which is what Triton's clients send; nested lists, which the protocol allows too, would let a small
body become a hundred times as large when it is parsed.
"""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from starlette.responses import Response

from peoplenet_nb.onnxfile import ModelFile
from peoplenet_nb.preprocess import NetworkInput
from peoplenet_nb.serve.inference import Answer
from peoplenet_nb.serve.limits import Limits
from peoplenet_nb.serve.refusals import RefusedError, first_of
from peoplenet_nb.serve.service import Loaded
from peoplenet_nb.serve.values import Infer, Tensor, Wanted

MODEL = "peoplenet_tao"
VERSION = "1"
HEADER = "Inference-Header-Content-Length"
_SUFFIX = ":0"
_BRACKETS = 100  # in a request's JSON
_DIGITS = 24  # bytes of a value in JSON
_HEADER_BYTES = 1 << 16  # of the JSON beside values
_NOT_OFFERED = ("shared_memory_region", "classification", "sequence_id")

Floats = npt.NDArray[np.float32]


def _bare(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def input_of(file: ModelFile) -> tuple[str, list[int]]:
    """Return name and shape of the input, without the number of pictures."""
    width, height = file.network_size
    return _bare(file.input.name), [3, height, width]


def outputs_of(file: ModelFile) -> list[tuple[str, list[int]]]:
    """Return names and shapes of the outputs, boxes first as NVIDIA's configuration has them."""
    (rows, cols), classes = file.grid, file.num_classes
    boxes = [(file.boxes.name, [4 * classes, rows, cols])] if file.boxes is not None else []
    both = [*boxes, (file.coverage.name, [classes, rows, cols])]
    return [(_bare(name), shape) for name, shape in both]


def most_bytes(file: ModelFile, limits: Limits) -> int:
    """Return the largest body of a request: a whole batch in bytes, or one picture in JSON."""
    return _HEADER_BYTES + max(4 * limits.max_batch, _DIGITS) * prod(input_of(file)[1])


def _refuse(what: str, seen: object, next_step: str) -> RefusedError:
    return RefusedError(422, what, seen, next_step)


def read_infer(body: bytes, said: str | None, loaded: Loaded, limits: Limits) -> tuple[Infer, NetworkInput]:
    """Return a request and its pictures ``(N, 3, H, W)``, as the file that runs takes them.

    Parameters
    ----------
    body : bytes
        JSON, and binary tensors behind it where ``said`` tells the length of the JSON.
    said : str or None
        The header `HEADER`.

    Raises
    ------
    RefusedError
        422 for whatever does not fit the protocol or the model.
    """
    file, length = loaded.model.file, len(body)
    if said is not None:
        if not said.isascii() or not said.isdecimal() or not 0 < int(said) <= len(body):
            step = "give the number of bytes of the JSON."
            raise _refuse(f"{HEADER} is not within the body", said[:32], step)
        length = int(said)
    text = body[:length]
    # A flat list needs few brackets and as many commas as values; what has more would take a hundred times as much
    # memory when it is parsed.
    commas = 2 * prod(input_of(file)[1])
    if text.count(b"[") + text.count(b"{") > _BRACKETS or text.count(b",") > commas:
        step = "send the values of one picture as a flat list; send several as bytes."
        raise _refuse("The JSON holds too many values, or nests", f"{len(text)} bytes", step)
    try:
        asked = Infer.model_validate_json(text)
    except ValidationError as error:
        step = "compare it with KServe's Open Inference Protocol v2."
        raise _refuse("The request is not one of KServe v2", first_of(error), step) from None
    pictures = _pictures(asked, memoryview(body)[length:], file, limits)
    if not np.isfinite(pictures).all():
        raise _refuse("The input holds values that are not numbers", "NaN or infinity", "send RGB / 255.")
    known = [name for name, _ in outputs_of(file)]
    for one in asked.outputs:
        if _bare(one.name) not in known:
            raise _refuse("There is no such output", one.name[:64], f"ask for {' or '.join(known)}.")
    tensors: list[Tensor | Wanted] = [*asked.inputs, *asked.outputs]
    for given in [asked.parameters, *(one.parameters for one in tensors)]:
        if odd := next((name for name in _NOT_OFFERED if given.get(name)), ""):
            raise _refuse("That is not offered here", odd, "leave this parameter out.")
    return asked, as_input(pictures, loaded)


def _pictures(asked: Infer, behind: memoryview, file: ModelFile, limits: Limits) -> Floats:
    (tensor, *more), (name, dims) = asked.inputs, input_of(file)
    if more or _bare(tensor.name) != name or tensor.datatype != "FP32":
        seen = ", ".join(f"{one.name[:64]} {one.datatype[:16]}" for one in asked.inputs)
        raise _refuse("The model has another input", seen, f"send {name}, FP32, and nothing else.")
    if tensor.shape[1:] != dims or not 1 <= tensor.shape[0] <= limits.max_batch:
        step = f"send {['N', *dims]} with N from 1 to {limits.max_batch}.".replace("'", "")
        raise _refuse("The input has another shape", tensor.shape, step)
    values, count = _values(tensor, behind), prod(tensor.shape)
    if values.size != count:
        raise _refuse("The input has not as many values as its shape", values.size, f"send {count} of them.")
    return values.reshape(tensor.shape)


def _values(tensor: Tensor, behind: memoryview) -> Floats:
    size = tensor.parameters.get("binary_data_size")
    if size is not None:
        if size != len(behind) or size % 4 or tensor.data:
            seen = f"{str(size)[:32]}, and {len(behind)} bytes behind the JSON"
            raise _refuse("binary_data_size is not what came", seen, "send FP32 in little-endian order.")
        # The JSON before it has any length, and an engine wants its values aligned.
        return np.require(np.frombuffer(behind, "<f4"), np.float32, "A")
    if not tensor.data:
        step = "send data, or binary_data_size and bytes."
        raise _refuse("The input has no values", tensor.name[:64], step)
    with np.errstate(over="ignore"):  # what is too large becomes infinity, which is refused
        return np.asarray(tensor.data, np.float32)


def as_input(pictures: Floats, loaded: Loaded) -> NetworkInput:
    """Return pictures as the file that runs takes them; its variant with a uint8 input takes pixels as bytes."""
    if not loaded.model.runs.channels_last:
        return pictures
    pixels = np.rint(np.clip(pictures, 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.ascontiguousarray(pixels[:, ::-1].transpose(0, 2, 3, 1))


def write_infer(asked: Infer, answer: Answer, file: ModelFile) -> Response:
    """Return the outputs that were asked for, each as JSON or as bytes as it was asked for."""
    arrays = {_bare(file.coverage.name): np.stack([grids.coverage for grids in answer.grids])}
    if file.boxes is not None:
        boxes = [grids.boxes for grids in answer.grids if grids.boxes is not None]
        arrays[_bare(file.boxes.name)] = np.stack(boxes)
    suffix = _SUFFIX if asked.inputs[0].name.endswith(_SUFFIX) else ""
    wanted = {one.name: one.parameters for one in asked.outputs}
    every = asked.parameters.get("binary_data_output", False)
    outputs: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for name, parameters in (wanted or {name + suffix: {} for name, _ in outputs_of(file)}).items():
        array = arrays[_bare(name)]
        made: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(array.shape)}
        if parameters.get("binary_data", every):
            behind.append(array.astype("<f4", copy=False).tobytes())
            made["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            made["data"] = array.ravel().tolist()
        outputs.append(made)
    head = {"model_name": MODEL, "model_version": VERSION, "outputs": outputs}
    if asked.id is not None:
        head["id"] = asked.id
    text = json.dumps(head).encode()
    if not behind:
        return Response(text, media_type="application/json")
    headers = {HEADER: str(len(text))}
    return Response(b"".join([text, *behind]), media_type="application/octet-stream", headers=headers)
