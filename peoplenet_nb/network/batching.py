"""How many frames a device should take at once, found by trying.

One decision to know: what is measured is the engine alone, on inputs that are ready. Preparing and decoding
happen beside it, in other threads, whatever the size of the batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
import numpy.typing as npt

from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.network.tiles import LOOKS

logger: logging.Logger = logging.getLogger(__name__)

SIZES = (1, 2, 4, 8, 16, 32)
# A larger batch must be this much faster to be worth its memory and its wait for the first frame.
_WORTH = 1.03
_MOST_BYTES = 32 << 20  # of frames in one batch of a run: several are in flight, each with its picture
_RUN_PROBE = 0.6  # seconds, of the two within which a run's first result should be there


@dataclass(frozen=True)
class BatchProbe:
    """What a probe found."""

    best: int  #: the smallest size that is within 3 % of the fastest
    fps: dict[int, float]  #: frames per second of the engine alone, by size
    failed: dict[int, str]  #: sizes that did not run, with the reason: most often the GPU's memory


def probe_batch(
    model: PeopleNet,
    images: Sequence[npt.NDArray[np.uint8]],
    *,
    sizes: Sequence[int] = SIZES,
    seconds: float = 1.0,
) -> BatchProbe:
    """Time the engine of a model, on its device, with batches of several sizes.

    Parameters
    ----------
    model : PeopleNet
    images : sequence of ndarray
        At least one BGR frame; they are repeated to fill a batch. What they show does not matter.
    sizes : sequence of int
        Rising. Sizes after one that fails are not tried; what the engine raises for the first one is raised.
    seconds : float
        About how long all of it may take, warming up not counted.
    """
    fps: dict[int, float] = {}
    failed: dict[int, str] = {}
    for size in sizes:
        prepared = [model.preprocess(images[i % len(images)]) for i in range(size)]
        batch, fits = np.concatenate([one for one, _ in prepared]), [fit for _, fit in prepared]
        job = partial(model.infer_input, batch, fits)
        try:
            job()  # the first of a size allocates, chooses kernels, captures
            fps[size] = size * _rate(job, seconds / len(sizes))
        except Exception as error:
            if not fps:
                raise
            failed[size] = str(error)
            logger.info("batches of %d do not run: %s", size, error)
            break
        logger.debug("batches of %d: %.1f frames per second", size, fps[size])
    fastest = max(fps.values())
    best = min(size for size, rate in fps.items() if rate * _WORTH >= fastest)
    return BatchProbe(best, fps, failed)


def best_batch(model: PeopleNet, frame_size: tuple[int, int]) -> int:
    """Return how many frames of ``(width, height)`` an inference should take: one on a CPU, else by a short probe."""
    if not model.backend.device.on_gpu:
        return 1
    width, height = frame_size
    black = np.zeros((height, width, 3), np.uint8)
    sizes = [size for size in SIZES if size == 1 or size * black.nbytes <= _MOST_BYTES]
    best = probe_batch(model, [black], sizes=sizes, seconds=_RUN_PROBE).best
    return best if model.tiles == 1 else max(1, best // LOOKS)


def _rate(job: Callable[[], object], seconds: float) -> float:
    """Return how often a job runs per second: one over the median of at least three."""
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        began = perf_counter()
        job()
        taken.append(perf_counter() - began)
    return 1.0 / float(np.median(taken))
