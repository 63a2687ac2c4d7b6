"""Errors in a panel's callbacks: kept, logged, and shown in a strip until what failed works again.

A notebook run reports success when a callback fails, so no error may end there.
"""

from __future__ import annotations

import functools
import html
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import ipywidgets as w

from peoplenet_nb.tuner.bundle import style_sheet

log: logging.Logger = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


class Guarded:
    """What a panel with guarded callbacks is built on.

    Attributes
    ----------
    errors : list of str
        What failed in callbacks, in the kernel and in the browser.
    """

    errors: list[str]

    def _begin_guarding(self) -> None:
        self.errors = []
        self._failing: dict[str, str] = {}
        self._strip = w.HTML()

    def _framed(self, *children: Any) -> list[Any]:
        """Return a panel's children, with its style sheet and the strip of errors before them."""
        return [w.HTML(f"<style>{style_sheet('panel')}</style>"), self._strip, *children]

    def _hear(self, content: Mapping[str, Any]) -> bool:
        """Keep an error of the browser, which the page shows until what failed works again; tell whether it was one."""
        if content.get("type") != "error":
            return False
        self.errors.append(f"in the browser: {content.get('message', '')}")
        return True

    def _failed(self, kind: str, error: Exception | None) -> None:
        """Show the error of a kind of callback, or with None that it works."""
        text = "" if error is None else f"{type(error).__name__}: {error}"
        if text:
            self.errors.append(text)
        if text == self._failing.get(kind, ""):
            return
        self._failing[kind] = text
        lines = "<br>".join(html.escape(one.split("\n")[0]) for one in self._failing.values() if one)
        self._strip.value = f'<div class="pnb-errors" role="alert">{lines}</div>' if lines else ""


def guarded(kind: str) -> Callable[[F], F]:
    """Keep a callback's error in the panel, and show it until a callback of its kind succeeds."""

    def guard(method: F) -> F:
        @functools.wraps(method)
        def run(self: Guarded, *args: Any, **kwargs: Any) -> None:
            try:
                method(self, *args, **kwargs)
            except Exception as error:
                log.exception("A callback of the tuner failed")
                self._failed(kind, error)
            else:
                self._failed(kind, None)

        return run  # type: ignore[return-value]

    return guard
