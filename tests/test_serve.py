"""The service over HTTP: pictures in, boxes out; tokens; errors in one form; files that change while it runs."""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
import requests

import peoplenet_nb as pn
from peoplenet_nb.paths import STANDIN
from peoplenet_nb.serve import Client, Limits, Problem, ServiceError
from peoplenet_nb.serve.service import hash_of
from services import WAIT, Gated, Running, encoded, gated, picture, running, standin, until

TOKEN = "a-token-of-many-letters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(limits=Limits(body_mb=2, megapixels=4)) as made:
        yield made


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return picture()


@pytest.fixture(scope="module")
def jpeg(image: np.ndarray) -> bytes:
    return encoded(image)


def post(service: Running, path: str, body: bytes | dict | None = None, **more) -> requests.Response:
    return requests.post(service.url + path, data=body, timeout=WAIT, **more)


def problem(answer: requests.Response, status: int) -> Problem:
    """Every error has the same form, with something to do about it."""
    assert answer.status_code == status, answer.text
    told = Problem.model_validate_json(answer.content)
    assert told.status == status
    assert told.error
    assert told.next_step
    return told


def test_boxes_are_those_of_the_package(service: Running, jpeg: bytes) -> None:
    model, decoded = standin(), cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    expected = model.detect(decoded)
    assert len(expected)
    alone = post(service, "/detect", jpeg).json()
    assert alone["times"]["batch"] == 1
    with ThreadPoolExecutor(4) as pool:  # some of these go side by side where there are several cores
        together = list(pool.map(lambda _: post(service, "/detect", jpeg).json(), range(8)))
    for answer in (alone, *together):
        assert answer["counts"] == expected.counts()
        assert [box["label"] for box in answer["boxes"]] == expected.class_name
        got = np.array([[box[k] for k in ("x1", "y1", "x2", "y2")] for box in answer["boxes"]])
        assert got == pytest.approx(expected.xyxy, abs=0.006)
        assert answer["frame_size"] == [decoded.shape[1], decoded.shape[0]]
        assert answer["standin"] is True


def test_a_form_is_as_good_as_a_body_and_brings_its_settings(service: Running, jpeg: bytes) -> None:
    strict = pn.preset().with_class("person", threshold=0.75)
    text = json.dumps(strict.to_dict())
    answer = post(service, "/detect", {"settings": text}, files={"image": jpeg}).json()
    assert answer["settings_hash"] == hash_of(strict)
    assert 0 < answer["counts"]["person"] < post(service, "/detect", jpeg).json()["counts"]["person"]


def test_settings_by_query(service: Running, jpeg: bytes) -> None:
    def found(**query: object) -> dict:
        return post(service, "/detect", jpeg, params=query).json()

    plain = found()
    assert found(settings='{"tiles": 2}')["times"]["batch"] == 5  # the picture, and four parts of it
    assert found(threshold="person=1.0")["counts"]["person"] == 0
    assert found(threshold=["person=1.0", "bag=1.0"])["counts"]["bag"] == 0
    assert found(preset="deepstream")["settings_hash"] == hash_of(pn.preset("deepstream"))
    assert found(fit="letterbox")["settings_hash"] == hash_of(pn.preset(fit="letterbox"))
    assert found(settings=json.dumps(pn.preset("tao").to_dict()))["settings_hash"] == hash_of(
        pn.preset("tao")
    )
    assert (
        plain["settings_hash"]
        == requests.get(service.url + "/settings", timeout=WAIT).json()["settings_hash"]
    )


@pytest.mark.parametrize(
    ("query", "part"),
    [
        ({"threshold": "face"}, "class and a number"),
        ({"threshold": "face=2"}, "between 0 and 1"),
        ({"threshold": "fase=0.1"}, "Unknown class"),
        ({"threshold": "dog=0.1"}, "Unknown class"),
        ({"preset": "best"}, "Unknown preset"),
        ({"thresholds": "face=0.1"}, "Unknown parameter"),
        ({"fit": "crop"}, "form"),
        ({"draw": "perhaps"}, "form"),
        ({"settings": "{"}, "no JSON"),
        ({"settings": "[" * 16000}, "no JSON"),
        ({"settings": '{"clustring": "nms"}'}, "Unknown key"),
        ({"settings": "{}", "preset": "tao"}, "exclude"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_to_do(
    service: Running, jpeg: bytes, query: dict[str, str], part: str
) -> None:
    assert part in problem(post(service, "/detect", jpeg, params=query), 422).error


def test_the_picture_comes_back_with_its_boxes(service: Running, jpeg: bytes, image: np.ndarray) -> None:
    answer = post(service, "/detect?draw=1", jpeg)
    assert answer.headers["content-type"] == "image/jpeg"
    assert int(answer.headers["x-boxes"]) > 0
    drawn = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - image).max() > 100


def test_grids_are_the_networks_output(service: Running, jpeg: bytes) -> None:
    with Client(service.url) as client:
        got = client.grids(jpeg)
    form = requests.post(
        service.url + "/grids", files={"image": jpeg, "settings": (None, "{}")}, timeout=WAIT
    )
    assert "no settings" in problem(form, 422).error
    expected = standin().infer(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    assert got.fit == expected.fit
    np.testing.assert_allclose(got.coverage, expected.coverage, atol=1e-5)
    assert len(pn.decode(got, pn.preset()).detections)


def test_a_picture_that_lies_on_its_side_is_put_upright(
    service: Running, jpeg: bytes, image: np.ndarray
) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    height, width = image.shape[:2]
    assert post(service, "/detect", turned).json()["frame_size"] == [height, width]


def test_what_is_not_there_has_the_same_form(service: Running) -> None:
    problem(requests.get(service.url + "/nothing", timeout=WAIT), 404)
    wrong = requests.get(service.url + "/detect", timeout=WAIT)
    problem(wrong, 405)
    assert wrong.headers["allow"] == "POST"


def test_the_documentation_loads_nothing_from_elsewhere(service: Running) -> None:
    page = requests.get(service.url + "/docs", timeout=WAIT).text
    for path in requests.get(service.url + "/openapi.json", timeout=WAIT).json()["paths"]:
        assert f"<code>{path}</code>" in page
    assert "http" not in page.replace("http://HOST:PORT", "")
    assert "src=" not in page
    assert "href='openapi.json'" in page


def test_metrics_count_by_route_and_never_by_what_a_client_chose(service: Running, jpeg: bytes) -> None:
    post(service, "/detect?threshold=person=0.333", jpeg)
    requests.get(service.url + "/secret-path", timeout=WAIT)
    text = requests.get(service.url + "/metrics", timeout=WAIT).text
    assert 'peoplenet_calls_total{route="/detect",status="200"}' in text
    assert 'peoplenet_boxes_total{label="person"}' in text
    assert "peoplenet_ready 1.0" in text
    assert "peoplenet_batch_size_bucket" in text
    assert "secret-path" not in text
    assert "0.333" not in text


def test_a_token_is_asked_for_before_anything_is_read(jpeg: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with running(token=TOKEN) as service:
        for wrong in (
            {},
            {"Authorization": "Bearer nonsense"},
            {"Authorization": TOKEN},
            {"X-API-Key": TOKEN + "x"},
        ):
            answer = post(service, "/detect", jpeg, headers=wrong)
            assert "token" in problem(answer, 401).error
            assert answer.headers["www-authenticate"] == "Bearer"
        for path in ("/settings", "/metrics", "/v2", "/v2/models/peoplenet_tao", "/nothing"):
            problem(requests.get(service.url + path, timeout=WAIT), 401)
        for path in ("/health/live", "/health/ready", "/ping", "/v2/health/ready", "/docs", "/openapi.json"):
            assert requests.get(service.url + path, timeout=WAIT).status_code == 200
        for right in (BEARER, {"X-API-Key": TOKEN}, {"Authorization": f"bearer {TOKEN}"}):
            assert post(service, "/detect", jpeg, headers=right).ok
        with Client(service.url, TOKEN) as client:
            assert client.served().standin
        with Client(service.url, "wrong-wrong-wrong") as client, pytest.raises(ServiceError, match="token"):
            client.served()
    assert TOKEN not in caplog.text
    assert "nonsense" not in caplog.text


def test_nothing_of_what_a_client_sends_is_logged_but_its_size(
    service: Running, jpeg: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "peoplenet_nb")
    post(service, "/detect?threshold=person=0.321", jpeg)
    requests.get(service.url + "/my-name", timeout=WAIT)
    until(lambda: "other 404" in caplog.text)
    assert f"POST /detect 200, {len(jpeg)} bytes in" in caplog.text
    assert "0.321" not in caplog.text
    assert "my-name" not in caplog.text


def test_what_nobody_expected_is_told_to_the_log_and_not_to_the_client(
    service: Running, jpeg: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("quotes the picture")

    monkeypatch.setattr("peoplenet_nb.serve.app.detected", broken)
    answer = post(service, "/detect", jpeg)
    assert "did not expect" in problem(answer, 500).error
    assert "quotes" not in answer.text + caplog.text
    assert "RuntimeError at" in caplog.text


def test_while_the_model_is_loaded_calls_are_told_to_wait(jpeg: bytes) -> None:
    go = threading.Event()

    def load() -> pn.PeopleNet:
        assert go.wait(WAIT)
        return standin()

    with running(load, wait=False) as service:
        ping = requests.get(service.url + "/ping", timeout=WAIT)
        assert (ping.status_code, ping.content) == (204, b"")
        assert requests.get(service.url + "/health/live", timeout=WAIT).json()["state"] == "loading"
        assert requests.get(service.url + "/health/ready", timeout=WAIT).status_code == 503
        problem(requests.get(service.url + "/v2/health/ready", timeout=WAIT), 503)
        answer = post(service, "/detect", jpeg)
        assert problem(answer, 503).retry_after == int(answer.headers["retry-after"])
        threading.Timer(0.3, go.set).start()
        with Client(service.url) as client:  # which waits as it is told
            assert client.detect(jpeg).counts["person"]
        assert requests.get(service.url + "/ping", timeout=WAIT).status_code == 200


def test_settings_that_change_are_taken_and_broken_ones_are_not(jpeg: bytes, tmp_path) -> None:
    file = tmp_path / "settings.yaml"
    pn.preset().to_yaml(file)
    with (
        running(read=lambda: pn.Settings.from_yaml(file), settings_file=file) as service,
        Client(service.url) as client,
    ):
        model = service.service.loaded.model
        assert client.detect(jpeg).counts["person"]
        file.write_text("clustering: [", encoding="utf-8")
        until(lambda: bool(service.service.state.note))
        told = requests.get(service.url + "/health/ready", timeout=WAIT).json()["note"]
        assert "YAML" in told
        assert str(tmp_path) not in told, "whoever has no token reads it, too"
        assert client.detect(jpeg).counts["person"]
        pn.preset(fit="letterbox").with_class("person", threshold=1.0).to_yaml(file)
        until(lambda: not service.service.state.note)
        assert client.detect(jpeg).counts["person"] == 0
        assert client.served().settings["fit"] == "letterbox"
        assert service.service.loaded.model is model  # which was not loaded again


def test_a_model_that_came_with_broken_settings_is_served_when_those_are_repaired(tmp_path) -> None:
    path, file = tmp_path / "model.onnx", tmp_path / "settings.yaml"
    shutil.copy(STANDIN, path)
    pn.preset().to_yaml(file)
    loads: list[pn.PeopleNet] = []

    def load() -> pn.PeopleNet:
        loads.append(pn.PeopleNet.load(path, device="cpu"))
        return loads[-1]

    with running(load, lambda: pn.Settings.from_yaml(file), settings_file=file) as service:
        file.write_text("clustering: [", encoding="utf-8")
        shutil.copy(STANDIN, tmp_path / "new.onnx")
        (tmp_path / "new.onnx").replace(path)
        until(lambda: bool(service.service.state.note) and len(loads) == 2)
        pn.preset().to_yaml(file)
        until(lambda: not service.service.state.note)
        assert service.service.loaded.model is not loads[0]


def test_a_model_is_replaced_without_a_lost_call(jpeg: bytes, tmp_path) -> None:
    path = tmp_path / "model.onnx"
    shutil.copy(STANDIN, path)
    done, over, failed = [], threading.Event(), []

    def ask(url: str) -> None:
        with Client(url, patience=0) as client:
            while not over.is_set():
                try:
                    done.append(client.detect(jpeg).counts["person"])
                except ServiceError as error:
                    failed.append(error)

    with running(lambda: pn.PeopleNet.load(path, device="cpu")) as service:
        before = service.service.loaded
        asking = [threading.Thread(target=ask, args=(service.url,)) for _ in range(3)]
        for thread in asking:
            thread.start()
        until(lambda: len(done) > 5)
        shutil.copy(STANDIN, tmp_path / "new.onnx")
        (tmp_path / "new.onnx").replace(path)
        until(lambda: service.service.loaded is not before)
        then = len(done)
        until(lambda: len(done) > then + 5)
        over.set()
        for thread in asking:
            thread.join(WAIT)
    assert not failed
    assert len(set(done)) == 1


def test_when_it_stops_what_is_in_is_answered_and_new_calls_are_refused(jpeg: bytes) -> None:
    engine = Gated()
    answers: list[requests.Response] = []
    with running(lambda: gated(engine)) as service:
        inside = [
            threading.Thread(target=lambda: answers.append(post(service, "/detect", jpeg))) for _ in range(3)
        ]
        for thread in inside:
            thread.start()
        assert engine.entered.wait(WAIT)
        until(lambda: service.service.gate.calls == 3)
        service.server.handle_exit(15, None)
        assert "stopping" in problem(post(service, "/detect", jpeg), 503).error
        assert requests.get(service.url + "/ping", timeout=WAIT).status_code == 503
        assert service.thread.is_alive()
        engine.open.set()
        for thread in inside:
            thread.join(WAIT)
        assert [answer.status_code for answer in answers] == [200] * 3
        service.thread.join(WAIT)
        assert not service.thread.is_alive()
