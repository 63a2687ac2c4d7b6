"""Things that stand in the street: lamps, trees, bins, benches, bollards, planters and cars.

A prop is painted once per scene into a `Sprite` with a depth. Whatever walks behind it is painted before it, so
props hide people exactly as people hide each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.standin.camera import Array, Camera, Complex, Street
from tools.standin.looks import accent, pick
from tools.standin.patch import Colour, Patch, Sprite, capsule, ellipse, shade

CAR_COLOURS: tuple[Colour, ...] = (
    (48, 46, 44),
    (200, 200, 204),
    (236, 236, 236),
    (120, 60, 34),
    (40, 40, 150),
    (120, 120, 124),
    (90, 110, 60),
    (70, 130, 190),
)
CAR_LENGTH = 4.2
# Side view of a car: metres along it and above the ground.
_BODY = np.array(
    [
        (0.0, 0.35),
        (0.02, 0.72),
        (0.25, 0.86),
        (1.0, 0.94),
        (1.55, 1.42),
        (2.95, 1.46),
        (3.6, 1.0),
        (4.1, 0.92),
        (4.2, 0.45),
        (4.1, 0.28),
        (0.1, 0.28),
    ]
)
_GLASS = (
    np.array([(1.13, 0.96), (1.6, 1.36), (2.2, 1.38), (2.2, 0.97)]),
    np.array([(2.28, 0.97), (2.28, 1.38), (2.92, 1.39), (3.42, 1.0)]),
)
_CAR_WIDTH = 1.7


@dataclass(frozen=True)
class Prop:
    """A painted thing and where it stands.

    Parameters
    ----------
    sprite : Sprite
    depth : float
        World z in metres; what is farther away is painted before.
    foot : complex
        Frame pixel where it meets the ground, for its shadow.
    spot : float
        Half-width in pixels of the dark spot under it.
    """

    sprite: Sprite
    depth: float
    foot: complex
    spot: float


class PropMaker:
    """Paints props for one scene.

    Parameters
    ----------
    camera : Camera
    street : Street
    lit, strength : float
        Light, see `Patch.finish`.
    evening : bool
        Lamps burn.
    """

    def __init__(self, camera: Camera, street: Street, lit: float, strength: float, evening: bool) -> None:
        self.camera, self.street = camera, street
        self.lit, self.strength, self.evening = lit, strength, evening

    def _patch(self, x: float, z: float, half: float, height: float) -> tuple[Patch, complex, float]:
        foot = self.camera.point(x, 0.0, z)
        unit = self.camera.scale(z)
        top = foot.imag - height * unit
        return (
            Patch(foot.real - half * unit, top, foot.real + half * unit, foot.imag + 0.3 * unit, unit),
            foot,
            unit,
        )

    def _done(self, patch: Patch, z: float, foot: complex, spot: float) -> Prop:
        return Prop(patch.finish(self.lit, self.strength), z, foot, spot * self.camera.scale(z))

    def lamp(self, x: float, z: float) -> Prop:
        """Return a street lamp with an arm."""
        patch, foot, unit = self._patch(x, z, 1.1, 5.2)
        grey: Colour = (70, 72, 68)
        top = foot - 5.0j * unit
        patch.limb(foot, top, 0.075 * unit, 0.05 * unit, grey, self.lit)
        patch.polygon(capsule(foot, foot - 0.5j * unit, 0.12 * unit, 0.09 * unit), shade(grey, 0.9))
        patch.limb(top, top + (0.85 - 0.1j) * unit, 0.05 * unit, 0.04 * unit, grey, self.lit)
        head: Colour = (190, 235, 255) if self.evening else (205, 208, 206)
        patch.polygon(ellipse(top + (0.85 - 0.03j) * unit, 0.2 * unit, 0.07 * unit), head)
        return self._done(patch, z, foot, 0.2)

    def tree(self, rng: np.random.Generator, x: float, z: float) -> Prop:
        """Return a tree with a crown of leaf clusters."""
        patch, foot, unit = self._patch(x, z, 2.4, 6.4)
        bark = pick(rng, ((50, 66, 84), (70, 80, 92)))
        patch.limb(foot, foot - 2.6j * unit, 0.15 * unit, 0.1 * unit, bark, self.lit)
        leaf = pick(rng, ((52, 110, 70), (48, 96, 88), (60, 120, 60), (50, 120, 130)))
        crown = foot - 4.1j * unit
        for sign in (-1, 1):
            patch.limb(
                foot - 2.2j * unit, crown + sign * 0.9 * unit, 0.07 * unit, 0.03 * unit, bark, self.lit
            )
        for tone, spread, count, size in (
            (0.7, 1.15, 26, 0.62),
            (0.95, 1.05, 34, 0.42),
            (1.2, 0.95, 46, 0.2),
        ):
            angle = rng.uniform(0, 2 * np.pi, count)
            radius = np.sqrt(rng.uniform(0, 1, count)) * 1.3 * spread
            for a, r in zip(angle.tolist(), radius.tolist(), strict=True):
                where = crown + unit * complex(r * np.cos(a), 1.1 * r * np.sin(a))
                if tone > 1:
                    where += unit * complex(0.25 * self.lit, -0.25)
                grow = float(rng.uniform(0.7, 1.2)) * size * unit
                patch.polygon(
                    ellipse(where, grow, 0.85 * grow), shade(leaf, tone * float(rng.uniform(0.9, 1.1)))
                )
        return self._done(patch, z, foot, 0.35)

    def bin(self, x: float, z: float) -> Prop:
        """Return a litter bin."""
        patch, foot, unit = self._patch(x, z, 0.4, 1.15)
        green: Colour = (66, 88, 58)
        patch.polygon(capsule(foot - 0.1j * unit, foot - 0.82j * unit, 0.24 * unit, 0.26 * unit), green)
        patch.polygon(ellipse(foot - 0.9j * unit, 0.3 * unit, 0.1 * unit), shade(green, 0.7))
        patch.polygon(ellipse(foot - 0.9j * unit, 0.17 * unit, 0.05 * unit), (24, 26, 24))
        return self._done(patch, z, foot, 0.36)

    def bollard(self, x: float, z: float) -> Prop:
        """Return a bollard with a bright band."""
        patch, foot, unit = self._patch(x, z, 0.2, 1.1)
        patch.limb(foot, foot - 0.85j * unit, 0.075 * unit, 0.07 * unit, (58, 58, 60), self.lit)
        patch.polygon(
            capsule(foot - 0.7j * unit, foot - 0.74j * unit, 0.07 * unit, 0.07 * unit), (210, 214, 216)
        )
        return self._done(patch, z, foot, 0.15)

    def planter(self, rng: np.random.Generator, x: float, z: float) -> Prop:
        """Return a box with a bush."""
        patch, foot, unit = self._patch(x, z, 0.9, 1.5)
        wood = pick(rng, ((96, 104, 112), (70, 92, 120)))
        leaf = pick(rng, ((52, 110, 70), (56, 124, 84)))
        for _ in range(60):
            where = foot + unit * complex(rng.uniform(-0.6, 0.6), -0.55 - 0.5 * rng.random())
            size = float(rng.uniform(0.07, 0.16)) * unit
            patch.polygon(ellipse(where, size, size), shade(leaf, float(rng.uniform(0.65, 1.25))))
        box = np.array([-0.68 - 0.58j, 0.68 - 0.58j, 0.62 + 0.04j, -0.62 + 0.04j])
        rim = np.array([-0.72 - 0.6j, 0.72 - 0.6j, 0.72 - 0.5j, -0.72 - 0.5j])
        patch.polygon(np.asarray(foot + unit * box, np.complex128), wood)
        patch.polygon(np.asarray(foot + unit * rim, np.complex128), shade(wood, 1.15))
        return self._done(patch, z, foot, 0.8)

    def bench(self, x: float, z: float) -> Prop:
        """Return a bench seen from the front."""
        patch, foot, unit = self._patch(x, z, 1.0, 1.1)
        wood: Colour = (70, 104, 142)
        iron: Colour = (48, 48, 50)
        for sign in (-0.7, 0.7):
            patch.line([foot + sign * unit, foot + (sign - 0.85j) * unit], 0.06 * unit, iron)
        for y, tone in ((0.84, 1.1), (0.68, 1.0), (0.45, 1.12), (0.38, 0.85)):
            patch.line(
                [foot + (-0.85 - 1j * y) * unit, foot + (0.85 - 1j * y) * unit], 0.1 * unit, shade(wood, tone)
            )
        return self._done(patch, z, foot, 0.9)

    def car(self, rng: np.random.Generator, along: float, depth: float, direction: int) -> Prop:
        """Return a car standing along the street, its side extruded to its width.

        Parameters
        ----------
        rng : numpy.random.Generator
        along, depth : float
            The middle of its near side in the street's axes, metres.
        direction : int
            1 or -1, where its bonnet points.
        """
        colour = pick(rng, CAR_COLOURS) if rng.random() < 0.8 else accent(rng)
        tall = float(rng.uniform(0.97, 1.2))

        def side(points: Array, offset: float) -> Complex:
            rows = []
            for length, height in points.tolist():
                x, z = self.street.world(along - direction * (length - CAR_LENGTH / 2), depth + offset)
                rows.append((x, height * tall, z))
            return self.camera.project(np.array(rows))

        near, far = side(_BODY, 0.0), side(_BODY, _CAR_WIDTH)
        every = np.concatenate([near, far])
        _, middle = self.street.world(along, depth)
        unit = self.camera.scale(middle)
        lowest = float(every.imag.max()) + 0.35 * unit
        patch = Patch(
            float(every.real.min()) - 2,
            float(every.imag.min()) - 2,
            float(every.real.max()) + 2,
            lowest,
            unit,
        )
        self._car_shell(patch, near, far, colour)
        self._car_side(patch, side, near, colour, unit)
        foot = self.camera.point(*_on_ground(self.street.world(along, depth + 0.3)))
        return self._done(patch, middle, foot, 2.1)

    def _car_shell(self, patch: Patch, near: Complex, far: Complex, colour: Colour) -> None:
        count = len(near)
        order = sorted(range(count), key=lambda k: float((far[k] + far[(k + 1) % count]).imag))
        for k in order:
            j = (k + 1) % count
            tone = {3: 0.35, 5: 0.4, 4: 1.2}.get(k, 0.95 if k < 9 else 0.3)
            quad = np.array([near[k], near[j], far[j], far[k]])
            patch.polygon(quad, (110, 100, 92) if k in (3, 5) else shade(colour, tone))

    def _car_side(self, patch: Patch, side: object, near: Complex, colour: Colour, unit: float) -> None:
        assert callable(side)
        for centre in (0.85, 3.3):
            patch.polygon(side(_disc(centre, 0.36, 0.37), 0.2), (30, 30, 32))
        patch.polygon(near, colour)
        patch.polygon(
            side(np.array([(0.05, 0.3), (0.05, 0.55), (4.15, 0.58), (4.1, 0.3)]), 0.0), shade(colour, 0.72)
        )
        for glass in _GLASS:
            patch.polygon(side(glass, 0.0), (92, 84, 76))
            shine = glass.copy()
            shine[:, 0] = glass[:, 0].mean() + 0.25 * (glass[:, 0] - glass[:, 0].mean())
            patch.polygon(side(shine, 0.0), (128, 120, 110))
        for centre in (0.85, 3.3):
            patch.polygon(side(_disc(centre, 0.33, 0.38), 0.0), (26, 26, 28))
            patch.polygon(side(_disc(centre, 0.32, 0.3), 0.0), (34, 34, 36))
            patch.polygon(side(_disc(centre, 0.32, 0.18), 0.0), (150, 150, 152))
        seam = side(np.array([(2.24, 0.4), (2.24, 0.96)]), 0.0)
        patch.line(seam.tolist(), max(0.02 * unit, 0.8), shade(colour, 0.6))
        lamp: Colour = (170, 220, 245)
        patch.polygon(side(np.array([(0.03, 0.62), (0.05, 0.74), (0.3, 0.8), (0.3, 0.66)]), 0.0), lamp)
        patch.polygon(
            side(np.array([(4.0, 0.7), (4.05, 0.86), (4.17, 0.82), (4.19, 0.68)]), 0.0), (40, 40, 190)
        )


def _disc(along: float, up: float, radius: float) -> Array:
    angle = 2 * np.pi * np.arange(18) / 18
    return np.stack([along + radius * np.cos(angle), np.maximum(up + radius * np.sin(angle), 0.0)], axis=1)


def _on_ground(where: tuple[float, float]) -> tuple[float, float, float]:
    return where[0], 0.0, where[1]
