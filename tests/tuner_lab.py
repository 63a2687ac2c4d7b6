"""A real JupyterLab and a headless Chromium on it, for the tuner's tests, its benchmark and its recorder."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peoplenet_nb.settings import Settings

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# The machines of a CI have no network: Chromium is told not to look for any.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--enable-precise-memory-info"]  # fmt: skip

FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


def write_notebook(path: Path, cells: list[str]) -> Path:
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    return path


@contextlib.contextmanager
def jupyter_lab(root: Path, **environment: str) -> Iterator[str]:
    """Start JupyterLab on a free port with folders of its own; yield its address with the token put in."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, own = secrets.token_hex(16), root / ".lab"
    folders = {
        "JUPYTER_CONFIG_DIR": own / "config",
        "JUPYTER_DATA_DIR": own / "data",
        "JUPYTER_RUNTIME_DIR": own / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": own / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": own / "workspaces",
        "IPYTHONDIR": own / "ipython",
    }
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    # No question about news on top of what is tested.
    quiet = own / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1",
               f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}", "--ServerApp.port_retries=0",
               "--LabApp.expose_app_in_browser=True"]  # fmt: skip
    env = os.environ | {k: str(v) for k, v in folders.items()} | environment
    with (own / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _until_up(f"{address}/api?token={token}", server, own / "lab.log")
        yield f"{address}/{{page}}?token={token}"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(900):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def browser(
    width: int = 1600, height: int = 1300, scale: float = 1, camera: Path | None = None
) -> Iterator[Any]:
    """Yield a page of a headless Chromium; what it writes to its console as errors is in ``page.problems``.

    Its ``camera`` is what a file of Motion JPEG shows.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        more = [] if camera is None else [*FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera}"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more])
        context = chromium.new_context(viewport={"width": width, "height": height}, device_scale_factor=scale)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        yield page
        chromium.close()


class Notebook:
    """A notebook open in JupyterLab.

    Parameters
    ----------
    page : playwright.sync_api.Page
        A page that shows nothing yet.
    lab : str
        What `jupyter_lab` yielded.
    name : str
        The notebook, relative to the server's root.
    """

    def __init__(self, page: Any, lab: str, name: str) -> None:
        self.page = page
        page.goto(lab.format(page=f"lab/tree/{name}") + "&reset", wait_until="domcontentloaded")
        self.ready()

    def ready(self) -> None:
        """Wait until the notebook is open and its kernel answers."""
        page = self.page
        page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook", timeout=60_000)
        page.wait_for_function("() => window.jupyterapp")
        page.evaluate(
            "() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight(); }"
        )
        page.wait_for_function(
            """() => { const p = window.jupyterapp.shell.currentWidget; const k = p?.sessionContext?.session?.kernel;
            return k && k.status === "idle"; }""",
            timeout=60_000,
        )

    def command(self, name: str, arguments: dict[str, Any] | None = None) -> None:
        """Execute a command of JupyterLab without waiting for its end."""
        self.page.evaluate(
            "([name, args]) => { window.jupyterapp.commands.execute(name, args); }", [name, arguments or {}]
        )

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        """Select one cell and run it without waiting for its end."""
        self.page.evaluate(
            "(i) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", index
        )
        self.command("notebook:run-cell")

    def clear_cell(self, index: int) -> None:
        """Take one cell's output away."""
        self.page.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.clearExecution()", index
        )

    def save(self) -> None:
        """Save the notebook and wait for it."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        """Restart the kernel without being asked."""
        self.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
        )

    def idle(self, timeout: float = 60) -> None:
        """Wait until the kernel says idle; one that sleeps in a cell says so too while it serves widgets."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
            timeout=timeout * 1000,
        )

    def dark(self) -> None:
        self.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
        self.page.wait_for_function("() => document.body.dataset.jpThemeLight === 'false'")


class Panel:
    """The tuner on a page."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_function(
            "() => document.querySelector('.pnb-tuner')?.tunerStats?.paints > 0", timeout=60_000
        )
        self.top()

    def top(self) -> None:
        """Scroll the panel to the top of what is seen."""
        self.page.evaluate("() => document.querySelector('.pnb-tuner').scrollIntoView()")

    @classmethod
    def without_canvas(cls, page: Any) -> Panel:
        """The panel's sliders where the canvas did not come up."""
        panel = cls.__new__(cls)
        panel.page = page
        return panel

    def settled(self) -> None:
        """Wait until nothing moves on the page any more: a busy machine lays out late what was resized or added."""
        self.page.wait_for_function(
            """() => new Promise((done) => {
              const where = () => JSON.stringify([...document.querySelectorAll('.pnb-tuner, .pnb-stage, .pnb-controls')]
                .map((element) => element.getBoundingClientRect()));
              const before = where();
              const look = (left) => {
                if (where() !== before) done(false);
                else if (left) requestAnimationFrame(() => look(left - 1));
                else done(true);
              };
              requestAnimationFrame(() => look(2));
            })"""
        )

    def stats(self) -> dict[str, float]:
        return dict(
            self.page.evaluate(
                "() => { const { paints, painted, cost } = document.querySelector('.pnb-tuner').tunerStats;"
                " return { paints, painted, cost }; }"
            )
        )

    def detections(self) -> dict[str, list[float]]:
        """What the page holds as final boxes."""
        return dict(
            self.page.evaluate(
                """() => { const d = document.querySelector('.pnb-tuner').tunerStats.detections();
                return { xyxy: [...d.xyxy], confidence: [...d.confidence], class_id: [...d.classId] }; }"""
            )
        )

    def summary(self) -> str:
        return str(self.page.inner_text(".pnb-summary >> nth=0"))

    def row(self, text: str) -> Any:
        return self.page.locator(".pnb-row", has=self.page.locator(f".widget-label:text-is('{text}')"))

    def track(self, text: str) -> dict[str, float]:
        """Where the track of the slider with this label lies on the page."""
        slider = self.row(text).locator(".noUi-base").first
        slider.scroll_into_view_if_needed()
        return dict(slider.bounding_box())

    def readout(self, text: str) -> str:
        """What the slider with this label shows as its number."""
        return str(self.row(text).locator(".widget-readout").inner_text())

    def drag(self, text: str, values: list[float], top: float = 1.0, pause: float = 0) -> None:
        """Drag a slider's handle through values; the button stays down in between."""
        self.settled()
        track, mouse = self.track(text), self.page.mouse
        handle = self.row(text).locator(".noUi-handle").first.bounding_box()
        y = handle["y"] + handle["height"] / 2
        mouse.move(handle["x"] + handle["width"] / 2, y)
        mouse.down()
        for value in values:
            mouse.move(track["x"] + track["width"] * value / top, y)
            time.sleep(pause)
        mouse.up()

    def toggle(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()


@dataclass
class Watched:
    """A panel on a page, and what its kernel writes of it into a log."""

    page: Any
    notebook: Notebook
    panel: Panel
    folder: Path
    lab: str
    log: str = "log.jsonl"

    @property
    def last(self) -> dict[str, Any]:
        """What Python last held."""
        return kernel_log(self.folder / self.log)[-1]

    @property
    def settings(self) -> Settings:
        return Settings.from_dict(self.last["settings"])

    def until(self, true: Callable[[], object], what: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"{what}; Python last held {self.last}"
            time.sleep(0.05)

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the frame is on the page, once the page has come to rest."""
        self.panel.settled()
        zoom = self.page.evaluate("() => ({...document.querySelector('.pnb-tuner').tunerStats.zoom})")
        box = self.page.locator(".pnb-stage:visible").bounding_box()
        scale = box["width"] * zoom["factor"] / zoom["width"]
        return box["x"] + (x - zoom["x"]) * scale, box["y"] + (y - zoom["y"]) * scale

    def drag(self, *points: tuple[float, float]) -> None:
        """Press at a point of the frame and let go at the last of the others."""
        places = [self.at(*point) for point in points]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place)
        self.page.mouse.up()


def kernel_log(path: Path) -> list[dict[str, Any]]:
    """What a test's notebook wrote, one JSON object a line; one that is still being written is left out."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
