"""A button that brings a video or picture from the reader's own machine.

One decision to know: an upload travels through the kernel's websocket and is held in memory on the way, so it
is for small files; a large video is dragged into JupyterLab's file browser and named as a source.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

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

    def __init__(self) -> None:
        self.path: Path | None = None
        self._button = widgets.FileUpload(
            accept="video/*,image/*", multiple=False, description="Upload a video"
        )
        self._said = widgets.HTML("&nbsp;optional; up to some ten MB")
        self._whole = widgets.HBox([self._button, self._said])
        self._button.observe(self._take, names="value")

    def _take(self, change: Any) -> None:
        for item in change["new"]:
            name = Path(str(item["name"])).name.lstrip(".") or "upload"
            folder = home() / "uploads"
            try:
                write_bytes(folder / name, bytes(item["content"]))
                self.path = folder / name
            except OutputError as error:
                # An exception in a callback would vanish in the kernel's log.
                self._said.value = f"&nbsp;not received: {html.escape(str(error))}"
            else:
                self._said.value = "&nbsp;received; run the cells below again"

    def or_else(self, source: str | Path) -> str:
        """Return the uploaded file, else the source that was named."""
        return str(self.path or source)

    def __repr__(self) -> str:
        return f"UploadField({self.path})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._whole._repr_mimebundle_(**kwargs)
