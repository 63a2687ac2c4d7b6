"""Notebook 06's cells, and the other notebooks' workbench, which reads what 06 chose."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from onnx_builder import detectnet, write
from peoplenet_nb.errors import DeviceError
from peoplenet_nb.notebook import forms
from peoplenet_nb.notebook import forms as forms_module
from peoplenet_nb.notebook.bench import Workbench, workbench
from peoplenet_nb.notebook.forms import build_forms
from peoplenet_nb.notebook.speed import Batches, Speeds, choose_best, probe_batches, this_machine
from peoplenet_nb.notebook.video_run import run_video
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.settings import ClassSettings, Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_int8
from peoplenet_nb.speed.bench import COLUMNS
from peoplenet_nb.speed.profile import SpeedProfile, machine_name, profile_file
from peoplenet_nb.video.runfolder import STAGES
from videos import make_video

NAN = float("nan")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.mp4", 20)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(detectnet(), tmp_path / "model" / "m.onnx")


@pytest.fixture
def bench(video: Path, model: Path) -> Workbench:
    return workbench(video, model)


@pytest.fixture
def int8(video: Path, model: Path) -> float:
    """Build the INT8 form; return its agreement."""
    frames = [frame.image for frame in open_source(video)]
    made = build_int8(read_model_file(model), frames)
    return min(found.ap50 for found in made.agreements)


def choice_for(model: Path, device: str = "cpu", precision: str = "int8", batch: int = 1) -> SpeedProfile:
    sha256 = read_model_file(model).sha256
    return SpeedProfile(device, precision, batch, machine_name(), sha256)


def table(*rows: tuple[str, float, float]) -> pd.DataFrame:
    """A bench table of ``(device and precision, frames per second, agreement)``."""
    made = []
    for name, fps, agreement in rows:
        device, precision = name.split()
        ran = not math.isnan(fps)
        made.append(
            {"device": device, "precision": precision, "batch": 1, "fps": fps, "bare_fps": fps, "ratio": 1.0,
             "first_s": 0.5, "peak_mb": 200.0, "agreement": agreement, "agreement_75": agreement,
             "note": "" if ran else "not <here>"}
            | dict.fromkeys(STAGES, 1.0)
        )  # fmt: skip
    return pd.DataFrame(made).reindex(columns=list(COLUMNS))


# ----------------------------------------------------------------------------------- the workbench of the others


def test_without_a_choice_nothing_changes(bench: Workbench) -> None:
    assert bench.choice is None
    assert bench.batch is None
    assert "notebook 06" not in bench.to_html()
    assert bench.model.precision == "fp32"


def test_workbench_takes_what_06_chose_and_says_so(video: Path, model: Path, int8: float) -> None:
    choice_for(model, batch=2).save()
    bench = workbench(video, model)
    assert (bench.model.device, bench.model.precision, bench.batch) == ("cpu", "int8", 2)
    assert "as chosen by notebook 06" in bench.to_html()
    assert "2 frames at a time" in bench.to_html()
    assert bench.instead == []


def test_a_device_that_is_named_wins_over_the_choice(video: Path, model: Path, int8: float) -> None:
    choice_for(model).save()
    bench = workbench(video, model, "cpu")
    assert bench.choice is None
    assert bench.model.precision == "fp32"
    assert "notebook 06" not in bench.to_html()


def test_06_itself_begins_without_the_last_choice(video: Path, model: Path, int8: float) -> None:
    choice_for(model).save()
    assert workbench(video, model, as_chosen=False).choice is None


def test_a_choice_that_does_not_load_any_more_is_replaced_and_it_is_said(video: Path, model: Path) -> None:
    choice_for(model).save()  # INT8, which nobody has built here
    bench = workbench(video, model)
    assert bench.choice is None
    assert bench.model.precision == "fp32"
    (said,) = bench.instead
    assert "Notebook 06 chose cpu, int8, one frame at a time, which does not load any more" in said
    assert "Run notebook 06 again" in said


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine": "NVIDIA L4 (driver 550.1); AMD EPYC, 2 cores"}, "found on another pod"),
        ({"model_sha256": "0" * 64}, "found with another model"),
    ],
)
def test_a_choice_from_elsewhere_is_passed_over(
    video: Path, model: Path, int8: float, changes: dict[str, str], reason: str
) -> None:
    replace(choice_for(model), **changes).save()
    bench = workbench(video, model)
    assert bench.choice is None, reason
    assert bench.instead == []


def test_a_mangled_choice_stops_no_notebook(video: Path, model: Path) -> None:
    profile_file().parent.mkdir(parents=True, exist_ok=True)
    profile_file().write_text("device: [")
    assert workbench(video, model).choice is None


def test_a_run_takes_the_chosen_batch_and_a_folder_of_its_own(video: Path, model: Path, int8: float) -> None:
    settings = Settings(default=ClassSettings(threshold=0.0))
    plain = run_video(workbench(video, model), settings, frames=6, progress=False)
    choice_for(model, batch=3).save()
    run = run_video(workbench(video, model), settings, frames=6, progress=False)
    assert run.result.summary["model"]["batch"] == 3
    assert run.folder != plain.folder, "INT8's results are others"
    assert "int8" in run.to_html()


# -------------------------------------------------------------------------------------------------- its own cells


def test_machine_says_what_there_is_and_what_loads(bench: Workbench) -> None:
    machine = this_machine(bench, ["cpu", "cuda", "no-such"])
    assert machine.loaded[0] == "cpu"
    assert [row["device"] for row in machine.devices] == ["cpu", "cuda", "no-such"]
    assert machine.devices[0]["precisions"] == "fp32, int8"
    assert machine.devices[2]["loads"] == "no"
    assert "no-such" in str(machine.devices[2]["answer"])
    html = machine.to_html()
    assert "cores for us" in html
    assert "VNNI" in html


def test_forms_are_built_once_with_what_they_cost(
    bench: Workbench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build_forms(bench, frames=9)
    (unknown,) = made.costs()
    assert "too few to say what it costs, so it is timed below but not chosen" in unknown
    monkeypatch.setattr(forms, "LEAST_BOXES", min(found.boxes for found in made.made[1].agreements))
    assert [form.kind for form in made.made] == ["uint8-input", "int8"]
    assert made.instead == []
    html = made.to_html()
    for method in ("minmax", "percentile", "entropy"):
        assert method in html
    assert ">kept<" in html
    (cost,) = made.costs()
    assert f"average precision of {made.made[1].agreement.ap50:.3f} and" in cost
    before = made.made[1].path.stat().st_mtime_ns
    assert build_forms(bench, frames=9).made == made.made
    assert made.made[1].path.stat().st_mtime_ns == before, "built again"
    assert capsys.readouterr().out == "", "the quantizer's own lines"


def test_int8_can_be_left_out(bench: Workbench) -> None:
    made = build_forms(bench, int8=False)
    assert [form.kind for form in made.made] == ["uint8-input"]
    assert made.costs() == []


def test_a_form_that_cannot_be_built_is_a_sentence(video: Path, tmp_path: Path) -> None:
    short = make_video(tmp_path / "short.mp4", 3)
    bench = workbench(short, write(detectnet(), tmp_path / "m.onnx"))
    made = build_forms(bench, frames=12)
    assert [form.kind for form in made.made] == ["uint8-input"]
    assert "Too few frames" in made.instead[0]
    assert "Instead" in made.to_html()


@pytest.mark.parametrize(
    ("providers", "gpus", "expected"),
    [
        (["CPUExecutionProvider"], (), ["cpu"]),
        (["TensorrtExecutionProvider", "CPUExecutionProvider"], (), ["cpu"]),
        (["TensorrtExecutionProvider", "CPUExecutionProvider"], ("L4",), ["cpu", "tensorrt"]),
    ],
)
def test_tensorrt_gets_its_own_form_where_it_can_run(
    monkeypatch: pytest.MonkeyPatch, providers: list[str], gpus: tuple[str, ...], expected: list[str]
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(forms_module.hardware, "gpus", lambda: gpus)
    assert forms_module._targets() == expected


def test_batches_are_timed_on_a_cpu_with_two(bench: Workbench) -> None:
    probe = probe_batches(bench, seconds=0.1)
    assert list(probe.fps) == [1, 2]
    assert "batch 2" in probe.to_html()


@pytest.mark.parametrize(
    ("device", "fps", "best", "said"),
    [
        ("cuda", {1: 10.0, 2: 10.4}, 2, "Batches do not pay here: 2 frames at a time make 1.04 times"),
        ("cuda", {1: 10.0, 2: 9.0}, 1, "Batches do not pay here: 2 frames at a time make 0.90 times"),
        (
            "tensorrt",
            {1: 10.0, 2: 18.0, 4: 25.0},
            4,
            "4 frames at a time make 2.50 times the frames per second",
        ),
        ("cpu", {1: 10.0, 2: 10.5}, 2, "Batches do not pay here: 2 frames at a time make 1.05 times"),
        ("cpu", {1: 10.0, 2: 13.0}, 2, "A run on a CPU takes one frame at a time"),
    ],
)
def test_batches_say_what_they_gain(device: str, fps: dict[int, float], best: int, said: str) -> None:
    assert said in Batches(device, fps, best).to_text()


def test_speeds_show_what_ran_and_why_the_rest_did_not() -> None:
    speeds = Speeds(table(("cpu fp32", 10.0, NAN), ("cpu int8", 20.0, 0.99), ("cuda fp32", NAN, NAN)))
    html = speeds.to_html()
    assert [row["precision"] for row in speeds.rows] == ["fp32", "int8"]
    assert "not &lt;here&gt;" in html
    assert "Whole runs" in html
    assert str(speeds) == "cpu, fp32: 10.0 frames/s\ncpu, int8: 20.0 frames/s"
    nothing = Speeds(table(("cuda fp32", NAN, NAN)))
    assert "Whole runs" not in nothing.to_html()


def test_stages_show_the_plainest_beside_the_chosen(bench: Workbench) -> None:
    speeds = Speeds(table(("cpu fp32", 10.0, NAN), ("openvino fp32", 12.0, NAN), ("cpu int8", 20.0, 0.99)))
    choice = choose_best(bench, speeds).choice
    told = speeds.stages(choice).alt
    assert "cpu, fp32:" in told
    assert "cpu, int8:" in told
    assert "openvino" not in told
    assert speeds.stages(replace(choice, precision="fp32")).alt.count("read") == 1


def test_choice_is_written_and_says_what_it_passed_over(bench: Workbench, model: Path) -> None:
    speeds = Speeds(
        table(
            ("cpu fp32", 10.0, NAN),
            ("cpu int8", 20.0, 0.8),
            ("openvino fp32", 10.3, NAN),
            ("cuda fp32", NAN, NAN),
        )
    )
    chosen = choose_best(bench, speeds)
    assert (chosen.choice.device, chosen.choice.precision) == ("cpu", "fp32")
    assert chosen.path == profile_file()
    assert SpeedProfile.load(read_model_file(model)) == chosen.choice
    html = chosen.to_html()
    assert "cpu, int8 reached 20.0 frames per second" in html
    assert "0.800 at IoU 0.5" in html
    assert "cpu, fp32 reached" not in html
    assert "openvino, fp32 reached 10.3 frames per second: less than 5 % more" in html
    assert "peoplenet-nb detect VIDEO --device cpu --precision fp32 --batch 1" in html
    assert str(chosen.path) in html


def test_nothing_to_choose_is_an_error_and_leaves_the_file_alone(bench: Workbench, model: Path) -> None:
    choice_for(model).save()
    before = profile_file().read_bytes()
    with pytest.raises(DeviceError, match="nothing to choose"):
        choose_best(bench, Speeds(table(("cuda fp32", NAN, NAN))))
    assert profile_file().read_bytes() == before
