"""Sliders, menus and buttons, and the marks of the presets under the sliders.

Controls know their trait's name and nothing else. `Controls.tie` links each to the canvas in the browser;
`Controls.move` sets them from Python; the same sliders serve the fallback.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w

from peoplenet_nb.paths import settings_file
from peoplenet_nb.settings import PRESETS
from peoplenet_nb.tuner.canvas import CHOICES, best_mark, traits_of
from peoplenet_nb.tuner.marks import LEGEND, marks_under
from peoplenet_nb.tuner.model import TunerModel

# name, text, top of the slider, step, tooltip, format of the readout
_PER_CLASS = (
    ("min_width", "min width", 300.0, 1.0, "Least width of a {} box, px", ".0f"),
    ("min_height", "min height", 300.0, 1.0, "Least height of a {} box, px", ".0f"),
    ("min_confidence", "min score", 3.0, 0.01, "Least confidence of a {} box", ".2f"),
)
_SHARED = (
    ("nms_iou", "NMS IoU", 1.0, 0.01, "A box goes when a better one overlaps it more", ".2f"),
    ("eps", "eps", 1.0, 0.01, "DBSCAN: neighbours differ by at most this 1 - IoU", ".2f"),
    ("min_samples", "min samples", 10.0, 0.05, "DBSCAN: least coverage (or boxes) around a core", ".2f"),
)
_IDLE = {"idle_nms": ("nms_iou",), "idle_dbscan": ("eps", "min_samples", "flavour"), "idle_score": ("score",)}


class Controls:
    """All controls of a panel, with marks for the presets' numbers (`wire.preset_numbers`).

    ``dead`` names the classes whose head cannot work; below ``floor`` no cell was saved.
    """

    def __init__(
        self,
        labels: Sequence[str],
        presets: Mapping[str, Mapping[str, Any]],
        frames: int,
        dead: Sequence[str],
        floor: float = 0.0,
    ) -> None:
        self.labels: tuple[str, ...] = tuple(labels)
        self._marks = {name: traits_of(numbers) for name, numbers in presets.items()}
        self.tied: dict[str, Any] = {}
        self._rows: dict[str, Any] = {}
        for c, label in enumerate(self.labels):
            # Steps of 0.001, as fine as the thresholds that the answer to a click proposes.
            self._slider(f"threshold_{c}", label, 1.0, 0.001, f"Least coverage of a {label} cell", ".3f")
            self.tied[f"threshold_{c}"].min = floor
            if label in dead:
                text = f"The {html.escape(label)} head of this model is dead: no threshold finds any."
                self._rows[f"threshold_{c}"].children += (_note(text, "pnb-warning"),)
            for name, text, top, step, tip, readout in _PER_CLASS:
                self._slider(f"{name}_{c}", text, top, step, tip.format(label), readout)
        for row in _SHARED:
            self._slider(*row)
        self._slider("top_k", "top k", 100, 1, "Most boxes of a class; 0: all", "d", w.IntSlider)
        self._menu("clustering", "clustering", ("NMS", "DBSCAN", "hybrid"))
        self._menu("flavour", "DBSCAN of", ("TAO (coverage)", "DeepStream (count)"))
        self._menu("score", "score", ("best cell", "sum of cells"))
        self.frame: Any = _row(w.IntSlider(0, 0, max(1, frames - 1), description="frame", readout=True))
        presets_menu = [("choose …", ""), *((name, name) for name in PRESETS)]
        tip = "Load a preset's numbers"
        self.preset: Any = _row(w.Dropdown(options=presets_menu, description="preset", tooltip=tip))
        self.undo: Any = _button("Undo", "Take the last change back (key z)")
        self.redo: Any = _button("Redo", "Do it again (key y)")
        self.reset: Any = _button("Reset", "Back to the preset or file loaded last")
        self.path: Any = _row(w.Text(str(settings_file()), description="file"))
        self.save: Any = _button("Save", "Write the settings to this file")
        self.load: Any = _button("Load", "Take the settings from this file")
        self.note, self.code = w.HTML(), w.HTML()
        self.code.add_class("pnb-code")
        self.path.observe(lambda _: self.write_note(f"Save writes {self.file()}"), names="value")
        self.write_note(f"Save writes {self.file()}, where the other notebooks look.")

    def _slider(
        self, name: str, text: str, top: float, step: float, tip: str, readout: str, kind: Any = w.FloatSlider
    ) -> None:
        slider = kind(0, min=0, max=top, step=step, description=text, tooltip=tip, readout_format=readout)
        self.tied[name] = _row(slider)
        marks = marks_under({preset: traits[name] for preset, traits in self._marks.items()}, top)
        below = [w.HTML(marks)] if marks else []
        self._rows[name] = w.VBox([slider, *below], layout=w.Layout(overflow="hidden"))

    def _menu(self, name: str, text: str, shown: Sequence[str]) -> None:
        options = list(zip(shown, CHOICES[name], strict=True))
        self.tied[name] = self._rows[name] = _row(w.Dropdown(options=options, description=text))

    def box(self) -> Any:
        """Return all controls, arranged in a column."""
        rows = self._rows
        sizes = [w.VBox([rows[f"{name}_{c}"] for name, *_ in _PER_CLASS]) for c in range(len(self.labels))]
        folded = w.Accordion(children=sizes, titles=[f"Size and score: {label}" for label in self.labels])
        shared = ("clustering", "nms_iou", "eps", "min_samples", "flavour", "score", "top_k")
        column = w.VBox(
            [
                self.preset,
                w.HBox([self.undo, self.redo, self.reset]),
                *(rows[f"threshold_{c}"] for c in range(len(self.labels))),
                *(rows[name] for name in shared),
                _note(LEGEND),
                folded,
                self.path,
                w.HBox([self.save, self.load]),
                self.note,
                self.code,
            ]
        )
        column.add_class("pnb-controls")
        return column

    def file(self) -> Path:
        """Return the file that Save writes and Load reads, in full."""
        return Path(self.path.value.strip() or settings_file()).expanduser().absolute()

    def write_note(self, text: str) -> None:
        """Write a line under the file's buttons."""
        self._said = text
        self.note.value = _note(html.escape(text), role="status").value

    def add_note(self, text: str) -> None:
        """Say more in that line."""
        self.write_note(f"{self._said}; {text}")

    def describe(self, model: TunerModel) -> None:
        """Show what goes with the model's settings: the line of code, what can be undone, the preset's name."""
        self.code.value = f"<code>{html.escape(model.code())}</code>"
        self.undo.disabled, self.redo.disabled = not model.can_undo, not model.can_redo
        name = model.settings.preset
        self.preset.value = name if name in PRESETS else ""

    def move(self, traits: Mapping[str, Any]) -> None:
        """Set the controls to some settings; a slider whose end is nearer than a value gets a further end."""
        for name, control in self.tied.items():
            if not isinstance(control, w.Dropdown):
                control.max = max(control.max, traits[name])
            setattr(control, _moves(control), traits[name])

    def switch_off(self, idle: Mapping[str, bool]) -> None:
        """Disable what does nothing (`peoplenet_nb.tuner.canvas.idle_under`), where no canvas does it."""
        for group, names in _IDLE.items():
            for name in names:
                self.tied[name].disabled = idle[group]

    def values(self) -> dict[str, Any]:
        """Return what the controls show, by the canvas's names."""
        return {name: getattr(control, _moves(control)) for name, control in self.tied.items()}

    def tie(self, canvas: Any) -> list[Any]:
        """Link every control to the canvas in the browser; return the links."""
        tied = self.tied | {"frame": self.frame}
        links = [w.jslink((control, _moves(control)), (canvas, name)) for name, control in tied.items()]
        for idle, names in _IDLE.items():
            links += [w.jsdlink((canvas, idle), (self.tied[name], "disabled")) for name in names]
        return links

    def tie_best(self, canvas: Any) -> list[Any]:
        """Show below each threshold where F1 is best by the labels, as the browser says; return the links."""
        links = []
        for c in range(len(self.labels)):
            mark = w.HTML()
            self._rows[f"threshold_{c}"].children += (mark,)
            links.append(w.jsdlink((canvas, best_mark(c)), (mark, "value")))
        return links


def _moves(control: Any) -> str:
    """Return the trait that a hand moves."""
    return "index" if isinstance(control, w.Dropdown) else "value"


def _row(control: Any) -> Any:
    control.layout.width = "auto"
    control.add_class("pnb-row")
    return control


def _button(text: str, tip: str) -> Any:
    return w.Button(description=text, tooltip=tip, layout=w.Layout(width="auto", flex="1 1 auto"))


def _note(text: str, more: str = "", role: str = "note") -> Any:
    return w.HTML(f'<div class="pnb-note {more}" role="{role}">{text}</div>')
