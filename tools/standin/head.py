"""Painting heads: skull, face, hair and hats, turned with the gaze.

A face exists where it can be seen, from the front to a little behind the profile; a head seen from behind has
hair and no face, and so no face in the ground truth either.
"""

from __future__ import annotations

import numpy as np

from tools.standin.looks import Look
from tools.standin.patch import BODY, FACE, Patch, blend, capsule, ellipse, shade
from tools.standin.skeleton import Pose

_HEAD_UP = 0.745  # centre of the head above the hip, reference metres
_SKULL_HEIGHT, _SKULL_SIDE, _SKULL_DEPTH = 0.135, 0.096, 0.112
_BEHIND = 0.22  # a face turned farther away than this (z of the gaze) is not painted


class _Head:
    """The head's own axes in frame pixels."""

    def __init__(self, look: Look, pose: Pose) -> None:
        self.look, self.unit = look, pose.unit
        self.ahead_x, self.ahead_z = float(np.cos(pose.gaze)), float(np.sin(pose.gaze))
        forward = pose.forward
        lean = 0.02 * forward[0] * pose.unit
        self.centre = pose.at(0.0, pose.hip + _HEAD_UP, 0.0) + lean
        self.neck = pose.at(0.0, pose.hip + 0.55, 0.0)
        self.half_width = pose.unit * float(np.hypot(_SKULL_SIDE * self.ahead_z, _SKULL_DEPTH * self.ahead_x))
        self.half_height = pose.unit * _SKULL_HEIGHT

    def at(self, right: float, up: float, ahead: float) -> complex:
        """Return the frame pixel of a point of the head (metres)."""
        x = right * self.ahead_z + ahead * self.ahead_x
        return self.centre + self.unit * complex(x, -up)

    def toward_camera(self, right: float, ahead: float) -> float:
        """Return how far a point of the head is in front of the head's centre (metres)."""
        return -(-right * self.ahead_x + ahead * self.ahead_z)


def paint_head(patch: Patch, look: Look, pose: Pose) -> None:
    """Paint neck, head, hair and face onto a patch."""
    head = _Head(look, pose)
    unit = head.unit
    patch.polygon(capsule(head.neck, head.centre, 0.058 * unit, 0.058 * unit), shade(look.skin, 0.82))
    covered = look.style == "scarf"
    back_colour = look.under_colour if covered else look.skin if look.style == "bald" else look.hair
    if look.style in ("long", "scarf"):
        fall = 0.2 if look.style == "long" else 0.22
        low = head.at(0.0, -fall, -0.045)
        patch.polygon(
            capsule(head.centre, low, 0.98 * head.half_width, 0.8 * head.half_width), shade(back_colour, 0.9)
        )
    if look.style == "ponytail":
        patch.polygon(
            capsule(head.at(0, 0.05, -0.12), head.at(0, -0.16, -0.15), 0.035 * unit, 0.022 * unit),
            shade(back_colour, 0.9),
        )
    if look.style == "bun":
        patch.polygon(ellipse(head.at(0, 0.12, -0.09), 0.055 * unit, 0.055 * unit), shade(back_colour, 0.92))
    swell = 1.14 if look.style == "curly" else 1.04
    skull = ellipse(head.centre, swell * head.half_width, swell * head.half_height, 0.92)
    patch.polygon(skull, back_colour)
    if look.style != "scarf":
        _ears(patch, head)
    if head.ahead_z < _BEHIND:
        _face(patch, head)
    _top(patch, head)


def _ears(patch: Patch, head: _Head) -> None:
    for sign in (-1.0, 1.0):
        if head.toward_camera(sign * _SKULL_SIDE, 0.0) > -0.05 and head.look.style not in ("long", "beanie"):
            ear = ellipse(head.at(sign * _SKULL_SIDE, -0.01, -0.005), 0.017 * head.unit, 0.033 * head.unit)
            patch.polygon(ear, shade(head.look.skin, 0.86))


def _face(patch: Patch, head: _Head) -> None:
    look, unit = head.look, head.unit
    front = -head.ahead_z  # 1 looks into the camera, 0 is the profile
    narrow = float(np.clip(0.62 + (front + _BEHIND) * 1.4, 0.55, 1.0))
    half = unit * (0.08 * max(front, 0.0) + 0.064 * abs(head.ahead_x)) * narrow
    half = min(half, 0.084 * unit)
    centre = head.at(0.0, -0.018, 0.048)
    skin = look.skin
    if abs(head.ahead_x) > 0.45:  # the nose stands out of a turned face
        tip, wing = head.at(0, -0.02, 0.135), head.at(0, -0.045, 0.1)
        bridge = head.at(0, 0.02, 0.1)
        patch.polygon(np.array([bridge, tip, wing]), shade(skin, 0.97), FACE)
    patch.polygon(ellipse(centre, half, 0.118 * unit, 0.95), skin, FACE)
    if look.beard:
        jaw = ellipse(head.at(0, -0.085, 0.05), 0.9 * half, 0.055 * unit)
        patch.polygon(jaw, blend(look.hair, skin, 0.25), FACE)
    if unit < 45:
        return
    dark = (36.0, 34.0, 40.0)
    for sign in (-1.0, 1.0):
        right = sign * 0.035
        if head.toward_camera(right, 0.09) < 0.012:
            continue
        eye = head.at(right, 0.012, 0.088)
        wide = unit * max(0.018 * front, 0.009)
        patch.polygon(ellipse(eye, wide, 0.009 * unit), (236, 238, 240), FACE)
        patch.polygon(ellipse(eye, 0.0085 * unit, 0.0095 * unit), dark, FACE)
        brow = [
            eye + unit * complex(-0.02 * max(front, 0.4), -0.022),
            eye + unit * complex(0.02 * max(front, 0.4), -0.022),
        ]
        patch.line(brow, 0.009 * unit, shade(look.hair, 0.8), FACE)
        if look.glasses:
            patch.polygon(ellipse(eye, 0.03 * unit * max(front, 0.45), 0.022 * unit, 0.7), (50, 44, 44), FACE)
    if front > 0.15:
        nose = [head.at(0.004, 0.005, 0.115), head.at(0.012, -0.032, 0.125), head.at(-0.006, -0.036, 0.12)]
        patch.line(nose, 0.009 * unit, shade(skin, 0.8), FACE)
    mouth = head.at(0, -0.066, 0.09)
    wide = unit * 0.028 * max(front, 0.35)
    patch.polygon(ellipse(mouth, wide, 0.008 * unit), blend(shade(skin, 0.75), (70, 60, 170), 0.35), FACE)


def _top(patch: Patch, head: _Head) -> None:
    """Paint what covers the top of the head over the face: fringe, cap, beanie, scarf."""
    look, unit = head.look, head.unit
    style = look.style
    if style == "bald":
        return
    if style == "scarf":
        band = ellipse(head.at(0, 0.085, 0.01), 0.95 * head.half_width, 0.05 * unit)
        patch.polygon(band, look.under_colour, BODY)
        return
    line = {"cap": 0.045, "beanie": 0.05, "curly": 0.055}.get(style, 0.068)
    colour = look.under_colour if style in ("cap", "beanie") else look.hair
    swell = 1.14 if style == "curly" else 1.1 if style == "beanie" else 1.05
    angles = np.linspace(np.pi, 2 * np.pi, 13)
    width, height = swell * head.half_width, swell * head.half_height
    arc = head.centre + width * np.cos(angles) + 1j * height * np.sin(angles)
    level = head.centre.imag - line * unit
    kept = arc[arc.imag < level]
    # The hairline rises a little over the forehead, towards where the face looks.
    front = head.at(0, line + (0.0 if style in ("cap", "beanie") else 0.022), 0.06)
    patch.polygon(
        np.concatenate([kept, [complex(kept[-1].real, level), front, complex(kept[0].real, level)]]), colour
    )
    if style == "cap":
        left, right = head.at(-0.075, 0.045, 0.05), head.at(0.075, 0.045, 0.05)
        tip = head.at(0, 0.03, 0.19)
        if head.ahead_z < 0.5:
            patch.polygon(
                np.array([left, tip - 0.012j * unit, tip + 0.012j * unit, right]), shade(colour, 0.75), BODY
            )
            patch.polygon(capsule(left, right, 0.016 * unit, 0.016 * unit), shade(colour, 0.8), BODY)
