"""Who is where at what time.

A path is a closed-form function of time, not a simulation, so any frame of a scene can be rendered without the
frames before it, and far-apart frames of many scenes are cheap to make for training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.standin.camera import Array, Camera, Street

_SAMPLES = np.arange(0.0, 13.0, 0.5)
_PERSONAL_SPACE = 0.75  # metres
_ATTEMPTS = 24


@dataclass(frozen=True)
class State:
    """Where a walker is at one moment: feet (metres), directions (radians), walk phase, 1 if walking."""

    x: float
    z: float
    heading: float
    gaze: float
    phase: float
    walking: float


@dataclass(frozen=True)
class Path:
    """A curve that is walked over and over, entering and leaving outside the picture.

    Parameters
    ----------
    points : tuple of three (x, z) pairs
        Quadratic Bezier control points in world metres; equal points make somebody who stands.
    speed : float
        Metres per second.
    start : float
        Seconds already walked at time 0.
    heading, turn : float
        Direction of one who stands, and how much the head looks aside (radians).
    stride : float
        Metres of a full walk cycle.
    """

    points: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    speed: float
    start: float
    heading: float
    turn: float
    stride: float

    @property
    def length(self) -> float:
        """Length of the curve in metres, by a polyline."""
        p = np.array(self.points)
        t = np.linspace(0, 1, 17)[:, None]
        curve = (1 - t) ** 2 * p[0] + 2 * t * (1 - t) * p[1] + t**2 * p[2]
        return float(np.hypot(*np.diff(curve, axis=0).T).sum())

    def at(self, time: float) -> State:
        """Return the state at a time in seconds."""
        sway = float(np.sin(0.55 * time + self.start))
        if self.speed == 0.0:
            x, z = self.points[1]
            phase = 0.9 * time + self.start
            return State(x, z, self.heading + 0.06 * sway, self.heading + 0.5 * self.turn * sway, phase, 0.0)
        walked = (self.start + time) * self.speed
        length = self.length
        t = (walked % length) / length
        a, b, c = (np.array(p) for p in self.points)
        x, z = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
        dx, dz = 2 * (1 - t) * (b - a) + 2 * t * (c - b)
        heading = float(np.arctan2(dz, dx))
        return State(
            float(x), float(z), heading, heading + self.turn * sway, 2 * np.pi * walked / self.stride, 1.0
        )


def _candidate(rng: np.random.Generator, camera: Camera, street: Street, far: float) -> Path:
    """Draw one path: across the picture, towards the camera, away from it, or standing."""
    kind = str(rng.choice(("across", "approach", "leave", "stand"), p=(0.3, 0.36, 0.16, 0.18)))
    side = float(rng.choice((-1.0, 1.0)))
    speed = float(rng.uniform(0.95, 1.5))
    turn = float(rng.uniform(-0.5, 0.5))
    stride = float(rng.uniform(1.25, 1.5))

    def outside(z: float, sign: float) -> tuple[float, float]:
        return sign * (camera.half_width(z) + 1.3), z

    if kind == "stand":
        z = float(rng.uniform(4.8, min(far, 8.5)))
        x = float(rng.uniform(-0.85, 0.85)) * camera.half_width(z)
        heading = -np.pi / 2 + float(rng.uniform(-1.2, 1.2)) + (np.pi if rng.random() < 0.2 else 0.0)
        return Path(((x, z), (x, z), (x, z)), 0.0, float(rng.uniform(0, 9)), heading, turn, stride)
    if kind == "across":
        z0 = float(rng.uniform(4.1, far))
        z1 = float(np.clip(z0 + rng.uniform(-1.2, 1.2), 4.1, far))
        # Along the street's own direction, so that walkers follow the kerb.
        tilt = float(np.tan(street.yaw)) * camera.half_width(z0) * 0.5
        a, c = outside(max(z0 - side * tilt, 4.0), -side), outside(max(z1 + side * tilt, 4.0), side)
        b = (0.0, (a[1] + c[1]) / 2)
    else:
        z0 = float(rng.uniform(max(far - 2.5, 6.5), far))
        z1 = float(rng.uniform(3.7, 4.6))
        a, c = outside(z0, -side), outside(z1, float(rng.choice((side, side, -side))))
        b = (
            float(rng.uniform(-0.35, 0.6)) * camera.half_width(z0) * side,
            float(rng.uniform(0.75, 1.0)) * z0,
        )
        if kind == "leave":
            a, c = c, a
    path = Path((a, b, c), speed, 0.0, 0.0, turn, stride)
    start = float(rng.uniform(0.0, path.length / speed))
    return Path((a, b, c), speed, start, 0.0, turn, stride)


def place_walkers(
    rng: np.random.Generator, camera: Camera, street: Street, count: int, far: float
) -> list[Path]:
    """Return paths on which walkers mostly keep clear of each other.

    Parameters
    ----------
    rng : numpy.random.Generator
    camera : Camera
    street : Street
    count : int
        How many walkers; some are outside the picture at any time.
    far : float
        Greatest depth in metres, the kerb or the houses.

    Returns
    -------
    list of Path
    """
    placed: list[Path] = []
    tracks: list[Array] = []
    for _ in range(count):
        best: tuple[float, Path, Array] | None = None
        for _ in range(_ATTEMPTS):
            path = _candidate(rng, camera, street, far)
            track = np.array([(s.x, s.z) for s in (path.at(float(t)) for t in _SAMPLES)])
            gap = min((float(np.hypot(*(track - other).T).min()) for other in tracks), default=9.0)
            if best is None or gap > best[0]:
                best = (gap, path, track)
            if gap >= _PERSONAL_SPACE:
                break
        if best is not None:
            placed.append(best[1])
            tracks.append(best[2])
    return placed
