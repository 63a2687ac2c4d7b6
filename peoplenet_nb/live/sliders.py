"""The tuner's sliders beside something that runs: what they are set to is the next frame's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from peoplenet_nb.live.canvas import LiveCanvas
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.tuner.guarded import guarded
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.tuning import TuningPanel


class SliderPanel(TuningPanel):
    """A live picture with the tuner's sliders beside it.

    Attributes
    ----------
    model : PeopleNet
        The network.
    errors : list of str
        What failed, in the kernel and in the browser.
    """

    def __init__(self, model: PeopleNet, settings: Settings | None, size: tuple[int, int], mode: str) -> None:
        note = "stand-in network" if model.is_standin else ""
        self.canvas: LiveCanvas = LiveCanvas(model.labels, mode=mode, note=note)
        settings = settings or preset(fit=model.fit)
        # One preprocessing for all frames, whatever sizes they turn out to have: thresholds belong to it.
        model = model.for_settings(settings)
        self.model: PeopleNet = model.looking(model.fit.of_frame(*size), model.tiles)
        # One look at nothing, which also wakes the device.
        grids = self.model.infer(np.zeros((size[1], size[0], 3), np.uint8))
        self._begin(
            TunerModel([grids], settings, tiles=model.tiles), dead=[head.label for head in model.dead_heads]
        )
        self._lay_out([self.canvas])
        self.canvas.on_msg(self._on_message)

    @guarded("message")
    def _on_message(self, _: Any, content: Mapping[str, Any], buffers: Any) -> None:
        if content.get("type") == "echo":
            self.canvas.send({"type": "echo"})
        elif not self._hear(content):
            self._answer(content, buffers)

    def _answer(self, content: Mapping[str, Any], buffers: Any) -> None:
        """Do what the page asks for."""
