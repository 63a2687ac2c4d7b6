"""Runs over several sources: each has a folder of its own, and one that fails does not stop the others."""

from __future__ import annotations

import cv2
import pandas as pd
import pytest

from peoplenet_nb.errors import DeviceError, SettingsError
from peoplenet_nb.settings import Settings
from peoplenet_nb.video import several
from videos import FakeModel, make_video, picture


def run_all(*sources, output, **options):
    return list(several.run_all(sources, FakeModel(), Settings(), output, progress=False, **options))


def test_a_broken_source_does_not_stop_the_others(tmp_path):
    for name in ("a", "c"):
        make_video(tmp_path / f"{name}.mp4", 5)
    (tmp_path / "broken.mp4").write_bytes(bytes(5000))
    first, failure, last = run_all(*(tmp_path / f"{n}.mp4" for n in ("a", "broken", "c")), output=tmp_path)
    assert (first.folder.name, last.folder.name) == ("a", "c")
    assert failure.source == str(tmp_path / "broken.mp4")
    assert "not a video" in str(failure.error)


def test_a_run_that_fails_does_not_stop_the_others(tmp_path):
    clips = [make_video(tmp_path / f"{name}.mp4", 5) for name in ("a", "b")]
    run_all(clips[0], output=tmp_path / "out")
    failure, result = run_all(*clips, output=tmp_path / "out")
    assert "already holds results" in str(failure.error)
    assert result.summary["complete"]


def test_the_model_is_loaded_once_and_only_for_what_can_be_run(tmp_path):
    clips, loads = [make_video(tmp_path / f"{name}.mp4", 5) for name in ("a", "b")], []

    def outcomes(*sources, **options):
        given = {"output": tmp_path / "out", "progress": False, **options}
        return list(several.run_all(sources, lambda: loads.append(1) or FakeModel(), Settings(), **given))

    run_all(clips[0], output=tmp_path / "out")
    missing, held = outcomes(tmp_path / "none.mp4", clips[0])
    assert ("No such" in str(missing.error), "already holds" in str(held.error)) == (True, True)
    with pytest.raises(SettingsError, match="often"):
        outcomes(clips[1], keyframes="often")
    assert loads == []
    assert [result.summary["complete"] for result in outcomes(*clips, overwrite=True)] == [True, True]
    assert loads == [1]


def test_what_is_wrong_for_all_sources_ends_it_at_once(tmp_path):
    clips = [make_video(tmp_path / f"{name}.mp4", 5) for name in ("a", "b")]
    with pytest.raises(DeviceError, match="Unknown encoder"):
        run_all(*clips, output=tmp_path / "out", encoder="x")


@pytest.mark.parametrize("overwrite", [True, False])
def test_every_source_has_a_folder_of_its_own(tmp_path, overwrite):
    paths = [tmp_path / name for name in ("a/f.mp4", "b/f.mp4", "c/f-2.mp4")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        make_video(path, 3 + number)
    results = run_all(*paths, output=tmp_path / "out", overwrite=overwrite)
    assert [result.folder.name for result in results] == ["f", "f-3", "f-2"]
    assert [len(pd.read_csv(result.frames_table)) for result in results] == [3, 4, 5]


def test_a_folder_of_videos_is_each_video(tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("v10.mp4", "v9.mp4"):
        make_video(folder / name, 3)
    (folder / "notes.txt").write_text("no video")
    assert [r.folder.name for r in run_all(folder, output=tmp_path / "out")] == ["v9", "v10"]
    cv2.imwrite(str(folder / "1.png"), picture(1))  # pictures go first: then it is a folder of images
    (result,) = run_all(folder, output=tmp_path / "out")
    assert result.folder.name == "videos"
    assert "v9.mp4" in " ".join(result.notes)


@pytest.mark.parametrize("progress", [True, False])
def test_no_bar_is_shown_while_sources_are_opened_either(tmp_path, monkeypatch, progress):
    seen = []
    real = several.open_source
    monkeypatch.setattr(
        several, "open_source", lambda spec, **given: seen.append(given["progress"]) or real(spec, **given)
    )
    clip = make_video(tmp_path / "a.mp4", 2)
    list(several.run_all([clip], FakeModel(), Settings(), tmp_path / "out", progress=progress))
    assert seen == [progress]


def test_a_video_too_large_for_its_key_frames_does_not_stop_the_others(tmp_path, monkeypatch):
    clips = [make_video(tmp_path / "a.mp4", 5, (640, 384)), make_video(tmp_path / "b.mp4", 5)]
    monkeypatch.setattr("peoplenet_nb.video.checks._APART_BYTES", 160 * 96 * 3 // 2 * 4)
    failure, result = run_all(*clips, output=tmp_path / "out", keyframes=4)
    assert "held in memory" in str(failure.error)
    assert result.summary["complete"]
