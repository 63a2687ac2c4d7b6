"""An evaluation as pictures: curves, and the worst errors as a contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from peoplenet_nb.draw import PALETTE, Colour
from peoplenet_nb.errors import SourceError
from peoplenet_nb.files import writing
from peoplenet_nb.metrics.found import Found
from peoplenet_nb.metrics.matching import Floats
from peoplenet_nb.metrics.mistakes import Mistake, worst
from peoplenet_nb.metrics.scores import ClassScore
from peoplenet_nb.plots import Picture
from peoplenet_nb.plots.canvas import DASHES, INK, MARKERS, class_colour, headline, panels, render
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources import Source, open_source
from peoplenet_nb.sources.frames import Image
from peoplenet_nb.video.parts import write_image

if TYPE_CHECKING:
    from peoplenet_nb.evaluation.result import Evaluation

_TILE = (320, 240)
_CAPTION = 26  # pixels below a tile
_COLUMNS = 5
_FOUND, _LABELLED = PALETTE[6], PALETTE[3]  # vermilion, bluish green; labelled boxes are dashed as well
_LEAST = 120.0  # frame pixels that a tile shows


def curves(scores: Mapping[str, ClassScore], settings: Settings) -> Picture:
    """Return precision over recall, and F1 over the threshold, with what the settings give marked."""
    figure, (left, right) = panels(1, 2, 4.8)
    labels, texts = list(scores), []
    for c, (label, score) in enumerate(scores.items()):
        colour, dash = class_colour(labels, c), DASHES[c % len(DASHES)]
        curve, strict = score.curve, score.strict_curve
        left.plot(curve.recall, curve.precision, color=colour, ls=dash, lw=2.2, label=f"{label}, IoU 0.5")
        left.plot(strict.recall, strict.precision, color=colour, ls=dash, lw=1, label=f"{label}, IoU 0.75")
        right.plot(curve.confidence, curve.f1, color=colour, ls=dash, lw=2.2, label=label)
        marker = MARKERS[c % len(MARKERS)]
        left.plot(score.recall.value, score.precision.value, marker, color=colour, mec=INK, ms=9)
        threshold = settings.for_class(label).threshold
        right.plot(threshold, score.f1.value, marker, color=colour, mec=INK, ms=9)
        f1, best, _, _ = curve.best()
        texts.append(
            f"{label}: AP {score.ap50.value:.3f} at IoU 0.5, {score.ap75.value:.3f} at 0.75, F1 {score.f1.value:.3f} "
            f"now, best {f1:.3f} at {best:.2f}"
        )
    headline(left, "precision over recall (marked: these settings)")
    headline(right, "F1 at IoU 0.5 over the threshold (marked: these settings)")
    left.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="recall (0 to 1)", ylabel="precision (0 to 1)")
    most = max([1.0, *(float(s.curve.confidence[0]) for s in scores.values() if len(s.curve.confidence))])
    right.set(
        xlim=(0, most), ylim=(0, 1.02), xlabel="threshold of the confidence (0 to 1)", ylabel="F1 (0 to 1)"
    )
    for ax, columns in ((left, 2), (right, 3)):
        ax.grid(color="#e5e5e5")
        ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=columns)
    return render(figure, f"Precision and recall. {'; '.join(texts)}.")


def contact_sheet(evaluation: Evaluation, folder: Path, count: int) -> Path:
    """Write the worst errors as pictures, and all of them in one, ``worst.jpg``; return its path."""
    clip = evaluation.clip
    apart = round(clip.fps or 25.0) if clip.video else 0
    chosen = worst(evaluation.mistakes, count, apart)
    frames = [clip.labels.frames[m.frame] for m in chosen]
    images = _images(clip.source, {int(frame) for frame in frames})
    found = clip.found(evaluation.settings)
    tiles = []
    with writing(folder):
        for number, (mistake, frame) in enumerate(zip(chosen, frames, strict=True), 1):
            kind = str(mistake.kind).replace(" ", "-")
            image, name = images[int(frame)]
            sure = "" if np.isnan(mistake.confidence) else f" {mistake.confidence:.2f}"
            caption = f"{number}. {mistake.kind} {mistake.label}{sure}, {name or f'frame {frame}'}"
            labelled = clip.labels.xyxy[(clip.labels.frame == mistake.frame) & ~clip.labels.ignore]
            tiles.append(_tile(image, mistake, found, labelled, caption))
            write_image(folder / f"{number:02d}-{kind}-frame{int(frame):06d}.jpg", tiles[-1])
        sheet = folder / "worst.jpg"
        write_image(sheet, _sheet(tiles))
    return sheet


def _images(where: str | Path | Source, wanted: set[int]) -> dict[int, tuple[Image, str]]:
    """Return the pictures of some frames, and their names."""
    source = where if isinstance(where, Source) else open_source(where)
    found: dict[int, tuple[Image, str]] = {}
    for frame in source.sampled() if wanted else ():
        if frame.index in wanted:
            found[frame.index] = (frame.image, frame.name)
        if len(found) == len(wanted):
            break
    if lost := wanted - found.keys():
        raise SourceError(
            "The source has no such frames any more",
            seen=sorted(lost)[:5],
            next_step="evaluate the source itself.",
        )
    return found


def _tile(image: Image, mistake: Mistake, found: Found, labelled: Floats, caption: str) -> Image:
    """Return the surroundings of an error: found boxes with solid lines, labelled ones dashed, its own thicker."""
    boxes = mistake.xyxy if mistake.truth is None else np.stack([mistake.xyxy, mistake.truth])
    boxes = boxes.reshape(-1, 4)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    ratio = _TILE[0] / _TILE[1]
    height = max(float(2 * (high - low)[1]), float(2 * (high - low)[0]) / ratio, _LEAST)
    size = np.array([height * ratio, height])
    room = np.array([image.shape[1], image.shape[0]]) - size
    corner = np.where(room > 0, np.clip((low + high) / 2 - size / 2, 0, np.maximum(room, 0)), room / 2)
    scale = _TILE[0] / size[0]
    move = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    area = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    picture = np.asarray(
        cv2.warpAffine(image, move, _TILE, flags=area, borderValue=(230, 230, 230)), np.uint8
    )

    def place(box: Floats) -> list[int]:
        return [round(v) for v in ((box - np.tile(corner, 2)) * scale).tolist()]

    own = None if np.isnan(mistake.confidence) else mistake.xyxy
    for box in labelled:
        _dashed(
            picture,
            place(box),
            _LABELLED,
            3 if mistake.truth is not None and (box == mistake.truth).all() else 1,
        )
    for box in found.xyxy[found.frame == mistake.frame]:
        x1, y1, x2, y2 = place(box)
        thick = 3 if own is not None and (box == own).all() else 1
        cv2.rectangle(picture, (x1, y1), (x2, y2), _FOUND, thick, cv2.LINE_AA)
    framed = np.full((_TILE[1] + _CAPTION, _TILE[0], 3), 255, np.uint8)
    framed[: _TILE[1]] = picture
    _write(framed, caption, (4, _TILE[1] + 18))
    return framed


def _dashed(picture: Image, box: Sequence[int], colour: Colour, thick: int) -> None:
    x1, y1, x2, y2 = box
    for a, b in (((x1, y1), (x2, y1)), ((x2, y1), (x2, y2)), ((x2, y2), (x1, y2)), ((x1, y2), (x1, y1))):
        length = max(1.0, float(np.hypot(b[0] - a[0], b[1] - a[1])))
        for begin in np.arange(0, min(length, 4000), 10):
            ends = [np.add(a, np.subtract(b, a) * min(1.0, at / length)) for at in (begin, begin + 5)]
            first, last = (tuple(int(v) for v in np.rint(end)) for end in ends)
            cv2.line(picture, first, last, colour, thick, cv2.LINE_AA)


def _write(picture: Image, text: str, at: tuple[int, int]) -> None:
    """Write dark letters; cv2 knows ASCII only."""
    plain = text.encode("ascii", "replace").decode()
    longest = 46
    plain = plain if len(plain) <= longest else plain[: longest - 3] + "..."
    cv2.putText(picture, plain, at, cv2.FONT_HERSHEY_SIMPLEX, 0.42, (34, 34, 34), 1, cv2.LINE_AA)


def _sheet(tiles: Sequence[Image]) -> Image:
    """Return all tiles in rows under a line that says what the boxes are."""
    columns = min(_COLUMNS, max(1, len(tiles)))
    rows = -(-len(tiles) // columns)
    height, width = _TILE[1] + _CAPTION, _TILE[0]
    sheet = np.full((34 + rows * (height + 6), max(columns * (width + 6), 560), 3), 255, np.uint8)
    cv2.rectangle(sheet, (8, 10), (34, 26), _FOUND, 2)
    _write(sheet, "found (solid)", (42, 23))
    _dashed(sheet, (150, 10, 176, 26), _LABELLED, 2)
    _write(
        sheet, "labelled (dashed); thick: the error" if tiles else "labelled (dashed); no errors", (184, 23)
    )
    for i, tile in enumerate(tiles):
        y, x = 34 + i // columns * (height + 6), i % columns * (width + 6)
        sheet[y : y + height, x : x + width] = tile
    return sheet
