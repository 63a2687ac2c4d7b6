"""All notebooks run from end to end: on the demo clip with the stand-in, on a real video, unattended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from papermill.cli import papermill
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from onnx_builder import detectnet, write
from peoplenet_nb.demo import STANDIN
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.settings import Settings
from peoplenet_nb.speed import build_uint8
from peoplenet_nb.video.writer import VideoWriter
from videos import make_video

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = {path.name[:2]: path for path in sorted(FOLDER.glob("*.ipynb"))}
NOWHERE = "http://127.0.0.1:9/v2/models"  # nobody listens on the discard port: NGC is unreachable, at once

Chosen = dict[str, dict[str, Any]]


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a notebook's kernel: no network, no models of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PEOPLENET_", "NGC_"))}
    return kept | {"PEOPLENET_HOME": str(home), "PEOPLENET_NGC_API": NOWHERE, "NO_PROXY": "127.0.0.1", **more}


def nbmake(chosen: Chosen, folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Run all notebooks with nbmake, with parameters injected as ``papermill -p`` does; return what each showed."""
    folder = folder / "notebooks"
    folder.mkdir()
    for number, path in NOTEBOOKS.items():
        notebook = parameterize_notebook(load_notebook_node(str(path)), chosen.get(number, {}))
        nbformat.write(notebook, folder / path.name)
    options = ["--nbmake", "--nbmake-kernel=python3", "--nbmake-timeout=240", "--overwrite"]
    options += ["-q", "-n0", "-p", "no:cacheprovider"]
    command = [sys.executable, "-P", "-m", "pytest", *options, "-c", str(ROOT / "pyproject.toml")]
    command += [f"--rootdir={ROOT}", str(folder)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{len(NOTEBOOKS)} passed" in done.stdout
    return {path.name[:2]: shown(path) for path in folder.glob("*.ipynb")}


def shown(path: Path) -> str:
    """Everything that a notebook that ran shows."""
    cells = nbformat.read(path, as_version=nbformat.NO_CONVERT).cells
    return json.dumps([cell.get("outputs", []) for cell in cells])


@pytest.mark.slow(100)
@pytest.mark.timeout(600)
def test_all_run_on_the_demo_clip_with_the_standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, secret = tmp_path / "home", "nvapi-this-must-not-be-seen-anywhere"
    monkeypatch.setenv("PEOPLENET_HOME", str(home))
    build_uint8(read_model_file(STANDIN))  # so that it is the variant that runs, which must change nothing
    chosen: Chosen = {
        "01": {"DEVICES": ["cpu", "cuda"], "REPEATS": 1},
        "03": {"BATCHES": [1, 2], "REPEATS": 1},
        "05": {"EVERY": 10, "SAMPLES": 2},
        "06": {"DEVICES": ["cpu"], "CALIBRATE": 6, "FRAMES": 8},
        "07": {"FRAMES": 30},
        "08": {"EVERY": 6},
        "09": {"FRAMES": 12},
        "10": {"SECONDS": 2},
        "11": {"CLIPS": 2},
    }
    pages = nbmake(chosen, tmp_path, environment(home, NGC_API_KEY=secret))
    assert list((home / "outputs").glob("demo-street-*/video.mp4")), "05 wrote no video"
    assert Settings.from_yaml(home / "settings.yaml").preset == "default", "04 saved no settings for 05"
    assert (home / "speed.yaml").is_file(), "06 kept no profile for the others"
    assert "NGC_API_KEY" in pages["02"]
    assert "cannot be reached" in pages["02"]
    assert secret not in "".join(pages.values())
    for path in home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()
    for number in ("03", "04", "05", "06"):
        assert "knows the rendered demo clip only" in pages[number], (
            "a stand-in must never pass for PeopleNet"
        )
    assert "after 4 frames" in pages["05"]


@pytest.mark.real
@pytest.mark.slow(100)
@pytest.mark.timeout(600)
def test_all_run_with_the_real_weights_on_vtest(shared: Path, tmp_path: Path) -> None:
    video = str(shared / "data" / "vtest.avi")
    chosen: Chosen = {
        "01": {"DEVICES": ["cpu"], "REPEATS": 1},
        "03": {"SOURCE": video, "BATCHES": [1], "REPEATS": 1},
        "04": {"SOURCE": video, "FRAME": 100},
        "05": {"SOURCE": video, "EVERY": 100, "SAMPLES": 2},
        "06": {"SOURCE": video, "DEVICES": ["cpu"], "INT8": False, "FRAMES": 4},
        "07": {"SOURCE": video, "FRAMES": 10},
        "08": {"SOURCE": video, "LABELS": str(shared / "data" / "vtest_gt.txt"), "EVERY": 80},
        "09": {"SOURCE": video, "EVERY": 100, "FRAMES": 6},
        "10": {"SOURCE": video, "SECONDS": 1},
        "11": {"SOURCE": video, "CLIPS": 2, "EVERY": 5},
    }
    home = tmp_path / "home"
    env = environment(home, PEOPLENET_SHARED=str(shared), PEOPLENET_NB_EXPECT_BOXES="1")
    pages = nbmake(chosen, tmp_path, env)
    assert list((home / "outputs" / "take-it-along-files" / "coco" / "images" / "default").glob("*.jpg"))
    runs = [json.loads(path.read_text()) for path in (home / "outputs").glob("vtest-*/summary.json")]
    (summary,) = [one for one in runs if one["sampling"]["every"] == 100]
    assert summary["frames"] == 8
    assert summary["counts"]["person"] > 24
    assert summary["model"]["standin"] is False
    profile = yaml.safe_load((home / "speed.yaml").read_text())
    assert profile["model_sha256"] == summary["model"]["sha256"]
    for number in ("03", "04", "05"):
        assert "Dead head: bag" in pages[number]


def unattended(name: str, folder: Path, env: dict[str, str], **parameters: object) -> str:
    """Run a notebook with papermill's command and return what it shows."""
    done = folder / f"done-{name}"
    arguments = [str(FOLDER / name), str(done), "--cwd", str(folder), "-k", "python3", "--no-progress-bar"]
    for parameter, value in parameters.items():
        listed = isinstance(value, list)  # papermill takes lists as YAML only
        arguments += ["-y", json.dumps({parameter: value})] if listed else ["-p", parameter, str(value)]
    ran = CliRunner().invoke(
        papermill, arguments, env=dict.fromkeys(os.environ) | env, catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output[-4000:]
    return shown(done)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_papermill_runs_05_unattended_as_06_chose(tmp_path: Path) -> None:
    model = write(detectnet(), tmp_path / "model" / "m.onnx")
    video = make_video(tmp_path / "video.mp4", 12)
    env = environment(tmp_path / "home")
    few = {"SOURCE": video, "MODEL": model, "FRAMES": 6}
    text = unattended("06_speed.ipynb", tmp_path, env, **few, CALIBRATE=9, DEVICES=["cpu", "cuda"])
    assert "minmax" in text
    assert "cuda" in text
    chosen = yaml.safe_load((tmp_path / "home" / "speed.yaml").read_text())
    # Nothing but the choice can bring these two about: left alone, a run is FP32, one frame at a time.
    chosen |= {"precision": "int8", "batch": 2}
    (tmp_path / "home" / "speed.yaml").write_text(yaml.safe_dump(chosen))
    text = unattended("05_video_runs.ipynb", tmp_path, env, **few, EVERY=2, NAME="chosen", SAMPLES=2)
    summary = json.loads((tmp_path / "home" / "outputs" / "chosen" / "summary.json").read_text())
    assert (summary["frames"], summary["sampling"]["every"]) == (6, 2)
    assert (summary["model"]["device"], summary["model"]["precision"]) == (chosen["device"], "int8")
    assert summary["model"]["batch"] == 2
    assert "data:video/mp4;base64" in text, "nobody serves the video to papermill's output: it must be in it"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_video_without_people_is_a_good_run(tmp_path: Path) -> None:
    video = tmp_path / "empty-street.mp4"
    with VideoWriter(video, (320, 180), 10.0) as writer:
        for i in range(4):
            writer.write(np.zeros((180, 320, 3), np.uint8), i / 10)
    env = environment(tmp_path / "home")
    unattended("04_threshold_debug.ipynb", tmp_path, env, SOURCE=video, FRAME=1)
    unattended("05_video_runs.ipynb", tmp_path, env, SOURCE=video, NAME="empty", SAMPLES=2)
    summary = json.loads((tmp_path / "home" / "outputs" / "empty" / "summary.json").read_text())
    assert (summary["frames"], sum(summary["counts"].values())) == (4, 0)
