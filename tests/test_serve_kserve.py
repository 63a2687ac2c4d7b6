"""KServe v2 with the real Triton client, the calls of NVIDIA's sample client, and requests that do not fit."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
import requests

from peoplenet_nb.network import PeopleNet
from peoplenet_nb.serve import Limits
from peoplenet_nb.serve.service import Loaded
from peoplenet_nb.serve.tensors import HEADER, as_input
from peoplenet_nb.settings import preset
from services import WAIT, Gated, Running, gated, picture, running, standin

triton = pytest.importorskip("tritonclient.http")

NAME, COV, BBOX = "input_1:0", "output_cov/Sigmoid:0", "output_bbox/BiasAdd:0"
INFER = "/v2/models/peoplenet_tao/infer"
SHAPE = [1, 3, 544, 960]


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(limits=Limits(max_batch=4)) as made:
        yield made


@pytest.fixture(scope="module")
def client(service: Running):
    with triton.InferenceServerClient(service.url.removeprefix("http://")) as made:
        yield made


@pytest.fixture(scope="module")
def tensor() -> np.ndarray:
    return standin().network_input(picture())[0]


def asked(tensor: np.ndarray, *, binary: bool = True):
    given = triton.InferInput(NAME, tensor.shape, "FP32")
    given.set_data_from_numpy(tensor, binary_data=binary)
    return [given]


def test_triton_s_client_finds_server_and_model(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("peoplenet_tao")
    assert client.is_model_ready("peoplenet_tao", "1")
    assert not client.is_model_ready("peoplenet_tao", "2")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    with pytest.raises(triton.InferenceServerException, match="no such model"):
        client.get_model_metadata("resnet")


# The client writes a picture as 30 MB of JSON in seconds: once is enough.
@pytest.mark.parametrize(
    ("binary_in", "binary_out"), [(True, True), (True, False), (True, None), (False, None)]
)
def test_tensors_come_back_as_the_network_gives_them(
    client, tensor, binary_in: bool, binary_out: bool | None
) -> None:
    wanted = (
        None
        if binary_out is None
        else [triton.InferRequestedOutput(n, binary_data=binary_out) for n in (COV, BBOX)]
    )
    answer = client.infer("peoplenet_tao", asked(tensor, binary=binary_in), outputs=wanted, request_id="7")
    expected = standin().infer(picture())
    np.testing.assert_allclose(answer.as_numpy(COV)[0], expected.coverage, atol=1e-5)
    np.testing.assert_allclose(answer.as_numpy(BBOX)[0], expected.boxes, atol=1e-4)
    assert answer.get_response()["id"] == "7"
    assert answer.get_response()["model_name"] == "peoplenet_tao"


def test_several_pictures_and_one_output(client, tensor) -> None:
    batch = np.concatenate([tensor, np.zeros_like(tensor), tensor])
    answer = client.infer("peoplenet_tao", asked(batch), outputs=[triton.InferRequestedOutput(COV)])
    coverage = answer.as_numpy(COV)
    assert coverage.shape == (3, 3, 34, 60)
    np.testing.assert_allclose(coverage[0], coverage[2])
    assert coverage[1].max() < 0.1 < coverage[0].max()
    assert answer.as_numpy(BBOX) is None


def test_the_calls_of_nvidia_s_sample_client(client, tensor) -> None:
    """As `tao_client.py` makes them for DetectNet_v2: what it reads of metadata and configuration, then infer.

    Its postprocessor looks for two outputs by name, whatever the metadata says.
    """
    cov, bbox = "output_cov/Sigmoid", "output_bbox/BiasAdd"
    metadata = client.get_model_metadata(model_name="peoplenet_tao", model_version="")
    config = client.get_model_config(model_name="peoplenet_tao", model_version="")
    assert len(metadata["inputs"]) == len(config["input"]) == 1
    assert len(metadata["outputs"]) == len(config["output"]) == 2
    assert {output["datatype"] for output in metadata["outputs"]} == {"FP32"}
    assert len(metadata["inputs"][0]["shape"]) == 3 + (config["max_batch_size"] > 0)
    assert config["input"][0]["format"] == "FORMAT_NCHW"
    channels, height, width = metadata["inputs"][0]["shape"][1:]
    assert (channels, height, width) == (3, 544, 960)
    image = np.stack([tensor[0]] * config["max_batch_size"])
    given = triton.InferInput(metadata["inputs"][0]["name"], image.shape, metadata["inputs"][0]["datatype"])
    given.set_data_from_numpy(image)
    wanted = [triton.InferRequestedOutput(output["name"], class_count=0) for output in metadata["outputs"]]
    answers = [
        client.infer("peoplenet_tao", [given], request_id="1", model_version="", outputs=wanted),
        client.async_infer(
            "peoplenet_tao", [given], request_id="2", model_version="", outputs=wanted
        ).get_result(),
    ]
    for answer in answers:
        assert answer.as_numpy(cov).shape == (4, 3, 34, 60)
        assert answer.as_numpy(bbox).shape == (4, 12, 34, 60)


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_tensors_are_named_as_they_were_asked_for(client, tensor, suffix: str) -> None:
    """The model file has ``:0`` behind its names; NVIDIA's clients know them with it and without."""
    given = triton.InferInput("input_1" + suffix, tensor.shape, "FP32")
    given.set_data_from_numpy(tensor)
    names = ["output_cov/Sigmoid" + suffix, "output_bbox/BiasAdd" + suffix]
    for outputs in (None, [triton.InferRequestedOutput(name) for name in names]):
        answer = client.infer("peoplenet_tao", [given], outputs=outputs)
        assert {one["name"] for one in answer.get_response()["outputs"]} == set(names)
        assert answer.as_numpy(names[0]).shape == (1, 3, 34, 60)


def head(**changes: object) -> dict:
    tensor = {
        "name": NAME,
        "shape": SHAPE,
        "datatype": "FP32",
        "parameters": {"binary_data_size": 4 * 3 * 544 * 960},
    }
    return {"inputs": [tensor | changes]}


ZEROS = bytes(4 * 3 * 544 * 960)
BAD = {
    "no JSON": (b"{", {}),
    "nothing": (b"", {}),
    "no inputs": (b'{"inputs": []}', {}),
    "no values": (json.dumps(head(parameters={})).encode(), {}),
    "few values": (json.dumps(head(parameters={}, data=[1.0, 2.0])).encode(), {}),
    "nested values": (json.dumps(head(parameters={}, data=[[1.0], [2.0]])).encode(), {}),
    "words": (json.dumps(head(parameters={}, data=["a", "b"])).encode(), {}),
    "a million brackets": (b'{"inputs": [' + b"[" * 1_000_000, {}),
    "another name": (json.dumps(head(name="data")).encode(), {"behind": ZEROS}),
    "another type": (json.dumps(head(datatype="UINT8")).encode(), {"behind": ZEROS}),
    "another shape": (json.dumps(head(shape=[1, 544, 960, 3])).encode(), {"behind": ZEROS}),
    "no pictures": (json.dumps(head(shape=[0, 3, 544, 960])).encode(), {"behind": ZEROS}),
    "too many pictures": (json.dumps(head(shape=[5, 3, 544, 960])).encode(), {"behind": ZEROS}),
    "a negative shape": (json.dumps(head(shape=[-1, 3, 544, 960])).encode(), {"behind": ZEROS}),
    "bytes that are missing": (json.dumps(head()).encode(), {"behind": ZEROS[:-4]}),
    "bytes and values": (json.dumps(head(data=[1.0])).encode(), {"behind": ZEROS}),
    "not a number": (
        json.dumps(head()).encode(),
        {"behind": np.full(3 * 544 * 960, np.nan, np.float32).tobytes()},
    ),
    "a header beyond the body": (json.dumps(head()).encode(), {"behind": ZEROS, "said": "999999999"}),
    "a header that is no number": (json.dumps(head()).encode(), {"behind": ZEROS, "said": "-1"}),
    "an unknown output": (json.dumps(head() | {"outputs": [{"name": "boxes"}]}).encode(), {"behind": ZEROS}),
    "shared memory": (
        json.dumps(head(parameters={"shared_memory_region": "x", "binary_data_size": len(ZEROS)})).encode(),
        {"behind": ZEROS},
    ),
    "classification": (
        json.dumps(head() | {"outputs": [{"name": COV, "parameters": {"classification": 3}}]}).encode(),
        {"behind": ZEROS},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_requests_that_do_not_fit_are_refused_with_what_to_do(service: Running, name: str) -> None:
    text, more = BAD[name]
    headers = {HEADER: more.get("said", str(len(text)))} if more else {}
    answer = requests.post(
        service.url + INFER, data=text + more.get("behind", b""), headers=headers, timeout=WAIT
    )
    assert answer.status_code == 422, answer.text
    assert answer.json()["next_step"]
    assert service.service.gate.bytes == 0


def test_values_that_make_the_network_overflow_are_the_client_s_mistake(service: Running) -> None:
    text = json.dumps(head()).encode()
    huge = np.full(3 * 544 * 960, 3e38, np.float32).tobytes()
    answer = requests.post(
        service.url + INFER, data=text + huge, headers={HEADER: str(len(text))}, timeout=WAIT
    )
    assert answer.status_code in (200, 422), answer.text


def test_a_variant_that_takes_bytes_gets_the_same_pixels(tensor) -> None:
    model = standin()

    class Bytes:
        channels_last = True

    as_bytes = PeopleNet(model.file, Gated(), runs=Bytes())
    got = as_input(tensor, Loaded(as_bytes, preset(), 1))
    assert got.dtype == np.uint8
    expected, _ = as_bytes.preprocess(picture())
    np.testing.assert_array_equal(got, expected)
    assert as_input(tensor, Loaded(gated(Gated()), preset(), 1)) is tensor
