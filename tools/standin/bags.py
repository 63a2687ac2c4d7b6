"""Painting what people carry: backpacks, handbags, totes, paper bags, briefcases and suitcases.

A bag belongs to its own class even while it is worn, so the wearer's body hides it and it hides the wearer, as
in the annotations PeopleNet was trained on.
"""

from __future__ import annotations

import numpy as np

from tools.standin.looks import Look
from tools.standin.patch import BAG, Patch, ellipse, shade
from tools.standin.skeleton import HAND, SHOULDER, Pose

_HANDBAG = np.array([-0.8 - 1j, 0.8 - 1j, 1 + 0.8j, 0.85 + 1j, -0.85 + 1j, -1 + 0.8j])


class BagPainter:
    """Paints one figure's bag.

    Parameters
    ----------
    patch : Patch
    look : Look
    pose : Pose
    """

    def __init__(self, patch: Patch, look: Look, pose: Pose) -> None:
        self.patch, self.look, self.pose = patch, look, pose
        self.unit = pose.unit
        self.side = (look.bag_side + 1) // 2
        self.size = look.bag_size

    def depth(self) -> float:
        """Return the world z of the bag, to decide whether the body hides it."""
        pose, side = self.pose, float(self.look.bag_side)
        if self.look.bag == "backpack":
            return pose.depth(0.0, -0.2)
        if self.look.bag == "suitcase":
            return pose.depth(0.3 * side, -0.45)
        return pose.depth(0.25 * side, 0.02)

    def paint(self) -> None:
        """Paint the bag, or nothing when the figure carries none."""
        kind = self.look.bag
        if kind == "backpack":
            self._backpack()
        elif kind == "suitcase":
            self._suitcase()
        elif kind == "tote":
            self._tote()
        elif kind in ("handbag", "paper", "briefcase"):
            self._in_hand(kind)

    def straps(self) -> None:
        """Paint the straps that lie over the trunk; they count as body, not as bag."""
        pose, look, unit = self.pose, self.look, self.unit
        colour = shade(look.bag_colour, 0.6)
        if look.bag == "backpack" and pose.forward[1] < 0.1:
            for sign in (-1, 1):
                points = [
                    pose.at(sign * 0.1, pose.hip + y, a) for y, a in ((0.55, 0.05), (0.38, 0.12), (0.2, 0.1))
                ]
                self.patch.line(points, 0.045 * unit, colour)
        elif look.bag == "tote":
            shoulder = pose.joints[SHOULDER[self.side]]
            top = pose.at(0.2 * look.bag_side, pose.hip + 0.18, 0.0)
            self.patch.line([shoulder - 0.02j * unit, top], 0.03 * unit, colour)

    def _bar(self, centre: complex, reach: float, thick: float, tone: float) -> None:
        """Draw a level line of half-length `reach` pixels and `thick` metres in a tone of the bag's colour."""
        colour = shade(self.look.bag_colour, tone)
        self.patch.line([centre - reach, centre + reach], max(thick * self.unit, 0.8), colour, BAG)

    def _handles(self, hand: complex, top: complex, reach: float, tone: float) -> None:
        colour = shade(self.look.bag_colour, tone)
        for offset in (-reach, reach):
            self.patch.line([hand, top + offset], max(0.018 * self.unit, 0.8), colour, BAG)

    def _backpack(self) -> None:
        pose, unit, colour = self.pose, self.unit, self.look.bag_colour
        centre = pose.at(0.0, pose.hip + 0.31, -0.21)
        wide = pose.extent(0.165, 0.115) * self.size
        tall = 0.245 * unit * self.size
        self.patch.polygon(ellipse(centre, wide, tall, 0.5), shade(colour, 0.92), BAG)
        self.patch.polygon(ellipse(centre - 0.1j * tall, 0.86 * wide, 0.8 * tall, 0.55), colour, BAG)
        pocket = centre + 0.42j * tall
        if pose.forward[1] > -0.3:
            self.patch.polygon(ellipse(pocket, 0.72 * wide, 0.36 * tall, 0.5), shade(colour, 0.74), BAG)
            self._bar(centre - 0.45j * tall, 0.7 * wide, 0.018, 0.55)
        handle = ellipse(centre - 1j * tall, 0.05 * unit, 0.03 * unit)
        self.patch.polygon(handle, shade(colour, 0.6), BAG)

    def _suitcase(self) -> None:
        pose, unit, colour, side = self.pose, self.unit, self.look.bag_colour, self.look.bag_side
        right, ahead = 0.26 * side, -0.5
        tall = 0.3 * self.size
        wide = pose.extent(0.21, 0.13) * self.size
        centre = pose.at(right, 0.07 + tall, ahead)
        hand = pose.joints[HAND[self.side]]
        top = centre - 1j * tall * unit
        for offset in (-0.45, 0.45):
            self.patch.line([hand, top + offset * wide], max(0.016 * unit, 0.8), (150, 150, 154), BAG)
        for offset in (-0.75, 0.75):
            wheel = centre + offset * wide + 1j * (tall + 0.035) * unit
            self.patch.polygon(ellipse(wheel, 0.035 * unit, 0.035 * unit), (38, 36, 36), BAG)
        self.patch.polygon(ellipse(centre, wide, tall * unit, 0.35), shade(colour, 0.86), BAG)
        self.patch.polygon(ellipse(centre, 0.88 * wide, 0.92 * tall * unit, 0.4), colour, BAG)
        for offset in (-0.5, 0.0, 0.5):
            ends = [centre + complex(offset * wide, k * 0.8 * tall * unit) for k in (-1, 1)]
            self.patch.line(ends, max(0.02 * unit, 0.8), shade(colour, 0.75), BAG)

    def _in_hand(self, kind: str) -> None:
        pose, unit, colour = self.pose, self.unit, self.look.bag_colour
        hand = pose.joints[HAND[self.side]] + 0.05j * unit
        # (half-width, half-thickness, half-height, handle, squareness)
        half, thick, tall, handle, power = {
            "handbag": (0.17, 0.08, 0.125, 0.12, 0.55),
            "paper": (0.15, 0.08, 0.19, 0.1, 0.18),
            "briefcase": (0.2, 0.06, 0.145, 0.05, 0.25),
        }[kind]
        fx, fz = pose.forward
        wide = unit * float(np.hypot(half * fx, thick * fz)) * self.size
        tall *= unit * self.size
        centre = hand + 1j * (handle * unit + tall)
        self._handles(hand, centre - 0.95j * tall, 0.5 * wide, 0.6)
        if kind == "handbag":
            self.patch.polygon(centre + wide * _HANDBAG.real + 1j * tall * _HANDBAG.imag, colour, BAG)
            flap = ellipse(centre - 0.55j * tall, 0.82 * wide, 0.4 * tall, 0.5)
            self.patch.polygon(flap, shade(colour, 0.8), BAG)
            clasp = ellipse(centre - 0.2j * tall, 0.018 * unit, 0.018 * unit)
            self.patch.polygon(clasp, (120, 190, 220), BAG)
            return
        self.patch.polygon(ellipse(centre, wide, tall, power), shade(colour, 0.93), BAG)
        if kind == "paper":
            self.patch.polygon(ellipse(centre, 0.45 * wide, 0.3 * tall, 0.6), shade(colour, 0.6), BAG)
            self._bar(centre - 0.98j * tall, wide, 0.015, 0.7)
        else:
            self._bar(centre - 0.3j * tall, wide, 0.016, 0.6)

    def _tote(self) -> None:
        pose, unit, colour, side = self.pose, self.unit, self.look.bag_colour, self.look.bag_side
        fx, fz = pose.forward
        wide = unit * float(np.hypot(0.185 * fx, 0.085 * fz)) * self.size
        tall = 0.17 * unit * self.size
        centre = pose.at(0.245 * side, pose.hip + 0.02, -0.02)
        top = centre - 1j * tall
        shoulder = pose.joints[SHOULDER[self.side]]
        self._handles(shoulder, top, 0.45 * wide, 0.65)
        self.patch.polygon(ellipse(centre, wide, tall, 0.35), colour, BAG)
        self._bar(top + 0.12j * tall, 0.9 * wide, 0.02, 0.75)
