"""What goes in and out, as types: one set for the server, its documentation and the client.

One decision to know: everything that goes wrong is a `Problem`, whatever the path and whoever found it. Its ``error``
is a plain sentence, which is also where Triton's clients look for one.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field, WithJsonSchema

from peoplenet_nb.detections import Detections

# As OpenAPI's tools understand it; of a tuple they do not.
Size = Annotated[
    tuple[int, int],
    WithJsonSchema({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}),
]
Pixels = Annotated[float, Field(description="in pixels of the picture")]


class Problem(BaseModel):
    """Why a call was not answered as asked."""

    error: str = Field(description="what happened, a sentence")
    seen: str | None = Field(default=None, description="the value that caused it, where that can be told")
    next_step: str = Field(description="what to do about it")
    status: int = Field(description="the HTTP status once more")
    retry_after: float | None = Field(
        default=None, description="seconds after which to try again, as Retry-After"
    )


class Box(BaseModel):
    """One object."""

    label: str = Field(description="its class: person, bag or face")
    confidence: float = Field(description="0..1, or a sum of coverages with the presets that add up")
    x1: Pixels
    y1: Pixels
    x2: Pixels
    y2: Pixels
    row: int = Field(description="row of the grid cell behind the box")
    col: int = Field(description="column of the grid cell behind the box")


class Times(BaseModel):
    """Where the time of a call went, in milliseconds."""

    decode: float = Field(description="from the file's bytes to the network's input")
    waited: float = Field(description="in the queue, until its batch began")
    network: float = Field(description="of the batch that the picture was in")
    batch: int = Field(description="pictures in that batch")


class Detected(BaseModel):
    """What was found in one picture."""

    boxes: list[Box] = Field(description="by class, then by falling confidence")
    counts: dict[str, int] = Field(description="boxes of each class, also of those without any")
    labels: list[str] = Field(description="the model's classes, in its order")
    frame_size: Size = Field(description="width and height of the picture, upright")
    settings_hash: str = Field(description="of the settings that were used, as /settings gives it")
    model: str = Field(description="the model's file name")
    standin: bool = Field(description="true: the demo's stand-in, which means nothing on other pictures")
    times: Times

    @classmethod
    def of(cls, found: Detections, **about: Any) -> Detected:
        """Return the answer for what was found; ``about`` are the other fields."""
        cells = zip(found.class_name, found.confidence, found.xyxy, found.row, found.col, strict=True)
        boxes = [
            Box(
                label=label,
                confidence=round(float(confidence), 5),
                **dict(zip(("x1", "y1", "x2", "y2"), np.round(xyxy.astype(float), 2).tolist(), strict=True)),
                row=int(row),
                col=int(col),
            )
            for label, confidence, xyxy, row, col in cells
        ]
        return cls(boxes=boxes, counts=found.counts(), labels=list(found.labels), **about)

    def to_detections(self) -> Detections:
        """Return the boxes as the package's own value, to be drawn or tabled."""
        rows = [(b.x1, b.y1, b.x2, b.y2) for b in self.boxes]
        return Detections(
            np.array(rows, np.float32).reshape(-1, 4),
            np.array([b.confidence for b in self.boxes], np.float32),
            np.array([self.labels.index(b.label) for b in self.boxes], np.int64),
            np.array([b.row for b in self.boxes], np.int64),
            np.array([b.col for b in self.boxes], np.int64),
            tuple(self.labels),
        )


class Served(BaseModel):
    """The model and the settings that answer now."""

    model: str = Field(description="the model's file name")
    model_sha256: str
    standin: bool
    device: str
    precision: str
    batch: int = Field(description="pictures that the network takes at once, at most")
    labels: list[str]
    network_size: Size = Field(description="width and height that pictures are brought to")
    settings: dict[str, Any] = Field(description="in the layout of a settings file")
    settings_hash: str
    presets: list[str]
    limits: dict[str, float]


class State(BaseModel):
    """Whether the service answers."""

    state: str = Field(description="loading, ready or stopping")
    note: str = Field(
        default="", description="why a new model or settings file was not taken, where one was not"
    )


class Tensor(BaseModel):
    """An input of `Infer`: values as JSON, or as bytes behind the JSON (``binary_data_size``)."""

    name: str
    shape: list[Annotated[int, Field(ge=0, le=1 << 20)]] = Field(min_length=1, max_length=8)
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[float] = Field(default=[], fail_fast=True, description="a flat list, row by row")


class Wanted(BaseModel):
    """An output that `Infer` asks for."""

    name: str
    parameters: dict[str, Any] = {}


class Infer(BaseModel):
    """KServe's inference request (Open Inference Protocol v2)."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[Tensor] = Field(min_length=1, max_length=4)
    outputs: list[Wanted] = Field(default=[], max_length=8)
