"""Cuts between shots, told from flashes, pans and people who walk by."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from peoplenet_nb.demo import demo_clip
from peoplenet_nb.sources import open_source
from peoplenet_nb.tracks import scene_cut, thumbnail

WIDE, HIGH = 640, 360


def scene(seed: int, width: int = WIDE) -> np.ndarray:
    """A picture with structure of every size, grey on average."""
    random = np.random.default_rng(seed)
    picture = np.zeros((HIGH, width, 3))
    for cells in (4, 9, 20, 45):
        coarse = random.normal(0, 60 / np.sqrt(cells), (cells, cells * width // HIGH, 3))
        picture += cv2.resize(coarse, (width, HIGH), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + 110, 0, 255).astype(np.uint8)


def cut(before: np.ndarray, after: np.ndarray) -> bool:
    return scene_cut(thumbnail(before), thumbnail(after))


def test_other_pictures_are_cuts():
    pictures = [scene(seed) for seed in range(12)]
    assert all(cut(before, after) for before, after in pairwise(pictures))


def test_a_sky_above_a_ground_is_not_yet_the_same_place():
    light = np.linspace(90, -90, HIGH)[:, None, None]
    one, other = (np.clip(scene(seed) + light, 0, 255).astype(np.uint8) for seed in (1, 2))
    assert cut(one, other)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: np.clip(x.astype(int) + 70, 0, 255),
        lambda x: np.clip(x.astype(int) * 2, 0, 255),
        lambda x: x * 0.4,
        lambda x: np.clip(x + np.random.default_rng(0).normal(0, 25, x.shape), 0, 255),
    ],
    ids=["nothing", "flash", "exposure up", "exposure down", "noise"],
)
def test_light_and_noise_are_none(change):
    for seed in range(6):
        picture = scene(seed)
        assert not cut(picture, np.asarray(change(picture), np.uint8))


@pytest.mark.parametrize("share", [0.01, 0.03, 0.06, 0.09])
def test_a_pan_is_none(share):
    for seed in range(6):
        wide, step = scene(seed, 2 * WIDE), round(share * WIDE)
        assert not any(cut(wide[:, x : x + WIDE], wide[:, x + step : x + step + WIDE]) for x in (0, 200, 400))


def test_somebody_close_to_the_camera_is_none():
    for seed in range(6):
        picture = scene(seed)
        after = picture.copy()
        after[60:, 280:360] = 30
        assert not cut(picture, after)
        assert not cut(after, picture)


def test_black_frames_are_a_shot_of_their_own():
    black, picture = np.zeros((HIGH, WIDE, 3), np.uint8), scene(3)
    assert cut(picture, black)
    assert cut(black, picture)
    assert not cut(black, black + 1)


def test_the_demo_clip_has_none_and_is_one_beside_another():
    frames = [frame.image for frame in open_source(str(demo_clip()), every=5, frames=20)]
    assert not any(cut(before, after) for before, after in pairwise(frames))
    assert cut(frames[0], scene(5))


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (31, 17), (640, 360), (3840, 2160)])
def test_every_size_and_grey_frames_have_thumbnails(size):
    assert thumbnail(np.zeros((size[1], size[0], 3), np.uint8)).shape == (18, 32)
    assert thumbnail(np.full((size[1], size[0]), 9, np.uint8)).tolist() == [[9] * 32] * 18
