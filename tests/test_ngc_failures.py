"""Every way in which NGC refuses or sends something else has its own sentence."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ngc_server import (
    KEY,
    MODEL,
    VERSION,
    WEIGHTS,
    Answer,
    Fetch,
    Ngc,
    error,
    folder,
    secrets_in,
    shown_by,
)
from peoplenet_nb import ngc, web
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc import fetch as ngc_fetch

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


def _refuse(answer: Answer) -> Callable[[Ngc], None]:
    return lambda server: server.fault("api", "peoplenet", *[answer] * 9)


def _instead(content: bytes) -> Callable[[Ngc], None]:
    return lambda server: server.fault("storage", MODEL, *[Answer(200, content)] * 9)


NOT_FOUND_BODY = error(404, "NOT_FOUND", "no such file").body

FAILURES = [
    pytest.param(
        _refuse(error(401, "UNAUTHORIZED", "Invalid apikey")), {"api_key": KEY}, "Invalid apikey", "as guest",
        id="401 with a key",
    ),
    pytest.param(_refuse(error(401, "UNAUTHORIZED")), {}, "to guests", "NGC_API_KEY", id="401 as guest"),
    pytest.param(
        _refuse(error(400, "INVALID_REQUEST", "Invalid org")), {"api_key": KEY}, "Invalid org", "NGC_CLI_ORG",
        id="Invalid org",
    ),
    pytest.param(
        _refuse(error(400, "INVALID_REQUEST", "Missing org")), {"api_key": KEY}, "Missing org", "NGC_CLI_ORG",
        id="Missing org",
    ),
    pytest.param(_refuse(error(404, "NOT_FOUND")), {}, "NOT_FOUND", "tlt_peoplenet", id="404"),
    pytest.param(
        _refuse(error(412, "PRECONDITION")), {}, "licence accepted", "browser, sign in", id="412"
    ),
    pytest.param(_refuse(error(403, "FORBIDDEN")), {}, "refuses this download", "guest", id="403"),
    pytest.param(_instead(NOT_FOUND_BODY), {}, "JSON answer.*NOT_FOUND", "again", id="JSON error saved as model"),
    pytest.param(
        _instead(b"<html>" + b" " * 600 + b"</html>"), {}, "HTML", "login page", id="HTML page saved as model"
    ),
    pytest.param(_instead(WEIGHTS[:-7]), {}, "expected", "later", id="wrong size"),
    pytest.param(
        _instead(WEIGHTS[:-1] + b"\0"), {}, "SHA-256", "later", id="wrong hash"
    ),
    pytest.param(
        lambda server: server.fault("storage", MODEL, *[Answer(403, b"<Error>expired</Error>")] * 9),
        {}, "storage host", "expires", id="storage refuses",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "options", "words", "step"), FAILURES)
def test_every_row_of_the_failure_table_has_its_sentence(
    server: Ngc,
    fetch: Fetch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    spoil: Callable[[Ngc], None],
    options: dict[str, str],
    words: str,
    step: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    spoil(server)
    with pytest.raises(DownloadError) as raised:
        fetch(**options)
    failure = raised.value
    assert re.search(words, f"{failure.what} {failure.seen}")
    assert step in failure.next_step
    assert "By hand" in failure.next_step
    assert str(folder(tmp_path)) in failure.next_step
    assert failure.seen
    assert not isinstance(failure, ngc.Unreachable)
    assert not folder(tmp_path).exists()
    assert not secrets_in(shown_by(failure) + caplog.text, KEY)


def test_wrong_hash_is_tried_from_the_start_only_when_it_was_resumed(server: Ngc, fetch: Fetch) -> None:
    server.fault("storage", MODEL, Answer(200, WEIGHTS[:-1] + b"\0"))
    with pytest.raises(DownloadError):
        fetch()
    assert len(server.to("storage", MODEL)) == 1


def test_more_bytes_than_listed_are_not_taken(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    append = ngc_fetch.append
    monkeypatch.setattr(ngc_fetch, "append", lambda p, c: (append(p, c), written.append(len(c)))[0])
    server.versions[VERSION] = {MODEL: WEIGHTS}
    server.fault("storage", MODEL, Answer(200, WEIGHTS * 40, {"Content-Length": ""}))  # until the stream ends
    with pytest.raises(DownloadError, match="expected"):
        fetch()
    assert len(WEIGHTS) < sum(written) <= len(WEIGHTS) + web._CHUNK


def test_right_hash_of_another_network_is_refused(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    server.versions[VERSION][MODEL] = b"\x08\x08 no network at all"
    with pytest.raises(DownloadError, match="not the model") as raised:
        fetch()
    assert "truncated ONNX" in str(raised.value.seen)
    assert not folder(tmp_path).exists()
    server.versions[VERSION][MODEL] = WEIGHTS  # the bad file is not kept for the next run either
    assert fetch().size == len(WEIGHTS)


def test_file_that_is_no_model_is_not_kept_for_the_next_run(server: Ngc, fetch: Fetch) -> None:
    server.with_hashes = False  # so that its size alone would let it pass
    server.fault("storage", MODEL, Answer(200, bytes(len(WEIGHTS))))
    with pytest.raises(DownloadError, match="not the model"):
        fetch()
    assert fetch().path.read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(Answer(200, b"<html>sign in</html>"), "is a page", id="the listing is a login page"),
        pytest.param(error(404, "NOT_FOUND"), "moved", id="the listing has moved"),
        pytest.param(Answer(200, b'{"modelFiles": []}'), "is empty", id="the listing is empty"),
    ],
)
def test_known_version_without_a_listing_is_checked_by_structure(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch, answer: Answer, reason: str
) -> None:
    sizes = {name: len(content) for name, content in server.versions[VERSION].items()}
    known = ngc.KnownVersion(MODEL, {**sizes, "not_there.txt": None}, reason)
    monkeypatch.setitem(ngc.VERSIONS, VERSION, known)
    server.fault("api", "/versions/", answer)
    record = fetch()
    assert record.verified == "size+structure"
    assert set(record.files) == set(sizes)


def test_ngc_that_stays_out_of_order_counts_as_unreachable(server: Ngc, fetch: Fetch) -> None:
    server.fault("api", "/versions/", *[error(500, "INTERNAL")] * 9)
    with pytest.raises(ngc.Unreachable, match="out of order") as raised:
        fetch(retries=2)
    assert "HTTP 500" in str(raised.value.seen)
    assert len(server.seen) == 3


def test_unknown_version_without_a_listing_is_refused(server: Ngc, fetch: Fetch) -> None:
    server.versions["new_v9"] = server.versions[VERSION]
    server.fault("api", "/versions/", Answer(200, b"<html>sign in</html>"))
    with pytest.raises(DownloadError, match="listing of new_v9 cannot be understood"):
        fetch("new_v9")


def test_listing_without_hashes_is_checked_by_size_and_structure(server: Ngc, fetch: Fetch) -> None:
    server.with_hashes = False
    assert fetch().verified == "size+structure"


def test_listing_cannot_place_a_file_elsewhere(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    for name in ("../../evil.txt", "/etc/evil.txt", "sub/evil.txt", ".bashrc"):
        server.versions[VERSION][name] = b"evil"
    fetch()
    assert not list(tmp_path.rglob("*evil*"))
    assert not [seen for seen in server.seen if "evil" in seen.path or "evil" in str(seen.query)]


def test_random_bytes_at_any_point_never_verify(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for place in rng.integers(0, len(WEIGHTS), 5):
        spoiled = bytearray(WEIGHTS)
        spoiled[place] ^= 1 << int(rng.integers(8))
        server.fault("storage", MODEL, Answer(200, bytes(spoiled)))
        with pytest.raises(DownloadError, match="does not match"):
            fetch()
        assert not folder(tmp_path).exists()
