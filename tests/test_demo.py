"""The demo's data: the clip, its ground truth, and the stand-in network with the bars it must reach."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise

import av
import numpy as np
import onnx
import pytest

from peoplenet_nb.decoding import decode
from peoplenet_nb.demo import STANDIN, STANDIN_RECORD, demo_clip, demo_truth
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.onnxfile import head_health, read_model_file
from peoplenet_nb.settings import PEOPLENET_LABELS, preset
from peoplenet_nb.sources import open_source
from tools.standin.measure import HELD_OUT_SEEDS, precision_on
from tools.standin.render import DEMO_SEED

BARS = {"person": 0.85, "bag": 0.70, "face": 0.70}
# Of every twelfth frame of the clip, on ONNX Runtime's CPU provider.
PRECISION = {"person": 0.913, "bag": 0.752, "face": 0.817}


@pytest.fixture(scope="module")
def record() -> dict[str, object]:
    return dict(json.loads(STANDIN_RECORD.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def net() -> PeopleNet:
    return PeopleNet.load(STANDIN, device="cpu")


# --- clip and ground truth -----------------------------------------------------------------------------------


def test_the_clip_is_h264_with_the_promised_size_rate_and_length() -> None:
    with av.open(str(demo_clip())) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (1280, 720)
        assert float(stream.average_rate or 0) == 25.0
        assert stream.frames == sum(1 for packet in container.demux(stream) if packet.size) == 300


def test_players_can_start_before_they_have_the_whole_file() -> None:
    data = demo_clip().read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_every_frame_has_its_truth_inside_the_picture() -> None:
    truths = demo_truth()
    assert [truth.frame for truth in truths] == list(range(300))
    assert {label for truth in truths for label in truth.labels} == set(PEOPLENET_LABELS)
    for truth in truths:
        assert "person" in truth.labels
        assert (truth.xyxy >= 0).all()
        assert (truth.xyxy <= (1280, 720, 1280, 720)).all()
        assert (truth.xyxy[:, 2:] > truth.xyxy[:, :2]).all()
        assert ((truth.visibility > 0) & (truth.visibility <= 1)).all()


def test_an_object_keeps_its_number_and_moves_little_from_frame_to_frame() -> None:
    truths = demo_truth()
    for before, after in pairwise(truths):
        assert len(set(after.track_id.tolist())) == len(after)
        shared, old, new = np.intersect1d(before.track_id, after.track_id, return_indices=True)
        assert len(shared) >= len(after) - 4, "objects come and go one by one"
        assert np.array_equal(before.class_id[old], after.class_id[new])


# --- the stand-in network ------------------------------------------------------------------------------------


def test_names_shapes_and_operators_are_peoplenets() -> None:
    proto = onnx.load(str(STANDIN))
    onnx.checker.check_model(proto, full_check=True)

    def shape(value: onnx.ValueInfoProto) -> list[str | int]:
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    assert {v.name: shape(v) for v in proto.graph.input} == {"input_1:0": ["N", 3, 544, 960]}
    assert {v.name: shape(v) for v in proto.graph.output} == {
        "output_cov/Sigmoid:0": ["N", 3, 34, 60],
        "output_bbox/BiasAdd:0": ["N", 12, 34, 60],
    }
    assert {node.op_type for node in proto.graph.node} <= {"Cast", "Conv", "Relu", "Add", "Sigmoid"}
    assert 13 <= proto.opset_import[0].version <= 17
    assert proto.ir_version <= 10


def test_the_file_says_that_it_is_a_stand_in_and_stays_small() -> None:
    file = read_model_file(STANDIN)
    assert file.standin
    assert file.size <= 400_000
    assert file.labels == PEOPLENET_LABELS
    assert "not NVIDIA" in file.metadata["description"]
    assert "demo clip only" in file.metadata["description"]


def test_every_head_is_alive() -> None:
    assert all(head.alive for head in head_health(STANDIN))


def test_the_record_belongs_to_the_file(record: dict[str, object]) -> None:
    content = STANDIN.read_bytes()
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["bytes"] == len(content)
    assert float(str(record["torch_against_onnx"])) <= 1e-4
    assert all(record["average_precision_101_iou50"][name] >= bar for name, bar in BARS.items())  # type: ignore[index]


def test_nothing_measured_was_trained_on(record: dict[str, object]) -> None:
    first, last = record["training_seeds"]  # type: ignore[misc]
    assert record["held_out_seeds"] == list(HELD_OUT_SEEDS)
    assert not any(first <= seed <= last for seed in (*HELD_OUT_SEEDS, DEMO_SEED))


def test_the_stand_in_finds_what_the_truth_of_the_clip_names() -> None:
    truths = demo_truth()
    source = open_source(demo_clip(), every=12)
    assert precision_on(STANDIN, ((f.image, truths[f.index]) for f in source)) == pytest.approx(
        PRECISION, abs=0.01
    )


def test_the_default_preset_finds_most_people_bags_and_faces_of_the_clip(net: PeopleNet) -> None:
    truths, found, real = demo_truth(), np.zeros(3), np.zeros(3)
    for frame in open_source(demo_clip(), every=50):
        detections = decode(net.infer(frame.image), preset("default")).detections
        found += np.bincount(detections.class_id, minlength=3)
        real += np.bincount(truths[frame.index].class_id, minlength=3)
    # The thresholds are PeopleNet's: the stand-in is less sure of people.
    assert (found > 0.55 * real).all()
    assert (found < 1.1 * real).all()


def test_a_batch_gives_what_single_frames_give(net: PeopleNet) -> None:
    frames = [frame.image for frame in open_source(demo_clip(), every=50, frames=2)]
    together = net.infer_batch(frames)
    for frame, grids in zip(frames, together, strict=True):
        alone = net.infer(frame)
        assert np.allclose(alone.coverage, grids.coverage, atol=1e-5)
        assert alone.boxes is not None
        assert grids.boxes is not None
        assert np.allclose(alone.boxes, grids.boxes, atol=1e-4)
