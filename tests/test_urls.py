"""Addresses in messages: what is shown of them."""

from __future__ import annotations

import pytest

from peoplenet_nb.urls import hide_secrets, hide_secrets_in


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        pytest.param(
            "https://me:secret@host/x.mp4?token=secret#secret", "https://host/x.mp4", id="all of it"
        ),
        pytest.param("https://host:8443/x.mp4", "https://host:8443/x.mp4", id="a port stays"),
        pytest.param("https://[::1]/x.mp4?token=secret", "https://[::1]/x.mp4", id="IPv6"),
        pytest.param("https://host:99999/x?token=secret", "https://host:99999/x", id="no such port"),
        pytest.param("https://[::1/x.mp4?token=secret", "https://[::1/x.mp4", id="malformed"),
        # Where the password ends cannot be told.
        pytest.param("https://me:secret@[::1/x.mp4", "https://…", id="malformed, with a password"),
        pytest.param("videos/a@b.mp4", "videos/a@b.mp4", id="a path"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert hide_secrets(address) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("GET https://h/p?a=b&c=d HTTP", "GET https://h/p?[hidden] HTTP", id="a query"),
        pytest.param("GET https://h/p?secret HTTP", "GET https://h/p?[hidden] HTTP", id="a bare query"),
        pytest.param("GET /p?token=secret HTTP", "GET /p?[hidden] HTTP", id="a query without its host"),
        pytest.param("'http://me:secret@h/p': failed", "'http://[hidden]@h/p': failed", id="a password"),
        pytest.param("rtsp://me:s@h and http://h/?k=s", "rtsp://[hidden]@h and http://h/?[hidden]", id="two"),
        pytest.param("http://h/p#token=secret", "http://h/p#[hidden]", id="a fragment"),
        pytest.param(
            "why? because a = b, is it http://h/p?", "why? because a = b, is it http://h/p?", id="prose"
        ),
    ],
)
def test_a_text_from_outside_loses_the_secrets_of_its_addresses(text: str, shown: str) -> None:
    assert hide_secrets_in(text) == shown


def test_an_address_known_to_be_quoted_is_hidden_whatever_it_holds() -> None:
    address = "http://me:se'cr et@host/x.mp4?token=s"
    assert hide_secrets_in(f"cannot open '{address}'", address) == "cannot open 'http://host/x.mp4'"
