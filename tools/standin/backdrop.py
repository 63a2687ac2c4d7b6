"""What does not move: sky, house fronts and the ground, painted once per scene.

Ground and fronts are painted flat, in metres, and brought into perspective with one homography each, so tiles,
kerbs and windows run to the same vanishing points as the people on them.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from tools.standin.camera import Camera, Street
from tools.standin.looks import accent, pick
from tools.standin.patch import Bytes, Colour, shade

_GROUND_UNIT = 72  # pixels per metre of the flat ground
_FRONT_UNIT = 44  # and of the house fronts
_GROUND_ALONG, _GROUND_NEAR = 15.0, 2.4
FRONT_DEPTH = 17.5  # where the houses stand, metres
_WALLS: tuple[Colour, ...] = (
    (150, 176, 196),
    (120, 138, 168),
    (170, 180, 186),
    (132, 160, 190),
    (96, 112, 150),
    (188, 196, 200),
    (168, 168, 150),
    (140, 190, 214),
)
_GLASS: tuple[Colour, ...] = ((120, 100, 78), (98, 84, 70), (150, 128, 104))


def clouds(
    rng: np.random.Generator, height: int, width: int, scales: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    """Return smooth noise of zero mean and unit variance, summed over cell sizes in pixels."""
    total = np.zeros((height, width), np.float32)
    for scale in scales:
        small = rng.standard_normal((height // scale + 2, width // scale + 2)).astype(np.float32)
        total += cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


def paint_sky(rng: np.random.Generator, camera: Camera, light: str) -> Bytes:
    """Return a frame filled with sky, for one of the lights sun, overcast and evening."""
    high, low = {
        "sun": ((214, 158, 96), (238, 222, 200)),
        "overcast": ((196, 190, 186), (216, 214, 212)),
        "evening": ((140, 92, 84), (120, 170, 236)),
    }[light]
    ramp = np.linspace(0.0, 1.0, camera.height, dtype=np.float32)[:, None, None]
    ramp = np.clip(ramp * camera.height / max(camera.horizon, 1.0), 0.0, 1.0)
    sky = np.array(high, np.float32) * (1 - ramp) + np.array(low, np.float32) * ramp
    sky = np.repeat(sky, camera.width, axis=1)
    cover = clouds(
        rng, camera.height, camera.width, (camera.width // 5, camera.width // 11, camera.width // 24)
    )
    weight = np.clip((cover - 0.1) * 0.5, 0.0, 0.75)[..., None]
    tone = np.array((248, 246, 244) if light != "evening" else (150, 170, 230), np.float32)
    return np.asarray(np.clip(sky * (1 - weight) + tone * weight, 0, 255), np.uint8)


def _rect(
    image: Bytes, x: float, y: float, w: float, h: float, colour: Colour, unit: int = _FRONT_UNIT
) -> None:
    cv2.rectangle(
        image,
        (round(x * unit), round(y * unit)),
        (round((x + w) * unit) - 1, round((y + h) * unit) - 1),
        colour,
        cv2.FILLED,
    )


def _window(
    image: Bytes, rng: np.random.Generator, x: float, y: float, w: float, h: float, evening: bool
) -> None:
    frame = (225, 228, 230)
    lit = evening and rng.random() < 0.45
    glass = pick(rng, ((130, 200, 240), (110, 180, 230))) if lit else pick(rng, _GLASS)
    _rect(image, x - 0.08, y - 0.08, w + 0.16, h + 0.16, frame)
    _rect(image, x, y, w, h, glass)
    _rect(image, x, y, w, h * 0.4, shade(glass, 1.18))
    if rng.random() < 0.5:
        _rect(image, x, y, w * 0.22, h, (206, 214, 218))
        _rect(image, x + w * 0.78, y, w * 0.22, h, (206, 214, 218))
    _rect(image, x + w / 2 - 0.03, y, 0.06, h, frame)
    _rect(image, x - 0.14, y + h + 0.06, w + 0.28, 0.12, (190, 194, 196))


def _shop(image: Bytes, rng: np.random.Generator, width: float, top: float, evening: bool) -> None:
    """Paint a ground floor with a sign, shop windows and a door; `top` is where the storey begins."""
    sign = accent(rng)
    glass: Colour = (150, 205, 235) if evening else pick(rng, _GLASS)
    _rect(image, 0.2, top + 0.5, width - 0.4, 2.7, shade(sign, 0.55))
    door = float(rng.uniform(0.5, max(width - 1.8, 0.6)))
    x = 0.45
    while x < width - 0.9:
        w = min(1.7, width - 0.45 - x)
        if not door - 1.0 < x < door + 1.3:
            _rect(image, x, top + 0.75, w - 0.15, 2.0, glass)
            _rect(image, x, top + 0.75, w - 0.15, 0.7, shade(glass, 1.2))
            for k in range(int(rng.integers(2, 6))):
                h = float(rng.uniform(0.2, 0.7))
                _rect(image, x + 0.1 + 0.27 * k, top + 2.75 - h, 0.22, h, shade(accent(rng), 0.8))
        x += 1.75
    _rect(image, door, top + 0.75, 1.05, 2.45, shade(sign, 0.4))
    _rect(image, door + 0.12, top + 0.9, 0.81, 1.7, shade(glass, 0.85))
    _rect(image, 0.1, top, width - 0.2, 0.55, sign)
    for k in range(int((width - 1.2) / 0.32)):
        if rng.random() < 0.8:  # marks that read as lettering from afar
            _rect(image, 0.6 + 0.32 * k, top + 0.16, 0.2, 0.24, (240, 240, 240))
    if rng.random() < 0.5:
        for k in range(int(width / 0.4)):
            tone = sign if k % 2 else (236, 236, 238)
            _rect(image, 0.4 * k, top + 0.5, 0.4, 0.5, tone)


def paint_front(rng: np.random.Generator, width: float, height: float, evening: bool) -> Bytes:
    """Return a flat house front of a size in metres."""
    rows, cols = round(height * _FRONT_UNIT), round(width * _FRONT_UNIT)
    wall = np.array(pick(rng, _WALLS), np.float32)
    grain = 5.0 * clouds(rng, rows, cols, (3, 60))[..., None]
    image = np.ascontiguousarray(np.clip(wall + grain, 0, 255).astype(np.uint8))
    if rng.random() < 0.4:  # brick courses
        image[:: max(_FRONT_UNIT // 6, 2)] = (image[:: max(_FRONT_UNIT // 6, 2)] * 0.9).astype(np.uint8)
    storey = 3.1
    w, h = float(rng.uniform(0.9, 1.4)), float(rng.uniform(1.4, 1.8))
    pitch = w + float(rng.uniform(0.7, 1.2))
    count = max(int((width - 0.5) / pitch), 1)
    start = (width - count * pitch + pitch - w) / 2
    y = height - 3.6 - storey
    while y > -storey:
        for k in range(count):
            _window(image, rng, start + k * pitch, y + 0.8, w, h, evening)
        _rect(image, 0.0, y + storey - 0.12, width, 0.1, shade(tuple(wall.tolist()), 1.1))
        y -= storey
    _shop(image, rng, width, height - 3.5, evening)
    return image


def _warp(image: Bytes, flat: Bytes, corners: list[complex]) -> None:
    """Bring `flat` into the quadrilateral `corners` (top left, top right, bottom right, bottom left)."""
    h, w = flat.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    target = np.array([[c.real, c.imag] for c in corners], np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    size = (image.shape[1], image.shape[0])
    mask = cv2.warpPerspective(np.full((h, w), 255, np.uint8), matrix, size, flags=cv2.INTER_LINEAR)
    # Shrinking needs averaging first, or fine patterns would flicker into moire.
    shrink = max(1.0, w / max(abs(target[1, 0] - target[0, 0]), abs(target[2, 0] - target[3, 0]), 1.0))
    soft = cv2.GaussianBlur(flat, (0, 0), 0.4 * shrink) if shrink > 1.2 else flat
    cv2.copyTo(cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_LINEAR), mask, image)


def paint_fronts(
    image: Bytes, rng: np.random.Generator, camera: Camera, street: Street, evening: bool
) -> None:
    """Paint a row of houses along the far side of the street, in place."""
    along = -20.0
    while along < 20.0:
        width, height = float(rng.uniform(5.0, 9.0)), float(rng.uniform(7.5, 13.0))
        if rng.random() < 0.12:  # a gap, through which the sky shows
            along += 2.5
            continue
        ends = [street.world(a, FRONT_DEPTH) for a in (along, along + width)]
        along += width
        if min(z for _, z in ends) < 3.0:
            continue
        (xl, zl), (xr, zr) = ends
        corners = [
            camera.point(x, y, z)
            for x, y, z in ((xl, height, zl), (xr, height, zr), (xr, 0, zr), (xl, 0, zl))
        ]
        if corners[1].real < 0 or corners[0].real > camera.width:
            continue
        _warp(image, paint_front(rng, width, height, evening), corners)


def _tiles(
    rng: np.random.Generator, rows: int, cols: int, size: float, colour: Colour, spread: float
) -> Bytes:
    """Return paving of square stones, each of its own brightness."""
    cell = max(round(size * _GROUND_UNIT), 4)
    small = rng.normal(1.0, spread, (rows // cell + 1, cols // cell + 1)).astype(np.float32)
    coarse = cv2.resize(small, None, fx=cell, fy=cell, interpolation=cv2.INTER_NEAREST)[:rows, :cols]
    tone = np.asarray(coarse, np.float32)
    tone += 0.03 * clouds(rng, rows, cols, (2, 90))
    tone[::cell] *= 0.82
    tone[:, ::cell] *= 0.82
    return np.asarray(np.clip(tone[..., None] * np.array(colour, np.float32), 0, 255), np.uint8)


def paint_ground(
    image: Bytes, rng: np.random.Generator, camera: Camera, street: Street, kerb: float | None
) -> None:
    """Paint the ground, in place.

    Parameters
    ----------
    image : ndarray of uint8
    rng : numpy.random.Generator
    camera : Camera
    street : Street
    kerb : float or None
        Depth in the street's axes where the pavement ends and the road begins; None paves everything.
    """
    unit, far = _GROUND_UNIT, FRONT_DEPTH + 0.1
    near = _GROUND_NEAR - 3.0
    rows, cols = round((far - near) * unit), round(2 * _GROUND_ALONG * unit)
    stone = pick(rng, ((150, 160, 166), (134, 142, 150), (140, 154, 172), (120, 126, 132)))
    flat = _tiles(rng, rows, cols, float(rng.uniform(0.4, 0.9)), stone, 0.045)

    def band(start: float, end: float) -> slice:
        return slice(round((far - end) * unit), round((far - start) * unit))

    if kerb is not None:
        end = FRONT_DEPTH - 2.2
        road = flat[band(kerb, end)]
        tone = 78 + 5.0 * clouds(rng, road.shape[0], road.shape[1], (2, 130))
        road[:] = np.clip(tone[..., None], 0, 255).astype(np.uint8)
        for edge in (kerb, end):
            flat[band(edge - 0.14, edge + 0.06)] = shade(stone, 1.12)
        middle = band((kerb + end) / 2 - 0.07, (kerb + end) / 2 + 0.07)
        for k in range(int(2 * _GROUND_ALONG / 3)):
            flat[middle, round(3 * k * unit) : round((3 * k + 1.6) * unit)] = (196, 200, 202)
    corners = []
    for along, depth in ((-1, far), (1, far), (1, near), (-1, near)):
        corners.append(street.world(along * _GROUND_ALONG, depth))
    # Depth may be at or behind the camera at the near corners, so the homography is made from the
    # ground plane's own matrix instead of from projected corners.
    plan = cv2.getPerspectiveTransform(
        np.array([[0, 0], [cols, 0], [cols, rows], [0, rows]], np.float32), np.array(corners, np.float32)
    )
    f, cx = camera.focal, camera.width / 2
    ground = np.array([[f, cx, 0.0], [0.0, camera.horizon, camera.eye * f], [0.0, 1.0, 0.0]])
    matrix = ground @ plan
    # Below the foot of the houses only; above it the same matrix would show the ground's mirror image.
    left = street.world(-_GROUND_ALONG, FRONT_DEPTH)[1]
    right = street.world(_GROUND_ALONG, FRONT_DEPTH)[1]
    start = int(camera.horizon + camera.eye * f / max(left, right)) - 2
    size = (camera.width, camera.height)
    soft = cv2.GaussianBlur(flat, (0, 0), 0.6)
    warped = cv2.warpPerspective(soft, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mask = cv2.warpPerspective(np.full((rows, cols), 255, np.uint8), matrix, size, flags=cv2.INTER_NEAREST)
    mask[:start] = 0
    below = int(camera.horizon + camera.eye * f / min(left, right)) + 1
    mask[below:] = 255
    grain = rng.normal(0.0, 2.5, (camera.height, camera.width, 1)).astype(np.float32)
    cv2.copyTo(np.clip(warped + grain, 0, 255).astype(np.uint8), mask, image)
