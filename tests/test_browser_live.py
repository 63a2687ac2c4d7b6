"""The browser's camera and the live panel in a real page: JupyterLab, headless Chromium, a fake camera."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from live_streams import wait_for
from peoplenet_nb.demo import STANDIN, demo_clip
from peoplenet_nb.sources import open_source
from tuner_lab import CHROMIUM, Notebook, browser, jupyter_lab, write_notebook

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow(30),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]

TELL = """import json
from pathlib import Path
def tell(name, **what):
    Path(name).with_suffix(".part").write_text(json.dumps(what))
    Path(name).with_suffix(".part").rename(name)
"""
CELLS = [
    f"{TELL}import peoplenet_nb as pn\nmodel = pn.PeopleNet.load({str(STANDIN)!r})\n"
    "camera = pn.BrowserCamera(model)\ncamera",
    "tuner = camera.still.tune(camera.settings)\n"
    "tell('still.json', boxes=len(camera.still.detections), size=camera.still.image.shape, errors=camera.errors, "
    "threshold=camera.settings.for_class('person').threshold)",
    "panel = pn.watch('demo', model, output='recorded')\npanel",
    "again = pn.watch('demo', model)\n"
    "tell('panel.json', same=again is panel, errors=panel.errors, results=[str(r.folder) for r in panel.results], "
    "running=panel.watching.running)",
]
STATS = "(i) => document.querySelectorAll('.pnb-live')[i]?.liveStats"


def as_motion_jpeg(out: Path) -> Path:
    """The demo clip as what Chromium's fake camera plays."""
    frames = open_source(demo_clip(), every=3)
    out.write_bytes(
        b"".join(cv2.imencode(".jpg", cv2.resize(f.image, (640, 480)))[1].tobytes() for f in frames)
    )
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    root = tmp_path_factory.mktemp("live-lab")
    video = as_motion_jpeg(root / "camera.mjpeg")
    write_notebook(root / "live.ipynb", CELLS)
    with jupyter_lab(root) as lab, browser(1440, 1300, camera=video) as shown:
        shown.notebook, shown.folder, shown.lab = Notebook(shown, lab, "live.ipynb"), root, lab
        yield shown


def stats(page: Any, panel: int) -> dict[str, Any]:
    found = page.evaluate(
        f"(i) => {{ const s = ({STATS})(i); return s && JSON.parse(JSON.stringify(s)); }}", panel
    )
    return dict(found or {"shown": 0})


def told(page: Any, cell: int, name: str) -> dict[str, Any]:
    page.notebook.run_cell(cell)
    wait_for((page.folder / name).exists, 30)
    return dict(json.loads((page.folder / name).read_text()))


def press(page: Any, panel: int, name: str) -> None:
    page.locator(".pnb-live").nth(panel).get_by_role("button", name=name, exact=True).click()


def test_a_refused_camera_says_why(page: Any) -> None:
    page.notebook.run_cell(0)
    page.wait_for_selector(".pnb-live", timeout=60_000)
    said = page.locator(".pnb-live-say")
    page.evaluate(
        "() => { const ask = navigator.mediaDevices.getUserMedia; navigator.mediaDevices.getUserMedia = async () => {"
        " navigator.mediaDevices.getUserMedia = ask; throw new DOMException('no', 'NotAllowedError'); }; }"
    )
    press(page, 0, "Start camera")
    wait_for(lambda: "not allowed to use the camera" in said.inner_text())
    page.evaluate(
        "() => { globalThis.theirs = navigator.mediaDevices;"
        " Object.defineProperty(navigator, 'mediaDevices', { value: undefined, configurable: true }); }"
    )
    press(page, 0, "Start camera")
    wait_for(lambda: "not a secure context" in said.inner_text())
    page.evaluate("() => { delete navigator.mediaDevices; }")


def test_boxes_are_drawn_over_the_camera_and_follow_the_sliders(page: Any) -> None:
    press(page, 0, "Start camera")
    wait_for(lambda: stats(page, 0)["shown"] > 10 and stats(page, 0)["boxes"], 40)
    assert page.locator(".pnb-live-say").inner_text() == ""
    assert "ms from picture to boxes" in page.locator(".pnb-live-line").inner_text()
    press(page, 0, "Keep a still")
    wait_for(lambda: "Kept" in page.locator(".pnb-live-line").inner_text())
    still = told(page, 1, "still.json")
    assert (still["size"], still["errors"]) == ([480, 640, 3], [])
    page.locator(".pnb-row", has_text="person").locator(".widget-readout").first.fill("1")
    page.keyboard.press("Enter")
    wait_for(lambda: all(box[4] != 0 for box in stats(page, 0)["boxes"]))


def test_the_camera_is_switched_off(page: Any) -> None:
    press(page, 0, "Stop")
    wait_for(lambda: "The camera is off" in page.locator(".pnb-live-say").first.inner_text())
    shown = stats(page, 0)["shown"]
    time.sleep(0.5)
    assert stats(page, 0)["shown"] == shown


def test_a_stream_is_watched_and_recorded_and_goes_on_without_the_page(page: Any) -> None:
    page.notebook.run_cell(2)
    wait_for(lambda: stats(page, 1).get("state", {}).get("running") and stats(page, 1)["shown"] > 5, 40)
    press(page, 1, "Record")
    wait_for(lambda: stats(page, 1)["state"]["recording"], 40)
    page.notebook.save()
    assert page.problems == []
    before = stats(page, 1)["n"]
    page.goto("about:blank")
    page.goto(page.lab.format(page="lab/tree/live.ipynb"), wait_until="domcontentloaded")
    page.notebook.ready()
    wait_for(lambda: stats(page, 1)["shown"] > 3, 40)
    assert stats(page, 1)["n"] > before
    assert stats(page, 1)["state"]["recording"]
    press(page, 1, "Stop")
    wait_for(lambda: "Recorded to" in page.locator(".pnb-live-line").nth(1).inner_text(), 60)
    panel = told(page, 3, "panel.json")
    assert (panel["errors"], len(panel["results"])) == ([], 1)
    assert panel["same"]
    assert panel["running"]  # watched again, not recorded
    assert (page.folder / panel["results"][0] / "video.mp4").is_file()
