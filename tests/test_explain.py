"""The tables and the reasons."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import make_grids, random_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, SettingsError
from peoplenet_nb.explain import (
    FrameReports,
    candidate_table,
    explain_cell,
    explain_missing,
    explain_point,
    fate_table,
    output_table,
    report_frame,
)
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import ClassSettings, Settings, preset

HALF = Settings(default=ClassSettings(threshold=0.5))
PERSON = (1, 2, 1, 2)  # 70 x 140 pixels around the cell


def test_tables_count_what_the_tutorial_counts() -> None:
    grids = make_grids({(0, 5, 5): (0.35, PERSON), (0, 6, 5): (0.5, PERSON), (2, 1, 1): (0.15, PERSON)})
    outputs = output_table(grids).set_index("output")
    assert outputs.loc["coverage", ["> 0.1", "> 0.3", "> 0.5"]].tolist() == [3, 2, 0]
    assert outputs.loc["coverage", "shape"] == "3x34x60"
    assert outputs.loc["boxes", "max"] == 2.0
    classes = candidate_table(grids).set_index("class")
    assert classes.loc["person", [">= 0.1", ">= 0.2", ">= 0.3", ">= 0.4", ">= 0.5"]].tolist() == [
        2,
        2,
        2,
        1,
        1,
    ]
    assert classes.loc["bag", "max"] == 0
    fates = fate_table(decode(grids, HALF.with_class("person", threshold=0.3))).set_index("class")
    assert fates.loc["person", "candidates"] == 2


def test_frame_report_is_text_and_html() -> None:
    grids = random_grids(1)
    text = report_frame(grids, HALF, title="frame <1>")
    assert "Frame 1280x720 -> network input 1x3x544x960 (stretch" in str(text)
    assert "&lt;1&gt;" in text._repr_html_()
    bare = Grids(grids.coverage, None, grids.fit, grids.labels)
    text = report_frame(bare, HALF)
    assert "coverage output only" in str(text)


def test_below_threshold_names_the_threshold_that_brings_it_back() -> None:
    grids = make_grids({(0, 17, 30): (0.3219, PERSON), (0, 5, 5): (0.35, PERSON), (0, 30, 50): (0.1, PERSON)})
    text = explain_cell(grids, HALF, 0, 17, 30)
    assert text.fate == "below threshold"
    assert text.rescue == pytest.approx(0.321)
    assert text.added == 2
    rescued = decode(grids, HALF.with_class("person", threshold=text.rescue)).detections
    assert (17, 30) in list(zip(rescued.row, rescued.col, strict=True)), "what it promises is true"
    assert text.xyxy == pytest.approx((445.5, 202.5, 515.5, 342.5))


@pytest.mark.parametrize(
    ("fit", "distances", "says"),
    [("stretch", (3, 4, 3, 4), True), ("stretch", PERSON, False), ("near", (3, 4, 3, 4), False)],
)
def test_a_faint_box_that_fills_the_frame_calls_for_the_fit_near(
    fit: str, distances: tuple[float, float, float, float], says: bool
) -> None:
    grids = make_grids({(0, 15, 30): (0.3, distances)}, fit=Fit.of((960, 544), (960, 544), fit))
    report = explain_cell(grids, HALF.replace(fit=fit), 0, 15, 30)
    assert ("fit near" in report.sentence) is says


def test_no_threshold_of_zero_is_proposed() -> None:
    text = explain_cell(make_grids({(0, 17, 30): (0.0004, PERSON)}), HALF, 0, 17, 30)
    assert (text.fate, text.rescue, text.added) == ("below threshold", None, 0)
    assert "would take every cell" in text.sentence


def test_below_threshold_and_overlapped_says_that_lowering_does_not_help() -> None:
    shifted = (PERSON[0] + 16 / 35, 2, PERSON[2] - 16 / 35, 2)
    grids = make_grids({(0, 17, 30): (0.9, PERSON), (0, 17, 31): (0.4, shifted)})
    text = explain_cell(grids, HALF, 0, 17, 31)
    assert text.rescue is None
    assert "would not help" in text.sentence
    assert "row 17, column 30" in text.sentence


@pytest.mark.parametrize(
    ("changes", "fate", "words"),
    [
        ({}, "kept", "final boxes"),
        ({"clustering": "dbscan", "min_samples": 5.0}, "noise", "raise eps or lower min_samples"),
        ({"default": ClassSettings(threshold=0.5, min_width=100)}, "too small", "100x0 frame pixels"),
        ({"default": ClassSettings(threshold=0.5, min_confidence=0.95)}, "low confidence", "0.95"),
    ],
)
def test_each_fate_has_its_sentence(changes: dict[str, object], fate: str, words: str) -> None:
    text = explain_cell(make_grids({(0, 17, 30): (0.9, PERSON)}), HALF.replace(**changes), 0, 17, 30)
    assert text.fate == fate
    assert words in text.sentence


def test_suppressed_names_its_suppressor() -> None:
    shifted = (PERSON[0] + 16 / 35, 2, PERSON[2] - 16 / 35, 2)
    grids = make_grids({(0, 17, 30): (0.9, PERSON), (0, 17, 31): (0.6, shifted)})
    text = explain_cell(grids, HALF, 0, 17, 31)
    assert text.fate == "suppressed"
    assert "coverage 0.900, row 17, column 30" in text.sentence
    assert "IoU 1.00" in text.sentence


def test_a_click_finds_the_best_cell_whose_box_covers_it() -> None:
    grids = make_grids({(0, 17, 30): (0.3, PERSON), (0, 17, 31): (0.2, PERSON)})
    text = explain_point(grids, HALF, 460, 330)  # the person's foot, cells below the one that sees it
    assert (text.row, text.col) == (17, 30)
    with pytest.raises(SettingsError, match="Unknown class.*dog"):
        explain_point(grids, HALF, 5, 5, "dog")
    with pytest.raises(GridsError, match="outside the frame"):
        explain_point(grids, HALF, -5, 5)
    with pytest.raises(GridsError, match="No such cell"):
        explain_cell(grids, HALF, 0, 34, 0)


def test_every_candidate_of_a_busy_frame_has_a_sentence() -> None:
    grids = random_grids(5)
    for name in ("default", "tao", "deepstream"):
        chosen = preset(name).replace(
            clustering="hybrid" if name == "deepstream" else preset(name).clustering
        )
        found = decode(grids, chosen).candidates
        for i in range(0, len(found), 7):
            told = explain_cell(grids, chosen, int(found.class_id[i]), int(found.row[i]), int(found.col[i]))
            assert told.sentence.endswith("."), told
            assert np.isfinite(told.coverage)


def test_missing_looks_where_nothing_was_found() -> None:
    strong, weak = (0.9, PERSON), (0.2, PERSON)
    grids = make_grids({(0, 17, 30): strong, (0, 17, 31): (0.24, (1.4, 2, 0.6, 2)), (0, 8, 10): weak})
    found = explain_missing(grids, Settings())
    assert (found.row, found.col) == (8, 10), (
        "the cell beside the box that was found is about the same person"
    )
    assert found.fate == "below threshold"
    assert found.rescue == pytest.approx(0.2, abs=0.001)
    with pytest.raises(SettingsError, match="did you mean 'person'"):
        explain_missing(grids, Settings(), "persn")


def test_reports_of_several_frames_are_a_table_and_a_fold_each() -> None:
    grids = [make_grids({(0, 5, 5): (0.9, PERSON)}), make_grids()]
    reports = FrameReports(report_frame(g, HALF, title=f"frame {i}") for i, g in enumerate(grids))
    shown = reports._repr_html_()
    assert shown.count("<details>") == 2
    assert "what the network said of frame 1" in shown
    assert ">0.9<" in shown
    assert str(reports).count("Raw outputs") == 2
