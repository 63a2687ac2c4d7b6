"""NVIDIA's transformer detectors, told by their tensors: what they are, and that they have no grids.

DetectNet_v2 left TAO with 5.5, so their files are what people bring next. Names of tensors, classes and preprocessing
are those of NVIDIA's models on NGC.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peoplenet_nb.errors import ModelError
from peoplenet_nb.onnxfile.parse import tensor_info

if TYPE_CHECKING:
    from onnx import ModelProto

_OUTPUTS = {"pred_logits", "pred_boxes"}
_OTHER = (
    "one of NVIDIA's transformer detectors",
    "its labels are in an order of their own: see its model card",
)
#: What it is, and its classes and input, by the number of its logits.
_KINDS = {
    4: (
        "PeopleNet Transformer",
        "its labels are background, person, face, bag, and it wants RGB minus 123.675, 116.28, 103.53, times 0.01735",
    ),
    7: ("an RT-DETR as for warehouses", "its 7 labels begin with person, and it wants RGB over 255"),
}


def refuse_transformer(model: ModelProto, path: Path) -> None:
    """Raise a ModelError that says which network it is, where it is one of NVIDIA's transformers.

    Raises
    ------
    ModelError
        When its outputs are logits and boxes of queries.
    """
    outputs = {value.name: tensor_info(value) for value in model.graph.output}
    if not outputs.keys() >= _OUTPUTS:
        return
    logits = outputs["pred_logits"]
    what, wants = _KINDS.get(
        int(logits.shape[-1]) if logits.shape and isinstance(logits.shape[-1], int) else 0, _OTHER
    )
    listed = ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in outputs.values())
    raise ModelError(
        f"This is {what}, not DetectNet_v2: it has {logits.shape[1] if len(logits.shape) > 1 else 'some'} boxes with a "
        f"score each and no grids, so thresholds, clustering and the tuner here are not for it; {wants}",
        seen=f"{path.name}: {listed}",
        next_step="run it in DeepStream with the sample of its name, or download PeopleNet: peoplenet-nb download.",
    )
