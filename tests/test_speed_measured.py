"""Devices tried, batches and whole runs timed, variants built, the profile chosen from them and read again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from onnx_builder import detectnet, write
from peoplenet_nb.errors import DeviceError, ModelError
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import Variant
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.sources import Source, open_source
from peoplenet_nb.speed import (
    build_int8,
    build_variants,
    choose_best,
    fastest,
    time_batches,
    time_devices,
    try_devices,
)
from peoplenet_nb.speed import variants as module
from peoplenet_nb.speed.bench import COLUMNS
from peoplenet_nb.speed.measured import Batches, RunTimes
from peoplenet_nb.speed.profile import SpeedProfile, machine_name, profile_file
from peoplenet_nb.video.manifest import STAGES
from videos import make_video

NAN = float("nan")


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return make_video(tmp_path / "video.mp4", 20)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write(detectnet(), tmp_path / "model" / "m.onnx")


@pytest.fixture
def loaded(model: Path) -> PeopleNet:
    return PeopleNet.load(model)


@pytest.fixture
def source(video: Path) -> Source:
    return open_source(video)


@pytest.fixture
def int8(video: Path, model: Path) -> float:
    """Build the INT8 variant; return its agreement."""
    frames = [frame.image for frame in open_source(video)]
    made = build_int8(read_model_file(model), frames)
    return min(found.ap50 for found in made.agreements)


def choice_for(model: Path, device: str = "cpu", precision: str = "int8", batch: int = 1) -> SpeedProfile:
    sha256 = read_model_file(model).sha256
    return SpeedProfile(device, precision, batch, machine_name(), sha256)


def failing(error: Exception) -> Callable[[ModelFile], Variant]:
    def fail(_: ModelFile) -> Variant:
        raise error

    return fail


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


# ------------------------------------------------------------------------------------------- beginning with the profile


def test_without_a_profile_it_is_the_first_device_that_loads(model: Path) -> None:
    how = fastest(model)
    assert (how.device, how.precision, how.batch) == ("auto", "fp32", None)
    assert "Notebook 06 has measured nothing here yet" in how._repr_html_()


def test_the_saved_profile_is_taken_and_says_so(model: Path, int8: float) -> None:
    replace(choice_for(model, batch=2), keyframes="auto").save()
    how = fastest(model)
    assert (how.device, how.precision, how.batch, how.keyframes) == ("cpu", "int8", 2, "auto")
    assert "As notebook 06 chose: cpu, int8, 2 frames at a time" in how._repr_html_()


def test_a_device_that_is_named_wins_over_the_profile(model: Path) -> None:
    choice_for(model).save()
    how = fastest(model, "cpu")
    assert (how.device, how.precision, how.batch) == ("cpu", "fp32", None)
    assert "otebook 06" not in how.reason


def test_a_profile_that_no_longer_loads_is_replaced_and_it_is_said(model: Path) -> None:
    choice_for(model).save()  # INT8, which nobody has built here
    how = fastest(model)
    assert (how.device, how.precision, how.batch) == ("auto", "fp32", None)
    assert "Notebook 06 chose cpu, int8, one frame at a time, which no longer loads" in how.reason
    assert "Run notebook 06 again" in how.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"machine": "NVIDIA L4 (driver 550.1); AMD EPYC, 2 cores"}, "found on another pod"),
        ({"model_sha256": "0" * 64}, "found with another model"),
    ],
)
def test_a_profile_from_elsewhere_is_passed_over(model: Path, changes: dict[str, str], reason: str) -> None:
    replace(choice_for(model, precision="fp32"), **changes).save()
    assert fastest(model).batch is None, reason


def test_a_mangled_profile_stops_nothing(model: Path) -> None:
    profile_file().parent.mkdir(parents=True, exist_ok=True)
    profile_file().write_text("device: [")
    assert fastest(model).device == "auto"


# -------------------------------------------------------------------------------------------------- what is measured


def test_every_device_is_timed_or_explained(model: Path) -> None:
    timing = time_devices(model, devices=["cpu", "no-such"], batches=(1, 2), repeats=1)
    assert [(row["device"], row["batch"]) for row in timing.rows] == [("cpu", 1), ("cpu", 2)]
    assert all(float(str(row["ms_per_frame"])) > 0 for row in timing.rows)
    assert [row["device"] for row in timing.absent] == ["no-such"]
    assert "CPUExecutionProvider" in timing._repr_html_()
    assert "no-such: " in repr(timing)


def test_machine_says_what_there_is_and_what_loads(loaded: PeopleNet) -> None:
    machine = try_devices(loaded, ["cpu", "cuda", "no-such"])
    assert machine.loaded[0] == "cpu"
    assert [row["device"] for row in machine.devices] == ["cpu", "cuda", "no-such"]
    assert machine.devices[0]["precisions"] == "fp32, int8"
    assert machine.devices[2]["loads"] == "no"
    assert "no-such" in str(machine.devices[2]["answer"])
    html = machine._repr_html_()
    assert "cores for us" in html
    assert "VNNI" in html


def test_variants_are_built_once_with_what_they_cost(
    loaded: PeopleNet, source: Source, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = build_variants(loaded, source, frames=9)
    (unknown,) = made.costs()
    assert "too few to say what it costs, so it is timed below but not chosen" in unknown
    monkeypatch.setattr(module, "LEAST_BOXES", min(found.boxes for found in made.made[1].agreements))
    assert [variant.kind for variant in made.made] == ["uint8-input", "int8", "mnn"]
    assert made.instead == []
    html = made._repr_html_()
    for method in ("minmax", "percentile", "entropy"):
        assert method in html
    assert ">kept<" in html
    rows = re.findall(r"<tr><td[^>]*>(?:uint8-input|int8)<.*?</tr>", html)
    assert rows[0].count("<td></td>") == 2, (
        "the one compared on noise has no boxes to agree on, and shows none"
    )
    assert "<td></td>" not in rows[1]
    (cost,) = made.costs()
    assert f"average precision of {made.made[1].agreement.ap50:.3f} and" in cost
    before = made.made[1].path.stat().st_mtime_ns
    assert build_variants(loaded, source, frames=9).made == made.made
    assert made.made[1].path.stat().st_mtime_ns == before, "built again"
    assert capsys.readouterr().out == "", "the quantizer's own lines"


def test_int8_can_be_left_out(loaded: PeopleNet, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "build_mnn", failing(DeviceError("The device 'mnn' is not there")))
    made = build_variants(loaded, source, int8=False)
    assert [variant.kind for variant in made.made] == ["uint8-input"]
    assert (made.costs(), made.instead) == ([], [])


def test_a_variant_that_cannot_be_built_is_a_sentence(
    loaded: PeopleNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "build_mnn", failing(ModelError("MNN could not take the model")))
    short = make_video(tmp_path / "short.mp4", 3)
    made = build_variants(loaded, open_source(short), frames=12)
    assert [variant.kind for variant in made.made] == ["uint8-input"]
    assert "Too few frames" in made.instead[0]
    assert "MNN could not take the model" in made.instead[1]
    assert "Instead" in made._repr_html_()


@pytest.mark.parametrize(
    ("providers", "gpus", "expected"),
    [
        (["CPUExecutionProvider"], (), ["cpu"]),
        (["TensorrtExecutionProvider", "CPUExecutionProvider"], (), ["cpu"]),
        (["TensorrtExecutionProvider", "CPUExecutionProvider"], ("L4",), ["cpu", "tensorrt"]),
    ],
)
def test_tensorrt_gets_its_own_variant_where_it_can_run(
    monkeypatch: pytest.MonkeyPatch, providers: list[str], gpus: tuple[str, ...], expected: list[str]
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(module.hardware, "gpus", lambda: gpus)
    assert module._targets() == expected


def test_batches_are_timed_on_a_cpu_with_two(loaded: PeopleNet, source: Source) -> None:
    probe = time_batches(loaded, source, seconds=0.1)
    assert list(probe.fps) == [1, 2]
    assert "batch 2" in probe._repr_html_()


@pytest.mark.parametrize(
    ("device", "fps", "best", "text"),
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
def test_batches_say_what_they_gain(device: str, fps: dict[int, float], best: int, text: str) -> None:
    assert text in repr(Batches(device, fps, best))


def test_speeds_show_what_ran_and_why_the_rest_did_not() -> None:
    speeds = RunTimes(table(("cpu fp32", 10.0, NAN), ("cpu int8", 20.0, 0.99), ("cuda fp32", NAN, NAN)))
    html = speeds._repr_html_()
    assert [row["precision"] for row in speeds.rows] == ["fp32", "int8"]
    assert "not &lt;here&gt;" in html
    assert "Whole runs" in html
    assert str(speeds) == "cpu, fp32: 10.0 frames/s\ncpu, int8: 20.0 frames/s"
    nothing = RunTimes(table(("cuda fp32", NAN, NAN)))
    assert "Whole runs" not in nothing._repr_html_()


def test_stages_show_the_plainest_beside_the_chosen(loaded: PeopleNet) -> None:
    speeds = RunTimes(table(("cpu fp32", 10.0, NAN), ("openvino fp32", 12.0, NAN), ("cpu int8", 20.0, 0.99)))
    profile = choose_best(loaded, speeds).profile
    text = speeds.stages(profile).alt
    assert "cpu, fp32:" in text
    assert "cpu, int8:" in text
    assert "openvino" not in text
    assert speeds.stages(replace(profile, precision="fp32")).alt.count("read") == 1


def test_choice_is_written_and_says_what_it_passed_over(loaded: PeopleNet, model: Path) -> None:
    speeds = RunTimes(
        table(
            ("cpu fp32", 10.0, NAN),
            ("cpu int8", 20.0, 0.8),
            ("openvino fp32", 10.3, NAN),
            ("cuda fp32", NAN, NAN),
        )
    )
    chosen = choose_best(loaded, speeds)
    assert (chosen.profile.device, chosen.profile.precision) == ("cpu", "fp32")
    assert chosen.path == profile_file()
    assert SpeedProfile.load(read_model_file(model)) == chosen.profile
    html = chosen._repr_html_()
    assert "cpu, int8 reached 20.0 frames per second" in html
    assert "0.800 at IoU 0.5" in html
    assert "cpu, fp32 reached" not in html
    assert "openvino, fp32 reached 10.3 frames per second: less than 5 % more" in html
    assert "peoplenet-nb detect VIDEO --device cpu --precision fp32 --batch 1" in html
    assert str(chosen.path) in html


def test_nothing_to_choose_is_an_error_and_leaves_the_file_alone(loaded: PeopleNet, model: Path) -> None:
    choice_for(model).save()
    before = profile_file().read_bytes()
    with pytest.raises(DeviceError, match="nothing to choose"):
        choose_best(loaded, RunTimes(table(("cuda fp32", NAN, NAN))))
    assert profile_file().read_bytes() == before
