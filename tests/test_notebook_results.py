"""What notebook cells end in: tables, the workbench, the key's field, the player, runs that are continued."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conftest import make_grids
from onnx_builder import detectnet, write
from peoplenet_nb import notebook
from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.notebook.bench import EXPECT_BOXES, Workbench, workbench
from peoplenet_nb.notebook.fetch import by_hand, failures, fetch_model, versions
from peoplenet_nb.notebook.folders import choose_settings, keep_settings, models_here, places, settings_file
from peoplenet_nb.notebook.inside import heads
from peoplenet_nb.notebook.keyfield import KeyField
from peoplenet_nb.notebook.player import SESSION, Player, preview
from peoplenet_nb.notebook.rich import Fold, Sentence, Stack, Table
from peoplenet_nb.notebook.samples import explain_missing, sample_frames
from peoplenet_nb.notebook.timing import time_devices
from peoplenet_nb.notebook.upload import UploadField
from peoplenet_nb.notebook.video_run import cut_and_continue, run_video
from peoplenet_nb.onnxfile import read_model_file
from peoplenet_nb.plots.frame import network_view
from peoplenet_nb.settings import ClassSettings, Settings
from peoplenet_nb.speed import build_uint8
from peoplenet_nb.video.writer import VideoWriter, check_video

KEY = "nvapi-not-to-be-seen"
EVERYTHING = Settings(default=ClassSettings(threshold=0.0))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path / "home"))
    for name in ("NGC_API_KEY", "NGC_CLI_API_KEY", "RUNPOD_SECRET_NGC_API_KEY", "PEOPLENET_SHARED", SESSION):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PEOPLENET_NGC_API", "http://127.0.0.1:9/v2")
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
def model(tmp_path: Path) -> Path:
    return write(detectnet(dead={"box": (1,)}), tmp_path / "model" / "m.onnx")


@pytest.fixture
def bench(home: Path, video: Path, model: Path) -> Workbench:
    return workbench(video, model, "cpu")


def test_every_name_is_there() -> None:
    for name in notebook.__all__:
        assert getattr(notebook, name) is not None
        assert not hasattr(getattr(notebook, name), "__path__"), f"{name} is a module, not what a cell calls"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = notebook.nothing


# ------------------------------------------------------------------------------------------------- tables


def test_table_cuts_nothing_off_and_escapes() -> None:
    long = "a" * 300
    html = Table([{"what": long, "n": 1234, "x": 0.25}, {"what": "<b>", "n": 5, "x": float("nan")}]).to_html()
    assert long in html
    assert "&lt;b&gt;" in html
    assert "1,234" in html
    assert ">0.25<" in html
    assert "nan" not in html


def test_table_says_how_much_it_leaves_out() -> None:
    table = Table([{"n": i} for i in range(50)], limit=12, more="All: x.csv")
    assert len(table) == 50
    assert "and 38 more rows. All: x.csv" in table.to_html()
    assert "more rows" not in Table([{"n": 1}]).to_html()


def test_stack_and_fold_show_what_they_hold() -> None:
    shown = Stack(Sentence("went well", "ok"), Fold("more <", make_grids)).to_html()
    assert "went well" in shown
    assert "<summary" in shown
    assert "more &lt;" in shown
    assert "Instead:" in Sentence("the demo", "instead").to_html()
    bundle = Sentence("x")._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}


# ---------------------------------------------------------------------------------------------- workbench


def test_workbench_opens_what_was_named(bench: Workbench, video: Path) -> None:
    assert not bench.is_demo
    assert bench.instead == []
    assert bench.frame(7).index == 7
    assert bench.frame(999).index == 10, "past the end is the middle"
    assert bench.frame().index == 10
    assert str(video) in bench.to_html()
    assert "20 frames" in bench.to_html()


def test_an_address_that_gives_nothing_becomes_the_demo_and_says_so(
    home: Path, video: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peoplenet_nb.demo.demo_clip", lambda: video)
    bench = workbench("http://127.0.0.1:9/video.mp4?token=abc", model, "cpu")
    assert bench.is_demo
    assert bench.spec == str(video)
    assert "demo clip takes its place" in bench.to_html()
    assert "Instead" in bench.to_html()
    assert "token" not in bench.to_html()


def test_a_mistyped_path_stays_an_error(home: Path, model: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        workbench("/no/such/video.mp4", model, "cpu")


@pytest.mark.parametrize(
    ("is_demo", "value", "expected", "reason"),
    [
        (True, None, True, "the demo clip shows people"),
        (False, None, False, "a video of one's own may show an empty street"),
        (False, "1", True, "somebody knows that it shows people"),
        (False, "0", False, "switched off"),
    ],
)
def test_boxes_are_expected_only_where_people_are_known_to_be(
    bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    is_demo: bool,
    value: str | None,
    expected: bool,
    reason: str,
) -> None:
    monkeypatch.delenv(EXPECT_BOXES, raising=False)
    if value is not None:
        monkeypatch.setenv(EXPECT_BOXES, value)
    bench.is_demo = is_demo
    assert bench.expects_boxes is expected, reason


def test_the_standin_warns_on_a_video_of_ones_own(home: Path, video: Path) -> None:
    bench = workbench(video)
    assert bench.model.is_standin
    assert "Notebook 02 fetches" in bench.to_html()
    assert "means nothing" in bench.to_html()


# ------------------------------------------------------------------------------------------------ settings


def test_settings_go_from_one_notebook_to_the_next(home: Path) -> None:
    assert choose_settings().settings.preset == "default"
    chosen = Settings().with_class("face", threshold=0.11).replace(preset="mine")
    kept = keep_settings(chosen)
    assert kept.path == settings_file() == home / "settings.yaml"
    again = choose_settings()
    assert again.settings == chosen
    assert str(home) in again.to_html()
    assert "0.11" in again.to_html()
    assert choose_settings("tao").settings.preset == "tao"
    assert "dbscan" in choose_settings("tao").to_html()
    assert choose_settings(settings_file()).settings == chosen
    with pytest.raises(SettingsError, match="No such settings file"):
        choose_settings("nothing.yaml")


def test_places_name_every_folder(home: Path) -> None:
    html = places().to_html()
    for name in ("models", "outputs", "cache", "settings.yaml"):
        assert str(home / name) in html
    assert "GB" in html


# ---------------------------------------------------------------------------------------------------- NGC


def test_key_that_is_typed_leaves_no_trace(home: Path) -> None:
    field = KeyField()
    assert "guest" in field.origin
    field._box.set_state({"value": f" {KEY} "})  # what the browser sends
    assert field.reveal() == KEY
    assert field._box.value == "", "it must not stay where a notebook could save it"
    states = json.dumps([w.get_state() for w in (field._box, field._said, field._whole)], default=str)
    assert KEY not in states + repr(field) + field.origin + str(vars(field))
    assert field._box.traits()["value"].metadata["echo_update"] is False


@pytest.mark.parametrize("name", ["NGC_API_KEY", "NGC_CLI_API_KEY", "RUNPOD_SECRET_NGC_API_KEY"])
def test_key_of_the_environment_is_used_and_only_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, KEY)
    field = KeyField()
    assert field.reveal() == KEY
    assert name in field._said.value
    assert KEY not in repr(field) + field._said.value


def test_no_network_is_a_result_that_says_what_follows(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NGC_API_KEY", KEY)
    fetched = fetch_model(key=KeyField())
    assert fetched.file is None
    html = fetched.to_html()
    assert "cannot be reached" in html
    assert "stand-in" in html
    assert "By hand" in html
    assert KEY not in html + repr(fetched)
    assert "no PeopleNet" in models_here().to_html()


def test_a_model_brought_by_hand_is_not_fetched_again(home: Path) -> None:
    path = write(
        detectnet(),
        home / "models" / "peoplenet_vpruned_quantized_decrypted_v2.3.4" / "resnet34_peoplenet_int8.onnx",
    )
    fetched = fetch_model()
    assert fetched.error is None
    assert fetched.file is not None
    assert fetched.file.path == path
    assert "nothing was fetched" in fetched.to_html()
    assert fetched.file.sha256 in fetched.to_html()
    assert str(path) in models_here().to_html()


def test_a_file_dropped_into_the_models_folder_stands_in_for_a_failed_download(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEOPLENET_NGC_API", "http://127.0.0.1:9/v2")
    path = write(detectnet(), home / "models" / "dropped.onnx")
    fetched = fetch_model(retries=0)
    assert fetched.error is not None
    assert fetched.file is not None
    assert fetched.file.path == path


def test_the_way_by_hand_makes_the_folder_that_it_names(home: Path) -> None:
    folder = home / "models" / "peoplenet_vsomewhere_v9"
    assert str(folder) in by_hand("somewhere_v9").to_html()
    assert folder.is_dir()


def test_tables_on_ngc_are_whole(home: Path) -> None:
    from peoplenet_nb.ngc.errors import ROWS

    assert len(failures()) == len(ROWS)
    assert "more rows" not in failures().to_html()
    assert "v2.6.3" in versions().to_html()
    assert "8,788,899" in by_hand().to_html()
    assert "somewhere_v9" in by_hand("somewhere_v9").to_html()


# ------------------------------------------------------------------------------------------ model and time


def test_network_input_is_shown_alike_where_a_form_that_takes_bytes_runs(
    bench: Workbench, video: Path, model: Path
) -> None:
    picture = bench.frame(3).image
    before, _ = bench.model.network_input(picture)
    build_uint8(read_model_file(model))
    optimised = workbench(video, model, "cpu").model
    assert optimised.preprocess(picture)[0].dtype == np.uint8, "the derived form does not run"
    batch, fit = optimised.network_input(picture)
    assert batch.dtype == np.float32
    assert batch.shape == (1, 3, *optimised.file.network_size[::-1])
    np.testing.assert_array_equal(batch, before)
    assert "RGB / 255" in network_view(picture, batch, fit).caption


def test_dead_head_is_made_visible(bench: Workbench) -> None:
    health = heads(bench.model)
    assert health.dead == ("bag",)
    html = health.to_html()
    assert "DEAD" in html
    assert "No threshold brings back bag" in html


def test_every_device_is_timed_or_explained(home: Path, model: Path) -> None:
    timing = time_devices(model, devices=["cpu", "no-such"], batches=(1, 2), repeats=1)
    assert [(row["device"], row["batch"]) for row in timing.rows] == [("cpu", 1), ("cpu", 2)]
    assert all(float(str(row["ms_per_frame"])) > 0 for row in timing.rows)
    assert [row["device"] for row in timing.absent] == ["no-such"]
    assert "CPUExecutionProvider" in timing.to_html()
    assert "no-such" in timing.to_html()


# -------------------------------------------------------------------------------------------------- player


def test_player_embeds_where_no_server_serves(home: Path, video: Path) -> None:
    player = Player(video, 'a "video"')
    assert player.linked is None
    html = player.to_html()
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


# ---------------------------------------------------------------------------------------------------- runs


def test_run_is_shown_charted_and_returned_at_once(bench: Workbench) -> None:
    run = run_video(bench, EVERYTHING, every=4, progress=False)
    assert run.result.summary["frames"] == 5
    assert (run.folder / "grids").is_dir(), "a short video keeps its grids for the tuner"
    assert run.clip(bench) == run.folder
    assert "5 frames" in run.player().alt  # type: ignore[attr-defined]
    assert "detections" in run.table(limit=1).caption
    assert "5 frames" in run.counts().alt or "boxes" in run.counts().alt.lower()
    assert "Histogram" in run.confidences().alt
    assert str(run.folder) in run.to_html()
    before = (run.folder / "summary.json").stat().st_mtime_ns
    again = run_video(bench, EVERYTHING, every=4, progress=False)
    assert again.folder == run.folder
    assert (again.folder / "summary.json").stat().st_mtime_ns == before, "it ran again"
    other = run_video(bench, EVERYTHING.replace(nms_iou=0.3), every=4, progress=False)
    assert other.folder != run.folder


def test_run_without_grids_makes_a_clip_for_the_tuner(bench: Workbench) -> None:
    run = run_video(bench, EVERYTHING, save_grids=False, progress=False)
    assert not (run.folder / "grids").exists()
    clip = run.clip(bench, frames=4)
    assert len(list((clip / "grids").glob("*.npz"))) == 4


def test_cut_run_goes_on_where_it_stopped(bench: Workbench) -> None:
    cut = cut_and_continue(bench, EVERYTHING, frames=6, every=2)
    assert (cut.before, cut.after) == (3, 6)
    frames = cut.run.result.frames_to_pandas()["frame"].tolist()
    assert frames == [0, 2, 4, 6, 8, 10]
    assert "on purpose" in cut.to_html()
    assert cut_and_continue(bench, EVERYTHING, frames=6, every=2).before == 3, "it can be shown twice"


def test_cut_run_overwrites_no_run_of_a_video(home: Path, video: Path, model: Path) -> None:
    names = (f"{video.stem}-cut", "cut-demonstration", video.stem)
    kept = {}
    for name in names:  # as `peoplenet-nb detect` names the folder of a video
        other = video.with_name(f"{name}.mp4")
        if other != video:
            os.link(video, other)
        bench = workbench(other, model, "cpu")
        folder = run_video(bench, EVERYTHING, frames=3, name=bench.source.info.stem, progress=False).folder
        assert folder.name == name
        kept |= {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    cut = cut_and_continue(workbench(video, model, "cpu"), EVERYTHING, frames=6)
    assert cut.run.folder not in {path.parent for path in kept}
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize(
    ("count", "apart", "expected", "reason"),
    [
        (5, 100, [0, 4, 8, 12, 16], "twenty frames: spread evenly"),
        (3, 5, [0, 5, 10], "long enough: as far apart as asked"),
        (50, 100, list(range(20)), "more than there are: all of them"),
    ],
)
def test_samples_are_a_hundred_apart_or_spread(
    bench: Workbench, count: int, apart: int, expected: list[int], reason: str
) -> None:
    samples = sample_frames(bench, EVERYTHING, count, apart)
    assert [frame.index for frame in samples.frames] == expected, reason
    html = samples.to_html()
    assert html.count("<details>") == len(expected)
    assert "what the network said of frame 0" in html
    assert str(samples).count("Raw outputs") == len(expected)
    assert samples.found == sum(len(r.decoded.detections) for r in samples.reports)


def test_missing_looks_where_nothing_was_found() -> None:
    strong, weak = (0.9, (1, 2, 1, 2)), (0.2, (1, 2, 1, 2))
    grids = make_grids({(0, 17, 30): strong, (0, 17, 31): (0.24, (1.4, 2, 0.6, 2)), (0, 8, 10): weak})
    found = explain_missing(grids, Settings())
    assert (found.row, found.col) == (8, 10), (
        "the cell beside the box that was found is about the same person"
    )
    assert found.fate == "below threshold"
    assert found.rescue == pytest.approx(0.2, abs=0.001)
    assert explain_missing(grids, Settings(), point=(485, 275)).fate == "kept"


def test_upload_lands_under_the_home_whatever_its_name(home: Path) -> None:
    field = UploadField()
    assert field.or_else("demo") == "demo"
    item: Any = {"name": "../../.evil.mp4", "content": memoryview(b"video")}
    field._take({"new": [item]})
    assert field.path == home / "uploads" / "evil.mp4"
    assert field.path.read_bytes() == b"video"
    assert field.or_else("demo") == str(field.path)
    assert "received" in field._said.value


def test_upload_that_cannot_be_written_is_said(home: Path) -> None:
    home.mkdir()
    (home / "uploads").write_text("a file where the folder should be")
    field = UploadField()
    field._take({"new": [{"name": "a.mp4", "content": b"video"}]})
    assert field.path is None
    assert "not received" in field._said.value


def test_widgets_show_themselves(home: Path) -> None:
    for field in (KeyField(), UploadField()):
        bundle = field._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in SimpleNamespace(bundle=bundle).bundle
