"""A widget's page without Jupyter: the module in a bare Chromium page on a model that lives there.

What the page sends arrives in Python at once, so nothing depends on a kernel's time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from peoplenet_nb.tuner.bundle import module_source, style_sheet

_MODEL = """async ([source, traits]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const opened = (value) => {
    if (value && value.__bytes__ !== undefined) return bytes(value.__bytes__);
    if (value?.constructor !== Object) return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, opened(v)]));
  };
  const state = opened(traits);
  const listeners = new Map();
  const calls = (name) => listeners.get(name) ?? listeners.set(name, new Set()).get(name);
  window.pnbModel = {
    get: (name) => state[name],
    set(name, value) {
      if (state[name] === value) return;
      state[name] = value;
      for (const call of [...calls(`change:${name}`)]) call();
    },
    save_changes: () => {},
    send: (content) => window.pnbSent?.(content),
    on: (name, call) => calls(name).add(call),
    off: (name, call) => calls(name).delete(call),
    arrive: (content, buffers) => calls("msg:custom").forEach((call) => call(content, buffers.map(bytes))),
  };
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.pnbEngine = await import(address);
  window.pnbEngine.default.initialize({ model: window.pnbModel });
  window.pnbEngine.default.render({ model: window.pnbModel, el: document.querySelector("main") });
}"""


def open_bare(page: Any, canvas: Any, sent: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Show a canvas widget on a page; ``sent`` gets what it sends to Python."""

    def plain(value: Any) -> Any:
        if isinstance(value, bytes | memoryview):
            return {"__bytes__": base64.b64encode(value).decode()}
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    if sent is not None:
        page.expose_function("pnbSent", sent)
    page.set_content(f"<style>body {{ margin: 8px }} {style_sheet('tuner')}</style><main></main>")
    traits = {name: plain(getattr(canvas, name)) for name in canvas.keys if not name.startswith("_")}
    traits = {name: value for name, value in traits.items() if name not in ("layout", "tabbable", "tooltip")}
    page.evaluate(_MODEL, [module_source(), traits])
    page.wait_for_function("() => document.querySelector('.pnb-tuner')?.tunerStats?.paints > 0")
