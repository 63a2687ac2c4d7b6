"""The tutorial's five frames, with the report of each; and which cell to ask about when nobody pointed at one.

One decision to know: the frames are a hundred apart, as in the tutorial, unless the video is too short for
that; then they are spread evenly over it.
"""

from __future__ import annotations

import cv2
import numpy as np

from peoplenet_nb.decoding import cell_boxes, decode, iou_matrix
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.explain import (
    CellReport,
    FrameReport,
    class_index,
    explain_cell,
    explain_point,
    report_frame,
)
from peoplenet_nb.grids import Grids
from peoplenet_nb.notebook.bench import Workbench
from peoplenet_nb.notebook.rich import Fold, Rich, Stack, Table
from peoplenet_nb.plots.picture import Picture, frame_picture
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame

_APART = 100  # the tutorial's
_TILE, _BAND, _GAP = 480, 26, 6  # pixels: a sampled frame on the sheet, the words above it, the gap beside it
_ALREADY_FOUND = 0.3  # a cell whose box overlaps a final one this much is about the same object


class Samples(Rich):
    """Some frames of a video, what the network said of each, and a sheet of them.

    Attributes
    ----------
    frames : list of Frame
        The frames.
    reports : list of FrameReport
        In the same order.
    """

    def __init__(self, frames: list[Frame], reports: list[FrameReport]) -> None:
        self.frames, self.reports = frames, reports

    @property
    def found(self) -> int:
        """Boxes in all of the frames."""
        return sum(len(report.decoded.detections) for report in self.reports)

    def sheet(self) -> Picture:
        """Return the frames with their boxes on one sheet, two in a row."""
        tiles = []
        for frame, report in zip(self.frames, self.reports, strict=True):
            drawn = draw_detections(frame.image, report.decoded.detections, labels=False)
            height = round(drawn.shape[0] * _TILE / drawn.shape[1])
            small = cv2.resize(drawn, (_TILE - _GAP, height), interpolation=cv2.INTER_AREA)
            tile = cv2.copyMakeBorder(small, _BAND, 0, 0, _GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))
            found = ", ".join(f"{n} {label}" for label, n in report.decoded.detections.counts().items())
            words, font = f"frame {frame.index}: {found}", cv2.FONT_HERSHEY_SIMPLEX
            cv2.putText(tile, words, (2, _BAND - 8), font, 0.5, (30, 30, 30), 1, cv2.LINE_AA)
            tiles.append(np.asarray(tile, np.uint8))
        tallest = max(tile.shape[0] for tile in tiles)
        sheet = np.full((-(-len(tiles) // 2) * tallest, 2 * _TILE, 3), 255, np.uint8)
        for i, tile in enumerate(tiles):
            y, x = i // 2 * tallest, i % 2 * _TILE
            sheet[y : y + tile.shape[0], x : x + _TILE] = tile
        told = ", ".join(str(frame.index) for frame in self.frames)
        return frame_picture(sheet, f"Frames {told} of the video with their boxes.")

    def to_html(self) -> str:
        """Return the sheet, a line of counts per frame, and each frame's report behind a fold."""
        rows: list[dict[str, object]] = []
        for frame, report in zip(self.frames, self.reports, strict=True):
            row: dict[str, object] = {"frame": frame.index}
            row |= {
                f"highest {n}": float(report.grids.coverage[c].max())
                for c, n in enumerate(report.grids.labels)
            }
            row["candidates"] = len(report.decoded.candidates)
            row |= {f"{n} boxes": count for n, count in report.decoded.detections.counts().items()}
            rows.append(row)
        folds = [
            Fold(f"what the network said of frame {frame.index}", report)
            for frame, report in zip(self.frames, self.reports, strict=True)
        ]
        return Stack(self.sheet(), Table(rows), *folds).to_html()

    def to_text(self) -> str:
        """Return the reports, as the tutorial prints them."""
        return "\n\n".join(str(report) for report in self.reports)


def sample_frames(bench: Workbench, settings: Settings, count: int = 5, apart: int = _APART) -> Samples:
    """Run the network on a few frames of a video.

    Parameters
    ----------
    bench : Workbench
        Model and source.
    settings : Settings
        Thresholds and clustering.
    count, apart : int
        How many frames, and how far apart; nearer where the video is too short.
    """
    total = bench.source.info.frame_count
    if total is not None and total < (count - 1) * apart + 1:
        apart = max(1, total // count)
    frames = list(bench.source.sampled(apart, count))
    reports = [
        report_frame(bench.model.infer(frame.image), settings, title=f"frame {frame.index}")
        for frame in frames
    ]
    return Samples(frames, reports)


def explain_missing(
    grids: Grids, settings: Settings, label: str = "person", point: tuple[float, float] | None = None
) -> CellReport:
    """Say why somebody is missing.

    Parameters
    ----------
    grids : Grids
        Raw output of the frame.
    settings : Settings
        Thresholds and clustering.
    label : str
        The class that is looked for.
    point : tuple of float, optional
        Frame pixels of the person. Left out, the most promising cell that gave no box and overlaps none.

    Raises
    ------
    GridsError, SettingsError
        For a point outside the frame and a class that is not there.
    """
    if point is not None:
        return explain_point(grids, settings, float(point[0]), float(point[1]), label)
    class_id = class_index(grids.labels, label)
    coverage = grids.coverage[class_id].astype(np.float64).copy()
    if grids.boxes is not None:
        found = decode(grids, settings).detections.of_class(label).xyxy.astype(np.float64)
        rows, cols = np.divmod(np.arange(coverage.size), coverage.shape[1])
        boxes = grids.fit.to_frame(cell_boxes(grids, np.full(coverage.size, class_id), rows, cols))
        taken = iou_matrix(boxes, found).max(axis=1, initial=0.0) >= _ALREADY_FOUND
        coverage[taken.reshape(coverage.shape)] = -1.0
    row, col = divmod(int(coverage.argmax()), coverage.shape[1])
    return explain_cell(grids, settings, class_id, row, col)
