"""Painting one pedestrian: legs, clothes, arms, head and bag, from far to near.

A body is a stack of upright elliptic slices turned with the walker, so any direction of walking gives its right
outline without separate drawings for front, side and back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tools.standin.bags import BagPainter
from tools.standin.camera import Complex
from tools.standin.head import paint_head
from tools.standin.looks import Look
from tools.standin.patch import Bytes, Colour, Patch, Sprite, blend, capsule, ellipse, shade
from tools.standin.skeleton import ANKLE, ELBOW, HAND, HEEL, HIP, KNEE, SHOULDER, TOE, Pose

# (height above the hip, half-width, half-thickness) of the trunk in reference metres, from neck to seat.
_TRUNK = (
    (0.575, 0.060, 0.055),
    (0.550, 0.112, 0.070),
    (0.515, 0.165, 0.088),
    (0.440, 0.176, 0.112),
    (0.320, 0.168, 0.122),
    (0.180, 0.150, 0.112),
    (0.050, 0.165, 0.118),
    (-0.060, 0.172, 0.128),
)
_HEIGHTS, _WIDTHS, _THICK = np.array(_TRUNK)[::-1].T


def outline(pose: Pose, slices: list[tuple[float, float, float]]) -> Complex:
    """Return the silhouette of slices given as (height, half-width, half-thickness) in reference metres."""
    centres = np.array([pose.at(0.0, y, 0.0) for y, _, _ in slices])
    reach = np.array([pose.extent(w, t) for _, w, t in slices])
    return np.concatenate([centres - reach, (centres + reach)[::-1]])


class FigurePainter:
    """Paints a pose onto a patch.

    Parameters
    ----------
    patch : Patch
    look : Look
    pose : Pose
    lit : float
        Where the light comes from, -1 left .. 1 right.
    """

    def __init__(self, patch: Patch, look: Look, pose: Pose, lit: float) -> None:
        self.patch, self.look, self.pose, self.lit = patch, look, pose, lit
        self.unit = pose.unit
        self.faces_camera = pose.forward[1] < 0
        fx = pose.forward[0]
        # The side (0 left, 1 right) that is farther away: right points along (fz, -fx).
        self.far_side = 0 if fx > 0 else 1

    def paint(self) -> None:
        """Paint everything, far to near."""
        bag = BagPainter(self.patch, self.look, self.pose)
        near = 1 - self.far_side
        bag_is_far = bag.depth() > self.pose.z
        if bag_is_far:
            bag.paint()
        self._arm(self.far_side)
        for side in sorted((0, 1), key=lambda s: -float(self.pose.depths[ANKLE[s]])):
            self._leg(side)
        self._trunk()
        bag.straps()
        behind = self.pose.forward[1] < -0.2
        if not behind and not bag_is_far and self.look.bag == "backpack":
            bag.paint()
        raised = self.look.phone and self.look.bag_side != 2 * near - 1
        if not raised:
            self._arm(near)
        paint_head(self.patch, self.look, self.pose)
        if raised:
            self._arm(near)
        if not bag_is_far and not (self.look.bag == "backpack" and not behind):
            bag.paint()

    def _leg(self, side: int) -> None:
        look, pose, unit = self.look, self.pose, self.unit
        joints = pose.joints
        hip, knee, ankle = joints[HIP[side]], joints[KNEE[side]], joints[ANKLE[side]]
        dim = 0.84 if side == self.far_side else 1.0
        bare = look.bottom in ("shorts", "skirt") or look.top == "dress"
        cloth = shade(look.bottom_colour, dim)
        skin = shade(look.skin, dim)
        w = unit * look.width
        shoe = shade(look.shoes, dim)
        heel, toe = joints[HEEL[side]], joints[TOE[side]]
        self.patch.polygon(capsule(heel, toe, 0.045 * unit, 0.032 * unit), shoe)
        lower = skin if bare else cloth
        self.patch.limb(knee, ankle, 0.062 * w, (0.036 if bare else 0.05) * w, lower, self.lit)
        self.patch.limb(hip, knee, 0.092 * w, 0.064 * w, skin if bare else cloth, self.lit)
        if look.bottom == "shorts" and look.top != "dress":
            self.patch.limb(hip, hip + 0.85 * (knee - hip), 0.1 * w, 0.085 * w, cloth, self.lit)
        self.patch.polygon(capsule(ankle, heel, 0.042 * unit, 0.045 * unit), shoe)

    def _slices(self, low: float, high: float, puff: float = 1.0) -> list[tuple[float, float, float]]:
        """Return the trunk's slices between two heights above the hip."""
        levels = np.array(
            sorted({low, high, *(h for h in _HEIGHTS.tolist() if low < h < high)}, reverse=True)
        )
        k = self.look.width * puff
        widths = k * np.interp(levels, _HEIGHTS, _WIDTHS)
        thick = k * np.interp(levels, _HEIGHTS, _THICK)
        return list(zip((self.pose.hip + levels).tolist(), widths.tolist(), thick.tolist(), strict=True))

    def _trunk(self) -> None:
        look, pose, patch = self.look, self.pose, self.patch
        hip = pose.hip
        spread = abs(float(pose.joints[KNEE[0]].real - pose.joints[KNEE[1]].real)) / max(self.unit, 1e-6) / 2
        top = look.top_colour
        if look.top == "dress" or look.bottom == "skirt":
            colour = top if look.top == "dress" else look.bottom_colour
            flare = max(0.2, 0.6 * spread + 0.1) * look.width
            skirt = [*self._slices(-0.02, 0.14), (hip - 0.42, flare, max(flare, spread + 0.1))]
            patch.polygon(outline(pose, skirt), colour)
            self._fold(skirt[-1], skirt[-2], colour)
        elif look.top != "coat":
            patch.polygon(outline(pose, self._slices(-0.06, 0.12)), shade(look.bottom_colour, 0.95))
        puff = 1.1 if look.top in ("jacket", "coat", "hoodie") else 1.0
        hem = -0.03 if look.top in ("jacket", "hoodie") else 0.03
        body = self._slices(hem, 0.575, puff)
        if look.top == "coat":
            flare = max(0.2, 0.5 * spread + 0.12) * look.width
            body = [*body, (hip - 0.36, flare, max(flare, 0.7 * spread + 0.12))]
        patch.polygon(outline(pose, body), top)
        if look.top == "stripes":
            for y in np.arange(0.06, 0.5, 0.1):
                patch.polygon(
                    outline(pose, self._slices(float(y), float(y) + 0.045, puff)), look.under_colour
                )
        if look.top in ("jacket", "coat") and pose.forward[1] < 0.1:
            self._open_front(hem if look.top == "jacket" else -0.3)
        elif self.faces_camera and self.unit > 60:
            collar = pose.at(0.0, hip + 0.565, 0.06)
            patch.polygon(ellipse(collar, self.pose.extent(0.05, 0.02), 0.022 * self.unit), look.skin)
        if look.top == "hoodie" and not self.faces_camera:
            hood = pose.at(0.0, hip + 0.5, -0.1)
            patch.polygon(ellipse(hood, pose.extent(0.12, 0.06), 0.06 * self.unit), shade(top, 0.8))

    def _fold(
        self, low: tuple[float, float, float], high: tuple[float, float, float], colour: Colour
    ) -> None:
        for k in (-0.45, 0.1, 0.5):
            a = self.pose.at(0, high[0] - 0.08, 0) + k * self.pose.extent(high[1], high[2])
            b = self.pose.at(0, low[0] + 0.01, 0) + k * self.pose.extent(low[1], low[2])
            self.patch.line([a, b], max(0.012 * self.unit, 0.8), shade(colour, 0.85))

    def _open_front(self, hem: float) -> None:
        """Paint the shirt that shows between the two sides of an open jacket."""
        pose, hip = self.pose, self.pose.hip
        strip = []
        for sign in (-1, 1):
            edge = [pose.at(sign * w, hip + y, 0.11) for y, w in ((0.56, 0.045), (0.3, 0.05), (hem, 0.075))]
            strip.append(np.array(edge))
        outline_ = np.concatenate([strip[0], strip[1][::-1]])
        self.patch.polygon(outline_, self.look.under_colour)
        for side in strip:
            self.patch.line(side.tolist(), max(0.014 * self.unit, 0.8), shade(self.look.top_colour, 0.72))

    def _arm(self, side: int) -> None:
        look, unit, joints = self.look, self.unit, self.pose.joints
        dim = 0.8 if side == self.far_side else 0.97
        shoulder, elbow, hand = joints[SHOULDER[side]], joints[ELBOW[side]], joints[HAND[side]]
        w = unit * look.width
        sleeve = shade(look.top_colour, dim)
        skin = shade(look.skin, dim)
        short = look.top in ("tshirt", "dress")
        puff = 1.15 if look.top in ("jacket", "coat", "hoodie") else 1.0
        drop = 0.035j * unit
        self.patch.polygon(
            ellipse(hand + 0.03 * unit * _direction(elbow, hand), 0.036 * unit, 0.045 * unit), skin
        )
        self.patch.limb(elbow, hand, 0.043 * w * puff, 0.034 * w * puff, skin if short else sleeve, self.lit)
        self.patch.limb(
            shoulder + drop, elbow, 0.055 * w * puff, 0.046 * w * puff, skin if short else sleeve, self.lit
        )
        if short:
            self.patch.limb(
                shoulder + drop,
                shoulder + drop + 0.55 * (elbow - shoulder),
                0.062 * w,
                0.06 * w,
                sleeve,
                self.lit,
            )
        if look.phone and 2 * side - 1 != look.bag_side:
            tip = hand + 0.02 * unit
            self.patch.polygon(capsule(tip, tip - 0.09j * unit, 0.03 * unit, 0.03 * unit), (40, 36, 34))


def _direction(p: complex, q: complex) -> complex:
    d = q - p
    return d / abs(d) if abs(d) > 1e-9 else 1j


def paint_figure(look: Look, pose: Pose, lit: float, strength: float, texture: Bytes, tint: Colour) -> Sprite:
    """Paint one pedestrian.

    Parameters
    ----------
    look : Look
    pose : Pose
    lit, strength : float
        Direction and strength of the light, see `Patch.finish`.
    texture : ndarray of uint8
        Cloth-like variation.
    tint : tuple of float
        Haze colour (BGR); mixed in a little with depth.

    Returns
    -------
    Sprite
        Its ``parts`` keep body, bag and face apart.
    """
    unit = pose.unit
    foot = pose.at(0.0, 0.0, 0.0)
    margin = 1.05 if look.bag == "suitcase" else 0.72
    patch = Patch(
        foot.real - margin * unit,
        foot.imag - 1.9 * unit,
        foot.real + margin * unit,
        foot.imag + 0.32 * unit,
        unit,
    )
    haze = float(np.clip((pose.z - 9.0) * 0.012, 0.0, 0.12))
    if haze > 0:
        look = _hazed(look, tint, haze)
    FigurePainter(patch, look, pose, lit).paint()
    return patch.finish(lit, strength, texture)


def _hazed(look: Look, tint: Colour, weight: float) -> Look:
    names = ("skin", "hair", "top_colour", "under_colour", "bottom_colour", "shoes", "bag_colour")
    changes: dict[str, Any] = {n: blend(getattr(look, n), tint, weight) for n in names}
    return replace(look, **changes)
