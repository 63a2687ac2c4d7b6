"""The demo clip: a film a browser plays, kept in the cache with the truth of its frames."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from peoplenet_nb.demo import demo_clip, demo_scene, demo_truth
from peoplenet_nb.errors import OutputError

LONGEST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo_clip(tmp_path_factory.mktemp("clip") / "street.mp4", seconds=1.0)


def test_the_clip_is_h264_with_the_promised_size_rate_and_length(short: Path) -> None:
    with av.open(str(short)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (1280, 720)
        assert float(stream.average_rate or 0) == 25.0
        assert stream.frames == sum(1 for _ in container.decode(stream)) == 25


def test_players_can_start_before_they_have_the_whole_file(short: Path) -> None:
    data = short.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_the_film_shows_the_rendered_frames(short: Path) -> None:
    rendered, _ = demo_scene().render(10)
    with av.open(str(short)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert np.abs(frames[10].astype(int) - rendered).mean() < 6.0


def test_truth_lies_beside_the_film_one_entry_per_frame(short: Path) -> None:
    truths = demo_truth(short)
    assert [truth.frame for truth in truths] == list(range(25))
    _, expected = demo_scene().render(10)
    assert np.array_equal(truths[10].xyxy, expected.xyxy)
    assert np.array_equal(truths[10].track_id, expected.track_id)
    header = short.with_suffix(".csv").read_text().splitlines()[0]
    assert header == "frame,id,x,y,w,h,visibility,class"


def test_the_clip_is_rendered_once_and_then_taken_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PEOPLENET_HOME", str(tmp_path))
    calls: list[tuple[int, int]] = []
    first = demo_clip(seconds=0.12, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    stamp = first.stat().st_mtime_ns
    assert demo_clip(seconds=0.12, progress=lambda done, total: calls.append((done, total))) == first
    assert first.stat().st_mtime_ns == stamp
    assert len(calls) == 3
    assert tmp_path / "cache" / "demo" in first.parents
    assert sorted(p.suffix for p in first.parent.iterdir()) == [".csv", ".mp4"], "no partial file is left"
    assert len(demo_truth(seconds=0.12)) == 3


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="demo clip cannot be written") as caught:
        demo_clip(tmp_path / "file" / "clip.mp4", seconds=0.04)
    assert "PEOPLENET_HOME" in str(caught.value)


def test_an_interrupted_render_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        demo_clip(tmp_path / "clip.mp4", seconds=0.2, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_whole_clip_stays_below_two_megabytes(tmp_path: Path) -> None:
    clip = demo_clip(tmp_path / "street.mp4")
    assert clip.stat().st_size <= LONGEST_BYTES
    truths = demo_truth(clip)
    assert len(truths) == 300
    assert all(len(truth) > 0 for truth in truths)
    assert {label for truth in truths for label in truth.labels} == {"person", "bag", "face"}
