"""Evaluations of sources and runs: figures, errors by kind, pictures, the command; and the pool of candidates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import peoplenet_nb as pn
import runs
from conftest import make_grids
from peoplenet_nb.cli import main as cli
from peoplenet_nb.decoding import decode
from peoplenet_nb.decoding.pool import Pool
from peoplenet_nb.errors import GridsError, OutputError, SettingsError, SourceError
from peoplenet_nb.evaluation import evaluate, read_clip
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.metrics.mistakes import Kind, find_mistakes, worst
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, preset
from test_scores import found_of, labels_of
from videos import LABELS, FakeModel, make_video, number_of, picture


@st.composite
def clips(draw: st.DrawFn) -> list[Grids]:
    """Frames with clumps of cells whose boxes overlap, of images of several sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        coverage, boxes = np.zeros((3, 34, 60), np.float32), np.zeros((12, 34, 60), np.float32)
        for _ in range(rng.integers(0, 4)):
            c, j, i = rng.integers(0, 3), rng.integers(0, 31), rng.integers(0, 57)
            coverage[c, j : j + 3, i : i + 3] = rng.choice([0.02, 0.2, 0.3, 0.5, 0.9, 1.0], (3, 3))
            boxes[4 * c : 4 * c + 4, j : j + 3, i : i + 3] = rng.normal(1.2, 0.5, (4, 3, 3))
        size = (int(rng.integers(200, 1000)), int(rng.integers(200, 1000)))
        made.append(Grids(coverage, boxes, Fit.of(size, (960, 544), "stretch"), LABELS))
    return made


@settings(max_examples=40, deadline=None)
@given(clips(), st.sampled_from([*PRESETS, "sized", "hybrid"]))
def test_the_pool_gives_the_boxes_of_decode(frames: list[Grids], name: str) -> None:
    chosen = {
        "sized": Settings(
            top_k=2, default=ClassSettings(threshold=0.1, min_width=20, min_height=30, min_confidence=0.25)
        ),
        "hybrid": Settings(clustering="hybrid", flavour="deepstream", min_samples=2, eps=0.4),  # type: ignore[arg-type]
    }.get(name) or preset(name)
    frame, class_id, xyxy, confidence = Pool.of(frames, 0.005).decode(chosen)
    for i, grids in enumerate(frames):
        expected = decode(grids, chosen).detections
        np.testing.assert_array_equal(class_id[frame == i], expected.class_id)
        np.testing.assert_array_equal(xyxy[frame == i].astype(np.float32), expected.xyxy)
        np.testing.assert_array_equal(confidence[frame == i].astype(np.float32), expected.confidence)


def test_a_pool_takes_frames_and_refuses_what_does_not_go_together() -> None:
    model = FakeModel()
    frames = [
        model.infer_input(np.array([n]), [Fit.of((160, 96), (960, 544), "stretch")])[0] for n in range(1, 8)
    ]
    pool = Pool.of(frames, 0.01)
    some = pool.take([1, 4])
    for got, expected in zip(
        some.decode(Settings()), Pool.of([frames[1], frames[4]], 0.01).decode(Settings()), strict=True
    ):
        np.testing.assert_array_equal(got, expected)
    other = Grids(frames[0].coverage, frames[0].boxes, frames[0].fit, ("a", "b", "c"))
    for wrong in ([frames[0], other], []):
        with pytest.raises(GridsError):
            Pool.of(wrong, 0.01)
    with pytest.raises(SettingsError, match="another preprocessing"):
        pool.decode(Settings(fit="letterbox"))  # type: ignore[arg-type]


def test_errors_are_sorted_by_kind() -> None:
    labels = labels_of(
        [
            (0, 0, 0, 40, 40),
            (0, 100, 0, 140, 40),
            (0, 200, 0, 240, 40),
            (1, 0, 0, 40, 40),
            (1, 300, 300, 400, 400),
        ],
        2,
        class_id=[0, 0, 1, 0, 0],
    )
    final = found_of(
        [
            (0, 0, 0, 40, 40, 0.9),  # right
            (0, 2, 2, 40, 40, 0.8),  # the same once more
            (0, 100, 20, 140, 60, 0.7),  # IoU 1/3 with the second
            (0, 200, 0, 240, 40, 0.6),  # a bag
            (1, 100, 100, 140, 140, 0.5),  # nothing
        ]
    )
    mistakes = find_mistakes(final, labels)
    assert sorted((str(m.kind), m.label, m.frame) for m in mistakes) == [
        ("badly placed", "person", 0),
        ("double", "person", 0),
        ("false", "person", 1),
        ("missed", "person", 1),
        ("missed", "person", 1),
        ("wrong class", "person", 0),
    ]
    badly = next(m for m in mistakes if m.kind is Kind.BADLY_PLACED)
    assert badly.truth is not None
    assert badly.truth.tolist() == [100, 0, 140, 40]
    assert [m.weight for m in worst(mistakes, 3)] == [
        0.875,
        0.8,
        0.7,
    ]  # the largest missed, then by confidence


def test_of_a_video_the_same_error_is_looked_at_once() -> None:
    labels = labels_of([(i, 0, 0, 40, 40) for i in range(50)], 50)
    mistakes = find_mistakes(found_of([]), labels)
    assert len(worst(mistakes)) == 20
    assert [m.frame for m in worst(mistakes, apart=25)] == [0, 26]


def box_of(number: int, size: tuple[int, int] = (160, 96)) -> tuple[int, list[float]] | None:
    """What `FakeModel` finds in a picture: class and box in frame pixels."""
    if not number % 5:
        return None
    row, col = 21 + number % 12, 5 + number % 50
    scale = np.array([size[0] / 960, size[1] / 544] * 2)
    x, y = 16 * col + 0.5, 16 * row + 0.5
    box = np.clip([x - 35, y - 35, x + 35, y + 35], 0, [960, 544] * 2) * scale
    return number % 3, box.tolist()


def write_coco(path: Path, names: list[str], shift: float = 0.0) -> Path:
    boxes = []
    for n in range(len(names)):
        if (found := box_of(n)) is not None:
            x1, y1, x2, y2 = found[1]
            boxes.append({"image_id": n, "category_id": found[0], "bbox": [x1 + shift, y1, x2 - x1, y2 - y1]})
    categories = [{"id": i, "name": name} for i, name in enumerate(("pedestrian", "handbag", "human face"))]
    images = [{"id": i, "file_name": name} for i, name in enumerate(names)]
    path.write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return path


@pytest.fixture
def street(tmp_path: Path) -> tuple[Path, Path]:
    """A video of numbered pictures, and labels of what the fake network finds in them."""
    video = make_video(tmp_path / "street.mp4", 30)
    return video, write_coco(tmp_path / "labels.json", [f"frame_{i:06d}.png" for i in range(30)])


def test_a_source_that_is_labelled_as_it_is_found_is_perfect(street: tuple[Path, Path]) -> None:
    result = evaluate(street[0], street[1], Settings(), FakeModel(), progress=False)  # type: ignore[arg-type]
    assert sorted(result.scores) == ["bag", "face", "person"]
    for score in result.scores.values():
        assert score.truths == score.found > 0
        for figure in (score.precision, score.recall, score.f1, score.ap, score.ap50, score.ap75):
            assert figure == (1.0, 1.0, 1.0)
    assert not result.mistakes
    text = str(result)
    for words in (
        "30 labelled frames (COCO)",
        "'pedestrian' (8) as person",
        "0 missed",
        "frame_000000.png is frame 0",
    ):
        assert words in text
    assert "AP 0.75" in result._repr_html_()


def test_a_folder_of_images_goes_by_names_and_only_labelled_frames_are_run(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(8):
        cv2.imwrite(str(tmp_path / "in" / f"{i}.png"), picture(i))
    model = FakeModel()
    labels = write_coco(tmp_path / "l.json", [f"{i}.png" for i in range(5)])
    result = evaluate(tmp_path / "in", labels, Settings(), model, progress=False)  # type: ignore[arg-type]
    assert result.clip.labels.frames == (0, 1, 2, 3, 4)
    assert sum(model.batches) == 5
    assert result.scores["person"].f1.value == 1.0


def test_a_run_with_its_raw_output_takes_any_settings_and_one_without_only_its_own(
    street: tuple[Path, Path], tmp_path: Path
) -> None:
    video, labels = street
    with_grids = runs.run(video, tmp_path / "a", save_grids=True, video=False)
    bare = runs.run(video, tmp_path / "b", video=False)
    strict = Settings(default=ClassSettings(threshold=0.7))
    direct = evaluate(video, labels, strict, FakeModel(), progress=False)  # type: ignore[arg-type]
    for source in (with_grids, with_grids.folder, str(with_grids.folder)):
        again = evaluate(source, labels, strict)
        assert again.to_dict()["classes"] == direct.to_dict()["classes"]
    assert direct.scores["person"].recall.value < 1
    assert direct.scores["person"].ap50.value == 1.0  # of the whole curve
    own = evaluate(bare, labels)
    assert {label: score.found for label, score in own.scores.items()} == bare.summary["counts"]
    assert own.scores["face"].f1.value == pytest.approx(1.0)
    assert any("by the run's table" in note for note in own.notes)
    with pytest.raises(OutputError, match="kept no raw output"):
        evaluate(bare, labels, strict)
    bare.frames_table.write_text("nothing\n")
    with pytest.raises(OutputError, match="tables of the run cannot be read"):
        evaluate(bare, labels)


def test_pictures_of_the_worst_errors(street: tuple[Path, Path], tmp_path: Path) -> None:
    video, _ = street
    labels = write_coco(tmp_path / "shifted.json", [f"{i}.png" for i in range(30)], shift=6.0)
    result = evaluate(video, labels, Settings(), FakeModel(), progress=False)  # type: ignore[arg-type]
    assert {m.kind for m in result.mistakes} == {Kind.BADLY_PLACED}
    sheet = result.worst(tmp_path / "worst", 7)
    assert len(list((tmp_path / "worst").glob("*-badly-placed-frame*.jpg"))) == 7
    image = cv2.imread(str(sheet))
    assert image.shape[:2] == (34 + 2 * 272, 5 * 326)
    # Found boxes are drawn in vermilion.
    assert (np.abs(image.astype(int) - (0, 94, 213)).max(axis=2) < 40).sum() > 500
    first = cv2.imread(str(next((tmp_path / "worst").glob("01-*.jpg"))))
    assert first.shape == (266, 320, 3)


def test_the_command(street: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video, labels = street
    run = runs.run(video, tmp_path / "out", save_grids=True, video=False)
    args = [
        "evaluate",
        str(run.folder),
        "--labels",
        str(labels),
        "--json",
        str(tmp_path / "e.json"),
        "--curves",
    ]
    done = CliRunner().invoke(cli.app, [*args, str(tmp_path / "c.png"), "--worst", str(tmp_path / "w")])
    assert done.exit_code == 0, done.output
    assert "person: best F1 1.000" in done.output
    assert json.loads((tmp_path / "e.json").read_text())["classes"]["person"]["f1"]["value"] == 1.0
    assert cv2.imread(str(tmp_path / "c.png")) is not None
    assert (tmp_path / "w" / "worst.jpg").is_file()  # says that there are none
    done = CliRunner().invoke(
        cli.app, ["evaluate", str(run.folder), "--labels", str(labels), "--threshold", "person=0.99"]
    )
    assert "best F1 1.000" in done.output
    assert not any("tiles" in note for note in pn.evaluate(run, labels).notes)
    small = pn.evaluate(run, labels, pn.Settings(tiles=2))
    assert any("needs another run" in note for note in small.notes), "tiles are nothing that saved cells know"
    assert (
        json.loads(json.dumps(pn.evaluate(run, labels).to_dict()))["classes"]["person"]["f1"]["value"] == 1.0
    )
    for more, words in (
        (["--class", "x"], "--class takes"),
        (["--fit", "letterbox"], "another preprocessing"),
    ):
        done = CliRunner().invoke(cli.app, ["evaluate", str(run.folder), "--labels", str(labels), *more])
        assert done.exit_code == 1
        assert words in done.output


def test_labels_of_a_larger_frame_are_told(street: tuple[Path, Path], tmp_path: Path) -> None:
    run = runs.run(street[0], tmp_path / "out", save_grids=True, video=False, frames=3)
    far = tmp_path / "far.txt"
    far.write_text("1,1,5000,10,20,30,1\n2,1,5000,10,20,30,1\n3,1,10,10,20,30,1\n")
    assert "2 of 3 labelled boxes lie outside of the frame" in str(evaluate(run, far))
    assert "lie outside" not in str(evaluate(run, street[1]))


def test_labels_of_other_frames_are_refused(street: tuple[Path, Path], tmp_path: Path) -> None:
    run = runs.run(street[0], tmp_path / "out", save_grids=True, video=False, frames=3)
    far = write_coco(tmp_path / "far.json", [f"{i + 100}.png" for i in range(3)])
    with pytest.raises(SourceError, match="None of the labelled frames was run"):
        evaluate(run, far)
    clip = read_clip(run, street[1])
    assert clip.labels.frames == (0, 1, 2)
    assert any("27 of 30 labelled frames were not looked at" in note for note in clip.notes)
    assert number_of(picture(5)) == 5


def test_a_run_on_key_frames_is_judged_with_what_stands_between_them(
    street: tuple[Path, Path], tmp_path: Path
) -> None:
    run = runs.run(street[0], tmp_path / "out", save_grids=True, video=False, keyframes=3)
    own = evaluate(run, street[1])
    assert len(own.clip.labels.frames) == 30
    assert sum(score.found for score in own.scores.values()) == sum(run.summary["counts"].values())
    other = evaluate(run, street[1], Settings(default=ClassSettings(threshold=0.7)))
    assert 10 <= len(other.clip.labels.frames) < 30
    assert any("frames that the network saw" in note for note in other.notes)


@pytest.mark.parametrize("save_grids", [True, False])
def test_a_run_of_images_goes_by_names_and_yolo_finds_their_sizes(save_grids: bool, tmp_path: Path) -> None:
    sizes = {1: (160, 96), 2: (320, 192), 3: (160, 96), 4: (240, 96), 5: (160, 96)}
    (tmp_path / "in").mkdir()
    (tmp_path / "yolo").mkdir()
    for i, size in sizes.items():
        cv2.imwrite(str(tmp_path / "in" / f"{i}.png"), picture(i, size))
        lines = []
        if (found := box_of(i, size)) is not None:
            x1, y1, x2, y2 = np.array(found[1]) / [*size, *size]
            lines.append(f"{found[0]} {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n")
        (tmp_path / "yolo" / f"{i}.txt").write_text("".join(lines))
    (tmp_path / "yolo" / "classes.txt").write_text("person\nbag\nface\n")
    run = runs.run(tmp_path / "in", tmp_path / "out", save_grids=save_grids, video=False)
    for what in (run, tmp_path / "in"):
        result = evaluate(what, tmp_path / "yolo", Settings(), FakeModel(), progress=False)  # type: ignore[arg-type]
        assert {label: score.truths for label, score in result.scores.items()} == {
            "person": 1,
            "bag": 2,
            "face": 1,
        }
        assert all(score.f1.value == 1.0 for score in result.scores.values())
        assert not result.mistakes
    one = evaluate(
        tmp_path / "in" / "4.png", tmp_path / "yolo" / "4.txt", Settings(), FakeModel(), progress=False
    )  # type: ignore[arg-type]
    assert one.scores["bag"].f1.value == 1.0


def test_one_kind_of_error_does_not_hide_the_others() -> None:
    labels = labels_of([(i, 0, 0, 40, 40) for i in range(50)], 50)
    mistakes = find_mistakes(found_of([(i, 100, 100, 140, 140, 0.3) for i in range(0, 50, 10)]), labels)
    kinds = [m.kind for m in worst(mistakes, 12)]
    assert (kinds.count(Kind.MISSED), kinds.count(Kind.FALSE)) == (7, 5)
    assert [m.kind for m in worst(mistakes, 4)] == [Kind.MISSED, Kind.MISSED, Kind.FALSE, Kind.FALSE]


def test_a_folder_of_runs_is_told_with_the_runs_in_it(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"street-{number}").mkdir()
        (tmp_path / f"street-{number}" / "summary.json").write_text("{}")
    with pytest.raises(SourceError, match=r"holds runs: name one of them: .*street-0, .*street-4 and 2 more"):
        evaluate(tmp_path, "labels.json")


def test_wide_and_narrow_pictures_are_judged_each_by_its_own_threshold() -> None:
    def grids(size: tuple[int, int], coverage: float) -> Grids:
        made = make_grids({(0, 10, 20): (coverage, (1, 1, 1, 1))})
        return Grids(made.coverage, made.boxes, Fit.of(size, (960, 544), "auto"), made.labels)

    frames = [grids((1280, 720), 0.45), grids((600, 800), 0.45), grids((600, 800), 0.55)]
    pool = Pool.of(frames, 0.01)
    assert pool.fit == "auto"
    assert pool.take([1, 2]).fit == "letterbox"
    auto = Settings(fit="auto", default=ClassSettings(0.4, letterbox_threshold=0.5))
    for chosen in (auto, preset("default")):
        frame, _, xyxy, _ = pool.decode(chosen)
        assert frame.tolist() == [0, 2]
        expected = [decode(frames[i], chosen).detections.xyxy[0] for i in (0, 2)]
        np.testing.assert_allclose(xyxy, expected, atol=1e-3)
    with pytest.raises(SettingsError, match="another preprocessing"):
        pool.decode(auto.replace(fit="stretch"))


def test_two_evaluations_stand_beside_each_other(street: tuple[Path, Path]) -> None:
    clip = read_clip(street[0], street[1], Settings(), FakeModel(), progress=False)  # type: ignore[arg-type]
    before, after = (
        evaluate(clip, settings=Settings()),
        evaluate(clip, settings=Settings(default=ClassSettings(0.7))),
    )
    picture = after.beside(before)
    assert "person before: F1 1.000" in picture.alt
    assert f"person after: F1 {after.scores['person'].f1.value:.3f}" in picture.alt


def test_a_notebook_judges_by_the_file_else_by_what_was_labelled_else_by_the_demos_truth(
    street: tuple[Path, Path],
) -> None:
    from types import SimpleNamespace

    from peoplenet_nb.demo import demo_clip, demo_truth
    from peoplenet_nb.notebook import labels_for

    nothing: Any = SimpleNamespace(done=0)
    some: Any = SimpleNamespace(done=1, labels="mine")
    video, demo = pn.open_source(street[0]), pn.open_source(demo_clip(), every=50)
    assert len(labels_for(str(street[1]), some, video).frames) == 30
    assert labels_for("", some, video) == "mine"
    truth = labels_for("", nothing, demo)
    assert truth.frames == tuple(range(0, 300, 50))
    assert len(truth) == sum(len(demo_truth()[i]) for i in range(0, 300, 50))
    with pytest.raises(SourceError, match="no labels to judge by yet"):
        labels_for("", nothing, video)
