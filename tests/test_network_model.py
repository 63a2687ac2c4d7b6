"""The model on small networks of the right kind: any size, any classes, any order of outputs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnx_builder import BOXES, COVERAGE, detectnet, write
from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import STANDIN, demo_clip
from peoplenet_nb.errors import DeviceError, GridsError, ModelError, SettingsError, SourceError
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.resolve import resolve_model
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.plots.frame import network_view
from peoplenet_nb.settings import ClassSettings, Settings, preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_uint8

ALL = Settings(default=ClassSettings(threshold=0.0))


def picture(seed: int = 0, size: tuple[int, int] = (100, 60)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write(detectnet(), tmp_path / "m.onnx")


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_outputs_equal_a_bare_session(small: Path, fit: str) -> None:
    model = PeopleNet.load(small, device="cpu", fit=fit)
    grids = model.infer(picture())
    session = onnxruntime.InferenceSession(str(small), providers=["CPUExecutionProvider"])
    batch, used = model.preprocess(picture())
    coverage, boxes = session.run([COVERAGE, BOXES], {"input_1:0": batch})
    np.testing.assert_allclose(grids.coverage, coverage[0], atol=1e-6)
    np.testing.assert_allclose(grids.boxes, boxes[0], atol=1e-6)
    assert grids.fit == used
    assert str(grids.fit.mode) == fit


@pytest.mark.parametrize(
    "outputs", [(COVERAGE, BOXES), (BOXES, COVERAGE), ("b", "a")], ids=["usual", "swapped", "bare"]
)
def test_outputs_are_never_taken_by_position(outputs: tuple[str, str], tmp_path: Path) -> None:
    model = PeopleNet.load(write(detectnet(outputs=outputs), tmp_path / "m.onnx"), device="cpu")
    grids = model.infer(picture())
    assert grids.coverage.shape == (3, 2, 4)
    assert grids.boxes is not None
    assert grids.boxes.shape == (12, 2, 4)


def test_any_detectnet_works(tmp_path: Path) -> None:
    path = write(detectnet(classes=2, size=(96, 64), stride=8), tmp_path / "cars.onnx")
    (tmp_path / "labels.txt").write_text("Car\nSign\n")
    model = PeopleNet.load(path, device="cpu")
    assert (model.labels, model.file.network_size) == (("car", "sign"), (96, 64))
    grids = model.infer(picture())
    assert (grids.shape, grids.stride) == ((2, 8, 12), 8)
    found = decode(grids, ALL).candidates
    assert len(found) == 2 * 8 * 12
    assert found.network_xyxy[:, 2].max() <= 96


def test_batch_equals_one_by_one_also_for_mixed_sizes(small: Path) -> None:
    model = PeopleNet.load(small, device="cpu", fit="letterbox")
    frames = [picture(i, size) for i, size in enumerate([(100, 60), (60, 100), (64, 32)])]
    for single, batched in zip(map(model.infer, frames), model.infer_batch(frames), strict=True):
        np.testing.assert_allclose(batched.coverage, single.coverage, atol=1e-6)
        assert batched.fit == single.fit
    assert model.infer_batch([]) == []


def test_threads_share_a_model_without_mixing_frames(small: Path) -> None:
    model = PeopleNet.load(small, device="cpu")
    frames = [picture(i) for i in range(24)]
    alone = [model.infer(frame).coverage for frame in frames]
    with ThreadPoolExecutor(6) as pool:
        together = [grids.coverage for grids in pool.map(model.infer, frames)]
    for a, b in zip(alone, together, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_coverage_only_model_loads_and_says_so(tmp_path: Path) -> None:
    model = PeopleNet.load(write(detectnet(outputs=(COVERAGE,)), tmp_path / "m.onnx"), device="cpu")
    grids = model.infer(picture())
    assert grids.boxes is None
    assert "coverage output only" in decode(grids, ALL).note
    assert "no boxes" in model.describe().set_index("what").loc["box output", "value"]


def test_describe_counts_and_judges_heads(tmp_path: Path) -> None:
    path = write(detectnet(dead={"box": [1], "coverage": [1]}), tmp_path / "m.onnx")
    table = PeopleNet.load(path, device="cpu").describe().set_index("what")["value"]
    assert table["head 'bag'"].startswith("dead: its coverage")
    assert table["head 'person'"].startswith("alive")
    assert "runs as FP32" in table["quantization"]
    assert table["size"].startswith(f"{path.stat().st_size:,}")
    assert "CPUExecutionProvider" in table["device"]


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_detect_is_infer_and_decode_with_the_default_of_the_models_fit(fit: str) -> None:
    model = PeopleNet.load(STANDIN, device="cpu", fit=fit)
    (image,) = (frame.image for frame in open_source(demo_clip(), frames=1))
    strict = preset("deepstream", fit).with_class("person", threshold=0.8)
    for found, settings in [
        (model.detect(image), preset("default", fit)),
        (model.detect(image, strict), strict),
    ]:
        expected = decode(model.infer(image), settings).detections
        assert len(expected) > 0
        np.testing.assert_array_equal(found.xyxy, expected.xyxy)
        np.testing.assert_array_equal(found.confidence, expected.confidence)
        np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_describe_names_the_file_that_runs(small: Path) -> None:
    def runs() -> str:
        return str(PeopleNet.load(small, device="cpu").describe().set_index("what").loc["runs", "value"])

    assert runs() == "the file itself, in fp32"
    variant = build_uint8(PeopleNet.load(small, device="cpu").file)
    assert runs() == f"its variant {variant.path}, in fp32"


def test_intermediates_are_written_for_debugging(small: Path, tmp_path: Path) -> None:
    model = PeopleNet.load(small, device="cpu")
    written = model.save_intermediates(picture(), tmp_path / "debug")
    assert sorted(written) == ["grids", "output_bbox", "output_cov", "preprocessed_frame"]
    grids = Grids.load(written["grids"])
    assert np.array_equal(np.load(written["output_cov"]), grids.coverage)
    assert np.load(written["preprocessed_frame"]).shape == (1, 3, 32, 64)


def test_nan_in_the_output_is_an_error(tmp_path: Path) -> None:
    model = detectnet()
    for tensor in model.graph.initializer:
        if tensor.name == "box_b":
            tensor.CopyFrom(onnx_nan(tensor))
    loaded = PeopleNet.load(write(model, tmp_path / "m.onnx"), device="cpu")
    with pytest.raises(GridsError, match="boxes holds values that are not numbers.*NaN"):
        loaded.infer(picture())


def onnx_nan(tensor: object) -> object:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.full(12, np.nan, np.float32), tensor.name)  # type: ignore[attr-defined]


def test_a_device_that_is_not_there_is_an_error_with_the_reason(small: Path) -> None:
    missing = [d for d, p in {"cuda": "CUDA", "tensorrt": "Tensorrt"}.items() if not has(p)]
    if not missing:
        pytest.skip("this onnxruntime has every provider")
    for device in missing:
        with pytest.raises(DeviceError, match=rf"'{device}' is not there.*built with .*CPUExecutionProvider"):
            PeopleNet.load(small, device=device)
    with pytest.raises(SettingsError, match="Unknown device.*auto, cpu, mnn, openvino"):
        PeopleNet.load(small, device="tpu")


def has(provider: str) -> bool:
    return f"{provider}ExecutionProvider" in onnxruntime.get_available_providers()


def test_a_provider_that_falls_back_is_an_error(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel has CUDA, the machine has not: ONNX Runtime only warns and gives the CPU."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    real = onnxruntime.InferenceSession

    def falls_back(path: str, options: object, providers: list[tuple[str, object]], **_: object) -> object:
        assert providers[0][0] == "CUDAExecutionProvider"
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    with pytest.raises(DeviceError, match="'cuda' was asked for and could not be loaded.*fell back to CPU"):
        PeopleNet.load(small, device="cuda")
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers, **_: real(path, options, providers=["CPUExecutionProvider"]),
    )
    assert PeopleNet.load(small, device="auto").device == "cpu", "auto goes on and says what it took"


def test_openvino_runs_or_says_how_to_get_it(small: Path) -> None:
    try:
        import openvino  # noqa: F401
    except ImportError:
        with pytest.raises(DeviceError, match=r"'openvino' is not there.*PEOPLENET_WITH=openvino"):
            PeopleNet.load(small, device="openvino")
        return
    theirs, ours = PeopleNet.load(small, device="openvino"), PeopleNet.load(small, device="cpu")
    np.testing.assert_allclose(theirs.infer(picture()).coverage, ours.infer(picture()).coverage, atol=1e-4)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_can_be_chosen(small: Path, threads: int) -> None:
    model = PeopleNet.load(small, device="cpu", threads=threads)
    assert model.backend.threads == threads
    assert model.with_threads(threads) is model
    assert model.with_threads(threads + 1).backend.threads == threads + 1


def test_names_and_folders_lead_to_the_file(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_model(small) == small
    assert resolve_model(small.parent) == small
    assert resolve_model("standin") == STANDIN
    monkeypatch.setenv("PEOPLENET_MODEL", str(small))
    assert resolve_model() == small


def test_without_any_model_the_standin_takes_its_place() -> None:
    assert resolve_model() == STANDIN
    with pytest.raises(ModelError, match="No such model.*no-such"):
        resolve_model("no-such-version")


def test_a_frame_that_is_no_picture_is_refused(small: Path) -> None:
    with pytest.raises(SourceError, match="BGR uint8"):
        PeopleNet.load(small, device="cpu").infer(np.zeros((5, 5), np.uint8))


def test_a_model_shows_itself_with_its_dead_heads(tmp_path: Path) -> None:
    model = PeopleNet.load(write(detectnet(dead={"box": (1,)}), tmp_path / "m.onnx"), "cpu")
    assert [head.label for head in model.dead_heads] == ["bag"]
    shown = model._repr_html_()
    assert "Dead head: bag" in shown
    assert "CPUExecutionProvider" in shown
    assert "all that is known of it" in shown
    assert model.file.sha256 in shown, "nothing is cut off"
    assert "stand-in" not in shown


def test_the_standin_says_what_it_is() -> None:
    shown = PeopleNet.load("standin", "cpu")._repr_html_()
    assert "what it finds elsewhere means nothing" in shown
    assert "Notebook 02 fetches PeopleNet" in shown


def test_a_model_file_shows_its_operations_and_what_it_computes_in(tmp_path: Path) -> None:
    shown = PeopleNet.load(write(detectnet(), tmp_path / "m.onnx"), "cpu").file._repr_html_()
    assert ">Conv<" in shown
    assert "ONNX Runtime computes in FP32" in shown


def test_network_input_is_the_same_where_a_variant_that_takes_bytes_runs(small: Path) -> None:
    before, _ = PeopleNet.load(small, "cpu").network_input(picture())
    build_uint8(read_model_file(small))
    model = PeopleNet.load(small, "cpu")
    assert model.preprocess(picture())[0].dtype == np.uint8, "the variant does not run"
    batch, fit = model.network_input(picture())
    assert batch.dtype == np.float32
    np.testing.assert_array_equal(batch, before)
    assert "RGB / 255" in network_view(picture(), batch, fit).caption


def test_a_name_with_a_null_character_is_no_model() -> None:
    with pytest.raises(ModelError, match="No such model"):
        PeopleNet.load("a\0b")
