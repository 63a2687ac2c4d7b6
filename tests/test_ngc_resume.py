"""Broken connections: what is resumed, what is thrown away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ngc_server import CHUNK, HALF, MODEL, VERSION, WEIGHTS, Answer, Fetch, Ngc, break_off, folder
from onnx_builder import detectnet
from peoplenet_nb import ngc

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


@pytest.mark.parametrize("ranges", [True, False])
def test_cut_connection_is_resumed(server: Ngc, fetch: Fetch, ranges: bool) -> None:
    server.ranges = ranges
    half = HALF
    server.fault("storage", MODEL, half)
    assert fetch().path.read_bytes() == WEIGHTS
    first, second = server.to("storage", MODEL)
    assert "range" not in first.headers
    assert second.headers["range"] == f"bytes={half}-"
    assert second.headers["if-range"].startswith('"')
    assert first.sent == half
    assert second.sent == (len(WEIGHTS) - half if ranges else len(WEIGHTS))


@pytest.mark.parametrize("cut", [1, CHUNK - 1, CHUNK + 1, len(WEIGHTS) - 1])
def test_cut_anywhere_loses_nothing(server: Ngc, fetch: Fetch, cut: int) -> None:
    server.fault("storage", MODEL, cut)
    assert fetch().path.read_bytes() == WEIGHTS
    _, second = server.to("storage", MODEL)
    assert len(WEIGHTS) - second.sent == cut


def test_next_run_goes_on_where_the_last_one_stopped(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    third = 4 * CHUNK
    server.fault("storage", MODEL, third, *[0] * 9)
    with pytest.raises(ngc.Unreachable, match="keeps breaking") as raised:
        fetch(retries=1)
    assert "goes on where this one stopped" in raised.value.next_step
    assert not folder(tmp_path).exists()
    server.heal()
    assert fetch().path.read_bytes() == WEIGHTS
    (rest,) = server.to("storage", MODEL)
    assert rest.headers["range"] == f"bytes={third}-"
    assert rest.sent == len(WEIGHTS) - third


def test_many_cuts_are_survived_as_long_as_something_comes(server: Ngc, fetch: Fetch) -> None:
    server.fault("storage", MODEL, *[CHUNK] * 9)
    assert fetch(retries=1).path.read_bytes() == WEIGHTS
    sent = sum(seen.sent for seen in server.to("storage", MODEL))
    assert sent == len(WEIGHTS)


def test_part_of_a_file_that_changed_is_not_continued(server: Ngc, fetch: Fetch) -> None:
    break_off(server, fetch)
    other = detectnet(size=(256, 128), metadata={"release": "two"}).SerializeToString()
    server.versions[VERSION][MODEL] = other
    assert fetch().path.read_bytes() == other


def test_spoiled_part_is_fetched_again_from_the_start(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    break_off(server, fetch)
    (part,) = tmp_path.rglob("*.part/*.part")
    part.write_bytes(bytes(part.stat().st_size))
    server.seen.clear()
    assert fetch().path.read_bytes() == WEIGHTS
    assert ["range" in seen.headers for seen in server.to("storage", MODEL)] == [True, False]


@pytest.mark.parametrize("start", [0, HALF - CHUNK, HALF + CHUNK])
def test_partial_answer_that_begins_elsewhere_is_not_appended(server: Ngc, fetch: Fetch, start: int) -> None:
    server.with_hashes = False  # so that nothing but the range itself tells
    other = {"Content-Range": f"bytes {start}-{len(WEIGHTS) - 1}/{len(WEIGHTS)}"}
    wrong = (WEIGHTS * 2)[start : start + len(WEIGHTS) - HALF]
    server.fault("storage", MODEL, HALF, Answer(206, wrong, other))
    assert fetch().path.read_bytes() == WEIGHTS


def test_part_longer_than_the_file_is_thrown_away(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    break_off(server, fetch)
    (part,) = tmp_path.rglob("*.part/*.part")
    part.write_bytes(WEIGHTS + b"more")
    assert fetch().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize("weak", [True, False])
def test_without_etag_and_hash_nothing_is_resumed(server: Ngc, fetch: Fetch, weak: bool) -> None:
    server.etags, server.weak, server.with_hashes = weak, weak, False
    break_off(server, fetch)
    assert fetch().path.read_bytes() == WEIGHTS
    assert all("range" not in seen.headers for seen in server.to("storage", MODEL))


@pytest.mark.parametrize("status", [429, 503])
def test_busy_server_is_asked_again(
    server: Ngc, fetch: Fetch, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    server.fault("api", "/versions/", Answer(status, b"", {"Retry-After": "7"}))
    server.fault("storage", MODEL, Answer(status), Answer(status))
    assert fetch(backoff=1.0).verified == "listing"
    assert waited[0] == 7.0
    assert waited[1:] == [pytest.approx(2.0, rel=0.21), pytest.approx(4.0, rel=0.21)]


def test_no_server_is_waited_for_longer_than_half_a_minute(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    server.fault("api", "/versions/", Answer(503, b"", {"Retry-After": "86400"}), *[Answer(503)] * 3)
    assert fetch(backoff=20.0).verified == "listing"
    assert waited[0] == 30.0
    assert max(waited) <= 30.0


def test_connection_reset_at_once_is_retried(server: Ngc, fetch: Fetch) -> None:
    server.fault("storage", MODEL, 0, 0)
    assert fetch().path.read_bytes() == WEIGHTS
    assert len(server.to("storage", MODEL)) == 3
