from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from forbidding import forbidden
from peoplenet_nb import paths
from peoplenet_nb.diagnostics import Check, Report, folders
from peoplenet_nb.diagnostics.report import examine
from peoplenet_nb.errors import ModelError
from peoplenet_nb.onnxfile import read_model_file


def only(checks: list[Check]) -> Check:
    (check,) = checks
    return check


def named(checks: list[Check], name: str) -> Check:
    return Report(tuple(checks))[name]


@pytest.mark.parametrize(
    ("free", "status"),
    [(10 * 1024**3, "ok"), (1024**3, "warn"), (50 * 1024**2, "fail")],
    ids=["enough", "low", "full"],
)
def test_disk_is_judged_by_what_is_free(monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free * 2, free, free))  # type: ignore[attr-defined]
    assert named(folders.check_disk(), "Disk").status == status


def test_home_off_the_volume_is_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folders, "VOLUME", tmp_path / "volume")
    (tmp_path / "volume").mkdir()
    assert named(folders.check_disk(), "Volume").status == "warn"
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "volume" / "peoplenet"))
    assert named(folders.check_disk(), "Volume").status == "ok"


def test_pod_without_a_volume_is_warned_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(folders, "VOLUME", tmp_path / "none")
    monkeypatch.setenv("RUNPOD_POD_ID", "abc")
    assert "no" in named(folders.check_disk(), "Volume").value


def test_outputs_that_cannot_be_written_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refuse)
    check = only(folders.check_outputs())
    assert check.status == "fail"
    assert "Permission denied" in check.value
    assert "PEOPLENET_HOME" in check.fix


def test_home_that_is_a_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    (tmp_path / "home").write_text("not a folder", encoding="utf-8")
    check = only(folders.check_outputs())
    assert check.status == "fail"
    assert f"{tmp_path / 'home'} is not a folder" in check.value
    assert "PEOPLENET_HOME" in check.fix


def test_home_that_is_a_dead_link_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "outputs").symlink_to(tmp_path / "gone")
    assert only(folders.check_outputs()).status == "fail"


@pytest.mark.parametrize("above", [False, True], ids=["the home", "a folder above it"])
def test_home_that_may_not_be_entered_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: bool
) -> None:
    home = tmp_path / "above" / "home"
    home.mkdir(parents=True)
    monkeypatch.setenv("PEOPLENET_HOME", str(home))
    with forbidden(home.parent if above else home):
        report = examine((("Outputs", folders.check_outputs), ("Disk", folders.check_disk)))
    assert report["Outputs"].status == "fail"
    assert "Permission denied" in report["Outputs"].value
    assert report["Disk"].status == ("fail" if above else "ok")
    assert not report.ok


def test_outputs_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    assert only(folders.check_outputs()).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_no_model_is_a_warning_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peoplenet_nb.ngc.find_model", lambda: None)
    check = only(folders.check_model())
    assert (check.status, check.fix) == ("warn", "peoplenet-nb download")


def test_broken_model_fails_with_its_own_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "model.onnx"
    page.write_text("<html>not found</html>", encoding="utf-8")
    monkeypatch.setattr("peoplenet_nb.ngc.find_model", lambda: page)
    with pytest.raises(ModelError) as caught:
        read_model_file(page)
    check = only(folders.check_model())
    assert check.status == "fail"
    assert check.fix == " ".join(caught.value.next_step.split())


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Jupyter data folder of our own, with no other folder in sight."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("JUPYTER_PATH", "")
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    (tmp_path / "runtime").mkdir()
    return tmp_path


def register(folder: Path, python: str) -> None:
    spec = folder / "data" / "kernels" / "peoplenet"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps(
            {"argv": [python, "-m", "ipykernel_launcher"], "display_name": "PeopleNet", "language": "python"}
        ),
        encoding="utf-8",
    )


@pytest.mark.parametrize(
    ("python", "status", "text"),
    [
        pytest.param(sys.executable, "ok", "peoplenet", id="this Python"),
        pytest.param(
            "/gone/bin/python", "warn", "its Python no longer exists", id="an environment that was removed"
        ),
        pytest.param("/bin/sh", "warn", "starts another Python", id="another environment"),
    ],
)
def test_kernel_must_start_this_python(jupyter: Path, python: str, status: str, text: str) -> None:
    register(jupyter, python)
    check = only(folders.check_kernel())
    assert (check.status, text in check.value) == (status, True), check


def serve(folder: Path, pid: int, port: int = 8888) -> None:
    (folder / "runtime" / f"jpserver-{pid}.json").write_text(
        json.dumps({"pid": pid, "port": port}), encoding="utf-8"
    )


def install_front_ends(prefix: Path) -> None:
    for front in folders.FRONT_ENDS.values():
        folder = prefix / "labextensions" / front
        folder.mkdir(parents=True)
        (folder / "package.json").write_text("{}", encoding="utf-8")


def test_front_ends_count_where_the_server_looks(jupyter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = jupyter / "image" / "bin" / "python3"
    serve(jupyter, os.getpid())
    monkeypatch.setattr(folders, "server_python", lambda _: image)
    check = only(folders.check_servers())
    assert check.status == "warn", "the environment's own front ends do not help an image's server"
    assert "jupyterlab_widgets and anywidget" in check.value
    install_front_ends(jupyter / "data")
    assert only(folders.check_servers()).status == "ok"


def test_front_ends_of_the_servers_own_python_count(jupyter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(jupyter, os.getpid())
    monkeypatch.setattr(folders, "server_python", lambda _: jupyter / "image" / "bin" / "python3")
    install_front_ends(jupyter / "image" / "share" / "jupyter")
    assert only(folders.check_servers()).status == "ok"


def test_server_that_died_or_wrote_nonsense_is_passed_over(jupyter: Path) -> None:
    serve(jupyter, 2**22 + 1)
    (jupyter / "runtime" / "jpserver-1.json").write_text("{half", encoding="utf-8")
    assert list(folders.running_servers()) == []
    assert "no server is running" in only(folders.check_servers()).value


def test_python_of_a_process_is_read_from_its_command_line() -> None:
    python = folders.server_python(os.getpid())
    assert python is None or "python" in python.name
    assert folders.server_python(2**22 + 1) is None


def test_secrets_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_POD_ID", "abc")
    for name in (*folders.HIDDEN, "RUNPOD_SECRET_ngc"):
        monkeypatch.setenv(name, "top-secret-value")
    report = Report(tuple(folders.check_runpod()))
    text = "\n".join(report.lines()) + report._repr_html_() + report.to_pandas().to_csv()
    assert "top-secret-value" not in text
    for name in (*folders.HIDDEN, "RUNPOD_SECRET_ngc"):
        assert f"{name} is set" in text
    assert "RUNPOD_POD_ID=abc" in text
    assert "https://abc-8888.proxy.runpod.net" in text


def test_pod_without_a_password_has_no_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNPOD_POD_ID", "abc")
    monkeypatch.delenv("JUPYTER_PASSWORD", raising=False)
    assert named(folders.check_runpod(), "RunPod JupyterLab").status == "warn"


def test_paths_are_below_one_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path))
    assert {paths.models_dir().parent, paths.outputs_dir().parent, paths.cache_dir().parent} == {tmp_path}
