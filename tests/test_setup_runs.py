"""Whole runs of the set-up script on a machine of fakes: the first, the second, and those that go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from fake_machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# ------------------------------------------------------------------------------------------ whole runs


def test_first_run_does_everything_in_order(machine: Machine) -> None:
    done = machine.setup(**machine.gpu("550.54.15, 8.6\\n"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert machine.calls()[0].startswith("nvidia-smi"), "the driver comes before everything else"
    order = [
        "-m venv",
        "-m pip install",
        "uv venv",
        "uv --directory",
        "ipykernel",
        "download",
        "doctor",
        "demo",
    ]
    places = [next(i for i, call in enumerate(machine.calls()) if part in call) for part in order]
    assert places == sorted(places)
    assert "cuda12: driver 550.54.15 runs CUDA 12; CUDA 13 needs 580" in done.stdout
    assert "7 people found" in done.stdout
    install = machine.called("--directory")[-1]
    assert "-c constraints/cuda12.txt" in install
    assert "-e .[cuda12,notebooks,youtube]" in install
    assert machine.stamp()["extra"] == "cuda12"
    assert "jupyter lab" in done.stdout.split("PeopleNet is ready")[1]


def test_second_run_finds_everything_done(machine: Machine) -> None:
    machine.setup()
    machine.forget_calls()
    began = time.monotonic()
    done = machine.setup()
    assert done.returncode == 0
    assert time.monotonic() - began < 10
    assert not machine.called("uv venv")
    assert not machine.called("pip install")
    assert not machine.called("ipykernel")
    for step in ("uv 9.9.9", "cpu", "kernel PeopleNet"):
        assert f"{step}, there already" in done.stdout


def test_kernel_and_front_ends_are_put_back_after_a_stop(machine: Machine) -> None:
    machine.setup()
    shutil.rmtree(machine.user)  # what a pod loses at a stop
    machine.user.mkdir()
    machine.setup()
    jupyter = machine.user / ".local" / "share" / "jupyter"
    kernel = json.loads((jupyter / "kernels" / "peoplenet" / "kernel.json").read_text(encoding="utf-8"))
    assert kernel["argv"] == [str(machine.home / "venv" / "bin" / "python")]
    assert f"PEOPLENET_HOME {machine.home}" in kernel["arguments"]
    for front in ("anywidget", "@jupyter-widgets/jupyterlab-manager"):
        assert (jupyter / "labextensions" / front).resolve().is_relative_to(machine.home / "venv")


def test_somebody_elses_front_end_stays(machine: Machine) -> None:
    own = machine.user / ".local" / "share" / "jupyter" / "labextensions" / "anywidget"
    own.mkdir(parents=True)
    done = machine.setup()
    assert done.returncode == 0
    assert own.is_dir()
    assert not own.is_symlink()
    assert list(own.iterdir()) == []


def test_test_mode_runs_every_check_and_pytest_has_the_last_word(machine: Machine) -> None:
    done = machine.setup("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-e .[cpu,notebooks,youtube,test]" in machine.called("--directory")[-1]
    checks = [call.split("-m ")[1].split(" -o")[0] for call in machine.calls()[-4:]]
    assert checks == ["ruff check .", "ruff format --check .", "mypy", "pytest"]
    assert done.stdout.rstrip().splitlines()[-1] == "1 passed in 0.01s"
    assert machine.called("peoplenet-nb demo")


def test_tests_begun_in_the_background_still_know_ctrl_c(machine: Machine) -> None:
    command = f"trap '' INT; exec bash '{machine.checkout}/setup_runpod.sh' test"
    done = subprocess.run(
        ["bash", "-c", command],
        env=machine.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "1 passed" in done.stdout
    assert "SIGINT" not in done.stdout


def test_failing_tests_fail_the_script(machine: Machine) -> None:
    assert machine.setup("test", FAKE_PYTEST="1").returncode == 1


def test_plain_run_keeps_what_a_test_run_installed(machine: Machine) -> None:
    machine.setup("test")
    (machine.checkout / "pyproject.toml").open("a").write("\n# changed\n")
    machine.forget_calls()
    machine.setup()
    assert "youtube,test]" in machine.called("--directory")[-1]


def test_packages_that_are_wanted_besides_come_and_stay(machine: Machine) -> None:
    machine.setup()
    machine.forget_calls()
    machine.setup(PEOPLENET_WITH="openvino tensorrt-cu12<11")
    (installed,) = machine.called("--directory")
    assert installed.rstrip().endswith("openvino tensorrt-cu12<11")
    assert not machine.called("uv venv"), "what is there is added to"
    machine.forget_calls()
    machine.setup()
    assert not machine.called("--directory"), "a plain run finds them there"
    assert machine.stamp()["with"] == "openvino tensorrt-cu12<11"
    (machine.checkout / "pyproject.toml").open("a").write("\n# changed\n")
    machine.setup()
    assert "openvino tensorrt-cu12<11" in machine.called("--directory")[-1]


def test_unknown_word_shows_the_usage(machine: Machine) -> None:
    done = machine.setup("tset")
    assert done.returncode == 2
    assert "usage" in done.stderr


# ------------------------------------------------------------------------------- failing, and going on


def test_failed_step_names_itself_what_it_tried_and_what_to_do(machine: Machine) -> None:
    done = machine.setup(FAKE_UV_FAILS="no route to host")
    assert done.returncode == 1
    assert "FAILED in step 6 of 10: Environment" in done.stderr
    assert "tried " in done.stderr
    assert "constraints/cpu.txt" in done.stderr
    assert "saw    error: no route to host" in done.stderr
    assert "next " in done.stderr
    log = Path(done.stderr.split("log    ")[1].strip())
    assert "no route to host" in log.read_text(encoding="utf-8")


def test_run_after_a_failure_makes_the_environment_anew(machine: Machine) -> None:
    machine.setup(FAKE_UV_FAILS="cut off")
    assert not (machine.home / "venv" / ".peoplenet-setup").exists()
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert machine.called("uv venv")


def test_changed_project_is_installed_again_into_the_same_environment(machine: Machine) -> None:
    machine.setup()
    with (machine.checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert machine.called("pip install")
    assert not machine.called("uv venv")


def test_update_that_fails_leaves_nothing_that_looks_whole(machine: Machine) -> None:
    machine.setup()
    with (machine.checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert machine.setup(FAKE_UV_FAILS="cut off").returncode == 1
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert machine.called("uv venv")


@pytest.mark.parametrize(
    ("first", "second", "made_anew"),
    [
        pytest.param("", "550.54.15, 8.6\\n", True, id="a GPU appeared"),
        pytest.param("580.1, 8.6\\n", "550.54.15, 8.6\\n", True, id="an older driver"),
        pytest.param("550.54.15, 8.6\\n", "580.1, 8.6\\n", False, id="a newer driver runs CUDA 12 as well"),
        pytest.param("550.54.15, 8.6\\n", "", False, id="without a GPU the GPU build runs on the CPU"),
    ],
)
def test_volume_that_moves_to_another_host(
    machine: Machine, first: str, second: str, made_anew: bool
) -> None:
    assert machine.setup(**machine.gpu(first)).returncode == 0
    machine.forget_calls()
    assert machine.setup(**machine.gpu(second)).returncode == 0
    assert bool(machine.called("uv venv")) == made_anew


def test_extra_can_be_forced(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_EXTRA="cuda13")
    assert machine.stamp()["extra"] == "cuda13"
    assert "PEOPLENET_EXTRA asks for it" in done.stdout
    assert machine.setup(PEOPLENET_EXTRA="cuda11").returncode == 1


def test_unreachable_ngc_is_one_clear_line_and_no_failure(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="3")
    assert done.returncode == 0
    told = [line for line in done.stdout.splitlines() if "NGC" in line]
    assert len(told) == 1
    assert "cannot be reached; going on with the stand-in" in told[0]
    assert machine.called("peoplenet-nb demo")


def test_unreachable_ngc_with_a_model_at_hand_says_so(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="3", FAKE_FOUND="/models/peoplenet.onnx")
    assert "NGC cannot be reached; going on with /models/peoplenet.onnx" in done.stdout


def test_other_download_failures_fail_the_step(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="1")
    assert done.returncode == 1
    assert "FAILED in step 8 of 10: Model" in done.stderr
    assert not machine.called("peoplenet-nb demo")


def test_named_model_needs_no_download(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_MODEL="/models/mine.onnx")
    assert done.returncode == 0
    assert not machine.called("peoplenet-nb download")


def test_sick_environment_stops_before_the_demo_and_shows_only_what_is_not_ok(machine: Machine) -> None:
    done = machine.setup(FAKE_DOCTOR="1")
    assert done.returncode == 1
    assert "FAILED in step 9 of 10: Doctor" in done.stderr
    assert "WARN  Model   none yet" in done.stdout
    assert "OK    Python" not in done.stdout


def test_full_disk_is_told_before_anything_is_installed(machine: Machine) -> None:
    done = machine.setup(FAKE_FREE_KB="50000")
    assert done.returncode == 1
    assert "has 48 MB free and cpu needs about 2000" in done.stderr
    assert "is full" in done.stderr
    assert not machine.called("uv venv")


def test_home_that_cannot_be_made_is_named(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_HOME="/dev/null/there")
    assert done.returncode == 1
    assert "/dev/null/there cannot be written" in done.stderr
    assert "set PEOPLENET_HOME" in done.stderr


@pytest.mark.parametrize("user", ["", "/nonexistent/home"])
def test_user_without_a_home_gets_one(machine: Machine, user: str) -> None:
    done = machine.setup(HOME=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (machine.home / "user" / ".local/share/jupyter/kernels/peoplenet/kernel.json").is_file()


def test_second_set_up_waits_for_the_first(machine: Machine) -> None:
    machine.setup()
    command = ["bash", str(machine.checkout / "setup_runpod.sh")]
    slow = machine.environment(FAKE_DEMO_SECONDS="2")
    with subprocess.Popen(command, env=slow, stdout=subprocess.DEVNULL) as first:
        while not machine.called("peoplenet-nb demo")[1:]:
            time.sleep(0.05)
        second = machine.setup()
        assert first.wait(timeout=30) == 0
    assert second.returncode == 0
    assert "another set-up works on" in second.stdout
