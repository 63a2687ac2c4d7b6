"""Tracks as pictures: boxes with their numbers and trails, the lines and zones of a scene, and where people walked.

A track keeps its colour for as long as it lasts; the colours are those of `peoplenet_nb.draw`, which people with any
common colour blindness can tell apart. With more people than colours the number beside the box tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from peoplenet_nb.draw import PALETTE, Colour, Frame
from peoplenet_nb.tracks.counting import Counts
from peoplenet_nb.tracks.scene import Point, Scene
from peoplenet_nb.tracks.tracked import Tracks

TRAIL_S = 2.0
"""How much of its way trails behind somebody, in seconds."""

_INK: Colour = (20, 20, 20)
_DRAWN: Colour = (255, 255, 255)


def track_colour(track: int) -> Colour:
    """Return the BGR colour of a track: the same in every frame."""
    return PALETTE[(track - 1) % len(PALETTE)]


def draw_tracks(
    image: Frame,
    tracks: Tracks,
    frame: int,
    *,
    scene: Scene | None = None,
    counts: Counts | None = None,
    trail_s: float = TRAIL_S,
) -> Frame:
    """Return a copy of a BGR frame with boxes, numbers, trails, lines and zones; a box that closes a gap is thin.

    Parameters
    ----------
    image : ndarray
        ``(H, W, 3)`` BGR uint8.
    tracks : Tracks
        In its pixels.
    frame : int
        Its index in the source.
    scene : Scene, optional
        Lines and zones to draw; an arrow says which way is in. Left out, that of ``counts``.
    counts : Counts, optional
        Beside each line how many went in and out until then, beside each zone how many are in it.
    trail_s : float
        Seconds of the way of the feet; 0 draws none.
    """
    picture = image.copy()
    unit = max(1, round(min(image.shape[:2]) / 360))
    if scene is None and counts is not None:
        scene = counts.scene
    if scene is not None:
        picture = draw_scene(picture, scene, counts.until(frame) if counts is not None else {})
    here = tracks.at(frame).tolist()
    for i in here if trail_s > 0 else ():
        of, now = tracks.of(int(tracks.track[i])), float(tracks.time_s[i])
        first, last = np.searchsorted(tracks.time_s[of], [now - trail_s, now + 1e-9])
        way = [_pixels(tracks.feet[of[first:last]])]
        cv2.polylines(picture, way, False, _INK, unit + 2, cv2.LINE_AA)
        cv2.polylines(picture, way, False, track_colour(int(tracks.track[i])), unit, cv2.LINE_AA)
    for i in here:
        colour = track_colour(int(tracks.track[i]))
        (x1, y1), (x2, y2) = _pixels(tracks.xyxy[i].reshape(2, 2)).tolist()
        thick = 1 if tracks.detection[i] == -1 else unit
        cv2.rectangle(picture, (x1, y1), (x2, y2), _INK, thick + 2)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, thick)
    for i in here:
        corner = _pixels(tracks.xyxy[i, :2]).tolist()
        _write(picture, str(int(tracks.track[i])), corner, track_colour(int(tracks.track[i])), unit)
    return picture


def draw_footprints(image: Frame, tracks: Tracks, *, opacity: float = 0.7) -> Frame:
    """Return a copy of a BGR frame with where people stood and walked: brighter where they were for longer.

    ``opacity``, 0..1, holds where they were for longest; select a class with `Tracks.of_class`.
    """
    height, width = image.shape[:2]
    heat = np.zeros((height, width), np.float32)
    x, y = (np.clip(tracks.feet[:, k], 0, limit - 1).astype(int) for k, limit in ((0, width), (1, height)))
    np.add.at(heat, (y, x), 1.0)
    heat = np.asarray(cv2.GaussianBlur(heat, (0, 0), max(1.0, min(height, width) / 60)), np.float32)
    most = float(heat.max(initial=0.0))
    if most <= 0:
        return image.copy()
    share = np.sqrt(heat / most)  # so that one who stands does not hide all who walk
    colours = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    alpha = (opacity * np.minimum(1.0, 4 * share))[..., None]
    mixed: Frame = ((1 - alpha) * image + alpha * colours).round().astype(np.uint8)
    return mixed


def draw_scene(image: Frame, scene: Scene, texts: Mapping[str, str] | None = None) -> Frame:
    """Return a copy of a frame with the lines and zones of a scene, and ``texts`` in place of their names."""
    picture, texts = image.copy(), texts or {}
    unit = max(1, round(min(image.shape[:2]) / 360))
    for name, zone in scene.zones.items():
        corners = _pixels(zone.points)
        cv2.polylines(picture, [corners], True, _INK, unit + 2, cv2.LINE_AA)
        cv2.polylines(picture, [corners], True, _DRAWN, unit, cv2.LINE_AA)
        _write(picture, texts.get(name, name), tuple(corners[0].tolist()), _DRAWN, unit)
    for name, line in scene.lines.items():
        points = _pixels(line.points)
        cv2.polylines(picture, [points], False, _INK, 2 * unit + 2, cv2.LINE_AA)
        cv2.polylines(picture, [points], False, _DRAWN, 2 * unit, cv2.LINE_AA)
        (ax, ay), (bx, by) = (np.array(point, np.float64) for point in line.points[:2])
        middle, length = np.array([ax + bx, ay + by]) / 2, max(1.0, float(np.hypot(bx - ax, by - ay)))
        inward = np.array([ay - by, bx - ax]) / length * (-1 if line.swap else 1)
        tip = middle + inward * 20 * unit
        start, end = _pixels([middle, tip]).tolist()
        cv2.arrowedLine(picture, start, end, _DRAWN, unit, cv2.LINE_AA, 0, 0.3)
        _write(picture, texts.get(name, name), tuple(points[0].tolist()), _DRAWN, unit)
    return picture


def _write(picture: Frame, text: str, at: Sequence[int], colour: Colour, unit: int) -> None:
    """Write a word on a plate of its colour, within the picture."""
    scale = 0.4 * unit
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, unit)
    left = min(max(0, at[0]), max(0, picture.shape[1] - width - 4))
    low = min(max(height + 4, at[1]), picture.shape[0])
    cv2.rectangle(picture, (left, low - height - 4), (left + width + 4, low), colour, -1)
    cv2.putText(picture, text, (left + 2, low - 2), cv2.FONT_HERSHEY_SIMPLEX, scale, _INK, unit, cv2.LINE_AA)


def _pixels(points: npt.ArrayLike | Sequence[Point]) -> npt.NDArray[np.int32]:
    return np.asarray(points, np.float64).round().astype(np.int32)
