"""The bench: what runs is timed, what does not run says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from films import make_film
from onnx_builder import detectnet, write
from peoplenet_nb.bench import STAGES, bench, write_report
from test_cli import invoke


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    return write(detectnet(), tmp_path / "m.onnx"), make_film(tmp_path / "film.mp4", frames=12)


@pytest.mark.slow
def test_what_runs_is_timed_and_what_does_not_says_why(case: tuple[Path, Path], tmp_path: Path) -> None:
    model, film = case
    table = bench(model, film, devices=("cpu", "tpu"), precisions=("fp32", "int8"), frames=8)
    assert table["device"].tolist() == ["cpu", "cpu", "tpu", "tpu"]
    ran = table.iloc[0]
    assert ran["note"] == ""
    assert ran["fps"] > 0
    assert ran["ratio"] == pytest.approx(ran["fps"] / ran["bare_fps"])
    assert (ran[list(STAGES)] >= 0).all()
    assert 50 < ran["peak_mb"] < 5000
    assert table["fps"].isna().tolist() == [False, True, True, True]
    assert all(table["note"].iloc[1:])
    told, drawn = write_report(table, tmp_path / "out")
    assert [row["device"] for row in json.loads(told.read_text())] == table["device"].tolist()
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_command_writes_the_report_even_when_nothing_ran(case: tuple[Path, Path], tmp_path: Path) -> None:
    code, told = invoke(
        "bench",
        case[1],
        "--model",
        case[0],
        "--devices",
        "tpu",
        "--precisions",
        "fp32",
        "-o",
        tmp_path / "out",
    )
    assert code == 0, told
    assert (tmp_path / "out" / "bench.png").is_file()
    assert "tpu" in told
