"""The tuner's sliders beside something that runs: what they are set to is the next frame's settings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as w
import numpy as np

from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.tuner.bundle import style_sheet
from peoplenet_nb.tuner.canvas import idle_under, numbers_from_traits, traits_of
from peoplenet_nb.tuner.controls import Controls
from peoplenet_nb.tuner.guarded import Guarded, guarded
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.wire import numbers_of, preset_numbers


class SliderPanel(w.VBox, Guarded):  # type: ignore[misc]
    """A live picture with the tuner's sliders beside it.

    Attributes
    ----------
    model : PeopleNet
        The network.
    errors : list of str
        What failed, in the kernel and in the browser.
    """

    def __init__(
        self, model: PeopleNet, settings: Settings | None, size: tuple[int, int], left: Sequence[Any]
    ) -> None:
        settings = settings or preset(fit=model.fit)
        # One preprocessing for all frames, whatever sizes they turn out to have: thresholds belong to it.
        model = model.for_settings(settings)
        fit = model.fit.of_frame(*size)
        self.model, settings = model.looking(fit, model.tiles), settings.for_fit(fit)
        self._begin_guarding()
        # One look at nothing, which also wakes the device.
        grids = self.model.infer(np.zeros((size[1], size[0], 3), np.uint8))
        self._tuning = TunerModel([grids], settings)
        dead = [head.label for head in model.dead_heads]
        self.controls: Controls = Controls(
            model.labels, preset_numbers(model.labels, grids.fit.mode), 1, dead
        )
        self._has_boxes, self._showing = grids.boxes is not None, False
        column = w.VBox(list(left))
        column.add_class("pnb-left")
        row = w.HBox([column, self.controls.box()], layout=w.Layout(flex_flow="row wrap"))
        super().__init__([w.HTML(f"<style>{style_sheet('panel')}</style>"), self._strip, row])
        self._wire()
        self._show()

    @property
    def settings(self) -> Settings:
        """What the sliders say. Assigning moves them."""
        return self._tuning.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._tuning.set(settings)

    def code(self) -> str:
        """Return the settings as one line of Python to paste."""
        return self._tuning.code()

    def _changed(self) -> None:
        """Do what other settings ask for."""

    def _wire(self) -> None:
        controls, tuning = self.controls, self._tuning
        tuning.on_change(self._show)
        for control in controls.tied.values():
            control.observe(self._on_control, names=["value", "index"])
        controls.preset.observe(self._on_preset, names="value")
        actions: dict[str, Callable[[], object]] = {
            "undo": tuning.undo,
            "redo": tuning.redo,
            "reset": tuning.reset,
            "save": lambda: controls.write_note(f"Saved to {tuning.save(controls.file())}"),
            "load": lambda: tuning.load(controls.file()),
        }
        for name, action in actions.items():
            getattr(controls, name).on_click(functools.partial(self._on_button, action))

    @guarded("controls")
    def _on_control(self, change: Mapping[str, Any]) -> None:
        if not self._showing:
            numbers = numbers_from_traits(self.controls.values(), len(self.model.labels))
            self._tuning.set_numbers(numbers, gesture=change["owner"].description)

    @guarded("controls")
    def _on_preset(self, change: Mapping[str, Any]) -> None:
        if change["new"] and not self._showing:
            self._tuning.load_preset(change["new"])

    @guarded("controls")
    def _on_button(self, action: Callable[[], object], _: Any) -> None:
        action()

    def _show(self) -> None:
        """Show what is chosen; a slider that a hand is on holds that value already."""
        self._showing = True
        try:
            settings = self._tuning.settings
            self.controls.move(traits_of(numbers_of(settings, self.model.labels)))
            self.controls.switch_off(idle_under(settings.clustering, has_boxes=self._has_boxes))
            self.controls.describe(self._tuning)
        finally:
            self._showing = False
        self._changed()
