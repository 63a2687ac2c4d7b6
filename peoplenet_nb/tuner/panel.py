"""The tuner as a widget: controls beside the canvas, tied in the browser.

The panel is thin. What a person does in the browser arrives as ``state`` and goes to the `TunerModel`; what the
model becomes is shown by the controls and the canvas. An error in any callback is kept in ``errors`` and shown,
because a notebook run reports success when a callback fails.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from peoplenet_nb.errors import SettingsError
from peoplenet_nb.tracks import Counts, Scene
from peoplenet_nb.tuner.between import Between
from peoplenet_nb.tuner.canvas import VIEW, TunerCanvas, traits_of
from peoplenet_nb.tuner.drawing import FILE as SCENE
from peoplenet_nb.tuner.drawing import Drawing
from peoplenet_nb.tuner.exporting import ExportMenu
from peoplenet_nb.tuner.fallback import KernelPicture
from peoplenet_nb.tuner.guarded import guarded
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.pictures import VideoPictures
from peoplenet_nb.tuner.tuning import TuningPanel
from peoplenet_nb.tuner.wire import PackedClip, numbers_of, pack_grids, settings_from, shape_of


class Tuner(TuningPanel):
    """Sliders on raw grids, with a picture that follows in the browser.

    Made by `peoplenet_nb.tuner.tune` and `peoplenet_nb.tuner.tune_run`, which say what goes in.

    In an HTML export with widget state the sliders, the boxes, the counts of a clip and the charts work without
    a kernel (the page loads html-manager and anywidget from a CDN). Presets, undo, files, and pictures of frames
    other than the first need Python and stay still there.

    Attributes
    ----------
    model : TunerModel
        The logic behind the panel.
    errors : list of str
        What failed in callbacks, in the kernel and in the browser.
    """

    def __init__(
        self,
        model: TunerModel,
        picture: bytes = b"",
        *,
        pictures: VideoPictures | None = None,
        packed: PackedClip | None = None,
        between: Between | None = None,
        truth: Mapping[str, Any] | None = None,
        frame_names: list[int] | None = None,
        times: Sequence[float] | None = None,
        fps: float = 10.0,
        dead: Sequence[str] = (),
        fallback: bool = False,
    ) -> None:
        self.model: TunerModel = model
        self.fallback: bool = fallback
        self._pictures = pictures
        frames, grids = len(model.clip), model.grids
        self._begin(model, frames=frames, dead=dead, in_kernel=fallback)
        self.canvas: TunerCanvas = TunerCanvas(
            shape_of(grids, dead),
            numbers_of(model.settings, model.labels),
            jpeg=picture,
            grids=pack_grids(grids),
            first_frame=model.index,
            has_pictures=bool(picture) or pictures is not None,
            clip=packed.data if packed else b"",
            floor=packed.floor if packed else 0.0,
            frame_names=list(frame_names or range(frames)),
            between=between.to_browser(model.labels) if between else {},
            truth=dict(truth or {}),
            fps=fps,
            # Without boxes coverage is all there is to see.
            view=VIEW | {"heatmap": grids.boxes is None},
        )
        show = functools.partial(self.canvas.set_trait, "scene")
        self.drawing: Drawing = Drawing(model, times or range(frames), show)
        self._links = [] if fallback else self.controls.tie(self.canvas)
        if truth and not fallback:
            self._links += self.controls.tie_best(self.canvas)
        self.kernel_picture: KernelPicture = KernelPicture(model, picture, pictures, self.drawing)
        self.exports: ExportMenu = ExportMenu(
            model, lambda action: functools.partial(self._on_button, action)
        )
        top = [self.controls.frame] if frames > 1 else []
        below = [] if grids.boxes is None else [self.exports]  # no program clusters coverage alone
        self._lay_out([*top, self.kernel_picture if fallback else self.canvas], *below)
        try:
            self.drawing.load(self.controls.file())
        except SettingsError as error:  # nobody asked for it yet
            self.controls.write_note(f"{SCENE} beside the settings is not shown. {error}")

    # -- what a caller reads and does

    @property
    def scene(self) -> Scene:
        """The lines and zones that were last drawn and can be used. Assigning shows others."""
        return self.drawing.scene

    @scene.setter
    def scene(self, scene: Scene) -> None:
        self.drawing.set(scene)

    def count(self) -> Counts:
        """Follow people through the clip with these settings; count who crosses the lines and stays in the zones.

        A run of a video knows when its frames are shown; others are taken to come at the source's frame rate, ten a
        second without one.
        """
        return self.drawing.count()

    def close(self) -> None:
        """Take the widget and the temporary pictures away."""
        if self._pictures is not None:
            self._pictures.close()
        for link in self._links:
            link.close()
        super().close()

    # -- from the browser

    def _listen(self) -> None:
        super()._listen()
        self.canvas.observe(self._on_state, names="state")
        self.canvas.observe(self._on_a, names="settings_a")
        self.canvas.observe(self._on_scene, names="scene")
        self.canvas.on_msg(self._on_message)
        for toggle in self.kernel_picture.toggles:
            toggle.observe(lambda _: self._draw(), names="value")

    @guarded("state")
    def _on_state(self, change: Mapping[str, Any]) -> None:
        self._take(change["new"])

    def _take(self, state: Mapping[str, Any]) -> None:
        """Take over what is on screen."""
        if state.get("revision", 0) < self.canvas.revision:
            return  # sent before the browser knew of a preset or an undo: what it showed is no more
        # Not shown back: the hand may have moved on meanwhile, and the slider must not jump under it.
        self._quietly(lambda: self.model.go(state["frame"]))
        self._quietly(lambda: self.model.set_numbers(state["settings"], state.get("gesture")))

    @guarded("state")
    def _on_a(self, change: Mapping[str, Any]) -> None:
        if change["new"]:
            a = settings_from(change["new"], self.model.labels, self.model.settings)
            self._quietly(lambda: self.model.pin(a))

    @guarded("message")
    def _on_message(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        kind = content.get("type")
        if kind in ("undo", "redo", "count"):
            # A trait that changed shortly before may still wait for its turn: what is on screen comes along.
            if state := content.get("state"):
                self._take(state)
            if kind == "count":
                self.drawing.send_counts(self.canvas.send, content.get("scene"))
            else:
                getattr(self.model, kind)()
        elif kind == "frame":
            position = int(content["index"])
            self.canvas.answer(position, self.model.clip[position], self._pictures)
        else:
            self._hear(content)

    @guarded("scene")
    def _on_scene(self, change: Mapping[str, Any]) -> None:
        self.drawing.drawn(change["new"])
        self._draw()

    # -- from the controls

    def _save(self) -> None:
        super()._save()
        if path := self.drawing.save(self.controls.file()):
            self.controls.add_note(f"lines and zones: {path}")

    def _load(self) -> None:
        super()._load()
        if path := self.drawing.load(self.controls.file()):
            self.controls.add_note(f"lines and zones: {path}")

    # -- to the browser

    def _move(self) -> None:
        """Move sliders, menus and canvas to the model's settings and frame."""
        traits = traits_of(numbers_of(self.model.settings, self.model.labels))
        with self.canvas.hold_sync():
            super()._move()
            for name, value in (traits | {"frame": self.model.index}).items():
                setattr(self.canvas, name, value)
            self.canvas.revision += 1
            self._show_a()

    def _show_a(self) -> None:
        """Show the A that Python pinned beside what is chosen now."""
        if self.model.a is None:
            return
        numbers = numbers_of(self.model.a, self.model.labels)
        if numbers != self.canvas.settings_a:
            self.canvas.settings_a = numbers
            self.canvas.view = {**self.canvas.view, "compare": True}

    def _changed(self) -> None:
        self.exports.follow()
        if not self._showing:
            self._draw()

    @guarded("draw")
    def _draw(self) -> None:
        if self.fallback:
            self.kernel_picture.draw()
