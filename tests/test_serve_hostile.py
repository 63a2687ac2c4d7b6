"""Uploads that are meant to do harm, and calls that are more than the service takes."""

from __future__ import annotations

import socket
import struct
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress

import cv2
import numpy as np
import pytest
import requests

from peoplenet_nb.hardware import peak_memory_mb
from peoplenet_nb.serve import Client, Limits, Problem, ServiceError
from services import WAIT, Gated, Running, encoded, gated, running, until

LIMITS = Limits(body_mb=1, megapixels=4, queue=4, memory_mb=32)


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(lambda: gated(Gated(open_=True)), limits=LIMITS) as made:
        yield made


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: int, before: bytes = b"") -> bytes:
    """A grey PNG of zeros that says one height and holds so many rows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(width + 1)) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def bmp_of(width: int, height: int) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHIIiiHHIIIIII", 58, 0, 0, 54, 40, width, height, 1, 24, 0, 4, 1, 1, 0, 0)
        + bytes(4)
    )


def webp(flags: int, width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + bytes([flags, 0, 0, 0])
    body += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def cmyk(jpeg: bytes) -> bytes:
    """The same JPEG with a frame header of four colours."""
    at = jpeg.index(b"\xff\xc0")
    length, precision, height, width, _ = struct.unpack(">HBHHB", jpeg[at + 2 : at + 10])
    colours = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3, 4))
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 8 + len(colours), precision, height, width, 4) + colours
    return jpeg[:at] + frame + jpeg[at + 2 + length :]


IMAGE = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
JPEG, PNG, WEBP = (encoded(IMAGE, suffix) for suffix in (".jpg", ".png", ".webp"))

HOSTILE = {
    "empty": (b"", 415),
    "text": (b"GIF? no", 415),
    "gif, which may be animated": (b"GIF89a" + bytes(64), 415),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    "tiff": (encoded(IMAGE, ".tiff"), 415),
    "an address": (b"https://example.com/street.jpg", 415),
    "truncated jpeg": (JPEG[: len(JPEG) // 2], 422),
    "truncated png": (PNG[: len(PNG) // 2], 422),
    "truncated webp": (WEBP[: len(WEBP) // 2], 422),
    "a head and nothing else": (b"\xff\xd8\xff", 422),
    "16k x 16k, and a tenth of its rows": (png(16384, 16384, 1600), 413),
    "16k x 16k, empty": (png(16384, 16384, 1), 413),
    "2 billion x 2 billion": (png(2**31 - 1, 2**31 - 1, 1), 413),
    "bmp of 16k x 16k": (bmp_of(16384, -16384), 413),
    "webp of 16k x 16k": (webp(0, 16384, 16384), 413),
    "no pixels at all": (png(0, 0, 1), 422),
    "more rows than it says": (png(2000, 1, 20_000), None),  # libpng stops at what the head says
    "text that unpacks to 32 MB": (
        png(64, 64, 64, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(32 << 20), 1))),
        None,
    ),
    "cmyk": (cmyk(JPEG), 415),
    "animated webp": (webp(2, 64, 64) + bytes(64), 415),
    "animated png": (png(64, 64, 64, chunk(b"acTL", bytes(8))), 415),
    "a thousand scans": (JPEG[:-2] + b"\xff\xda\0\x08\x01\x01\0\0\0\0" * 1000 + b"\xff\xd9", 415),
    "garbage behind a head": (b"\x89PNG\r\n\x1a\n" + bytes(1000), 422),
}


def post(service: Running, body: object, path: str = "/detect", **more) -> requests.Response:
    return requests.post(service.url + path, data=body, timeout=WAIT, **more)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pictures_are_answered_with_4xx_within_the_limits(service: Running, name: str) -> None:
    body, status = HOSTILE[name]
    before = peak_memory_mb()
    answer = post(service, body)
    assert answer.status_code == status if status else answer.status_code in (200, 422), answer.text
    if answer.status_code != 200:
        assert Problem.model_validate_json(answer.content).next_step
    assert peak_memory_mb() - before < 100
    assert service.service.gate.bytes == 0
    assert post(service, JPEG).status_code == 200


def test_a_body_that_is_too_large_is_refused_and_the_client_comes_to_read_it(service: Running) -> None:
    answer = post(service, bytes(3 << 20))
    assert answer.status_code == 413
    assert "1 MiB" in answer.json()["error"]

    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1 << 16)

    with suppress(
        requests.ConnectionError
    ):  # no length is told: it is counted, and in the end the connection goes
        assert post(service, endless()).status_code == 413
    huge = post(service, b"", headers={"Content-Length": str(1 << 40)})
    assert huge.status_code == 413
    assert post(service, JPEG, headers={"Content-Encoding": "gzip"}).status_code == 415
    assert service.service.gate.bytes == 0


def test_nothing_of_a_large_form_goes_to_a_file(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a file was made")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", refused)
    noise = encoded(np.random.default_rng(1).integers(0, 255, (500, 500, 3), np.uint8), ".bmp")
    assert 700_000 < len(noise) < 1 << 20
    assert post(service, None, files={"image": noise + bytes(200_000)}).status_code == 200


@pytest.mark.parametrize(
    ("more", "part"),
    [
        (
            {
                "files": {},
                "data": {"settings": "{}"},
                "headers": {"content-type": "multipart/form-data; boundary=x"},
            },
            "form",
        ),
        (
            {"data": b"--x\r\nnonsense", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            "form",
        ),
        ({"data": JPEG, "headers": {"content-type": "multipart/form-data"}}, "form"),
        ({"files": {"a": JPEG, "b": JPEG}}, "form"),
        ({"files": {"image": (None, "not a file")}}, "no file"),
        ({"files": {"image": JPEG, "settings": (None, "{" * 70_000)}}, "form"),
        ({"files": {"image": JPEG, "preset": (None, "tao")}}, "not understood"),
        (
            {"files": [("image", JPEG), ("settings", (None, "{}")), ("settings", (None, "{}"))]},
            "not understood",
        ),
    ],
)
def test_broken_forms(service: Running, more: dict, part: str) -> None:
    answer = requests.post(service.url + "/detect", timeout=WAIT, **more)
    assert answer.status_code == 422, answer.text
    assert part in answer.json()["error"]


def test_a_body_that_comes_too_slowly_is_not_waited_for() -> None:
    with running(lambda: gated(Gated(open_=True)), limits=Limits(upload_seconds=0.3)) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=WAIT) as slow:
            slow.sendall(b"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + JPEG[:100])
            assert b" 408 " in slow.recv(1 << 16).split(b"\r\n")[0]
        until(lambda: service.service.gate.calls == 0 and service.service.gate.bytes == 0)


def test_a_client_that_goes_away_leaves_nothing_behind(service: Running) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=WAIT) as gone:
        gone.sendall(b"POST /detect HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n" + JPEG[:100])
        until(lambda: service.service.gate.calls == 1)
    until(lambda: service.service.gate.calls == 0 and service.service.gate.bytes == 0)


def test_a_full_house_says_when_to_come_back_and_the_client_does() -> None:
    engine = Gated()
    with running(lambda: gated(engine), limits=Limits(queue=2)) as service:
        inside = [threading.Thread(target=post, args=(service, JPEG)) for _ in range(2)]
        for thread in inside:
            thread.start()
        until(lambda: service.service.gate.calls == 2)
        answer = post(service, JPEG)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["retry_after"] >= 1
        with Client(service.url, patience=0) as client, pytest.raises(ServiceError) as refused:
            client.detect(JPEG)
        assert refused.value.status == 429
        threading.Timer(0.2, engine.open.set).start()
        with Client(service.url) as client:
            assert client.detect(JPEG).boxes == []
        for thread in inside:
            thread.join(WAIT)


def test_what_all_calls_hold_together_is_bounded() -> None:
    engine = Gated()
    with running(lambda: gated(engine), limits=Limits(memory_mb=10)) as service:  # an input is 6 MB
        inside = threading.Thread(target=post, args=(service, JPEG))
        inside.start()
        assert engine.entered.wait(WAIT)
        answer = post(service, JPEG)
        assert answer.status_code == 429
        assert "MiB" in answer.json()["seen"]
        engine.open.set()
        inside.join(WAIT)
        until(lambda: service.service.gate.bytes == 0)


def test_a_call_that_takes_too_long_is_given_up_and_not_computed() -> None:
    engine, answers = Gated(), []

    def ask() -> int:
        answers.append(post(service, JPEG).status_code)
        return answers[-1]

    with running(lambda: gated(engine), limits=Limits(seconds=2.0)) as service:
        inside = [threading.Thread(target=ask) for _ in range(3)]
        for thread in inside:
            thread.start()
        for thread in inside:
            thread.join(WAIT)
        assert answers == [503] * 3
        engine.open.set()
        until(lambda: service.service.waiting == 0)
        until(lambda: ask() == 200)  # at the first try, but where the machine is slow
        assert len(engine.batches) <= len(answers) - 2  # at most one of the three had begun
        assert service.service.gate.bytes == 0


def test_a_phones_photo_with_its_video_behind_it_is_a_picture(service: Running) -> None:
    assert post(service, JPEG + bytes(1000) + b"\xff\xda" * 100).status_code == 200


def test_a_picture_is_decoded_only_where_there_is_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(lambda: gated(Gated(open_=True)), limits=Limits(memory_mb=1)) as tight:
        large = png(1000, 1000, 1000)
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
        assert post(tight, large).status_code == 429
        assert tight.service.gate.bytes == 0


def test_a_pictures_size_is_read_before_it_is_decoded(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("it was decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    assert post(service, png(2001, 2000, 1)).status_code == 413
