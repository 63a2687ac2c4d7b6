"""NGC cannot be reached: the stand-in is named, a model by hand is accepted."""

from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

import pytest

from ngc_server import KEY, MODEL, WEIGHTS, Ngc, chain, closed_port, folder
from onnx_builder import detectnet
from peoplenet_nb import ngc
from peoplenet_nb.ngc import http as ngc_http

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


@pytest.mark.parametrize(
    ("api", "reason"),
    [
        pytest.param("http://127.0.0.1:{port}/v2", "refused", id="nobody listens"),
        pytest.param("https://no-such-host.invalid/v2", "cannot be resolved", id="no name service"),
        pytest.param("https://127.0.0.1:{tls}/v2", "TLS", id="no TLS behind https"),
    ],
)
def test_unreachable_ngc_points_to_the_stand_in(server: Ngc, tmp_path: Path, api: str, reason: str) -> None:
    address = api.format(port=closed_port(), tls=urlport(server.api))
    with pytest.raises(ngc.Unreachable, match="cannot be reached") as raised:
        ngc.download(dest=tmp_path, api=address, progress=False, backoff=0.0, api_key=KEY)
    assert reason in str(raised.value.seen)
    assert "stand-in" in raised.value.next_step
    assert str(folder(tmp_path)) in raised.value.next_step
    assert chain(raised.value) == [raised.value]


def urlport(address: str) -> str:
    return address.rsplit(":", maxsplit=1)[1].partition("/")[0]


def test_silent_server_is_unreachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngc_http, "TIMEOUT", (0.2, 0.2))
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v2"
        with pytest.raises(ngc.Unreachable) as raised:
            ngc.download(dest=tmp_path, api=address, progress=False, backoff=0.01)
    assert "no answer within the time limit" in str(raised.value.seen)
    assert len(pauses) == 1, "set-up waits for this, so a silent host is asked twice and no more"


@pytest.mark.parametrize("content", [WEIGHTS, detectnet(classes=2).SerializeToString()])
def test_offline_a_model_put_there_by_hand_is_accepted_by_structure(tmp_path: Path, content: bytes) -> None:
    folder(tmp_path).mkdir()
    (folder(tmp_path) / MODEL).write_bytes(content)
    record = ngc.download(dest=tmp_path, api=f"http://127.0.0.1:{closed_port()}/v2", backoff=0.0)
    assert (record.via, record.verified) == ("hand", "structure")
    assert record.sha256 == hashlib.sha256(content).hexdigest()


def test_offline_a_broken_model_put_there_by_hand_is_not_accepted(tmp_path: Path) -> None:
    folder(tmp_path).mkdir()
    (folder(tmp_path) / MODEL).write_bytes(b"<html>")
    with pytest.raises(ngc.Unreachable):
        ngc.download(dest=tmp_path, api=f"http://127.0.0.1:{closed_port()}/v2", backoff=0.0)
    assert (folder(tmp_path) / MODEL).read_bytes() == b"<html>"
