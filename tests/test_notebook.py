"""What makes sense in a notebook only: the key's field, the upload, the player, tables on NGC, a source that is cut."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from onnx_builder import detectnet, write
from peoplenet_nb import notebook
from peoplenet_nb.errors import OutputError, SourceError
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.ngc.errors import ROWS
from peoplenet_nb.notebook import (
    KeyField,
    Player,
    Unplugged,
    UploadField,
    by_hand,
    failures,
    places,
    versions,
)
from peoplenet_nb.notebook.player import SESSION, preview
from peoplenet_nb.settings import ClassSettings, Settings
from peoplenet_nb.sources import open_source
from peoplenet_nb.video import run, run_name
from peoplenet_nb.video.mp4 import check_video
from peoplenet_nb.video.writer import VideoWriter

KEY = "nvapi-not-to-be-seen"
EVERYTHING = Settings(default=ClassSettings(threshold=0.0))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    for name in ("NGC_API_KEY", "NGC_CLI_API_KEY", "RUNPOD_SECRET_NGC_API_KEY", "PEOPLENET_SHARED", SESSION):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(UploadField, "_uploaded", None)
    return tmp_path / "home"


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    with VideoWriter(path, (64, 48), 10.0) as writer:
        for i in range(20):
            writer.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8), i / 10)
    return path


@pytest.fixture
def model(tmp_path: Path) -> PeopleNet:
    return PeopleNet.load(write(detectnet(), tmp_path / "model" / "m.onnx"), "cpu")


def test_every_name_is_there() -> None:
    for name in notebook.__all__:
        assert getattr(notebook, name) is not None
        assert not hasattr(getattr(notebook, name), "__path__"), f"{name} is a module, not what a cell calls"


def test_places_name_every_folder(home: Path) -> None:
    html = places()._repr_html_()
    for name in ("models", "outputs", "cache", "settings.yaml", "speed.yaml"):
        assert str(home / name) in html
    assert "GB" in html
    assert str(home / "models") in repr(places())
    assert "<" not in repr(places())


# ---------------------------------------------------------------------------------------------------- NGC


def test_key_that_is_typed_leaves_no_trace(home: Path) -> None:
    field = KeyField()
    assert "guest" in field.origin
    field._box.set_state({"value": f" {KEY} "})  # what the browser sends
    assert field.reveal() == KEY
    assert field._box.value == "", "it must not stay where a notebook could save it"
    states = json.dumps([w.get_state() for w in (field._box, field._text, field._whole)], default=str)
    assert KEY not in states + repr(field) + field.origin + str(vars(field))
    assert field._box.traits()["value"].metadata["echo_update"] is False


@pytest.mark.parametrize("name", ["NGC_API_KEY", "NGC_CLI_API_KEY", "RUNPOD_SECRET_NGC_API_KEY"])
def test_key_of_the_environment_is_used_and_only_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, KEY)
    field = KeyField()
    assert field.reveal() == KEY
    assert name in field._text.value
    assert KEY not in repr(field) + field._text.value


def test_the_way_by_hand_makes_the_folder_that_it_names(home: Path) -> None:
    folder = home / "models" / "peoplenet_vsomewhere_v9"
    assert str(folder) in by_hand("somewhere_v9")._repr_html_()
    assert folder.is_dir()


def test_tables_on_ngc_are_whole(home: Path) -> None:
    shown = failures()._repr_html_()
    assert shown.count("<tr>") == len(ROWS) + 1
    assert "more rows" not in shown
    assert "v2.6.3" in versions()._repr_html_()
    assert "8,788,899" in by_hand()._repr_html_()


# -------------------------------------------------------------------------------------------------- player


def test_player_embeds_where_no_server_serves(home: Path, video: Path) -> None:
    player = Player(video, 'a "video"')
    assert player.linked is None
    html = player._repr_html_()
    assert "data:video/mp4;base64," in html
    assert 'aria-label="a &quot;video&quot;"' in html
    assert str(video) in html


@pytest.mark.parametrize(
    ("root", "where", "linked", "reason"),
    [
        (".", "pod/outputs/video.mp4", "../pod/outputs/video.mp4", "below the server's root"),
        ("notebooks", "pod/video.mp4", None, "beside the server's root"),
        (".", ".hidden/video.mp4", None, "in a hidden folder, which Jupyter does not serve"),
        ("elsewhere", "pod/video.mp4", None, "a server of another folder"),
    ],
)
def test_player_links_what_the_page_can_reach(
    home: Path,
    video: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    root: str,
    where: str,
    linked: str | None,
    reason: str,
) -> None:
    top = tmp_path / "top"
    for folder in ("notebooks", "elsewhere", str(Path(where).parent)):
        (top / folder).mkdir(parents=True, exist_ok=True)
    os.link(video, top / where)
    monkeypatch.chdir(top / "notebooks")
    monkeypatch.setenv(SESSION, "notebooks/05.ipynb")
    server = {"root_dir": str(top / root), "pid": os.getpid()}
    monkeypatch.setattr("peoplenet_nb.diagnostics.folders.running_servers", lambda: iter([server]))
    assert Player(top / where).linked == linked, reason


def test_preview_of_a_large_video_is_small_and_plays(
    home: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert preview(video) == video
    monkeypatch.setattr("peoplenet_nb.notebook.player._LARGEST_EMBEDDED", 1000)
    small = preview(video)
    assert small != video
    assert not check_video(small).problems
    assert preview(video) == small


def test_player_refuses_what_no_browser_plays(home: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such video"):
        Player(tmp_path / "none.mp4")


def test_player_takes_a_run(home: Path, video: Path, model: PeopleNet, tmp_path: Path) -> None:
    result = run(open_source(video, frames=5), model, EVERYTHING, tmp_path / "out", progress=False)
    player = Player(result)
    assert player.video == result.video
    assert "5 frames" in player.alt
    assert str(result.video) in player._repr_html_()


def test_a_run_over_images_has_no_video_but_says_where_they_are(
    home: Path, video: Path, model: PeopleNet, tmp_path: Path
) -> None:
    (tmp_path / "pictures").mkdir()
    for frame in open_source(video, frames=2):
        cv2.imwrite(str(tmp_path / "pictures" / f"{frame.index}.png"), frame.image)
    result = run(open_source(tmp_path / "pictures"), model, EVERYTHING, tmp_path / "out", progress=False)
    assert str(result.images) in Player(result)._repr_html_()


# -------------------------------------------------------------------------------------------------- a run that is cut


def test_an_unplugged_run_goes_on_where_it_stopped(
    home: Path, video: Path, model: PeopleNet, tmp_path: Path
) -> None:
    whole = open_source(video, every=2, frames=6)
    options = {"name": "cut", "progress": False, "batch": 1}
    with pytest.raises(SourceError, match="on purpose") as caught:
        run(Unplugged(whole, after=3), model, EVERYTHING, tmp_path, **options)
    assert caught.value.seen == "after 3 frames"
    kept = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert sum(part["frames"] for part in kept["parts"]) == 3
    resumed = run(whole, model, EVERYTHING, tmp_path, resume=True, **options)
    assert resumed.frames_to_pandas()["frame"].tolist() == [0, 2, 4, 6, 8, 10]


def test_a_name_is_another_one_whenever_the_results_would_be(
    video: Path, model: PeopleNet, tmp_path: Path
) -> None:
    source = open_source(video)
    name = run_name(source, model, EVERYTHING)
    assert name.startswith("clip-")
    assert run_name(open_source(video), model, EVERYTHING.replace(preset="renamed")) == name
    others = {
        run_name(source.sampled(2), model, EVERYTHING),
        run_name(source, model, EVERYTHING.replace(nms_iou=0.3)),
        run_name(source, PeopleNet.load(model.file.path, "cpu", "letterbox"), EVERYTHING),
    }
    assert len(others | {name}) == 4


# -------------------------------------------------------------------------------------------------- uploads


def upload(field: UploadField, name: str, content: bytes = b"video") -> None:
    item: Any = {"name": name, "content": memoryview(content)}
    field._take({"new": [item]})


def test_upload_lands_under_the_home_whatever_its_name(home: Path) -> None:
    field = UploadField()
    assert field.or_else("demo") == "demo"
    upload(field, "../../.evil.mp4")
    assert field.path == home / "uploads" / "evil.mp4"
    assert field.path.read_bytes() == b"video"
    assert field.or_else("demo") == str(field.path)
    assert str(field.path) in field._text.value


def test_an_upload_is_still_there_when_the_cell_runs_again(home: Path) -> None:
    upload(UploadField(), "mine.mp4")
    again = UploadField()
    assert again.or_else("demo") == str(home / "uploads" / "mine.mp4")
    assert "takes the place of SOURCE" in again._text.value
    again._forget.click()
    assert again.or_else("demo") == "demo"
    assert UploadField().or_else("demo") == "demo"


def test_a_new_kernel_takes_what_is_named_and_says_what_was_uploaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(UploadField(), "mine.mp4")
    monkeypatch.setattr(UploadField, "_uploaded", None)
    field = UploadField()
    assert field.or_else("demo") == "demo"
    assert "SOURCE is taken" in field._text.value
    assert str(home / "uploads" / "mine.mp4") in field._text.value


def test_an_upload_that_was_deleted_is_forgotten(home: Path) -> None:
    upload(UploadField(), "mine.mp4")
    (home / "uploads" / "mine.mp4").unlink()
    assert UploadField().path is None


def test_upload_that_cannot_be_written_is_said(home: Path) -> None:
    home.mkdir()
    (home / "uploads").write_text("a file where the folder should be")
    field = UploadField()
    upload(field, "a.mp4")
    assert field.path is None
    assert "not received" in field._text.value


@pytest.mark.parametrize("field", [KeyField, UploadField])
def test_fields_show_themselves_as_widgets(home: Path, field: type[KeyField] | type[UploadField]) -> None:
    made = field()
    view = made._repr_mimebundle_()["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == made._whole.model_id
