#!/usr/bin/env python3
"""Make the README's pictures: run the notebooks in a real JupyterLab on vtest.avi with the real weights.

    PEOPLENET_SHARED=/path/to/shared python tools/make_screenshots.py

JupyterLab starts on a free loopback port with a token of its own, headless Chromium opens each notebook, runs
all of it and takes the outputs named in `SHOTS`. The pictures are WebP, each below 150 KB.

Other uses: ``--dark`` for the dark theme, ``--width 1024``, ``--only 04``, and ``--everything FOLDER`` for a picture
of every cell (to look through after a change; nothing goes to docs/images then).

Folders of the machine that makes the pictures are shown as a pod's (/workspace); all else is as it came.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
LARGEST = 150_000  # bytes
WIDTH = 1160  # pixels of the browser window
PARAMETERS: dict[str, dict[str, Any]] = {
    "01": {"DEVICES": ["cpu", "cuda"]},
    "02": {},
    "03": {"FRAME": 100, "BATCHES": [1, 2]},
    "04": {"FRAME": 100},
    "05": {"EVERY": 8, "FRAMES": 60},
    "06": {"FRAMES": 24},
    "07": {"FRAMES": 150, "KEYFRAMES": "2", "SMOOTH": 0.2},
    "10": {"SECONDS": 5},
    "11": {"CLIPS": 4},
    "08": {"LABELS": "", "EVERY": 12},
    "09": {"EVERY": 20, "FRAMES": 40},
}
#: Cell of the notebook, name of the picture, greatest height in pixels.
SHOTS: dict[str, list[tuple[str, str, int]]] = {
    "01": [("doctor", "01-doctor", 620)],
    "02": [("here", "02-model", 500)],
    "03": [("heads", "03-heads", 420), ("heat", "03-heatmaps", 820)],
    "04": [("cells", "04-cells-and-boxes", 500), ("missing", "04-missing", 700)],
    "05": [("video", "05-video", 720), ("counts", "05-counts", 520)],
    "06": [("runs", "06-speed", 620), ("stages", "06-stages", 520)],
    "07": [("frame", "07-people", 760), ("draw", "07-drawing", 640), ("beside", "07-redacted", 520)],
    "08": [("label", "08-labelling", 900), ("worst", "08-worst", 700), ("compare", "08-before-after", 500)],
    "09": [("compare", "09-compare", 900)],
    "11": [("pictures", "11-clips", 560)],
}


@dataclass
class Lab:
    """A running JupyterLab."""

    address: str
    token: str
    root: Path


def prepare(root: Path, shared: Path) -> None:
    """Lay out a folder as a pod has it: notebooks with their parameters, the video, the model."""
    (root / "videos").mkdir()
    for name in ("vtest.avi", "vtest_gt.txt"):
        shutil.copy(shared / "data" / name, root / "videos")
    for folder in (shared / "models").iterdir():
        shutil.copytree(folder, root / "peoplenet" / "models" / folder.name)
    (root / "notebooks").mkdir()
    for path in NOTEBOOKS:
        notebook = load_notebook_node(str(path))
        key = path.name[:2]
        chosen = dict(PARAMETERS.get(key, {}))
        if "SOURCE" in "".join(
            cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])
        ):
            chosen["SOURCE"] = str(root / "videos" / "vtest.avi")
        if "LABELS" in chosen:
            chosen["LABELS"] = str(root / "videos" / "vtest_gt.txt")
        if chosen:
            notebook = parameterize_notebook(notebook, chosen)
        for cell in notebook.cells:
            cell.metadata.pop("papermill", None)
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "PeopleNet",
            "language": "python",
        }
        nbformat.write(notebook, root / "notebooks" / path.name)


def settings(folder: Path, *, dark: bool) -> None:
    """Write JupyterLab's user settings: theme, no news, and every cell in the page at once."""
    wanted: dict[str, dict[str, Any]] = {
        "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension/themes": {"theme": "JupyterLab Dark" if dark else "JupyterLab Light"},
        "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    for name, values in wanted.items():
        path = folder / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


@contextlib.contextmanager
def running_lab(root: Path, *, dark: bool) -> Iterator[Lab]:
    """Start JupyterLab on a free loopback port; stop it in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    private = root / ".jupyter"
    settings(private / "lab", dark=dark)
    environment = dict(os.environ)
    environment.pop("PEOPLENET_MODEL", None)
    environment |= {
        "PEOPLENET_HOME": str(root / "peoplenet"),
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(private / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(private / "workspaces"),
        "JUPYTER_TOKEN": token,
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [
        "--ip=127.0.0.1",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
    ]
    with (private / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=root, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/api?token={token}", timeout=2).close()
                break
            if process.poll() is not None:
                raise SystemExit(f"JupyterLab ended: {(private / 'log').read_text()[-2000:]}")
            time.sleep(0.25)
        yield Lab(address, token, root)
    finally:
        process.terminate()
        process.wait(20)


def run_notebook(page: Any, lab: Lab, path: Path, timeout_s: float) -> list[str]:
    """Open a notebook, run all of it, and return the ids of its cells; an error in a cell ends the script."""
    page.goto(f"{lab.address}/lab/tree/notebooks/{path.name}?token={lab.token}&reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60_000)
    page.wait_for_function(_KERNEL_IDLE, timeout=60_000)
    ids = [str(cell["id"]) for cell in nbformat.read(lab.root / "notebooks" / path.name, as_version=4).cells]
    ended = page.evaluate(_RUN_ALL, 1000 * timeout_s)
    failed = page.evaluate(_ERRORS)
    if failed:
        raise SystemExit(f"{path.name}: {failed[0]}")
    if not ended:
        raise SystemExit(f"{path.name} did not end within {timeout_s:.0f} s")
    page.wait_for_timeout(2500)  # pictures, video and canvas settle
    return ids


_ERRORS = """() => jupyterapp.shell.currentWidget.content.model.toJSON().cells
  .flatMap((cell) => cell.outputs || [])
  .filter((output) => output.output_type === 'error')
  .map((output) => `${output.ename}: ${output.evalue}`)"""
_KERNEL_IDLE = "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
_RUN_ALL = """(limit) => Promise.race([
  jupyterapp.commands.execute('notebook:run-all-cells').then(() => true),
  new Promise((resolve) => setTimeout(() => resolve(false), limit)),
])"""
_AS_ON_A_POD = """([from, to]) => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode;
    for (let i = 0; i < from.length; i++) node.nodeValue = node.nodeValue.split(from[i]).join(to[i]);
  }
}"""


def take(page: Any, lab: Lab, number: int, tallest: int, target: Path, *, whole: bool = False) -> Path | None:
    """Take the output of a cell (or all of the cell) as WebP; None where it shows nothing."""
    cell = page.locator(".jp-Notebook .jp-Cell").nth(number)
    part = cell if whole else cell.locator(".jp-OutputArea").first
    part.scroll_into_view_if_needed()
    page.wait_for_timeout(400)
    shown = {
        str(lab.root): "/workspace",
        sys.prefix: "/workspace/peoplenet/venv",
        str(ROOT): "/workspace/peoplenet-nb",
    }
    page.evaluate(_AS_ON_A_POD, [list(shown), list(shown.values())])
    box = part.bounding_box()
    if box is None or box["height"] < 8:
        return None
    data = np.frombuffer(part.screenshot(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)[:tallest]
    for quality in range(90, 20, -10):
        _, encoded = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
        if len(encoded) < LARGEST:
            break
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encoded.tobytes())
    return target


def main() -> None:
    """Run the notebooks and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dark", action="store_true", help="JupyterLab's dark theme")
    parser.add_argument("--width", type=int, default=WIDTH, help="pixels of the browser window")
    parser.add_argument("--only", action="append", default=[], help="a notebook's number, e.g. 04")
    parser.add_argument("--everything", type=Path, help="a picture of every cell into this folder")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images")
    parser.add_argument("--chromium", default=shutil.which("chromium") or "/usr/bin/chromium")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for one notebook")
    arguments = parser.parse_args()
    shared = os.environ.get("PEOPLENET_SHARED")
    if not shared:
        raise SystemExit("PEOPLENET_SHARED must name the folder with the real weights and vtest.avi")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="peoplenet-") as temporary:
        root = Path(temporary).resolve()
        prepare(root, Path(shared))
        with running_lab(root, dark=arguments.dark) as lab, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": arguments.width, "height": 1900})
            for path in NOTEBOOKS:
                key = path.name[:2]
                if arguments.only and key not in arguments.only:
                    continue
                began = time.monotonic()
                ids = run_notebook(page, lab, path, arguments.timeout)
                print(f"{path.name}: run in {time.monotonic() - began:.0f} s")
                page.evaluate("jupyterapp.shell.collapseLeft()")
                page.wait_for_timeout(500)
                if arguments.everything:
                    for number, name in enumerate(ids):
                        take(
                            page,
                            lab,
                            number,
                            4000,
                            arguments.everything / f"{number:02d}-{name}.webp",
                            whole=True,
                        )
                else:
                    for slug, name, tallest in SHOTS.get(key, []):
                        number = ids.index(f"nb{key}-{slug}")
                        target = take(page, lab, number, tallest, arguments.out / f"{name}.webp")
                        print(f"  {target}: {target.stat().st_size if target else 0} bytes")
            browser.close()


if __name__ == "__main__":
    main()
