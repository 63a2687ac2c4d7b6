"""Engines: the options they get, what they refuse, and that buffers on a device change no result.

What needs an NVIDIA GPU is in ``test_gpu.py``; here its code runs on the CPU's memory, and against a runtime
that behaves as CUDA does where there is none.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from onnx_builder import COVERAGE, detectnet, write
from peoplenet_nb.errors import DeviceError, ModelError, SettingsError
from peoplenet_nb.hardware import Gpu
from peoplenet_nb.network.devices import Device, Precision, precisions_of
from peoplenet_nb.network.engines import buffers, open_backend, ort, providers
from peoplenet_nb.network.engines.buffers import MAX_BATCH, BufferedRunner, padded
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import Target, variant_for
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.speed import build_uint8


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    return read_model_file(write(detectnet(), tmp_path / "m.onnx"))


def batch_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 3, 32, 64), np.float32)


def bind(file: ModelFile) -> BufferedRunner:
    session = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    assert file.boxes is not None
    outputs = [(file.coverage.name, (3, 2, 4)), (file.boxes.name, (12, 2, 4))]
    return BufferedRunner(session, file.input.name, outputs, memory="cpu")


@pytest.mark.parametrize("count", [1, 2, 3, 8, MAX_BATCH, MAX_BATCH + 5])
def test_bound_buffers_change_no_result_at_any_size(count: int, file: ModelFile) -> None:
    batch = batch_of(count)
    expected = open_backend(file, "cpu").run(batch)
    for found, wanted in zip(bind(file).run(batch), expected, strict=True):
        assert found is not None
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_result_is_not_overwritten_by_the_next(file: ModelFile) -> None:
    runner = bind(file)
    first = runner.run(batch_of(2, 1))[0]
    kept = first.copy()
    runner.run(batch_of(2, 2))
    np.testing.assert_array_equal(first, kept)


def test_frames_of_an_earlier_batch_do_not_leak_into_a_padded_one(file: ModelFile) -> None:
    runner = bind(file)
    runner.run(batch_of(4, 1))
    np.testing.assert_allclose(runner.run(batch_of(3, 2))[0], bind(file).run(batch_of(3, 2))[0], atol=1e-6)


def test_threads_share_bound_buffers_without_mixing(file: ModelFile) -> None:
    runner = bind(file)
    batches = [batch_of(1 + i % 3, i) for i in range(24)]
    expected = [open_backend(file, "cpu").run(batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(runner.run, batches), expected, strict=True):
            np.testing.assert_allclose(found[0], wanted, atol=1e-6)


def test_each_size_has_a_graph_number_of_its_own_and_none_is_zero(
    file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[str] = []

    class Options(onnxruntime.RunOptions):
        def add_run_config_entry(self, key: str, value: str) -> None:
            assert key == "gpu_graph_id"
            numbers.append(value)

    monkeypatch.setattr(onnxruntime, "RunOptions", Options)
    runner = bind(file)
    for count in (1, 2, 1, 4, 3, 2):
        runner.run(batch_of(count))
    assert numbers == ["1", "2", "3"], "replaying a graph with another shape would be silently wrong"


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (31, 32), (32, 32)])
def test_batches_are_padded_to_powers_of_two(count: int, size: int) -> None:
    assert padded(count) == size


def test_a_model_without_boxes_runs_bound_too(tmp_path: Path) -> None:
    file = read_model_file(write(detectnet(outputs=(COVERAGE,)), tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    runner = BufferedRunner(session, file.input.name, [(file.coverage.name, (3, 2, 4))], memory="cpu")
    coverage, boxes = runner.run(batch_of(3))
    assert (coverage.shape, boxes) == ((3, 3, 2, 4), None)


class FakeCuda:
    """ONNX Runtime as it is on a machine with CUDA, computing on the CPU: what is opened and asked is kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, graph_fails: str = "") -> None:
        self.opened: list[list[Any]] = []
        real, wanted = onnxruntime.InferenceSession, ["CUDAExecutionProvider", "CPUExecutionProvider"]

        def open_session(path: str, options: object, providers: list[Any], enable_fallback: int) -> object:
            assert enable_fallback == 0
            self.opened.append(providers)
            graph = providers[0][1].get("enable_cuda_graph")
            if graph and graph_fails == "opening":
                raise RuntimeError("This session cannot use the graph capture feature")
            session = real(path, options, providers=["CPUExecutionProvider"])
            session.get_providers = lambda: wanted
            if graph and graph_fails == "running":

                def refuse(*_: object) -> None:
                    raise RuntimeError("operation not permitted when stream is capturing")

                session.run_with_iobinding = refuse
            return session

        monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: wanted)
        monkeypatch.setattr(ort, "preload", lambda _: None)
        monkeypatch.setattr(ort, "refusal", lambda _: "")  # a real GPU wheel without its CUDA would have one
        monkeypatch.setattr(
            ort,
            "BufferedRunner",
            lambda session, name, outputs: buffers.BufferedRunner(session, name, outputs, "cpu"),
        )


@pytest.mark.parametrize(
    ("fails", "graph", "sessions"), [("", True, 1), ("opening", False, 2), ("running", False, 2)]
)
def test_cuda_takes_its_graph_where_it_works_and_goes_without_where_not(
    fails: str, graph: bool, sessions: int, file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = open_backend(file, "cpu").run(batch_of(2))[0]
    cuda = FakeCuda(monkeypatch, graph_fails=fails)
    backend = open_backend(file, "cuda")
    assert isinstance(backend, ort.OrtBackend)
    assert (backend.graph, len(cuda.opened)) == (graph, sessions)
    assert ("enable_cuda_graph" in cuda.opened[-1][0][1]) == graph
    np.testing.assert_allclose(backend.run(batch_of(2))[0], expected, atol=1e-6)


@pytest.mark.parametrize(("precision", "option"), [("fp32", "0"), ("tf32", "1")])
def test_fp32_on_cuda_is_not_silently_tf32(
    precision: str, option: str, file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = FakeCuda(monkeypatch)
    backend = open_backend(file, "cuda", precision=precision)
    assert cuda.opened[0][0][1]["use_tf32"] == option
    assert backend.precision == precision


def test_auto_takes_cuda_where_it_loads_and_the_cpu_where_it_does_not_compute_in_that(
    file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeCuda(monkeypatch)
    assert PeopleNet.load(file.path, precision="fp32").device == "cuda"
    with pytest.raises(
        ModelError, match="no INT8 variant.*device 'cpu'"
    ):  # CUDA has none, so it is the CPU's
        PeopleNet.load(file.path, precision="int8")


class TestTensorrt:
    @pytest.fixture
    def runs(self, file: ModelFile, monkeypatch: pytest.MonkeyPatch) -> ModelFile:
        monkeypatch.setattr(providers, "gpus", lambda: (Gpu("NVIDIA L4", "580.1", 24000, 8.9),))
        return read_model_file(build_uint8(file, target=Target.TENSORRT).path)

    def options(self, runs: ModelFile, precision: Precision) -> dict[str, str]:
        made = providers.provider_options(Device.TENSORRT, precision, runs)
        assert [name for name, _ in made] == [
            providers.PROVIDER[d] for d in (Device.TENSORRT, Device.CUDA, Device.CPU)
        ]
        return made[0][1]

    def test_shapes_are_named_so_that_onnxruntime_can_read_them(self, runs: ModelFile) -> None:
        options = self.options(runs, Precision.FP16)
        shapes = [options[f"trt_profile_{which}_shapes"] for which in ("min", "opt", "max")]
        assert [shape.count(":") for shape in shapes] == [1, 1, 1], "the name ends at the first colon"
        assert shapes[0] == "input_1_0:1x32x64x3"
        assert shapes[2] == f"input_1_0:{MAX_BATCH}x32x64x3"

    @pytest.mark.parametrize(
        ("precision", "fp16", "int8"),
        [("fp32", "False", "False"), ("fp16", "True", "False"), ("int8", "False", "True")],
    )
    def test_precision_is_passed_on(self, precision: str, fp16: str, int8: str, runs: ModelFile) -> None:
        options = self.options(runs, Precision(precision))
        assert (options["trt_fp16_enable"], options["trt_int8_enable"]) == (fp16, int8)
        switches = {value for name, value in options.items() if name.endswith("_enable")}
        assert switches <= {"True", "False"}, "ONNX Runtime refuses every other spelling"

    def test_engines_of_another_gpu_precision_or_model_are_not_touched(
        self, runs: ModelFile, file: ModelFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folders = {
            providers.engine_folder(precision, model)
            for precision in (Precision.FP16, Precision.INT8)
            for model in (runs, file)
        }
        monkeypatch.setattr(providers, "gpus", lambda: (Gpu("NVIDIA A100", "580.1", 80000, 8.0),))
        folders.add(providers.engine_folder(Precision.FP16, runs))
        assert len(folders) == 5
        assert "nvidia-a100" in providers.engine_folder(Precision.FP16, runs).name

    def test_the_first_build_is_announced_and_the_second_is_not(
        self, runs: ModelFile, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            folder = Path(self.options(runs, Precision.FP16)["trt_engine_cache_path"])
            assert "builds its engine" in caplog.text
            (folder / "TensorrtExecutionProvider_1.engine").write_bytes(b"engine")
            caplog.clear()
            self.options(runs, Precision.FP16)
        assert caplog.text == ""

    def test_its_form_is_asked_for_and_never_another_one_taken(self, file: ModelFile) -> None:
        build_uint8(file)
        with pytest.raises(ModelError, match="optimise --device tensorrt"):
            variant_for(file, "fp16", "tensorrt")
        build_uint8(file, target=Target.TENSORRT)
        assert ".tensorrt." in variant_for(file, "fp16", "tensorrt").path.name
        with pytest.raises(ModelError, match="optimise --int8 SOURCE --device tensorrt"):
            variant_for(file, "int8", "tensorrt")


@pytest.mark.parametrize(
    ("device", "precision"),
    [
        ("cpu", "fp16"),
        ("cpu", "bf16"),
        ("cpu", "tf32"),
        ("cuda", "int8"),
        ("openvino", "fp16"),
        ("tensorrt", "bf16"),
    ],
)
def test_a_precision_that_a_device_does_not_compute_in_is_refused(
    device: str, precision: str, file: ModelFile
) -> None:
    with pytest.raises(DeviceError, match=f"'{device}' does not compute in '{precision}'"):
        variant_for(file, precision, device)


def test_every_device_computes_in_fp32_first() -> None:
    assert {precisions_of(device)[0] for device in Device} == {Precision.FP32}
    with pytest.raises(SettingsError, match="device"):
        precisions_of("npu")


def test_openvino_in_bf16_says_so_where_the_cpu_has_none(
    file: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Core:
        def read_model(self, path: str) -> str:
            return path

        def compile_model(self, model: str, device: str, config: dict[str, object]) -> object:
            assert config["INFERENCE_PRECISION_HINT"] == "bf16"
            return SimpleNamespace(output=str)

        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

    monkeypatch.setitem(
        __import__("sys").modules, "openvino", SimpleNamespace(Core=Core, __version__="2026.1")
    )
    with pytest.raises(DeviceError, match=r"bf16 on this CPU.*\['FP32', 'INT8'\]"):
        open_backend(file, "openvino", precision="bf16")
