from __future__ import annotations

import pytest

from peoplenet_nb.diagnostics import Check, Report, doctor
from peoplenet_nb.diagnostics.report import examine


def test_report_is_ok_unless_something_required_is_broken() -> None:
    assert Report((Check("a", "ok", ""), Check("b", "warn", ""))).ok
    assert not Report((Check("a", "ok", ""), Check("b", "fail", ""))).ok


def test_lines_show_status_value_and_fix() -> None:
    lines = Report(
        (Check("GPU", "ok", "none"), Check("ffmpeg", "warn", "not here", "apt-get install it"))
    ).lines()
    assert lines[0].split() == ["OK", "GPU", "none"]
    assert lines[1].split() == ["WARN", "ffmpeg", "not", "here"]
    assert lines[2].strip() == "→ apt-get install it"
    assert lines[-1] == "1 OK, 1 WARN, 0 FAIL: everything required works"


def test_table_has_a_row_per_check() -> None:
    table = Report((Check("a", "fail", "broken", "fix it"),)).to_pandas()
    assert table.to_dict("records") == [{"name": "a", "status": "fail", "value": "broken", "fix": "fix it"}]
    assert list(Report(()).to_pandas().columns) == ["name", "status", "value", "fix"]


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
    assert len(check.fix) == 400


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


def test_check_that_fails_becomes_a_line() -> None:
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
