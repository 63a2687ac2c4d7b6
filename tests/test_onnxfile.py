"""Reading model files: what is accepted, what is refused and in which words."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx_builder import BOXES, COVERAGE, detectnet, write
from peoplenet_nb.errors import ModelError
from peoplenet_nb.onnxfile import head_health, read_model_file
from peoplenet_nb.onnxfile.file import STANDIN_KEY
from peoplenet_nb.onnxfile.kind import what_it_is


def test_a_model_is_described_from_its_file(tmp_path: Path) -> None:
    path = write(detectnet(metadata={"note": "hello"}), tmp_path / "model.onnx")
    found = read_model_file(path)
    assert found.size == path.stat().st_size
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.ir_version, found.opset, found.producer) == (8, 13, "builder 1")
    assert found.network_size == (64, 32)
    assert found.grid == (2, 4)
    assert found.stride == 16
    assert found.num_classes == 3
    assert found.labels == ("person", "bag", "face")
    assert found.input.dtype == "float32"
    assert found.input.shape == ("N", 3, 32, 64)
    assert (found.coverage.name, found.coverage.shape) == (COVERAGE, ("N", 3, 2, 4))
    assert found.boxes is not None
    assert (found.boxes.name, found.boxes.shape) == (BOXES, ("N", 12, 2, 4))
    assert found.parameters == 8 * 3 * 256 + (8 + 1) * 3 + (8 + 1) * 12
    assert found.nodes == {"Conv": 3, "Relu": 1, "Sigmoid": 1}
    assert found.metadata == {"note": "hello"}
    assert not found.standin
    assert not found.quantized


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(
            {"outputs": (BOXES, COVERAGE)}, (BOXES, COVERAGE), id="boxes listed first, as for Triton"
        ),
        pytest.param({"outputs": ("b", "c")}, ("b", "c"), id="names say nothing: 4C against C"),
        pytest.param({"outputs": ("b", "c"), "classes": 1}, ("b", "c"), id="one class: 4 against 1"),
        pytest.param({"outputs": ("c", "b"), "classes": 4}, ("b", "c"), id="four classes: 16 against 4"),
        pytest.param({"open_grid": True}, (BOXES, COVERAGE), id="grid left open, inferred from the input"),
    ],
)
def test_outputs_are_told_apart_by_name_or_channels(
    tmp_path: Path, options: dict[str, object], expected: tuple[str, str]
) -> None:
    found = read_model_file(write(detectnet(**options), tmp_path / "m.onnx"))  # type: ignore[arg-type]
    assert found.boxes is not None
    assert (found.boxes.name, found.coverage.name) == expected
    assert found.boxes.shape[1] == 4 * found.num_classes
    assert found.grid == (2, 4)


@pytest.mark.parametrize(
    ("classes", "size", "stride"),
    [
        pytest.param(1, (96, 64), 8, id="one class, finer grid"),
        pytest.param(5, (128, 96), 32, id="five classes, coarser grid"),
        pytest.param(4, (480, 272), 16, id="DashCamNet's classes on a quarter of the pixels"),
    ],
)
def test_nothing_is_fixed_to_peoplenet(
    tmp_path: Path, classes: int, size: tuple[int, int], stride: int
) -> None:
    found = read_model_file(write(detectnet(classes=classes, size=size, stride=stride), tmp_path / "m.onnx"))
    assert found.num_classes == classes
    assert found.network_size == size
    assert found.stride == stride
    assert found.grid == (size[1] // stride, size[0] // stride)
    assert found.labels == tuple(f"class{i}" for i in range(classes))


def test_uint8_picture_input_is_understood(tmp_path: Path) -> None:
    found = read_model_file(write(detectnet(channels_last=True), tmp_path / "m.onnx"))
    assert found.input.dtype == "uint8"
    assert found.channels_last
    assert found.network_size == (64, 32)


@pytest.mark.parametrize("name", [COVERAGE, "c"])
def test_coverage_only_model_has_no_boxes(tmp_path: Path, name: str) -> None:
    path = write(detectnet(outputs=(name,)), tmp_path / "m.onnx")
    found = read_model_file(path)
    assert found.boxes is None
    assert found.coverage.name == name
    health = head_health(path)
    assert [head.alive for head in health] == [True, True, True]
    assert all(np.isnan(head.box_weight_norm) for head in health)
    assert all(head.coverage_weight_norm > 0.1 for head in health)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Person\nBAG\nface\n", ("person", "bag", "face"), id="case does not count"),
        pytest.param("\nperson\n\nbag\n face \n\n", ("person", "bag", "face"), id="blank lines do not count"),
        pytest.param("car;dog;cat", ("car", "dog", "cat"), id="DeepStream's one line"),
        pytest.param("\ufeffcar\r\ndog\r\ncat", ("car", "dog", "cat"), id="saved by Windows"),
    ],
)
def test_labels_file_beside_the_model_wins(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    path = write(detectnet(metadata={"labels": "x,y,z"}), tmp_path / "m.onnx")
    (tmp_path / "Labels.txt").write_text(text, encoding="utf-8", newline="")
    assert read_model_file(path).labels == expected


@pytest.mark.parametrize("text", ["a,b,c", '["A", "b", "C"]', "a\nb\nc"])
def test_labels_from_metadata(tmp_path: Path, text: str) -> None:
    path = write(detectnet(metadata={"labels": text, STANDIN_KEY: "1"}), tmp_path / "m.onnx")
    found = read_model_file(path)
    assert found.labels == ("a", "b", "c")
    assert found.standin


@pytest.mark.parametrize("text", ["person\nbag\n", "person\nbag\nbag\n"])
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, text: str) -> None:
    path = write(detectnet(), tmp_path / "m.onnx")
    (tmp_path / "labels.txt").write_text(text)
    with pytest.raises(ModelError, match="3 classes") as raised:
        read_model_file(path)
    assert "labels.txt" in str(raised.value.seen)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("person\nbag\x1b[31m\nface", "printable text"),
        ("person\n" + "b" * 61 + "\nface", "printable text"),
        ("folder", "cannot be read"),
        ("pipe", "cannot be read"),
        ("broken link", "cannot be read"),
    ],
    ids=["terminal escape", "absurd length", "folder", "pipe", "broken link"],
)
def test_labels_that_could_do_harm_are_refused(kind: str, match: str, tmp_path: Path) -> None:
    path, labels = write(detectnet(), tmp_path / "m.onnx"), tmp_path / "labels.txt"
    if kind == "folder":
        labels.mkdir()
    elif kind == "pipe":
        os.mkfifo(labels)
    elif kind == "broken link":
        labels.symlink_to("nowhere")
    else:
        labels.write_text(kind)
    with pytest.raises(ModelError, match=match):
        read_model_file(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"", "is empty", id="empty"),
        pytest.param(b"<!DOCTYPE html><html>Sign in</html>", "HTML", id="a login page"),
        pytest.param(b"\xef\xbb\xbf \n<html>", "HTML", id="the same with a byte order mark"),
        pytest.param(
            b'{"requestStatus":{"statusCode":"NOT_FOUND","statusDescription":"no"}}',
            "JSON answer .*NOT_FOUND",
            id="NGC's own error",
        ),
        pytest.param(
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8788899\n",
            "Git LFS pointer",
            id="clone without LFS",
        ),
        pytest.param(b"PK\x03\x04rest", "ZIP", id="the archive itself"),
        pytest.param(b"\x89HDF\r\n\x1a\n", "HDF5", id="the trainable version"),
        pytest.param(b"ftrt" + bytes(60), "TensorRT engine", id="an engine renamed"),
        pytest.param(bytes(range(256)) * 8, "truncated ONNX, or no ONNX", id="noise"),
        pytest.param(bytes(4096), "truncated ONNX, or no ONNX", id="zeros, as a crashed disk leaves them"),
    ],
)
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as raised:
        read_model_file(path)
    assert str(path) in str(raised.value.seen)
    assert raised.value.next_step


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model file"):
        read_model_file(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="a folder"):
        read_model_file(tmp_path)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = detectnet(size=(32, 32)).SerializeToString()
    path = tmp_path / "m.onnx"
    rng = np.random.default_rng(0)
    # The last bytes are the operator set: without them the rest still parses.
    cuts = {*range(1, 80), *range(len(whole) - 400, len(whole)), *rng.integers(80, len(whole) - 400, 60)}
    for cut in sorted(int(c) for c in cuts):
        path.write_bytes(whole[:cut])
        with pytest.raises(ModelError, match="truncated ONNX"):
            read_model_file(path)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        pytest.param("node", "is not an output of any node", id="the operation that makes an output"),
        pytest.param("initializer", "however input", id="a kernel"),
        pytest.param("output", "no outputs", id="the outputs"),
    ],
)
def test_model_that_lost_a_part_but_parses_is_refused(tmp_path: Path, lost: str, words: str) -> None:
    model = detectnet()
    del getattr(model.graph, lost)[-1 if lost != "output" else slice(None)]
    with pytest.raises(ModelError, match="truncated ONNX") as raised:
        read_model_file(write(model, tmp_path / "m.onnx"))
    assert words in str(raised.value.seen)


@pytest.mark.timeout(20)
def test_graphs_that_go_in_circles_or_multiply_end_in_a_verdict(tmp_path: Path) -> None:
    circle = detectnet(outputs=(COVERAGE,))
    del circle.graph.node[:]
    circle.graph.node.append(helper.make_node("Identity", [COVERAGE], [COVERAGE]))
    with pytest.raises(ModelError):
        read_model_file(write(circle, tmp_path / "circle.onnx"))
    model = detectnet()
    node = next(n for n in model.graph.node if BOXES in n.output)
    node.output[list(node.output).index(BOXES)] = "b0"
    for i in range(40):
        model.graph.node.append(helper.make_node("Concat", [f"b{i}"] * 2, [f"b{i + 1}"], axis=1))
    model.graph.node.append(helper.make_node("Relu", ["b40"], [BOXES]))
    health = head_health(write(model, tmp_path / "concat.onnx"))
    assert {head.reason.split(":")[0] for head in health} == {"unknown"}


def test_weights_that_are_no_numbers_are_not_called_usual(tmp_path: Path) -> None:
    model = detectnet()
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor).copy()
        if values.ndim == 4:
            values[...] = np.nan
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    assert all("hold NaN" in head.reason for head in head_health(write(model, tmp_path / "m.onnx")))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, 99], ids=["float16", "a number that nobody knows"])
@pytest.mark.parametrize("end", ["input", "output"])
def test_types_that_cannot_be_fed_or_read_are_refused(kind: int, end: str, tmp_path: Path) -> None:
    model = detectnet()
    getattr(model.graph, end)[0].type.tensor_type.elem_type = kind
    with pytest.raises(ModelError, match=r"type that is not supported|truncated"):
        read_model_file(write(model, tmp_path / "m.onnx"))


def test_missing_second_file_with_weights_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save_model(
        detectnet(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert read_model_file(path).num_classes == 3
    assert all(head.alive and head.reason.startswith("its weights") for head in head_health(path))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match="second file") as raised:
        read_model_file(path)
    assert "weights.bin" in str(raised.value.seen)


def _network(shape: list[int | str], outputs: dict[str, list[int | str]], inputs: int = 1) -> onnx.ModelProto:
    names = [f"in{i}" for i in range(inputs)]
    graph = helper.make_graph(
        [helper.make_node("Identity", [names[0]], [name]) for name in outputs],
        "other",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in outputs.items()],
    )
    return helper.make_model(graph)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        pytest.param(
            _network([1, 3, 224, 224], {"logits": [1, 1000]}), "only output|C and 4C", id="a classifier"
        ),
        pytest.param(
            _network([1, 3, 224, 224], {"a": [1, 3, 14, 14], "b": [1, 9, 14, 14]}), "C and 4C", id="3 and 9"
        ),
        pytest.param(
            _network([1, 3, 224, 224], {"cov": [1, 3, 14, 14], "bbox": [1, 12, 7, 7]}),
            "C and 4C",
            id="two grids",
        ),
        pytest.param(
            _network([1, 3, 224, 224], {"cov": [1, 3, 14, 28], "bbox": [1, 12, 14, 28]}),
            "grid",
            id="uneven stride",
        ),
        pytest.param(
            _network([1, 3, 225, 225], {"cov": [1, 3, 14, 14], "bbox": [1, 12, 14, 14]}),
            "grid",
            id="no divisor",
        ),
        pytest.param(
            _network([1, 3, 64, 64], {"seg": [1, 21, 64, 64]}), "only output", id="a segmentation net"
        ),
        pytest.param(
            _network([1, 3, 64, 64], {"bbox": [1, 12, 4, 4]}), "C and 4C", id="boxes without coverage"
        ),
        pytest.param(_network([1, 4, 64, 64], {"cov": [1, 3, 4, 4]}), "3 channels", id="four input channels"),
        pytest.param(_network([1, 3, "H", "W"], {"cov": [1, 3, 4, 4]}), "fixed size", id="open input size"),
        pytest.param(
            _network([1, 3, 64, 64], {"cov": [1, 3, 4, 4]}, inputs=2), "one picture", id="two inputs"
        ),
    ],
)
def test_other_networks_are_refused(tmp_path: Path, model: onnx.ModelProto, words: str) -> None:
    with pytest.raises(ModelError, match="another network") as raised:
        read_model_file(write(model, tmp_path / "m.onnx"))
    assert any(word in str(raised.value) for word in words.split("|"))


@pytest.mark.parametrize("style", ["conv", "add", "reshape", "qdq", "concat"])
def test_dead_heads_are_found_however_they_were_exported(tmp_path: Path, style: str) -> None:
    path = write(detectnet(style=style, dead={"box": [1], "coverage": [2]}), tmp_path / "m.onnx")
    person, bag, face = head_health(path)
    assert person.alive
    assert not bag.alive
    assert "box weights" in bag.reason
    assert bag.box_weight_norm < 1e-5 < bag.coverage_weight_norm
    assert not face.alive
    assert "coverage weights" in face.reason


def test_norms_are_those_of_the_weights_as_applied(tmp_path: Path) -> None:
    plain = head_health(write(detectnet(), tmp_path / "a.onnx"))
    doubled = head_health(write(detectnet(style="add"), tmp_path / "b.onnx"))
    int8 = head_health(write(detectnet(style="qdq"), tmp_path / "c.onnx"))
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in detectnet().graph.initializer}
    for i in range(3):
        expected = np.linalg.norm(weights["box_w"][4 * i : 4 * i + 4])
        assert plain[i].box_weight_norm == pytest.approx(expected, rel=1e-6)
        assert doubled[i].box_weight_norm == pytest.approx(2 * expected, rel=1e-6)
        assert int8[i].box_weight_norm == pytest.approx(expected, rel=0.02)
        assert plain[i].coverage_weight_norm == pytest.approx(
            np.linalg.norm(weights["coverage_w"][i]), rel=1e-6
        )


def test_all_heads_dead_is_seen_without_a_living_one(tmp_path: Path) -> None:
    path = write(detectnet(classes=1, dead={"box": [0]}), tmp_path / "m.onnx")
    assert [head.alive for head in head_health(path)] == [False]


def test_untraceable_weights_are_unknown_not_dead(tmp_path: Path) -> None:
    path = write(detectnet(style="fed", dead={"box": [1]}), tmp_path / "m.onnx")
    for head in head_health(path):
        assert head.alive
        assert head.reason.startswith("unknown: ")
        assert np.isnan(head.box_weight_norm)


def test_quantised_model_counts_its_pairs_and_not_their_scales(tmp_path: Path) -> None:
    found = read_model_file(write(detectnet(style="qdq"), tmp_path / "m.onnx"))
    assert found.qdq == 6
    assert found.quantized
    assert found.parameters == 8 * 3 * 256 + 8 * 3 + 8 * 12


def test_first_bytes_of_onnx_say_nothing_against_it() -> None:
    assert what_it_is(detectnet().SerializeToString()[:512]) is None


@pytest.mark.real
def test_the_real_file_and_its_dead_bag_head(real_model_path: Path) -> None:
    found = read_model_file(real_model_path)
    assert found.network_size == (960, 544)
    assert found.grid == (34, 60)
    assert found.stride == 16
    assert found.labels == ("person", "bag", "face")
    assert found.nodes["Conv"] == 51
    assert found.parameters == pytest.approx(2.18e6, rel=0.005)
    assert found.qdq == 0, "the name says int8, the file is FP32"
    person, bag, face = head_health(real_model_path)
    assert (person.alive, bag.alive, face.alive) == (True, False, True)
    assert bag.box_weight_norm < 1e-4
    assert "box weights" in bag.reason


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (4, ["PeopleNet Transformer", "background, person, face, bag", "123.675"]),
        (7, ["RT-DETR", "begin with person"]),
        (91, ["transformer detectors", "model card"]),
    ],
)
def test_nvidias_transformers_are_named_by_their_tensors(
    tmp_path: Path, classes: int, words: list[str]
) -> None:
    outputs = {"pred_logits": [1, 300, classes], "pred_boxes": [1, 300, 4]}
    path = tmp_path / "resnet50_peoplenet_transformer_op17.onnx"
    path.write_bytes(_network([1, 3, 544, 960], outputs).SerializeToString())
    with pytest.raises(ModelError, match="not DetectNet_v2") as raised:
        read_model_file(path)
    for word in [*words, "300 boxes", "no grids", "pred_logits [1, 300"]:
        assert word in str(raised.value)
