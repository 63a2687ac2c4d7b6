"""What is behind the live panel and the browser's camera, without a browser."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from live_streams import wait_for
from peoplenet_nb.demo import STANDIN, demo_clip
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.live import BrowserCamera, LivePanel, Watching, watch
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.settings import preset
from peoplenet_nb.sources import open_source
from peoplenet_nb.tracks import Line, Scene
from peoplenet_nb.video.mp4 import check_video
from runs import run as run_video
from videos import FakeModel, make_video


@pytest.fixture(scope="module")
def standin():
    return PeopleNet.load(STANDIN)


@pytest.fixture(scope="module")
def frame():
    return open_source(demo_clip()).frame(30).image


@pytest.fixture
def panel(standin, tmp_path):
    panel = LivePanel(open_source(demo_clip(), live=True), standin, output=tmp_path)
    panel.sent = []
    panel.canvas.send = lambda content, buffers=None: panel.sent.append((content, buffers))
    yield panel
    panel.close()


def jpeg_of(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def ask(panel, **content):
    panel._on_message(None, {"type": "next", "seen": 0, "width": 800} | content, [])


class TestCamera:
    def test_answers_a_picture_with_its_boxes(self, standin, frame):
        camera = BrowserCamera(standin)
        answer = camera.answer(jpeg_of(frame))
        expected = camera.model.detect(
            cv2.imdecode(np.frombuffer(jpeg_of(frame), np.uint8), 1), camera.settings
        )
        assert answer["size"] == [frame.shape[1], frame.shape[0]]
        np.testing.assert_allclose([box[:4] for box in answer["boxes"]], expected.xyxy, atol=0.06)
        assert 0 < answer["network_ms"] <= answer["kernel_ms"]

    def test_keeps_a_still_that_can_be_tuned(self, standin, frame):
        camera = BrowserCamera(standin)
        camera._on_message(None, {"type": "keep"}, [])
        assert camera.still is None
        camera._on_message(None, {"type": "frame", "n": 1}, [memoryview(jpeg_of(frame))])
        camera._on_message(None, {"type": "keep"}, [])
        camera.settings = camera.settings.with_class("person", threshold=0.9)
        tuner = camera.still.tune(camera.settings)
        assert (tuner.errors, tuner.settings) == ([], camera.settings)
        assert "figure" in camera.still._repr_html_()
        assert len(camera.last.detections) <= len(camera.still.detections)

    def test_sliders_move_what_is_answered(self, standin, frame):
        camera = BrowserCamera(standin)
        before = camera.answer(jpeg_of(frame))["boxes"]
        camera.controls.tied["threshold_0"].value = 1.0
        camera.controls.tied["threshold_2"].value = 1.0
        assert camera.settings.for_class("person").threshold == 1.0
        after = camera.answer(jpeg_of(frame))["boxes"]
        assert {box[4] for box in before} > {box[4] for box in after}
        assert camera.errors == []

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"<html>", id="no picture"),
            pytest.param(jpeg_of(np.zeros((90, 160, 3), np.uint8))[:300], id="cut"),
            pytest.param(b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + b"\0\1\0\0" * 2, id="a billion pixels"),
        ],
    )
    def test_refuses_what_is_no_picture_and_goes_on(self, standin, data):
        camera, sent = BrowserCamera(standin), []
        camera.canvas.send = sent.append
        with pytest.raises(SourceError):
            camera.answer(data)
        camera._on_message(None, {"type": "frame", "n": 7}, [memoryview(data)])
        assert sent[0]["n"] == 7
        assert "picture" in sent[0]["failed"]
        assert len(camera.errors) == 1


class TestPanel:
    def test_a_page_gets_the_newest_picture_when_it_asks_and_no_other(self, panel):
        panel.watching.start()
        wait_for(lambda: panel.watching.latest and panel.watching.latest.number > 5)
        assert panel.sent == []
        ask(panel)
        wait_for(lambda: panel.sent)
        content, (data,) = panel.sent[0]
        assert content["n"] > 5
        assert content["size"] == [panel.watching.source.info.width, panel.watching.source.info.height]
        assert data.startswith(b"\xff\xd8")
        number = panel.watching.latest.number
        wait_for(lambda: panel.watching.latest.number > number + 3)
        assert len(panel.sent) == 1  # not asked for
        assert panel.errors == []

    def test_sliders_move_the_boxes_of_the_picture_on_screen(self, panel):
        panel.watching.start()
        wait_for(lambda: panel.watching.latest)
        panel.watching.stop()
        ask(panel, seen=panel.watching.latest.number)
        panel.sent.clear()
        panel.settings = panel.settings.with_class("person", threshold=0.99)
        wait_for(lambda: any(content["type"] == "picture" for content, _ in panel.sent))
        assert panel.watching.settings == panel.settings

    def test_pictures_get_smaller_while_they_take_long(self, panel):
        for _ in range(20):
            panel._sent, panel._asked = time.monotonic() - 2.0, None
            ask(panel)
        assert panel._side == 320
        for _ in range(20):
            panel._sent, panel._asked = time.monotonic(), None
            ask(panel, width=900)
        assert panel._side == 900

    def test_a_recording_is_a_run_whose_thresholds_can_be_moved_later(self, panel):
        panel._on_message(None, {"type": "record"}, [])
        wait_for(lambda: panel.watching.latest and panel.watching.latest.number > 5)
        assert panel.state()["recording"]
        panel._on_message(None, {"type": "stop"}, [])
        wait_for(lambda: panel.results)
        (result,) = panel.results
        assert check_video(result.video, result.summary["frames"]).problems == ()
        assert (result.folder / "cells.parquet").is_file()
        wait_for(lambda: not panel.watching.running)
        assert str(result.folder) in panel.state()["words"]

    def test_what_fails_is_on_the_page(self, panel, monkeypatch):
        monkeypatch.setattr(panel.watching, "model", None)
        panel.watching.start()
        wait_for(lambda: panel.watching.error)
        ask(panel)
        wait_for(lambda: panel.sent and panel.errors)
        assert panel.sent[0][0]["state"]["error"]

    def test_opening_again_finds_what_runs(self, standin):
        first = watch("demo", standin)
        try:
            wait_for(lambda: first.watching.latest)
            assert watch("demo") is first
        finally:
            first.close()
        second = watch("demo", standin)
        try:
            assert second is not first
            second.model = SimpleNamespace(file=None)
            third = watch("demo", standin)
            third.close()
            assert third is not second
            assert not second.watching.running
        finally:
            second.close()


class TestWatching:
    def test_counts_latency_and_people_of_late(self, standin):
        source = open_source("demo", live=True)
        scene = Scene((source.info.width, source.info.height), {"door": Line(((5, 5), (5, 300)))})
        watching = Watching(source, standin, preset("default"), scene=scene)
        watching.start()
        wait_for(lambda: watching.latest and watching.latest.number > 30)
        watching.stop()
        assert not watching.running
        counts, (p50, p95) = watching.counts(), watching.latency_ms()
        assert [len(row) for row in counts] == [1 + len(standin.labels)] * len(counts)
        assert max(row[1] for row in counts) > 0
        assert 0 < p50 <= p95
        number, counted = watching.people()
        assert number > 0
        assert counted.lines()["line"].tolist() == ["door"]

    def test_starting_while_it_records_goes_from_one_to_the_other(self, standin, tmp_path):
        watching = Watching(open_source("demo", live=True), standin, preset("default"), tmp_path)
        watching.start(record=True)
        wait_for(lambda: watching.latest)
        watching.start()
        assert (watching.recording, watching.running, len(watching.results)) == (False, True, 1)
        watching.stop()
        assert not any(thread.name == "live" for thread in threading.enumerate())

    def test_only_what_is_live_is_watched(self, standin):
        with pytest.raises(SettingsError, match="Only what is live"):
            Watching(open_source("demo"), standin, preset("default"))


def test_a_run_shows_each_frame_with_its_grids_to_whoever_watches(tmp_path):
    seen = []
    video = make_video(tmp_path / "v.mp4", frames=6)
    run_video(
        video, tmp_path / "out", FakeModel(), watch=lambda frame, grids: seen.append((frame.index, grids))
    )
    assert sorted(index for index, _ in seen) == list(range(6))
    assert all(grids.coverage.shape == (3, 34, 60) for _, grids in seen)
