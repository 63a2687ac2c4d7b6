"""How a model file shows itself in a notebook: what it is, how often each operation occurs, what it computes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peoplenet_nb.html_tables import note, pairs, table

if TYPE_CHECKING:
    from peoplenet_nb.onnxfile.file import ModelFile

_INTEGERS = "The network computes in integers where it can."
_FLOATS = (
    "Without Q/DQ nodes ONNX Runtime computes in FP32, whatever the file's name says; int8 then takes effect in "
    "TensorRT only, through the calibration cache."
)


def model_file_html(file: ModelFile) -> str:
    """Return a model file as HTML."""
    facts: list[tuple[str, object]] = [
        ("file", file.path),
        ("size", f"{file.size:,} bytes"),
        ("sha256", file.sha256),
        ("classes", ", ".join(file.labels)),
        ("parameters", f"{file.parameters:,}"),
        ("nodes", f"{sum(file.nodes.values())}, {file.qdq} of them Q/DQ"),
    ]
    often = sorted(file.nodes.items(), key=lambda entry: -entry[1])
    rows = [{"operation": name, "how often": n} for name, n in often]
    return pairs(facts) + note(_INTEGERS if file.quantized else _FLOATS) + table(rows)
