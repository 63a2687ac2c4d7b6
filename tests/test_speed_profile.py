"""The speed profile that notebook 06 writes: how it is chosen, what is kept, and when it does not count."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from onnx_builder import detectnet, write
from peoplenet_nb.errors import DeviceError, OutputError, SettingsError
from peoplenet_nb.hardware import Gpu, processor_name
from peoplenet_nb.network.variants import LEAST_AP50, LEAST_AP75
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.speed import profile as module
from peoplenet_nb.speed.profile import MARGIN, SpeedProfile, best, best_row, machine_name, profile_file

NAN = float("nan")
GOOD, BAD = LEAST_AP50, LEAST_AP50 - 0.001


def row(
    name: str,
    fps: float | None,
    agreement: float | None = None,
    batch: float | None = 1,
    agreement_75: float | None = 1.0,
) -> dict[str, Any]:
    device, precision = name.split()
    return {
        "device": device,
        "precision": precision,
        "batch": batch,
        "fps": fps,
        "agreement": agreement,
        "agreement_75": agreement_75,
        "note": "" if fps and fps > 0 else f"no {device} here",
    }


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    return read_model_file(write(detectnet(), tmp_path / "model" / "m.onnx"))


@pytest.fixture
def chosen(file: ModelFile) -> SpeedProfile:
    table = pd.DataFrame([row("cpu fp32", 10.0), row("cpu int8", 20.0, 0.99)])
    return best(table, file)


@pytest.mark.parametrize(
    ("rows", "expected", "reason"),
    [
        ([row("cpu fp32", 10)], "cpu fp32", "there is only one"),
        ([row("cpu fp32", 10), row("cpu int8", 30, 0.99)], "cpu int8", "it agrees and is faster"),
        ([row("cpu fp32", 10), row("cpu int8", 30, GOOD)], "cpu int8", "just enough agreement"),
        ([row("cpu fp32", 10), row("cpu int8", 30, BAD)], "cpu fp32", "INT8 that does not agree"),
        ([row("cpu fp32", 10), row("cpu int8", 30, 1.0, 1, LEAST_AP75)], "cpu int8", "at 0.75 too"),
        ([row("cpu fp32", 10), row("cpu int8", 30, 1.0, 1, 0.969)], "cpu fp32", "boxes that are not tight"),
        ([row("cpu fp32", 10), row("cpu int8", 30, NAN)], "cpu fp32", "INT8 that nobody measured"),
        ([row("cpu fp32", 10), row("cpu int8", 30, None)], "cpu fp32", "INT8 without a record"),
        ([row("cpu fp32", 10), row("openvino bf16", 30, None)], "openvino bf16", "bf16 needs no record"),
        ([row("cuda fp32", 50), row("tensorrt fp16", 99, None)], "tensorrt fp16", "nor does FP16"),
        ([row("cpu fp32", 10), row("mnn fp32", 20)], "mnn fp32", "FP32 needs no record"),
        ([row("openvino fp32", 20), row("mnn fp32", 19.5)], "mnn fp32", "MNN is simpler than OpenVINO"),
        ([row("cpu fp32", 10), row("openvino fp32", 10.49)], "cpu fp32", "less than 5 % is noise"),
        ([row("cpu fp32", 10), row("openvino fp32", 10.51)], "openvino fp32", "more than 5 % is not"),
        ([row("openvino fp32", 10), row("cpu fp32", 9.9)], "cpu fp32", "whatever the order of the rows"),
        ([row("openvino int8", 10, 1.0), row("openvino fp32", 9.9)], "openvino fp32", "FP32 is simpler"),
        ([row("cpu fp32", NAN), row("cuda fp32", 90)], "cuda fp32", "what did not run does not count"),
        ([row("cpu fp32", None), row("cuda fp32", 90)], "cuda fp32", "nor what has no number at all"),
        ([row("cpu fp32", 10), row("cpu int8", 99, BAD), row("openvino fp32", 12)], "openvino fp32",
         "INT8 that may not be chosen sets no standard"),
    ],
)  # fmt: skip
def test_the_simplest_that_nothing_beats_is_chosen(
    rows: list[dict[str, Any]], expected: str, reason: str
) -> None:
    found = best_row(rows)
    assert found is not None
    assert f"{found['device']} {found['precision']}" == expected, reason


def test_a_smaller_batch_is_simpler() -> None:
    rows = [row("cuda fp32", 100, batch=8), row("cuda fp32", 97, batch=4), row("cuda fp32", 60)]
    found = best_row(rows)
    assert found is not None
    assert found["batch"] == 4


def test_small_steps_never_cost_more_than_the_margin() -> None:
    names = ["cpu fp32", "openvino fp32", "cuda fp32", "tensorrt fp32", "openvino bf16", "tensorrt fp16"]
    rows = [row(name, 10 * 1.04**i) for i, name in enumerate(names)]
    found = best_row(rows)
    assert found is not None
    assert found["fps"] * MARGIN > rows[-1]["fps"]
    assert found is rows[-2], "the simplest within 5 % of the fastest"


def test_that_nothing_ran_is_an_error_with_the_reasons(file: ModelFile) -> None:
    assert best_row([]) is None
    with pytest.raises(DeviceError, match="no cpu here; no cuda here"):
        best(pd.DataFrame([row("cpu fp32", NAN), row("cuda fp32", NAN)]), file)


def test_a_profile_names_what_it_belongs_to(chosen: SpeedProfile, file: ModelFile) -> None:
    assert (chosen.device, chosen.precision, chosen.batch) == ("cpu", "int8", 1)
    assert chosen.model_sha256 == file.sha256
    assert chosen.machine == machine_name()
    assert "cores" in chosen.machine
    assert str(chosen) == "cpu, int8, one frame at a time"
    assert chosen.command("a.mp4") == "peoplenet-nb detect a.mp4 --device cpu --precision int8 --batch 1"


@pytest.mark.parametrize("keyframes", ["auto", 3])
def test_a_profile_carries_the_key_frames_that_a_person_chose(file: ModelFile, keyframes: str | int) -> None:
    found = best(pd.DataFrame([row("mnn fp32", 10.0)]), file, keyframes)
    found.save()
    assert SpeedProfile.load(file) == found
    assert found.keyframes == keyframes
    assert str(found) == f"mnn, fp32, one frame at a time, key frames: {keyframes}"
    assert found.command("a.mp4").endswith(f"--batch 1 --keyframes {keyframes}")


def test_a_file_from_before_key_frames_and_one_with_a_bare_off_count(chosen: SpeedProfile) -> None:
    kept = chosen.save().read_text().replace("keyframes: 'off'\n", "")
    assert "keyframes" not in kept
    for text in (kept, kept + "keyframes: off\n"):
        profile_file().write_text(text)
        assert SpeedProfile.load() == chosen


def test_a_profile_shows_itself_in_a_notebook(chosen: SpeedProfile) -> None:
    html = replace(chosen, machine="a <machine>")._repr_html_()
    assert "cpu, int8, one frame at a time" in html
    assert "a &lt;machine&gt;" in html
    assert "--precision int8" in html


def test_a_profile_survives_the_disk(chosen: SpeedProfile, file: ModelFile) -> None:
    assert SpeedProfile.load() is None, "there is none yet"
    path = chosen.save()
    assert path == profile_file()
    assert SpeedProfile.load(file) == SpeedProfile.load() == chosen
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing half-written is left"
    assert path.read_text().startswith("# ")
    other = replace(chosen, device="openvino", precision="bf16", batch=2)
    other.save()
    assert SpeedProfile.load(file) == other


def test_a_profile_that_cannot_be_written_is_an_error_of_the_output(chosen: SpeedProfile) -> None:
    profile_file().mkdir(parents=True)
    with pytest.raises(OutputError, match="cannot be written"):
        chosen.save()


@pytest.mark.parametrize(
    ("gpu", "processor", "cores", "reason"),
    [
        (("NVIDIA L4", "550.1"), "AMD EPYC", 2, "a GPU where there was none"),
        (None, "Intel Xeon", 2, "another processor"),
        (None, "AMD EPYC", 8, "another number of cores"),
    ],
)
def test_another_machine_does_not_inherit(
    chosen: SpeedProfile,
    monkeypatch: pytest.MonkeyPatch,
    gpu: tuple[str, str] | None,
    processor: str,
    cores: int,
    reason: str,
) -> None:
    def be(gpu: tuple[str, str] | None, processor: str, cores: int) -> None:
        monkeypatch.setattr(module, "gpus", lambda: (Gpu(*gpu, 24_000, 8.9),) if gpu else ())
        monkeypatch.setattr(module, "cpu_name", lambda: f"{processor}, {cores} cores")

    be(None, "AMD EPYC", 2)
    replace(chosen, machine=machine_name()).save()
    assert SpeedProfile.load() is not None
    be(gpu, processor, cores)
    assert SpeedProfile.load() is None, reason


@pytest.mark.parametrize("other", [("NVIDIA A40", "550.1"), ("NVIDIA L4", "580.2")])
def test_another_gpu_or_driver_does_not_inherit(
    chosen: SpeedProfile, monkeypatch: pytest.MonkeyPatch, other: tuple[str, str]
) -> None:
    monkeypatch.setattr(module, "gpus", lambda: (Gpu("NVIDIA L4", "550.1", None, None),))
    replace(chosen, machine=machine_name()).save()
    assert SpeedProfile.load() is not None
    monkeypatch.setattr(module, "gpus", lambda: (Gpu(*other, None, None),))
    assert SpeedProfile.load() is None


def test_another_model_does_not_inherit(chosen: SpeedProfile, tmp_path: Path) -> None:
    chosen.save()
    other = read_model_file(write(detectnet(classes=2), tmp_path / "other.onnx"))
    assert SpeedProfile.load(other) is None
    assert SpeedProfile.load() == chosen


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("{", "no YAML"),
        ("- cpu\n- fp32\n", "a list"),
        ("device: cpu\n", "values are missing"),
        ("\x00\x01", "no text"),
        ("DEVICE: openvino\nprecision: fp32", "a name that is not known"),
    ],
)
def test_a_mangled_file_is_a_warning_and_no_profile(
    caplog: pytest.LogCaptureFixture, text: str, reason: str
) -> None:
    profile_file().parent.mkdir(parents=True, exist_ok=True)
    profile_file().write_text(text)
    with caplog.at_level(logging.WARNING):
        assert SpeedProfile.load() is None, reason
    (record,) = caplog.records
    assert str(profile_file()) in record.getMessage()
    assert "run notebook 06 again" in record.getMessage()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("device: auto", "auto is no device"),
        ("device: tpu", "there is no such device"),
        ("precision: fp16", "the CPU does not run it"),
        ("precision: auto", "auto is no precision"),
        ("batch: 0", "nothing at once"),
        ("batch: 2.5", "half a frame"),
        ("batch: many", "a word"),
        ("batch: true", "YAML's yes"),
        ("keyframes: sometimes", "a word that is none"),
        ("keyframes: 0", "no frame at all"),
        ("keyframes: [3]", "a list"),
        ("more: 1", "a name that is not known"),
    ],
)
def test_a_value_that_makes_no_sense_is_a_warning_and_no_profile(
    chosen: SpeedProfile, caplog: pytest.LogCaptureFixture, line: str, reason: str
) -> None:
    chosen.save()
    name = line.partition(":")[0]
    kept = [old for old in profile_file().read_text().splitlines() if not old.startswith(f"{name}:")]
    profile_file().write_text("\n".join([*kept, line]))
    with caplog.at_level(logging.WARNING):
        assert SpeedProfile.load() is None, reason
    assert len(caplog.records) == 1


def test_a_profile_edited_by_hand_counts(chosen: SpeedProfile) -> None:
    chosen.save()
    text = profile_file().read_text()
    profile_file().write_text(text.replace("device: cpu", "device: openvino"))
    assert SpeedProfile.load() == replace(chosen, device="openvino")


def test_a_profile_that_cannot_run_is_refused(chosen: SpeedProfile) -> None:
    with pytest.raises(SettingsError, match="a precision that it runs"):
        replace(chosen, device="cuda", precision="bf16")


def test_processor_has_a_name_without_a_cpuinfo(tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: AMD EPYC 7763\nflags\t: avx2\n")
    assert processor_name(info) == "AMD EPYC 7763"
    assert processor_name(tmp_path / "none")
