"""The browser's decode, run in Node or Deno, against `peoplenet_nb.decoding`: same boxes, order and fates."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import LABELS, make_grids, random_grids
from javascript import Run, job, needs_node
from peoplenet_nb.cells import Cells
from peoplenet_nb.decoding import Fate, decode
from peoplenet_nb.explain import explain_point
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.settings import PRESETS, ClassSettings, Clustering, Settings, preset
from peoplenet_nb.tuner import canvas, wire
from peoplenet_nb.tuner.bundle import module_source
from reference import counts_of, differences


@pytest.fixture(scope="session")
def real_grids(shared: Path, real_model_path: Path) -> list[Grids]:
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    model = PeopleNet.load(real_model_path, device="cpu")
    frames = open_source(shared / "data" / "vtest.avi", every=200, frames=4)
    return [model.infer(frame.image) for frame in frames]


def check_same(found: dict[str, Any], grids: Grids, settings: Settings, case: str) -> None:
    expected = decode(grids, settings)
    candidates, detections = expected.candidates, expected.detections
    _, rows, cols = grids.shape
    cells = (candidates.class_id * rows + candidates.row) * cols + candidates.col
    assert found["cells"] == cells.tolist(), case
    for name in ("fate", "by", "cluster"):
        assert found[name] == getattr(expected.outcome, name).tolist(), f"{case}: {name}"
    np.testing.assert_allclose(found["iou"], expected.outcome.iou, atol=1e-9, err_msg=case)
    assert found["class_id"] == detections.class_id.tolist(), case
    assert found["source"] == expected.source.tolist(), case
    np.testing.assert_allclose(np.reshape(found["xyxy"], (-1, 4)), detections.xyxy, atol=1e-3, err_msg=case)
    np.testing.assert_allclose(found["confidence"], detections.confidence, rtol=1e-6, err_msg=case)
    assert {k: v for k, v in found["stages"].items() if k != "cells"} == expected.stages(), case


def every_algorithm() -> dict[str, Settings]:
    """All presets, and what no preset uses; in an order in which thresholds fall and rise again."""
    low = ClassSettings(threshold=0.1)
    sized = Settings(default=ClassSettings(threshold=0.2, min_width=25, min_height=50, min_confidence=0.5))
    chosen = {f"preset {name}": preset(name) for name in PRESETS}
    chosen |= {
        f"{clustering} {flavour} {score} eps {eps} mass {mass}": Settings(
            clustering=clustering, flavour=flavour, score=score, eps=eps, min_samples=mass, default=low
        )
        for clustering, flavour, score, eps, mass in [
            ("dbscan", "tao", "max", 0.3, 0.5),
            ("dbscan", "tao", "sum", 0.7, 1.0),
            ("dbscan", "tao", "max", 1.0, 1.0),
            ("dbscan", "tao", "max", 0.0, 0.2),
            ("dbscan", "deepstream", "max", 0.4, 2.0),
            ("dbscan", "deepstream", "sum", 1.0, 3.0),
            ("dbscan", "deepstream", "max", 0.0, 1.0),
            ("hybrid", "tao", "max", 0.5, 1.0),
            ("hybrid", "deepstream", "sum", 0.5, 2.0),
        ]
    }
    chosen |= {f"nms {iou}": Settings(nms_iou=iou, default=low) for iou in (0.0, 0.3, 0.95, 1.0)}
    chosen |= {
        "threshold 0": Settings(default=ClassSettings(threshold=0.0)),
        "threshold 1": Settings(default=ClassSettings(threshold=1.0)),
        "after threshold 0, higher": Settings(default=ClassSettings(threshold=0.4)),
        "sizes and confidence": sized,
        "sizes and confidence after dbscan": sized.replace(clustering="dbscan", min_samples=0.5, score="sum"),
        "the best three": Settings(default=low, top_k=3),
        "the best of every cluster": Settings(default=low, top_k=1, clustering="dbscan", eps=0.6),
        "per class": Settings(default=low).with_class("face", threshold=0.6).with_class("bag", threshold=0.0),
        **{
            f"numbers of their own, {clustering}": Settings(
                clustering=clustering, flavour=flavour, score=score, default=low, min_samples=0.6, top_k=9
            )
            .with_class("person", nms_iou=0.2, eps=0.6, min_samples=2.0, min_sum=0.9, roi_top=99, top_k=4)
            .with_class("face", max_width=150, max_height=190, roi_bottom=120, nms_iou=0.8, min_sum=1.5)
            for clustering, flavour, score in (
                ("nms", "tao", "max"),
                ("dbscan", "tao", "sum"),
                ("dbscan", "deepstream", "max"),
                ("hybrid", "deepstream", "max"),
            )
        },
        "all cells, dbscan": Settings(clustering="dbscan", default=ClassSettings(threshold=0.0)),
        "all cells, hybrid": Settings(
            clustering="hybrid",
            flavour="deepstream",
            min_samples=2,
            eps=0.5,
            default=ClassSettings(threshold=0.0),
        ),
    }
    return chosen


def letterboxed(seed: int) -> Grids:
    grids = random_grids(seed)
    return Grids(grids.coverage, grids.boxes, Fit.of((480, 640), (960, 544), "letterbox"), grids.labels)


def all_ones() -> Grids:
    grids = random_grids(5)
    return Grids(np.ones_like(grids.coverage), grids.boxes, grids.fit, grids.labels)


SYNTHETIC: dict[str, Callable[[], Grids]] = {
    "random": lambda: random_grids(1),
    "crowded": lambda: random_grids(2, objects=60),
    "ties in coverage and boxes": lambda: random_grids(3, objects=40, ties=True),
    "letterboxed": lambda: letterboxed(4),
    "every cell certain": all_ones,
    "empty": make_grids,
    "one cell": lambda: make_grids({(0, 17, 30): (0.9, (1, 2, 1, 2))}),
    "boxes without area": lambda: make_grids(
        {(0, 5, 5): (0.9, (-1, 1, -1, 1)), (0, 5, 6): (0.8, (1, 1, 1, 1))}
    ),
    "other labels": lambda: make_grids({(1, 5, 5): (0.9, (1, 1, 1, 1))}, labels=("car", "sign")),
}


@needs_node
@pytest.mark.parametrize("name", SYNTHETIC)
def test_browser_decodes_as_python(node: Run, name: str) -> None:
    grids = SYNTHETIC[name]()
    cases = {case: chosen.replace(fit=grids.fit.mode) for case, chosen in every_algorithm().items()}
    found = node([job("decode", grids, settings) for settings in cases.values()])
    for (case, settings), answer in zip(cases.items(), found, strict=True):
        check_same(answer, grids, settings, f"{name}, {case}")


@needs_node
def test_coverage_only_models_have_candidates_and_no_boxes(node: Run) -> None:
    full = random_grids(1)
    bare = Grids(full.coverage, None, full.fit, full.labels)
    (found,) = node([job("decode", bare, preset("default"))])
    check_same(found, bare, preset("default"), "coverage only")


@needs_node
def test_browser_decodes_the_demo_as_python(node: Run) -> None:
    from peoplenet_nb.demo import STANDIN, demo_clip
    from peoplenet_nb.network.model import PeopleNet
    from peoplenet_nb.sources import open_source

    model, cases = PeopleNet.load(STANDIN, device="cpu"), every_algorithm()
    frames = [model.infer(frame.image) for frame in open_source(demo_clip(), every=60, frames=2)]
    assert all(len(decode(grids, preset("default")).detections) for grids in frames)
    found = iter(node([job("decode", grids, settings) for grids in frames for settings in cases.values()]))
    for number, grids in enumerate(frames):
        for case, settings in cases.items():
            check_same(next(found), grids, settings, f"demo frame {number}, {case}")


@needs_node
@pytest.mark.real
def test_browser_decodes_the_real_network_as_python(node: Run, real_grids: list[Grids]) -> None:
    fit = real_grids[0].fit.mode
    cases = {case: chosen.replace(fit=fit) for case, chosen in every_algorithm().items()}
    jobs = [job("decode", grids, settings) for grids in real_grids for settings in cases.values()]
    found = iter(node(jobs))
    for number, grids in enumerate(real_grids):
        for case, settings in cases.items():
            check_same(next(found), grids, settings, f"video frame {number}, {case}")


@needs_node
def test_browser_explains_a_point_as_the_report_does(node: Run) -> None:
    grids = random_grids(7, objects=25)
    nothing = (grids.coverage * (grids.coverage > 0.1)).astype(np.float32)  # no threshold takes most cells
    bare = Grids(nothing, grids.boxes, grids.fit, grids.labels)
    cases = [preset("default"), preset("tao"), Settings(clustering="hybrid", min_samples=1.5, top_k=2)]
    points = [(40.0, 40.0), (300.5, 200.0), (640.0, 360.0), (900.0, 500.0), (1279.0, 719.0), (0.0, 0.0)]
    asked = [(g, s, x, y, c) for g in (grids, bare) for s in cases for x, y in points for c in range(3)]
    found = node([job("explain", g, s, x=x, y=y, class_id=c) for g, s, x, y, c in asked])
    fates = set()
    for (of, settings, x, y, c), answer in zip(asked, found, strict=True):
        expected = explain_point(of, settings, x, y, LABELS[c])
        for name in ("label", "row", "col", "fate", "rescue", "added", "sentence"):
            assert answer[name] == getattr(expected, name), f"{name} at {x}, {y} of {LABELS[c]}"
        assert expected.xyxy is not None
        np.testing.assert_allclose(answer["xyxy"], expected.xyxy, atol=1e-3)
        fates.add("no threshold" if "every cell" in expected.sentence else expected.fate)
    assert {"kept", "below threshold", "no threshold"} < fates, "the points must show more than three reasons"


@needs_node
def test_outside_the_frame_the_browser_has_nothing_to_explain(node: Run) -> None:
    grids = random_grids(7)
    assert node([job("explain", grids, preset("default"), x=-1.0, y=5.0, class_id=0)]) == [None]


@needs_node
def test_browser_compares_two_settings_as_in_plain_loops(node: Run) -> None:
    grids = random_grids(8, objects=30)
    a = preset("default")
    others = [preset("deepstream"), preset("tao"), a.replace(nms_iou=0.2), a.replace(clustering="dbscan")]
    numbers = [wire.numbers_of(s, grids.labels) for s in (a, *others)]
    found = node([job("compare", grids, a=numbers[0], b=other) for other in numbers[1:]])
    assert any(answer["only_a"] or answer["only_b"] for answer in found)
    assert any(answer["moved"] for answer in found)
    for other, answer in zip(others, found, strict=True):
        only_a, only_b, moved = differences(*(decode(grids, one).detections for one in (a, other)))
        assert (answer["only_a"], answer["only_b"]) == (only_a, only_b)
        assert [tuple(pair) for pair in answer["moved"]] == moved


@needs_node
def test_browser_counts_a_clip_as_the_model_does(node: Run) -> None:
    clip = [random_grids(seed, objects=seed) for seed in (3, 9, 20)]
    packed = wire.pack_clip(map(Cells.of, clip), floors=(0.1, 0.2), limit=10**9)
    for settings in (preset("default"), preset("deepstream").replace(clustering="hybrid")):
        for start in (0, 2):
            asked = job("counts", clip[0], settings, clip=packed.data, frame=start)
            (found,) = node([asked])
            expected = [decode(grids, settings.for_fit(grids.fit.mode)).detections for grids in clip]
            assert np.reshape(found, (3, 3)).tolist() == counts_of(expected)


@needs_node
def test_a_packed_frame_decodes_as_the_whole_one_above_its_floor(node: Run) -> None:
    clip = [random_grids(1), random_grids(2, ties=True)]
    packed = wire.pack_clip(map(Cells.of, clip), floors=(0.2,), limit=10**9)
    settings = preset("deepstream")
    found = node([job("decode", grids, settings, clip=packed.data, frame=i) for i, grids in enumerate(clip)])
    for i, grids in enumerate(clip):
        check_same(found[i], grids, settings, f"packed frame {i}")


@needs_node
def test_browser_explains_saved_cells_as_python(node: Run) -> None:
    """They come without the weaker cells, which no threshold of the answers asks for."""
    settings, weak = Settings(), {(0, 20, 30): (0.0058, (1, 1, 1, 1)), (0, 5, 5): (0.9, (1, 1, 1, 1))}
    for grids in (make_grids(weak), random_grids(3)):
        saved = Cells.of(grids).grids()
        points = [(16 * 30.5, 16 * 20.5), (16 * 5.5, 16 * 5.5), (300, 300)]
        found = node([job("explain", saved, settings, x=x, y=y, class_id=0) for x, y in points])
        for answer, (x, y) in zip(found, points, strict=True):
            report = explain_point(saved, settings, x, y)
            if answer is None:
                assert "were not saved" in report.sentence
                continue
            assert answer["sentence"] == report.sentence
            assert answer["rescue"] == report.rescue


@needs_node
def test_browser_histogram_holds_every_cell(node: Run) -> None:
    grids = random_grids(6, ties=True)
    found = node([job("histogram", grids, class_id=c, bins=40) for c in range(3)])
    for counts, values in zip(found, grids.coverage.astype(np.float64), strict=True):
        steps = np.minimum(39, np.floor(40 * values)).astype(int).ravel()
        assert counts == np.bincount(steps, minlength=40).tolist()


def test_the_module_fetches_nothing_and_imports_nothing() -> None:
    text = module_source()
    assert not re.search(r"^\s*import\b", text, re.MULTILINE)
    assert "import(" not in text
    for word in ("http:", "https:", "fetch(", "XMLHttpRequest", "eval("):
        assert word not in text, word


def test_the_browser_has_pythons_names_in_pythons_order() -> None:
    static = Path(canvas.__file__).with_name("static")

    def listed(file: str, name: str) -> list[str]:
        (text,) = re.findall(
            rf"const {name} = \[(.*?)\]", (static / file).read_text(encoding="utf-8"), re.DOTALL
        )
        return re.findall(r'"([^"]+)"', text)

    assert listed("decode.js", "FATES") == [fate.name.lower().replace("_", " ") for fate in Fate]
    assert listed("dom.js", "CLUSTERINGS") == list(canvas.CHOICES["clustering"]) == list(Clustering)
