"""Settings out and in: files that the other programs take, refusals with the nearest, exact round trips."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from conftest import random_grids
from nvidia_protos import compile_schemas
from peoplenet_nb.cli import export as cli_export
from peoplenet_nb.cli import main as cli
from peoplenet_nb.errors import ModelError, OutputError, PeopleNetError, SettingsError
from peoplenet_nb.export import NetworkFile, Target, export_settings, import_settings
from peoplenet_nb.export.nearest import nearest_settings
from peoplenet_nb.export.prototext import read_prototext, to_prototext
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import OWN, PEOPLENET_LABELS, PRESETS, ClassSettings, Clustering, Settings, preset

LABELS = PEOPLENET_LABELS


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def text_of(settings: Settings, target: str, ending: str = "", **options: Any) -> str:
    files = export_settings(settings, target, **options).files
    name = next(name for name in files if name.endswith(ending) and name != "labels.txt")
    content = files[name]
    assert isinstance(content, str)
    return content


# What other programs take


@pytest.fixture(scope="module")
def protos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    pytest.importorskip("grpc_tools", reason="protoc compiles the schemas")
    return compile_schemas(tmp_path_factory.mktemp("protos"))


def parsed(message: Any, text: str) -> Any:
    from google.protobuf import text_format

    return text_format.Parse(text, message())


@pytest.mark.parametrize("name", PRESETS)
def test_protoc_parses_what_is_written_for_tao(protos: dict[str, dict[str, Any]], name: str) -> None:
    files = export_settings(preset(name), "tao", nearest=True).files
    spec = parsed(protos["tao"]["Inference"], files["inferencer_spec.txt"])
    assert list(spec.inferencer_config.target_classes) == list(LABELS)
    assert (spec.inferencer_config.image_width, spec.inferencer_config.image_height) == (960, 544)
    training = parsed(protos["tao"]["Experiment"], files["postprocessing_config.txt"]).postprocessing_config
    for label in LABELS:
        numbers, clustering = (
            preset(name).for_class(label),
            spec.bbox_handler_config.classwise_bbox_handler_config[label].clustering_config,
        )
        assert clustering.coverage_threshold == pytest.approx(numbers.threshold)
        assert clustering == training.target_class_config[label].clustering_config
        if preset(name).clustering is Clustering.DBSCAN:
            assert clustering.clustering_algorithm == 0
            assert clustering.dbscan_confidence_threshold == pytest.approx(numbers.min_confidence)
            assert clustering.dbscan_min_samples == 1
        else:
            assert clustering.clustering_algorithm == (2 if name == "deepstream-tuned" else 1)
            assert clustering.nms_iou_threshold == pytest.approx(preset(name).nms_iou)


def test_protoc_parses_what_is_written_for_triton(protos: dict[str, dict[str, Any]]) -> None:
    message = parsed(protos["triton"]["PostprocessingConfig"], text_of(preset("triton"), "triton"))
    face = message.classwise_clustering_config["face"]
    assert face.dbscan_config.dbscan_min_samples == pytest.approx(0.05)
    assert face.dbscan_config.dbscan_confidence_threshold == pytest.approx(0.7)
    assert message.stride == 16


@pytest.mark.parametrize("clustering", ["nms", "dbscan"])
def test_protoc_parses_what_is_written_for_nvinferserver(
    protos: dict[str, dict[str, Any]], clustering: str
) -> None:
    asked = preset("deepstream", "letterbox").replace(clustering=clustering, min_samples=2, eps=0.4)
    asked = asked.replace(top_k=20 if clustering == "nms" else None, score="sum").with_class(
        "person", min_height=12
    )
    files = export_settings(asked, "nvinferserver").files
    whole = parsed(protos["nvinferserver"]["PluginControl"], files["config_inferserver_peoplenet.txt"])
    detection = whole.infer_config.postprocess.detection
    assert whole.infer_config.preprocess.maintain_aspect_ratio == 1
    assert [detection.per_class_params[i].pre_threshold for i in range(3)] == pytest.approx([0.4, 0.2, 0.2])
    filters = whole.output_control.detect_control.specific_class_filters
    assert [filters[i].bbox_filter.min_height for i in range(3)] == [12, 0, 0]
    if clustering == "nms":
        assert (detection.nms.topk, detection.nms.iou_threshold) == (20, 0.5)
    else:
        assert (detection.dbscan.min_boxes, detection.dbscan.eps) == (2, pytest.approx(0.4))
        near = export_settings(preset("tao"), "nvinferserver", nearest=True).files
        text = near["config_inferserver_peoplenet.txt"]
        sums = parsed(
            protos["nvinferserver"]["PluginControl"], text
        ).infer_config.postprocess.detection.dbscan
        assert sums.min_score == pytest.approx(0.9)
    model = parsed(protos["model"]["ModelConfig"], files["triton_model_repo/peoplenet/config.pbtxt"])
    assert [list(tensor.dims) for tensor in (*model.input, *model.output)] == [
        [3, 544, 960],
        [3, 34, 60],
        [12, 34, 60],
    ]


def test_yaml_of_savant_and_isaac_has_their_keys() -> None:
    module = yaml.safe_load(text_of(preset("deepstream"), "savant"))
    objects = module["pipeline"]["elements"][0]["model"]["output"]["objects"]
    assert [o["selector"]["kwargs"]["confidence_threshold"] for o in objects] == [0.4, 0.2, 0.2]
    assert all(o["selector"]["kwargs"]["min_width"] == 0 for o in objects), "left out it is 32 there"
    isaac = yaml.safe_load(
        text_of(Settings(clustering="dbscan", flavour="deepstream", min_samples=3, eps=0.5), "isaac")
    )
    assert (isaac["dbscan_eps"], isaac["dbscan_min_boxes"], isaac["confidence_threshold"]) == (0.5, 3, 0.3)
    assert (
        0 + isaac["bounding_box_offset"]
    ) * 16 == 0.5  # its origin of a cell is (column + offset) x stride


def test_jetsons_script_says_one_threshold_and_wants_an_engine() -> None:
    (line,) = [
        line
        for line in text_of(preset("jetson-inference"), "jetson").splitlines()
        if line.startswith("detectnet")
    ]
    options = dict(word[2:].split("=", 1) for word in shlex.split(line) if word.startswith("--"))
    assert options["model"].endswith(".engine")
    assert options["confidence"] == "0.5"
    assert float(options["clustering"]) == pytest.approx(2 / 3)
    assert options["output-cvg"] == "output_cov/Sigmoid:0"


def test_jetsons_script_runs_from_another_folder(tmp_path: Path) -> None:
    model = NetworkFile("it's mine.onnx")
    export_settings(preset("jetson-inference"), "jetson", model=model).write(tmp_path / "jet son")
    for name, does in {"detectnet": 'printf "%s\\n" "$@"', "trtexec": 'touch "${2#--saveEngine=}"'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "jet son/detectnet.sh", "clip.mp4"]
    said = subprocess.run(command, cwd=tmp_path, env=path, capture_output=True, text=True, check=True)
    *options, source, shown = said.stdout.splitlines()
    assert (source, shown) == ("clip.mp4", "display://0"), "the clip lies where the script is called"
    files = [option.partition("=")[2] for option in options[:2]]
    assert files == ["jet son/it's mine.engine", "jet son/labels.txt"]
    assert all((tmp_path / file).is_file() for file in files)


def test_every_file_says_what_does_not_transfer_and_for_which_fit() -> None:
    for target in Target:
        made = export_settings(preset("default"), target, nearest=True)
        assert made.notes
        for name, content in made.files.items():
            if name in ("labels.txt", "triton_model_repo/peoplenet/config.pbtxt"):
                continue
            assert isinstance(content, str)
            for text in (*made.notes[1:], "stretched to 960x544"):
                assert text in content, f"{target}: {name}"


def test_the_files_name_the_model_that_is_given(tmp_path: Path) -> None:
    from onnx_builder import detectnet
    from onnx_builder import write as write_model

    model = write_model(detectnet(), tmp_path / "it's mine.onnx")
    text = text_of(preset("deepstream"), "deepstream", model=model)
    assert f"onnx-file={model.resolve()}" in text
    assert "infer-dims=3;32;64" in text
    made = export_settings(preset("jetson-inference"), "jetson", model=model)
    import onnx

    fixed = onnx.load_from_string(made.files["it's mine_b1.onnx"])
    assert [t.type.tensor_type.shape.dim[0].dim_value for t in (*fixed.graph.input, *fixed.graph.output)] == [
        1
    ] * 3
    with pytest.raises(SettingsError, match="line break"):
        export_settings(preset("deepstream"), "deepstream", model=NetworkFile("a\nb.onnx"))
    with pytest.raises(ModelError):
        export_settings(preset("deepstream"), "deepstream", model=tmp_path / "no.onnx")


# Refusals and the nearest


@pytest.mark.parametrize(
    ("target", "asked", "words"),
    [
        ("deepstream", preset("tao"), ["flavour"]),
        ("nvinferserver", preset("tao"), ["flavour", "min_sum: 0.9 for all"]),
        ("savant", preset("tao"), ["nms instead of dbscan", "sum of coverages"]),
        ("triton", preset("default"), ["dbscan instead of nms"]),
        ("triton", preset("triton", "letterbox"), ["stretch instead of letterbox"]),
        ("triton", preset("triton", "near"), ["stretch instead of near"]),
        ("deepstream", preset("deepstream", "near"), ["letterbox instead of near"]),
        ("tao", preset("triton"), ["min_samples: 1 instead of 0.05"]),
        ("tao", preset("deepstream"), ["top_k: none"]),
        ("jetson", preset("default"), ["threshold: 0.4 for all, person's"]),
        ("isaac", preset("deepstream"), ["dbscan instead of nms", "top_k", "threshold: 0.4 for all"]),
        ("nvinferserver", Settings(clustering="hybrid", flavour="deepstream"), ["nms instead of hybrid"]),
        ("deepstream", Settings(default=ClassSettings(min_width=10.5)), ["min_width: rounded"]),
        ("nvinferserver", Settings().with_class("face", nms_iou=0.3), ["nms_iou: 0.5 for all, person's"]),
        ("savant", Settings(default=ClassSettings(roi_top=9)), ["roi_top: none"]),
        ("tao", Settings(default=ClassSettings(max_height=90)), ["max_height: none"]),
        ("deepstream", preset("tao").replace(flavour="deepstream", top_k=3), ["score: max instead of sum"]),
        (
            "triton",
            Settings(clustering="dbscan", default=ClassSettings(min_confidence=0.5)),
            ["min_confidence: not"],
        ),
    ],
)
def test_what_a_target_cannot_do_is_refused_with_the_nearest(
    target: str, asked: Settings, words: list[str]
) -> None:
    with pytest.raises(SettingsError, match="cannot do") as caught:
        export_settings(asked, target)
    for word in words:
        assert word in str(caught.value.seen)
    made = export_settings(asked, target, nearest=True)
    assert export_settings(made.settings, target).changes == (), "the nearest must be taken as it is"
    assert all(change in "\n".join(map(str, made.files.values())) for change in made.changes)


share = st.floats(0, 1).map(lambda value: round(value, 4))
numbers = st.builds(
    ClassSettings,
    threshold=share,
    min_width=st.integers(0, 90).map(float),
    min_height=st.integers(0, 90).map(float),
    min_confidence=share,
    max_width=st.sampled_from([0.0, 0.4, 300.0]),
    max_height=st.sampled_from([0.0, 250.0]),
    roi_top=st.sampled_from([0.0, 40.0]),
    roi_bottom=st.sampled_from([0.0, 12.0]),
    min_sum=st.sampled_from([0.0, 0.7, 1.5]),
    nms_iou=st.none() | share,
    eps=st.none() | share,
    min_samples=st.none() | st.sampled_from([0.0, 0.5, 1.0, 3.0]),
    top_k=st.none() | st.integers(1, 9),
)
any_settings = st.builds(
    Settings,
    preset=st.just("custom"),
    fit=st.sampled_from(["stretch", "letterbox"]),
    clustering=st.sampled_from(["nms", "dbscan", "hybrid"]),
    nms_iou=share,
    eps=share,
    min_samples=st.floats(0, 5).map(lambda value: round(value, 2)),
    flavour=st.sampled_from(["tao", "deepstream"]),
    score=st.sampled_from(["max", "sum"]),
    top_k=st.none() | st.integers(1, 50),
    default=numbers,
    classes=st.dictionaries(st.sampled_from([*LABELS, "car"]), numbers),
)


@hypothesis_settings(deadline=None)
@given(asked=any_settings, target=st.sampled_from(list(Target)))
def test_the_nearest_is_always_taken_and_stays_what_it_is(asked: Settings, target: Target) -> None:
    near, _ = nearest_settings(asked, target, LABELS)
    assert nearest_settings(near, target, LABELS) == (near, ())
    export_settings(near, target)


def effective(settings: Settings) -> tuple[Any, ...]:
    """What settings do, class by class: without what nothing comes of."""
    dbscan, nms = (settings.clustering is kind for kind in (Clustering.DBSCAN, Clustering.NMS))
    rows = []
    for label in LABELS:
        row = {f.name: getattr(settings.for_class(label), f.name) for f in fields(ClassSettings)}
        row |= {name: settings.own(label, name) for name in OWN}
        idle = ["nms_iou"] * dbscan + ["eps", "min_samples"] * nms + ["min_sum"] * (not dbscan)
        rows.append({name: value for name, value in row.items() if name not in idle})
    return settings.fit, settings.clustering, dbscan and settings.score, nms or settings.flavour, rows


ROUND = {
    Target.DEEPSTREAM: ".txt",
    Target.DEEPSTREAM_YAML: ".yml",
    Target.NVINFERSERVER: "config_inferserver_peoplenet.txt",
    Target.SAVANT: "module.yml",
    Target.TAO: "inferencer_spec.txt",
    Target.TRITON: ".prototxt",
    Target.JETSON: ".sh",
    Target.ISAAC: "params.yaml",
}


@hypothesis_settings(deadline=None, max_examples=200)
@given(asked=any_settings, target=st.sampled_from(list(ROUND)))
@example(
    asked=Settings(default=ClassSettings(top_k=9), classes={label: ClassSettings() for label in LABELS}),
    target=Target.DEEPSTREAM,
)
def test_what_is_written_reads_back_exactly(
    asked: Settings, target: Target, tmp_path_factory: pytest.TempPathFactory
) -> None:
    near, _ = nearest_settings(asked, target, LABELS)
    path = write(tmp_path_factory.mktemp("round"), f"x{ROUND[target]}", text_of(near, target, ROUND[target]))
    read = import_settings(path)
    assert read.target is target
    assert effective(read.settings) == effective(near)
    notes = [note for note in read.notes if "padding" not in note]
    assert len(notes) == (target in (Target.JETSON, Target.ISAAC)), read.notes


def test_tao_reads_a_training_specification_too(tmp_path: Path) -> None:
    files = export_settings(preset("tao"), "tao").files
    text = str(files["postprocessing_config.txt"])
    one = import_settings(write(tmp_path, "a.txt", text)).settings
    bare = re.sub(r"postprocessing_config \{|\}\s*$", "", text)
    two = import_settings(write(tmp_path, "a.txt", bare)).settings
    for label in LABELS:
        assert one.for_class(label) == two.for_class(label) == preset("tao").for_class(label)


# Other people's files


SCALE = "net-scale-factor=0.00392156979"
SAMPLE = """
# a line
[property]
gpu-id=0
net-scale-factor=0.0039215697906911373
onnx-file=../../../models/peoplenet/resnet34_peoplenet_int8.onnx
labelfile-path=../../../models/peoplenet/labels.txt
model-engine-file=../../../models/peoplenet/resnet34_peoplenet_int8.onnx_b2_gpu0_fp16.engine
infer-dims=3;544;960
batch-size=2
process-mode=1
model-color-format=0
network-mode=2
num-detected-classes=3
cluster-mode=2
interval=0
gie-unique-id=1
output-blob-names=output_bbox/BiasAdd:0;output_cov/Sigmoid:0
scaling-compute-hw=1
[class-attrs-all]
topk=20
nms-iou-threshold=0.5
pre-cluster-threshold=0.2
[class-attrs-0]
topk=20
nms-iou-threshold=0.5
pre-cluster-threshold=0.4
"""


def read(tmp_path: Path, text: str, name: str = "c.txt") -> Any:
    return import_settings(write(tmp_path, name, text))


def test_nvidias_sample_for_peoplenet_is_the_preset(tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLE)
    assert found.notes == ()
    assert found.settings.replace(preset="deepstream") == preset("deepstream", "stretch")
    lines = [line for line in SAMPLE.splitlines() if "=" in line or "[" in line]
    twin = "\n".join(
        f"{line.strip('[]')}:" if line.startswith("[") else f"  {line.replace('=', ': ', 1)}"
        for line in lines
    )
    assert read(tmp_path, twin, "c.yml").settings.replace(preset="deepstream") == preset(
        "deepstream", "stretch"
    )


def test_nvidias_tuned_configuration_is_read(tmp_path: Path) -> None:
    text = f"""[property]
{SCALE}
cluster-mode=3
[class-attrs-all]
pre-cluster-threshold=0.1429
nms-iou-threshold=0.4688
minBoxes=3
dbscan-min-score=0.7726
eps=0.2538
detected-min-w=20
detected-min-h=20
"""
    found = read(tmp_path, text)
    (note,) = found.notes
    assert "dbscan-min-score does nothing in cluster-mode 3" in note
    assert found.settings.replace(preset="deepstream-tuned") == preset("deepstream-tuned", "stretch")


def test_the_sample_of_the_triton_client_is_the_preset(tmp_path: Path) -> None:
    def one(label: str, confidence: float) -> str:
        return f"""classwise_clustering_config{{
    key: "{label}"
    value: {{
        coverage_threshold: 0.005
        minimum_bounding_box_height: 4
        dbscan_config{{ dbscan_eps: 0.3 dbscan_min_samples: 0.05 dbscan_confidence_threshold: {confidence} }}
        bbox_color{{ R: 0 G: 255 B: 0 }}
    }}
}}"""

    text = "linewidth: 4\nstride: 16\n" + one("person", 0.9) + one("bag", 0.9) + one("face", 0.7)
    found = read(tmp_path, text, "c.prototxt")
    assert found.notes == ()
    assert found.settings.replace(preset="triton") == preset("triton", "stretch")


def test_nvinferservers_sample_is_read(tmp_path: Path) -> None:
    text = """infer_config {
  unique_id: 1 gpu_ids: [0] max_batch_size: 16
  backend { inputs: [ { name: "input_1:0" } ] triton { model_name: "peoplenet" version: -1 } }
  preprocess { network_format: IMAGE_FORMAT_RGB maintain_aspect_ratio: 0
    normalize { scale_factor: 0.0039215697906911373 channel_offsets: [0, 0, 0] } }
  postprocess { labelfile_path: "labels.txt" detection {
      num_detected_classes: 4
      per_class_params { key: 0 value { pre_threshold: 0.4 } }
      nms { confidence_threshold: 0.2 iou_threshold: 0.5 topk: 20 } } }
}
input_control { process_mode: PROCESS_MODE_FULL_FRAME operate_on_gie_id: -1 interval: 0 }
output_control { detect_control { default_filter { bbox_filter { min_width: 32 min_height: 32 } roi_top_offset: 5 } } }
"""
    found = read(tmp_path, text)
    assert (found.target, found.notes) == (Target.NVINFERSERVER, ())
    assert found.settings.for_class("person") == ClassSettings(0.4, 32, 32, roi_top=5)
    assert found.settings.for_class("face").threshold == 0.2
    assert (found.settings.nms_iou, found.settings.top_k) == (0.5, 20)
    other = read(tmp_path, text.replace("FORMAT_RGB", "FORMAT_BGR").replace("[0, 0, 0]", "[0, 0, 9]"))
    assert [note.split()[0] for note in other.notes] == ["network_format", "channel_offsets"]


def test_savants_sample_is_read(tmp_path: Path) -> None:
    text = """name: peoplenet
parameters: {frame: {width: 1280, height: 720}}
pipeline:
  elements:
    - element: nvinfer@detector
      name: peoplenet
      model:
        format: onnx
        input: {shape: [3, 544, 960], scale_factor: 0.0039215697906911373}
        output:
          num_detected_classes: 3
          objects:
            - {class_id: 0, label: person, selector: {kwargs: {min_width: 20, min_height: 40, top_k: 9}}}
            - {class_id: 2, label: face, selector: {kwargs: {confidence_threshold: 0.1, nms_iou_threshold: 0.3}}}
    - element: pyfunc
"""
    found = read(tmp_path, text, "module.yml")
    assert found.target is Target.SAVANT
    assert found.settings.for_class("person") == ClassSettings(0.5, 20, 40, top_k=9)
    assert found.settings.own("face", "nms_iou") == 0.3
    assert found.settings.for_class("face").min_width == 32, "left out it is 32 there"
    assert found.notes == ("'bag' is not named: there it is not looked for.",)


def test_isaacs_own_parameters_are_read_and_what_they_do_is_said(tmp_path: Path) -> None:
    text = """/**:
  ros__parameters:
    label_list: [person, bag, face]
    enable_confidence_threshold: true
    enable_bbox_area_threshold: true
    min_bbox_area: 100
    confidence_threshold: 0.35
    dbscan_confidence_threshold: 0.35
    dbscan_eps: 0.7
    dbscan_min_boxes: 1
    bounding_box_scale: 35.0
    bounding_box_offset: 0.5
"""
    found = read(tmp_path, text, "params.yaml")
    assert found.target is Target.ISAAC
    assert found.settings.default == ClassSettings(0.35, min_sum=0.35)
    assert (found.settings.eps, found.settings.clustering) == (0.7, "dbscan")
    notes = " ".join(found.notes)
    assert "min_bbox_area cannot be held: 100" in notes
    assert "moves boxes by 7.5 pixels" in notes


def test_the_sample_of_tao_for_cars_is_read(tmp_path: Path) -> None:
    eps = {"car": 0.13, "bicycle": 0.3, "person": 0.265, "road_sign": 0.15}
    handlers = "".join(
        f"""  classwise_bbox_handler_config{{
    key:"{label}"
    value: {{
      confidence_model: "aggregate_cov" output_map: "{label}" bbox_color{{ R: 0 G: 255 B: 0 }}
      clustering_config{{ coverage_threshold: 0.005 dbscan_eps: {value} dbscan_min_samples: 1
        minimum_bounding_box_height: 4 dbscan_confidence_threshold: 0.9 }}
    }}
  }}"""
        for label, value in eps.items()
    )
    text = f"""inferencer_config{{ # a comment
  target_classes: "car" image_width: 960 image_height: 544 batch_size: 16 stride: 16
  tensorrt_config{{ parser:  ETLT backend_data_type: FP16 calibrator_config{{ n_batches: 10 }} }} }}
bbox_handler_config{{ disable_overlay: false overlay_linewidth: 2 {handlers} }}"""
    found = import_settings(write(tmp_path, "c.txt", text), tuple(eps))
    assert found.notes == ()
    assert {label: found.settings.own(label, "eps") for label in eps} == eps
    assert found.settings.for_class("car") == preset("tao").for_class("person")
    ours = import_settings(tmp_path / "c.txt")
    assert ours.settings.eps == 0.265
    assert "'car' is no class of the model." in ours.notes


def attributes(mode: str, rest: str = "") -> str:
    return f"[property]\n{SCALE}\n{mode}\n[class-attrs-all]\npre-cluster-threshold=0.3\n{rest}\n"


@pytest.mark.parametrize(
    ("text", "fields", "word"),
    [
        (attributes("cluster-mode=0", "topk=5\nnms-iou-threshold=0.9"), {"nms_iou": 0.5, "top_k": 20}, "topk=20"),
        (attributes("gpu-id=0"), {"nms_iou": 0.5, "top_k": 20}, "is not said"),
        (attributes("cluster-mode=1", "minBoxes=2\neps=0.6"), {"eps": 0.6, "min_samples": 2}, ""),
        (attributes("cluster-mode=1", "eps=0.6"), {"clustering": "nms", "nms_iou": 1.0}, "skipped"),
        (attributes("enable-dbscan=1", "minBoxes=2\neps=0.6"), {"clustering": "dbscan", "eps": 0.6}, ""),
        (attributes("cluster-mode=2"), {"nms_iou": 0.3, "top_k": None}, ""),
        (attributes("cluster-mode=3", "minBoxes=2\neps=0.6"), {"clustering": "hybrid", "nms_iou": 0.3}, ""),
        (attributes("cluster-mode=3", "eps=0.6"), {"clustering": "hybrid", "min_samples": 0}, ""),
        (attributes("cluster-mode=4", "post-cluster-threshold=0.5"), {"nms_iou": 1.0}, "does nothing"),
        (attributes("cluster-mode=2\nmaintain-aspect-ratio=1"), {"fit": "letterbox"}, "reach into the padding"),
        (attributes("cluster-mode=1", "eps=0.5\n[class-attrs-1]\nminBoxes=2"), {"eps": 0.5}, "held beside"),
        (attributes("cluster-mode=2\ninterval=2"), {}, "interval=2"),
        (attributes("cluster-mode=2", "[class-attrs-1]\nnms-iou-threshold=0.7"), {"nms_iou": 0.3}, ""),
        (attributes("cluster-mode=2", "[class-attrs-7]\ntopk=3"), {"top_k": None}, "class-attrs-7"),
        (attributes("  cluster-mode=2", "  topk=3"), {"top_k": 3}, ""),  # an indented key is no continuation
    ],
)  # fmt: skip
def test_keys_mean_what_nvinfer_does_with_them(
    text: str, fields: dict[str, Any], word: str, tmp_path: Path
) -> None:
    found = read(tmp_path, text)
    for name, value in fields.items():
        assert getattr(found.settings, name) == value, name
    assert found.settings.default.threshold == 0.3
    assert (word in " ".join(found.notes)) if word else not found.notes


def test_what_nvinfer_says_of_a_class_is_held_for_it(tmp_path: Path) -> None:
    text = attributes(
        "cluster-mode=1",
        "eps=0.5\nminBoxes=2\ndbscan-min-score=1.5\npost-cluster-threshold=0.4\ndetected-max-w=200\n"
        "[class-attrs-2]\neps=0.3\nminBoxes=4\ntopk=7\nroi-top-offset=30\nroi-bottom-offset=9\ndetected-max-h=99",
    )
    found = read(tmp_path, text)
    assert found.notes == ()
    common = ClassSettings(0.3, min_confidence=0.4, min_sum=1.5, max_width=200)
    assert found.settings.for_class("person") == common
    own = {"eps": 0.3, "min_samples": 4, "top_k": 7, "roi_top": 30, "roi_bottom": 9, "max_height": 99}
    assert found.settings.for_class("face") == replace(common, **own)


def test_classes_override_what_is_said_for_all_wherever_it_stands(tmp_path: Path) -> None:
    text = """[class-attrs-2]
threshold=0.1
[class-attrs-all]
pre-cluster-threshold=0.3
post-cluster-threshold=0.35
detected-min-h=8
[property]
cluster-mode=2
"""
    found = read(tmp_path, text).settings
    assert found.for_class("face") == ClassSettings(0.1, 0, 8, 0.35)
    assert found.for_class("person") == ClassSettings(0.3, 0, 8, 0.35)
    twin = "property:\n  cluster-mode: 2\nclass-attrs-2:\n  threshold: 0.1\n"
    inside = read(tmp_path, twin, "c.yml")
    assert inside.settings.for_class("face").threshold == 0.2, "nvinfer does not know the key in YAML"
    assert any("threshold of class-attrs-2" in note for note in inside.notes)
    assert any("net-scale-factor is 1" in note for note in inside.notes), "what is left out is 1 there"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (attributes("cluster-mode=2", "minboxes=3"), ["minboxes", "minBoxes"]),
        (attributes("cluster-mode=2", "topk=-1"), ["topk", "-1"]),
        (attributes("cluster-mode=2", "topk=0"), ["topk", "no box"]),
        (attributes("cluster-mode=7"), ["cluster-mode", "7"]),
        (attributes("cluster-mode=2\nclustering=1"), ["clustering"]),
        (attributes("cluster-mode=two"), ["cluster-mode", "two"]),
        (attributes("cluster-mode=2\nmaintain-aspect-ratio=1\nsymmetric-padding=1"), ["both sides"]),
        (attributes("cluster-mode=2\nnetwork-type=1"), ["not of a detector"]),
        (attributes("cluster-mode=1", "minBoxes=1\neps=1.5"), ["eps", "1.5"]),
        ("[application]\nx=1\n[primary-gie]\nconfig-file=a.txt\n", ["deepstream-app", "config-file"]),
        ("[property]\ncluster-mode=2\n[tracker]\nx=1\n", ["tracker"]),
        ("[property]\ncluster-mode 2\nx=1\n", ["cannot be read"]),
        ("hello", ["no program"]),
        ("", ["no program"]),
        ('classwise_clustering_config{key:"person" value:{coverage_treshold:1}}', ["coverage_treshold"]),
        ('classwise_clustering_config{key:"dog" value:{}}', ["names no class", "dog"]),
        ('classwise_clustering_config{key:"person" value:{coverage_threshold:much}}', ["coverage_threshold of person"]),
        ('classwise_clustering_config{key:"person" value:{', ["not closed"]),
        ("target_class_config{" * 40, ["nests"]),
        ('target_class_config{key:"person" value{clustering_config{dbscan_min_samples: 0.05}}}', ["whole number"]),
        ('target_class_config{key:"person" value{clustering_config{clustering_algorithm: KMEANS}}}', ["KMEANS"]),
        ("detectnet --confidence=0.5 --nms=3", ["nms"]),
        ("detectnet --confidence=high", ["--confidence", "high"]),
        ("detectnet --confidence='0.5", ["quotation"]),
        ("property: 1\nclass-attrs-all: 2", ["property is no group"]),
        ("infer_config { postprocess { detection { group_rectangle { } } } }", ["group_rectangle"]),
        ("infer_config { postprocess { detection { nms { iou: 1 } } } }", ["iou_threshold"]),
        ("infer_config { preprocess { symmetric_padding: 1 } }", ["both sides"]),
        ("output: {objects: [{label: person, selector: {kwargs: {nms_threshold: 1}}}]}", ["nms_iou_threshold"]),
        ("output: {objects: [{label: person, selector: {kwargs: {top_k: many}}}]}", ["top_k of person"]),
        ("output: {objects: [7]}", ["no label"]),
        ("dbscan_eps: 0.5\ndbscan_min_box: 1", ["dbscan_min_boxes"]),
        ("dbscan_eps: high", ["dbscan_eps", "high"]),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error_that_names_it(
    text: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_hostile_files_end_in_an_error_of_ours(tmp_path: Path) -> None:
    import os

    cases = {
        "large": "#" * (2 << 20),
        "aliases.yml": "property: &a {x: 1}\nclass-attrs-all: *a\n",
        "list.yml": "property: [1]\nclass-attrs-all: {}\n",
        "deep.yml": "property: " + "[" * 500,
        "nul": "\0" * 50,
    }
    for name, text in cases.items():
        with pytest.raises(PeopleNetError):
            read(tmp_path, text, name)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(SettingsError):
            import_settings(path)


@hypothesis_settings(deadline=None)
@given(text=st.text(alphabet="{}<>:[]\"'#\\,; \nakey0.5-", max_size=60))
def test_any_text_is_read_or_refused(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x"
    path.write_text(text)
    try:
        fields = read_prototext(path)
    except ValueError:
        return
    path.write_text(to_prototext(fields))
    assert read_prototext(path) == fields


@hypothesis_settings(deadline=None, max_examples=300)
@given(target=st.sampled_from(list(ROUND)), data=st.data())
def test_a_damaged_file_is_read_or_refused_with_an_error_of_ours(
    target: Target, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = text_of(preset("jetson-inference"), target, ROUND[target], nearest=True)
    text = "\n".join(line for line in text.splitlines() if not line.startswith("# "))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 12))
        put = data.draw(
            st.sampled_from(
                ["", "{", "}", "=", ":", "-1", "nan", "1e999", "\0", '"', "'", "[", "x: [1]", "\n", "é", "&a"]
            )
        )
        text = text[:place] + put + text[place + gone :]
    path = tmp_path_factory.mktemp("damaged") / f"x{ROUND[target]}"
    path.write_text(text, encoding="utf-8")
    with suppress(PeopleNetError):
        import_settings(path)
    with suppress(PeopleNetError):
        import_settings(f"detectnet --confidence=0.5 {text}")


def test_jetsons_command_is_read_where_it_stands(tmp_path: Path) -> None:
    line = "detectnet --model=peoplenet.onnx --labels=l.txt --threshold=0.3 --clustering=0.5 /dev/video0"
    found = import_settings(line)
    assert found.settings.default.threshold == 0.3
    assert found.settings.nms_iou == pytest.approx(1 / 3)
    assert "SSD" in found.notes[1]
    script = "#!/bin/sh\n./" + line.replace(" --labels", " \\\n  --labels") + " --input-width=9\n"
    assert read(tmp_path, script, "d.sh").notes == found.notes


def test_a_class_that_is_not_named_is_said(tmp_path: Path) -> None:
    text = """classwise_clustering_config { key: "Person" value { coverage_threshold: 0.1
      dbscan_config { dbscan_eps: 0.5 dbscan_min_samples: 0.2 } } }
      classwise_clustering_config { key: "car" value: < coverage_threshold: 0.2 > }"""
    found = read(tmp_path, text)
    assert found.settings.for_class("person").threshold == 0.1
    assert [note.split("'")[1] for note in found.notes] == ["car", "bag", "face"]


# The command


def invoke(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, [str(a) for a in args])
    return result.exit_code, result.output


def test_the_command_writes_refuses_and_reads_back(tmp_path: Path) -> None:
    code, output = invoke("export", "deepstream", "--threshold", "face=0.1", "-o", tmp_path / "ds")
    assert code == 0, output
    assert "does not" not in output.splitlines()[0]
    config = tmp_path / "ds" / "config_infer_primary_peoplenet.txt"
    assert (tmp_path / "ds" / "labels.txt").read_text().split() == list(LABELS)
    assert invoke("export", "deepstream", "-o", tmp_path / "ds")[0] == 1
    assert invoke("export", "deepstream", "-o", tmp_path / "ds", "--overwrite")[0] == 0
    assert import_settings(config).settings.for_class("face").threshold == 0.2
    code, output = invoke("export", "triton", "-o", tmp_path / "t")
    assert (code, "--nearest" in output) == (1, True)
    assert invoke("export", "triton", "-o", tmp_path / "t", "--nearest")[0] == 0
    assert invoke("settings", "--from", config, "-o", tmp_path / "s.yaml")[0] == 0
    assert Settings.from_yaml(tmp_path / "s.yaml").for_class("person").threshold == 0.4
    assert cli_export.TARGETS.split("|") == list(Target)
    with pytest.raises(OutputError):
        export_settings(preset("deepstream"), "deepstream").write(tmp_path / "ds")
    assert "for deepstream" in str(export_settings(replace(preset("deepstream")), "deepstream"))
    assert "class-attrs-all" in export_settings(preset("deepstream"), "deepstream")._repr_html_()
    assert "cannot be held" not in import_settings(config)._repr_html_()


def test_auto_is_exported_with_the_fit_of_the_run_else_says_what_is_needed() -> None:
    def frames(*sizes: tuple[int, int]) -> list[Grids]:
        made = random_grids(1)
        return [
            Grids(made.coverage, made.boxes, Fit.of(size, (960, 544), "auto"), made.labels) for size in sizes
        ]

    auto = preset("default")
    alone = export_settings(auto, "deepstream")
    assert alone.settings == preset("default", "stretch")
    assert "--fit letterbox" in alone.notes[0]
    for size, fit, threshold in (((640, 480), "letterbox", "0.5"), ((1280, 720), "stretch", "0.4")):
        made = export_settings(auto, "deepstream", run=frames(size, size))
        text = str(made.files["config_infer_primary_peoplenet.txt"])
        assert made.settings == preset("default", fit)
        assert f"maintain-aspect-ratio={int(fit == 'letterbox')}" in text
        assert f"pre-cluster-threshold={threshold}" in text
        jetson = export_settings(auto, "jetson", nearest=True, run=frames(size, size))
        assert "--confidence=0.4" in str(jetson.files["detectnet.sh"]), (
            "stretched there, whatever the run did"
        )
        assert (jetson.difference is None) == (fit == "letterbox")
        assert not any(change.startswith("fit") for change in jetson.changes)
    with pytest.raises(SettingsError, match=r"both kinds.*--fit stretch or --fit letterbox"):
        export_settings(auto, "deepstream", run=frames((640, 480), (1280, 720)))


@pytest.mark.parametrize("key", ["null", "5", "true"])
def test_isaacs_keys_that_are_no_text_are_refused(key: str, tmp_path: Path) -> None:
    text = f"/**:\n  ros__parameters:\n    label_list: [person]\n    dbscan_eps: 0.7\n    {key}: 3\n"
    with pytest.raises(SettingsError, match="Unknown key"):
        read(tmp_path, text, "params.yaml")
