"""The picture drawn by the kernel, for places where the canvas's front end is not installed.

It is asked for with ``fallback=True``. The sliders are the same; a front end sends the next move of a slider when
the kernel has dealt with the last one, so a slow connection never builds a backlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import ipywidgets as w
import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import Fate
from peoplenet_nb.draw import colour_of, draw_detections, draw_grid, draw_heatmap
from peoplenet_nb.tracks import Scene
from peoplenet_nb.tracks.picture import draw_scene
from peoplenet_nb.tuner.canvas import VIEW
from peoplenet_nb.tuner.drawing import Drawing
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.pictures import VideoPictures, jpeg


class KernelPicture(w.VBox):  # type: ignore[misc]
    """The image and its toggles, drawn from a model; ``first`` is the first frame's JPEG."""

    def __init__(
        self, model: TunerModel, first: bytes, pictures: VideoPictures | None, drawing: Drawing
    ) -> None:
        self._model, self._first, self._pictures, self._drawing = model, first, pictures, drawing
        self.image: Any = w.Image(format="jpeg", layout=w.Layout(width="100%"))
        self.toggles: list[Any] = [
            w.ToggleButton(value, description=name, layout=w.Layout(width="auto"))
            for name, value in VIEW.items()
            if isinstance(value, bool) and name not in ("compare", "verdicts")
        ]
        self.note: Any = w.HTML()
        super().__init__([w.HBox(self.toggles), self.image, self.note])

    def draw(self) -> None:
        """Draw the frame on screen, once its picture is there."""
        self.note.value = f'<div class="pnb-note">{self._model.decoded.note}</div>'
        view = VIEW | {toggle.description: toggle.value for toggle in self.toggles}

        def arrived(position: int, picture: bytes) -> None:
            if position == self._model.index:
                self.image.value = render(self._model, picture, view, self._drawing.scene)

        if self._pictures is None or self._model.index == 0:
            arrived(self._model.index, self._first)
        else:
            self._pictures.ask(self._model.index, arrived)


def render(model: TunerModel, picture: bytes, view: Mapping[str, Any], scene: Scene | None = None) -> bytes:
    """Return the frame on screen with what the view (`canvas.VIEW`) asks for and lines and zones, as JPEG.

    ``picture`` is the frame as JPEG; empty for a dark background.
    """
    grids = model.grids
    width, height = grids.fit.frame_size
    frame = _opened(picture, width, height)
    if view.get("heatmap"):
        frame = draw_heatmap(frame, grids, int(view.get("class_id", 0)))
    if view.get("grid"):
        frame = draw_grid(frame, grids)
    if grids.boxes is not None and (view.get("candidates") or view.get("suppressed")):
        frame = _with_candidates(model, frame, lost_only=not view.get("candidates"))
    if view.get("boxes", True):
        frame = draw_detections(frame, model.decoded.detections, labels=bool(view.get("labels", True)))
    return jpeg(frame if scene is None else draw_scene(frame, scene))


def _opened(picture: bytes, width: int, height: int) -> npt.NDArray[np.uint8]:
    frame = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) if picture else None
    if frame is None:
        return np.full((height, width, 3), 24, np.uint8)
    if frame.shape[:2] != (height, width):
        frame = cv2.resize(frame, (width, height))
    return np.asarray(frame, np.uint8)


def _with_candidates(
    model: TunerModel, frame: npt.NDArray[np.uint8], *, lost_only: bool
) -> npt.NDArray[np.uint8]:
    """Draw candidates thin, half through; those that lost with a line to the box that they lost to."""
    candidates, outcome, labels = model.decoded.candidates, model.decoded.outcome, model.labels
    lines = frame.copy()
    boxes = model.grids.fit.to_frame(candidates.network_xyxy)
    for i, (x1, y1, x2, y2) in enumerate(np.rint(boxes).astype(int)):
        lost = outcome.fate[i] in (Fate.SUPPRESSED, Fate.MERGED)
        if outcome.fate[i] == Fate.EMPTY or (lost_only and not lost):
            continue
        class_id = int(candidates.class_id[i])
        cv2.rectangle(lines, (x1, y1), (x2, y2), colour_of(labels[class_id], class_id), 1)
        by = int(outcome.by[i])
        if lost_only and by >= 0:
            middles = np.rint((boxes[[i, by], :2] + boxes[[i, by], 2:]) / 2).astype(int)
            cv2.line(lines, tuple(middles[0].tolist()), tuple(middles[1].tolist()), (255, 255, 255), 1)
    return np.asarray(cv2.addWeighted(lines, 0.6, frame, 0.4, 0), np.uint8)
