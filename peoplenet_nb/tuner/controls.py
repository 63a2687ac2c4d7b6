"""Sliders, menus and buttons, and the marks of the presets under the sliders.

One decision to know: controls know their trait's name and nothing else. `Controls.tie` links each to the
canvas in the browser; `Controls.show` sets them from Python; the same sliders serve the fallback.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import ipywidgets as w

from peoplenet_nb.settings import PRESETS
from peoplenet_nb.tuner.canvas import CLUSTERINGS, FLAVOURS, SCORES, traits_of

_LETTERS = {"default": "D", "deepstream": "S", "triton": "N", "tao": "T", "jetson-inference": "J"}
_LABEL, _READOUT = 92, 52

STYLE = f"""<style>
.pnb-row .widget-label {{ width: {_LABEL}px; min-width: {_LABEL}px; }}
.pnb-row .widget-readout {{ width: {_READOUT}px; min-width: {_READOUT}px; text-align: right; }}
.pnb-marks {{ position: relative; height: 16px; line-height: 12px; font-size: 10px; margin-top: -5px;
  margin-left: {_LABEL + 18}px; margin-right: {_READOUT + 18}px; color: var(--jp-ui-font-color2, #59636e); }}
.pnb-marks span {{ position: absolute; padding-top: 4px; transform: translateX(-50%);
  white-space: nowrap; cursor: help; }}
.pnb-marks span::before {{ content: ""; position: absolute; left: 50%; top: 0; height: 4px;
  border-left: 1px solid currentColor; }}
.pnb-note {{ font-size: 12px; color: var(--jp-ui-font-color2, #59636e); line-height: 1.35; }}
.pnb-errors {{ padding: 6px 9px; border-radius: 3px; color: #7a1010; background: #fde2e1; line-height: 1.4; }}
.pnb-code code {{ font-size: 12px; user-select: all; overflow-wrap: anywhere; white-space: normal; }}
</style>"""

LEGEND = "Marks: " + ", ".join(f"<b>{letter}</b> {name}" for name, letter in _LETTERS.items())


class Controls:
    """All controls of a panel.

    Parameters
    ----------
    labels : sequence of str
        The model's classes.
    presets : mapping
        The numbers of each preset (`peoplenet_nb.tuner.wire.preset_numbers`), for the marks.
    frames : int
        How many frames the clip has; with one there is no frame slider.
    """

    def __init__(self, labels: Sequence[str], presets: Mapping[str, Mapping[str, Any]], frames: int) -> None:
        self.labels = tuple(labels)
        self._marks = {name: traits_of(numbers) for name, numbers in presets.items()}
        self.tied: dict[str, Any] = {}
        self._rows: dict[str, Any] = {}
        for c, label in enumerate(self.labels):
            self._slider(f"threshold_{c}", label, 1.0, 0.005, f"Least coverage of a {label} cell", ".3f")
            self._slider(
                f"min_width_{c}", "min width", 300.0, 1.0, f"Least width of a {label} box, px", ".0f"
            )
            self._slider(
                f"min_height_{c}", "min height", 300.0, 1.0, f"Least height of a {label} box, px", ".0f"
            )
            self._slider(
                f"min_confidence_{c}", "min score", 3.0, 0.01, f"Least confidence of a {label} box", ".2f"
            )
        self._slider("nms_iou", "NMS IoU", 1.0, 0.01, "A box goes when a better one overlaps it more", ".2f")
        self._slider("eps", "eps", 1.0, 0.01, "DBSCAN: neighbours differ by at most this 1 - IoU", ".2f")
        self._slider(
            "min_samples", "min mass", 10.0, 0.05, "DBSCAN: least coverage (or boxes) around a core", ".2f"
        )
        self._slider("top_k", "top k", 100, 1, "Most boxes of a class; 0: all", "d", w.IntSlider)
        self._menu("clustering", "clustering", CLUSTERINGS, ("NMS", "DBSCAN", "hybrid"))
        self._menu("flavour", "DBSCAN of", FLAVOURS, ("TAO (coverage)", "DeepStream (count)"))
        self._menu("score", "score", SCORES, ("best cell", "sum of cells"))
        self.frame = w.IntSlider(
            0, 0, max(1, frames - 1), description="frame", layout=w.Layout(width="auto"), readout=True
        )
        self.frame.add_class("pnb-row")

        wide = w.Layout(width="auto", flex="1 1 auto")
        self.preset = w.Dropdown(
            options=[("choose …", ""), *((name, name) for name in PRESETS)],
            description="preset",
            tooltip="Load a preset's numbers",
            layout=w.Layout(width="auto"),
        )
        self.preset.add_class("pnb-row")
        self.undo, self.redo, self.reset = (
            w.Button(description=text, tooltip=tip, layout=wide)
            for text, tip in (
                ("Undo", "Take the last change back (key z)"),
                ("Redo", "Do it again (key y)"),
                ("Reset", "Back to the preset or file loaded last"),
            )
        )
        self.path = w.Text("settings.yaml", description="file", layout=w.Layout(width="auto"))
        self.path.add_class("pnb-row")
        self.save, self.load = (w.Button(description=text, layout=wide) for text in ("Save", "Load"))
        self.code = w.HTML()
        self.code.add_class("pnb-code")
        self.said = w.HTML()

    def _slider(
        self, name: str, text: str, top: float, step: float, tip: str, readout: str, kind: Any = w.FloatSlider
    ) -> None:
        slider = kind(
            0,
            min=0,
            max=top,
            step=step,
            description=text,
            tooltip=tip,
            readout_format=readout,
            layout=w.Layout(width="auto"),
        )
        slider.add_class("pnb-row")
        self.tied[name] = slider
        self._rows[name] = w.VBox(
            [slider, w.HTML(self._marks_of(name, top))], layout=w.Layout(overflow="hidden")
        )

    def _marks_of(self, name: str, top: float) -> str:
        """Return the presets' letters under the places of their values; presets that agree share a mark."""
        at: dict[float, list[str]] = {}
        for preset, traits in self._marks.items():
            if 0 <= traits[name] <= top:
                at.setdefault(traits[name], []).append(preset)
        marks = "".join(
            f'<span style="left:{100 * value / top:.2f}%" title="{html.escape(", ".join(names))}: {value:g}">'
            f"{''.join(_LETTERS[n] for n in names)}</span>"
            for value, names in at.items()
            if len(names) < len(self._marks)
        )
        return f'<div class="pnb-marks" aria-hidden="true">{marks}</div>'

    def _menu(self, name: str, text: str, values: Sequence[str], shown: Sequence[str]) -> None:
        menu = w.Dropdown(
            options=list(zip(shown, values, strict=True)), description=text, layout=w.Layout(width="auto")
        )
        menu.add_class("pnb-row")
        self.tied[name] = self._rows[name] = menu

    def box(self, frames: int) -> Any:
        """Return all controls, arranged in a column."""
        rows = self._rows
        sizes = [
            w.VBox([rows[f"{name}_{c}"] for name in ("min_width", "min_height", "min_confidence")])
            for c in range(len(self.labels))
        ]
        folded = w.Accordion(children=sizes, titles=[f"Size and score: {label}" for label in self.labels])
        dbscan = [rows[name] for name in ("eps", "min_samples", "flavour", "score", "top_k")]
        return w.VBox(
            [
                self.preset,
                w.HBox([self.undo, self.redo, self.reset]),
                *(rows[f"threshold_{c}"] for c in range(len(self.labels))),
                rows["clustering"],
                rows["nms_iou"],
                *dbscan,
                w.HTML(f'<div class="pnb-note">{LEGEND}</div>'),
                folded,
                self.path,
                w.HBox([self.save, self.load]),
                self.said,
                self.code,
            ],
            layout=w.Layout(flex="1 1 290px", min_width="270px", max_width="420px"),
        )

    def show(self, numbers: Mapping[str, Any]) -> None:
        """Set the controls to some settings; a slider whose end is nearer than a value gets a further end."""
        for name, value in traits_of(numbers).items():
            control = self.tied[name]
            if isinstance(control, w.Dropdown):
                control.index = value
                continue
            control.max = max(control.max, value)
            control.value = value

    def values(self) -> dict[str, Any]:
        """Return what the controls show, by the canvas's names."""
        return {
            name: control.index if isinstance(control, w.Dropdown) else control.value
            for name, control in self.tied.items()
        }

    def tie(self, canvas: Any) -> list[Any]:
        """Link every control to the canvas in the browser; return the links."""
        pairs = [
            ((control, "index" if isinstance(control, w.Dropdown) else "value"), (canvas, name))
            for name, control in [*self.tied.items(), ("frame", self.frame)]
        ]
        return [w.jslink(source, target) for source, target in pairs]
