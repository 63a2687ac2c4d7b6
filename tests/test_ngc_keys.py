"""Keys, orgs, addresses and redirects: what goes where, and what is shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from ngc_server import (
    KEY,
    LEGACY,
    SIGNATURE,
    TOKEN,
    VERSION,
    Answer,
    Fetch,
    Ngc,
    Seen,
    error,
    folder,
    secrets_in,
    shown_by,
)
from peoplenet_nb import ngc
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.ngc.errors import redact

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


@pytest.mark.parametrize("by", ["argument", "NGC_API_KEY", "NGC_CLI_API_KEY"])
def test_personal_key_goes_to_the_api_and_not_along_the_redirect(
    server: Ngc, fetch: Fetch, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tokens = {KEY}
    if by == "argument":
        fetch(api_key=KEY)
    else:
        monkeypatch.setenv(by, f" {KEY}\n")
        fetch()
    assert {seen.headers.get("authorization") for seen in server.to("api")} == {f"Bearer {KEY}"}
    assert len(server.to("storage")) == 4
    assert all("authorization" not in seen.headers for seen in server.to("storage"))
    assert all(seen.headers["host"].startswith("localhost:") for seen in server.to("storage"))
    assert not secrets_in((folder(tmp_path) / ngc.RECORD_NAME).read_text(), KEY)


def test_redirect_to_the_same_host_gets_no_key_either(server: Ngc, fetch: Fetch) -> None:
    def elsewhere(_: object) -> Answer:
        return Answer(302, b"", {"Location": f"{server.api}/elsewhere"})

    server.fault("api", "/org/nvidia", elsewhere)
    with pytest.raises(DownloadError):
        fetch(api_key=KEY)
    (moved,) = server.to("api", "/elsewhere")
    assert "authorization" not in moved.headers


def test_cookies_are_neither_kept_nor_taken_along(server: Ngc, fetch: Fetch) -> None:
    def with_cookie(seen: Seen) -> Answer:
        answer = server._api(seen)
        answer.headers["Set-Cookie"] = "session=secret; Path=/"
        return answer

    server.fault("api", "peoplenet", *[with_cookie] * 9)
    fetch(api_key=KEY)
    assert not any("cookie" in seen.headers for seen in server.seen)


def test_legacy_key_is_exchanged_once(server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    server.tokens = {TOKEN}
    server.legacy[LEGACY, "my-org"] = TOKEN
    monkeypatch.setenv("NGC_CLI_ORG", "my-org")
    monkeypatch.setenv("NGC_CLI_TEAM", "my-team")
    fetch(api_key=LEGACY)
    (exchange,) = server.to("api", "/token")
    assert exchange.query == {"service": ["ngc"], "scope": ["group/ngc:my-org", "group/ngc:my-org/my-team"]}
    assert {seen.headers["authorization"] for seen in server.to("api", "/v2")} == {f"Bearer {TOKEN}"}
    assert all("authorization" not in seen.headers for seen in server.to("storage"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param({"api_key": LEGACY}, "Missing org", id="legacy key without an org"),
        pytest.param({"org": "my-org"}, "Missing org, Invalid org", id="org without a key"),
        pytest.param({"api_key": LEGACY, "org": "wrong"}, "Invalid apikey", id="legacy key that is refused"),
        pytest.param({"api_key": "nvapi-\nx"}, "Invalid apikey", id="line break pasted into a key"),
    ],
)
def test_keys_and_orgs_that_do_not_fit(
    server: Ngc, fetch: Fetch, options: dict[str, str], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.legacy[LEGACY, "my-org"] = TOKEN
    with pytest.raises(DownloadError, match=words) as raised:
        fetch(**options)
    assert "guest" in raised.value.next_step
    assert "By hand" in raised.value.next_step
    assert not isinstance(raised.value, ngc.Unreachable)
    assert not secrets_in(shown_by(raised.value) + caplog.text, LEGACY, TOKEN)


def test_guest_ignores_an_org_of_the_environment(
    server: Ngc, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NGC_CLI_ORG", "my-org")
    monkeypatch.setenv("NGC_API_KEY", KEY)
    fetch(api_key="")
    assert not any("authorization" in seen.headers for seen in server.seen)


def test_netrc_password_is_not_sent(
    server: Ngc, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password netrc-secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fetch()
    assert not any("authorization" in seen.headers for seen in server.seen)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        pytest.param("http://example.com/f?sig=abc", "not safe", id="plain http to another machine"),
        pytest.param("ftp://localhost/f", "not safe", id="another scheme"),
        pytest.param("file:///etc/passwd", "not safe", id="a local file"),
        pytest.param("", "not safe|redirects", id="nowhere"),
    ],
)
def test_unsafe_redirects_are_not_followed(server: Ngc, fetch: Fetch, location: str, words: str) -> None:
    server.fault("api", "/org/nvidia", *[Answer(302, b"", {"Location": location})] * 9)
    with pytest.raises(DownloadError, match=words) as raised:
        fetch()
    assert "sig=abc" not in str(raised.value)


def test_https_is_never_left() -> None:
    from peoplenet_nb.ngc.errors import Destination
    from peoplenet_nb.ngc.http import checked_base
    from peoplenet_nb.ngc.session import safe_redirect

    destination = Destination(VERSION, Path("x"))
    assert safe_redirect("https://api.ngc.nvidia.com/a", "https://s3.amazonaws.com/b?c=d")
    for target in ("http://api.ngc.nvidia.com/a", "http://localhost/a", "http://127.0.0.1/a"):
        assert not safe_redirect("https://api.ngc.nvidia.com/a", target)
    for base in ("http://api.ngc.nvidia.com/v2", "http://localhost.evil.com/v2", "ftp://localhost/v2", "x"):
        with pytest.raises(DownloadError, match="begin with https"):
            checked_base(base, destination)
    assert checked_base("http://[::1]:80/v2/", destination) == "http://[::1]:80/v2"


def test_addresses_can_come_from_the_environment(
    server: Ngc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEOPLENET_NGC_API", server.api)
    monkeypatch.setenv("PEOPLENET_NGC_AUTH", server.auth)
    assert ngc.download(dest=tmp_path, progress=False).verified == "listing"


@pytest.mark.parametrize(
    ("host", "fault", "kind"),
    [
        pytest.param(
            "storage", Answer(403, SIGNATURE.encode()), DownloadError, id="storage echoes the signature"
        ),
        pytest.param("storage", 0, ngc.Unreachable, id="the presigned address breaks"),
        pytest.param("storage", [10, *[0] * 60], ngc.Unreachable, id="the presigned address breaks half-way"),
        pytest.param(
            "api", error(401, "NO", f"Invalid apikey {KEY}"), DownloadError, id="the API echoes the key"
        ),
        pytest.param("api", error(403, "NO", f"Bearer {KEY}"), DownloadError, id="the API echoes the header"),
        pytest.param(
            "api",
            Answer(302, b"", {"Location": f"http://example.com/?s={SIGNATURE}"}),
            DownloadError,
            id="bad redirect",
        ),
    ],
)
def test_no_secret_in_any_message_log_or_traceback(
    server: Ngc,
    fetch: Fetch,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    fault: Answer | int | list[int],
    kind: type[DownloadError],
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("NGC_API_KEY", KEY)
    server.fault(host, "peoplenet", *(fault if isinstance(fault, list) else [fault] * 60))
    with pytest.raises(kind) as raised:
        fetch(retries=1)
    assert "urllib3.connectionpool" in caplog.text, "urllib3 logs addresses, so it must have been heard"
    assert not secrets_in(shown_by(raised.value) + caplog.text, KEY)


def test_successful_download_with_a_key_logs_no_secret(
    server: Ngc, fetch: Fetch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    server.legacy[LEGACY, "o"] = TOKEN
    record = fetch(api_key=LEGACY, org="o")
    assert "/peoplenet/" in caplog.text
    assert "[hidden]" in caplog.text
    assert not secrets_in(caplog.text + repr(record), LEGACY, TOKEN)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not secrets_in(path.read_bytes().decode("latin-1"), LEGACY, TOKEN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("key nvapi-Ab_c-9 is bad", "key [hidden] is bad", id="somebody else's key"),
        pytest.param("Authorization: Bearer abcdefgh.ij", "Authorization: Bearer [hidden]", id="a token"),
        pytest.param("GET https://h/p?a=b&c=d HTTP", "GET https://h/p?[hidden] HTTP", id="a query"),
        pytest.param("why? because a = b", "why? because a = b", id="prose stays"),
    ],
)
def test_texts_from_outside_are_redacted(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_urllib3_logs_as_before_once_the_download_is_over(fetch: Fetch) -> None:
    before = list(logging.getLogger("urllib3.connectionpool").filters)
    fetch()
    assert logging.getLogger("urllib3.connectionpool").filters == before
