"""Finding a model that is already here, and the record beside it."""

from __future__ import annotations

import hashlib
import logging
import os
import zipfile
from pathlib import Path

import pytest

from forbidding import forbidden
from onnx_builder import detectnet, write
from peoplenet_nb import ngc, paths
from peoplenet_nb.errors import ModelError
from peoplenet_nb.ngc.record import FileEntry, ModelRecord

MODEL = ngc.VERSIONS[ngc.DEFAULT_VERSION].model
DEFAULT = f"peoplenet_v{ngc.DEFAULT_VERSION}"
NEWER = "peoplenet_vdeployable_quantized_onnx_v2.6.3"


@pytest.fixture(autouse=True)
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PEOPLENET_MODEL", raising=False)
    monkeypatch.setattr(paths, "VOLUME", tmp_path / "workspace")
    return tmp_path


def put(folder: Path, name: str = MODEL) -> Path:
    return write(detectnet(), folder / name)


def test_nothing_is_found_where_nothing_is() -> None:
    assert ngc.find_model() is None
    assert ngc.find_model("") is None
    assert ngc.find_model("pruned_v9") is None
    assert ngc.find_model("some/where/model.onnx") is None


def test_order_of_the_places(places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_SHARED", str(places / "shared"))
    expected = []
    for folder in (
        places / "workspace" / NEWER,
        paths.models_dir() / NEWER,
        places / "shared" / "models" / DEFAULT,
        places / "workspace" / DEFAULT,
        paths.models_dir() / DEFAULT,
    ):
        expected.append(put(folder))
        assert ngc.find_model() == expected[-1], "each place comes before the ones filled earlier"
    monkeypatch.setenv("PEOPLENET_MODEL", str(put(places / "own", "own.onnx")))
    assert ngc.find_model() == places / "own" / "own.onnx"


@pytest.mark.parametrize("how", ["file", "folder", "version", "folder's name", "with the model's name"])
def test_what_a_name_may_be(places: Path, how: str) -> None:
    path = put(places / "workspace" / NEWER, "resnet34_peoplenet.onnx")
    version = NEWER.removeprefix("peoplenet_v")
    named = {
        "file": str(path),
        "folder": str(path.parent),
        "version": version,
        "folder's name": NEWER,
        "with the model's name": f"nvidia/tao/peoplenet:{version}",
    }
    assert ngc.find_model(named[how]) == path


def test_named_model_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEOPLENET_MODEL", "/no/such/model.onnx")
    with pytest.raises(ModelError, match="PEOPLENET_MODEL") as raised:
        ngc.find_model()
    assert raised.value.seen == "/no/such/model.onnx"


def test_derived_models_beside_the_original_are_never_taken_for_it(places: Path) -> None:
    folder = paths.models_dir() / DEFAULT
    for name in ("a_uint8.onnx", "resnet34_peoplenet_int8.qdq.onnx", "z.onnx"):
        put(folder, name)
    original = put(folder)
    assert ngc.find_model() == original


def test_recorded_model_wins_over_names(places: Path) -> None:
    folder = paths.models_dir() / DEFAULT
    put(folder)
    path = put(folder, "renamed.onnx")
    entry = FileEntry(path.stat().st_size, "0" * 64)
    ModelRecord("v", path, entry.size, entry.sha256, "structure", "", "hand", "", {path.name: entry}).save(
        folder
    )
    assert ngc.find_model() == path


def test_several_models_without_a_known_name_are_an_error(places: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        put(places / "mine", name)
    with pytest.raises(ModelError, match="several models") as raised:
        ngc.find_model(places / "mine")
    assert "a.onnx, b.onnx" in str(raised.value.seen)


def test_what_was_moved_aside_is_not_found(places: Path) -> None:
    put(paths.models_dir() / f"{DEFAULT}.replaced-20250101T000000.0")
    assert ngc.find_model() is None


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


ONNX = detectnet().SerializeToString()


def test_bare_file_put_into_the_models_folder_is_found_last(places: Path) -> None:
    path = put(paths.models_dir(), "dropped.onnx")
    assert ngc.find_model() == path
    assert ngc.find_model(ngc.DEFAULT_VERSION) is None, "nothing tells that it is this version"
    newer = put(places / "workspace" / NEWER)
    assert ngc.find_model() == newer


def test_bare_file_is_a_version_when_name_and_size_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(paths.models_dir())
    assert ngc.find_model(ngc.DEFAULT_VERSION) is None
    known = ngc.KnownVersion(MODEL, {MODEL: path.stat().st_size}, "of this size")
    monkeypatch.setitem(ngc.VERSIONS, ngc.DEFAULT_VERSION, known)
    assert ngc.find_model(ngc.DEFAULT_VERSION) == path


@pytest.mark.parametrize(
    ("name", "inside", "folder"),
    [
        pytest.param(f"peoplenet_{ngc.DEFAULT_VERSION}.zip", "", DEFAULT, id="the name says the version"),
        pytest.param("files.zip", "", "peoplenet_vfiles", id="the name says nothing"),
        pytest.param("My Files (1).ZIP", "a/b/", "peoplenet_vMy-Files--1-", id="folders within"),
    ],
)
def test_ngcs_archive_put_into_the_models_folder_is_unpacked_once(
    name: str, inside: str, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = paths.models_dir()
    archive = zipped(root / name, {f"{inside}{MODEL}": ONNX, f"{inside}labels.txt": b"Person\nBag\nFace\n"})
    expected = root / folder / MODEL
    with caplog.at_level(logging.INFO):
        assert ngc.find_model() == expected
    assert "was unpacked into" in caplog.text
    assert expected.read_bytes() == ONNX
    assert (expected.parent / "labels.txt").is_file()
    assert sorted(root.iterdir()) == sorted([archive, expected.parent]), "nothing temporary is left"
    caplog.clear()
    assert ngc.find_model() == expected
    assert "unpacked" not in caplog.text
    assert (ngc.find_model(ngc.DEFAULT_VERSION) == expected) == (folder == DEFAULT)


def test_archive_packed_on_a_mac_is_understood() -> None:
    zipped(paths.models_dir() / "files.zip", {"__MACOSX/._model.onnx": b"\0", "model.onnx": ONNX})
    assert ngc.find_model() == paths.models_dir() / "peoplenet_vfiles" / "model.onnx"


def test_archive_is_asked_for_a_version_by_name_or_by_the_size_of_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = paths.models_dir()
    zipped(root / "files.zip", {MODEL: ONNX})
    assert ngc.find_model(ngc.DEFAULT_VERSION) is None
    known = ngc.KnownVersion(MODEL, {MODEL: len(ONNX)}, "of this size")
    monkeypatch.setitem(ngc.VERSIONS, ngc.DEFAULT_VERSION, known)
    (root / DEFAULT).mkdir()  # made beforehand for the files to come
    assert ngc.find_model(ngc.DEFAULT_VERSION) == root / DEFAULT / MODEL


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param({"../evil.onnx": ONNX}, "outside", id="a name that climbs out"),
        pytest.param({"/evil.onnx": ONNX}, "outside", id="an absolute name"),
        pytest.param({MODEL: ONNX[:-40]}, "truncated", id="half a model"),
        pytest.param({MODEL: b"<html>"}, "HTML", id="a page"),
        pytest.param({"labels.txt": b"person"}, "no .onnx", id="no model"),
        pytest.param({"a.onnx": ONNX, "b.onnx": ONNX}, "several models", id="two models"),
        pytest.param(None, "not a zip file", id="half an archive"),
    ],
)
def test_archive_that_is_not_right_is_left_alone_and_reported(
    files: dict[str, bytes] | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    archive = paths.models_dir() / "files.zip"
    zipped(archive, files or {MODEL: ONNX})
    if files is None:
        archive.write_bytes(archive.read_bytes()[:-30])
    assert ngc.find_model() is None
    assert words in caplog.text
    assert "files.zip is not used" in caplog.text
    assert list(paths.home().rglob("*")) == [paths.models_dir(), archive]


def test_archive_with_a_link_is_left_alone(places: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive = zipped(paths.models_dir() / "files.zip", {MODEL: ONNX})
    link = zipfile.ZipInfo("labels.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr(link, str(places / "elsewhere"))
    assert ngc.find_model() is None
    assert "a link: labels.txt" in caplog.text


def test_archive_does_not_replace_what_a_folder_holds(caplog: pytest.LogCaptureFixture) -> None:
    root = paths.models_dir()
    zipped(root / f"{DEFAULT}.zip", {MODEL: ONNX})
    (root / DEFAULT).mkdir()
    (root / DEFAULT / "mine.txt").write_text("kept")
    assert ngc.find_model() is None
    assert "is not used" in caplog.text
    assert [path.name for path in (root / DEFAULT).iterdir()] == ["mine.txt"]


def test_record_survives_a_round_trip_and_a_move(places: Path) -> None:
    folder = places / "here"
    path = put(folder)
    entry = FileEntry(path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    saved = ModelRecord("v", path, entry.size, entry.sha256, "listing", "u", "http", "t", {path.name: entry})
    saved.save(folder)
    assert ModelRecord.load(folder) == saved
    assert str(places) not in (folder / ngc.RECORD_NAME).read_text()
    moved = folder.rename(places / "there")
    found = ModelRecord.load(moved)
    assert found is not None
    assert found.path == moved / MODEL
    assert found.fault() == ""
    (moved / MODEL).write_bytes(b"x")
    assert "has changed" in found.fault()
    (moved / MODEL).unlink()
    assert "is missing" in found.fault()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 1}', '{"files": {"a": 1}}', '{"files": {"a": {}}}']
)
def test_record_that_cannot_be_understood_is_no_record(places: Path, text: str) -> None:
    (places / ngc.RECORD_NAME).write_text(text)
    assert ModelRecord.load(places) is None


def test_record_that_is_a_pipe_is_not_waited_for(places: Path) -> None:
    os.mkfifo(places / ngc.RECORD_NAME)
    assert ModelRecord.load(places) is None


@pytest.mark.parametrize(
    "how", ["home", "models", "version", "named", "file in it", "PEOPLENET_MODEL", "shared"]
)
def test_folder_that_may_not_be_read_is_reported(
    places: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A model in there must not pass for none, or the stand-in would play for it."""
    named: str | Path | None = None
    folder = paths.models_dir() / DEFAULT
    if how in ("named", "file in it", "PEOPLENET_MODEL"):
        folder = places / "mine"
    if how == "shared":
        monkeypatch.setenv("PEOPLENET_SHARED", str(places / "shared"))
        folder = places / "shared" / "models" / DEFAULT
    path = put(folder)
    if how == "PEOPLENET_MODEL":
        monkeypatch.setenv("PEOPLENET_MODEL", str(path))
    named = {"version": ngc.DEFAULT_VERSION, "named": folder, "file in it": path}.get(how)
    closed = {"home": paths.home(), "models": paths.models_dir()}.get(how, folder)
    with forbidden(closed), pytest.raises(ModelError, match="permission denied") as raised:
        ngc.find_model(named)
    assert str(places) in str(raised.value.seen)


def test_somebody_elses_volume_is_passed_over(places: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(places / "workspace" / DEFAULT)
    with forbidden(places / "workspace"):
        assert ngc.find_model() is None
    assert "Permission denied" in caplog.text


def test_home_of_an_unknown_user_names_no_model() -> None:
    assert ngc.find_model("~nouser-of-this-machine/model.onnx") is None
