"""Training data of the stand-in network: rendered scenes, random crops of them, and what the grids should say.

Scenes are rendered once into a memory-mapped pool of network-sized frames, and all variety beyond that comes
from cropping, scaling, flipping and lighting, which cost a tenth of rendering.
"""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from tools.standin.scene import Scene

WIDTH, HEIGHT, STRIDE, CLASSES = 960, 544, 16, 3
NORM, OFFSET = 35.0, 0.5  # TAO DetectNet_v2's box scale, and its offset in pixels
FIRST_SEED = 100_000  # training scenes; the demo clip's and the held-out seeds lie below
SECONDS_APART = 2.0  # between training frames of a scene, so that they differ
CROP_WIDTH, CROP_HEIGHT = 416, 448  # taller than anybody, so the network sees whole people


def render_pool(folder: Path, scenes: int, frames: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return (N, 544, 960, 3) uint8 frames and per frame (M, 6) of box, class, visibility in network pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"pool-{scenes}x{frames}"
    images, truths = name.with_suffix(".npy"), name.with_suffix(".npz")
    if not truths.exists():
        shape = (scenes * frames, HEIGHT, WIDTH, 3)
        pool = np.lib.format.open_memmap(images, mode="w+", dtype=np.uint8, shape=shape)
        rows: list[np.ndarray] = []
        for number in range(scenes):
            scene = Scene(FIRST_SEED + number)
            for index in range(frames):
                frame, truth = scene.render(index, 1.0 / SECONDS_APART)
                pool[number * frames + index] = cv2.resize(frame, (WIDTH, HEIGHT))
                scale = np.array([WIDTH / frame.shape[1], HEIGHT / frame.shape[0]] * 2)
                boxes = truth.xyxy * scale
                rows.append(np.column_stack([boxes, truth.class_id, truth.visibility]).astype(np.float32))
            if number % 20 == 0:
                print(f"rendered {number}/{scenes} scenes", flush=True)
        pool.flush()
        np.savez(truths, counts=[len(r) for r in rows], rows=np.concatenate(rows))
    with np.load(truths) as data:
        split = np.split(data["rows"], np.cumsum(data["counts"])[:-1])
    return np.load(images, mmap_mode="r"), split


def augment(
    image: np.ndarray, objects: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a crop of (448, 416, 3) uint8 BGR and its objects, randomly scaled, shifted, flipped and lit."""
    zoom = float(np.exp(rng.uniform(-0.2, 0.25))) if rng.random() < 0.6 else 1.0
    left = float(np.clip(rng.uniform(-0.1, 1.1), 0.0, 1.0)) * (WIDTH - CROP_WIDTH / zoom)
    top = float(np.clip(rng.uniform(-0.1, 1.3), 0.0, 1.0)) * (HEIGHT - CROP_HEIGHT / zoom)
    matrix = np.array([[zoom, 0.0, -left * zoom], [0.0, zoom, -top * zoom]])
    flip = rng.random() < 0.5
    if flip:
        matrix[0] = (-zoom, 0.0, CROP_WIDTH - 1 + left * zoom)
    crop = cv2.warpAffine(
        image, matrix, (CROP_WIDTH, CROP_HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    objects = objects.copy()
    boxes = (objects[:, :4] - (left, top, left, top)) * zoom
    if flip:
        boxes[:, [0, 2]] = CROP_WIDTH - boxes[:, [2, 0]]
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    boxes = np.clip(boxes, 0.0, (CROP_WIDTH, CROP_HEIGHT, CROP_WIDTH, CROP_HEIGHT))
    left_over = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) / np.maximum(area, 1e-6)
    objects[:, :4] = boxes
    objects = objects[(left_over > 0.25) & (np.min(boxes[:, 2:] - boxes[:, :2], axis=1) >= 6)]
    gain = np.exp(rng.normal(0.0, 0.16)) * np.exp(rng.normal(0.0, 0.05, 3))
    table = 255.0 * (np.arange(256) / 255.0) ** np.exp(rng.normal(0.0, 0.1))
    crop = cv2.LUT(crop, np.clip(table[:, None] * gain, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.4:
        quality = int(rng.integers(35, 95))
        crop = cv2.imdecode(
            cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR
        )
    elif rng.random() < 0.3:
        crop = cv2.GaussianBlur(crop, (0, 0), float(rng.uniform(0.4, 0.9)))
    return crop, objects


def targets(
    objects: np.ndarray, rows: int, cols: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return coverage (C, R, K), its weight, distances (4C, R, K) and their weight, as DetectNet_v2 has them.

    A cell covers an object when its point (16 i + 0.5, 16 j + 0.5) lies in the shrunken middle of the box;
    around the middle is a dead zone that counts little. The more visible object wins a contested cell.
    """
    cover, weight = np.zeros((CLASSES, rows, cols), np.float32), np.ones((CLASSES, rows, cols), np.float32)
    boxes = np.zeros((CLASSES, 4, rows, cols), np.float32)
    box_weight = np.zeros((CLASSES, rows, cols), np.float32)
    gx, gy = STRIDE * np.arange(cols) + OFFSET, STRIDE * np.arange(rows) + OFFSET
    for x1, y1, x2, y2, label, _ in objects[np.argsort(objects[:, 5], kind="stable")]:
        c, cx, cy, w, h = int(label), (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        near_x, near_y = max(0.2 * w, 8.01), max(0.2 * h, 8.01)
        zone = np.outer(np.abs(gy - cy) <= max(0.34 * h, 14.0), np.abs(gx - cx) <= max(0.34 * w, 14.0))
        middle = np.outer(np.abs(gy - cy) <= near_y, np.abs(gx - cx) <= near_x)
        weight[c][zone & (cover[c] == 0)] = 0.2
        count = max(int(middle.sum()), 1)
        cover[c][middle], weight[c][middle] = 1.0, 1.0
        box_weight[c][middle] = 1.0 / math.sqrt(count)
        for k, plane in enumerate(((gx - x1)[None], (gy - y1)[:, None], (x2 - gx)[None], (y2 - gy)[:, None])):
            boxes[c, k][middle] = np.broadcast_to(plane / NORM, (rows, cols))[middle]
    return cover, weight, boxes.reshape(4 * CLASSES, rows, cols), box_weight
