"""Whole runs of the set-up script on a machine of fakes: the first, the second, and those that go wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
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
    packages, project = machine.called("--directory")
    assert f"--no-deps --require-hashes -r {machine.home}/cache/requirements.txt" in packages
    assert f"--no-deps -b {machine.home}/cache/build.txt -e ." in project
    listed = machine.listed()
    assert {"onnxruntime-gpu", "nvidia-cudnn-cu12", "jupyterlab", "yt-dlp"} <= set(listed)
    assert {"onnxruntime", "pytest", "openvino"}.isdisjoint(listed)
    (uv,) = machine.called("-m pip install")
    assert f"--require-hashes -r {machine.home}/cache/uv.txt" in uv
    assert machine.stamp()["extra"] == "cuda12"
    assert "jupyter lab" in done.stdout.split("PeopleNet is ready")[1]


def test_second_run_skips_every_finished_step(machine: Machine) -> None:
    machine.setup()
    machine.forget_calls()
    done = machine.setup()
    assert done.returncode == 0
    looks = ("python -c ", "uv --version", "copying.py")
    work = [call for call in machine.calls() if not any(look in call for look in looks)]
    assert work == [
        "peoplenet-nb download --no-progress",
        "peoplenet-nb doctor",
        "peoplenet-nb demo --no-progress",
    ]
    for step in ("uv 9.9.9", "the environment for cpu", "kernel PeopleNet"):
        assert f"{step} is already " in done.stdout


def test_kernel_and_front_ends_are_restored_after_a_stop(machine: Machine) -> None:
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


def test_existing_front_end_of_another_origin_is_kept(machine: Machine) -> None:
    own = machine.user / ".local" / "share" / "jupyter" / "labextensions" / "anywidget"
    own.mkdir(parents=True)
    done = machine.setup()
    assert done.returncode == 0
    assert own.is_dir()
    assert not own.is_symlink()
    assert list(own.iterdir()) == []


def test_test_mode_runs_every_check_and_ends_with_pytests_summary(machine: Machine) -> None:
    done = machine.setup("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"onnxruntime", "pytest", "mypy"} <= set(machine.listed())
    assert {"onnxruntime-gpu", "openvino"}.isdisjoint(machine.listed())
    checks = [call.split("-m ")[1].split(" -o")[0] for call in machine.calls()[-3:]]
    assert checks == [
        "ruff check .",
        "ruff format --check .",
        "pytest -n 2 --dist loadfile --no-loadscope-reorder",
    ]
    assert done.stdout.rstrip().splitlines()[-1] == "1 passed in 0.01s"
    assert machine.called("peoplenet-nb demo --frames 50 --no-progress")


def test_tests_started_in_the_background_still_receive_ctrl_c(machine: Machine) -> None:
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
    assert "pytest" in machine.listed()


def test_additional_packages_are_installed_and_kept(machine: Machine) -> None:
    machine.setup()
    machine.forget_calls()
    machine.setup(PEOPLENET_WITH="openvino tensorrt-cu12<11")
    installed = machine.called("--directory")[-1]
    assert installed.rstrip().endswith("openvino tensorrt-cu12<11")
    assert not machine.called("uv venv"), "the environment is extended, not rebuilt"
    machine.forget_calls()
    machine.setup()
    assert not machine.called("--directory"), "a plain run keeps them"
    assert machine.stamp()["with"] == "openvino tensorrt-cu12<11"
    (machine.checkout / "pyproject.toml").open("a").write("\n# changed\n")
    machine.setup()
    assert "openvino tensorrt-cu12<11" in machine.called("--directory")[-1]


@pytest.mark.parametrize("word", ["--help", "-h", "help"])
def test_help_says_what_it_does_and_does_nothing(machine: Machine, word: str) -> None:
    done = machine.setup(word)
    assert done.returncode == 0
    for said in (
        "setup_runpod.sh test",
        "PEOPLENET_HOME",
        "PEOPLENET_EXTRA",
        "PEOPLENET_WITH",
        "Re-running is safe",
    ):
        assert said in done.stdout
    assert "#" not in done.stdout
    assert "set -euo" not in done.stdout
    assert machine.calls() == []


def test_unknown_word_shows_the_usage(machine: Machine) -> None:
    done = machine.setup("tset")
    assert done.returncode == 2
    assert "usage" in done.stderr


# ------------------------------------------------------------------- other folders, links and other homes


def test_modules_in_the_current_folder_are_never_run(machine: Machine) -> None:
    for name in ("ctypes", "json", "onnx", "random", "token"):
        (machine.folder / f"{name}.py").write_text(
            "open('was-run', 'w'); raise SystemExit(1)", encoding="utf-8"
        )
    done = machine.setup("test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (machine.folder / "unsafe").exists(), "a Python was started without PYTHONSAFEPATH"
    assert machine.bash("PYTHON=$REAL_PYTHON; has_library libc.so.6 && echo found").stdout == "found\n"
    assert not (machine.folder / "was-run").exists()


def test_script_runs_through_a_link(machine: Machine) -> None:
    link = machine.folder / "setup"
    link.symlink_to(machine.checkout / "setup_runpod.sh")
    done = subprocess.run(
        ["bash", str(link)],
        env=machine.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_taking_the_kernel_over_from_another_home_is_reported(machine: Machine) -> None:
    first = machine.setup()
    assert "the kernel PeopleNet used" not in first.stdout
    second = machine.setup(PEOPLENET_HOME=str(machine.folder / "second home"))
    assert f"the kernel PeopleNet used another environment: {machine.home}/venv/bin/python" in second.stdout
    assert f"it now uses {machine.folder}/second home/venv/bin/python" in second.stdout
    quoted = f"{machine.folder}/second home".replace(" ", "\\ ")
    assert f"in each new shell:  export PEOPLENET_HOME={quoted}\n" in second.stdout


# ------------------------------------------------------------------------------ failing, and continuing


def test_failed_step_names_itself_what_it_tried_and_what_to_do(machine: Machine) -> None:
    done = machine.setup(FAKE_UV_FAILS="no route to host")
    assert done.returncode == 1
    assert "FAILED in step 6 of 11: Environment" in done.stderr
    assert "tried " in done.stderr
    assert "cache/requirements.txt" in done.stderr
    assert "saw    error: no route to host" in done.stderr
    assert "next " in done.stderr
    log = Path(done.stderr.split("log    ")[1].strip())
    assert "no route to host" in log.read_text(encoding="utf-8")


def test_run_after_a_failure_rebuilds_the_environment(machine: Machine) -> None:
    machine.setup(FAKE_UV_FAILS="cut off")
    assert not (machine.home / "venv" / ".peoplenet-setup").exists()
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert machine.called("uv venv")


def test_environment_that_lost_a_package_is_rebuilt(machine: Machine) -> None:
    machine.setup()
    machine.have("missing-package")
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


def test_failed_update_leaves_nothing_that_looks_complete(machine: Machine) -> None:
    machine.setup()
    with (machine.checkout / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n# changed\n")
    assert machine.setup(FAKE_UV_FAILS="cut off").returncode == 1
    machine.forget_calls()
    assert machine.setup().returncode == 0
    assert machine.called("uv venv")


@pytest.mark.parametrize(
    ("first", "second", "rebuilt"),
    [
        pytest.param("", "550.54.15, 8.6\\n", True, id="a GPU appeared"),
        pytest.param("580.1, 8.6\\n", "550.54.15, 8.6\\n", True, id="an older driver"),
        pytest.param("550.54.15, 8.6\\n", "580.1, 8.6\\n", False, id="a newer driver runs CUDA 12 as well"),
        pytest.param("550.54.15, 8.6\\n", "", False, id="without a GPU the GPU build runs on the CPU"),
    ],
)
def test_volume_that_moves_to_another_host(machine: Machine, first: str, second: str, rebuilt: bool) -> None:
    assert machine.setup(**machine.gpu(first)).returncode == 0
    machine.forget_calls()
    assert machine.setup(**machine.gpu(second)).returncode == 0
    assert bool(machine.called("uv venv")) == rebuilt


def test_extra_can_be_forced(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_EXTRA="cuda13")
    assert machine.stamp()["extra"] == "cuda13"
    assert "cuda13: set by PEOPLENET_EXTRA (the driver suggests cpu: no NVIDIA driver answers)" in done.stdout
    assert machine.setup(PEOPLENET_EXTRA="cuda11").returncode == 1


def test_unreachable_ngc_is_one_clear_line_and_no_failure(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="3")
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if "NGC" in line]
    assert len(lines) == 1
    assert "is unreachable; continuing with the stand-in" in lines[0]
    assert machine.called("peoplenet-nb demo")


def test_unreachable_ngc_with_a_model_at_hand_names_it(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="3", FAKE_FOUND="/models/peoplenet.onnx")
    assert "NGC is unreachable; continuing with /models/peoplenet.onnx" in done.stdout


def test_other_download_failures_fail_the_step(machine: Machine) -> None:
    done = machine.setup(FAKE_DOWNLOAD="1")
    assert done.returncode == 1
    assert "FAILED in step 9 of 11: Model" in done.stderr
    assert not machine.called("peoplenet-nb demo")


def test_named_model_needs_no_download(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_MODEL="/models/mine.onnx")
    assert done.returncode == 0
    assert not machine.called("peoplenet-nb download")


def test_broken_environment_stops_before_the_demo_and_shows_only_what_is_not_ok(machine: Machine) -> None:
    done = machine.setup(FAKE_DOCTOR="1")
    assert done.returncode == 1
    assert "FAILED in step 10 of 11: Doctor" in done.stderr
    assert "WARN  Model   none yet" in done.stdout
    assert "OK    Python" not in done.stdout


def test_full_disk_is_reported_before_anything_is_installed(machine: Machine) -> None:
    done = machine.setup(FAKE_FREE_KB="50000")
    assert done.returncode == 1
    assert "has 48 MB free and cpu needs about 2000" in done.stderr
    assert "is full" in done.stderr
    assert not machine.called("uv venv")


def test_full_disk_is_not_blamed_on_python(machine: Machine) -> None:
    done = machine.setup(FAKE_VENV_FAILS="No space left on device", FAKE_FREE_KB="500")
    assert done.returncode == 1
    assert "FAILED in step 5 of 11: uv" in done.stderr
    assert "No space left on device" in done.stderr
    assert "is full" in done.stderr
    assert "python3-venv" not in done.stderr


def test_home_that_cannot_be_made_is_named(machine: Machine) -> None:
    done = machine.setup(PEOPLENET_HOME="/dev/null/there")
    assert done.returncode == 1
    assert "/dev/null/there is not writable" in done.stderr
    assert "set PEOPLENET_HOME" in done.stderr


@pytest.mark.parametrize("user", ["", "/nonexistent/home"])
def test_user_without_a_home_gets_one(machine: Machine, user: str) -> None:
    done = machine.setup(HOME=user)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (machine.home / "user" / ".local/share/jupyter/kernels/peoplenet/kernel.json").is_file()


def test_second_set_up_waits_for_the_first(machine: Machine) -> None:
    machine.have("demo-waits")
    with machine.start() as first:
        assert first.stdout is not None
        assert any("] Demo" in line for line in first.stdout), "the first one never reached its demo"
        with machine.start() as second:
            assert second.stdout is not None
            assert any("another set-up is running" in line for line in second.stdout)
            assert len(machine.called("uv venv")) == 1
            machine.lack("demo-waits")
            assert first.wait(timeout=60) == second.wait(timeout=60) == 0
