"""What other programs find: each written file, read as its program reads it, and run in plain loops, beside ours."""

from __future__ import annotations

import configparser
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from conftest import LABELS, make_grids, random_grids
from nvidia_protos import compile_schemas
from peoplenet_nb.cells import open_grids
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, SettingsError
from peoplenet_nb.export import Target, export_settings
from peoplenet_nb.export.difference import expected_difference, write_dump
from peoplenet_nb.export.nearest import nearest_settings
from peoplenet_nb.export.rules import decode_there
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.labels import read_labels
from peoplenet_nb.settings import PRESETS, ClassSettings, Settings, preset
from reference import iou

Box = list[float]
Found = list[tuple[int, float, Box]]  # class, score, xyxy in frame pixels


def raw(grids: Grids, c: int, j: int, i: int) -> Box:
    left, top, right, bottom = (float(grids.boxes[4 * c + k, j, i]) for k in range(4))
    x, y = 16 * i + 0.5, 16 * j + 0.5
    return [x - 35 * left, y - 35 * top, x + 35 * right, y + 35 * bottom]


def scaled(grids: Grids, box: Box) -> Box:
    (fw, fh), (cw, ch) = grids.fit.frame_size, grids.fit.content_size
    return [box[0] * fw / cw, box[1] * fh / ch, box[2] * fw / cw, box[3] * fh / ch]


def nms(boxes: list[Box], scores: list[float], threshold: float, extra: float = 0) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        grown = [[b[0], b[1], b[2] + extra, b[3] + extra] for b in boxes]
        if all(iou(grown[k], grown[i]) <= threshold for k in kept):
            kept.append(i)
    return kept


def components(near: list[list[bool]], core: list[bool], *, borders: bool) -> list[list[int]]:
    """Clusters in the order of their first core point."""
    left, clusters = [i for i, c in enumerate(core) if c], []
    taken: set[int] = set()
    for seed in left:
        if seed in taken:
            continue
        stack, members = [seed], []
        while stack:
            i = stack.pop()
            if i in taken:
                continue
            taken.add(i)
            members.append(i)
            if core[i]:
                stack += [
                    j for j in range(len(core)) if near[i][j] and j not in taken and (core[j] or borders)
                ]
        clusters.append(sorted(members))
    return clusters


def mean(boxes: list[Box], weights: list[float], members: list[int]) -> Box:
    total = sum(weights[m] for m in members)
    return [sum(boxes[m][k] * weights[m] for m in members) / total for k in range(4)]


def nvinfer(grids: Grids, text: str) -> Found:  # noqa: PLR0912 - one program, top to bottom
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(text)
    mode, width, height = int(parser["property"]["cluster-mode"]), *grids.fit.network_size
    found: Found = []
    for c in range(grids.shape[0]):
        keys = dict(parser["class-attrs-all"])
        keys |= dict(parser[f"class-attrs-{c}"]) if parser.has_section(f"class-attrs-{c}") else {}
        boxes, scores = [], []
        for j in range(grids.shape[1]):
            for i in range(grids.shape[2]):
                confidence = grids.coverage[c, j, i]
                if confidence < np.float32(keys["pre-cluster-threshold"]):
                    continue
                box = raw(grids, c, j, i)
                for k, size in enumerate((width, height, width, height)):
                    if box[k] >= size:
                        box[k] = size - 1
                    box[k] = max(box[k], 0)
                if box[2] >= box[0] and box[3] >= box[1]:
                    boxes.append(box)
                    scores.append(float(confidence))
        if mode in (1, 3):
            eps, least = float(keys["eps"]), int(keys["minBoxes"])
            near = [[a is b or 1 - iou(a, b) < eps for b in boxes] for a in boxes]
            core = [sum(row) >= least for row in near]
            clusters = components(near, core, borders=False)
            if mode == 1:
                means = [mean(boxes, scores, members) for members in clusters]
                tops = [max(scores[m] for m in members) for members in clusters]
                dense = [
                    ((b[2] - b[0]) * (b[3] - b[1])) ** 0.5 / (len(m) + 1) <= 60
                    and sum(scores[i] for i in m) >= float(keys.get("dbscan-min-score", 0))
                    for b, m in zip(means, clusters, strict=True)
                ]
                boxes = [b for b, fine in zip(means, dense, strict=True) if fine]
                scores = [s for s, fine in zip(tops, dense, strict=True) if fine]
                order = sorted(range(len(boxes)), key=lambda i: -scores[i])
                order = [i for i in order if scores[i] >= float(keys["post-cluster-threshold"])]
            else:
                inside = sorted(m for members in clusters for m in members)
                boxes, scores = [boxes[m] for m in inside], [scores[m] for m in inside]
        if mode in (2, 3):
            order = nms(boxes, scores, float(keys["nms-iou-threshold"]))
            order = [i for i in order if scores[i] > float(keys["post-cluster-threshold"])]
        if "topk" in keys:
            order = order[: int(keys["topk"])]
        for i in order:
            x1, y1, x2, y2 = scaled(grids, boxes[i])
            crop = parser["property"]["crop-objects-to-roi-boundary"] == "1"
            if x2 - x1 < int(keys["detected-min-w"]) or y2 - y1 < int(keys["detected-min-h"]):
                continue
            limits = int(keys.get("detected-max-w", 0)), int(keys.get("detected-max-h", 0))
            if (limits[0] > 0 and x2 - x1 > limits[0]) or (limits[1] > 0 and y2 - y1 > limits[1]):
                continue
            bottom = grids.fit.frame_size[1] - int(keys.get("roi-bottom-offset", 0))
            if crop:
                x2, y2 = min(x2, grids.fit.frame_size[0]), min(y2, grids.fit.frame_size[1])
                if x2 <= x1 or y2 <= y1:
                    continue
            if crop or (y1 >= int(keys.get("roi-top-offset", 0)) and y2 <= bottom):
                found.append((c, scores[i], [x1, y1, x2, y2]))
    return found


def as_nvinfer(mode: int, classes: list[dict[str, Any]]) -> str:
    """What Savant's module and nvinferserver's file say, in nvinfer's keys: both run the same code on them."""
    names = {"pre-cluster-threshold": "threshold", "post-cluster-threshold": "", "nms-iou-threshold": "iou",
             "eps": "eps", "minBoxes": "boxes", "dbscan-min-score": "sum", "detected-min-w": "min_width",
             "detected-max-w": "max_width", "detected-min-h": "min_height", "detected-max-h": "max_height",
             "roi-top-offset": "roi_top_offset",
             "roi-bottom-offset": "roi_bottom_offset"}  # fmt: skip
    text = f"[property]\ncluster-mode={mode}\ncrop-objects-to-roi-boundary=0\n[class-attrs-all]\n"
    for index, said in enumerate(classes):
        text += f"[class-attrs-{index}]\n" + "".join(f"{k}={said.get(v, 0)}\n" for k, v in names.items())
        text += f"topk={said['top_k']}\n" if said.get("top_k") else ""
    return text


def savant(grids: Grids, text: str) -> Found:
    objects = yaml.safe_load(text)["pipeline"]["elements"][0]["model"]["output"]["objects"]
    said = [item["selector"]["kwargs"] for item in objects]
    said = [{**k, "threshold": k["confidence_threshold"], "iou": k["nms_iou_threshold"]} for k in said]
    return nvinfer(grids, as_nvinfer(2, said))


def nvinferserver(grids: Grids, message: Any) -> Found:
    detection = message.infer_config.postprocess.detection
    filters = message.output_control.detect_control.specific_class_filters
    nms, cluster = detection.nms, detection.dbscan
    common = {"iou": round(nms.iou_threshold, 6), "top_k": nms.topk, "eps": round(cluster.eps, 6)}
    common |= {"boxes": cluster.min_boxes, "sum": round(cluster.min_score, 6)}
    classes = []
    for index in range(detection.num_detected_classes):
        limits = filters[index]
        sizes = {
            n: getattr(limits.bbox_filter, n) for n in ("min_width", "min_height", "max_width", "max_height")
        }
        regions = {n: getattr(limits, n) for n in ("roi_top_offset", "roi_bottom_offset")}
        threshold = round(detection.per_class_params[index].pre_threshold, 6)
        classes.append({"threshold": threshold, **common, **sizes, **regions})
    mode = 2 if detection.WhichOneof("clustering_policy") == "nms" else 1
    return nvinfer(grids, as_nvinfer(mode, classes))


def columns(grids: Grids, c: int, threshold: float) -> tuple[list[Box], list[float]]:
    """Boxes above a threshold, column by column."""
    where = [
        (j, i)
        for i in range(grids.shape[2])
        for j in range(grids.shape[1])
        if grids.coverage[c, j, i] > np.float32(threshold)
    ]
    boxes = [raw(grids, c, j, i) for j, i in where]
    real = [k for k, b in enumerate(boxes) if b[2] > b[0] and b[3] > b[1]]
    return [boxes[k] for k in real], [float(grids.coverage[c, where[k][0], where[k][1]]) for k in real]


def tao(grids: Grids, message: Any) -> Found:
    found: Found = []
    for c, label in enumerate(LABELS):
        config = message.bbox_handler_config.classwise_bbox_handler_config[label].clustering_config
        boxes, scores = columns(grids, c, config.coverage_threshold)
        clusters: list[list[int]] = []
        if config.clustering_algorithm != 1:
            near = [[1 - iou(a, b) <= round(config.dbscan_eps, 6) for b in boxes] for a in boxes]
            mass = [sum(s for s, n in zip(scores, row, strict=True) if n) for row in near]
            core = [m >= max(config.dbscan_min_samples, 1) for m in mass]
            clusters = components(near, core, borders=True)
        if config.clustering_algorithm == 0:
            results = [(sum(scores[m] for m in ms), mean(boxes, scores, ms)) for ms in clusters]
            least = config.dbscan_confidence_threshold
        else:
            if config.clustering_algorithm == 2:
                inside = sorted(m for members in clusters for m in members)
                boxes, scores = [boxes[m] for m in inside], [scores[m] for m in inside]
            kept = nms(boxes, scores, round(config.nms_iou_threshold, 6), extra=1)
            results = [(scores[k], boxes[k]) for k in kept]
            least = config.nms_confidence_threshold
        for score, box in sorted(results, key=lambda r: -r[0]):
            w, h = grids.fit.network_size
            x1, y1, x2, y2 = max(box[0], 0), max(box[1], 0), min(box[2], w), min(box[3], h)
            if y2 - y1 >= config.minimum_bounding_box_height and score >= least:
                found.append((c, score, scaled(grids, [x1, y1, x2, y2])))
    return found


def triton(grids: Grids, message: Any) -> Found:
    found: Found = []
    for c, label in enumerate(LABELS):
        config = message.classwise_clustering_config[label]
        boxes, scores = columns(grids, c, config.coverage_threshold)
        w, h = grids.fit.network_size
        boxes = [[max(b[0], 0), max(b[1], 0), min(b[2], w), min(b[3], h)] for b in boxes]
        rows = np.array([[1 - iou(a, b) for b in boxes] for a in boxes]).reshape(len(boxes), len(boxes))
        near = [
            [np.sqrt(((a - b) ** 2).sum()) <= round(config.dbscan_config.dbscan_eps, 6) for b in rows]
            for a in rows
        ]
        mass = [sum(s for s, n in zip(scores, row, strict=True) if n) for row in near]
        core = [m >= round(config.dbscan_config.dbscan_min_samples, 6) for m in mass]
        results = [
            (sum(scores[m] for m in ms), mean(boxes, scores, ms))
            for ms in components(near, core, borders=True)
        ]
        for score, box in sorted(results, key=lambda r: -r[0]):
            x1, y1, x2, y2 = scaled(grids, box)
            if (
                y2 - y1 >= config.minimum_bounding_box_height
                and score >= config.dbscan_config.dbscan_confidence_threshold
            ):
                found.append((c, score, [x1, y1, x2, y2]))
    return found


def jetson(grids: Grids, text: str) -> Found:
    (line,) = [line for line in text.splitlines() if line.startswith("detectnet")]
    options = dict(word[2:].split("=", 1) for word in shlex.split(line) if word.startswith("--"))
    least, share = np.float32(options["confidence"]), float(options["clustering"])
    found: list[list[Any]] = []
    for c in range(3):
        for j in range(34):
            for i in range(60):
                if grids.coverage[c, j, i] < least:
                    continue
                box, confidence = scaled(grids, raw(grids, c, j, i)), float(grids.coverage[c, j, i])
                for other in found:
                    b = other[2]
                    inter = max(0, min(b[2], box[2]) - max(b[0], box[0])) * max(
                        0, min(b[3], box[3]) - max(b[1], box[1])
                    )
                    largest = max((a[2] - a[0]) * (a[3] - a[1]) for a in (b, box))
                    if other[0] == c and largest and inter / largest > share:
                        other[1] = max(other[1], confidence)
                        other[2] = [
                            min(b[0], box[0]),
                            min(b[1], box[1]),
                            max(b[2], box[2]),
                            max(b[3], box[3]),
                        ]
                        break
                else:
                    found.append([c, confidence, box])
    w, h = grids.fit.frame_size
    for item in found:
        b = item[2]
        item[2] = [max(v - 0 if v < s else s - 1, 0) for v, s in zip(b, (w, h, w, h), strict=True)]
    return [(c, s, b) for c, s, b in sorted(found, key=lambda f: (f[0], -f[1]))]


def isaac(grids: Grids, text: str) -> Found:
    """The first class alone."""
    p = yaml.safe_load(text)
    where = [
        (j, i)
        for j in range(34)
        for i in range(60)
        if grids.coverage[0, j, i] >= np.float32(p["confidence_threshold"])
    ]
    boxes = []
    for j, i in where:
        distances = [float(grids.boxes[k, j, i]) * p["bounding_box_scale"] for k in range(4)]
        x, y = ((n + p["bounding_box_offset"]) * 16 for n in (i, j))
        boxes.append([x - distances[0], y - distances[1], x + distances[2], y + distances[3]])
    scores = [float(grids.coverage[0, j, i]) for j, i in where]
    near = [[a is b or 1 - iou(a, b) < p["dbscan_eps"] for b in boxes] for a in boxes]
    clusters = components(near, [sum(row) >= p["dbscan_min_boxes"] for row in near], borders=False)
    found: Found = []
    for members in clusters:
        box = mean(boxes, scores, members)
        area = max((box[2] - box[0]) * (box[3] - box[1]), 0)
        enough = sum(scores[m] for m in members) >= p["dbscan_confidence_threshold"]
        if enough and area**0.5 / (len(members) + 1) <= p["dbscan_threshold_athr"]:
            found.append((0, max(scores[m] for m in members), scaled(grids, box)))
    return sorted(found, key=lambda f: -f[1])


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Grids, dict[str, Any]], Found]]:
    pytest.importorskip("grpc_tools", reason="protoc compiles the schemas")
    from google.protobuf import text_format

    protos = compile_schemas(tmp_path_factory.mktemp("protos"))

    def parsed(schema: str, name: str, text: str) -> Any:
        return text_format.Parse(text, protos[schema][name]())

    return {
        "deepstream": lambda g, f: nvinfer(g, f["config_infer_primary_peoplenet.txt"]),
        "nvinferserver": lambda g, f: nvinferserver(
            g, parsed("nvinferserver", "PluginControl", f["config_inferserver_peoplenet.txt"])
        ),
        "savant": lambda g, f: savant(g, f["module.yml"]),
        "tao": lambda g, f: tao(g, parsed("tao", "Inference", f["inferencer_spec.txt"])),
        "triton": lambda g, f: triton(g, parsed("triton", "PostprocessingConfig", *f.values())),
        "jetson": lambda g, f: jetson(g, f["detectnet.sh"]),
        "isaac": lambda g, f: isaac(g, f["params.yaml"]),
    }  # fmt: skip


CASES: dict[str, Settings] = {f"preset {name}": preset(name) for name in PRESETS} | {
    "hybrid": Settings(clustering="hybrid", flavour="deepstream", eps=0.4, min_samples=2, nms_iou=0.4),
    "dbscan of deepstream": Settings(
        clustering="dbscan",
        flavour="deepstream",
        eps=0.5,
        min_samples=2,
        top_k=3,
        default=ClassSettings(0.2, min_width=20, min_height=40, min_confidence=0.5),
    ),
    "numbers of their own": Settings(nms_iou=0.4, top_k=5, default=ClassSettings(0.2, max_height=180))
    .with_class("person", nms_iou=0.2, top_k=3, roi_top=90, roi_bottom=60)
    .with_class("face", nms_iou=0.7, max_width=90),
    "clusters of their own": Settings(
        clustering="dbscan", flavour="deepstream", default=ClassSettings(0.2, eps=0.4)
    )
    .with_class("person", eps=0.7, min_samples=2, min_sum=1.2, max_width=220)
    .with_class("face", eps=0.2, top_k=2, roi_bottom=40),
    "sizes, then the best": Settings(top_k=2, default=ClassSettings(0.2, min_width=60, min_height=60)),
}


def compare(loops: Any, target: str, settings: Settings, grids: Grids, least: float = 0.0) -> int:
    made = export_settings(settings.replace(fit=grids.fit.mode), target, nearest=True)
    expected = loops[target](grids, made.files)
    found = decode_there(grids, made.settings, Target(target))
    assert found.class_id.tolist() == [c for c, _, _ in expected]
    np.testing.assert_allclose(found.confidence, [s for _, s, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(found.xyxy, np.reshape([b for _, _, b in expected], (-1, 4)), atol=2e-3)
    return len(expected)


TARGETS = ["deepstream", "nvinferserver", "savant", "tao", "triton", "jetson", "isaac"]


@pytest.mark.parametrize("target", TARGETS)
def test_the_rules_of_each_program_are_its_own_in_plain_loops(loops: Any, target: str) -> None:
    total = 0
    for seed in (1, 2):
        grids = random_grids(seed, objects=10)
        # Without the noise: the loops look at all pairs.
        coverage = np.where(grids.coverage < 0.1, np.float32(0), grids.coverage)
        quiet = Grids(coverage, grids.boxes, grids.fit, grids.labels)
        for settings in CASES.values():
            total += compare(loops, target, settings, quiet)
    assert total > 10


def test_a_least_sum_keeps_the_same_clusters_in_deepstream() -> None:
    frames = [random_grids(seed, objects=20) for seed in range(3)]
    asked = preset("tao", "stretch").replace(flavour="deepstream", min_samples=2)
    near, changes = nearest_settings(asked, Target.DEEPSTREAM, LABELS)
    assert not changes
    difference = expected_difference(asked, near, Target.DEEPSTREAM, frames)
    assert (difference.lost, difference.gained) == ({}, {})
    assert difference.same.total() > 20
    kept = sum(
        len(decode(g, asked.replace(default=ClassSettings(0.005), classes={})).detections) for g in frames
    )
    assert kept > difference.same.total(), "the sums must have dropped some"


def test_taos_nms_counts_whole_pixels(loops: Any) -> None:
    # 10 x 10 and 3.5 apart: an IoU of 0.48, of 0.52 with a pixel more at each side.
    side = 5 / 35
    cells = {(0, 10, 10): (0.9, (side,) * 4), (0, 10, 11): (0.8, (17.5 / 35, side, -7.5 / 35, side))}
    grids = make_grids(cells)
    (x1, _, x2, _), (u1, _, u2, _) = (raw(grids, 0, 10, i) for i in (10, 11))
    assert (x2 - x1, u1 - x1) == pytest.approx((10, 3.5), abs=1e-4)
    assert u2 - u1 == pytest.approx(10, abs=1e-4)
    assert compare(loops, "tao", preset("jetson-inference"), grids) == 1
    assert len(decode(grids, preset("jetson-inference")).detections) == 2


def test_boxes_that_reach_into_the_padding_are_cropped_where_the_program_can(loops: Any) -> None:
    grids = random_grids(3, objects=20)
    fit = Fit.of((960, 400), (960, 544), "letterbox")
    letterboxed = Grids(
        np.where(grids.coverage < 0.1, np.float32(0), grids.coverage), grids.boxes, fit, grids.labels
    )
    assert compare(loops, "deepstream", preset("deepstream", "letterbox"), letterboxed)
    region = preset("deepstream", "letterbox").with_class("bag", roi_top=1)
    there = decode_there(letterboxed, preset("deepstream", "letterbox"), Target.DEEPSTREAM)
    assert there.xyxy[:, 3].max() == 400, "cropped, as the file asks for"
    assert compare(loops, "deepstream", region, letterboxed) < len(there), (
        "dropped where a class has a region"
    )
    server = decode_there(letterboxed, preset("deepstream", "letterbox"), Target.NVINFERSERVER)
    assert len(server) < len(there)


@pytest.mark.real
def test_the_rules_of_each_program_on_real_frames(loops: Any, shared: Path, real_model_path: Path) -> None:
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    model = PeopleNet.load(real_model_path, device="cpu", fit="stretch")
    frames = [model.infer(f.image) for f in open_source(shared / "data" / "vtest.avi", every=300, frames=3)]
    for target in TARGETS:
        assert sum(compare(loops, target, s, grids) for grids in frames for s in CASES.values()) > 100


def test_savant_and_the_others_of_nvinfer_follow_its_rules() -> None:
    grids = random_grids(4)
    one = decode_there(grids, preset("deepstream"), Target.DEEPSTREAM)
    for target in (Target.DEEPSTREAM_YAML, Target.SAVANT, Target.NVINFERSERVER):
        np.testing.assert_array_equal(decode_there(grids, preset("deepstream"), target).xyxy, one.xyxy)


def test_nothing_is_found_in_nothing() -> None:
    empty = random_grids(1, objects=0)
    quiet = Grids(np.zeros_like(empty.coverage), empty.boxes, empty.fit, empty.labels)
    for target in Target:
        near = export_settings(preset("default"), target, nearest=True).settings
        assert len(decode_there(quiet, near, target)) == 0
        bare = Grids(np.ones_like(empty.coverage), None, empty.fit, empty.labels)
        assert len(decode_there(bare, near, target)) == 0, "a model without boxes has none there either"


# The expected difference


def test_the_difference_counts_what_is_lost_and_gained() -> None:
    frames = [random_grids(seed, objects=20) for seed in range(4)]
    settings = preset("default")
    none = expected_difference(settings, settings, Target.DEEPSTREAM, frames)
    assert (none.lost, none.gained) == ({}, {})
    assert none.same.total() == sum(len(decode(grids, settings).detections) for grids in frames)
    assert none.iou > 0.999
    higher = settings.with_class("person", threshold=0.6)
    fewer = expected_difference(settings, higher, Target.DEEPSTREAM, frames)
    wanted = sum(
        len(decode(g, settings).detections.of_class("person"))
        - len(decode(g, higher).detections.of_class("person"))
        for g in frames
    )
    assert fewer.lost == {"person": wanted}
    assert not fewer.gained
    more = expected_difference(higher, settings, Target.DEEPSTREAM, frames)
    assert more.gained == fewer.lost
    assert f"{wanted} person" in str(more)
    assert "new" in more._repr_html_()


def test_the_files_tell_the_difference_on_a_run(tmp_path: Path) -> None:
    from runs import run
    from videos import make_video

    folder = run(make_video(tmp_path / "v.mp4", 6), tmp_path / "out", save_grids=True).folder
    made = export_settings(preset("default"), "triton", nearest=True, run=folder)
    assert "in 6 frames" in made.notes[1]
    assert made.notes[1] in str(made.files["clustering_config_peoplenet.prototxt"])
    assert made.difference is not None
    assert made.difference.frames == 6
    dump = write_dump(folder, preset("deepstream"), Target.DEEPSTREAM, tmp_path / "kitti")
    labels = read_labels(dump, LABELS)
    assert [int(str(name)[-6:]) for name in labels.frames] == list(range(6))
    for number, grids in enumerate(open_grids(folder)):
        there = decode_there(grids, preset("deepstream"), Target.DEEPSTREAM)
        np.testing.assert_allclose(labels.xyxy[labels.frame == number], there.xyxy, atol=1e-4)
    other = export_settings(preset("default", "letterbox"), "tao", nearest=True, run=folder)
    assert other.difference is None
    assert "Not measured" in other.notes[1]
    assert "lost" not in other.row()
    parts = export_settings(preset("default").replace(tiles=2), "deepstream", nearest=True, run=folder)
    assert parts.difference is None, "the run has boxes of parts of frames, which there nobody looks at"
    assert "Not measured" in parts.notes[1]
    assert made.row()["lost"] == made.difference.lost.total()
    with pytest.raises(GridsError):
        export_settings(preset("default"), "deepstream", run=tmp_path)
    with pytest.raises(SettingsError):
        export_settings(preset("default", "letterbox"), "deepstream", run=folder)
