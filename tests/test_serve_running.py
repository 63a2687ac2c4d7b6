"""The service as a process: the command, tokens, ports, signals; the client; RunPod's handler; the image's recipe."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import requests
from typer.testing import CliRunner

import peoplenet_nb as pn
from peoplenet_nb.cli.main import app
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.serve import Client, Detected, Limits, ServiceError
from peoplenet_nb.serve.running import check_token, is_loopback, listen, ports_from
from peoplenet_nb.serve.serverless import make_handler
from services import WAIT, Gated, encoded, gated, picture, running, standin, until

ROOT = Path(__file__).resolve().parent.parent
GOOD = "x" * 16


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_a_token_is_required_where_others_can_call(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
    assert check_token(host, GOOD) == GOOD
    if loopback:
        assert check_token(host, "") == ""
    else:
        with pytest.raises(SettingsError, match="token is required"):
            check_token(host, "")


@pytest.mark.parametrize("token", ["short", "with blanks in between", "ü" * 20, "a\nb" * 10])
def test_tokens_that_are_easily_guessed_or_cannot_be_sent(token: str) -> None:
    with pytest.raises(SettingsError, match="at least 16") as refused:
        check_token("127.0.0.1", token)
    assert token not in str(refused.value)


def test_ports() -> None:
    assert ports_from({}, None) == [8000]
    assert ports_from({"PORT": "80", "PORT_HEALTH": "81"}, None) == [80, 81]
    assert ports_from({"PORT": "80", "PORT_HEALTH": "80"}, None) == [80]
    assert ports_from({"PORT": "80"}, 9000) == [9000]
    with pytest.raises(SettingsError):
        ports_from({"PORT": "http"}, None)
    (taken,) = listen("127.0.0.1", [0])
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # of who never takes his answer
        assert 0 < taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 60_000
    with taken, pytest.raises(SettingsError, match="cannot listen"):
        listen("127.0.0.1", [taken.getsockname()[1]])


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--host", "0.0.0.0"], "token is required"),
        (["--token-file", "nowhere.txt"], "cannot be read"),
        (["--settings", "nowhere.yaml"], "No such settings file"),
        (["--queue", "5", "--seconds", "0"], "seconds"),
        (["--port", "1", "--model", "nowhere.onnx"], ""),
    ],
)
def test_the_command_refuses_before_it_listens(
    arguments: list[str], part: str, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PEOPLENET_TOKEN", "PORT", "PORT_HEALTH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(
        "peoplenet_nb.serve.running.listen", lambda *_: pytest.fail("it listened")
    ) if part else None
    done = CliRunner().invoke(app, ["serve", *arguments])
    assert done.exit_code == 1
    assert part in done.output
    assert "next:" in done.output


def test_a_model_that_cannot_be_loaded_ends_it_with_three_lines(tmp_path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "peoplenet_nb.cli",
            "serve",
            "--port",
            "0" + str(_free()),
            "--model",
            "nowhere",
        ],
        env=os.environ | {"PEOPLENET_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(r"error: .*\n  seen: .*\n  next: ", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def _free() -> int:
    (one,) = listen("127.0.0.1", [0])
    with one:
        return one.getsockname()[1]


def test_the_command_from_its_start_to_a_signal(tmp_path) -> None:
    port = _free()
    (tmp_path / "token").write_text(GOOD + "\n", encoding="utf-8")
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "peoplenet_nb.cli", "-v", "serve", "--port", str(port)]
    command += ["--model", "standin", "--device", "cpu", "--token-file", str(tmp_path / "token")]
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env=os.environ | {"PEOPLENET_HOME": str(tmp_path)}
    )
    try:

        def ready() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                return requests.get(f"http://127.0.0.1:{port}/ping", timeout=WAIT).status_code == 200
            except requests.ConnectionError:
                return False

        until(ready)
        with Client(f"http://127.0.0.1:{port}", GOOD) as client:
            assert client.detect(picture()).counts["person"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
    finally:
        process.kill()
        process.wait()
        log.close()
    text = (tmp_path / "log").read_text()
    assert "POST /detect 200" in text
    assert f"http://127.0.0.1:{port}" in text
    assert GOOD not in text
    assert "Traceback" not in text


def test_the_client_takes_what_people_have(tmp_path) -> None:
    image = picture()
    path = tmp_path / "street.png"
    path.write_bytes(encoded(image, ".png"))
    with running() as service, Client(service.url) as client:
        found = client.detect(image)
        assert found.boxes == client.detect(path).boxes == client.detect(str(path)).boxes
        mine = pn.preset().with_class("person", threshold=1.0)
        assert client.detect(image, mine).counts["person"] == 0
        assert client.detect(image, thresholds={"person": np.float64(1.0)}).counts["person"] == 0
        for bad in (tmp_path / "nowhere.jpg", image[..., 0]):
            with pytest.raises(SourceError):
                client.detect(bad)
        assert (
            cv2.imdecode(np.frombuffer(client.draw(image), np.uint8), cv2.IMREAD_COLOR).shape == image.shape
        )
        ours = found.to_detections()
        expected = standin().detect(image)
        assert ours.class_name == expected.class_name
        np.testing.assert_allclose(ours.xyxy, expected.xyxy, atol=0.006)
        assert (
            Detected.of(
                ours, **found.model_dump(include={"frame_size", "settings_hash", "model", "standin", "times"})
            ).counts
            == found.counts
        )
        with pytest.raises(ServiceError, match="Unknown preset") as refused:
            client.detect(image, preset="best")
        assert refused.value.status == 422
        assert refused.value.next_step
        assert client.served().limits["queue"] == 64
    with Client(service.url) as client, pytest.raises(ServiceError, match="cannot be reached"):
        client.detect(image)


def test_the_client_comes_back_as_often_as_it_is_told_and_no_longer() -> None:
    engine, said = Gated(), []
    with running(lambda: gated(engine), limits=Limits(queue=1)) as service:
        inside = threading.Thread(target=lambda: said.append(Client(service.url).detect(picture())))
        inside.start()
        until(lambda: service.service.gate.calls == 1)
        with Client(service.url, patience=1.2) as client, pytest.raises(ServiceError, match="busy"):
            client.detect(picture())
        engine.open.set()
        inside.join(WAIT)
    assert len(said) == 1


def job(**data: object) -> dict:
    return {"id": "1", "input": data}


def test_runpod_s_handler_answers_as_the_service_does() -> None:
    handler = make_handler(standin(), pn.preset(), Limits(megapixels=4, body_mb=1))
    image = base64.b64encode(encoded(picture())).decode()
    found = Detected.model_validate(handler(job(image=image)))
    assert found.counts["person"]
    assert found.standin
    assert handler(job(image=image, thresholds={"person": 1.0}))["counts"]["person"] == 0
    assert handler(job(image=image, settings=pn.preset("tao").to_dict()))["counts"]
    drawn = base64.b64decode(handler(job(image=image, draw=True))["picture"])
    assert cv2.imdecode(np.frombuffer(drawn, np.uint8), cv2.IMREAD_COLOR).shape == picture().shape
    for bad, part in (
        ({}, "input"),
        (job(), "image"),
        (job(image="!"), "base64"),
        (job(image="ü"), "base64"),
        (job(image=base64.b64encode(b"text").decode()), "JPEG"),
        (job(image=image[: len(image) // 8 * 4]), "truncated"),
        (job(image="A" * (2 << 20)), "too large"),
        (job(image=image, preset="best"), "preset"),
        (job(image=image, url="http://x"), "url"),
    ):
        answer = handler(bad)
        assert list(answer) == ["error"]
        assert part in answer["error"]
        assert "Next:" in answer["error"]


def test_the_worker_says_what_it_needs() -> None:
    from peoplenet_nb.serve import serverless

    if shutil.which("runpod"):
        pytest.skip("runpod is installed here")
    with pytest.raises(pn.PeopleNetError, match="runpod"):
        serverless.main()


def test_the_image_s_recipe_names_what_is_there() -> None:
    """No daemon builds it here. hadolint reads it where it is installed; the rest is what it cannot know."""
    recipe = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in recipe.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    steps = [line.split(maxsplit=1) for line in lines]
    for step, text in steps:
        if step == "COPY":
            assert all((ROOT / source).exists() for source in text.split()[:-1]), text
        if step == "ENTRYPOINT":
            _, command, *options = json.loads(text)
    assert [text for step, text in steps if step == "USER"] == ["1000"]  # not root, and a number
    for runtime in ("cpu", "cuda12", "cuda13"):
        assert (ROOT / "constraints" / f"{runtime}.txt").is_file()
    known = CliRunner().invoke(app, [command, "--help"]).output
    assert all(option in known for option in (*options, "--port") if option.startswith("--"))
    assert "PEOPLENET_TOKEN" not in recipe.replace("# The token comes as PEOPLENET_TOKEN", "")
    if hadolint := shutil.which(
        "hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ):
        done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
