"""The loader's own reason, and where the GPU libraries are looked for."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest

from peoplenet_nb.network import PeopleNet
from peoplenet_nb.network.engines import loader


@pytest.fixture
def capi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "onnxruntime" / "capi"
    folder.mkdir(parents=True)
    monkeypatch.setattr(onnxruntime, "__file__", str(folder.parent / "__init__.py"))
    return folder


def test_reason_of_the_loader_is_told(capi: Path) -> None:
    assert loader.refusal("CUDAExecutionProvider") == "", "a wheel without it has nothing to say"
    (capi / "libonnxruntime_providers_cuda.so").write_bytes(b"no library at all")
    assert "libonnxruntime_providers_cuda.so" in loader.refusal("CUDAExecutionProvider")
    assert loader.refusal("CPUExecutionProvider") == ""


def test_what_cannot_be_preloaded_is_left_to_the_session_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise OSError("libcudnn.so.9")

    monkeypatch.setattr(onnxruntime, "preload_dlls", fails, raising=False)
    loader.preload("CUDAExecutionProvider")


def test_tensorrt_is_found_in_its_wheel_in_loading_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("libnvonnxparser.so.10", "libnvinfer.so.10", "libnvinfer_plugin.so.10")
    for name in names:
        (tmp_path / name).write_bytes(b"")
    opened: list[str] = []
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    )
    monkeypatch.setattr(ctypes, "CDLL", lambda path, mode=0: opened.append(Path(path).name))
    loader.preload("TensorrtExecutionProvider")
    assert opened == ["libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"]


def test_onnx_runtime_leaves_no_device_id_in_the_home(tmp_path: Path) -> None:
    code = "from peoplenet_nb.network.model import PeopleNet\nPeopleNet.load('standin', device='cpu')"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name]


@pytest.mark.parametrize(("variable", "calls"), [(None, 1), ("1", 1), ("0", 0)])
def test_telemetry_stops_where_onnx_runtime_came_first_unless_it_is_asked_for(monkeypatch, variable, calls):
    told: list[int] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: told.append(1))
    if variable is None:
        monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    else:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", variable)
    PeopleNet.load("standin", device="cpu")
    assert len(told) == calls
