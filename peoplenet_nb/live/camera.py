"""The camera of the browser: a picture goes to the kernel, its boxes come back and are drawn over the live picture.

A pod has no camera and no UDP, so the one at hand is the reader's own, through JupyterLab's own connection. The next
picture is sent when the answer to the last is there: a slow connection means fewer pictures, never a growing delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.errors import SourceError
from peoplenet_nb.grids import Grids
from peoplenet_nb.live.canvas import boxes_of
from peoplenet_nb.live.sliders import SliderPanel
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.plots.picture import frame_picture
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.imagesize import image_size
from peoplenet_nb.tuner.make import tune
from peoplenet_nb.tuner.panel import Tuner

_LARGEST = 8 << 20  # bytes of a picture
_MOST_PIXELS = 4096 * 2304
_USUAL = (640, 480)


@dataclass(frozen=True, eq=False)
class Still:
    """One picture that was kept, with what the network saw in it."""

    image: npt.NDArray[np.uint8]  #: ``(H, W, 3)`` BGR
    grids: Grids
    detections: Detections  #: under the settings at that moment

    @classmethod
    def of(cls, model: PeopleNet, image: npt.NDArray[np.uint8], settings: Settings) -> Still:
        """Look at a picture."""
        grids = model.infer(image)
        return cls(image, grids, decode(grids, settings).detections)

    def tune(self, settings: Settings | None = None) -> Tuner:
        """Return the tuner on it."""
        return tune(self.image, self.grids, settings)

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{number} {label}" for label, number in self.detections.counts().items())
        return frame_picture(draw_detections(self.image, self.detections), counts, caption=counts).to_html()


class BrowserCamera(SliderPanel):
    """The camera of the page's reader, with the boxes of what it sees and the tuner's sliders.

    Parameters
    ----------
    model : PeopleNet
    settings : Settings, optional
        Where to start; the default of the model's fit when left out.

    Attributes
    ----------
    still : Still or None
        The picture that was last kept with the button; ``still.tune()`` opens it in the tuner.
    last : Still or None
        The picture that was answered last.
    """

    def __init__(self, model: PeopleNet, settings: Settings | None = None) -> None:
        self.still: Still | None = None
        self.last: Still | None = None
        super().__init__(model, settings, _USUAL, "camera")

    def _answer(self, content: Mapping[str, Any], buffers: Sequence[memoryview]) -> None:
        kind = content.get("type")
        if kind == "frame":
            try:
                answer = self.answer(bytes(buffers[0]))
            except Exception as error:  # the browser goes on with its next picture
                self.canvas.send({"type": "boxes", "n": content.get("n"), "failed": str(error)})
                raise
            self.canvas.send({"type": "boxes", "n": content.get("n"), **answer})
        elif kind == "keep":
            self.still = self.last
            self.canvas.send({"type": "kept", "there": self.still is not None})

    def answer(self, data: bytes) -> dict[str, Any]:
        """Return the boxes of a JPEG, its size, and how long the network and all of it took, in ms.

        Raises
        ------
        SourceError
            When it is no picture, or too large a one.
        """
        began = perf_counter()
        width, height = image_size(data[:65536]) or (0, 0)
        if len(data) > _LARGEST or not 0 < width * height <= _MOST_PIXELS:
            seen = f"{len(data)} bytes, {width}x{height}"
            step = "let the camera give 1280x720 or less."
            raise SourceError("The browser sent no picture that can be read", seen=seen, next_step=step)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError("The browser sent a damaged picture", next_step="start the camera again.")
        frame = np.asarray(image, np.uint8)
        before = perf_counter()
        grids = self.model.infer(frame)
        network = perf_counter() - before
        detections = decode(grids, self.settings).detections
        self.last = Still(frame, grids, detections)
        return {
            "boxes": boxes_of(detections),
            "size": [frame.shape[1], frame.shape[0]],
            "counts": list(detections.counts().values()),
            "network_ms": round(1e3 * network, 2),
            "kernel_ms": round(1e3 * (perf_counter() - began), 2),
        }

    def _changed(self) -> None:
        if self.last is not None:
            found = decode(self.last.grids, self.settings).detections
            self.last = Still(self.last.image, self.last.grids, found)
