"""Who walks there: build, skin, hair, clothes and what they carry, drawn at random from a seeded generator.

A look is plain data and is decided once per figure, so that a figure keeps it for the whole scene and two
renders of a seed agree to the last pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tools.standin.patch import Colour, blend

SKINS: tuple[Colour, ...] = (
    (178, 205, 238),
    (150, 184, 226),
    (130, 165, 212),
    (104, 140, 190),
    (78, 110, 160),
    (58, 84, 126),
    (42, 62, 96),
)
HAIRS: tuple[Colour, ...] = (
    (28, 26, 28),
    (36, 42, 52),
    (38, 56, 84),
    (52, 84, 128),
    (96, 156, 200),
    (60, 80, 150),
    (168, 168, 170),
    (214, 214, 216),
)
NEUTRALS: tuple[Colour, ...] = (
    (44, 42, 42),
    (90, 62, 42),
    (110, 84, 58),
    (128, 128, 128),
    (176, 172, 168),
    (226, 226, 228),
    (160, 188, 206),
    (88, 110, 130),
    (66, 86, 74),
    (58, 72, 104),
)
JEANS: tuple[Colour, ...] = ((120, 84, 58), (92, 62, 42), (160, 128, 98), (60, 44, 34))
LEATHERS: tuple[Colour, ...] = ((34, 52, 90), (48, 84, 140), (36, 36, 40), (60, 60, 160), (110, 150, 190))

TOPS = ("shirt", "tshirt", "jacket", "coat", "dress", "stripes", "hoodie")
BOTTOMS = ("trousers", "jeans", "shorts", "skirt")
HAIRSTYLES = ("short", "long", "ponytail", "bun", "bald", "cap", "beanie", "scarf", "curly")
BAGS = ("backpack", "handbag", "tote", "paper", "briefcase", "suitcase", "none")


@dataclass(frozen=True)
class Look:
    """Everything about a figure that does not change while it walks; lengths in metres, colours BGR."""

    height: float
    width: float
    skin: Colour
    hair: Colour
    style: str
    top: str
    top_colour: Colour
    under_colour: Colour
    bottom: str
    bottom_colour: Colour
    shoes: Colour
    bag: str
    bag_colour: Colour
    bag_size: float
    bag_side: int
    beard: bool
    glasses: bool
    phone: bool


def accent(rng: np.random.Generator) -> Colour:
    """Return a saturated cloth colour (BGR)."""
    hsv = np.array([[[rng.integers(0, 180), rng.integers(70, 195), rng.integers(80, 205)]]], np.uint8)
    b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blend((float(b), float(g), float(r)), (112.0, 112.0, 112.0), 0.16)  # dyed cloth, not neon


def pick(rng: np.random.Generator, colours: tuple[Colour, ...]) -> Colour:
    """Return one of `colours` with a slight variation."""
    b, g, r = colours[int(rng.integers(len(colours)))]
    v = float(rng.uniform(0.9, 1.1))
    return (min(b * v, 250.0), min(g * v, 250.0), min(r * v, 250.0))


def cloth(rng: np.random.Generator, colourful: float) -> Colour:
    """Return a cloth colour, an accent with probability `colourful`, else a neutral."""
    return accent(rng) if rng.random() < colourful else pick(rng, NEUTRALS)


def random_look(rng: np.random.Generator) -> Look:
    """Draw a look.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    Look
    """
    skin_index = int(rng.integers(len(SKINS)))
    grey = rng.random() < 0.16
    hair = pick(rng, HAIRS[6:] if grey else HAIRS[:3] if skin_index > 3 else HAIRS[:6])
    top = str(rng.choice(TOPS, p=(0.2, 0.2, 0.2, 0.12, 0.09, 0.09, 0.1)))
    bottom = str(rng.choice(BOTTOMS, p=(0.38, 0.34, 0.13, 0.15)))
    style = str(rng.choice(HAIRSTYLES, p=(0.3, 0.22, 0.09, 0.06, 0.06, 0.08, 0.06, 0.05, 0.08)))
    bag = str(rng.choice(BAGS, p=(0.22, 0.14, 0.12, 0.1, 0.08, 0.12, 0.22)))
    if bag == "backpack":
        bag_colour = cloth(rng, 0.6)
    elif bag == "paper":
        bag_colour = (
            pick(rng, ((150, 190, 220), (236, 236, 240), (120, 160, 200)))
            if rng.random() < 0.6
            else accent(rng)
        )
    elif bag == "suitcase":
        bag_colour = cloth(rng, 0.65)
    else:
        bag_colour = pick(rng, LEATHERS) if rng.random() < 0.65 else accent(rng)
    return Look(
        height=float(np.clip(rng.normal(1.72, 0.09), 1.48, 1.95)),
        width=float(rng.uniform(0.9, 1.14)),
        skin=pick(rng, (SKINS[skin_index],)),
        hair=hair,
        style=style,
        top=top,
        top_colour=cloth(rng, 0.5),
        under_colour=cloth(rng, 0.3),
        bottom="trousers" if top == "coat" and bottom == "shorts" else bottom,
        bottom_colour=pick(rng, JEANS) if bottom == "jeans" else cloth(rng, 0.2),
        shoes=pick(
            rng, ((40, 40, 44), (230, 230, 232), (50, 74, 110), (30, 32, 40), (120, 110, 100), (52, 50, 120))
        ),
        bag=bag,
        bag_colour=bag_colour,
        bag_size=float(rng.uniform(0.92, 1.2)),
        bag_side=int(rng.choice((-1, 1))),
        beard=style in ("short", "bald", "cap", "beanie") and bool(rng.random() < 0.3),
        glasses=bool(rng.random() < 0.15),
        phone=bool(rng.random() < 0.12),
    )
