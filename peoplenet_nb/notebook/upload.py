"""A button that brings a video or picture from the reader's own machine.

An upload travels through the kernel's websocket and is held in memory on the way, so it is for small files; a large
video is dragged into JupyterLab's file browser and named as a source.

One decision to know: a field knows what was uploaded to an earlier one in the same kernel, so that running the cell
again, as *Run All* does, takes the same file. A new kernel takes the source that is named, as an unattended run must,
and the field says which upload is still there.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets as widgets

from peoplenet_nb.errors import OutputError
from peoplenet_nb.files import write_bytes
from peoplenet_nb.paths import home


class UploadField:
    """A file picker; show it by ending a cell with it.

    Attributes
    ----------
    path : Path or None
        The uploaded file, None as long as there is none.
    """

    _uploaded: ClassVar[Path | None] = None  # in this kernel

    def __init__(self) -> None:
        self._button = widgets.FileUpload(
            accept="video/*,image/*", multiple=False, description="Upload a video"
        )
        self._forget = widgets.Button(description="Take SOURCE instead", layout={"width": "auto"})
        self._text = widgets.HTML()
        self._whole = widgets.HBox([self._button, self._text, self._forget])
        self._button.observe(self._take, names="value")
        self._forget.on_click(lambda _: self._show(None))
        last = UploadField._uploaded
        self._show(last if last is not None and last.is_file() else None)

    def _take(self, change: Any) -> None:
        for item in change["new"]:
            name = Path(str(item["name"])).name.lstrip(".") or "upload"
            path = home() / "uploads" / name
            try:
                write_bytes(path, bytes(item["content"]))
            except OutputError as error:
                # An exception in a callback would vanish in the kernel's log.
                self._text.value = f"&nbsp;not received: {html.escape(str(error))}"
            else:
                self._show(path, "; run the cells below again")

    def _show(self, path: Path | None, more: str = "") -> None:
        """Take a file, or none, and say so."""
        self.path = UploadField._uploaded = path
        self._forget.layout.display = "none" if path is None else None
        if path is not None:
            text = f"{path} takes the place of SOURCE{more}"
        elif earlier := _earlier():
            text = f"SOURCE is taken. Uploaded earlier: {earlier}; to take that, name it in SOURCE."
        else:
            text = "optional; up to some ten MB"
        self._text.value = f"&nbsp;{html.escape(text)}"

    def or_else(self, source: str | Path) -> str:
        """Return the uploaded file, else the source that was named."""
        return str(self.path or source)

    def __repr__(self) -> str:
        return f"UploadField({self.path})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._whole._repr_mimebundle_(**kwargs)


def _earlier() -> Path | None:
    """Return the file that was uploaded last, by whichever kernel."""
    folder = home() / "uploads"
    files = [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []
    return max(files, key=lambda path: path.stat().st_mtime, default=None)
