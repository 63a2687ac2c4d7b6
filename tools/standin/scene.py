"""A street scene: everything put together, any moment of it rendered with its ground truth.

All randomness is drawn when the scene is made, from one seed; rendering a time is a pure function, so
`Scene(seed).render(k)` gives the same pixels whatever was rendered before.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from peoplenet_nb.demo import Truth
from tools.standin.backdrop import clouds, paint_fronts, paint_ground, paint_sky
from tools.standin.camera import Camera, Street
from tools.standin.figure import paint_figure
from tools.standin.looks import Look, random_look
from tools.standin.patch import PROP_ID, Bytes, Colour, Ids, Sprite
from tools.standin.props import Prop, PropMaker
from tools.standin.skeleton import pose_figure
from tools.standin.truth import read_truth
from tools.standin.walkers import Path, place_walkers

FPS = 25
LIGHTS = ("sun", "overcast", "evening")


@dataclass(frozen=True)
class Light:
    """Where the light comes from and what it does."""

    name: str
    side: float  # -1 left .. 1 right
    strength: float  # rounding of bodies, see Patch.finish
    shadow: float  # darkness of cast shadows, 0..1
    lean: float  # how far shadows fall sideways, heights
    fall: float  # and towards the camera (positive) or away, heights
    gain: Colour
    haze: Colour


def _light(rng: np.random.Generator, name: str) -> Light:
    side = float(rng.choice((-1.0, 1.0))) * float(rng.uniform(0.5, 1.0))
    if name == "sun":
        lean = -side * float(rng.uniform(0.5, 1.1))
        gain = (1.0 * float(rng.uniform(0.94, 1.04)), 1.06, 1.1)
        fall = float(rng.choice((-1.0, 1.0))) * float(rng.uniform(0.1, 0.3))
        return Light(name, side, 34.0, 0.46, lean, fall, gain, (225, 212, 200))
    if name == "evening":
        gain = (0.66, 0.74, float(rng.uniform(0.84, 0.92)))
        return Light(name, side, 26.0, 0.2, -side * float(rng.uniform(1.2, 1.8)), 0.1, gain, (150, 170, 200))
    grey = float(rng.uniform(0.88, 1.02))
    return Light(name, 0.4 * side, 22.0, 0.0, 0.0, 0.0, (grey * 1.02, grey, grey * 0.98), (214, 212, 210))


class Scene:
    """A seeded street scene.

    Parameters
    ----------
    seed : int
        Decides everything.
    size : (int, int)
        Frame width and height in pixels.
    light : {"sun", "overcast", "evening"}, optional
        Drawn from the seed when not given.
    people : int, optional
        Walkers, some of them outside the picture at any time; drawn from the seed when not given.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (1280, 720),
        light: str | None = None,
        people: int | None = None,
    ) -> None:
        rng = np.random.default_rng(seed)
        drawn = str(rng.choice(LIGHTS, p=(0.5, 0.3, 0.2)))
        self.light = _light(rng, light or drawn)
        width, height = size
        self.camera = Camera(
            width,
            height,
            focal=float(rng.uniform(0.76, 0.92)) * width,
            eye=float(rng.uniform(1.75, 2.5)),
            horizon=float(rng.uniform(0.3, 0.38)) * height,
        )
        self.street = Street(float(rng.uniform(-0.28, 0.28)))
        self.kerb = float(rng.uniform(9.6, 10.6)) if rng.random() < 0.7 else None
        far = (self.kerb or 12.5) - 0.9
        drawn_people = int(rng.integers(7, 14))
        self.paths: list[Path] = place_walkers(rng, self.camera, self.street, people or drawn_people, far)
        self.looks: list[Look] = [random_look(rng) for _ in self.paths]
        self._make_background(rng)
        self._make_noise(rng)

    def _make_background(self, rng: np.random.Generator) -> None:
        evening = self.light.name == "evening"
        image = paint_sky(rng, self.camera, self.light.name)
        paint_fronts(image, rng, self.camera, self.street, evening)
        paint_ground(image, rng, self.camera, self.street, self.kerb)
        maker = PropMaker(self.camera, self.street, self.light.side, self.light.strength, evening)
        self.props = sorted(self._furnish(rng, maker), key=lambda p: -p.depth)
        self._cast(image, [(prop.sprite, prop.foot, prop.spot) for prop in self.props])
        for prop in self.props:
            prop.sprite.composite(image, None, 0)
        self.background: Bytes = image

    def _furnish(self, rng: np.random.Generator, maker: PropMaker) -> list[Prop]:
        props: list[Prop] = []
        edge = self.kerb or 13.0

        def spot(depth: float, reach: float = 0.95) -> tuple[float, float]:
            along = float(rng.uniform(-reach, reach)) * self.camera.half_width(depth)
            return self.street.world(along, depth)

        if self.kerb is not None:
            along = float(rng.uniform(-9.0, -5.0))
            while along < 9.0:
                if rng.random() < 0.62:
                    direction = 1 if rng.random() < 0.5 else -1
                    props.append(maker.car(rng, along, self.kerb + 0.35, direction))
                along += float(rng.uniform(4.8, 7.5))
        for _ in range(int(rng.integers(1, 4))):
            props.append(maker.tree(rng, *spot(edge - 0.35)))
        for _ in range(int(rng.integers(1, 3))):
            props.append(maker.lamp(*spot(edge - 0.3)))
        first = float(rng.uniform(-7, -5))
        if rng.random() < 0.5:
            props.extend(maker.bollard(*self.street.world(first + 1.7 * k, edge - 0.15)) for k in range(9))
        near = float(rng.uniform(4.3, 6.5))
        choice = rng.random()
        if choice < 0.3:
            props.append(maker.planter(rng, *spot(near)))
        elif choice < 0.5:
            props.append(maker.bin(*spot(near)))
        elif choice < 0.62:
            props.append(maker.lamp(*spot(near)))
        elif choice < 0.75:
            props.append(maker.bollard(*spot(near)))
        if rng.random() < 0.45:
            props.append(maker.bench(*spot(float(rng.uniform(7.0, 8.6)))))
        if rng.random() < 0.4:
            props.append(maker.bin(*spot(float(rng.uniform(6.5, 9.0)))))
        return [p for p in props if p.depth > 3.0]

    def _make_noise(self, rng: np.random.Generator) -> None:
        width, height = self.camera.width, self.camera.height
        level = float(rng.uniform(0.8, 3.0)) * (1.4 if self.light.name == "evening" else 1.0)
        noise = rng.normal(0.0, level, (height + 64, width + 64, 3))
        self._brighter: Bytes = np.clip(noise, 0, 255).astype(np.uint8)
        self._darker: Bytes = np.clip(-noise, 0, 255).astype(np.uint8)
        self._jitter = int(rng.integers(1 << 30))
        self._blur = float(rng.uniform(0.0, 0.75))
        texture = 128 + 3.0 * clouds(rng, 1024, 1024, (2, 9, 40))
        self._texture: Bytes = np.clip(texture, 0, 255).astype(np.uint8)
        ramp = np.arange(256, dtype=np.float64)
        table = np.stack([np.clip(ramp * g, 0, 255) for g in self.light.gain], axis=1)
        self._table: Bytes = table.round().astype(np.uint8)[None]

    def _cast(self, image: Bytes, things: list[tuple[Sprite, complex, float]]) -> None:
        """Darken the ground where things stand and cast their shadow, in place, at half resolution.

        `things` are (sprite, foot in frame pixels, half-width of the dark spot under it in pixels).
        """
        h, w = image.shape[:2]
        dark: Bytes = np.zeros((h // 2, w // 2), np.uint8)
        for sprite, foot, spot in things:
            if self.light.shadow > 0:
                self._cast_one(dark, sprite, foot)
            centre = (round(foot.real / 2), round(foot.imag / 2))
            axes = (max(round(spot / 2), 1), max(round(spot / 7), 1))
            cv2.ellipse(dark, centre, axes, 0, 0, 360, 90.0, cv2.FILLED)
        rows = np.flatnonzero(dark.any(axis=1))
        if len(rows) == 0:
            return
        top = max(int(rows[0]) - 4, 0)
        soft = cv2.blur(dark[top:], (5, 5))
        full = cv2.resize(soft, (w, h - 2 * top), interpolation=cv2.INTER_LINEAR)
        keep = cv2.merge([255 - full] * 3)
        image[2 * top :] = cv2.multiply(image[2 * top :], keep, scale=1 / 255.0)

    def _cast_one(self, dark: Bytes, sprite: Sprite, foot: complex) -> None:
        """Shear a silhouette onto the ground: a point t above the foot lands lean*t aside, fall*t below."""
        lean, fall = self.light.lean, self.light.fall
        height, width = sprite.alpha.shape
        dy = sprite.top - foot.imag
        shear = np.array(
            [
                [0.5, -0.5 * lean, 0.5 * (sprite.left - lean * dy)],
                [0.0, -0.5 * fall, 0.5 * (foot.imag - fall * dy)],
            ]
        )
        corners = shear @ np.array([[0, 0, width, width], [0, height, 0, height], [1, 1, 1, 1]])
        limit = np.array(dark.shape[::-1])
        x1, y1 = np.clip(np.floor(corners.min(axis=1)).astype(int), 0, limit).tolist()
        x2, y2 = np.clip(np.ceil(corners.max(axis=1)).astype(int) + 1, 0, limit).tolist()
        if x1 >= x2 or y1 >= y2:
            return
        shear[:, 2] -= (x1, y1)
        cast = cv2.warpAffine(sprite.alpha, shear, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR)
        target = dark[y1:y2, x1:x2]
        target[:] = cv2.max(target, cv2.convertScaleAbs(cast, alpha=self.light.shadow))

    def render(self, index: int, fps: float = FPS) -> tuple[Bytes, Truth]:
        """Render one frame.

        Parameters
        ----------
        index : int
            0-based frame number; the moment is ``index / fps`` seconds.
        fps : float

        Returns
        -------
        frame : ndarray, shape (H, W, 3), uint8
            BGR.
        truth : Truth
        """
        frame, truth, _ = self.render_ids(index, fps)
        return frame, truth

    def render_ids(
        self, index: int, fps: float = FPS, hidden: frozenset[int] = frozenset()
    ) -> tuple[Bytes, Truth, Ids]:
        """Render one frame and give its id buffer too; walkers in `hidden` are left out."""
        frame = self.background.copy()
        ids: Ids = np.zeros(frame.shape[:2], np.uint16)
        figures = []
        for number, (path, look) in enumerate(zip(self.paths, self.looks, strict=True)):
            state = path.at(index / fps)
            if number in hidden or abs(state.x) > self.camera.half_width(state.z) + 1.2:
                continue
            pose = pose_figure(
                self.camera, look, state.x, state.z, state.heading, state.gaze, state.phase, state.walking
            )
            light = self.light
            sprite = paint_figure(look, pose, light.side, light.strength, self._texture, light.haze)
            figures.append((state.z, number, sprite, pose))
        feet = [(sprite, pose.at(0.0, 0.0, 0.0), 0.3 * pose.unit) for _, _, sprite, pose in figures]
        self._cast(frame, feet)
        queue = [(z, 4 * (number + 1), sprite) for z, number, sprite, _ in figures]
        queue.extend((prop.depth, PROP_ID - 1, prop.sprite) for prop in self.props)
        for _, base, sprite in sorted(queue, key=lambda item: -item[0]):
            sprite.composite(frame, ids, base)
        truth = read_truth(index, ids, [(number, sprite) for _, number, sprite, _ in figures])
        return self._expose(frame, index), truth, ids

    def _expose(self, frame: Bytes, index: int) -> Bytes:
        """Apply the lens's softness, the light's colour and the sensor's noise."""
        soft = cv2.GaussianBlur(frame, (3, 3), self._blur) if self._blur > 0.35 else frame
        lit = cv2.LUT(soft, self._table)
        rng = np.random.default_rng((self._jitter, index))
        y, x = (int(v) for v in rng.integers(0, 64, 2))
        h, w = frame.shape[:2]
        noisy = cv2.add(lit, self._brighter[y : y + h, x : x + w])
        return np.asarray(cv2.subtract(noisy, self._darker[y : y + h, x : x + w]), np.uint8)
