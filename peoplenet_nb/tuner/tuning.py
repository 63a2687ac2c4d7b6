"""Controls and the settings that they move: what the tuner and the live panels are built on.

With a canvas that the controls are tied to in the browser, it says what they show; elsewhere the kernel listens to the
controls themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w

from peoplenet_nb.fit import FitMode
from peoplenet_nb.settings import Settings
from peoplenet_nb.tuner.canvas import idle_under, numbers_from_traits, traits_of
from peoplenet_nb.tuner.controls import Controls
from peoplenet_nb.tuner.guarded import Guarded, guarded
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.wire import numbers_of, preset_numbers


class TuningPanel(w.VBox, Guarded):  # type: ignore[misc]
    """A picture with controls beside it."""

    def _begin(
        self, tuning: TunerModel, *, frames: int = 1, dead: Sequence[str] = (), in_kernel: bool = True
    ) -> None:
        """Make the controls of some settings; ``in_kernel`` where no canvas says what they show."""
        self._begin_guarding()
        self._tuning, self._in_kernel, self._showing = tuning, in_kernel, False
        grids = tuning.grids
        presets = preset_numbers(tuning.labels, grids.fit.mode)
        self.controls: Controls = Controls(tuning.labels, presets, frames, dead, grids.floor)

    def _lay_out(self, left: Sequence[Any], *below: Any) -> None:
        column = w.VBox(list(left))
        column.add_class("pnb-left")
        row = w.HBox([column, self.controls.box()], layout=w.Layout(flex_flow="row wrap"))
        super().__init__(self._framed(row, *below))
        self._listen()
        self._show()

    # -- what a caller reads and does

    @property
    def settings(self) -> Settings:
        """What is on screen, at most 300 ms after the last move. Assigning shows other settings."""
        return self._tuning.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._tuning.set(settings)

    def code(self) -> str:
        """Return the settings as one line of Python to paste."""
        return self._tuning.code()

    def save(self, path: str | Path | None = None) -> Path:
        """Write the settings to a file, as Save does, and return its path; left out, the one that the panel names.

        What was begun with fit ``auto`` is still for frames of any shape; thresholds that were moved are those for
        frames like these.
        """
        path = self._tuning.save(path or self.controls.file())
        fit = self._tuning.grids.fit.mode
        any_shape = (
            "" if self._tuning.kept.fit is not FitMode.AUTO else f" (moved thresholds: {fit}ed frames)"
        )
        self.controls.write_note(f"Saved to {path}{any_shape}")
        return path

    # -- from the controls

    def _listen(self) -> None:
        controls = self.controls
        self._tuning.on_change(self._show)
        if self._in_kernel:
            for control in [*controls.tied.values(), controls.frame]:
                control.observe(self._on_control, names=["value", "index"])
        controls.preset.observe(self._on_preset, names="value")
        for name in ("undo", "redo", "reset"):
            self._on_click(name, getattr(self._tuning, name))
        self._on_click("save", self._save)
        self._on_click("load", self._load)

    def _on_click(self, name: str, action: Callable[[], object]) -> None:
        getattr(self.controls, name).on_click(functools.partial(self._on_button, action))

    @guarded("controls")
    def _on_button(self, action: Callable[[], object], _: Any) -> None:
        action()

    @guarded("controls")
    def _on_control(self, change: Mapping[str, Any]) -> None:
        if not self._showing:
            numbers = numbers_from_traits(self.controls.values(), len(self._tuning.labels))
            self._tuning.go(self.controls.frame.value)
            self._tuning.set_numbers(numbers, gesture=change["owner"].description)

    @guarded("controls")
    def _on_preset(self, change: Mapping[str, Any]) -> None:
        if change["new"] and not self._showing:
            self._tuning.load_preset(change["new"])
            self._show()

    def _save(self) -> None:
        self.save()

    def _load(self) -> None:
        self._tuning.load(self.controls.file())
        self.controls.write_note(f"Loaded {self.controls.file()}")

    # -- to the controls

    def _quietly(self, action: Callable[[], object]) -> None:
        """Do something whose changes are not to be shown: they are seen already."""
        showing, self._showing = self._showing, True
        try:
            action()
        finally:
            self._showing = showing

    def _show(self) -> None:
        """Show what is chosen; controls move only when the change did not come from them."""
        self._quietly(lambda: self.controls.describe(self._tuning))
        if not self._showing:
            self._quietly(self._move)
        self._changed()

    def _move(self) -> None:
        settings = self._tuning.settings
        self.controls.move(traits_of(numbers_of(settings, self._tuning.labels)))
        self.controls.frame.value = self._tuning.index
        if self._in_kernel:
            has_boxes = self._tuning.grids.boxes is not None
            self.controls.switch_off(idle_under(settings.clustering, has_boxes=has_boxes))

    def _changed(self) -> None:
        """Do what other settings or another frame ask for."""
