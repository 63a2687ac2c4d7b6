"""The menu that writes the settings on screen as another program's files (`peoplenet_nb.export.export_settings`).

Where a program cannot do what the settings ask for, nothing is written before somebody takes the nearest that it can;
files that are there are replaced only when somebody says so.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from peoplenet_nb.errors import OutputError
from peoplenet_nb.export import Exported, NetworkFile, Target, export_settings
from peoplenet_nb.html_tables import fold
from peoplenet_nb.paths import outputs_dir
from peoplenet_nb.settings import Settings
from peoplenet_nb.tuner.model import TunerModel

Guard = Callable[[Callable[[], object]], Callable[[Any], None]]


class Export:
    """The settings of a model as a target's files.

    Parameters
    ----------
    model : TunerModel
        Whose settings are exported, for a network with its classes and its input.
    """

    def __init__(self, model: TunerModel) -> None:
        self._model = model
        self.target: Target | None = None
        self.agreed = False
        """Whether the nearest settings are taken where the target cannot do what these ask for."""
        self._measured: Settings | None = None
        self._made: tuple[object, Exported] | None = None

    def choose(self, target: str) -> None:
        """Choose a target, or with "" none."""
        self.target, self.agreed, self._measured = Target(target) if target else None, False, None

    def measure(self) -> None:
        """Note in how many boxes the target differs in the frames of the clip, for the settings of the moment."""
        self._measured = self._model.settings

    @property
    def exported(self) -> Exported | None:
        """The files, made for the nearest settings that the target can do; None without a target."""
        if self.target is None:
            return None
        settings, grids = self._model.settings, self._model.grids
        measured = self._measured == settings
        key = (settings, self.target, measured)
        if self._made is None or self._made[0] != key:
            network = NetworkFile(labels=grids.labels, size=grids.fit.network_size, stride=grids.stride)
            run = self._model.clip if measured else None
            made = export_settings(settings, self.target, model=network, nearest=True, run=run)
            self._made = (key, made)
        return self._made[1]

    @property
    def refused(self) -> tuple[str, ...]:
        """What the target cannot do of what the settings ask for, as long as nobody agreed to the nearest."""
        return () if self.exported is None or self.agreed else self.exported.changes

    def write(self, folder: Path, *, replace: bool = False) -> list[str]:
        """Write the files, unless ``replace`` is not set and some are there: return the names of those."""
        if self.exported is None or self.refused:
            raise OutputError(
                "There is nothing to write yet",
                seen="; ".join(self.refused) or "no program chosen",
                next_step="choose a program, and take the nearest settings that it can do.",
            )
        there = [name for name in self.exported.files if (folder / name).exists()]
        if not there or replace:
            self.exported.write(folder, overwrite=replace)
            return []
        return there


class ExportMenu(w.Accordion):  # type: ignore[misc]
    """The menu below a panel.

    Parameters
    ----------
    model : TunerModel
        The panel's.
    guard : callable
        Makes a callback of what a control does, with its errors shown in the panel.
    """

    def __init__(self, model: TunerModel, guard: Guard) -> None:
        self.export: Export = Export(model)
        self._shown: object = None
        programs = [("choose …", ""), *((str(target), str(target)) for target in Target)]
        self.target = w.Dropdown(options=programs, description="for", layout=w.Layout(width="250px"))
        self.nearest: Any = _button(
            "Take the nearest", "Export the nearest settings that this program can do"
        )
        self.measure: Any = _button(
            "Measure", "Count the boxes of this clip that the program loses and gains"
        )
        self.folder: Any = w.Text(_folder_for(""), description="folder", layout=w.Layout(flex="1 1 260px"))
        self.write: Any = _button("Write", "Write the files into this folder")
        self.replace: Any = _button("Replace", "Write over the files that are there")
        self.text, self.note = w.HTML(), w.HTML()
        self.text.add_class("pnb-export")
        self.target.observe(guard(self._choose), names="value")
        self.folder.observe(guard(self.follow), names="value")
        for button, action in (
            (self.nearest, self._agree),
            (self.measure, self._measure),
            (self.write, self._write),
            (self.replace, lambda: self._write(replace=True)),
        ):
            button.on_click(guard(action))
        row = w.Layout(flex_flow="row wrap")
        first = w.HBox([self.target, self.nearest, self.measure], layout=row)
        last = w.HBox([self.folder, self.write, self.replace], layout=row)
        super().__init__([w.VBox([first, self.text, last, self.note])], titles=(_TITLE,))
        self.follow()

    def _choose(self) -> None:
        self.export.choose(self.target.value)
        self.folder.value = _folder_for(self.target.value)
        self.follow()

    def _agree(self) -> None:
        self.export.agreed = True
        self.follow()

    def _measure(self) -> None:
        self.export.measure()
        self.follow()

    def _write(self, *, replace: bool = False) -> None:
        folder = Path(self.folder.value.strip()).expanduser().absolute()
        there = self.export.write(folder, replace=replace)
        _show(self.replace, bool(there))
        files = ", ".join(self.export.exported.files if self.export.exported else ())
        said = (
            f"In {folder} there is already {', '.join(there)}. Replace?"
            if there
            else f"Written to {folder}: {files}"
        )
        self.note.value = f'<div class="pnb-note" role="status">{escape(said)}</div>'

    def follow(self) -> None:
        """Show the files for the settings of the moment; what was asked about others is not asked any more."""
        exported, refused = self.export.exported, self.export.refused
        state = (exported, refused, self.folder.value)
        if state == self._shown:
            return
        self._shown = state
        self.text.value = "" if exported is None else _refusal(exported) if refused else _files(exported)
        self.note.value = ""
        _show(self.nearest, bool(refused))
        _show(self.replace, False)
        self.measure.disabled = self.write.disabled = exported is None or bool(refused)


_TITLE = "Export these settings for another program"


def _folder_for(target: str) -> str:
    return str(outputs_dir() / "export" / target)


def _button(text: str, tip: str) -> Any:
    return w.Button(description=text, tooltip=tip, layout=w.Layout(width="auto"))


def _show(widget: Any, shown: bool) -> None:
    widget.layout.display = None if shown else "none"


def _refusal(exported: Exported) -> str:
    said = f"{exported.target} cannot do what these settings ask for. The nearest that it can:"
    return f"<p>{said}</p>{_list(exported.changes)}"


def _files(exported: Exported) -> str:
    """Return the files, the first one unfolded, and what the reader must know of them."""
    changed = f"<p>Changed, because {exported.target} cannot do it:</p>{_list(exported.changes)}"
    texts = [(name, text) for name, text in exported.files.items() if isinstance(text, str)]
    folds = [fold(name, f"<pre>{escape(text)}</pre>") for name, text in texts]
    folds[0] = folds[0].replace("<details>", "<details open>", 1)
    notes = f"<p>What does not transfer:</p>{_list(exported.notes)}"
    return "".join([changed if exported.changes else "", *folds, notes])


def _list(lines: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
