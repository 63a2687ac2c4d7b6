"""Reports as pictures: they decode, say in words what they show, and show what the decode found."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from html import escape
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from onnx import helper

from conftest import make_grids, random_grids
from onnx_builder import detectnet, write
from peoplenet_nb.decoding import decode
from peoplenet_nb.errors import GridsError, ModelError, OutputError, SettingsError, SourceError
from peoplenet_nb.explain import explain_cell, report_frame
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.onnxfile import HeadHealth, read_model_file
from peoplenet_nb.onnxfile.receptive import ReceptiveField, receptive_field
from peoplenet_nb.plots import canvas, charts, frame, steps
from peoplenet_nb.plots.picture import Picture, frame_picture
from peoplenet_nb.plots.texts import WRAPPED, fit_texts
from peoplenet_nb.preprocess import Preprocessor
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import Frame

GRIDS = random_grids(3)
FRAME = np.full((720, 1280, 3), 120, np.uint8)
SETTINGS = Settings(fit="auto")
FIELD = ReceptiveField(731, 731, 16, 34)
HEADS = (
    HeadHealth("person", 6.8, 4.1, True, "its weights are of the usual size"),
    HeadHealth("bag", 12.0, 4.3e-6, False, "dead"),
    HeadHealth("face", float("nan"), float("nan"), True, "unknown"),
)
RUN = pd.DataFrame(
    {"frame": [0, 1, 2], "time_s": [0.0, 0.1, 0.2], "person": [1, 2, 3], "bag": 0, "face": [0, 1, 0]}
)
BOXES = pd.DataFrame({"class": ["person", "person", "face"], "confidence": [0.9, 0.4, 0.3]})
TIMES = [
    {"device": "cpu", "batch": 1, "ms_per_frame": 68.2},
    {"device": "cuda", "batch": 4, "ms_per_frame": 4.7},
]

PICTURES: dict[str, Callable[[], Picture]] = {
    "boxes": lambda: frame.boxes(FRAME, decode(GRIDS, SETTINGS).detections),
    "heatmaps": lambda: frame.heatmaps(FRAME, GRIDS, ("bag",)),
    "grid": lambda: frame.grid_and_field(FRAME, GRIDS, FIELD),
    "network_view": lambda: frame.network_view(FRAME, *Preprocessor((960, 544))(FRAME)),
    "candidates": lambda: steps.candidates(FRAME, GRIDS),
    "cells_against_boxes": lambda: steps.cells_against_boxes(FRAME, GRIDS, SETTINGS),
    "clusterings": lambda: steps.clusterings(FRAME, GRIDS, SETTINGS),
    "cell_box": lambda: steps.cell_box(FRAME, GRIDS, "face"),
    "missing": lambda: steps.missing(FRAME, GRIDS, SETTINGS, explain_cell(GRIDS, SETTINGS, 0, 3, 3)),
    "candidates_per_threshold": lambda: charts.candidates_per_threshold(GRIDS, SETTINGS),
    "counts_over_time": lambda: charts.counts_over_time(RUN, GRIDS.labels),
    "confidence_histogram": lambda: charts.confidence_histogram(BOXES, GRIDS.labels, SETTINGS),
    "latency_bars": lambda: charts.latency_bars(TIMES),
    "head_bars": lambda: charts.head_bars(HEADS),
}


@functools.cache
def drawn(name: str) -> Picture:
    """A picture of the list; several tests look at the same."""
    return PICTURES[name]()


def pixels(picture: Picture) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "the bytes are no picture"
    return image


@pytest.mark.parametrize("name", PICTURES)
def test_is_a_picture_of_notebook_width_with_a_text(name: str) -> None:
    picture = drawn(name)
    image = pixels(picture)
    assert image.std() > 3, "there is nothing on it"
    assert picture.width <= 1000
    assert image.shape[1] >= picture.width, "it would be blown up"
    assert len(picture.alt.split()) >= 5
    html = picture.to_html()
    assert f'alt="{escape(picture.alt, quote=True)}"' in html
    assert "background:#ffffff" in html, "the dark theme would shine through"
    assert len(picture.data) < 700_000


@pytest.mark.parametrize("name", [n for n in PICTURES if n not in ("boxes",)])
def test_ground_is_white_in_every_theme(name: str) -> None:
    corner = pixels(drawn(name))[-3:, :3]
    assert corner.min() > 240


SHAPES = {
    "wide": (1920, 540),
    "portrait": (540, 960),
    "one pixel": (1, 1),  # and square
}


def grids_of(size: tuple[int, int], labels: tuple[str, ...] = GRIDS.labels) -> Grids:
    fit = "letterbox" if size[0] / size[1] < 1.45 else "stretch"  # as the fit auto has it
    return Grids(GRIDS.coverage, GRIDS.boxes, Fit.of(size, (960, 544), fit), labels)


def over_a_frame(
    size: tuple[int, int], labels: tuple[str, ...] = GRIDS.labels
) -> dict[str, Callable[[], Picture]]:
    """Every picture that is drawn over a frame, with a cell at each edge in question."""
    grids, ground = grids_of(size, labels), np.full((size[1], size[0], 3), 120, np.uint8)
    first, last = labels[0], labels[-1]
    made: dict[str, Callable[[], Picture]] = {
        "heatmaps": lambda: frame.heatmaps(ground, grids, (last,)),
        "grid": lambda: frame.grid_and_field(ground, grids, FIELD),
        "grid at the edge": lambda: frame.grid_and_field(ground, grids, FIELD, 0, 59),
        "network_view": lambda: frame.network_view(ground, *Preprocessor((960, 544))(ground)),
        "candidates": lambda: steps.candidates(ground, grids, first),
        "cells_against_boxes": lambda: steps.cells_against_boxes(ground, grids, SETTINGS, first),
        "clusterings": lambda: steps.clusterings(ground, grids, SETTINGS, first),
        "candidates_per_threshold": lambda: charts.candidates_per_threshold(grids, SETTINGS),
    }
    for row, col in ((0, 0), (33, 59)):
        report = explain_cell(grids, SETTINGS, 0, row, col)
        made[f"cell {row}, {col}"] = lambda r=row, c=col: steps.cell_box(ground, grids, first, r, c)
        made[f"missing {row}, {col}"] = lambda r=report: steps.missing(ground, grids, SETTINGS, r)
    return made


def drawn_figure(monkeypatch: pytest.MonkeyPatch, draw: Callable[[], Picture]) -> Figure:
    """The figure behind a picture as it is when it is saved; ``page`` is what is saved of it, in pixels."""
    figures: list[Figure] = []

    def savefig(figure: Figure, *_: object, dpi: float, bbox_inches: Bbox, **__: object) -> None:
        figure.page = Bbox(bbox_inches.extents.reshape(2, 2) * dpi)
        figures.append(figure)

    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", savefig)
        draw()
    (figure,) = figures
    return figure


def texts_of(figure: Figure) -> list[Text]:
    """Texts that are seen: those of axes that are switched off, and ticks beyond their ends, are not."""
    texts: list[Text] = []
    for axes in figure.axes:
        texts += [t for t in [*axes.texts, axes._left_title, axes.title] if t.get_text()]
        if axes.axison:
            for axis, span in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
                texts.append(axis.label)
                texts += [t.label1 for t in axis.get_major_ticks() if min(span) <= t.get_loc() <= max(span)]
        if axes.get_legend() is not None:
            texts += axes.get_legend().get_texts()
    return [text for text in texts if text.get_visible() and text.get_text()]


def outside(figure: Figure) -> list[str]:
    """Texts, with their plates, that are not wholly on the canvas."""
    page = figure.page
    gone = []
    for text in texts_of(figure):
        plate = text.get_bbox_patch()
        text.update_bbox_position_size(figure.canvas.get_renderer())
        extent = text.get_window_extent() if plate is None else plate.get_window_extent()
        inside = (
            extent.x0 >= page.x0 and extent.x1 <= page.x1 and extent.y0 >= page.y0 and extent.y1 <= page.y1
        )
        if not inside:
            gone.append(f"{text.get_text()!r}: {extent.extents.round()} of {page.extents}")
    return gone


@pytest.mark.parametrize("shape", SHAPES)
def test_no_text_leaves_the_canvas(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, draw in over_a_frame(SHAPES[shape]).items():
        figure = drawn_figure(monkeypatch, draw)
        assert len(texts_of(figure)) > 5, name
        assert outside(figure) == [], name


def test_a_title_that_is_broken_twice_has_no_line_that_is_short_for_nothing() -> None:
    figure = Figure(figsize=(6, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.imshow(np.zeros((90, 160)))  # keeps its proportions: a title in two lines makes it narrower
    title = left.set_title("DBSCAN as TAO, eps 0.3, min_samples 1: 8 boxes, 15 noise", loc="left")
    title.set_gid(WRAPPED)
    fit_texts(figure)
    lines = title.get_text().split("\n")
    assert len(lines) > 2
    for line, following in pairwise(lines):
        assert len(f"{line} {following.split()[0]}") > max(map(len, lines)) - 1, lines


def test_notes_in_a_corner_do_not_cover_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = drawn_figure(monkeypatch, over_a_frame((768, 576))["cell 0, 0"])
    notes = [text.get_window_extent() for text in figure.axes[0].texts if text.get_bbox_patch()]
    assert len(notes) == 4
    assert not any(a.overlaps(b) for i, a in enumerate(notes) for b in notes[:i])


@pytest.mark.parametrize("name", ["counts_over_time", "confidence_histogram", "latency_bars", "head_bars"])
def test_no_text_leaves_a_chart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outside(drawn_figure(monkeypatch, PICTURES[name])) == []


def test_a_dollar_in_a_label_is_no_mathematics(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = r"$\frac{"
    for name, draw in over_a_frame((768, 576), (bad, f"${bad}$", "a$b$c")).items():
        figure = drawn_figure(monkeypatch, draw)
        assert not any(text.get_parse_math() for text in texts_of(figure)), name
        assert outside(figure) == [], name
    head = HeadHealth(bad, 1.0, 1.0, True, bad)
    run = RUN.rename(columns={"person": bad})
    times = [{"device": bad, "batch": 1, "ms_per_frame": 1.0}]
    speeds = [{"device": bad, "precision": bad, "batch": 1, "fps": 1.0, "bare_fps": 2.0, "read": 1.0}]
    for draw in (
        lambda: charts.head_bars([head]),
        lambda: charts.counts_over_time(run, (bad,)),
        lambda: charts.confidence_histogram(BOXES.assign(**{"class": bad}), (bad,), SETTINGS),
        lambda: charts.latency_bars(times),
        lambda: charts.speed_bars(speeds),
        lambda: charts.stage_bars(speeds, ("read",)),
    ):
        assert any(bad in text.get_text() for text in texts_of(drawn_figure(monkeypatch, draw)))


def test_logarithmic_axes_show_plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [text.get_text() for text in texts_of(drawn_figure(monkeypatch, PICTURES["head_bars"]))]
    assert "1e−09" in shown
    assert not any("$" in text for text in shown)


def test_words_say_what_decode_found() -> None:
    found = decode(GRIDS, SETTINGS)
    assert f"{len(found.detections.of_class('person'))} decoded boxes" in drawn("cells_against_boxes").alt
    counts = [int((GRIDS.coverage[0] >= t).sum()) for t in (0.1, 0.5)]
    alt = drawn("candidates").alt
    assert f"{counts[0]} at 0.1" in alt
    assert f"{counts[1]} at 0.5" in alt
    assert "dead: bag" in drawn("head_bars").alt
    assert "person 2.0 on average, 3 at most" in drawn("counts_over_time").alt
    assert "no bag" in drawn("confidence_histogram").alt


def test_cell_box_draws_the_formula() -> None:
    grids = make_grids({(0, 17, 30): (0.9, (1, 2, 1, 2))})
    picture = steps.cell_box(np.full((544, 960, 3), 90, np.uint8), grids)
    assert "(480.5, 272.5)" in picture.caption
    assert "(445.5, 202.5) to (515.5, 342.5)" in picture.caption


@pytest.mark.parametrize(
    ("grids", "reason"),
    [
        (Grids(GRIDS.coverage, None, GRIDS.fit, GRIDS.labels), "a coverage-only model"),
        (
            Grids(
                np.zeros((1, 10, 10), np.float32),
                np.zeros((4, 10, 10), np.float32),
                Fit.of((160, 160), (160, 160), "stretch"),
                ("person",),
            ),
            "one class, a small square network, nobody in the frame",
        ),
    ],
)
def test_odd_grids_are_drawn_too(grids: Grids, reason: str) -> None:
    size = grids.fit.frame_size
    ground = np.full((size[1], size[0], 3), 100, np.uint8)
    drawn = [
        frame.heatmaps(ground, grids),
        frame.grid_and_field(ground, grids, FIELD),
        steps.candidates(ground, grids),
        steps.cells_against_boxes(ground, grids, SETTINGS),
        steps.clusterings(ground, grids, SETTINGS),
        steps.missing(ground, grids, SETTINGS, explain_cell(grids, SETTINGS, 0, 1, 1)),
        charts.candidates_per_threshold(grids),
    ]
    assert all(pixels(picture).size for picture in drawn), reason


def test_a_contact_sheet_shows_every_frame_with_what_was_found() -> None:
    frames = [Frame(i, 0.0, FRAME) for i in (0, 60, 120)]
    reports = [report_frame(GRIDS, SETTINGS)] * 3
    sheet = frame.contact_sheet(frames, reports)
    assert "0, 60, 120" in sheet.alt
    assert pixels(sheet).shape[1] == 960
    assert pixels(sheet)[-20:, 700:].min() > 240, "the fourth place is empty"


def test_charts_of_nothing_are_drawn() -> None:
    empty = BOXES.iloc[:0]
    assert "no person" in charts.confidence_histogram(empty, ("person",)).alt
    images = RUN.assign(time_s=float("nan"))
    assert pixels(charts.counts_over_time(images, ("person", "bag", "face"))).size


def test_an_unknown_class_is_named_with_the_known() -> None:
    with pytest.raises(SettingsError, match="person, bag, face"):
        steps.candidates(FRAME, GRIDS, "dog")
    with pytest.raises(GridsError, match="no boxes"):
        steps.cell_box(FRAME, Grids(GRIDS.coverage, None, GRIDS.fit, GRIDS.labels))


@pytest.mark.parametrize(
    ("boxes", "least", "reason"),
    [
        (np.zeros((0, 4)), 0.4, "no boxes: the whole frame"),
        (np.array([[10.0, 10, 20, 20]]), 0.4, "a small box in a corner"),
        (np.array([[-50.0, -50, 2000, 900]]), 0.4, "a box larger than the frame"),
        (np.array([[600.0, 300, 640, 420], [1200, 650, 1279, 719]]), 0.2, "two boxes far apart"),
    ],
)
def test_window_lies_in_the_frame_and_keeps_its_proportions(
    boxes: np.ndarray, least: float, reason: str
) -> None:
    x1, y1, x2, y2 = canvas.window_around(boxes, FRAME, least=least)
    assert -1e-9 <= x1 < x2 <= 1280 + 1e-9, reason
    assert -1e-9 <= y1 < y2 <= 720 + 1e-9
    assert (x2 - x1) / (y2 - y1) == pytest.approx(1280 / 720)
    assert (x2 - x1) / 1280 >= least - 1e-9
    for box in boxes:
        assert x1 <= max(box[0], 0)
        assert x2 >= min(box[2], 1280)


def test_picture_needs_words_and_escapes_them(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot see"):
        Picture(b"", "image/png", "  ", 10)
    picture = frame_picture(FRAME, 'a "quoted" <b>', width=640, caption="<script>")
    assert pixels(picture).shape[:2] == (360, 640)
    html = picture.to_html()
    assert "<script>" not in html
    assert "<b>" not in html
    assert picture.save(tmp_path / "deep" / "x.png").suffix == ".jpg"
    bundle = picture._repr_mimebundle_()
    assert bundle["text/plain"] == picture.alt
    assert re.search(r'src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', bundle["text/html"])


def test_picture_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        frame_picture(FRAME, "a frame").save(tmp_path / "file" / "x")
    with pytest.raises(SourceError, match="BGR"):
        frame_picture(FRAME[..., 0], "grey")


def test_receptive_field_of_one_convolution_is_its_kernel(tmp_path: Path) -> None:
    field = receptive_field(read_model_file(write(detectnet(), tmp_path / "m.onnx")))
    assert (field.width, field.height, field.stride) == (16, 16, 16)  # a 16x16 stem, then 1x1 heads
    assert field.covers((16, 16))
    assert not field.covers((17, 16))


def test_receptive_field_of_a_stack_takes_the_widest_path(tmp_path: Path) -> None:
    def layer(op: str, source: str, out: str, kernel: int, stride: int) -> onnx.NodeProto:
        inputs = [source] if op == "MaxPool" else [source, "w"]
        return helper.make_node(op, inputs, [out], kernel_shape=[kernel] * 2, strides=[stride] * 2)

    # ResNet's stem: 7x7/2, 3x3 pooling/2, 3x3; and a shortcut around the last: 7, then 11, then 19.
    nodes = [layer("Conv", "in", "a", 7, 2), layer("MaxPool", "a", "b", 3, 2), layer("Conv", "b", "c", 3, 1)]
    nodes.append(helper.make_node("Add", ["c", "b"], ["out"]))
    graph = helper.make_graph(nodes, "stem", [], [])
    path = tmp_path / "stem.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    file = SimpleNamespace(path=path, input=SimpleNamespace(name="in"), coverage=SimpleNamespace(name="out"))
    assert receptive_field(file) == ReceptiveField(19, 19, 4, 3)
    path.write_bytes(b"<html>")
    with pytest.raises(ModelError, match="read again"):
        receptive_field(file)


@pytest.mark.real
def test_receptive_field_of_peoplenet(real_model_path: Path) -> None:
    # ResNet-34: by hand, 7x7/2, then blocks of 3x3 with strides 2, 2, 2 in all: far more than one cell.
    field = receptive_field(read_model_file(real_model_path))
    assert (field.stride, field.width) == (16, field.height)
    assert 400 < field.width < 1000
