"""What only an NVIDIA GPU can show: the same boxes as on the CPU, and that every path there is really taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.hardware import gpus
from peoplenet_nb.network.batching import probe_batch
from peoplenet_nb.network.engines.ort import OrtBackend
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.variants import Target
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_int8, build_uint8
from peoplenet_nb.video import run
from peoplenet_nb.video.mp4 import check_video

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.real,
    pytest.mark.skipif(not gpus(), reason="no NVIDIA GPU"),
]


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [frame.image for frame in open_source(demo_clip(), every=20, frames=9)]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("tf32", 2e-2)])
def test_cuda_says_what_the_cpu_says(
    real_model_path: Path, precision: str, tolerance: float, images: list[np.ndarray]
) -> None:
    cpu = PeopleNet.load(real_model_path, device="cpu").infer_batch(images)
    model = PeopleNet.load(real_model_path, device="cuda", precision=precision)
    assert model.providers[0] == "CUDAExecutionProvider"
    for _ in range(3):  # the first run of a size captures, the others replay
        for ours, theirs in zip(model.infer_batch(images), cpu, strict=True):
            np.testing.assert_allclose(ours.coverage, theirs.coverage, atol=tolerance)


def test_cuda_replays_a_graph(real_model_path: Path, images: list[np.ndarray]) -> None:
    build_uint8(PeopleNet.load(real_model_path, device="cpu").file)
    model = PeopleNet.load(real_model_path, device="cuda")
    assert isinstance(model.backend, OrtBackend)
    assert model.runs.channels_last
    assert model.backend.graph
    singles = [model.infer(image).coverage for image in images]
    for single, batched in zip(singles, model.infer_batch(images), strict=True):
        np.testing.assert_allclose(batched.coverage, single, atol=1e-3)


def test_a_batch_size_is_found(real_model_path: Path, images: list[np.ndarray]) -> None:
    probe = probe_batch(PeopleNet.load(real_model_path, device="cuda"), images)
    assert not probe.failed
    assert probe.fps[max(probe.fps)] > 1.2 * probe.fps[1], "a GPU that batches do not help is not kept busy"


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 2e-2), ("fp16", 3e-2), ("int8", 0.25)])
def test_tensorrt_says_what_the_cpu_says(
    real_model_path: Path, precision: str, tolerance: float, images: list[np.ndarray]
) -> None:
    cpu = PeopleNet.load(real_model_path, device="cpu")
    build_uint8(cpu.file, target=Target.TENSORRT)
    if precision == "int8":
        build_int8(cpu.file, images, target=Target.TENSORRT)
    model = PeopleNet.load(real_model_path, device="tensorrt", precision=precision)
    assert model.providers[0] == "TensorrtExecutionProvider"
    for ours, theirs in zip(model.infer_batch(images), cpu.infer_batch(images), strict=True):
        np.testing.assert_allclose(ours.coverage, theirs.coverage, atol=tolerance)


def test_nvdec_decodes_what_the_cpu_decodes() -> None:
    source = open_source(demo_clip(), every=10, frames=5, decoder="nvdec")
    if any("No GPU here decodes" in note for note in source.info.notes):
        pytest.skip(source.info.notes[-1])
    for ours, theirs in zip(source, open_source(demo_clip(), every=10, frames=5), strict=True):
        assert ours.index == theirs.index
        assert np.abs(ours.image.astype(int) - theirs.image).mean() < 1.0


@pytest.mark.parametrize("encoder", ["x264", "auto"])
def test_a_whole_run_in_batches_finds_what_the_cpu_finds(
    real_model_path: Path, encoder: str, tmp_path: Path
) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        model = PeopleNet.load(real_model_path, device=device)
        source = open_source(demo_clip(), frames=50, decoder="nvdec" if device == "cuda" else "cpu")
        result = run(source, model, preset("default"), tmp_path / device, encoder=encoder, progress=False)
        found[device] = len(result.to_pandas())
        assert result.video is not None
        assert not check_video(result.video, 50).problems
    assert abs(found["cuda"] - found["cpu"]) <= 0.02 * found["cpu"]
