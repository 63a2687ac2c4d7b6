"""What an ONNX file says about itself, read without running it, and which class heads can find anything at all.

The two outputs are recognised by name ("cov", "bbox"), else by channel count (C against 4C), never by position,
because NVIDIA's own configurations list them in both orders. Nothing is fixed to 3 classes, 34x60 cells or stride
16; all of it is read from the file.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from peoplenet_nb.errors import ModelError
from peoplenet_nb.html_tables import note, pairs, table
from peoplenet_nb.onnxfile.labels import labels_for
from peoplenet_nb.onnxfile.parse import (
    TensorInfo,
    check_types,
    parse,
    picture_size,
    single_input,
    sort_outputs,
)
from peoplenet_nb.onnxfile.transformers import refuse_transformer

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnx import ModelProto

log: logging.Logger = logging.getLogger(__name__)

STANDIN_KEY = "peoplenet_nb.standin"
_INTEGERS = "The network computes in integers where it can."
_FLOATS = (
    "Without Q/DQ nodes ONNX Runtime computes in FP32, whatever the file's name says; int8 then takes effect in "
    "TensorRT only, through the calibration cache."
)

# Below this fraction of the strongest head's norm, or this norm, a head's output is its bias everywhere.
_DEAD_FRACTION = 1e-3
_DEAD_NORM = 1e-4


@dataclass(frozen=True)
class ModelFile:
    """One DetectNet_v2 model file."""

    path: Path
    size: int  # bytes
    sha256: str  # hexadecimal
    ir_version: int
    opset: int  # of the default domain
    producer: str  # exporter and its version, "" when the file does not say
    parameters: int  # weights and biases, without scales and zero points of quantisation
    nodes: Mapping[str, int]  # how often each operation occurs
    qdq: int  # QuantizeLinear and DequantizeLinear nodes; with 0 it runs as FP32 whatever its name says
    input: TensorInfo  # (N, 3, H, W) or (N, H, W, 3)
    coverage: TensorInfo  # (N, C, rows, columns)
    boxes: TensorInfo | None  # (N, 4C, rows, columns); None for a coverage-only model
    labels: tuple[str, ...]  # lower-case, one per coverage channel
    stride: int  # network pixels per cell
    metadata: Mapping[str, str]  # the file's own key-value pairs
    standin: bool  # whether this is the project's stand-in network, which only knows the demo clip

    @property
    def num_classes(self) -> int:
        """Coverage channels."""
        return int(self.coverage.shape[1])

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Coverage and, where there are, boxes."""
        return (self.coverage,) if self.boxes is None else (self.coverage, self.boxes)

    @property
    def channels_last(self) -> bool:
        """Whether the input is (N, H, W, 3) instead of (N, 3, H, W)."""
        return self.input.shape[1] != 3

    @property
    def network_size(self) -> tuple[int, int]:
        """Input width and height in network pixels."""
        return picture_size(self.input)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return int(self.coverage.shape[2]), int(self.coverage.shape[3])

    @property
    def quantized(self) -> bool:
        """Whether any operation works on integers: Q/DQ pairs or the QLinear operators."""
        return self.qdq > 0 or any(name.startswith("QLinear") or "Integer" in name for name in self.nodes)

    def _repr_html_(self) -> str:
        facts: list[tuple[str, object]] = [
            ("file", self.path),
            ("size", f"{self.size:,} bytes"),
            ("sha256", self.sha256),
            ("classes", ", ".join(self.labels)),
            ("parameters", f"{self.parameters:,}"),
            ("nodes", f"{sum(self.nodes.values())}, {self.qdq} of them Q/DQ"),
        ]
        often = sorted(self.nodes.items(), key=lambda entry: -entry[1])
        rows = [{"operation": name, "how often": n} for name, n in often]
        return pairs(facts) + note(_INTEGERS if self.quantized else _FLOATS) + table(rows)


@dataclass(frozen=True)
class HeadHealth:
    """Whether one class head can find anything, by the L2 norms of its weights in the last layer.

    A norm is NaN when the weights could not be traced or there are none (the boxes of a coverage-only model).
    """

    label: str
    coverage_weight_norm: float
    box_weight_norm: float
    alive: bool  # False when the weights are too small to move the output; True also when that is unknown
    reason: str  # one sentence; begins with "unknown" when the weights could not be traced


def read_model_file(path: str | Path) -> ModelFile:
    """Read and check a DetectNet_v2 model without running it.

    Parameters
    ----------
    path : str or Path
        An ``.onnx`` file. Labels are taken from a ``labels.txt`` beside it, else from the metadata key
        "labels", else person, bag, face for three classes, else class0, class1, ...

    Returns
    -------
    ModelFile

    Raises
    ------
    ModelError
        The file is missing, empty, HTML, JSON, a Git LFS pointer, another format, a truncated ONNX, or a
        network whose outputs are not C and 4C channels on one grid that divides the input.

    Examples
    --------
    >>> from peoplenet_nb import demo
    >>> read_model_file(demo.STANDIN).grid
    (34, 60)
    """
    return _describe(Path(path))[0]


def head_health(path: str | Path) -> tuple[HeadHealth, ...]:
    """Tell for each class whether its head can find anything, from the weights of the last layer.

    PeopleNet v2.3.4 is the reason: its bag head has regression weights of about 1e-7, and a threshold for
    it would be tuned in vain.

    Parameters
    ----------
    path : str or Path
        An ``.onnx`` file.

    Returns
    -------
    tuple of HeadHealth
        In the order of the labels.

    Raises
    ------
    ModelError
        As `read_model_file`.
    """
    from peoplenet_nb.onnxfile.trace import Untraceable, WeightTracer

    described, model = _describe(Path(path))
    tracer = WeightTracer(model, described.path.parent)
    classes = described.num_classes
    norms = {"coverage": np.full(classes, np.nan), "box": np.full(classes, np.nan)}
    unknown = ""
    for kind, output in (("coverage", described.coverage), ("box", described.boxes)):
        if output is None:
            continue
        try:
            rows = tracer.rows(output.name, int(output.shape[1]))
        except Untraceable as reason:
            unknown = f"unknown: {output.name}: {reason}"
            log.debug("%s", unknown)
        else:
            norms[kind] = np.sqrt((rows.reshape(classes, -1) ** 2).sum(axis=1))
            if not np.isfinite(norms[kind]).all():
                unknown = f"unknown: the weights of {output.name} hold NaN or infinity"
    return tuple(
        _verdict(label, {kind: float(norm[i]) for kind, norm in norms.items()}, norms, unknown)
        for i, label in enumerate(described.labels)
    )


def _verdict(
    label: str, own: dict[str, float], all_norms: dict[str, NDArray[np.float64]], unknown: str
) -> HeadHealth:
    """Judge one head against the strongest of its model."""
    dead = []
    for kind, norm in own.items():
        strongest = float(np.max(all_norms[kind], where=np.isfinite(all_norms[kind]), initial=0.0))
        if norm < max(_DEAD_NORM, _DEAD_FRACTION * strongest):
            dead.append(f"its {kind} weights are about {norm:.1e} (strongest head: {strongest:.2g})")
    if dead:
        reason = "dead: " + " and ".join(dead) + ", so what it gives does not depend on the picture"
    else:
        reason = unknown or "its weights are of the usual size"
    return HeadHealth(label, own["coverage"], own["box"], not dead, reason)


def _describe(path: Path) -> tuple[ModelFile, ModelProto]:
    """Read a file as a `ModelFile` and as the parser's message, or say why it is another network."""
    size, sha256, model = parse(path)
    refuse_transformer(model, path)
    graph = model.graph
    image = single_input(model, path)
    coverage, boxes = sort_outputs(model, path)
    check_types(path, image, (coverage, boxes))
    rows, columns = (int(side) for side in coverage.shape[2:4])
    width, height = picture_size(image)
    if height % rows or width % columns or height // rows != width // columns:
        what = "The grid of the outputs does not divide the network input evenly, so this is another network"
        seen = f"{path.name}: input {width}x{height}, grid {columns}x{rows}"
        fix = "Use a DetectNet_v2 model: PeopleNet's is 960x544 with a grid of 60x34."
        raise ModelError(what, seen=seen, next_step=fix)
    nodes = Counter(node.op_type for node in graph.node)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    # Scales and zero points belong to the quantisation, not to what was learnt.
    helpers = {name for node in graph.node if node.op_type.endswith("eLinear") for name in node.input[1:]}
    learnt = [tensor for tensor in graph.initializer if tensor.dims and tensor.name not in helpers]
    described = ModelFile(
        path=path,
        size=size,
        sha256=sha256,
        ir_version=int(model.ir_version),
        opset=next((int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx")), 0),
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        parameters=sum(int(np.prod(tensor.dims, dtype=np.int64)) for tensor in learnt),
        nodes=dict(sorted(nodes.items())),
        qdq=nodes["QuantizeLinear"] + nodes["DequantizeLinear"],
        input=image,
        coverage=coverage,
        boxes=boxes,
        labels=labels_for(path, int(coverage.shape[1]), metadata),
        stride=height // rows,
        metadata=metadata,
        standin=metadata.get(STANDIN_KEY) == "1",
    )
    return described, model
