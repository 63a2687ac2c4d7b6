from __future__ import annotations

import pytest

from peoplenet_nb import hardware
from peoplenet_nb.diagnostics import report as environment
from peoplenet_nb.diagnostics.report import Check, Report, doctor, examine, require_single_distributions
from peoplenet_nb.errors import InstallationError


def with_distributions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    monkeypatch.setattr(
        environment, "installed", lambda names: {name: versions[name] for name in names if name in versions}
    )


def test_report_is_ok_unless_something_needed_is_broken() -> None:
    assert Report((Check("a", "ok", ""), Check("b", "warn", ""))).ok
    assert not Report((Check("a", "ok", ""), Check("b", "fail", ""))).ok


def test_lines_show_status_value_and_mend() -> None:
    lines = Report(
        (Check("GPU", "ok", "none"), Check("ffmpeg", "warn", "not here", "apt-get install it"))
    ).lines()
    assert lines[0].split() == ["OK", "GPU", "none"]
    assert lines[1].split() == ["WARN", "ffmpeg", "not", "here"]
    assert lines[2].strip() == "→ apt-get install it"
    assert lines[-1] == "1 OK, 1 WARN, 0 FAIL: everything that is needed works"


def test_table_has_a_row_a_check() -> None:
    table = Report((Check("a", "fail", "broken", "mend it"),)).to_pandas()
    assert table.to_dict("records") == [{"name": "a", "status": "fail", "value": "broken", "mend": "mend it"}]
    assert list(Report(()).to_pandas().columns) == ["name", "status", "value", "mend"]


def test_html_escapes_whatever_was_found() -> None:
    page = Report((Check("<b>", "warn", "<script>alert(1)</script>", "a & b"),))._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;b&gt;" in page
    assert "a &amp; b" in page
    assert "WARN" in page


def test_values_stay_on_one_line_and_are_cut() -> None:
    check = Check("a", "ok", "first\n  second\tthird", "x" * 1000)
    assert check.value == "first second third"
    assert len(check.mend) == 400


def test_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="fine"):
        Check("a", "fine", "")  # type: ignore[arg-type]


def test_checks_are_found_by_name_and_position() -> None:
    report = Report((Check("a", "ok", "1"), Check("b", "ok", "2")))
    assert report["b"].value == "2"
    assert report[0].value == "1"
    assert [check.name for check in report] == ["a", "b"]
    with pytest.raises(KeyError, match="there are a, b"):
        report["c"]


def test_check_that_goes_wrong_becomes_a_line() -> None:
    def broken() -> list[Check]:
        raise RuntimeError("no such thing")

    report = examine((("first", broken), ("second", lambda: [Check("second", "ok", "")])))
    assert report["first"].status == "warn"
    assert "RuntimeError: no such thing" in report["first"].value
    assert report["second"].status == "ok"


def test_this_environment_is_healthy() -> None:
    report = doctor()
    assert report.ok, "\n".join(report.lines())
    for name in (
        "Python",
        "Threads",
        "ONNX Runtime",
        "Provider CPU",
        "OpenCV",
        "H.264 (PyAV)",
        "Outputs",
        "Disk",
    ):
        assert report[name].status == "ok", report[name]


@pytest.mark.parametrize(
    ("versions", "goes", "stays"),
    [
        pytest.param(
            {"onnxruntime": "1.30", "onnxruntime-gpu": "1.26"},
            "onnxruntime-gpu",
            "onnxruntime",
            id="runtimes",
        ),
        pytest.param(
            {"opencv-python": "5.0", "opencv-python-headless": "4.10"},
            "opencv-python-headless",
            "opencv-python",
            id="OpenCV",
        ),
        pytest.param(
            {"opencv-contrib-python": "4.9", "opencv-python-headless": "4.10"},
            "opencv-contrib-python",
            "opencv-python-headless",
            id="OpenCV without the usual one",
        ),
    ],
)
def test_two_of_a_family_are_an_error_that_says_which_to_remove(
    monkeypatch: pytest.MonkeyPatch, versions: dict[str, str], goes: str, stays: str
) -> None:
    with_distributions(monkeypatch, versions)
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    with pytest.raises(InstallationError) as caught:
        require_single_distributions()
    assert all(f"{name} {version}" in str(caught.value.seen) for name, version in versions.items())
    assert f"remove {goes} and put {stays} back" in caught.value.next_step
    assert f"{stays}=={versions[stays]}" in caught.value.next_step


def test_with_a_gpu_its_runtime_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "gpu_driver", lambda: "580.1")
    monkeypatch.setattr(environment, "extra_for", lambda _: ("cuda13", ""))
    mend = environment.clash_mend("ONNX Runtime", {"onnxruntime": "1.30", "onnxruntime-gpu": "1.30"})
    assert "put onnxruntime-gpu back" in mend


def test_single_distributions_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {"onnxruntime": "1.30", "opencv-python": "5.0"})
    require_single_distributions()
