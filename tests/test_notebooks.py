"""The rules that notebooks keep, held on the files, and all of them run from end to end."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import yaml
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
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]
LOOPS = (ast.For, ast.While, ast.AsyncFor)
LONGEST_LOOP, LONGEST_CELL = 5, 8
FORBIDDEN = ("cv2.imshow", "waitKey", "input(", "!pip", "!apt", "%pip", "%%bash", "getpass", "nvapi-")
NOWHERE = "http://127.0.0.1:9/v2/models"  # nobody listens on the discard port: NGC is unreachable, at once


def load(path: Path) -> Any:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def words_of(notebook: Any) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def faults(source: str) -> list[str]:
    """What a cell's code does that belongs into the package."""
    # The word itself, not the end of another: model.network_input(frame) asks nobody anything.
    found = [f"holds {word}" for word in FORBIDDEN if re.search(rf"(?<!\w){re.escape(word)}", source)]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            found.append(f"line {node.lineno}: a {type(node).__name__}")
        if isinstance(node, LOOPS) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_LOOP:
            found.append(f"line {node.lineno}: a loop of more than {LONGEST_LOOP} lines")
    return found


def test_there_are_the_numbered_notebooks() -> None:
    numbers = [int(name[:2]) for name in NAMES]
    assert numbers == sorted(set(numbers))
    for name in ("01_setup", "02_ngc_download", "03_model_inspection", "04_threshold_debug"):
        assert f"{name}.ipynb" in NAMES
    assert NAMES[4:7] == ["05_video_runs.ipynb", "06_speed.ipynb", "07_people_over_time.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
class TestRules:
    def test_is_valid_with_stable_ids_and_no_output(self, path: Path) -> None:
        notebook = load(path)
        nbformat.validate(notebook)
        assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)
        # Words, not random letters: an id that a tool made up changes whenever the tool runs again.
        assert [i for i in ids if not re.fullmatch(rf"nb{path.name[:2]}-[a-z][a-z-]*", i)] == []
        for cell in code_of(notebook):
            assert cell.outputs == []
            assert cell.execution_count is None
        assert set(notebook.metadata) == {"kernelspec", "language_info"}
        assert notebook.metadata.kernelspec.name == "peoplenet"

    def test_holds_no_logic(self, path: Path) -> None:
        for cell in code_of(load(path)):
            assert faults(cell.source) == [], cell.id
            if "hide" not in tags(cell):
                longest = max(LONGEST_CELL, 10 if "parameters" in tags(cell) else 0)
                assert len(cell.source.splitlines()) <= longest, f"{cell.id} is too long"

    def test_has_one_cell_of_plain_parameters(self, path: Path) -> None:
        (cell,) = [cell for cell in code_of(load(path)) if "parameters" in tags(cell)]
        for statement in ast.parse(cell.source).body:
            assert isinstance(statement, ast.Assign), ast.unparse(statement)
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            assert target.id.isupper()
            ast.literal_eval(statement.value)

    def test_what_prose_tells_to_call_is_there_to_be_called(self, path: Path) -> None:
        notebook = load(path)
        names = {
            node.id if isinstance(node, ast.Name) else node.name
            for cell in code_of(notebook)
            for node in ast.walk(ast.parse(cell.source))
            if isinstance(node, ast.Name | ast.alias)
        }
        called = re.findall(r"`(\w+)[(.][^`]*\)`", words_of(notebook))
        assert [name for name in called if name not in names] == []

    def test_every_result_is_led_in_by_words(self, path: Path) -> None:
        kinds = [cell.cell_type for cell in load(path).cells]
        assert kinds[0] == "markdown"
        assert "code code code" not in " ".join(kinds), "three code cells without a sentence between them"

    def test_opens_with_what_it_gives_and_ends_with_the_next(self, path: Path) -> None:
        notebook = load(path)
        number = NOTEBOOKS.index(path)
        head, end = notebook.cells[0].source, notebook.cells[-2].source
        assert head.startswith(f"# {path.name[:2]} · ")
        assert "**At the end you have**" in head
        assert "**It takes**" in head
        if number:
            assert f"]({NAMES[number - 1]})" in head
        following = NAMES[number + 1] if number + 1 < len(NAMES) else NAMES[0]
        assert f"]({following})" in end.splitlines()[-1]

    def test_ends_in_a_hidden_check_that_asserts(self, path: Path) -> None:
        cell = load(path).cells[-1]
        assert {"hide", "remove-input"} <= set(tags(cell))
        assert cell.metadata.jupyter.source_hidden is True
        asserts = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Assert)]
        assert len(asserts) >= 3
        assert not any(isinstance(node.test, ast.Constant) for node in asserts)
        source = "\n".join(c.source for c in code_of(load(path)))
        if "tune(" in source or "tune_run(" in source:
            assert "assert panel.errors == []" in cell.source

    def test_local_links_and_neighbours_titles_are_right(self, path: Path) -> None:
        text = words_of(load(path))
        for label, target in re.findall(r"\[([^\]]+)\]\(([^)\s]+)\)", text):
            if re.match(r"https?://", target):
                continue
            there = path.parent / target.partition("#")[0]
            assert there.exists(), f"{path.name} links to {target}"
            if there.suffix == ".ipynb":
                assert label.startswith(f"{there.name[:2]} · "), (
                    f"{label} names another notebook than {target}"
                )


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f():\n    return 1", "a function"),
        ("class A:\n    pass", "a class"),
        ("f = lambda: 1", "a function without a name"),
        ("for i in x:\n    a\n    b\n    c\n    d\n    e", "a loop of six lines"),
        ("if 1:\n    while True:\n        a\n        b\n        c\n        d\n        e", "a nested loop"),
        ("key = input('key')", "a question that stops an unattended run"),
        ("cv2.imshow('x', frame)", "a window that no pod has"),
        ("import getpass", "a key asked for in a cell"),
    ],
)
def test_the_rule_itself_finds(source: str, reason: str) -> None:
    assert faults(source), reason


def test_the_rule_lets_a_short_loop_pass() -> None:
    assert faults("for i in range(3):\n    show(i)") == []


def test_the_rule_knows_a_question_from_a_name_that_ends_alike() -> None:
    assert faults("batch, fit = model.network_input(frame)") == []
    assert faults("key = str(input('key'))") != []


# --------------------------------------------------------------------------------------------- from end to end


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a notebook's kernel: no network, no models of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PEOPLENET_", "NGC_"))}
    return kept | {"PEOPLENET_HOME": str(home), "PEOPLENET_NGC_API": NOWHERE, "NO_PROXY": "127.0.0.1", **more}


def nbmake(folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Run all notebooks of a folder with nbmake, in their order, and return what each showed, by its number."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "--nbmake",
        "--nbmake-kernel=python3",
        "--nbmake-timeout=240",
    ]
    command += ["--overwrite", "-n0", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    command += [f"--rootdir={ROOT}", "-q", str(folder)]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert f"{len(NOTEBOOKS)} passed" in done.stdout
    return {path.name[:2]: shown(path) for path in folder.glob("*.ipynb")}


def shown(path: Path) -> str:
    """Everything that a notebook that ran shows."""
    return json.dumps([cell.get("outputs", []) for cell in load(path).cells])


def with_parameters(target: Path, chosen: dict[str, dict[str, Any]]) -> Path:
    """Copy the notebooks with parameters injected, as ``papermill -p`` does."""
    target.mkdir()
    for path in NOTEBOOKS:
        notebook = parameterize_notebook(load_notebook_node(str(path)), chosen.get(path.name[:2], {}))
        nbformat.write(notebook, target / path.name)
    return target


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_all_run_on_the_demo_clip_with_the_standin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, secret = tmp_path / "home", "nvapi-this-must-not-be-seen-anywhere"
    monkeypatch.setenv("PEOPLENET_HOME", str(home))
    build_uint8(read_model_file(STANDIN))  # so that it is the variant that runs, which must change nothing
    chosen: dict[str, dict[str, Any]] = {
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
    pages = nbmake(with_parameters(tmp_path / "notebooks", chosen), environment(home, NGC_API_KEY=secret))
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
@pytest.mark.slow
@pytest.mark.timeout(420)
def test_all_run_with_the_real_weights_on_vtest(shared: Path, tmp_path: Path) -> None:
    video = str(shared / "data" / "vtest.avi")
    chosen: dict[str, dict[str, Any]] = {
        "01": {"DEVICES": ["cpu"], "REPEATS": 1},
        "03": {"SOURCE": video, "BATCHES": [1], "REPEATS": 1},
        "04": {"SOURCE": video, "FRAME": 100},
        "05": {"SOURCE": video, "EVERY": 40, "SAMPLES": 2},
        "06": {"SOURCE": video, "DEVICES": ["cpu"], "INT8": False, "FRAMES": 8},
        "07": {"SOURCE": video, "FRAMES": 24},
        "08": {"SOURCE": video, "LABELS": str(shared / "data" / "vtest_gt.txt"), "EVERY": 40},
        "09": {"SOURCE": video, "EVERY": 60, "FRAMES": 12},
        "10": {"SOURCE": video, "SECONDS": 2},
        "11": {"SOURCE": video, "CLIPS": 2},
    }
    home = tmp_path / "home"
    env = environment(home, PEOPLENET_SHARED=str(shared), PEOPLENET_NB_EXPECT_BOXES="1")
    pages = nbmake(with_parameters(tmp_path / "notebooks", chosen), env)
    assert list((home / "outputs" / "take-it-along-files" / "coco" / "images" / "default").glob("*.jpg"))
    runs = [json.loads(path.read_text()) for path in (home / "outputs").glob("vtest-*/summary.json")]
    (summary,) = [one for one in runs if one["sampling"]["every"] == 40]
    assert summary["frames"] == 20
    assert summary["counts"]["person"] > 60
    assert summary["model"]["standin"] is False
    profile = yaml.safe_load((home / "speed.yaml").read_text())
    assert profile["model_sha256"] == summary["model"]["sha256"]
    for number in ("03", "04", "05"):
        assert "Dead head: bag" in pages[number]


def papermill(name: str, folder: Path, env: dict[str, str], **parameters: object) -> Path:
    """Run a notebook with parameters and return the filled copy."""
    done = folder / f"done-{name}"
    command = [sys.executable, "-m", "papermill", str(ROOT / "notebooks" / name), str(done)]
    for parameter, value in parameters.items():
        listed = isinstance(value, list)  # papermill takes lists as YAML only
        command += ["-y", json.dumps({parameter: value})] if listed else ["-p", parameter, str(value)]
    command += ["-k", "python3", "--no-progress-bar"]
    ran = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return done


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_papermill_runs_05_unattended_as_06_chose(tmp_path: Path) -> None:
    model = write(detectnet(), tmp_path / "model" / "m.onnx")
    video = make_video(tmp_path / "video.mp4", 12)
    env = environment(tmp_path / "home")
    few = {"SOURCE": video, "MODEL": model, "FRAMES": 6}
    done = papermill("06_speed.ipynb", tmp_path, env, **few, CALIBRATE=9, DEVICES=["cpu", "cuda"])
    text = done.read_text()
    assert "minmax" in text
    assert "cuda" in text
    chosen = yaml.safe_load((tmp_path / "home" / "speed.yaml").read_text())
    # Nothing but the choice can bring these two about: left alone, a run is FP32, one frame at a time.
    chosen |= {"precision": "int8", "batch": 2}
    (tmp_path / "home" / "speed.yaml").write_text(yaml.safe_dump(chosen))
    done = papermill("05_video_runs.ipynb", tmp_path, env, **few, EVERY=2, NAME="chosen", SAMPLES=2)
    summary = json.loads((tmp_path / "home" / "outputs" / "chosen" / "summary.json").read_text())
    assert (summary["frames"], summary["sampling"]["every"]) == (6, 2)
    assert (summary["model"]["device"], summary["model"]["precision"]) == (chosen["device"], "int8")
    assert summary["model"]["batch"] == 2
    assert "data:video/mp4;base64" in shown(done), (
        "nobody serves the video to papermill's output: it must be in it"
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_video_without_people_is_a_good_run(tmp_path: Path) -> None:
    video = tmp_path / "empty-street.mp4"
    with VideoWriter(video, (320, 180), 10.0) as writer:
        for i in range(4):
            writer.write(np.zeros((180, 320, 3), np.uint8), i / 10)
    env = environment(tmp_path / "home")
    papermill("04_threshold_debug.ipynb", tmp_path, env, SOURCE=video, FRAME=1)
    papermill("05_video_runs.ipynb", tmp_path, env, SOURCE=video, NAME="empty", SAMPLES=2)
    summary = json.loads((tmp_path / "home" / "outputs" / "empty" / "summary.json").read_text())
    assert (summary["frames"], sum(summary["counts"].values())) == (4, 0)
