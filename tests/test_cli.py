"""The shell's commands: what they write, and how they fail."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pty
import shutil
import subprocess
import sys
import termios
from pathlib import Path

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import peoplenet_nb
from onnx_builder import detectnet, write
from peoplenet_nb.cli import main as cli
from peoplenet_nb.cli import options, people
from peoplenet_nb.cli.__main__ import main
from peoplenet_nb.cli.shell import LogLines
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import ModelError
from peoplenet_nb.network import Device, Precision
from peoplenet_nb.ngc import Unreachable
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.sources.frames import Decoder
from peoplenet_nb.tracks import Tracker
from peoplenet_nb.video.writer import ENCODERS
from videos import make_video

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


def test_a_settings_file_is_exported_without_naming_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert invoke("settings", "-o", path)[0] == 0
    code, output = invoke("export", "deepstream", "--settings", path, "-o", tmp_path / "out")
    assert code == 0, output


def test_detect_writes_table_and_summary(model: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, output = invoke("detect", images, "--model", model, "--device", "cpu", "-o", out, "--no-progress")
    assert code == 0, output
    folder = out / "pictures"
    header = (folder / "detections.csv").read_text().splitlines()[0]
    assert header == "source,frame,time_s,class,confidence,x1,y1,x2,y2,row,col,origin"
    assert json.loads((folder / "summary.json").read_text())["frames"] == 3
    code, output = invoke("detect", images, "--model", model, "-o", out, "--no-progress")
    assert code == 1
    assert "--resume" in output
    assert "--overwrite" in output
    assert invoke("detect", images, "--model", model, "-o", out, "--no-progress", "--overwrite")[0] == 0
    assert invoke("detect", images, "--model", model, "-o", out, "--no-progress", "--resume")[0] == 0


def test_report_tells_and_saves_what_the_tutorial_does(model: Path, images: Path, tmp_path: Path) -> None:
    args = ("report", images, "--model", model, "--every", 2, "--frames", 2, "--save", tmp_path / "debug")
    code, output = invoke(*args)
    assert code == 0, output
    assert output.count("=== frame") == 2
    for words in ("network input 1x3x32x64", "Raw outputs", ">= 0.5", "Final boxes"):
        assert words in output
    saved = {path.name for path in (tmp_path / "debug" / "frame-000002").iterdir()}
    assert {"preprocessed_frame.npy", "output_cov.npy", "output_bbox.npy", "detection_result.jpg"} <= saved


def test_describe_and_settings(model: Path, tmp_path: Path) -> None:
    code, output = invoke("describe", "--model", model)
    assert code == 0
    assert "output_cov/Sigmoid:0" in output
    path = tmp_path / "s.yaml"
    assert invoke("settings", "--preset", "tao", "-o", path)[0] == 0
    assert Settings.from_yaml(path).preset == "tao"
    code, output = invoke("settings", "-o", path)
    assert code == 1
    assert "--overwrite" in output
    assert Settings.from_yaml(path).preset == "tao"
    assert invoke("settings", "-o", path, "--overwrite")[0] == 0
    assert Settings.from_yaml(path).preset == "default"
    assert "clustering: dbscan" in invoke("settings", "--preset", "tao")[1]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["detect", "no-such.mp4"], ["No such", "no-such.mp4"]),
        (["detect", "x.mp4", "--preset", "tlt"], ["Unknown preset", "deepstream"]),
        (["detect", "demo", "--model", "none"], ["No such model", "none"]),
        (["detect", "x.mp4", "--settings", "a.yaml", "--preset", "tao"], ["exclude each other"]),
        (["settings", "--from", "a.txt", "--preset", "tao"], ["--from takes everything"]),
        (["detect", "x.mp4", "--settings", "none.yaml"], ["No such settings file"]),
        (["detect", "demo", "--device", "tpu"], ["Unknown device", "openvino"]),
        (["detect", "x.mp4", "--resume", "--overwrite"], ["exclude each other"]),
        (["settings", "-o", "/proc/none/s.yaml"], ["cannot be written"]),
        (["optimise", "--int8", "no-such.mp4"], ["No such", "no-such.mp4"]),
        (["optimise", "--device", "npu"], ["Unknown device", "tensorrt"]),
        (["detect", "demo", "--device", "cpu", "--precision", "fp16"], ["does not compute", "fp32, int8"]),
        (["detect", "x.mp4", "--device", "cpu", "--decoder", "cuvid"], ["Unknown decoder", "nvdec"]),
        (["detect", "x.mp4", "--threshold", "0.4"], ["class and a number", "'0.4'", "face=0.1"]),
        (["detect", "x.mp4", "--threshold", "face=low"], ["class and a number", "'face=low'"]),
        (["detect", "x.mp4", "--threshold", "face=7"], ["threshold must be", "7"]),
        (["settings", "--threshold", "fase=0.1"], ["Unknown class", "did you mean 'face'"]),
    ],
)
def test_errors_are_three_lines_and_exit_code_one(args: list[str], words: list[str]) -> None:
    code, output = invoke(*args)
    assert code == 1, output
    lines = [line for line in output.splitlines() if not line.startswith(("model:", "device:"))]
    assert [line[:8] for line in lines] == ["error: " + lines[0][7], "  seen: ", "  next: "], output
    for word in words:
        assert word in output


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["detect", "none.mp4"], "No such file"),
        (["report", "none.mp4"], "No such file"),
        (["detect", "demo", "--keyframes", "often"], "often"),
        (["detect", "demo", "-o", "out"], "already holds results"),
    ],
)
def test_what_is_wrong_with_source_or_output_is_told_before_a_model_is_loaded(
    args: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    held = tmp_path / "out" / demo_clip().stem / "detections.csv"
    held.parent.mkdir(parents=True)
    held.write_text("")
    monkeypatch.setattr("peoplenet_nb.network.PeopleNet.load", lambda *_, **__: pytest.fail("loaded"))
    code, output = invoke(*args)
    assert (code, words in output) == (1, True), output


def test_what_nobody_expected_is_three_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr("peoplenet_nb.ngc.download", fails)
    code, output = invoke("download")
    assert code == 1
    assert "seen: ZeroDivisionError: a b" in output
    assert len(output.splitlines()) == 3


def test_report_that_cannot_be_saved_says_so(model: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "file.jpg").write_text("")
    code, output = invoke("report", images, "--model", model, "--frames", 1, "--save", tmp_path / "file.jpg")
    assert code == 1
    assert "cannot be written" in output


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
    code, output = invoke(*args)
    assert code == 0, output
    assert "stand-in" in output
    (video,) = (tmp_path / "out" / "demo-standin").glob("*/video.mp4")
    made_at = video.stat().st_mtime_ns
    assert invoke(*args)[0] == 0
    assert video.stat().st_mtime_ns == made_at
    (tmp_path / "out" / "demo-standin").rename(tmp_path / "out" / "demo-peoplenet")
    code, output = invoke("demo", "--model", model, *out)
    assert code == 0, output
    video = next((tmp_path / "out" / "demo-peoplenet").glob("*/video.mp4"))
    assert video.stat().st_mtime_ns != made_at


def test_optimise_builds_what_detect_then_runs(model: Path, images: Path, tmp_path: Path) -> None:
    args = ("detect", images, "--model", model, "--no-progress", "-o")
    code, output = invoke(*args, tmp_path / "none", "--precision", "int8")
    assert code == 1
    assert "peoplenet-nb optimise --int8" in output
    for i in range(3, 9):
        (images / f"{i}.png").write_bytes((images / "0.png").read_bytes())
    code, output = invoke("optimise", "--model", model, "--int8", images, "--every", 1)
    assert code == 0, output
    assert output.count("built: ") == 3
    assert output.count("times as fast as ONNX Runtime in FP32 on this machine") == 2, "INT8 and MNN"
    assert "no boxes to compare" in output or "AP " in output
    assert invoke("optimise", "--model", model)[1].count("was there already") == 2
    code, output = invoke(*args, tmp_path / "int8", "--precision", "int8")
    assert code == 0, output
    assert "int8, fit" in output
    assert "uint8-input" in invoke("describe", "--model", model)[1]


def test_settings_for_another_fit_are_warned_about(
    model: Path, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = Settings().to_yaml(tmp_path / "s.yaml")
    args = ("detect", images, "--model", model, "--settings", path, "--fit", "letterbox", "--no-progress")
    assert invoke(*args, "-o", tmp_path / "out")[0] == 0
    assert "thresholds belong to a preprocessing" in caplog.text
    caplog.clear()
    preset().to_yaml(path)  # which has them for both
    assert invoke(*args, "-o", tmp_path / "auto")[0] == 0
    assert "thresholds belong" not in caplog.text


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
        "heavy = {'numpy', 'onnxruntime', 'onnx', 'pandas', 'matplotlib', 'IPython', 'ipywidgets', 'av', 'requests', "
        "'supervision', 'cv2', 'yt_dlp'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in peoplenet_nb.__all__:
        assert getattr(peoplenet_nb, name) is not None
    with pytest.raises(AttributeError, match="peoplenet_nb attribute nothing"):
        _ = peoplenet_nb.nothing


def test_a_traceback_in_the_log_shows_no_secret() -> None:
    error = ValueError("cannot open https://me:secret@host/a.mp4?token=secret")
    record = logging.LogRecord(
        "a", logging.INFO, "a.py", 1, "the traceback:", None, (ValueError, error, None)
    )
    shown = LogLines().format(record)
    assert "https://" in shown
    assert "secret" not in shown


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


# ---------------------------------------------------------------- several sources, notes


def test_a_broken_source_does_not_stop_the_others_and_is_named_at_the_end(
    model: Path, images: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(5000))
    first, last = sorted(images.iterdir())[0], sorted(images.iterdir())[-1]
    args = ("--model", model, "--device", "cpu", "--no-progress", "-o", tmp_path / "out")
    code, output = invoke("detect", first, broken, last, *args)
    assert code == 1
    assert {path.name for path in (tmp_path / "out").iterdir()} == {first.stem, last.stem}
    assert output.count("error: ") == 1
    assert output.splitlines()[-1] == f"failed: 1 of 3 sources: {broken}"


def test_neither_password_nor_token_reaches_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    address = "http://user:PW@127.0.0.1:9/garbage.mp4?token=T0KEN"
    code, output = invoke("-v", "detect", address, address, "--model", "standin", "--device", "cpu")
    assert code == 1
    assert "garbage.mp4" in output
    assert "PW" not in output + caplog.text
    assert "T0KEN" not in output + caplog.text


def test_thresholds_of_classes_reach_the_run(model: Path, images: Path, tmp_path: Path) -> None:
    given = ("--threshold", "face=0.1", "--threshold", "Bag=0.45")
    args = ("--model", model, "--device", "cpu", "--no-progress", "-o", tmp_path / "out")
    code, output = invoke("detect", images, *given, *args)
    assert code == 0, output
    classes = json.loads((tmp_path / "out" / "pictures" / "summary.json").read_text())["settings"]["classes"]
    assert (classes["face"]["threshold"], classes["bag"]["threshold"]) == (0.1, 0.45)
    assert "threshold: 0.45" in invoke("settings", *given)[1]


def test_detect_and_report_say_that_a_head_is_dead_and_that_frames_are_narrow(
    images: Path, tmp_path: Path
) -> None:
    for path in images.iterdir():
        cv2.imwrite(str(path), np.zeros((100, 60, 3), np.uint8))
    dead = write(detectnet(dead={"box": [1]}), tmp_path / "model" / "dead.onnx")
    stretched = ("--model", dead, "--device", "cpu", "--fit", "stretch")
    for args in (("detect", images, "--no-progress", "-o", tmp_path / "out"), ("report", images)):
        code, output = invoke(*args, *stretched)
        assert code == 0, output
        assert "note: The bag head of this model is dead: " in output
        assert "letterbox usually finds more" in output


# ---------------------------------------------------------------- help

COMMANDS = list(typer.main.get_command(cli.app).commands)


def test_version_and_short_help() -> None:
    assert invoke("--version") == (0, f"peoplenet-nb {peoplenet_nb.__version__}\n")
    assert invoke("-h") == invoke("--help")
    assert invoke("detect", "-h") == invoke("detect", "--help")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_80_columns_and_nothing_is_cut(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, output = invoke(*command.split(), "--help")
    assert code == 0
    assert max(map(len, output.splitlines())) <= 80
    assert "..." not in output.partition("\n\n")[2], "the usage aside"
    assert "<" not in output.partition("Options:")[2], "choices and names, not kinds such as <str>"
    assert output.splitlines()[-1].startswith("  Example: peoplenet-nb " + command) or not command


def test_a_batch_on_the_stand_in_says_so_before_it_starts(tmp_path: Path) -> None:
    code, output = invoke("batch", tmp_path / "nowhere", "-o", tmp_path / "out")
    assert code == 1
    assert "not NVIDIA's PeopleNet" in output
    assert "(stand-in of the demo clip)" in output


@pytest.mark.parametrize("verbose", [False, True])
def test_retries_of_the_network_are_told_only_when_asked_for(
    verbose: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: list[logging.Handler] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **given: handlers.extend(given["handlers"]))
    invoke(*["-v"] * verbose, "notebooks")  # any command
    retry = logging.LogRecord("urllib3.connectionpool", logging.WARNING, "", 0, "Retrying", None, None)
    ours = logging.LogRecord("peoplenet_nb.ngc", logging.WARNING, "", 0, "Something", None, None)
    assert [bool(handlers[0].filter(record)) for record in (retry, ours)] == [verbose, True]


def test_the_list_of_commands_shows_whole_sentences_in_a_terminal_of_80_columns() -> None:
    """In a pseudo-terminal, as a person sees it, not by the variable COLUMNS."""
    terminal, program = pty.openpty()
    termios.tcsetwinsize(program, (24, 80))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "peoplenet_nb.cli", "--help"]
    process = subprocess.Popen(command, stdin=program, stdout=program, stderr=program, env=environment)
    os.close(program)
    text = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end was closed
        while read := os.read(terminal, 1 << 16):
            text += read
    os.close(terminal)
    assert process.wait() == 0
    lines = text.decode().splitlines()
    assert max(map(len, lines)) <= 80
    listed = lines[lines.index("Commands:") + 1 :][: len(COMMANDS)]
    assert [line.split()[0] for line in listed] == COMMANDS
    assert all(line.endswith((".", "machine.")) and "..." not in line for line in listed)


def test_the_choices_in_the_help_are_those_of_the_package() -> None:
    for listed, known in (
        (options.DEVICES, Device),
        (options.PRECISIONS, Precision),
        (options.DECODERS, Decoder),
        (options.ENCODERS, ENCODERS),
        (people.TRACKERS, Tracker),
    ):
        assert sorted(listed.split("|")) == sorted(known)
    shown = " ".join(invoke("detect", "--help")[1].split())
    for names in (options.DEVICES, options.PRECISIONS, options.ENCODERS, "stretch|letterbox|near|auto"):
        assert f"[{names}]" in shown


def test_the_shell_completes_commands_and_choices() -> None:
    def complete(line: str) -> list[str]:
        words = line.split(" ")
        environment = os.environ | {
            "_PEOPLENET_NB_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        command = [sys.executable, "-m", "peoplenet_nb.cli"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.split()

    assert complete("peoplenet-nb de") == ["detect", "demo", "describe"]
    assert complete("peoplenet-nb detect --device c") == ["cpu", "cuda"]


def in_a_process(*args: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [
        sys.executable,
        "-m",
        "peoplenet_nb.cli",
        *map(str, args),
        "--model",
        "standin",
        "--device",
        "cpu",
    ]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, check=False)


def test_names_from_outside_do_not_steer_the_terminal(tmp_path: Path) -> None:
    """Neither in errors, nor in results, the log or the bar."""
    good = tmp_path / "\x1b[2J\x9b.png"
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((60, 100, 3), np.uint8))
    (tmp_path / "a.png").rename(good)
    done = in_a_process("-v", "detect", good, tmp_path / "\x1b]0;x\x07.mp4", "-o", tmp_path / "out")
    shown = (done.stdout + done.stderr).decode()
    assert done.returncode == 1
    assert "[2J" in shown
    assert "]0;x" in shown
    assert not {"\x1b", "\x9b", "\x07"} & set(shown)


def test_an_output_folder_of_home_is_expanded_and_an_empty_one_refused(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    code, output = invoke("detect", images, "--output=~/out", "--model", "standin", "--device", "cpu")
    assert code == 0, output
    assert (tmp_path / "out" / "pictures" / "detections.csv").is_file()
    for given, why in (("", "the path is empty"), ("~nobody-of-this-name/x", "home directory")):
        code, output = invoke("detect", images, f"--output={given}", "--model", "standin")
        assert code == 2
        assert why in output


def test_a_table_that_was_changed_by_hand_is_named(model: Path, tmp_path: Path) -> None:
    clip, out = make_video(tmp_path / "v.mp4", 4), tmp_path / "out"
    assert invoke("detect", clip, "--model", model, "--device", "cpu", "-o", out, "--no-progress")[0] == 0
    for text in ("", "\0", "a,b\n1,2\n", "class,frame\nperson,x\n"):
        (out / "v" / "detections.csv").write_text(text)
        code, output = invoke("track", out / "v")
        assert (code, "tables of the run cannot be read" in output) == (1, True), output
    for command in (["track", out], ["export", out, "--to", "coco"]):  # the folder above it
        code, output = invoke(*command)
        assert code == 1
        assert "not the folder of a run" in output
        assert str(out / "v") in output
    code, output = invoke("export", out / "v")
    assert (code, "--to coco" in output) == (1, True), output


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "", "nowhere"])
def test_what_is_no_run_is_not_exported(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, output = invoke("export", name, "--to", "coco")
    assert code == 1
    assert "not the folder of a run" in output


def test_tracks_without_their_library_are_refused_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackers", None)
    for args in (("detect", tmp_path / "none.mp4", "--track"), ("track", tmp_path), ("redact", tmp_path)):
        code, output = invoke(*args)
        assert code == 1
        assert "Tracks need the library" in output


def test_an_export_into_a_name_that_is_too_long_is_refused(tmp_path: Path) -> None:
    code, output = invoke("export", "deepstream", "-o", tmp_path / ("x" * 300))
    assert (code, "cannot be written" in output) == (1, True), output


def test_notebooks_writes_copies_and_refuses_what_is_no_folder(tmp_path: Path) -> None:
    code, output = invoke("notebooks", tmp_path / "mine")
    assert code == 0, output
    originals = Path(__file__).parents[1] / "notebooks"
    copies = {path.name: path.read_bytes() for path in (tmp_path / "mine").glob("*.ipynb")}
    assert copies == {path.name: path.read_bytes() for path in originals.glob("*.ipynb")} != {}
    (start,) = [line for line in output.splitlines() if line.endswith(f" lab {tmp_path / 'mine'}")]
    assert shutil.which(start.split()[0]), start
    (tmp_path / "file").write_text("a file")
    code, output = invoke("notebooks", tmp_path / "file")
    assert code == 1
    assert "cannot be written" in output
