"""The shell's commands: what they write, and how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import peoplenet_nb
from onnx_builder import detectnet, write
from peoplenet_nb.cli import main as cli
from peoplenet_nb.cli.__main__ import main
from peoplenet_nb.errors import ModelError
from peoplenet_nb.ngc import Unreachable
from peoplenet_nb.settings import Settings

runner = CliRunner()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(detectnet(), tmp_path / "model" / "m.onnx")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (60, 100, 3), dtype=np.uint8))
    return folder


def invoke(*args: object) -> tuple[int, str]:
    result = runner.invoke(cli.app, [str(a) for a in args])
    return result.exit_code, result.output


def test_detect_writes_table_and_summary(model: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, told = invoke("detect", images, "--model", model, "--device", "cpu", "-o", out, "--no-progress")
    assert code == 0, told
    folder = out / "pictures"
    header = (folder / "detections.csv").read_text().splitlines()[0]
    assert header == "source,frame,time_s,class,confidence,x1,y1,x2,y2,row,col"
    assert json.loads((folder / "summary.json").read_text())["frames"] == 3
    code, told = invoke("detect", images, "--model", model, "-o", out, "--no-progress")
    assert code == 1
    assert "--resume" in told
    assert "--overwrite" in told
    assert invoke("detect", images, "--model", model, "-o", out, "--no-progress", "--overwrite")[0] == 0
    assert invoke("detect", images, "--model", model, "-o", out, "--no-progress", "--resume")[0] == 0


def test_report_tells_and_saves_what_the_tutorial_does(model: Path, images: Path, tmp_path: Path) -> None:
    args = ("report", images, "--model", model, "--every", 2, "--frames", 2, "--save", tmp_path / "debug")
    code, told = invoke(*args)
    assert code == 0, told
    assert told.count("=== frame") == 2
    for words in ("network input 1x3x32x64", "Raw outputs", ">= 0.5", "Final boxes"):
        assert words in told
    saved = {path.name for path in (tmp_path / "debug" / "frame-000002").iterdir()}
    assert {"preprocessed_frame.npy", "output_cov.npy", "output_bbox.npy", "detection_result.jpg"} <= saved


def test_describe_and_settings(model: Path, tmp_path: Path) -> None:
    code, told = invoke("describe", "--model", model)
    assert code == 0
    assert "output_cov/Sigmoid:0" in told
    path = tmp_path / "s.yaml"
    assert invoke("settings", "--preset", "tao", "-o", path)[0] == 0
    assert Settings.from_yaml(path).preset == "tao"
    assert "clustering: dbscan" in invoke("settings", "--preset", "tao")[1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["detect", "no-such.mp4"], ["No such", "no-such.mp4"]),
        (["detect", "x.mp4", "--preset", "tlt"], ["Unknown preset", "deepstream"]),
        (["detect", "x.mp4", "--model", "none"], ["No such model", "none"]),
        (["detect", "x.mp4", "--settings", "none.yaml"], ["No such settings file"]),
        (["detect", "x.mp4", "--device", "tpu"], ["Unknown device", "openvino"]),
        (["detect", "x.mp4", "--resume", "--overwrite"], ["exclude each other"]),
        (["settings", "-o", "/proc/none/s.yaml"], ["cannot be written"]),
        (["optimise", "--int8", "no-such.mp4"], ["No such", "no-such.mp4"]),
        (["optimise", "--device", "npu"], ["Unknown device", "tensorrt"]),
        (["detect", "x.mp4", "--device", "cpu", "--precision", "fp16"], ["does not compute", "fp32, int8"]),
        (["detect", "x.mp4", "--device", "cpu", "--decoder", "cuvid"], ["Unknown decoder", "nvdec"]),
    ],
)
def test_errors_are_three_lines_and_exit_code_one(args: list[str], words: list[str]) -> None:
    code, told = invoke(*args)
    assert code == 1, told
    lines = [line for line in told.splitlines() if not line.startswith(("model:", "device:"))]
    assert [line[:8] for line in lines] == ["error: " + lines[0][7], "  seen: ", "  next: "], told
    for word in words:
        assert word in told


def test_what_nobody_expected_is_three_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("peoplenet_nb.ngc.download", fails)
    code, told = invoke("download")
    assert code == 1
    assert "seen: ZeroDivisionError: a b" in told
    assert len(told.splitlines()) == 3


def test_report_that_cannot_be_saved_says_so(model: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file.jpg").write_text("")
    code, told = invoke("report", images, "--model", model, "--frames", 1, "--save", tmp_path / "file.jpg")
    assert code == 1
    assert "cannot be written" in told


@pytest.mark.parametrize(
    ("error", "code"),
    [(Unreachable("NGC cannot be reached", seen="dns", next_step="later"), 3), (ModelError("bad"), 1)],
)
def test_unreachable_ngc_has_an_exit_code_of_its_own(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("peoplenet_nb.ngc.download", fails)
    assert invoke("download")[0] == code


def test_demo_is_not_repeated_but_begun_anew_for_another_model(model: Path, tmp_path: Path) -> None:
    out = ("--frames", "10", "--device", "cpu", "--no-progress", "-o", tmp_path / "out")
    args = ("demo", "--model", "standin", *out)
    code, told = invoke(*args)
    assert code == 0, told
    assert "stand-in" in told
    (video,) = (tmp_path / "out" / "demo-standin").glob("*/video.mp4")
    made_at = video.stat().st_mtime_ns
    assert invoke(*args)[0] == 0
    assert video.stat().st_mtime_ns == made_at
    (tmp_path / "out" / "demo-standin").rename(tmp_path / "out" / "demo-peoplenet")
    code, told = invoke("demo", "--model", model, *out)
    assert code == 0, told
    video = next((tmp_path / "out" / "demo-peoplenet").glob("*/video.mp4"))
    assert video.stat().st_mtime_ns != made_at


def test_optimise_builds_what_detect_then_runs(model: Path, images: Path, tmp_path: Path) -> None:
    args = ("detect", images, "--model", model, "--no-progress", "-o")
    code, told = invoke(*args, tmp_path / "none", "--precision", "int8")
    assert code == 1
    assert "peoplenet-nb optimise --int8" in told
    for i in range(3, 9):
        (images / f"{i}.png").write_bytes((images / "0.png").read_bytes())
    code, told = invoke("optimise", "--model", model, "--int8", images, "--every", 1)
    assert code == 0, told
    assert told.count("built: ") == 2
    assert "no boxes to compare" in told or "AP " in told
    assert "was there already" in invoke("optimise", "--model", model)[1]
    code, told = invoke(*args, tmp_path / "int8", "--precision", "int8")
    assert code == 0, told
    assert "int8, fit" in told
    assert "uint8-input" in invoke("describe", "--model", model)[1]


def test_settings_for_another_fit_are_warned_about(
    model: Path, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Settings().to_yaml(tmp_path / "s.yaml")
    args = ("detect", images, "--model", model, "--settings", path, "--fit", "letterbox", "--no-progress")
    assert invoke(*args, "-o", tmp_path / "out")[0] == 0
    assert "thresholds belong to a preprocessing" in caplog.text


def test_a_reader_that_goes_away_is_no_error_of_ours() -> None:
    """As in ``peoplenet-nb settings | head -1``."""
    command = [sys.executable, "-c", "from peoplenet_nb.cli.main import app; app()", "settings"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(30) == 1


def test_import_is_light_and_every_name_is_there() -> None:
    code = (
        "import sys, peoplenet_nb\n"
        "heavy = {'onnxruntime', 'onnx', 'pandas', 'matplotlib', 'IPython', 'av', 'requests', 'supervision', 'cv2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in peoplenet_nb.__all__:
        assert getattr(peoplenet_nb, name) is not None
    with pytest.raises(AttributeError, match="peoplenet_nb attribute nothing"):
        _ = peoplenet_nb.nothing


def test_interrupt_while_the_program_loads_leaves_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "peoplenet_nb.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "peoplenet_nb.cli.main")
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 130
