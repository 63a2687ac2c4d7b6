"""What is inside a model file, read without running it. A file is judged by its content, never by its name."""

from __future__ import annotations

from peoplenet_nb.onnxfile.file import HeadHealth, ModelFile, head_health, read_model_file
from peoplenet_nb.onnxfile.parse import TensorInfo

__all__ = ["HeadHealth", "ModelFile", "TensorInfo", "head_health", "read_model_file"]
