"""Which videos a batch is over, and what their folders are called."""

from __future__ import annotations

import random

import pytest

from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.fleet.listing import list_jobs, reserve_names
from peoplenet_nb.paths import DEMO_CLIP


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * len(name))


def names(jobs, folder):
    return [job.source.removeprefix(f"{folder}/") for job in jobs]


def test_a_folder_is_all_videos_below_it_and_no_results(tmp_path):
    touch(
        tmp_path,
        "b/10.mp4",
        "b/9.mp4",
        "a.mkv",
        "notes.txt",
        ".hidden/c.mp4",
        "pictures/1.png",
        "pictures/2.png",
    )
    touch(tmp_path, "out/.batch/request.json", "out/sheet/a.jpg", "out/a/run.json", "out/a/video.mp4")
    assert names(list_jobs([tmp_path]), tmp_path) == ["a.mkv", "b/9.mp4", "b/10.mp4", "pictures"]


def test_patterns_and_files_and_each_but_once(tmp_path, monkeypatch):
    touch(tmp_path, "x/1.mp4", "x/y/2.mp4", "x/y/3.avi")
    monkeypatch.chdir(tmp_path)
    jobs = list_jobs(["x/**/*.mp4", "x/1.mp4", tmp_path / "x"])
    assert names(jobs, tmp_path) == ["x/1.mp4", "x/y/2.mp4", "x/y/3.avi"]
    assert [job.size for job in jobs] == [7, 9, 9]
    (demo,) = list_jobs(["demo"])
    assert demo.source == str(DEMO_CLIP)


def test_a_list_has_names_and_settings(tmp_path):
    touch(tmp_path, "a.mp4", "b, c.mp4")
    (tmp_path / "low.yaml").write_text("classes:\n  person: {threshold: 0.05}\n")
    path = tmp_path / "list.csv"
    path.write_text(
        'source, name,settings\na.mp4,,\n"b, c.mp4",second,low.yaml\ngone.mp4,,\nhttps://h/x?k=s,,\n'
    )
    a, b, gone, link = list_jobs([path])
    assert (a.name, a.settings) == ("", None)
    assert b.name == "second"
    assert b.settings["classes"]["person"]["threshold"] == 0.05
    assert gone.source == str(tmp_path / "gone.mp4")  # it fails when it is its turn
    assert link.shown == "https://h/x"


@pytest.mark.parametrize(
    ("text", "error", "match"),
    [
        ("source,setings\na.mp4,x\n", SettingsError, "did you mean 'settings'"),
        ("source\na.mp4,x\n", SourceError, "line 2"),
        ("name\nx\n", SourceError, "names no source"),
        ("source,name\na.mp4,../up\n", OutputError, "name of a folder"),
        ("source,settings\na.mp4,gone.yaml\n", SettingsError, "gone.yaml"),
        ("source\n", SourceError, "no video"),
        ("", SourceError, "no video"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(tmp_path, text, error, match):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(error, match=match):
        list_jobs([path])


@pytest.mark.parametrize("what", ["gone.mp4", "nothing*.mp4", "empty", "s3:/x", "\0"])
def test_what_is_not_there_is_an_error_at_once(tmp_path, monkeypatch, what):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError):
        list_jobs([what])


@pytest.mark.parametrize("address", ["rtsp://me:hush@camera/1", "RTMP://h/live", "/dev/video0"])
def test_live_streams_are_refused_at_once(tmp_path, address):
    path = tmp_path / "list.csv"
    path.write_text(f"source\n{address}\n")
    for given in (address, path):
        with pytest.raises(SourceError, match="live stream") as caught:
            list_jobs([given])
        assert "detect" in str(caught.value)
        assert "hush" not in str(caught.value)


def jobs_of(folder):
    return list_jobs([folder / "a" / "f.mp4", folder / "b" / "f.mp4", folder / "c" / "f-2.mp4"])


def test_names_are_told_apart_and_stay(tmp_path):
    touch(tmp_path, "a/f.mp4", "b/f.mp4", "c/f-2.mp4", "d/f.mp4", "sheet.mp4", "x/videos.csv.mp4")
    out = tmp_path / "out"
    first = jobs_of(tmp_path)
    reserve_names(first, out)
    kept = {job.source: job.name for job in first}
    assert len(set(kept.values())) == 3
    more = list_jobs(
        [tmp_path / "d" / "f.mp4", tmp_path / "sheet.mp4", tmp_path / "x" / "videos.csv.mp4"]
    ) + jobs_of(tmp_path)
    random.Random(1).shuffle(more)
    reserve_names(more, out)
    assert {job.source: job.name for job in more if job.source in kept} == kept
    assert len({job.name for job in more}) == 6
    assert {"sheet", "videos.csv"}.isdisjoint(job.name for job in more)


def test_a_name_belongs_to_one_video(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    path = tmp_path / "list.csv"
    path.write_text("source,name\na.mp4,x\nb.mp4,x\n")
    with pytest.raises(OutputError, match="this name already"):
        reserve_names(list_jobs([path]), tmp_path / "out")
    path.write_text("source,name\na.mp4,b\n")
    reserve_names(list_jobs([tmp_path / "b.mp4"]), tmp_path / "two")
    with pytest.raises(OutputError, match="this name already"):
        reserve_names(list_jobs([path]), tmp_path / "two")
    path.write_text("source,name\na.mp4,.batch\n")
    with pytest.raises(OutputError, match="this name already"):
        reserve_names(list_jobs([path]), tmp_path / "three")


def test_no_secret_of_an_address_is_kept(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("source\nhttps://me:hush@host/a.mp4?token=hush\nhttps://host/a.mp4?token=other\n")
    jobs = list_jobs([path])
    reserve_names(jobs, tmp_path / "out")
    assert [job.name for job in jobs] == ["a", "a-2"]
    kept = b"".join(file.read_bytes() for file in (tmp_path / "out").rglob("*") if file.is_file())
    assert b"hush" not in kept
    assert b"other" not in kept


def test_long_names_are_cut(tmp_path):
    touch(tmp_path, "ü" * 110 + ".mp4")
    jobs = list_jobs([tmp_path])
    reserve_names(jobs, tmp_path / "out")
    assert jobs[0].name == "ü" * 75
