from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from peoplenet_nb import hardware
from peoplenet_nb.diagnostics import packages, require_single_distributions
from peoplenet_nb.errors import InstallationError


def with_distributions(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]) -> None:
    monkeypatch.setattr(
        packages, "installed", lambda names: {name: versions[name] for name in names if name in versions}
    )


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let some distributions be uninstalled."""
    real = metadata.distribution

    def distribution(name: str) -> metadata.Distribution:
        if name in names:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "distribution", distribution)


@pytest.fixture
def by_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment that set-up made."""
    (tmp_path / ".peoplenet-setup").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path))


def test_package_is_named_by_its_own_folder() -> None:
    value = packages.check_python()[1].value
    assert value.endswith(str(Path(packages.__file__).resolve().parents[1]))


def test_requirements_are_those_of_the_projects_metadata() -> None:
    names = {requirement.name for requirement in packages.requirements()}
    assert {"av", "numpy", "pandas", "typer"} <= names
    assert not names & {"opencv-python", "matplotlib", "pytest"}
    assert "matplotlib" in {requirement.name for requirement in packages.requirements("notebooks")}
    # ONNX Runtime has a check of its own.
    assert [canonicalize_name(needed.name) for needed in packages.requirements("cpu")] == ["mnn"]


def test_markers_and_extras_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["av<19,>=18", "opencv-python>=4.10", "tqdm", "typer [all] >= 0.15"]
    declared += ['mypy>=1; extra == "test"', 'tomli; python_version < "3.0"']
    monkeypatch.setattr(metadata, "requires", lambda _: declared)
    assert [requirement.name for requirement in packages.requirements()] == ["av", "tqdm", "typer"]
    assert [requirement.name for requirement in packages.requirements("test")] == ["mypy"]


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "tqdm", "typer")
    check = packages.check_packages()[0]
    assert (check.status, check.value) == ("fail", "missing: tqdm, typer")


def test_missing_notebook_package_is_broken_where_set_up_installed_it(
    monkeypatch: pytest.MonkeyPatch, by_setup: None
) -> None:
    without(monkeypatch, "matplotlib")
    needed, notebooks = packages.check_packages()
    assert needed.status == "ok"
    assert (notebooks.status, notebooks.value) == ("fail", "missing: matplotlib")


def test_notebook_packages_are_an_option_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    without(monkeypatch, "matplotlib")
    check = packages.check_packages()[1]
    assert check.status == "warn"
    assert "peoplenet-nb[notebooks]" in check.fix


def test_older_version_than_required_is_missing() -> None:
    (numpy,) = [r for r in packages.requirements() if r.name == "numpy"]
    assert packages.unmet(numpy) == ""
    assert packages.unmet(Requirement("numpy>=99")).endswith("(needs >=99)")


def test_package_whose_files_were_deleted_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    info = tmp_path / "halved-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halved\nVersion: 1.0\n", encoding="utf-8")
    (info / "RECORD").write_text("halved/__init__.py,,\n", encoding="utf-8")
    (tmp_path / "halved").mkdir()
    (tmp_path / "halved" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert packages.unmet(Requirement("halved")) == ""
    (tmp_path / "halved" / "__init__.py").unlink()
    assert packages.unmet(Requirement("halved")) == "halved (its files are gone)"


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
    assert f"remove {goes} and reinstall {stays}" in caught.value.next_step
    assert f"{stays}=={versions[stays]}" in caught.value.next_step


def test_with_a_gpu_its_runtime_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "gpu_driver", lambda: "580.1")
    monkeypatch.setattr(packages, "extra_for", lambda _: ("cuda13", ""))
    fix = packages.clash_fix("ONNX Runtime", {"onnxruntime": "1.30", "onnxruntime-gpu": "1.30"})
    assert "reinstall onnxruntime-gpu" in fix


def test_single_distributions_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    with_distributions(monkeypatch, {"onnxruntime": "1.30", "opencv-python": "5.0"})
    require_single_distributions()
