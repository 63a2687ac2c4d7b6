"""The bench: what runs is timed, what does not run has a reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onnx_builder import detectnet, write
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.network import variants
from peoplenet_nb.network.devices import precisions_of
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.plots import charts
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import bench as module
from peoplenet_nb.speed import build_int8
from peoplenet_nb.speed.bench import COLUMNS, Case, bench, measure, ran, write_report
from peoplenet_nb.video.manifest import STAGES
from test_cli import invoke
from videos import make_video


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    return write(detectnet(), tmp_path / "m.onnx"), make_video(tmp_path / "video.mp4", frames=12)


@pytest.mark.slow
def test_what_runs_is_timed_and_what_does_not_says_why(case: tuple[Path, Path], tmp_path: Path) -> None:
    model, video = case
    table = bench(model, video, devices=("cpu", "tpu"), frames=8)
    assert tuple(table.columns) == COLUMNS
    assert table["device"].tolist() == ["cpu", "cpu", "tpu"]
    assert table["precision"].tolist()[:2] == ["fp32", "int8"], "all that the device runs"
    first = table.iloc[0]
    assert first["note"] == ""
    assert first["fps"] > 0
    assert first["ratio"] == pytest.approx(first["fps"] / first["bare_fps"])
    assert (first[list(STAGES)] >= 0).all()
    assert first["batch"] == 1
    assert 0 < first["first_s"] < 60
    assert 50 < first["peak_mb"] < 5000
    assert table["fps"].isna().tolist() == [False, True, True]
    assert "no INT8 variant" in table["note"][1]
    assert "tpu" in table["note"][2]
    assert [row["device"] for row in ran(table)] == ["cpu"]
    listed, drawn = write_report(table, tmp_path / "out")
    assert [row["device"] for row in json.loads(listed.read_text())] == table["device"].tolist()
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_int8_carries_its_agreement_where_there_were_boxes_to_compare(
    case: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, video = case
    frames = [frame.image for frame in open_source(video)]
    record = build_int8(read_model_file(model), frames)
    assert record.agreement.boxes < variants.LEAST_BOXES
    assert measure(Case(str(model), str(video), "cpu", "int8", 6, False)).get("agreement") is None
    assert record.unlike is not None
    monkeypatch.setattr(variants, "LEAST_BOXES", min(record.agreement.boxes, record.unlike.boxes))
    found = measure(Case(str(model), str(video), "cpu", "int8", 6, False))
    assert found["agreement"] == min(record.agreement.ap50, record.unlike.ap50)
    assert found["agreement_75"] == min(record.agreement.ap75, record.unlike.ap75)
    assert found["variant"] == record.path.name
    assert found["encode"] >= 0
    assert measure(Case(str(model), str(video), "cpu", "fp32", 6, False, 3)).get("agreement") is None


def test_a_batch_that_was_named_is_what_runs(case: tuple[Path, Path]) -> None:
    model, video = case
    found = measure(Case(str(model), str(video), "cpu", "fp32", 8, False, 3))
    assert found["batch"] == 3
    assert found["bare_fps"] > 0


@pytest.mark.parametrize(
    ("precisions", "expected", "reason"),
    [
        (None, [f"{d} {p}" for d in ("cpu", "openvino") for p in precisions_of(d)], "all that each runs"),
        (("fp32",), ["cpu fp32", "openvino fp32"], "named, and both have it"),
        (("bf16", "fp32"), ["cpu fp32", "openvino fp32", "openvino bf16"], "the CPU has no bf16"),
    ],
)
def test_each_device_is_tried_in_what_it_offers(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    precisions: tuple[str, ...] | None,
    expected: list[str],
    reason: str,
) -> None:
    monkeypatch.setattr(module, "_in_own_process", lambda case, timeout: {"fps": 1.0, "note": ""})
    video = make_video(tmp_path / "video.mp4", 2)
    table = bench(None, video, devices=("cpu", "openvino"), precisions=precisions)
    assert [f"{d} {p}" for d, p in zip(table["device"], table["precision"], strict=True)] == expected, reason


def test_a_device_that_is_not_there_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def answer(case: Case, timeout: float) -> dict[str, object]:
        asked.append(f"{case.device} {case.precision}")
        if case.device == "openvino":
            return {"note": "not installed", "absent": True}
        # The device is there, and one precision is not.
        return {"note": "no int8 here", "absent": True} if case.precision == "int8" else {"fps": 2.0}

    monkeypatch.setattr(module, "_in_own_process", answer)
    video = make_video(tmp_path / "video.mp4", 2)
    table = bench(None, video, devices=("openvino", "cpu", "tensorrt"))
    tensorrt = [f"tensorrt {p}" for p in precisions_of("tensorrt")]
    assert asked == ["openvino fp32", "cpu fp32", "cpu int8", *tensorrt]
    assert table["note"][0] == "not installed"
    assert len(ran(table)) == 1 + len(tensorrt) - 1


def test_peak_memory_is_the_process_own_and_not_its_parents() -> None:
    ballast = np.ones(300 * 1024 * 1024, np.uint8)
    code = "from peoplenet_nb.hardware import peak_memory_mb; print(peak_memory_mb())"
    child = float(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert peak_memory_mb() > 300
    assert 10 < child < 250, (
        f"{child:.0f} MB of a process that does nothing, beside {len(ballast)} bytes here"
    )


def test_peak_memory_is_had_where_there_is_no_proc(tmp_path: Path) -> None:
    assert peak_memory_mb(tmp_path / "none") > 10


def test_what_cannot_be_timed_at_all_is_an_error(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 2)
    with pytest.raises(SettingsError, match="fp64"):
        bench(None, video, precisions=("fp64",))
    with pytest.raises(SettingsError, match="nothing to time.*tf32"):
        bench(None, video, devices=("cpu",), precisions=("tf32",))
    with pytest.raises(SourceError, match="No such file"):
        bench(None, tmp_path / "none.mp4")


def test_a_process_that_dies_or_hangs_is_a_row(
    case: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, video = case
    table = bench(model, video, devices=("cpu",), precisions=("fp32",), timeout=0.01)
    assert "not done within" in table["note"][0]
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    table = bench(model, video, devices=("cpu",), precisions=("fp32",))
    assert table["note"][0] == "ended without an answer: exit code 1"


def test_charts_name_batches_and_draw_stages_that_took_nothing() -> None:
    row = {"device": "cuda", "precision": "fp32", "batch": 16.0, "fps": 100.0, "bare_fps": 200.0}
    row |= dict.fromkeys(STAGES, 1.0) | {"encode": None, "draw": float("nan")}
    assert "cuda, fp32, batch 16 100.0" in charts.speed_bars([row]).alt
    plain = row | {"device": "cpu", "batch": 1.0}
    found = charts.stage_bars([plain, row], STAGES).alt
    assert "cpu, fp32: read 1.00 ms" in found
    assert "encode 0.00 ms" in found
    assert charts.speed_bars([]).data


def test_command_writes_the_report_even_when_nothing_ran(case: tuple[Path, Path], tmp_path: Path) -> None:
    code, text = invoke(
        "bench",
        case[1],
        "--model",
        case[0],
        "--devices",
        "tensorrt",
        "--precisions",
        "fp32",
        "-o",
        tmp_path / "out",
    )
    assert code == 0, text
    assert (tmp_path / "out" / "bench.png").is_file()
    assert "tensorrt" in text
    code, text = invoke("bench", case[1], "--model", case[0], "--devices", "cpu,tpu")
    assert code == 1
    assert "Unknown device" in text


def test_modules_in_the_current_folder_are_never_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("open('was-run', 'w')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    module._in_own_process(Case("", "no such video.mp4", "cpu", "fp32", 1, video=False), timeout=60)
    assert not (tmp_path / "was-run").exists()
