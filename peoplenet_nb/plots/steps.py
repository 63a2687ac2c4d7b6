"""Reports on the way from cells to boxes: candidates per threshold, clustering, one cell, one that is missing.

Every picture here is drawn from what `peoplenet_nb.decoding` returned, fates included, so
that none can tell another story than the video.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from peoplenet_nb.decoding import BBOX_NORM, BBOX_OFFSET, Decoded, Fate, cell_boxes, decode
from peoplenet_nb.errors import GridsError
from peoplenet_nb.explain import CANDIDATE_THRESHOLDS, CellReport, class_index
from peoplenet_nb.grids import Grids
from peoplenet_nb.plots.canvas import (
    ALARM,
    FAINT,
    INK,
    Frame,
    class_colour,
    draw_box,
    explanation,
    frame_panels,
    headline,
    note,
    outer_labels,
    rectangle,
    render,
    show_frame,
    window_around,
)
from peoplenet_nb.plots.frame import cell_rectangle
from peoplenet_nb.plots.picture import Picture
from peoplenet_nb.settings import ClassSettings, Clustering, Flavour, Score, Settings

_PALE = 0.35
_LOST = (Fate.SUPPRESSED, Fate.MERGED, Fate.NOISE)


def _at_threshold(grids: Grids, threshold: float) -> Decoded:
    return decode(grids, Settings(fit=grids.fit.mode, default=ClassSettings(threshold=threshold)))


def _frame_boxes(grids: Grids, decoded: Decoded, class_id: int) -> npt.NDArray[np.float64]:
    """Return the candidates' boxes of a class in frame pixels."""
    return grids.fit.to_frame(decoded.candidates.network_xyxy[decoded.candidates.class_id == class_id])


def _cells(grids: Grids, decoded: Decoded, class_id: int) -> list[tuple[float, float, float, float]]:
    """Return the squares of the candidates' cells of a class in frame pixels."""
    found = decoded.candidates
    mine = np.flatnonzero(found.class_id == class_id)
    return [cell_rectangle(grids, int(found.row[i]), int(found.col[i])) for i in mine]


def candidates(
    frame: Frame, grids: Grids, label: str = "person", thresholds: tuple[float, ...] = CANDIDATE_THRESHOLDS
) -> Picture:
    """Return the candidates of a class at each threshold, and what NMS leaves of them.

    Every candidate's cell is a filled square and its box a thin line; thick boxes are what NMS 0.5 keeps.
    """
    class_id = class_index(grids.labels, label)
    colour = class_colour(grids.labels, class_id)
    results = [_at_threshold(grids, threshold) for threshold in thresholds]
    window = window_around(_frame_boxes(grids, results[0], class_id), frame)
    figure, axes = frame_panels(frame, -(-len(thresholds) // 2), 2)
    texts = []
    for ax, threshold, decoded in zip(axes, thresholds, results, strict=False):
        boxes = _frame_boxes(grids, decoded, class_id)
        final = decoded.detections.of_class(label)
        title = f"threshold {threshold}: {len(boxes)} candidates, {len(final)} after NMS"
        show_frame(ax, frame, title, pale=_PALE, window=window)
        for cell in _cells(grids, decoded, class_id):
            rectangle(ax, cell, fc=colour, ec="none", alpha=0.4)
        for box in boxes:
            draw_box(ax, box, INK, width=0.7, line="--")
        for box in final.xyxy:
            draw_box(ax, box, colour, zorder=3)
        texts.append(f"{len(boxes)} at {threshold}")
    outer_labels(axes, 2)
    for ax in axes[len(thresholds) :]:
        words = (
            f"filled: the cell of a {label} candidate\nthin dashes: the box that cell predicts\n"
            "thick: what NMS at IoU 0.5 keeps\n\nEvery cell on a person proposes its own box; they nearly agree, and "
            "clustering makes one of them."
        )
        explanation(ax, 0.02, 0.95, words, "top")
    alt = f"Candidates of class {label} drawn on the frame per threshold: {', '.join(texts)}."
    return render(figure, alt, photo=True)


def cells_against_boxes(frame: Frame, grids: Grids, settings: Settings, label: str = "person") -> Picture:
    """Return, side by side, cells taken for boxes (coverage only) and the boxes that the network predicts."""
    class_id = class_index(grids.labels, label)
    colour = class_colour(grids.labels, class_id)
    decoded = decode(grids, settings)
    cells = _cells(grids, decoded, class_id)
    final = decoded.detections.of_class(label)
    window = window_around(_frame_boxes(grids, decoded, class_id), frame)
    figure, axes = frame_panels(frame, 1, 2)
    show_frame(axes[0], frame, "coverage only: each cell taken for a box", window=window)
    for cell in cells:
        draw_box(axes[0], cell, ALARM, width=1.4)
    show_frame(axes[1], frame, "both outputs decoded, then NMS", window=window)
    for box in final.xyxy:
        draw_box(axes[1], box, colour)
    outer_labels(axes, 2)
    alt = (
        f"Left, {len(cells)} grid cells of {grids.stride} network pixels drawn as if they were boxes: none is the "
        f"size of a {label}. Right, the {len(final)} decoded boxes, each around a {label}."
    )
    return render(figure, alt, photo=True)


def clusterings(frame: Frame, grids: Grids, settings: Settings, label: str = "person") -> Picture:
    """Return what NMS, hybrid and both flavours of DBSCAN make of the same candidates of a class."""
    class_id = class_index(grids.labels, label)
    colour = class_colour(grids.labels, class_id)
    base = settings.replace(top_k=None)
    dbscan, count = base.replace(clustering=Clustering.DBSCAN), max(1, round(base.min_samples))
    tao = dbscan.replace(flavour=Flavour.TAO, score=Score.SUM)
    deepstream = dbscan.replace(flavour=Flavour.DEEPSTREAM, score=Score.MAX, min_samples=count)
    variants = {
        f"NMS, IoU {base.nms_iou:g}": base.replace(clustering=Clustering.NMS),
        f"DBSCAN as TAO, eps {base.eps:g}, min_samples {base.min_samples:g}": tao,
        f"DBSCAN as DeepStream, eps {base.eps:g}, min_samples {count:g}": deepstream,
        "hybrid, DBSCAN then NMS": base.replace(clustering=Clustering.HYBRID),
    }
    figure, axes = frame_panels(frame, 2, 2)
    texts = []
    window = window_around(_frame_boxes(grids, decode(grids, base), class_id), frame)
    for ax, (name, chosen) in zip(axes, variants.items(), strict=True):
        decoded = decode(grids, chosen)
        final = decoded.detections.of_class(label)
        mine = decoded.candidates.class_id == class_id
        noise = mine & (decoded.outcome.fate == Fate.NOISE)
        counts = f"{len(final)} boxes" + (f", {noise.sum()} noise" if noise.any() else "")
        show_frame(ax, frame, f"{name}\n{counts}", pale=_PALE, window=window)
        lost = mine & np.isin(decoded.outcome.fate, _LOST)
        for i in np.flatnonzero(lost):
            shade = ALARM if noise[i] else FAINT
            draw_box(ax, grids.fit.to_frame(decoded.candidates.network_xyxy[i]), shade, width=0.8, line="--")
        for box, score in zip(final.xyxy, final.confidence, strict=True):
            draw_box(ax, box, colour)
            note(ax, float(box[0]), float(box[1]) - 2, f"{score:.2f}", fontsize=7.5)
        texts.append(f"{name} gives {len(final)}")
    outer_labels(axes, 2)
    total = int((decode(grids, base).candidates.class_id == class_id).sum())
    alt = f"The same {total} {label} candidates clustered in four ways: {'; '.join(texts)}."
    return render(figure, alt, photo=True)


def cell_box(
    frame: Frame, grids: Grids, label: str = "person", row: int | None = None, col: int | None = None
) -> Picture:
    """Return how one cell's four distances become its box; left out, the best cell of the class.

    A coverage-only model is a `GridsError`.
    """
    class_id = class_index(grids.labels, label)
    if grids.boxes is None:
        step = "use a model with both outputs."
        raise GridsError("A coverage-only model predicts no boxes", next_step=step)
    if row is None or col is None:
        row, col = divmod(int(grids.coverage[class_id].argmax()), grids.shape[2])
    distances = grids.boxes[4 * class_id : 4 * class_id + 4, row, col].astype(float)
    network = cell_boxes(grids, [class_id], [row], [col])[0]
    box = grids.fit.to_frame(network)
    origin = np.array((col, row)) * grids.stride + BBOX_OFFSET
    x, y = (float(v) for v in grids.fit.to_frame(origin))
    figure, (ax,) = frame_panels(frame, 1, 1)
    show_frame(ax, frame, pale=0.25, window=window_around(box[None], frame, least=0.3))
    colour = class_colour(grids.labels, class_id)
    draw_box(ax, cell_rectangle(grids, row, col), ALARM, width=2)
    draw_box(ax, box, colour, width=2.5)
    middle = (box[0] + box[2]) / 2
    ends = ((box[0], y), (x, box[1]), (box[2], y), (x, box[3]))
    places = (
        (box[0], y, "right", "center"),
        (middle, box[1], "center", "bottom"),
        (box[2], y, "left", "center"),
        (middle, box[3], "center", "top"),
    )
    for name, distance, end, place in zip("LTRB", distances, ends, places, strict=True):
        ax.annotate("", end, (x, y), arrowprops={"arrowstyle": "-|>", "color": "#0072b2", "lw": 2})
        text = f" {name} = {distance:.2f} x {BBOX_NORM:g} = {distance * BBOX_NORM:.0f} px "
        note(ax, float(place[0]), float(place[1]), text, ha=place[2], va=place[3])
    ax.plot([x], [y], "o", color=INK, ms=5)
    coverage = grids.coverage[class_id, row, col]
    headline(ax, f"{label}, cell row {row}, column {col}, coverage {coverage:.2f}")
    caption = (
        f"Cell ({row}, {col}) starts at network pixel ({origin[0]:g}, {origin[1]:g}), which is {grids.stride} x "
        f"(column, row) + 0.5. From there {_corners(network)} in network pixels, and in frame pixels {_corners(box)}. "
        "The arrows' lengths are given in network pixels."
    )
    alt = f"Arrows from the marked cell's corner to the four sides of the {label} box that it predicts."
    return render(figure, alt, photo=True, caption=caption)


def _corners(box: npt.NDArray[np.floating]) -> str:
    """Return a box as words: from its top left to its bottom right corner."""
    return f"the box goes from ({box[0]:.1f}, {box[1]:.1f}) to ({box[2]:.1f}, {box[3]:.1f})"


def missing(frame: Frame, grids: Grids, settings: Settings, report: CellReport) -> Picture:
    """Return where a cell that gave no box would have put it, among the boxes that are there."""
    decoded = decode(grids, settings)
    own = np.array(report.xyxy if report.xyxy is not None else cell_rectangle(grids, report.row, report.col))
    figure, (ax,) = frame_panels(frame, 1, 1)
    show_frame(ax, frame, window=window_around(own[None], frame))
    for i, box in enumerate(decoded.detections.xyxy):
        draw_box(ax, box, class_colour(grids.labels, int(decoded.detections.class_id[i])))
    draw_box(ax, own, ALARM, line="--", width=2.2)
    draw_box(ax, cell_rectangle(grids, report.row, report.col), ALARM, width=1.5)
    note(ax, float(own[2]) + 3, float(own[3]), f"{report.label} {report.coverage:.2f}: {report.fate}")
    headline(ax, f"row {report.row}, column {report.col} of class {report.label}")
    alt = f"The frame with its boxes, and dashed the box of the cell in question. {report.sentence}"
    return render(figure, alt, photo=True, caption=report.sentence)
