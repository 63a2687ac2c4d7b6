"""How a figure stands and walks: joints in metres from a walk phase.

The feet lead. Legs swing from the hip and the hip height follows from the lower foot, so a walking figure bobs
and never sinks into the pavement or floats above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.standin.camera import Array, Camera, Complex
from tools.standin.looks import Look

STRIDE_METRES = 1.42  # ground covered by one full cycle of both legs
_REFERENCE_HEIGHT = 1.75  # the lengths below belong to a figure of this height
_THIGH, _SHIN, _ANKLE = 0.43, 0.41, 0.085
_UPPER_ARM, _FOREARM = 0.29, 0.25

# Rows of Pose.joints; index 0 of each pair is the left side, 1 the right.
HIP, KNEE, ANKLE, HEEL, TOE = (0, 1), (2, 3), (4, 5), (6, 7), (8, 9)
SHOULDER, ELBOW, HAND = (10, 11), (12, 13), (14, 15)


@dataclass(frozen=True)
class Pose:
    """Where a figure is and how it stands, seen by a camera.

    Parameters
    ----------
    camera : Camera
    x, z : float
        Feet on the ground, metres.
    heading, gaze : float
        Directions of body and face on the ground in radians; -pi/2 looks into the camera.
    unit : float
        Frame pixels per metre of a figure of reference height (body lengths scale with it).
    joints : ndarray of complex, shape (16,)
        Frame pixels, see HIP, KNEE and so on.
    depths : ndarray, shape (16,)
        World z of the joints in metres.
    hip : float
        Height of the hip above the ground in reference metres.
    """

    camera: Camera
    x: float
    z: float
    heading: float
    gaze: float
    unit: float
    grow: float
    joints: Complex
    depths: Array
    hip: float

    @property
    def forward(self) -> tuple[float, float]:
        """World (x, z) components of the body's direction."""
        return float(np.cos(self.heading)), float(np.sin(self.heading))

    def at(self, right: float, up: float, ahead: float) -> complex:
        """Return the frame pixel of a point given in the body's axes (reference metres)."""
        fx, fz = self.forward
        x = self.x + self.grow * (right * fz + ahead * fx)
        z = self.z + self.grow * (-right * fx + ahead * fz)
        return self.camera.point(x, up * self.grow, z)

    def depth(self, right: float, ahead: float) -> float:
        """Return the world z of a point given in the body's axes."""
        fx, fz = self.forward
        return self.z + self.grow * (-right * fx + ahead * fz)

    def extent(self, half_width: float, half_thickness: float) -> float:
        """Return the half-width in pixels of an upright elliptic cylinder turned with the body."""
        fx, fz = self.forward
        return self.unit * float(np.hypot(half_width * fz, half_thickness * fx))


def _leg(phase: float, swing: float, lift: float) -> list[tuple[float, float]]:
    """Return (ahead, up) of hip, knee, ankle, heel, toe with the hip at (0, 0)."""
    thigh = swing * np.sin(phase)
    # The knee bends while the leg moves forward, and a little always.
    bend = 0.08 + lift * max(0.0, np.cos(phase + 0.35)) ** 1.5
    shin = thigh - bend
    knee = (_THIGH * np.sin(thigh), -_THIGH * np.cos(thigh))
    ankle = (knee[0] + _SHIN * np.sin(shin), knee[1] - _SHIN * np.cos(shin))
    pitch = 0.7 * shin if shin < 0 else 0.35 * shin  # the heel leaves the ground behind, the toe before
    c, s = np.cos(pitch), np.sin(pitch)
    heel = (ankle[0] - 0.055 * c + 0.05 * s, ankle[1] - 0.055 * s - 0.05 * c)
    toe = (ankle[0] + 0.15 * c + 0.05 * s, ankle[1] + 0.15 * s - 0.05 * c)
    return [(0.0, 0.0), knee, ankle, heel, toe]


def pose_figure(
    camera: Camera, look: Look, x: float, z: float, heading: float, gaze: float, phase: float, walking: float
) -> Pose:
    """Pose a figure.

    Parameters
    ----------
    camera : Camera
    look : Look
        Height, build, and what the arms are busy with.
    x, z : float
        Where the feet are, metres.
    heading, gaze : float
        Radians on the ground plane; see `Pose`.
    phase : float
        Walk phase in radians; 2 pi is one cycle of both legs.
    walking : float
        0 stands, 1 walks.

    Returns
    -------
    Pose
    """
    grow = look.height / _REFERENCE_HEIGHT
    swing = 0.04 + 0.42 * walking
    lift = 0.75 * walking
    legs = [_leg(phase, swing, lift), _leg(phase + np.pi, swing, lift)]
    hip = max(_ANKLE - 0.05 - min(leg[3][1], leg[4][1]) for leg in legs)
    shoulder_y, shoulder_x = hip + 0.53, 0.158 * look.width
    local = np.zeros((16, 3))  # right, up, ahead
    for side, leg in enumerate(legs):
        sign = 2 * side - 1
        for names, (ahead, up) in zip((HIP, KNEE, ANKLE, HEEL, TOE), leg, strict=True):
            local[names[side]] = (sign * 0.09 * look.width, hip + up, ahead)
        upper, fore = _arm_angles(look, sign, phase + np.pi * (1 - side), walking)
        shoulder = np.array([sign * shoulder_x, shoulder_y, 0.0])
        elbow = shoulder + _UPPER_ARM * np.array([sign * 0.12, -np.cos(upper), np.sin(upper)])
        inward = -0.35 if fore > 1.2 else 0.0
        hand = elbow + _FOREARM * np.array([sign * inward, -np.cos(fore), np.sin(fore)])
        local[SHOULDER[side]], local[ELBOW[side]], local[HAND[side]] = shoulder, elbow, hand
    fx, fz = np.cos(heading), np.sin(heading)
    right, up, ahead = (local * grow).T
    world = np.stack([x + right * fz + ahead * fx, up, z - right * fx + ahead * fz], axis=1)
    return Pose(
        camera, x, z, heading, gaze, camera.scale(z) * grow, grow, camera.project(world), world[:, 2], hip
    )


def _arm_angles(look: Look, sign: int, phase: float, walking: float) -> tuple[float, float]:
    """Return the angles of upper arm and forearm against straight down, forward positive."""
    carries = sign == look.bag_side
    if carries and look.bag == "suitcase":
        return -0.5, -0.35
    if carries and look.bag in ("handbag", "paper", "briefcase"):
        upper = 0.06 + 0.08 * walking * np.sin(phase)
        return upper, upper + 0.05
    if look.phone and sign != look.bag_side:
        return 0.45, 2.0
    upper = 0.36 * walking * np.sin(phase)
    return upper, upper + 0.15 + 0.25 * walking
