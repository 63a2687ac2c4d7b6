"""What a run refuses before it touches anything: to write over its source, and settings that do not fit."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from peoplenet_nb.errors import OutputError, SettingsError
from peoplenet_nb.settings import Settings, preset
from peoplenet_nb.video import running
from videos import FakeModel, make_video, picture


def run(source, output, settings=None, **options):
    return running.run(source, FakeModel(), settings or Settings(), output, progress=False, **options)


@pytest.fixture
def clip(tmp_path) -> Path:
    return make_video(tmp_path / "clip.mp4", 8)


def test_results_do_not_go_into_the_folder_of_the_images(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(1))
    with pytest.raises(OutputError, match="folder of the source itself"):
        run(folder, tmp_path)
    assert [p.name for p in folder.iterdir()] == ["1.png"]


@pytest.mark.parametrize(
    ("file", "spec"),
    [
        ("video/video.mp4", "video/video.mp4"),  # --overwrite would delete it
        ("clip/raw/clip.mp4", "clip/raw/clip.mp4"),  # deeper
        ("a/images/a.jpg", "a/images/a.jpg"),  # the annotated image has the same name
        ("a/images/1.png", "a/images"),  # a folder of images; the run would be called images, see name
        ("elsewhere.mp4", "link/link.mp4"),  # a link in the folder, which would be deleted
        ("b/b.mp4", "way/b.mp4"),  # the way leads through a link to the folder
    ],
)
@pytest.mark.parametrize("overwrite", [True, False])
def test_run_never_writes_to_a_folder_that_holds_its_source(tmp_path, file, spec, overwrite):
    file, spec = tmp_path / file, tmp_path / spec
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".mp4":
        make_video(file, 3)
    else:
        cv2.imwrite(str(file), picture(3))
    if spec.parent.name == "link":
        spec.parent.mkdir()
        spec.symlink_to(file)
    if spec.parent.name == "way":
        spec.parent.symlink_to(file.parent)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    with pytest.raises(OutputError, match="folder of the source itself") as raised:
        run(spec, tmp_path, overwrite=overwrite, name="a" if spec.name == "images" else None)
    assert str(tmp_path) in str(raised.value.seen)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_annotated_images_do_not_go_through_a_link_into_the_source(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(1))
    (tmp_path / "out" / "photos").mkdir(parents=True)
    (tmp_path / "out" / "photos" / "images").symlink_to(folder)
    with pytest.raises(OutputError, match="folder of the source itself"):
        run(folder, tmp_path / "out")


def test_result_of_a_run_can_be_the_next_ones_source(clip, tmp_path):
    video = run(clip, tmp_path / "out").video
    assert run(video, tmp_path / "out").folder == tmp_path / "out" / "video"
    assert video.is_file()


def test_settings_of_another_preprocessing_are_refused_before_anything_is_written(clip, tmp_path):
    with pytest.raises(SettingsError, match="another preprocessing") as raised:
        run(clip, tmp_path / "out", settings=preset("default", "letterbox"))
    assert raised.value.seen == "settings.fit='letterbox', and the frames here have 'stretch'"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("output", "name"),
    [("~nobody-of-that-name/x", None), ("a\0b", None), ("out", "a\0b"), ("out", "a/b"), ("out", "..")],
)
def test_what_cannot_be_a_folder_is_refused(tmp_path, monkeypatch, output, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="cannot be a path|name of a folder"):
        run(make_video(tmp_path / "clip.mp4", 2), output, name=name)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        run(make_video(tmp_path / "clip.mp4", 2), tmp_path, name="x" * 300)
