"""Labels of other tools: each format's traps, what class names mean, which frame is which, and hostile files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from peoplenet_nb.demo import demo_clip, demo_truth
from peoplenet_nb.errors import SettingsError, SourceError
from peoplenet_nb.labels import align, read_labels

PERSON = [(10.0, 20.0, 40.0, 60.0)]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def image(path: Path, size: tuple[int, int] = (200, 100)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    return path


def boxes(path: Path, label: str = "person", **options: object) -> dict:
    """The boxes of a class by frame, and those to be ignored apart."""
    found = {}
    for key, truth in read_labels(path, **options).truth(label).items():  # type: ignore[arg-type]
        ignored, plain = (
            [tuple(box) for box in truth.xyxy[which].round(9).tolist()]
            for which in (truth.ignore, ~truth.ignore)
        )
        found[key] = (plain, ignored) if ignored else plain
    return found


COCO = {
    "images": [
        {"id": 7, "file_name": "a/one.jpg"},
        {"id": 9, "file_name": "two.jpg"},
        {"id": 3, "file_name": "no.jpg"},
    ],
    "categories": [{"id": 1, "name": "Person"}, {"id": 2, "name": "car"}, {"id": 5, "name": "backpack"}],
    "annotations": [
        {"image_id": 7, "category_id": 1, "bbox": [10, 20, 30, 40], "area": 77},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 1},
        {"image_id": 7, "category_id": 2, "bbox": [0, 0, 5, 5]},
        {"image_id": 9, "category_id": 5, "bbox": [1, 2, 3, 4]},
        {"image_id": 9, "category_id": 1, "bbox": [1, 2, 0, 4]},
    ],
}
CVAT_IMAGES = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<meta><task><labels><label><name>human_face</name></label><label><name>pedestrian</name></label></labels></task></meta>
<image id="0" name="one.jpg" width="200" height="100">
<box label="pedestrian" occluded="0" xtl="10.0" ytl="20.0" xbr="40.0" ybr="60.0"/>
<polygon label="human_face" points="1.5,2;5,9;3,1"/><points label="human_face" points="1,1"/></image>
<image id="1" name="two.jpg" width="200" height="100"/></annotations>"""
CVAT_VIDEO = """<annotations><meta><task><size>6</size><start_frame>0</start_frame><stop_frame>5</stop_frame></task>
</meta><track id="0" label="person">
<box frame="1" outside="0" keyframe="1" xtl="10" ytl="20" xbr="40" ybr="60"/>
<box frame="3" outside="0" keyframe="1" xtl="14" ytl="20" xbr="44" ybr="60"/>
<box frame="4" outside="1" keyframe="1" xtl="14" ytl="20" xbr="44" ybr="60"/></track></annotations>"""
VOC = """<annotation><folder>x</folder><filename>one.jpg</filename><size><width>200</width></size>
<object><name>person</name><difficult>0</difficult><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax>
</bndbox></object><object><name>person</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax>
<ymax>5</ymax></bndbox></object></annotation>"""
KITTI = (
    "Pedestrian 0.00 0 -0.20 10 20 40 60 1.89 0.48 1.20 1.84 1.47 8.41 0.01\n"
    "DontCare -1 -1 -10 0 0 5 5 -1 -1 -1 -1000 -1000 -1000 -10\n"
)
STUDIO = [
    {
        "data": {"image": "/data/upload/1/0a1b2c3d-one.jpg"},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {
                        "type": "rectanglelabels",
                        "original_width": 200,
                        "original_height": 100,
                        "value": {"x": 5, "y": 20, "width": 15, "height": 40, "rectanglelabels": ["Person"]},
                    },
                    {"type": "choices", "value": {"choices": ["day"]}},
                ]
            },
        ],
    },
    {"data": {"image": "two.jpg"}, "annotations": [{"result": []}]},
    {"data": {"image": "three.jpg"}, "annotations": []},
]


def test_coco_knows_crowds_areas_and_images_without_boxes(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", json.dumps(COCO))
    assert boxes(path) == {"a/one.jpg": (PERSON, [(0, 0, 5, 5)]), "two.jpg": [], "no.jpg": []}
    assert boxes(path, "bag") == {"a/one.jpg": [], "two.jpg": [(1, 2, 4, 6)], "no.jpg": []}
    labels = read_labels(path)
    assert labels.area.tolist() == [77, 25, 12]
    assert labels.judged == ("person", "bag")  # the file knows no faces: a face is neither right nor wrong
    text = " ".join(labels.notes)
    for words in ("'backpack' (1) as bag", "left out, no class here: 'car' (1)", "1 boxes without width"):
        assert words in text
    assert "Labels(COCO: 3 frames, 1 person, 1 bag, 1 ignored)" in repr(labels)
    assert "backpack" in labels._repr_html_()


def test_cvat_images_and_video(tmp_path: Path) -> None:
    path = write(tmp_path / "annotations.xml", CVAT_IMAGES)
    assert boxes(path) == {"one.jpg": PERSON, "two.jpg": []}
    assert boxes(tmp_path, "face") == {"one.jpg": [(1.5, 1, 5, 9)], "two.jpg": []}
    video = write(tmp_path / "v.xml", CVAT_VIDEO)
    # Between keyframes it moves in a straight line; outside is no object; all frames of the task are labelled.
    assert boxes(video) == {0: [], 1: PERSON, 2: [(12, 20, 42, 60)], 3: [(14, 20, 44, 60)], 4: [], 5: []}


def test_xml_is_read_as_utf8_whatever_it_says(tmp_path: Path) -> None:
    odd = CVAT_IMAGES.replace("utf-8", "utf-99")
    assert boxes(write(tmp_path / "a.xml", odd)) == {"one.jpg": PERSON, "two.jpg": []}


def test_cvat_turns_boxes_about_their_middle(tmp_path: Path) -> None:
    turned = CVAT_IMAGES.replace('ybr="60.0"/>', 'ybr="60.0" rotation="90"/>')
    ((box,), _) = boxes(write(tmp_path / "a.xml", turned)).values()
    assert box == pytest.approx((5, 25, 45, 55))


def test_voc_counts_from_one_and_knows_difficult_ones(tmp_path: Path) -> None:
    expected = {"one.jpg": (PERSON, [(0, 0, 5, 5)])}
    assert boxes(write(tmp_path / "Annotations" / "one.xml", VOC)) == expected
    write(tmp_path / "Annotations" / "two.xml", "<annotation></annotation>")
    assert boxes(tmp_path) == {**expected, "two": []}


def test_kitti_and_deepstreams_kitti(tmp_path: Path) -> None:
    write(tmp_path / "label_2" / "000010.txt", KITTI)
    write(tmp_path / "label_2" / "000002.txt", "")
    expected = {"000002": [], "000010": (PERSON, [(0, 0, 5, 5)])}
    assert boxes(tmp_path) == expected
    tracked = "Human Face 17 0.0 0 0.0 10 20 40 60 0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.9\n"
    assert boxes(write(tmp_path / "00_000_000007.txt", tracked), "face") == {"00_000_000007": PERSON}
    # DontCare counts for every class.
    assert boxes(write(tmp_path / "1.txt", KITTI), "face") == {"1": ([], [(0, 0, 5, 5)])}


def test_yolo_wants_sizes_and_names(tmp_path: Path) -> None:
    file = write(tmp_path / "labels" / "one.txt", "0 0.125 0.4 0.15 0.4\n1 0.1 0.1 0.2 0.1 0.2 0.3\n")
    write(tmp_path / "labels" / "two.txt", "")
    with pytest.raises(SourceError, match="no image one beside"):
        read_labels(tmp_path)
    image(tmp_path / "images" / "one.png")
    with pytest.raises(SourceError, match="name no class of the model"):
        read_labels(tmp_path)
    assert boxes(tmp_path, classes={"0": "person"}) == {"one": PERSON, "two": []}
    write(tmp_path / "data.yaml", "path: .\ntrain: images\nval: images\nnames:\n  0: person\n  1: handbag\n")
    assert boxes(tmp_path) == boxes(tmp_path / "labels") == {"one": PERSON, "two": []}
    (polygon,) = boxes(file, "bag")["one"]
    assert polygon == pytest.approx((20, 10, 40, 30))
    assert boxes(tmp_path / "data.yaml", size=(400, 100))["one"] == [pytest.approx((20, 20, 80, 60))]


@pytest.mark.parametrize("where", ["../other/images", "/etc/images"])
def test_yolos_yaml_leads_nowhere_outside(where: str, tmp_path: Path) -> None:
    write(tmp_path / "other" / "labels" / "one.txt", "0 0.5 0.5 0.1 0.1\n")
    path = write(tmp_path / "set" / "data.yaml", f"val: {where}\nnames: [person]\n")
    with pytest.raises(SourceError, match="leads out of its folder"):
        read_labels(path)
    (tmp_path / "set" / "labels").symlink_to(tmp_path / "other" / "labels")
    with pytest.raises(SourceError, match="leads out of its folder"):
        read_labels(write(path, "val: images\nnames: [person]\n"))


def test_label_studio_full_and_minimal(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", json.dumps(STUDIO))
    assert boxes(path) == {"one.jpg": PERSON, "two.jpg": []}
    assert "1 tasks without an annotation" in " ".join(read_labels(path).notes)
    value = STUDIO[0]["annotations"][1]["result"][0]["value"]  # type: ignore[index]
    flat = [{"image": "x/one.jpg", "label": [{**value, "original_width": 200, "original_height": 100}]}]
    assert boxes(write(path, json.dumps(flat))) == {"one.jpg": PERSON}
    flat[0]["label"][0]["rotation"] = 90  # about the top left corner
    ((box,),) = boxes(write(path, json.dumps(flat))).values()
    assert box == pytest.approx((-30, 20, 10, 50))


def test_mot_counts_frames_and_pixels_from_one_and_flags_what_to_ignore(tmp_path: Path) -> None:
    path = write(
        tmp_path / "gt" / "gt.txt",
        "1,7,10,20,30,40,1,-1,-1,0\n3,7,1,2,3,4,1,-1,-1,0\n3,8,5,5,5,5,0,-1,-1,0\n",
    )
    assert boxes(tmp_path) == boxes(path)
    # Every second frame has boxes: the one between is not labelled.
    assert boxes(path) == {0: [(9, 19, 39, 59)], 2: ([(0, 1, 3, 5)], [(4, 4, 9, 9)])}
    write(path, path.read_text() + "4,7,1,2,3,4,1,-1,-1,0\n")
    assert list(boxes(path)) == [0, 1, 2, 3]
    with pytest.raises(SettingsError, match="did you mean 'person'"):
        read_labels(path).truth("persn")


def test_a_folder_of_mots_detections_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "det" / "det.txt", "1,-1,10,20,30,40,0.9,-1,-1,-1\n")
    (tmp_path / "seqinfo.ini").touch()
    assert boxes(tmp_path) == boxes(path) == {0: [(9, 19, 39, 59)]}


@pytest.mark.parametrize("more", ["", ",person", ",-1,-1,-1"], ids=["seven columns", "a word", "ten columns"])
def test_mot_needs_its_first_seven_columns_only(more: str, tmp_path: Path) -> None:
    path = write(tmp_path / "gt.txt", f"2,7,10.5,20,30,40,1{more}\n")
    assert boxes(path) == {1: [(9.5, 19, 39.5, 59)]}
    with pytest.raises(SourceError, match="labels cannot be read"):
        read_labels(write(path, "2,7,10,20,30,40\n"))


def test_mot16_names_classes(tmp_path: Path) -> None:
    lines = [f"1,{i},{10 * i},1,5,5,1,{kind},1.0" for i, kind in ((1, 1), (2, 3), (3, 8))]
    assert boxes(write(tmp_path / "gt.txt", "\n".join(lines))) == {0: ([(9, 0, 14, 5)], [(29, 0, 34, 5)])}


def test_the_demo_clips_truth_is_a_table() -> None:
    labels = read_labels(demo_clip().with_suffix(".csv"))
    for class_id, label in enumerate(labels.classes):
        truth = labels.truth(label)
        for expected in demo_truth():
            np.testing.assert_allclose(
                truth[expected.frame].xyxy, expected.xyxy[expected.class_id == class_id], atol=1e-3
            )


def test_the_users_own_meaning_of_names(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", json.dumps(COCO))
    labels = read_labels(path, classes={"car": "ignore", "backpack": "", "Person": "face"})
    assert labels.judged == ("face",)
    assert int(labels.ignore.sum()) == 2
    with pytest.raises(SettingsError, match="Unknown class"):
        read_labels(path, classes={"car": "lorry"})


def test_frames_go_by_index_in_videos_and_by_name_in_folders(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", json.dumps(COCO))
    labels = align(read_labels(path), ["one.jpg", "three.jpg", "two.jpg"])
    assert labels.frames == (0, 2)
    assert [labels.frames[i] for i in labels.frame] == [0, 0, 2]
    assert "1 of 3 labelled frames are not in the source" in labels.notes[-1]
    with pytest.raises(SourceError, match="None of the labelled frames"):
        align(read_labels(path), ["x.jpg"])
    write(tmp_path / "k" / "frame_000012.txt", KITTI)
    write(tmp_path / "k" / "frame_000002.txt", KITTI)
    labels = align(read_labels(tmp_path / "k"), None)
    assert labels.frames == (2, 12)
    assert "frame_000002 is frame 2" in labels.notes[-1]
    # A stem is enough, unless two images share it.
    names = ["frame_000002.jpg", "frame_000012.jpg", "frame_000012.png"]
    assert align(read_labels(tmp_path / "k"), names).frames == (0,)
    twice = {**COCO, "images": [{"id": 7, "file_name": "a/one.jpg"}, {"id": 9, "file_name": "b/one.jpg"}]}
    with pytest.raises(SourceError, match="same frame of the source"):
        align(read_labels(write(path, json.dumps(twice))), ["one.jpg"])


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotations><image name="&c;"/></annotations>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotations><image name="x">&b;</image></annotations>'
ONE_IMAGE = {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "person"}]}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.xml", BOMB, "declares entities"),
        ("a.xml", OUTSIDE, "declares entities"),
        ("a.xml", "<annotations><image", "no XML"),
        ("a.xml", "<svg></svg>", "root is <svg>"),
        ("a.xml", "<a>" * 50 + "</a>" * 50, "more than 32 elements"),
        (
            "a.xml",
            '<annotations><image name="x"><box label="person" xtl="a"/></image></annotations>',
            "could not convert",
        ),
        (
            "a.xml",
            "<annotations><meta><task><size>99999999999</size></task></meta></annotations>",
            "its frames are",
        ),
        ("a.json", "[" * 100_000, "labels cannot be read"),
        ("a.json", '{"images": 3}', "labels cannot be read"),
        ("a.json", '[{"image_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}]', "results"),
        ("a.json", "[1, 2]", "labels cannot be read"),
        (
            "a.json",
            json.dumps(
                {**ONE_IMAGE, "annotations": [{"image_id": 2, "category_id": 1, "bbox": [0, 0, 1, 1]}]}
            ),
            "KeyError",
        ),
        (
            "a.json",
            json.dumps(
                {**ONE_IMAGE, "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1e999, 1]}]}
            ),
            "not in pixels",
        ),
        (
            "a.json",
            json.dumps({**ONE_IMAGE, "annotations": [{"image_id": 1, "category_id": 1, "bbox": "abcd"}]}),
            "could not convert",
        ),
        ("gt.txt", "1,1,nan,1,1,1,1\n", "not in pixels"),
        ("gt.txt", "1e300,1,1,1,1,1,1\n", "no number of a frame"),
        ("gt.txt", "0,1,1,1,1,1,1\n", "no number of a frame"),
        ("gt.txt", "1,1,1,1,5,5,1,1,1\n2,1,1,1,5,5,1,1,1\n3000000,1,1,1,5,5,1,3,1\n", "no number of a frame"),
        (
            "a.xml",
            '<annotations><track label="person"><box frame="-3" xtl="1" ytl="1" xbr="2" ybr="2"/></track>'
            "</annotations>",
            "its frames are",
        ),
        ("gt.txt", "hello", "labels cannot be read"),
        ("gt.txt", "", "empty"),
        ("a.txt", "person 1 2 3\n", "3 numbers instead of 14"),
        ("a.txt", "0 0.5 0.5\n", "there is no image"),
        ("t.csv", "frame,class,x,y,w\n1,person,2,3,4\n", "labels cannot be read"),
        ("t.csv", "frame,x,y,w,h,class\n1,2,3,4,5\n", "line 2 ends too early"),
        ("t.csv", "frame,x,y,w,h,class\n", "hold no frame"),
        ("a.json", "[]", "hold no frame"),
        ("data.yaml", "names: &a [*a]\nval: images\n", "aliases"),
        ("data.yaml", "names: 7\nval: .\n", "'names' is neither|no .txt"),
        ("data.yaml", "val: images\n", "under 'names'"),
        ("a.bin", "PK\x03\x04xxxx", "zip archive"),
        (
            "a.json",
            json.dumps({**ONE_IMAGE, "categories": [{"id": 1, "name": "car"}], "annotations": []}),
            "name no class",
        ),
    ],
)
def test_what_cannot_be_read_is_an_error_of_ours(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError) as raised:
        read_labels(write(tmp_path / name, text))
    assert any(word in str(raised.value) for word in words.split("|")), str(raised.value)


def test_folders_that_hold_too_much_or_nothing_say_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="No such file"):
        read_labels(tmp_path / "none")
    with pytest.raises(SourceError, match=r"no .json, .xml"):
        read_labels(tmp_path)
    write(tmp_path / "a.json", "{}")
    write(tmp_path / "b.json", "{}")
    with pytest.raises(SourceError, match=r"2 .json files"):
        read_labels(tmp_path)
    write(tmp_path / "c.xml", VOC)
    with pytest.raises(SourceError, match="several kinds"):
        read_labels(tmp_path)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    for path in (tmp_path / "pipe.txt", tmp_path):
        with pytest.raises(SourceError, match="labels cannot be read"):
            read_labels(path)


def test_keyframes_far_apart_do_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = '<box frame="{}" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/>'
    track = f'<track label="person">{mark.format(0)}{mark.format(900)}</track>'
    path = write(tmp_path / "v.xml", f"<annotations>{track * 3}</annotations>")
    assert len(read_labels(path)) == 3 * 901
    monkeypatch.setattr("peoplenet_nb.labels.as_xml._MOST_BOXES", 2_000)
    with pytest.raises(SourceError, match="more than 2,000 boxes"):
        read_labels(path)


@pytest.mark.parametrize("kind", ["coco", "yolo", "pascal_voc"])
def test_what_supervision_writes_is_read_as_it_was(kind: str, tmp_path: Path) -> None:
    import supervision as sv

    images = {f"{i}.jpg": image(tmp_path / "images" / f"{i}.jpg", (320, 240)) for i in range(3)}
    rng = np.random.default_rng(0)
    wanted, annotations = {}, {}
    for name, path in images.items():
        count = 0 if name == "1.jpg" else 4
        corner, size = rng.integers(0, 150, (count, 2)), rng.integers(5, 90, (count, 2))
        wanted[Path(name).stem] = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        annotations[str(path)] = sv.Detections(
            wanted[Path(name).stem].reshape(-1, 4), class_id=np.zeros(count, int)
        )
    data = sv.DetectionDataset(["person"], [str(path) for path in images.values()], annotations)
    folder = tmp_path / "labels"
    if kind == "coco":
        data.as_coco(annotations_path=str(folder / "c.json"))
    elif kind == "yolo":
        data.as_yolo(annotations_directory_path=str(folder), data_yaml_path=str(tmp_path / "data.yaml"))
    else:
        data.as_pascal_voc(annotations_directory_path=str(folder))
    read = {Path(str(key)).stem: truth.xyxy for key, truth in read_labels(folder).truth("person").items()}
    for stem, expected in wanted.items():
        if kind == "yolo" and not len(expected):
            continue  # it writes no file for an image without boxes
        np.testing.assert_allclose(read[stem], expected.reshape(-1, 4), atol=0.01)


@pytest.mark.parametrize(
    "text", [b"frame,class\ra\0b\r\n", b"a,b\r" + b"x" * 200_000, b"\0\0\0 ftypisom,\r\xff,class"]
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(text)
    with pytest.raises(SourceError, match="labels cannot be read"):
        read_labels(tmp_path / "labels.csv")
