"""What is inside a model file and how it runs, as a table and for a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from peoplenet_nb.files import atomic
from peoplenet_nb.html_tables import fold, note, pairs, table
from peoplenet_nb.onnxfile import head_health

if TYPE_CHECKING:
    import pandas as pd

    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.onnxfile import ModelFile, TensorInfo


def running(model: PeopleNet) -> dict[str, object]:
    """Return how a model runs, as rows of `describe`."""
    runs = "the file itself" if model.runs is model.file else f"its variant {model.runs.path}"
    return {
        "runs": f"{runs}, in {model.precision}",
        "device": f"{model.device} ({', '.join(model.providers)})",
        "threads": model.backend.threads,
        "fit": str(model.fit) + (" (the whole and 2 x 2 parts)" if model.tiles > 1 else ""),
    }


def save_arrays(folder: Path, arrays: Mapping[str, npt.NDArray[np.float32] | None]) -> dict[str, Path]:
    """Write arrays as ``.npy`` files, those that there are; return the path of each."""
    written = {}
    for name, array in arrays.items():
        if array is not None:
            written[name] = folder / f"{name}.npy"
            with atomic(written[name]) as partial, partial.open("wb") as stream:
                np.save(stream, array)
    return written


def describe(model: PeopleNet) -> pd.DataFrame:
    """Return what is inside a model file, and how it runs, as a table with the columns ``what`` and ``value``."""
    import pandas as pd

    file = model.file
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
        **running(model),
    }
    for head in head_health(file.path):
        rows[f"head '{head.label}'"] = f"alive: {head.reason}" if head.alive else head.reason
    return pd.DataFrame(rows.items(), columns=["what", "value"])


def _tensors(file: ModelFile) -> list[tuple[str, TensorInfo]]:
    """Return the model's input and those outputs that it has."""
    names = ("input", "coverage output", "box output")
    return list(zip(names, (file.input, *file.outputs), strict=False))


def model_html(model: PeopleNet) -> str:
    """Return the model in a few lines, its dead heads in words, and all of `describe` behind a fold."""
    file, how, dead = model.file, running(model), [head.label for head in model.dead_heads]
    kind = "the demo's small stand-in, not PeopleNet" if file.standin else "DetectNet_v2"
    facts: list[tuple[str, object]] = [
        ("model", f"{file.path} ({kind})"),
        ("runs on", f"{how['device']}: {how['runs']}; fit: {how['fit']}"),
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
    return pairs(facts) + "".join(notes) + fold("all that is known of it", table(describe(model)))
