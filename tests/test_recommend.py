"""Recommended settings: what is counted, what is chosen, and that it does not flatter itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

import peoplenet_nb as pn
import runs
from peoplenet_nb.cli import main as cli
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.evaluation import Clip, recommend
from peoplenet_nb.evaluation.goals import Goal
from peoplenet_nb.evaluation.sweep import clusterings, count
from peoplenet_nb.evaluation.tracklets import tracklet_labels
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import Labels
from peoplenet_nb.metrics import match
from peoplenet_nb.settings import ClassSettings, Clustering, Settings, preset
from test_scores import labels_of
from videos import LABELS, make_video

FIT = Fit.of((960, 544), (960, 544), "stretch")
Box = tuple[int, int, float]  # row, column, coverage


def grids_of(cells: list[Box]) -> Grids:
    """Each cell is a person of 70x140 pixels around it."""
    coverage, boxes = np.zeros((3, 34, 60), np.float32), np.zeros((12, 34, 60), np.float32)
    for row, col, value in cells:
        coverage[0, row, col] = value
        boxes[:4, row, col] = (1, 2, 1, 2)
    return Grids(coverage, boxes, FIT, LABELS)


def box_of(row: float, col: float) -> tuple[float, float, float, float]:
    x, y = 16 * col + 0.5, 16 * row + 0.5
    return (max(0.0, x - 35), max(0.0, y - 70), min(960.0, x + 35), min(544.0, y + 70))


def clip_of(frames: list[list[Box]], truths: list[list[tuple[float, float]]], fps: float = 10.0) -> Clip:
    """A video of people found, and the cells where there really are some."""
    rows = [(i, *box_of(row, col)) for i, places in enumerate(truths) for row, col in places]
    labels = replace(labels_of(rows, len(frames)), judged=("person",))
    pool = Pool.of(map(grids_of, frames), 0.005)
    return Clip("made.mp4", True, fps, labels, preset("default"), pool, None, "made.mp4")


def noisy(frames: int, real: float, false: float, seed: int = 0) -> Clip:
    """Two people in every frame, found with about ``real``, and often nothing with about ``false``; on thresholds."""
    rng = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(frames):
        places = [(8, int(rng.integers(5, 25))), (24, int(rng.integers(5, 25)))]
        cells = [(*place, float(np.clip(rng.normal(real, 0.05), 0.03, 1).round(2))) for place in places]
        if rng.random() < 0.7:
            cells.append(
                (16, int(rng.integers(35, 55)), float(np.clip(rng.normal(false, 0.05), 0.03, 1).round(2)))
            )
        found.append(cells)
        truths.append([(float(row), float(col)) for row, col in places])
    return clip_of(found, truths)


def test_a_clip_knows_how_many_labelled_frames_a_second_it_has() -> None:
    clip = clip_of([[(8, 8, 0.5)]] * 3, [[(8, 8)]] * 3)
    assert clip.rate == 10
    assert replace(clip, labels=clip.labels.take([0, 1, 2], [0, 20, 40])).rate == 0.5


def test_a_threshold_between_true_and_false_is_found_and_validated() -> None:
    clip = noisy(120, real=0.7, false=0.45)
    found = recommend(clip)
    choice = found.choices["person"]
    assert 0.52 < choice.threshold < 0.64
    assert choice.plateau[0] <= choice.threshold <= choice.plateau[1]
    assert found.settings.for_class("person").threshold == choice.threshold
    assert found.settings.clustering is Clustering.NMS  # no change without a gain
    before, after, gain = found.figures["F1"]
    assert before.value == pytest.approx(0.85, abs=0.03)
    assert after.value > 0.97
    assert gain.low > 0
    assert "more than chance" in found.verdict()
    assert found.tried > 4000
    assert pn.evaluate(clip, settings=found.settings).scores["person"].f1.value > 0.97
    for text in (str(found), found._repr_html_()):
        assert "before" in text


def test_where_there_is_nothing_to_gain_it_says_so() -> None:
    clip = noisy(120, real=0.6, false=0.12)
    found = recommend(clip)
    assert found.figures["F1"][2].low <= 0
    assert "may be chance" in found.verdict()


def test_what_is_chosen_on_noise_does_not_flatter_itself() -> None:
    """True and false boxes look alike: whatever threshold fits these frames best gains nothing on others."""
    gains = []
    for seed in range(4):
        clip = noisy(40, real=0.5, false=0.5, seed=seed)
        found = recommend(clip, settings=preset("default").with_class("person", threshold=0.02))
        on_itself = pn.evaluate(clip, settings=found.settings).scores["person"].f1.value
        gains.append((on_itself - found.figures["F1"][0].value, found.figures["F1"][2].value))
    itself, validated = np.mean(gains, axis=0)
    assert itself >= -1e-9
    assert validated <= itself


def test_counts_are_those_of_decoding_and_matching_each_setting_anew() -> None:
    clip = noisy(12, real=0.5, false=0.4)
    clip = replace(clip, labels=replace(clip.labels, ignore=np.arange(24) % 7 == 0))
    unit = np.arange(12) // 3
    truth = clip.labels.truth("person")
    for settings, thresholds in list(clusterings(preset("default"), ("person",), thresholds_only=False))[::9]:
        variant = count(clip, settings, thresholds, ("person",), unit, 0)
        for i in range(30, 50):
            # Not through the sweep's own shortcut: one frame at a time, with the settings as a user has them.
            found = clip.found(variant.chosen({"person": float(thresholds[i])}))
            for u in range(4):
                hits = false = 0
                for frame in range(3 * u, 3 * u + 3):
                    mine = found[(found.frame == frame) & (found.class_id == 0)]
                    matched = match(mine.xyxy, mine.confidence, truth[frame])
                    hits, false = hits + int((matched >= 0).sum()), false + int((matched == -1).sum())
                counts = variant.counts["person"]
                assert (counts.hits[u, i], counts.false[u, i]) == (hits, false)


def test_numbers_that_are_tried_hold_for_classes_with_numbers_of_their_own() -> None:
    own = preset("default").with_class("person", nms_iou=0.9, eps=0.1)
    tried = [settings for settings, _ in clusterings(own, ("person",), thresholds_only=False)]
    assert tried[0].own("person", "nms_iou") == 0.9, "that of before is among them"
    assert {s.own("person", "nms_iou") for s in tried[1:]} >= {0.3, 0.5, 0.7}
    for settings in tried[1:]:
        assert settings.own("person", "nms_iou") == settings.nms_iou
        assert settings.own("person", "eps") == settings.eps


def test_a_recall_that_is_asked_for_is_reached_with_the_best_precision() -> None:
    clip = noisy(120, real=0.5, false=0.4)
    found = recommend(clip, goal="recall=0.9")
    score = pn.evaluate(clip, settings=found.settings).scores["person"]
    assert score.recall.value >= 0.9
    enough = score.curve.recall >= 0.9
    # Thresholds are tried in steps of 0.01.
    assert score.precision.value >= score.curve.precision[enough].max() - 0.01
    assert score.precision.value > score.curve.precision[-1] + 0.05
    assert "goal is" in found.verdict()


def test_false_alarms_at_one_spot_are_one_and_their_number_is_kept() -> None:
    # Ten minutes at two frames a second: one person, a false one that stays for 20 frames, and ten that flash up.
    frames: list[list[Box]] = [[(8, 10, 0.9 if i % 4 else 0.55)] for i in range(1200)]
    for i in range(400, 420):
        frames[i].append((24, 40, 0.6))
    for i in range(10):
        frames[500 + 50 * i].append((24, 20 + 3 * i, 0.5))
    clip = clip_of(frames, [[(8.0, 10.0)]] * 1200, fps=2.0)
    clip = replace(clip, settings=preset("default").with_class("person", threshold=0.3))
    # Five in ten minutes: the flashes are too many, the other is one.
    found = recommend(clip, goal="false-alarms=30")
    assert 0.5 < found.choices["person"].threshold <= 0.55
    before, after, _ = found.figures["false alarms an hour"]
    assert (before.value, after.value) == (pytest.approx(66), pytest.approx(6))
    with pytest.raises(SourceError, match="too few to tell so few false alarms"):
        recommend(clip, goal="false-alarms=2")


@pytest.mark.parametrize("text", ["f2", "recall", "recall=1.5", "recall=x", "false-alarms=-1", "f1=3", ""])
def test_what_is_no_goal_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="no goal"):
        Goal.parse(text)


def test_too_little_to_choose_on_is_refused() -> None:
    with pytest.raises(SourceError, match="too little to choose"):
        recommend(noisy(8, 0.5, 0.4))
    clip = replace(noisy(30, 0.5, 0.4), pool=None)
    with pytest.raises(OutputError, match="kept no raw output"):
        recommend(clip)


def walking(people: int, seconds: float, fps: float = 10.0) -> tuple[list[list[Box]], int]:
    """People who walk along rows of their own, one lost for two frames, and false ones that flicker."""
    rng = np.random.default_rng(3)
    frames: list[list[Box]] = []
    for i in range(int(seconds * fps)):
        cells = []
        for person in range(people):
            row, col = 3 + 9 * (person % 4), 2 + 14 * (person // 4) + int(0.15 * i)
            if not (person == 0 and i in (20, 21)):
                cells.append((row, col, 0.35 + 0.1 * (i % 3)))
        cells.append((int(rng.integers(1, 33)), 59, float(rng.uniform(0.1, 0.25))))
        frames.append(cells)
    return frames, people


def test_without_labels_people_who_stay_are_taken_for_true() -> None:
    frames, people = walking(12, 6.0)
    clip = clip_of(frames, [[] for _ in frames])
    clip = replace(clip, labels=Labels.none(LABELS, clip.labels.frames))
    made = tracklet_labels(clip, preset("default"))
    assert "the 12 people" in made.notes[0]
    assert made.labels.judged == ("person",)
    assert len(made.labels) == people * len(frames)  # the two frames that were lost are filled
    with pytest.raises(SourceError, match="cannot be here"):
        tracklet_labels(replace(clip, fps=2.0), preset("default"))
    with pytest.raises(SourceError, match="cannot be here"):
        tracklet_labels(replace(clip, video=False), preset("default"))
    with pytest.raises(SourceError, match="Too few people"):
        tracklet_labels(clip.take(range(10)), preset("default"))
    with pytest.raises(SourceError, match="no class 'person'"):
        tracklet_labels(
            replace(clip, labels=Labels.none(("car", "bag", "face"), clip.labels.frames)), preset("default")
        )


def test_the_command_writes_a_settings_file(tmp_path: Path) -> None:
    from test_evaluation import write_coco

    video = make_video(tmp_path / "street.mp4", 160)
    labels = write_coco(tmp_path / "labels.json", [f"{i}.png" for i in range(160)])
    run = runs.run(
        video, tmp_path / "out", save_grids=True, video=False, settings=Settings(default=ClassSettings(0.7))
    )
    out = tmp_path / "s.yaml"
    args = ["recommend", str(run.folder), "--labels", str(labels), "-o", str(out)]
    done = CliRunner().invoke(cli.app, args)
    assert done.exit_code == 0, done.output
    assert "more than chance" in done.output
    chosen = Settings.from_yaml(out)
    assert chosen.preset == "recommended"
    assert chosen.for_class("bag").threshold < 0.5
    again = CliRunner().invoke(cli.app, args)
    assert again.exit_code == 1
    assert "--overwrite" in again.output
    done = CliRunner().invoke(cli.app, ["recommend", str(run.folder)])
    assert done.exit_code == 1
    assert "Too few people" in done.output


def test_pictures_without_labels_are_refused_before_any_network_runs(tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(SourceError, match="Without labels people are followed"):
        recommend(tmp_path, model=object(), progress=False)  # type: ignore[arg-type]


def test_wide_and_narrow_pictures_get_one_threshold_and_are_told_so() -> None:
    base = preset("default")
    clip = noisy(60, 0.6, 0.2)
    mixed = np.where(np.arange(len(clip.pool)) % 2, "stretch", "letterbox")
    clip = replace(clip, pool=replace(clip.pool, modes=mixed), settings=base)
    found = recommend(clip)
    assert found.settings.fit == "auto"
    assert found.settings.for_class("person").letterbox_threshold is None
    assert any("one threshold was chosen for both" in text for text in found.notes)
