"""From bytes on disk to a parsed ONNX model with a known input and outputs.

What is wrong with a file is recognised by its first bytes before any parser sees it (`peoplenet_nb.onnxfile.kind`):
a parser's own words help nobody whose download saved an error page.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peoplenet_nb.errors import ModelError
from peoplenet_nb.files import sha256_of
from peoplenet_nb.onnxfile.kind import DOWNLOAD_AGAIN, HEAD, what_it_is

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto


@dataclass(frozen=True)
class TensorInfo:
    """Name, dtype and shape of a tensor: numpy's name of its type, and names such as "N" for sizes at run time."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def parse(path: Path) -> tuple[int, str, ModelProto]:
    """Return size, SHA-256 and the parsed model of a file.

    Raises
    ------
    ModelError
        The file is missing, empty, another format, or no complete ONNX model.
    """
    if path.is_dir():
        what = "That is a folder, not a model file"
        raise ModelError(what, seen=path, next_step="Name the .onnx file in it.")
    if not path.exists():
        what = "There is no such model file"
        raise ModelError(
            what, seen=path, next_step="Check the path, or fetch PeopleNet: peoplenet-nb download."
        )
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(HEAD)
        sha256 = sha256_of(path)
    except OSError as error:
        what, seen = "The model file cannot be read", f"{path}: {error.strerror}"
        raise ModelError(what, seen=seen, next_step="Check its permissions.") from error
    if size == 0:
        raise ModelError("The model file is empty", seen=path, next_step=DOWNLOAD_AGAIN)
    other = what_it_is(head)
    if other:
        raise ModelError(f"The model file is {other[0]}", seen=f"{path}, {size} bytes", next_step=other[1])
    return size, sha256, _load(path, size)


def _load(path: Path, size: int) -> ModelProto:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    model: ModelProto | None = None
    try:
        # Weights stored outside are not read here: they may be large, and nothing below needs them.
        model = onnx.load(str(path), format="protobuf", load_external_data=False)
        broken = _incomplete(model)
    except (DecodeError, ValueError, UnicodeDecodeError) as error:
        broken = f"its structure cannot be parsed ({type(error).__name__})"
    if model is None or broken:
        what = "The model file is a truncated ONNX, or no ONNX at all"
        raise ModelError(what, seen=f"{path}, {size} bytes: {broken}", next_step=DOWNLOAD_AGAIN)
    for tensor in model.graph.initializer:
        location = next((e.value for e in tensor.external_data if e.key == "location"), None)
        if location is not None and not (path.parent / location).is_file():
            what, seen = (
                "The model keeps its weights in a second file, which is missing",
                f"{location} beside {path}",
            )
            raise ModelError(what, seen=seen, next_step="Put that file into the same folder.")
    return model


def _incomplete(model: ModelProto) -> str:
    """Return what is missing in a message that parsed, "" if nothing is.

    A file cut at the border between two fields parses without complaint, so ONNX's checker walks the graph: every
    operation must find its inputs, and every output be made.
    """
    from onnx import checker

    if any(tensor.external_data for tensor in model.graph.initializer):
        # Weights in a second file have a check and a message of their own.
        whole, model = model, type(model)()
        model.CopyFrom(whole)
        for tensor in model.graph.initializer:
            tensor.CopyFrom(type(tensor)(name=tensor.name, data_type=tensor.data_type, dims=[0]))
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        return str(error).strip().splitlines()[0]
    return "" if model.graph.output else "it has no outputs"


def tensor_info(value: ValueInfoProto) -> TensorInfo:
    """Return a graph value as `TensorInfo`; unnamed run-time sizes become "?"."""
    from onnx import helper

    tensor = value.type.tensor_type
    try:
        dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError:  # none is given, or a number that this onnx does not know
        dtype = "unknown"
    shape = tuple(
        int(d.dim_value) if d.HasField("dim_value") else (d.dim_param or "?") for d in tensor.shape.dim
    )
    return TensorInfo(value.name, dtype, shape)


def single_input(model: ModelProto, path: Path) -> TensorInfo:
    """Return the image input: the one graph input that no initializer fills, with 3 channels."""
    filled = {tensor.name for tensor in model.graph.initializer}
    inputs = [tensor_info(value) for value in model.graph.input if value.name not in filled]
    if len(inputs) == 1 and len(inputs[0].shape) == 4:
        shape = inputs[0].shape
        sides = shape[2:4] if shape[1] == 3 else shape[1:3] if shape[3] == 3 else ()
        if sides and all(isinstance(side, int) and side > 0 for side in sides):
            return inputs[0]
    raise another_network(path, "its input is not one picture of 3 channels and a fixed size", inputs)


def picture_size(image: TensorInfo) -> tuple[int, int]:
    """Return width and height of an input that `single_input` accepted, (N, 3, H, W) or (N, H, W, 3)."""
    height, width = image.shape[2:4] if image.shape[1] == 3 else image.shape[1:3]
    return int(width), int(height)


def check_types(path: Path, image: TensorInfo, outputs: Iterable[TensorInfo | None]) -> None:
    """Raise a ModelError unless the network takes float32 or uint8 and gives float32, as all that follows does."""
    odd = [image] if image.dtype not in ("float32", "uint8") else []
    odd += [tensor for tensor in outputs if tensor is not None and tensor.dtype != "float32"]
    if odd:
        raise ModelError(
            "The network computes in a type that is not supported at its ends",
            seen=f"{path.name}: {odd[0].name} is {odd[0].dtype}",
            next_step="Use an export whose input and outputs are float32; precision is chosen when it runs.",
        )


def another_network(path: Path, why: str, tensors: list[TensorInfo]) -> ModelError:
    """Build the error for a valid ONNX that is not DetectNet_v2."""
    listed = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in tensors) or "none"
    return ModelError(
        f"This is another network: {why}",
        seen=f"{path.name}: {listed}",
        next_step="Name a DetectNet_v2 model such as PeopleNet: outputs of C and 4C channels on one grid.",
    )


def sort_outputs(model: ModelProto, path: Path) -> tuple[TensorInfo, TensorInfo | None]:
    """Return coverage and, unless the model has coverage only, boxes: told apart by name, else by channel count."""
    outputs = [tensor_info(value) for value in model.graph.output]
    if not all(_is_grid(output) for output in outputs):
        outputs = _inferred(model, outputs)
    grids = [output for output in outputs if _is_grid(output)]
    named_boxes = [grid for grid in grids if "bbox" in grid.name.lower()]
    named_coverage = [grid for grid in grids if "cov" in grid.name.lower() and grid not in named_boxes]
    if len(named_coverage) == 1 and len(named_boxes) == 1:
        pairs = [(named_coverage[0], named_boxes[0])]
    elif len(outputs) == 1 and len(grids) == 1 and not named_boxes:
        if named_coverage or _is_sigmoid(model, grids[0].name):
            return grids[0], None
        why = "its only output is neither called coverage nor made by a sigmoid"
        raise another_network(path, why, outputs)
    else:
        pairs = [(a, b) for a in grids for b in grids if a is not b]
    fitting = [
        (coverage, boxes)
        for coverage, boxes in pairs
        if boxes.shape[1] == 4 * int(coverage.shape[1]) and coverage.shape[2:] == boxes.shape[2:]
    ]
    if len(fitting) != 1:
        raise another_network(path, "its outputs are not C and 4C channels on one grid", outputs)
    return fitting[0]


def _is_grid(output: TensorInfo) -> bool:
    return len(output.shape) == 4 and all(isinstance(size, int) and size > 0 for size in output.shape[1:])


def _inferred(model: ModelProto, outputs: list[TensorInfo]) -> list[TensorInfo]:
    """Fill in output sizes that the file leaves open, where they follow from the input's."""
    from onnx import shape_inference

    bare = type(model)()
    bare.CopyFrom(model)
    for value in bare.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        known = shape_inference.infer_shapes(bare)
    except (RuntimeError, ValueError):  # an operator it does not know: what the file says must do
        return outputs
    return [tensor_info(value) for value in known.graph.output]


def _is_sigmoid(model: ModelProto, name: str) -> bool:
    passing = {"Identity", "Cast", "Reshape", "Transpose", "QuantizeLinear", "DequantizeLinear"}
    made_by = {output: node for node in model.graph.node for output in node.output}
    for _ in made_by:  # a broken graph may go in a circle
        if name not in made_by or made_by[name].op_type not in passing:
            break
        name = made_by[name].input[0]
    return name in made_by and made_by[name].op_type == "Sigmoid"
