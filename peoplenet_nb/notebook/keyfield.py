"""A field for an NGC key that leaves no trace in the notebook.

What is typed goes from the browser to this process and is taken out of the field at once: it is neither in a
cell's source, nor in an output, nor in the widget state that JupyterLab can save with a notebook, nor echoed
back to other browsers that look at the same notebook.

The key lives in a `peoplenet_nb.ngc.errors.Secret` of this process only. A key in the
environment is used when nothing was typed, and with neither, NGC is asked as guest, which is enough.
"""

from __future__ import annotations

import os
from typing import Any

import ipywidgets as widgets
import traitlets

from peoplenet_nb.ngc.errors import Secret

#: Where a key may come from; on RunPod a secret named NGC_API_KEY arrives under the last name as well.
VARIABLES = ("NGC_API_KEY", "NGC_CLI_API_KEY", "RUNPOD_SECRET_NGC_API_KEY")


class _Password(widgets.Password):  # type: ignore[misc]
    """A password box whose value is never echoed to other front ends."""

    value = traitlets.Unicode("").tag(sync=True, echo_update=False)


class KeyField:
    """A password box for an NGC API key; show it by ending a cell with it.

    Attributes
    ----------
    origin : str
        Where the key comes from, in words, never the key.
    """

    def __init__(self) -> None:
        self._typed: Secret | None = None
        self._box = _Password(
            description="NGC key",
            placeholder="none needed; paste and press Enter",
            continuous_update=False,
            layout=widgets.Layout(width="32em"),
        )
        self._text = widgets.HTML()
        self._whole = widgets.HBox([self._box, self._text])
        self._box.observe(self._take, names="value")
        self._show_origin()

    @property
    def origin(self) -> str:
        """Where the key comes from, in words."""
        if self._typed is not None:
            return "the key that was typed"
        name = next((name for name in VARIABLES if os.environ.get(name, "").strip()), None)
        return "no key: as guest" if name is None else f"the key in the variable {name}"

    def reveal(self) -> str:
        """Return the key for the call that needs it; empty for a guest."""
        if self._typed is not None:
            return self._typed.reveal()
        return next((value for name in VARIABLES if (value := os.environ.get(name, "").strip())), "")

    def _take(self, change: Any) -> None:
        typed = str(change["new"]).strip()
        if not typed:
            return
        self._typed = Secret(typed)
        self._box.value = ""  # gone from the page and from what a notebook could save
        self._show_origin()

    def _show_origin(self) -> None:
        self._text.value = f"&nbsp;using {self.origin}"

    def __repr__(self) -> str:
        return f"KeyField({self.origin})"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return self._whole._repr_mimebundle_(**kwargs)
