"""What is inside a model file and how it runs, as a table and for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peoplenet_nb.html_tables import fold, note, pairs, table
from peoplenet_nb.onnxfile import head_health

if TYPE_CHECKING:
    import pandas as pd

    from peoplenet_nb.onnxfile import ModelFile, TensorInfo


def describe(file: ModelFile, running: Mapping[str, object]) -> pd.DataFrame:
    """Return what is inside a file, and facts on how it runs, as a table with the columns ``what`` and ``value``."""
    import pandas as pd

    as_named = "" if file.qdq else ": runs as FP32, whatever the file's name says"
    layers = sorted(file.nodes.items(), key=lambda item: -item[1])
    rows: dict[str, object] = {
        "file": file.path,
        "kind": "stand-in for the demo clip, not PeopleNet" if file.standin else "DetectNet_v2",
        "size": f"{file.size:,} bytes",
        "sha256": file.sha256,
        "opset": f"{file.opset} (IR {file.ir_version})",
        "parameters": f"{file.parameters:,}",
        "layers": ", ".join(f"{n} {op}" for op, n in layers),
        "quantization": f"{file.qdq} Q/DQ nodes{as_named}",
        "classes": ", ".join(file.labels),
        "grid": f"{file.grid[0]} rows x {file.grid[1]} columns, stride {file.stride} px",
        **dict.fromkeys(("input", "coverage output", "box output"), "none: this model has no boxes"),
        **{what: f"{tensor.name} {tensor.dtype} {tensor.shape}" for what, tensor in _tensors(file)},
        **running,
    }
    for head in head_health(file.path):
        rows[f"head '{head.label}'"] = f"alive: {head.reason}" if head.alive else head.reason
    return pd.DataFrame(rows.items(), columns=["what", "value"])


def _tensors(file: ModelFile) -> list[tuple[str, TensorInfo]]:
    """Return the model's input and those outputs that it has."""
    tensors = {"input": file.input, "coverage output": file.coverage, "box output": file.boxes}
    return [(what, tensor) for what, tensor in tensors.items() if tensor is not None]


def model_html(file: ModelFile, running: Mapping[str, object], dead: Sequence[str]) -> str:
    """Return the model in a few lines, its dead heads in words, and all of `describe` behind a fold."""
    kind = "the demo's small stand-in, not PeopleNet" if file.standin else "DetectNet_v2"
    facts: list[tuple[str, object]] = [
        ("model", f"{file.path} ({kind})"),
        ("runs on", f"{running['device']}: {running['runs']}; fit: {running['fit']}"),
    ]
    facts += [(what, f"{tensor.name}  {tensor.shape}") for what, tensor in _tensors(file)]
    facts.append(("classes", ", ".join(file.labels)))
    notes = []
    if file.standin:
        text = "the stand-in knows the rendered demo clip only; what it finds elsewhere means nothing."
        notes.append(note(f"{text} Notebook 02 fetches PeopleNet.", "instead"))
    if dead:
        text = "finds nothing, whatever its threshold: its weights in the last layer are next to nothing."
        notes.append(note(f"Dead head: {', '.join(dead)} {text}"))
    return pairs(facts) + "".join(notes) + fold("all that is known of it", table(describe(file, running)))
