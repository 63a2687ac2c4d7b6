"""Variant models: exact where they must be, measured where they cannot be, and never mistaken for the source."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import make_grids
from onnx_builder import COVERAGE, detectnet, write
from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import demo_clip
from peoplenet_nb.errors import ModelError, OutputError
from peoplenet_nb.grids import Grids
from peoplenet_nb.network import variants
from peoplenet_nb.network.agreement import compare, infer_all, unlike
from peoplenet_nb.network.engines import open_backend
from peoplenet_nb.network.variants import (
    TIMES,
    Agreement,
    Target,
    Variant,
    int8_path,
    uint8_path,
    variants_dir,
)
from peoplenet_nb.ngc import find_model
from peoplenet_nb.onnxfile import ModelFile, read_model_file
from peoplenet_nb.paths import STANDIN, models_dir
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.speed import build_int8, build_uint8
from peoplenet_nb.speed.int8 import pair_safe_scales


def frames(count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (60, 100, 3), dtype=np.uint8) for _ in range(count)]


@pytest.fixture
def source(tmp_path: Path) -> ModelFile:
    return read_model_file(write(detectnet(), tmp_path / "model" / "m.onnx"))


def outputs(file: ModelFile, frame: np.ndarray, fit: str = "stretch") -> tuple[np.ndarray, np.ndarray | None]:
    batch, _ = Preprocessor(file.network_size, fit, as_bytes=file.channels_last)(frame)
    return open_backend(file, "cpu").run(batch)


@pytest.mark.parametrize("target", list(Target))
@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("style", ["conv", "qdq", "reshape"])
def test_uint8_input_computes_the_same(style: str, fit: str, target: Target, tmp_path: Path) -> None:
    source = read_model_file(write(detectnet(style=style), tmp_path / "m.onnx"))
    made = read_model_file(build_uint8(source, target=target).path)
    assert (made.channels_last, made.input.dtype) == (True, "uint8")
    assert (made.network_size, made.labels, made.stride) == (
        source.network_size,
        source.labels,
        source.stride,
    )
    for frame in frames(3):
        (coverage, boxes), (expected, expected_boxes) = outputs(made, frame, fit), outputs(source, frame, fit)
        # A quantized head rounds: there a hair's difference may fall on the other side of a step.
        np.testing.assert_allclose(coverage, expected, atol=1e-3 if style != "qdq" else 0.02)
        np.testing.assert_allclose(boxes, expected_boxes, atol=1e-3 if style != "qdq" else 0.06)


def test_red_and_blue_are_not_swapped(source: ModelFile) -> None:
    frame = np.zeros((32, 64, 3), np.uint8)
    frame[..., 2] = 255
    made = read_model_file(build_uint8(source).path)
    np.testing.assert_allclose(outputs(made, frame)[0], outputs(source, frame)[0], atol=1e-5)
    assert not np.allclose(outputs(made, frame[..., ::-1].copy())[0], outputs(source, frame)[0], atol=1e-3)


@pytest.mark.parametrize("target", list(Target))
def test_an_input_that_goes_elsewhere_too_is_scaled_by_nodes_of_its_own(
    target: Target, tmp_path: Path
) -> None:
    model = detectnet()
    model.graph.node.insert(0, onnx.helper.make_node("Identity", ["input_1:0"], ["same"]))
    model.graph.node[1].input[0] = "same"
    source = read_model_file(write(model, tmp_path / "m.onnx"))
    made = read_model_file(build_uint8(source, target=target).path)
    for frame in frames(2):
        np.testing.assert_allclose(outputs(made, frame)[0], outputs(source, frame)[0], atol=1e-5)


def test_the_demo_network_has_its_variants_too() -> None:
    source = read_model_file(STANDIN)
    for target in Target:
        assert build_uint8(source, target=target).agreement.coverage < 1e-4


def test_the_source_is_not_touched_and_the_record_says_what_was_made(source: ModelFile) -> None:
    before = source.path.read_bytes()
    variant = build_uint8(source)
    assert source.path.read_bytes() == before
    record = json.loads(variant.path.with_suffix(".json").read_text())
    assert record["source_sha256"] == source.sha256
    assert record["recipe"]["onnxruntime"]
    assert record["agreement"]["coverage"] < 1e-3
    props = {p.key: p.value for p in onnx.load(variant.path).metadata_props}
    assert props["peoplenet_nb.variant"] == "uint8-input"
    assert props["peoplenet_nb.source_sha256"] == source.sha256
    assert not list(variant.path.parent.glob(".*")), "no temporary file is left"


def test_built_once_and_again_when_the_source_changes(source: ModelFile) -> None:
    first = build_uint8(source)
    made_at = first.path.stat().st_mtime_ns
    assert build_uint8(source) == first
    assert first.path.stat().st_mtime_ns == made_at
    first.path.write_bytes(b"cut off")
    assert build_uint8(source).path.stat().st_size > 1000, "a damaged file is made again"


def test_derived_models_are_never_found_as_models() -> None:
    folder = models_dir() / "peoplenet_vtest_1"
    source = read_model_file(write(detectnet(), folder / "net.onnx"))
    assert variants_dir(source) == folder / "variants"
    build_uint8(source)
    assert find_model(folder) == source.path


def test_nothing_is_written_beside_a_model_that_is_not_ours(source: ModelFile) -> None:
    build_uint8(source)
    assert [p.name for p in source.path.parent.iterdir()] == ["m.onnx"]


@pytest.mark.slow
def test_int8_is_chosen_by_measurement(source: ModelFile) -> None:
    variant = build_int8(source, frames(9))
    made = read_model_file(variant.path)
    assert made.qdq > 0
    assert made.channels_last
    assert set(variant.recipe["tried"]) == {"minmax", "percentile", "entropy"}  # type: ignore[call-overload]
    assert variant.unlike is not None
    score = (variant.agreement.score + variant.unlike.score) / 2
    assert variant.recipe["tried"][variant.recipe["method"]] == pytest.approx(score, abs=1e-4)  # type: ignore[index]
    assert (variant.recipe["calibration_frames"], variant.agreement.frames) == (6, 3)
    assert variant.unlike.frames == 2 * 3 + 6, (
        "two enlargements of each held-out frame, and six of the demo clip"
    )
    assert Variant.load(variant.path, source) == variant
    assert variant.agreement.coverage < 0.1
    assert sorted(p.name for p in variant.path.parent.iterdir()) == sorted(
        [p.with_suffix(s).name for p in (int8_path(source), uint8_path(source)) for s in (".onnx", ".json")]
    )


def test_tensorrt_gets_bytes_cast_first_and_zero_points_of_zero(source: ModelFile) -> None:
    """TensorRT takes uint8 only into a cast, and symmetric int8 only."""
    model = onnx.load(build_int8(source, frames(6), target=Target.TENSORRT).path)
    first = next(node for node in model.graph.node if model.graph.input[0].name in node.input)
    assert first.op_type == "Cast"
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs
    for node in pairs:
        assert tensors[node.input[2]].dtype == np.int8, node
        assert not tensors[node.input[2]].any(), node


def test_variants_for_different_targets_lie_beside_each_other(source: ModelFile) -> None:
    made = {build_uint8(source, target=target).path for target in Target}
    assert len(made) == 2
    assert len({read_model_file(path).sha256 for path in made}) == 2


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(4, 6, 3, 3), (3, 3, 7, 7), (1, 1, 1, 1), (5, 8, 1, 1)]))
def test_no_pair_of_neighbouring_weights_can_overflow_sixteen_bits(seed: int, shape: tuple[int, ...]) -> None:
    """In the way that ``vpmaddubsw`` adds: bytes 2k and 2k + 1, for the worst activations."""
    kernel = np.random.default_rng(seed).standard_t(3, shape)
    made = np.round(kernel / pair_safe_scales(kernel)[:, None, None, None]).astype(np.int64)
    assert np.abs(made).max() <= 127
    for channel in made:
        pixels = [channel[:, y, x].tolist() for y in range(shape[2]) for x in range(shape[3])]
        whole = [weight for pixel in pixels for weight in pixel]
        for line in [whole] if shape[1] % 2 == 0 else [whole, *pixels]:
            for one, two in zip_longest(line[::2], line[1::2], fillvalue=0):
                highest = 255 * (max(one, 0) + max(two, 0))
                lowest = 255 * (min(one, 0) + min(two, 0))
                assert -(2**15) <= lowest <= highest < 2**15


def test_scales_lose_next_to_nothing_against_full_eight_bits() -> None:
    kernel = np.random.default_rng(0).normal(0, 0.1, (32, 64, 3, 3))
    full = np.abs(kernel).reshape(32, -1).max(1) / 127
    assert 0.0 <= np.log2(pair_safe_scales(kernel) / full).mean() < 0.5


def test_int8_refuses_what_makes_no_sense(source: ModelFile, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Too few frames.*at least 6"):
        build_int8(source, frames(5))
    quantized = read_model_file(write(detectnet(style="qdq"), tmp_path / "q.onnx"))
    with pytest.raises(ModelError, match="quantized already"):
        build_int8(quantized, frames(6))


def test_coverage_only_models_can_be_derived_too(tmp_path: Path) -> None:
    source = read_model_file(write(detectnet(outputs=(COVERAGE,)), tmp_path / "m.onnx"))
    made = read_model_file(build_uint8(source).path)
    assert made.boxes is None


def test_nothing_is_proved_on_frames_that_show_nothing(
    source: ModelFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "has_int8_instructions", lambda: True)
    standin = read_model_file(STANDIN)
    variant = build_int8(standin, [np.zeros((96, 160, 3), np.uint8)] * 6)
    assert variant.agreement.boxes == 0
    assert not variant.agreement.proved
    assert "no boxes to compare" in str(variant.agreement)
    assert not variants.variant_for(standin, "auto").quantized


@pytest.mark.parametrize(
    ("times", "cpu", "ap75", "vnni", "taken"),
    [
        (3.0, "here", 1.0, True, True),
        (1.0, "here", 1.0, True, False),
        (3.0, "another", 1.0, True, False),
        (3.0, "here", 0.96, True, False),
        (3.0, "here", 1.0, False, False),
    ],
)
def test_auto_takes_int8_where_it_agrees_and_was_measured_to_be_faster_here(
    times: float,
    cpu: str,
    ap75: float,
    vnni: bool,
    taken: bool,
    source: ModelFile,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(variants, "has_int8_instructions", lambda: vnni)
    monkeypatch.setattr(variants, "cpu_name", lambda: "here")
    recipe: dict[str, object] = {TIMES: times, "cpu": cpu}
    made = Variant(
        int8_path(source), "int8", source.sha256, recipe, Agreement(3, 0.1, 0.01, 1.0, 20, 1.0, ap75)
    )
    made.path.parent.mkdir(parents=True)
    made.save(write(detectnet(style="qdq"), made.path.with_name("new.onnx")))
    assert variants.variant_for(source, "auto").quantized is taken
    assert not variants.variant_for(source, "fp32").quantized


@pytest.mark.parametrize(
    ("boxes", "ap50", "ap75", "proved"),
    [
        (9, 1.0, 1.0, False),
        (10, 0.989, 1.0, False),
        (10, 1.0, 0.969, False),
        (10, 0.99, 0.97, True),
        (0, 0.0, 0.0, False),
    ],
)
def test_agreement_needs_boxes_enough_and_near_enough(
    boxes: int, ap50: float, ap75: float, proved: bool
) -> None:
    measured = Agreement(3, 0.1, 0.01, 1.0, boxes, ap50, ap75)
    perfect = Agreement(3, 0.0, 0.0, 0.0, 99, 1.0, 1.0)
    assert measured.proved == proved
    assert Variant(Path("x.onnx"), "int8", "", {}, perfect, measured).proved == proved
    assert Variant(Path("x.onnx"), "int8", "", {}, measured, perfect).proved == proved


def test_agreement_weighs_classes_by_their_boxes() -> None:
    """Three people found again and one face lost: 3 of 4 boxes, not 1 of 2 classes."""
    distances = (0.8, 1.0, 0.8, 1.0)
    people = {(0, 5, column): (0.9, distances) for column in (5, 20, 40)}
    wanted, found = make_grids(people | {(2, 20, 30): (0.9, distances)}), make_grids(people)
    measured = compare([wanted], [found])
    assert measured.boxes == 4
    assert (measured.ap50, measured.ap75) == pytest.approx((0.75, 0.75))


def test_a_variant_shows_what_was_measured_and_nothing_that_was_not() -> None:
    noise, pictures = (
        Agreement(3, 1e-6, 1e-7, 0.01, 0, 0.0, 0.0),
        Agreement(12, 0.1, 0.01, 9.0, 99, 0.987, 0.912),
    )
    html = Variant(Path("x<y.onnx"), "int8", "", {}, noise, pictures)._repr_html_()
    assert "x&lt;y.onnx" in html
    assert html.count("0.987") == html.count("0.912") == 1
    assert ">0<" in noise._repr_html_(), "no boxes"
    assert ">0.0<" not in noise._repr_html_(), "an AP of 0 where there was nothing to find"


def test_int8_boxes_may_be_larger_than_any_in_the_calibration(tmp_path: Path) -> None:
    """A network whose distances are red + green + blue, calibrated on frames of one colour and used on white."""
    model = detectnet()
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    values = {name: np.zeros(tuple(weights[name].dims), np.float32) for name in ("stem", "box_w", "box_b")}
    for colour in range(3):
        values["stem"][colour, colour] = 1 / 256  # the mean over a cell
    values["box_w"][:, :3] = 2.0
    for name, array in values.items():
        weights[name].CopyFrom(onnx.numpy_helper.from_array(array, name))
    source = read_model_file(write(model, tmp_path / "m.onnx"))
    colours = [np.full((32, 64, 3), np.eye(3, dtype=np.uint8)[i % 3] * 255, np.uint8) for i in range(9)]
    made = read_model_file(build_int8(source, colours).path)
    _, calibrated = outputs(made, colours[0])
    _, boxes = outputs(made, np.full((32, 64, 3), 255, np.uint8))
    np.testing.assert_allclose(calibrated, 2.0, atol=0.05)
    np.testing.assert_allclose(boxes, 6.0, atol=0.1)


@pytest.mark.slow
def test_int8_coverage_takes_any_value() -> None:
    """With quantised outputs it takes 55 different ones here: a threshold between two of them changes nothing."""
    clip = [frame.image for frame in open_source(demo_clip(), every=40, frames=6)]
    made = build_int8(read_model_file(STANDIN), clip)
    coverage = np.stack([grids.coverage for grids in infer_all(read_model_file(made.path), clip)])
    assert len(np.unique(coverage[coverage > 0.05])) > 200
    assert made.proved


def test_pictures_unlike_the_calibrations_show_larger_people() -> None:
    clip = [frame.image for frame in open_source(demo_clip(), every=100, frames=2)]
    standin = read_model_file(STANDIN)
    found = infer_all(standin, clip)
    others = unlike([*clip, np.zeros_like(clip[0])], [*found, *infer_all(standin, [np.zeros_like(clip[0])])])
    assert len(others) == 2 * 3 + 6
    assert {picture.shape for picture in others} == {clip[0].shape}

    def tallest(grids: Grids) -> float:
        boxes = decode(grids, preset("default")).detections.xyxy
        return float((boxes[:, 3] - boxes[:, 1]).max())

    for before, *enlarged in zip(found, *(infer_all(standin, others[k:4:2]) for k in (0, 1)), strict=True):
        assert all(1.3 * tallest(before) < tallest(after) for after in enlarged)


def test_a_variant_that_changed_on_disk_is_not_taken(source: ModelFile) -> None:
    """Of the same size: the record knows the content."""
    path = build_uint8(source).path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert variants.variant_for(source, "fp32") is source
    build_uint8(source)
    assert variants.variant_for(source, "fp32").path == path


def test_a_build_that_fails_leaves_nothing_behind(source: ModelFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    folder = build_uint8(source).path.parent
    before = sorted(folder.iterdir())
    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        build_uint8(source, force=True)
    assert sorted(folder.iterdir()) == before


def test_two_processes_may_build_the_same(source: ModelFile) -> None:
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: build_uint8(source, force=True), range(2))
    assert one.path == two.path
    assert variants.variant_for(source, "fp32").path == one.path
