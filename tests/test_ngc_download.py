"""The download from NGC when all goes well, and what is already there."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path

import pytest

from ngc_server import MODEL, VERSION, WEIGHTS, Fetch, Ngc, folder
from onnx_builder import detectnet
from peoplenet_nb import ngc
from peoplenet_nb.errors import DownloadError
from peoplenet_nb.onnxfile import read_model_file

pytest_plugins = ("ngc_fixtures",)
pytestmark = pytest.mark.usefixtures("no_ngc_environment")


def test_guest_download_is_verified_recorded_and_in_place(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    record = fetch()
    assert record.path == folder(tmp_path) / MODEL
    assert record.path.read_bytes() == WEIGHTS
    assert record.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (record.size, record.verified, record.via) == (len(WEIGHTS), "listing", "http")
    assert read_model_file(record.path).labels == ("person", "bag", "face")
    for name, content in server.versions[VERSION].items():
        assert (folder(tmp_path) / name).read_bytes() == content
        assert record.files[name] == ngc.FileEntry(len(content), hashlib.sha256(content).hexdigest())
    saved = json.loads((folder(tmp_path) / ngc.RECORD_NAME).read_text())
    assert saved["path"] == MODEL
    assert saved["source_url"].endswith(f"/models/org/nvidia/team/tao/peoplenet/{VERSION}/files")
    assert "?" not in saved["source_url"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", saved["fetched_at"])
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.endswith(".lock")) == [
        record.path.parent.name
    ]
    assert not any("authorization" in seen.headers for seen in server.seen)
    assert {seen.headers["accept-encoding"] for seen in server.seen} == {"identity"}


def test_existing_good_model_asks_for_nothing(server: Ngc, fetch: Fetch) -> None:
    first = fetch()
    server.seen.clear()
    assert fetch() == first
    assert server.seen == []


def test_force_fetches_again_and_keeps_the_old_copy(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    fetch()
    (folder(tmp_path) / "mine.yaml").write_text("kept")
    fetch(force=True)
    (aside,) = tmp_path.glob(f"peoplenet_v{VERSION}.replaced-*")
    assert (aside / "mine.yaml").read_text() == "kept"
    assert len(server.to("storage", MODEL)) == 2


def test_empty_folder_made_beforehand_is_not_moved_aside(fetch: Fetch, tmp_path: Path) -> None:
    folder(tmp_path).mkdir()
    fetch()
    assert not list(tmp_path.glob("*.replaced-*"))


@pytest.mark.parametrize("harm", ["shorter", "flipped", "gone", "record"])
def test_corrupt_existing_model_is_moved_aside_and_fetched(
    fetch: Fetch, tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = fetch().path
    if harm == "shorter":
        path.write_bytes(WEIGHTS[:-1])
    elif harm == "flipped":
        path.write_bytes(WEIGHTS[:100] + bytes([WEIGHTS[100] ^ 1]) + WEIGHTS[101:])
    elif harm == "gone":
        path.unlink()
    else:
        (path.parent / ngc.RECORD_NAME).write_text("{")
        path.write_bytes(WEIGHTS[:1000])
    left = path.read_bytes() if path.exists() else None
    with caplog.at_level(logging.WARNING):
        assert fetch().path.read_bytes() == WEIGHTS
    (aside,) = tmp_path.glob(f"peoplenet_v{VERSION}.replaced-*")
    assert ((aside / MODEL).read_bytes() if left is not None else None) == left
    assert aside.name in caplog.text


def test_model_put_there_by_hand_is_recognised_by_the_listing(
    server: Ngc, fetch: Fetch, tmp_path: Path
) -> None:
    folder(tmp_path).mkdir()
    (folder(tmp_path) / MODEL).write_bytes(WEIGHTS)
    record = fetch()
    assert (record.via, record.verified) == ("hand", "listing")
    assert server.to("storage") == []
    server.seen.clear()
    assert fetch() == record
    assert server.seen == []


def test_force_fetches_although_a_good_model_was_put_there_by_hand(
    server: Ngc, fetch: Fetch, tmp_path: Path
) -> None:
    folder(tmp_path).mkdir()
    (folder(tmp_path) / MODEL).write_bytes(WEIGHTS)
    assert fetch(force=True).via == "http"
    assert len(server.to("storage", MODEL)) == 1


def test_another_model_in_its_place_is_moved_aside(fetch: Fetch, tmp_path: Path) -> None:
    other = detectnet(classes=1).SerializeToString()
    folder(tmp_path).mkdir()
    (folder(tmp_path) / MODEL).write_bytes(other)
    assert fetch().path.read_bytes() == WEIGHTS
    (aside,) = tmp_path.glob(f"peoplenet_v{VERSION}.replaced-*")
    assert (aside / MODEL).read_bytes() == other


def test_other_versions_can_be_named(server: Ngc, fetch: Fetch, tmp_path: Path) -> None:
    for version, name in (
        ("deployable_quantized_onnx_v2.6.3", "resnet34_peoplenet.onnx"),
        ("new_v9", "x.onnx"),
    ):
        server.versions[version] = {name: WEIGHTS, "labels.txt": b"person\nbag\nface\n"}
        record = fetch(f"nvidia/tao/peoplenet:{version}")
        assert record.path == folder(tmp_path, version) / name
        assert record.version == version


def test_version_without_onnx_says_what_it_has(server: Ngc, fetch: Fetch) -> None:
    server.versions["trainable_v2.6"] = {"resnet34_peoplenet.tlt": b"x"}
    with pytest.raises(DownloadError, match="no ONNX file") as raised:
        fetch("trainable_v2.6")
    assert "resnet34_peoplenet.tlt" in str(raised.value)


@pytest.mark.parametrize("version", ["../../etc", "a/b", "", "v1?x=1", "nvidia/tlt_peoplenet:pruned_v2.1"])
def test_version_names_that_cannot_be(server: Ngc, fetch: Fetch, version: str) -> None:
    with pytest.raises(DownloadError, match="not the name of a version|NOT_FOUND"):
        fetch(version)
    assert server.seen == []
