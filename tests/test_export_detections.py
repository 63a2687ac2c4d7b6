"""Detections out: every format read back by our own readers, and by other tools' where they are."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from conftest import LABELS, random_grids
from peoplenet_nb.cli import export as cli_export
from peoplenet_nb.cli import main as cli
from peoplenet_nb.decoding import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import PALETTE
from peoplenet_nb.errors import OutputError, SettingsError, SourceError
from peoplenet_nb.export import Format, FrameBoxes, compare, export_detections
from peoplenet_nb.export.agreeing import nearest_to
from peoplenet_nb.labels import Labels, read_labels
from peoplenet_nb.settings import ClassSettings, Settings, preset
from runs import run
from videos import make_video

SIZE = (640, 360)


def found_in(seed: int, count: int) -> Detections:
    rng = np.random.default_rng(seed)
    corner = rng.uniform((0, 0), (500, 250), (count, 2))
    xyxy = np.hstack((corner, corner + rng.uniform(5, 100, (count, 2)))).round(2)
    none = np.zeros(count, np.int64)
    confidence = rng.uniform(0.2, 1, count).round(4).astype(np.float32)
    return Detections(xyxy.astype(np.float32), confidence, rng.integers(0, 3, count), none, none, LABELS)


@pytest.fixture
def frames() -> list[FrameBoxes]:
    """Every third frame, the second of them without a box."""
    return [
        FrameBoxes(3 * i, f"{3 * i:06d}.jpg", SIZE, found_in(i, 0 if i == 1 else 4 + i)) for i in range(4)
    ]


def boxes_of(labels: Labels) -> dict[Any, list[tuple[int, list[float]]]]:
    found: dict[Any, list[tuple[int, list[float]]]] = {key: [] for key in labels.frames}
    for frame, kind, box in zip(labels.frame, labels.class_id, labels.xyxy.tolist(), strict=True):
        found[labels.frames[frame]].append((int(kind), box))
    return found


def check(
    read: dict[Any, list[tuple[int, list[float]]]], frames: list[FrameBoxes], key: Any, atol: float
) -> None:
    assert set(read) == {key(frame) for frame in frames}, "frames without boxes are there too"
    for frame in frames:
        theirs = sorted(read[key(frame)])
        mine = sorted(zip(frame.detections.class_id.tolist(), frame.detections.xyxy.tolist(), strict=True))
        assert [kind for kind, _ in theirs] == [kind for kind, _ in mine]
        np.testing.assert_allclose([b for _, b in theirs], [b for _, b in mine], atol=atol)


@pytest.mark.parametrize(
    ("to", "file", "key", "atol"),
    [
        ("coco", "annotations/instances_default.json", lambda f: f.name, 0.011),
        ("kitti", "", lambda f: f.stem, 0.006),
        ("yolo", "", lambda f: f.stem, 0.001),
        ("cvat", "", lambda f: f.name, 0.006),
        ("voc", "Annotations", lambda f: f.name, 0.006),
    ],
)
def test_what_is_written_is_read_back_as_labels(
    to: str, file: str, key: Any, atol: float, frames: list[FrameBoxes], tmp_path: Path
) -> None:
    written = export_detections(frames, to, tmp_path / to)
    assert (written.frames, written.boxes) == (4, sum(len(f.detections) for f in frames))
    check(boxes_of(read_labels(tmp_path / to / file, size=SIZE)), frames, key, atol)


def test_mot_has_people_alone_and_counts_from_one(frames: list[FrameBoxes], tmp_path: Path) -> None:
    written = export_detections(frames, "mot", tmp_path / "m")
    people = [
        FrameBoxes(f.number, f.name, f.size, f.detections.of_class("person"))
        for f in frames
        if len(f.detections.of_class("person"))
    ]
    assert written.boxes == sum(len(f.detections) for f in people)
    assert "other classes than person were left out" in written.notes[0]
    read = boxes_of(read_labels(tmp_path / "m" / "det" / "det.txt"))
    check({k: v for k, v in read.items() if v}, people, lambda f: f.number, 0.011)
    first = (tmp_path / "m" / "det" / "det.txt").read_text().splitlines()[0].split(",")
    assert (first[:2], first[6]) == (["1", "-1"], f"{people[0].detections.confidence[0]:.4f}")
    assert "seqLength=10\nimWidth=640" in (tmp_path / "m" / "seqinfo.ini").read_text()


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_tables_have_a_line_for_each_box(to: str, frames: list[FrameBoxes], tmp_path: Path) -> None:
    import pandas as pd

    export_detections(frames, to, tmp_path / to)
    path = tmp_path / to / f"detections.{to}"
    table = pd.read_csv(path) if to == "csv" else pd.read_parquet(path)
    assert list(table.columns) == ["frame", "name", "class", "confidence", "x1", "y1", "x2", "y2"]
    assert len(table) == sum(len(f.detections) for f in frames)
    np.testing.assert_allclose(
        table[table["frame"] == 6][["x1", "y1", "x2", "y2"]], frames[2].detections.xyxy, atol=0.006
    )
    none = export_detections([frames[1]], to, tmp_path / f"{to}-none")
    assert none.boxes == 0
    if to == "csv":
        read = boxes_of(read_labels(path))
        check(
            {k: v for k, v in read.items() if v},
            [f for f in frames if f.number != 3],
            lambda f: f.number,
            0.006,
        )


def test_label_studio_shows_predictions_in_percent(frames: list[FrameBoxes], tmp_path: Path) -> None:
    export_detections(frames, "label-studio", tmp_path / "l")
    tasks = json.loads((tmp_path / "l" / "tasks.json").read_text())
    for task in tasks:  # as if somebody had accepted them
        assert {r["type"] for r in task["predictions"][0]["result"]} <= {"rectanglelabels"}
        task["annotations"] = task.pop("predictions")
    (tmp_path / "accepted.json").write_text(json.dumps(tasks))
    check(boxes_of(read_labels(tmp_path / "accepted.json")), frames, lambda f: f.name, 0.01)
    assert '<Label value="person"/>' in (tmp_path / "l" / "labelling.xml").read_text()


def test_fiftyone_has_shares_by_name(frames: list[FrameBoxes], tmp_path: Path) -> None:
    export_detections(frames, "fiftyone", tmp_path / "f")
    data = json.loads((tmp_path / "f" / "labels.json").read_text())
    assert data["classes"] == list(LABELS)
    assert data["labels"]["000003"] == []
    for one, box, confidence in zip(
        data["labels"]["000006"], frames[2].detections.xyxy, frames[2].detections.confidence, strict=True
    ):
        x, y, w, h = np.array(one["bounding_box"]) * (*SIZE, *SIZE)
        np.testing.assert_allclose((x, y, x + w, y + h), box, atol=0.01)
        assert one["confidence"] == pytest.approx(confidence, abs=1e-4)


def test_cocos_own_program_scores_its_results_against_its_dataset(
    frames: list[FrameBoxes], tmp_path: Path
) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    export_detections(frames, "coco", tmp_path / "c")
    truth = COCO(str(tmp_path / "c" / "annotations" / "instances_default.json"))
    results = truth.loadRes(str(tmp_path / "c" / "results" / "detections.json"))
    judged = COCOeval(truth, results, "bbox")
    judged.evaluate()
    judged.accumulate()
    judged.summarize()
    assert judged.stats[0] == pytest.approx(1.0), "what was found, against itself"
    assert len(truth.getImgIds()) == 4


@pytest.fixture
def whole_run(tmp_path: Path) -> Path:
    return run(make_video(tmp_path / "street.mp4", 6), tmp_path / "out", every=2).folder


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_supervision_opens_a_whole_run_with_its_pictures(to: str, whole_run: Path, tmp_path: Path) -> None:
    import supervision as sv

    folder = tmp_path / to
    written = export_detections(whole_run, to, folder, images=True)
    assert written.frames == 3
    if to == "coco":
        data = sv.DetectionDataset.from_coco(
            str(folder / "images" / "default"), str(folder / "annotations" / "instances_default.json")
        )
    elif to == "yolo":
        data = sv.DetectionDataset.from_yolo(
            str(folder / "images" / "val"), str(folder / "labels" / "val"), str(folder / "data.yaml")
        )
    else:
        data = sv.DetectionDataset.from_pascal_voc(str(folder / "JPEGImages"), str(folder / "Annotations"))
    assert sorted(Path(path).name for path in data.image_paths) == ["000000.jpg", "000002.jpg", "000004.jpg"]
    import pandas as pd

    table = pd.read_csv(whole_run / "detections.csv")
    assert written.boxes == len(table) > 0
    for path, image, theirs in data:
        mine = table[table["frame"] == int(Path(path).stem)]
        assert image.shape == (96, 160, 3)
        assert sorted(data.classes[i] for i in theirs.class_id) == sorted(mine["class"])
        order, own = np.lexsort(theirs.xyxy.T), mine[["x1", "y1", "x2", "y2"]].to_numpy()
        np.testing.assert_allclose(theirs.xyxy[order], own[np.lexsort(own.T)], atol=1.01)  # VOC's corners


@pytest.mark.parametrize(
    ("to", "kind", "pictures", "atol"),
    [
        ("coco", "coco_instances", "images/default", 0.011),
        ("yolo", "yolo", "images/val", 0.002),
        ("voc", "voc_detection", "JPEGImages", 1.006),  # it takes corners as they stand there, counted from 1
        ("cvat", "cvat", "images", 0.006),
        ("kitti", "kitti_detection", "image_2", 0.006),
    ],
)
def test_datumaro_opens_it_and_sees_the_same_boxes(
    to: str, kind: str, pictures: str, atol: float, frames: list[FrameBoxes], tmp_path: Path
) -> None:
    datumaro = pytest.importorskip("datumaro", reason="in an environment of its own: it wants another OpenCV")
    export_detections(frames, to, tmp_path)
    (tmp_path / pictures).mkdir(parents=True, exist_ok=True)
    for frame in frames:
        cv2.imwrite(str(tmp_path / pictures / frame.name), np.zeros((*SIZE[::-1], 3), np.uint8))
    data = datumaro.Dataset.import_from(str(tmp_path), kind)
    names = [c.name for c in data.categories()[datumaro.AnnotationType.label]]
    read = {
        item.id: [(LABELS.index(names[a.label]), list(a.points[:4])) for a in item.annotations]
        for item in data
    }
    check(read, frames, lambda f: f.stem, atol)


def test_images_keep_their_names_sizes_and_content(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    rng = np.random.default_rng(0)
    sizes = {"a b.png": (100, 60), "é.jpg": (80, 90)}
    for name, (width, height) in sizes.items():
        image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        (pictures / name).write_bytes(cv2.imencode(Path(name).suffix, image)[1].tobytes())
    folder = run(pictures, tmp_path / "out").folder
    export_detections(folder, "coco", tmp_path / "c", images=True)
    data = json.loads((tmp_path / "c" / "annotations" / "instances_default.json").read_text())
    assert {i["file_name"]: (i["width"], i["height"]) for i in data["images"]} == sizes
    copy = tmp_path / "c" / "images" / "default" / "a b.png"
    assert copy.read_bytes() == (pictures / "a b.png").read_bytes()
    (pictures / "a b.png").unlink()
    with pytest.raises(SourceError, match=r"no such frames any more.*'a b.png'"):
        export_detections(folder, "voc", tmp_path / "v", images=True)
    shutil.rmtree(pictures)
    export_detections(folder, "coco", tmp_path / "d")
    shutil.rmtree(folder / "images")
    with pytest.raises(OutputError, match="or write csv"):
        export_detections(folder, "coco", tmp_path / "e")
    for to in ("csv", "parquet"):
        export_detections(folder, to, tmp_path / to)


def test_a_photo_has_the_size_in_which_it_was_looked_at(tmp_path: Path) -> None:
    whole = cv2.imencode(".jpg", np.zeros((60, 100, 3), np.uint8))[1].tobytes()
    tags = b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)  # turned by a quarter
    exif = b"Exif\0\0" + tags
    (tmp_path / "photos").mkdir()
    photo = tmp_path / "photos" / "phone.jpg"
    photo.write_bytes(whole[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif + whole[2:])
    for source in (photo, photo.parent):
        folder = run(source, tmp_path / f"out-{source.name}").folder
        export_detections(folder, "coco", tmp_path / f"coco-{source.name}")
        file = tmp_path / f"coco-{source.name}" / "annotations" / "instances_default.json"
        data = json.loads(file.read_text())
        assert [(i["width"], i["height"]) for i in data["images"]] == [(60, 100)]


def test_refusals_name_the_next_step(frames: list[FrameBoxes], whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Unknown format"):
        export_detections(frames, "cocoa", tmp_path / "x")
    with pytest.raises(OutputError, match="not the folder of a run"):
        export_detections(tmp_path, "coco", tmp_path / "x")
    with pytest.raises(OutputError, match="no frame"):
        export_detections([], "coco", tmp_path / "x")
    export_detections(frames, "coco", tmp_path / "c")
    with pytest.raises(OutputError, match="something already"):
        export_detections(frames, "coco", tmp_path / "c")
    export_detections(frames, "coco", tmp_path / "c", overwrite=True)
    with pytest.raises(OutputError, match="not known"):
        export_detections(frames, "coco", tmp_path / "i", images=True)
    twins = [FrameBoxes(i, f"a.{end}", SIZE, found_in(1, 1)) for i, end in enumerate(("jpg", "png"))]
    with pytest.raises(OutputError, match="share a name"):
        export_detections(twins, "yolo", tmp_path / "y")
    table = whole_run / "frames.csv"
    whole = table.read_text()
    for broken in (whole.replace("2,", "x,"), "".join(whole.splitlines(keepends=True)[:-1]), "\0"):
        table.write_text(broken)
        with pytest.raises(OutputError, match="tables of the run"):
            export_detections(whole_run, "coco", tmp_path / "b")


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(pictures / "b.png"), np.zeros((40, 60, 3), np.uint8))
    folder = run(pictures, tmp_path / "out").folder
    table = folder / "frames.csv"
    table.write_text(table.read_text().replace("a.png", "../a.png"))
    with pytest.raises(OutputError, match="tables of the run"):
        export_detections(folder, "voc", tmp_path / "v", images=True)


def test_sums_above_one_are_said(tmp_path: Path) -> None:
    one = found_in(1, 2)
    summed = Detections(one.xyxy, one.confidence + 2, one.class_id, one.row, one.col, LABELS)
    written = export_detections([FrameBoxes(0, "a.jpg", SIZE, summed)], "coco", tmp_path / "s")
    assert "2 confidences are above 1" in str(written)
    assert "above 1" in written._repr_html_()


def test_the_command_writes_beside_the_run(whole_run: Path) -> None:
    result = CliRunner().invoke(cli.app, ["export", str(whole_run), "--to", "coco"])
    assert result.exit_code == 0, result.output
    beside = whole_run.with_name(f"{whole_run.name}-coco")
    assert (beside / "results" / "detections.json").is_file()
    assert "--images" in result.output
    assert cli_export.FORMATS.split("|") == list(Format)


# Two runs side by side


def test_a_run_is_compared_with_a_kitti_dump_and_reasons_are_told(tmp_path: Path) -> None:
    video = make_video(tmp_path / "street.mp4", 6)
    low, high = Settings(default=ClassSettings(0.05)), Settings(default=ClassSettings(0.999))
    b = run(video, tmp_path / "b", settings=low).folder
    a = run(video, tmp_path / "a", settings=high, save_grids=True).folder
    dump = tmp_path / "dump"
    dump.mkdir()
    export_detections(b, "kitti", tmp_path / "k")
    for path in (tmp_path / "k" / "label_2").iterdir():  # as DeepStream names them
        (dump / f"00_000_{path.stem}.txt").write_bytes(path.read_bytes())
    found = compare(a, dump)
    assert (found.frames, found.only_a) == (6, {})
    assert found.only_b.total() > 0
    assert found.why.total() == found.only_b.total()
    assert "below threshold" in found.why
    assert found.first[0] in range(6)
    with_run = compare(a, b)
    assert (with_run.both, with_run.only_b, with_run.why) == (found.both, found.only_b, found.why)
    same = compare(b, b)
    assert (same.only_a, same.only_b, same.first) == ({}, {}, [])
    assert same.iou == pytest.approx(1.0)
    assert found.agreement is not None
    assert found.agreement.left < found.agreement.before == found.only_b.total()
    assert any("threshold" in change for change in found.agreement.changes)
    assert with_run.agreement is not None
    assert (with_run.agreement.settings, with_run.agreement.left) == (low, 0), "B says what it was run with"
    assert [one.side for one in found.differing] == ["B"] * min(10, found.only_b.total())
    sheet = cv2.imdecode(np.frombuffer(found.picture().data, np.uint8), 1)
    assert sheet.shape[1] == 326 * min(5, len(found.differing)), "tiles side by side"
    green = (np.abs(sheet.astype(int) - PALETTE[3]) < 40).all(axis=2).sum()
    assert green > 500, "what B has is dashed in green"
    back = compare(b, a)
    assert back.only_a == found.only_b
    assert not back.why, "that run kept no cells"
    files = [tmp_path / "sheet.jpg", tmp_path / "near.yaml"]
    command = ["compare", str(a), str(dump), "--picture", str(files[0]), "--write-settings", str(files[1])]
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 0, result.output
    assert Settings.from_yaml(files[1]) == found.agreement.settings
    assert files[0].read_bytes() == found.picture().data
    refused = CliRunner().invoke(cli.app, ["compare", str(b), str(b), "--write-settings", str(files[1])])
    assert (refused.exit_code, "--save-grids" in refused.output) == (1, True)
    assert "below threshold" in result.output
    assert "B alone" in found._repr_html_()
    assert "<img" in found._repr_html_()
    video.unlink()
    assert "No pictures" in found._repr_html_()
    with pytest.raises(OutputError, match="not the folder of a run"):
        compare(dump, a)
    with pytest.raises(SourceError, match="nothing to compare with"):
        compare(a, tmp_path / "none")


def test_images_of_several_sizes_are_compared_with_yolos_labels(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name, size in {"a.png": (160, 96, 3), "b.png": (480, 300, 3)}.items():
        cv2.imwrite(str(pictures / name), np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8))
    folder = run(pictures, tmp_path / "out", settings=Settings(default=ClassSettings(0.05))).folder
    export_detections(folder, "yolo", tmp_path / "y")
    found = compare(folder, tmp_path / "y")
    assert found.both.total() > 0
    assert (found.frames, found.only_a, found.only_b) == (2, {}, {})


@pytest.mark.parametrize(
    ("theirs", "changes"),
    [
        (Settings(default=ClassSettings(0.2), top_k=2), ["top_k 2 (was none)"]),
        (Settings(default=ClassSettings(0.45)), ["threshold 0.45 (was 0.2)"]),
        (Settings(nms_iou=0.25, default=ClassSettings(0.2)), ["nms_iou 0.25 (was 0.5)"]),
        (preset("deepstream-tuned"), ["clustering hybrid (was nms)", "min_width 20 (was 0)"]),
    ],
    ids=["top k", "threshold", "overlap", "a preset"],
)
def test_the_settings_that_agree_are_found(theirs: Settings, changes: list[str]) -> None:
    frames = [random_grids(seed, objects=25) for seed in range(6)]
    boxes = [
        {label: decode(grids, theirs).detections.of_class(label).xyxy.astype(float) for label in LABELS}
        for grids in frames
    ]
    found = nearest_to(boxes, frames, Settings(default=ClassSettings(0.2)))
    assert found.before > 0
    assert found.left <= found.before // 10, found.changes
    for change in changes:
        assert any(change in text for text in found.changes), found.changes
    same = nearest_to(boxes, frames, theirs)
    assert (same.left, same.changes) == (0, ())
    assert "no settings of A come nearer" in str(same)
