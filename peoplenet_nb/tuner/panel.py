"""The tuner as a widget: controls beside the canvas, tied in the browser.

One decision to know: the panel is thin. What a person does in the browser arrives as ``state`` and goes to the
`TunerModel`; what the model becomes is shown by the controls and the canvas. An error in any callback is kept
in ``errors`` and shown, because a notebook run reports success when a callback fails.
"""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, TypeVar

import ipywidgets as w

from peoplenet_nb.settings import Settings
from peoplenet_nb.tuner.canvas import VIEW, TunerCanvas, numbers_from_traits, traits_of
from peoplenet_nb.tuner.controls import STYLE, Controls
from peoplenet_nb.tuner.fallback import KernelPicture, LatestWins, Patience
from peoplenet_nb.tuner.model import TunerModel
from peoplenet_nb.tuner.pictures import VideoPictures
from peoplenet_nb.tuner.wire import (
    PackedClip,
    numbers_of,
    pack_grids,
    preset_numbers,
    settings_from,
    shape_of,
)

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def _guarded(method: F) -> F:
    """Keep a callback's error in the panel and show it."""

    @functools.wraps(method)
    def run(self: Tuner, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            log.exception("A callback of the tuner failed")
            self._record(f"{type(error).__name__}: {error}")
            return None

    return run  # type: ignore[return-value]


class Tuner(w.VBox):  # type: ignore[misc]
    """Sliders on raw grids, with a picture that follows in the browser.

    Made by `peoplenet_nb.tuner.tune` and `peoplenet_nb.tuner.tune_run`.

    In an HTML export with widget state the sliders, the boxes, the counts of a clip and the charts work without
    a kernel; the page loads the widgets' own code (html-manager and anywidget) from a CDN, so it needs a network
    once. What needs Python stays still there: presets, undo, files, and pictures of frames other than the first.

    Parameters
    ----------
    model : TunerModel
        Settings and frames.
    picture : bytes
        The first frame as JPEG; empty for none.
    pictures : VideoPictures, optional
        The pictures of a clip.
    packed : PackedClip, optional
        The cells of a clip.
    frame_names : list
        What each position of the clip is called, e.g. its frame's place in the video.
    fps : float
        How fast "play" goes.
    fallback : bool
        Whether the kernel draws, for front ends without anywidget, and goes on drawing should one come up.
        When False, the kernel draws from when a slider moves and the canvas stays silent until it comes up.

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
        frame_names: list[int] | None = None,
        fps: float = 10.0,
        fallback: bool = False,
    ) -> None:
        self.model = model
        self.errors: list[str] = []
        self.fallback = False
        self._fallback_asked = False
        self._patience = Patience(self._fall_back)
        self._pictures = pictures
        self._showing = False
        frames = len(model.clip)
        grids = model.grids
        numbers = numbers_of(model.settings, model.labels)
        self.controls = Controls(model.labels, preset_numbers(model.labels, grids.fit.mode), frames)
        self.canvas = TunerCanvas(
            shape_of(grids),
            numbers,
            jpeg=picture,
            grids=pack_grids(grids),
            first_frame=model.index,
            has_pictures=bool(picture) or pictures is not None,
            clip=packed.data if packed else b"",
            floor=packed.floor if packed else 0.0,
            frame_names=list(frame_names or range(frames)),
            fps=fps,
            # Without boxes coverage is all there is to see.
            view=VIEW | {"heatmap": grids.boxes is None},
        )
        self._links = self.controls.tie(self.canvas)
        self._strip = w.HTML()
        self.kernel_picture = KernelPicture(model, picture, pictures)
        self._latest = LatestWins(self._draw)
        top = [self.controls.frame] if frames > 1 else []
        left = w.VBox(
            [*top, self.canvas, self.kernel_picture.box], layout=w.Layout(flex="4 1 460px", min_width="0")
        )
        row = w.HBox([left, self.controls.box(frames)], layout=w.Layout(flex_flow="row wrap"))
        super().__init__([w.HTML(STYLE), row, self._strip])
        self._listen()
        self._show()
        if fallback:
            self.use_fallback()

    # -- what a caller reads and does

    @property
    def settings(self) -> Settings:
        """What is on screen, at most 300 ms after the last move. Assigning shows other settings."""
        return self.model.settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self.model.set(settings)

    def code(self) -> str:
        """Return the settings as one line of Python to paste."""
        return self.model.code()

    def use_fallback(self) -> None:
        """Let the kernel draw the picture from now on; the sliders stay the same."""
        self._fallback_asked = True
        self._fall_back()

    def _fall_back(self) -> None:
        if self.fallback:
            return
        self.fallback = True
        self.canvas.layout.display = "none"
        self.kernel_picture.show(self._latest.ask)
        self._draw()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        self._patience.shown()
        return super()._repr_mimebundle_(**kwargs)

    def close(self) -> None:
        """Take the widget and the temporary pictures away."""
        self._patience.stop()
        if self._pictures is not None:
            self._pictures.close()
        for link in self._links:
            link.close()
        super().close()

    # -- from the browser

    def _listen(self) -> None:
        controls = self.controls
        self.model.on_change(self._show)
        self.canvas.observe(self._on_state, names="state")
        self.canvas.observe(self._on_a, names="settings_a")
        self.canvas.on_msg(self._on_message)
        for control in [*controls.tied.values(), controls.frame]:
            control.observe(self._on_control, names="value")
        controls.preset.observe(self._on_preset, names="value")
        for button, action in (
            (controls.undo, self.model.undo),
            (controls.redo, self.model.redo),
            (controls.reset, self.model.reset),
        ):
            button.on_click(functools.partial(self._on_button, action))
        controls.save.on_click(self._on_save)
        controls.load.on_click(self._on_load)

    @_guarded
    def _on_state(self, change: Mapping[str, Any]) -> None:
        state = change["new"]
        if state.get("revision", 0) < self.canvas.revision:
            return  # sent before the browser knew of a preset or an undo: what it showed is no more
        # Not shown back: the hand may have moved on meanwhile, and the slider must not jump under it.
        self._quietly(lambda: self.model.go(state["frame"]))
        self._quietly(lambda: self.model.set_numbers(state["settings"]))

    def _quietly(self, action: Callable[[], Any]) -> None:
        """Change the model without showing it: the browser shows it already."""
        showing, self._showing = self._showing, True
        try:
            action()
        finally:
            self._showing = showing

    @_guarded
    def _on_a(self, change: Mapping[str, Any]) -> None:
        if change["new"]:
            a = settings_from(change["new"], self.model.labels, self.model.settings)
            self._quietly(lambda: self.model.pin(a))

    @_guarded
    def _on_control(self, change: Mapping[str, Any]) -> None:
        """Follow a control while there is no canvas; once there is one, its own state will tell."""
        if self._showing or (self._patience.over and not self.fallback):
            return
        numbers = numbers_from_traits(self.controls.values(), len(self.model.labels))
        self._quietly(lambda: self.model.go(self.controls.frame.value))
        self._quietly(lambda: self.model.set_numbers(numbers))
        self._say_settings()
        if self.fallback:
            self._latest.ask()
        else:
            self._patience.moved()

    def _on_ready(self) -> None:
        """Hand over to a canvas that came up; one that came late takes its place back, unless told to stay away."""
        moved = self._patience.arrived()
        if self.fallback and not self._fallback_asked:
            self.fallback = False
            self.kernel_picture.hide()
            self.canvas.layout.display = None
        if moved:
            # The sliders moved unheard by the canvas: a new revision makes it tell what it shows.
            self.canvas.revision += 1

    @_guarded
    def _on_message(self, _: Any, content: Mapping[str, Any], __: Any) -> None:
        kind = content.get("type")
        if kind == "ready":
            self._on_ready()
        elif kind == "error":
            self._record(f"in the browser: {content.get('message', '')}")
        elif kind == "undo":
            self.model.undo()
        elif kind == "redo":
            self.model.redo()
        elif kind == "frame":
            self._send_frame(int(content["index"]))

    def _send_frame(self, position: int) -> None:
        grids = pack_grids(self.model.clip[position])

        def arrived(at: int, picture: bytes) -> None:
            self.canvas.send({"type": "frame", "index": at}, [picture, grids])

        if self._pictures is None:
            arrived(position, b"")
        else:
            self._pictures.ask(position, arrived)

    # -- from the controls

    @_guarded
    def _on_preset(self, change: Mapping[str, Any]) -> None:
        if change["new"] and not self._showing:
            self.model.load_preset(change["new"])
            self._show()

    @_guarded
    def _on_button(self, action: Callable[[], bool], _: Any) -> None:
        action()

    @_guarded
    def _on_save(self, _: Any) -> None:
        path = self.model.save(self.controls.path.value.strip() or "settings.yaml")
        self._say(f"Saved to {path.resolve()}")

    @_guarded
    def _on_load(self, _: Any) -> None:
        self.model.load(self.controls.path.value.strip() or "settings.yaml")
        self._say(f"Loaded {self.controls.path.value}")

    # -- to the browser

    def _show(self) -> None:
        """Bring controls and canvas to what the model holds."""
        self._say_settings()
        if self._showing:
            return
        numbers = numbers_of(self.model.settings, self.model.labels)

        def bring() -> None:
            with ExitStack() as stack:
                stack.enter_context(self.canvas.hold_sync())
                self.controls.show(numbers)
                self.controls.frame.value = self.model.index
                for name, value in (traits_of(numbers) | {"frame": self.model.index}).items():
                    setattr(self.canvas, name, value)
                self.canvas.revision += 1
                self._bring_a()

        self._quietly(bring)
        if self.fallback:
            self._latest.ask()

    def _bring_a(self) -> None:
        """Show the A that Python pinned beside what is chosen now."""
        if self.model.a is None:
            return
        numbers = numbers_of(self.model.a, self.model.labels)
        if numbers != self.canvas.settings_a:
            self.canvas.settings_a = numbers
            self.canvas.view = {**self.canvas.view, "compare": True}

    def _say_settings(self) -> None:
        """Say what does not draw: the code line, what can be undone, the preset's name."""
        controls, model = self.controls, self.model
        controls.code.value = f"<code>{html.escape(model.code())}</code>"
        controls.undo.disabled, controls.redo.disabled = not model.can_undo, not model.can_redo
        name = model.settings.preset
        known = {value for _, value in controls.preset.options}
        self._quietly(lambda: setattr(controls.preset, "value", name if name in known else ""))

    def _say(self, text: str) -> None:
        self.controls.said.value = f'<div class="pnb-note" role="status">{html.escape(text)}</div>'

    def _record(self, text: str) -> None:
        self.errors.append(text)
        shown = "<br>".join(html.escape(line.split("\n")[0]) for line in self.errors[-3:])
        self._strip.value = f'<div class="pnb-errors" role="alert">{shown}</div>'

    @_guarded
    def _draw(self) -> None:
        self.kernel_picture.draw()
