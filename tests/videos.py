"""Videos made for tests, odd ones among them, and a network that costs nothing.

Every picture carries its number as black and white bars, so that a test can tell which frame it was given
after encoding, sampling, damage and rotation.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.network.devices import Device
from peoplenet_nb.onnxfile import HeadHealth
from peoplenet_nb.settings import Settings

BITS = 10
LABELS = ("person", "bag", "face")


def picture(number: int, size: tuple[int, int] = (160, 96)) -> np.ndarray:
    """The number as bars (most significant left) in the upper half; the lower half is plain grey."""
    width, height = size
    image = np.full((height, width, 3), 128, np.uint8)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        on = number >> (BITS - 1 - bit) & 1
        image[: height // 2, edges[bit] : edges[bit + 1]] = 235 if on else 20
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a picture carries."""
    height, width = image.shape[:2]
    edges = np.linspace(0, width, BITS + 1).astype(int)
    middles = (edges[:-1] + edges[1:]) // 2
    row = image[height // 8 : height // 3].mean(axis=(0, 2))
    return int("".join("1" if row[m] > 128 else "0" for m in middles), 2)


def make_video(
    path: Path,
    frames: int = 30,
    size: tuple[int, int] = (160, 96),
    *,
    codec: str = "libx264",
    fps: int = 25,
    times: Sequence[float] | None = None,
    matrix: Sequence[int] | None = None,
    container: str | None = None,
    gop: int = 10,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode numbered pictures; ``times`` in seconds make a variable frame rate."""
    with av.open(str(path), "w", format=container, options=options or {}) as out:
        stream: Any = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if matrix is not None:
            stream.set_display_matrix(tuple(matrix))
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(i, size), format="bgr24")
            if times is not None:
                frame.pts, frame.time_base = round(times[i] * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def make_sound(path: Path, *, cover: bool = False) -> Path:
    """A file with sound only, or with a cover picture besides."""
    with av.open(str(path), "w", format="mp4") as out:
        stream: Any = out.add_stream("aac", rate=8000)
        picture_stream: Any = None
        if cover:
            picture_stream = out.add_stream("mjpeg", rate=1)
            picture_stream.width, picture_stream.height, picture_stream.pix_fmt = 64, 64, "yuvj420p"
            picture_stream.disposition = av.stream.Disposition.attached_pic
        if picture_stream is not None:
            out.mux(picture_stream.encode(av.VideoFrame.from_ndarray(picture(1, (64, 64)), format="bgr24")))
            out.mux(picture_stream.encode(None))
        for k in range(4):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 8000, k * 1024
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def damage(path: Path, out: Path, part: tuple[float, float], how: str = "noise", seed: int = 0) -> Path:
    """A copy of a file in which a stretch (as fractions of its length) is noise, zeros, or cut off behind."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * part[0]), int(len(data) * part[1])
    if how == "cut":
        del data[first:]
    else:
        data[first:last] = (
            random.Random(seed).randbytes(last - first) if how == "noise" else bytes(last - first)
        )
    out.write_bytes(data)
    return out


class FakeModel:
    """Stands for `PeopleNet`: one box whose cell and coverage follow from the number in the picture.

    Parameters
    ----------
    delay : callable, optional
        Seconds to sleep for a frame's number.
    standin : bool
        What ``is_standin`` says.
    boxes : bool
        Whether there is a box output.
    device : str
        Where it claims to run.

    Attributes
    ----------
    batches : list of int
        How many frames each inference took.
    """

    def __init__(
        self,
        delay: Callable[[int], float] | None = None,
        *,
        standin: bool = False,
        sha256: str = "f" * 64,
        boxes: bool = True,
        device: str = "cpu",
    ) -> None:
        self.delay = delay
        self.is_standin = standin
        self.labels = LABELS
        self.device, self.fit, self.providers = device, "stretch", ("FakeExecutionProvider",)
        self.precision, self.tiles = "fp32", 1
        self.file = SimpleNamespace(path=Path("fake.onnx"), sha256=sha256, boxes=boxes or None)
        self.backend = SimpleNamespace(threads=1, device=Device(device))
        self.batches: list[int] = []
        self.dead_heads: tuple[HeadHealth, ...] = ()

    def with_threads(self, threads: int) -> FakeModel:
        return self

    def preprocess(self, frame: np.ndarray) -> tuple[np.ndarray, Fit]:
        batch, fits = self.preprocess_all([frame])
        return batch, fits[0]

    def preprocess_all(self, frames: Sequence[np.ndarray]) -> tuple[np.ndarray, list[Fit]]:
        fits = [Fit.of((frame.shape[1], frame.shape[0]), (960, 544), self.fit) for frame in frames]
        return np.array([number_of(frame) for frame in frames]), fits

    def for_settings(self, settings: Settings) -> FakeModel:
        return self

    def joined(self, grids: list[Grids]) -> list[Grids]:
        return grids

    def infer(self, frame: np.ndarray) -> Grids:
        return self.infer_input(*self.preprocess_all([frame]))[0]

    def infer_input(self, batch: np.ndarray, fits: Sequence[Fit]) -> list[Grids]:
        self.batches.append(len(batch))
        return [self._grids(int(number), fit) for number, fit in zip(batch, fits, strict=True)]

    def _grids(self, number: int, fit: Fit) -> Grids:
        if self.delay is not None:
            time.sleep(self.delay(number))
        coverage = np.zeros((3, 34, 60), np.float32)
        boxes = np.zeros((12, 34, 60), np.float32)
        if number % 5:  # every fifth frame is empty
            # In the lower half, so that what is drawn never covers the number.
            class_id, row, col = number % 3, 21 + number % 12, 5 + number % 50
            coverage[class_id, row, col] = 0.5 + (number % 40) / 100
            boxes[4 * class_id : 4 * class_id + 4, row, col] = 1.0
        return Grids(coverage, boxes if self.file.boxes else None, fit, LABELS)


class MovingModel(FakeModel):
    """One person who walks in a straight line, 3.5 network pixels a frame, but for jumps to the other side.

    Parameters
    ----------
    jumps : sequence of int
        Numbers of pictures from which on the person is elsewhere.
    delay : callable, optional
        Seconds to sleep for a frame's number.
    **options
        As for `FakeModel`.

    Attributes
    ----------
    seen : list of int
        The numbers of the pictures that the network was given.
    """

    def __init__(
        self, jumps: Sequence[int] = (), delay: Callable[[int], float] | None = None, **options: Any
    ) -> None:
        super().__init__(delay, **options)
        self.jumps, self.seen = jumps, list[int]()

    def _grids(self, number: int, fit: Fit) -> Grids:
        self.seen.append(number)
        if self.delay is not None:
            time.sleep(self.delay(number))
        coverage = np.zeros((3, 34, 60), np.float32)
        boxes = np.zeros((12, 34, 60), np.float32)
        row, col = (26, 20) if sum(number >= jump for jump in self.jumps) % 2 == 0 else (10, 30)
        step = number % 100 / 10  # cells' distances are in units of 35 network pixels
        coverage[0, row, col] = 0.9
        boxes[:4, row, col] = 3 - step, 4, 3 + step, 3
        return Grids(coverage, boxes, fit, LABELS)
