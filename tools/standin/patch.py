"""A small canvas on which one thing is painted, and how it comes into the frame.

Every stroke writes colour and the *part* it belongs to (body, bag, face) into one four-channel canvas at twice
the size. The picture and the id buffer therefore cannot disagree, and the ground truth is read from the id
buffer instead of being estimated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from tools.standin.camera import Complex

Colour = tuple[float, float, float]
Bytes = npt.NDArray[np.uint8]
Ids = npt.NDArray[np.uint16]

BODY, BAG, FACE = 1, 2, 3
PROP_ID = 1  # what props write into the frame's id buffer; figures start at 4
_TOP_VALUE = 256  # part p is stored as 256 - p, so that the fourth channel's mean is alpha within 1 %
SUPERSAMPLE = 2
_SHIFT = 4  # fractional bits of cv2's fixed-point coordinates
_ARC = np.exp(1j * np.linspace(0.0, np.pi, 7))
_CIRCLE = np.exp(2j * np.pi * np.arange(20) / 20)


def figure_id(figure: int, part: int) -> int:
    """Return the id-buffer value of a part of figure number `figure` (0-based)."""
    return 4 * (figure + 1) + part


def shade(colour: Colour, factor: float) -> Colour:
    """Return `colour` (BGR) made lighter (> 1) or darker (< 1), kept within 0..255."""
    return (min(colour[0] * factor, 255.0), min(colour[1] * factor, 255.0), min(colour[2] * factor, 255.0))


def blend(a: Colour, b: Colour, weight: float) -> Colour:
    """Return `a` mixed with `weight` of `b`."""
    return (
        a[0] + (b[0] - a[0]) * weight,
        a[1] + (b[1] - a[1]) * weight,
        a[2] + (b[2] - a[2]) * weight,
    )


def capsule(p: complex, q: complex, rp: float, rq: float) -> Complex:
    """Return the outline of a limb: circles of radius `rp` at `p` and `rq` at `q`, and what is between."""
    d = q - p
    turn = 1j * d / abs(d) if abs(d) > 1e-9 else 1j
    return np.concatenate([p + rp * turn * _ARC, q - rq * turn * _ARC])


def ellipse(centre: complex, half_width: float, half_height: float, power: float = 1.0) -> Complex:
    """Return the outline of an ellipse; a `power` below 1 squares it off (a superellipse)."""
    x, y = _CIRCLE.real, _CIRCLE.imag
    if power != 1.0:
        x, y = np.sign(x) * np.abs(x) ** power, np.sign(y) * np.abs(y) ** power
    return np.asarray(centre + half_width * x + 1j * half_height * y, dtype=np.complex128)


@dataclass(frozen=True)
class Sprite:
    """A finished patch: premultiplied colour, alpha and parts, placed at (left, top) of the frame.

    Parameters
    ----------
    left, top : int
        Frame pixel of the sprite's first pixel; may lie outside the frame.
    bgr : ndarray, shape (H, W, 3), uint8
        Colour, already multiplied by alpha.
    alpha : ndarray, shape (H, W), uint8
    parts : ndarray, shape (H, W), uint8
        0 where nothing was painted, else the part on top.
    whole : tuple of int
        Pixels of body, bag and face as if nothing hid them (index by part - 1).
    """

    left: int
    top: int
    bgr: Bytes
    alpha: Bytes
    parts: Bytes
    whole: tuple[int, int, int] = (0, 0, 0)

    def window(self, height: int, width: int) -> tuple[slice, slice, slice, slice] | None:
        """Return frame rows, frame columns, own rows, own columns of the overlap, or None without one."""
        h, w = self.alpha.shape
        top, bottom = max(self.top, 0), min(self.top + h, height)
        left, right = max(self.left, 0), min(self.left + w, width)
        if top >= bottom or left >= right:
            return None
        return (
            slice(top, bottom),
            slice(left, right),
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )

    def composite(self, frame: Bytes, ids: Ids | None, base: int) -> None:
        """Paint the sprite over `frame` and write ``base + part`` into `ids`, both in place."""
        where = self.window(*frame.shape[:2])
        if where is None:
            return
        rows, cols, own_rows, own_cols = where
        alpha = self.alpha[own_rows, own_cols]
        target = frame[rows, cols]
        clear = cv2.merge([255 - alpha] * 3)
        target[:] = cv2.add(cv2.multiply(target, clear, scale=1 / 255.0), self.bgr[own_rows, own_cols])
        if ids is not None:
            parts = self.parts[own_rows, own_cols]
            np.copyto(ids[rows, cols], parts.astype(np.uint16) + np.uint16(base), where=parts > 0)


class Patch:
    """A canvas for one figure or prop, in frame coordinates.

    Parameters
    ----------
    left, top, right, bottom : float
        Region of the frame it covers, in pixels; may reach outside the frame.
    unit : float
        Pixels per metre, for the width of the rounded shading.
    """

    def __init__(self, left: float, top: float, right: float, bottom: float, unit: float) -> None:
        self.left, self.top = int(np.floor(left)), int(np.floor(top))
        self.width = max(int(np.ceil(right)) - self.left, 1)
        self.height = max(int(np.ceil(bottom)) - self.top, 1)
        self.unit = unit
        size = (self.height * SUPERSAMPLE, self.width * SUPERSAMPLE)
        self._canvas: Bytes = np.zeros((*size, 4), np.uint8)
        self._body: Bytes = np.zeros((self.height, self.width), np.uint8)
        self._bag: Bytes = np.zeros((self.height, self.width), np.uint8)

    def polygon(self, outline: Complex, colour: Colour, part: int = BODY) -> None:
        """Fill an outline (frame pixels, complex) with a BGR colour and mark it as `part`."""
        local = outline - complex(self.left + 0.5 / SUPERSAMPLE, self.top + 0.5 / SUPERSAMPLE)
        flat = np.ascontiguousarray(local).view(np.float64).reshape(-1, 2)
        fine = (flat * (SUPERSAMPLE << _SHIFT) + 0.5).astype(np.int32)
        cv2.fillPoly(self._canvas, [fine], (*colour, float(_TOP_VALUE - part)), shift=_SHIFT)
        # The same outline at frame resolution; pixel centres lie half a coarse pixel in, not half a fine one.
        coarse = (fine >> 1) - (1 << _SHIFT - 2)
        cv2.fillPoly(self._bag if part == BAG else self._body, [coarse], 1.0, shift=_SHIFT)

    def line(self, points: Sequence[complex], width: float, colour: Colour, part: int = BODY) -> None:
        """Draw a polyline of the given width in pixels."""
        for p, q in pairwise(points):
            self.polygon(capsule(p, q, width / 2, width / 2), colour, part)

    def limb(self, p: complex, q: complex, rp: float, rq: float, colour: Colour, lit: float) -> None:
        """Draw a limb with a lighter stripe on the side the light comes from (`lit`: -1 left .. 1 right)."""
        self.polygon(capsule(p, q, rp, rq), shade(colour, 0.9))
        shift = 0.3 * lit
        self.polygon(capsule(p + shift * rp, q + shift * rq, 0.62 * rp, 0.62 * rq), shade(colour, 1.06))

    def finish(self, lit: float, strength: float, texture: Bytes | None = None) -> Sprite:
        """Shade the painting so that it looks round, and bring it to frame resolution.

        Parameters
        ----------
        lit : float
            Where the light comes from, -1 left .. 1 right.
        strength : float
            Brightness change at the rim, in 1/128.
        texture : ndarray, shape (>=H, >=W), uint8, optional
            Fine cloth-like variation around 128 that multiplies the colour.

        Returns
        -------
        Sprite
        """
        size = (self.width, self.height)
        tops = cv2.extractChannel(cv2.resize(self._canvas, size, interpolation=cv2.INTER_NEAREST), 3)
        parts: Bytes = np.negative(np.asarray(tops, np.uint8))  # 256 - value; an empty 0 stays 0
        small = cv2.resize(self._canvas, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(small, cv2.COLOR_BGRA2BGR)
        alpha: Bytes = np.asarray(cv2.extractChannel(small, 3), np.uint8)
        reach = max(int(0.16 * self.unit) | 1, 3)
        soft = cv2.blur(alpha, (reach, reach), borderType=cv2.BORDER_CONSTANT)
        gain = strength * reach / (255.0 * 8.0)
        sobel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
        # Brightness falls towards the rim that faces away from the light, and a little towards the ground.
        kernel = gain * (-lit * sobel + 0.45 * sobel.T)
        shading = cv2.filter2D(soft, cv2.CV_8U, kernel, delta=128.0)
        if texture is not None:
            shading = cv2.multiply(shading, texture[: self.height, : self.width], scale=1 / 128.0)
        shaded = cv2.multiply(bgr, cv2.merge([shading] * 3), scale=1 / 128.0)
        # Still premultiplied: never brighter than its alpha.
        premultiplied: Bytes = np.asarray(cv2.min(shaded, cv2.merge([alpha] * 3)), np.uint8)
        whole = (
            int(cv2.countNonZero(self._body)),
            int(cv2.countNonZero(self._bag)),
            int(np.count_nonzero(parts == FACE)),
        )
        return Sprite(self.left, self.top, premultiplied, alpha, parts, whole)
