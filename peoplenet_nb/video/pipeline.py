"""Frames through the network, overlapped, and out again in order.

One thread reads. As many workers as there are cores each take frames all the way through preprocessing, network,
decode and drawing, on one shared session with one thread per inference: ``session.run`` releases the GIL, and
whole frames side by side waste less than one frame cut into pieces. A worker takes one frame at a time, or a
batch of them for a GPU. The caller takes the results in the order of the frames, and writes them meanwhile.

What bounds the memory is the queue between reader and caller, a small multiple of the workers. A caller that is slow
makes the reader wait; nothing is dropped.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import cast

from peoplenet_nb.decoding import cluster_candidates, find_candidates
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame, Image, Source

_AHEAD = 2  # batches in flight per worker; more only costs memory
_BATCH_WORKERS = 2
_GPU_WORKERS = 4  # they only prepare and decode: the GPU takes one batch after the other


@dataclass(frozen=True, slots=True)
class Done:
    """One frame after the workers."""

    frame: Frame  #: without its pixels
    detections: Detections
    picture: Image | None  #: the frame with what was found drawn on it, ``(H, W, 3)`` BGR uint8
    seconds: dict[str, float]  #: how long each stage took, as seen by its own thread


class Pipeline:
    """Iterate over it once to get a `Done` for each frame, in order.

    Parameters
    ----------
    source, settings
        As in `peoplenet_nb.video.run`.
    model : PeopleNet
        On a CPU it is loaded once more with the threads that suit the workers.
    draw : bool
        Whether to draw what was found.
    overlay : str
        A line on every picture.
    grids : Path, optional
        A folder for the raw grids, ``<frame:06d>.npz``.
    workers, batch : int
        As in `peoplenet_nb.video.run`.
    """

    def __init__(
        self,
        source: Source,
        model: PeopleNet,
        settings: Settings,
        *,
        draw: bool = True,
        overlay: str = "",
        grids: Path | None = None,
        workers: int | None = None,
        batch: int = 1,
    ) -> None:
        device, cores = model.backend.device, available_threads()
        self.workers = max(1, workers or (min(cores, _GPU_WORKERS) if device.on_gpu else cores))
        # ONNX Runtime wastes least with one thread per inference; OpenVINO is faster with all of them in each.
        alone = device is Device.CPU
        self.model = model.with_threads(max(1, cores // self.workers)) if alone else model
        self.batch = max(1, batch)
        if self.batch > 1:  # one is prepared while another is on the device; more would only cost memory
            self.workers = min(self.workers, _BATCH_WORKERS)
        self._source, self._settings = source, settings
        self._draw, self._overlay, self._grids = draw, overlay, grids
        self._stop = threading.Event()
        self._gone = threading.Event()  # nobody takes results any more
        self.stopped_early = False  #: whether `stop` left a part of the source unread
        self._line: queue.Queue[Future[list[Done]] | BaseException | None] = queue.Queue(
            _AHEAD * self.workers if self.batch == 1 else self.workers
        )

    def stop(self) -> None:
        """Read no further; what is in flight still comes out."""
        self._stop.set()

    def __iter__(self) -> Generator[Done]:
        with ThreadPoolExecutor(self.workers, thread_name_prefix="infer") as executor:
            reader = threading.Thread(target=self._read, args=(executor,), name="read", daemon=True)
            reader.start()
            try:
                while (item := self._line.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    yield from item.result()
            finally:
                self._stop.set()
                self._gone.set()
                executor.shutdown(wait=False, cancel_futures=True)
                self._clear(reader)

    def _clear(self, reader: threading.Thread) -> None:
        """Empty the line until the reader, which may be waiting for room in it, is done."""
        while reader.is_alive():
            try:
                self._line.get(timeout=0.02)
            except queue.Empty:
                continue

    def _read(self, executor: ThreadPoolExecutor) -> None:
        """Put the frames into the line, in order, as work in progress."""
        end: BaseException | None = None
        taken: list[tuple[Frame, float]] = []
        try:
            # Every source's iterator is a generator; closing it closes the video and completes its notes.
            with closing(cast("Generator[Frame]", iter(self._source))) as frames:
                while True:
                    began = perf_counter()
                    frame = next(frames, None)
                    if frame is None:
                        break
                    if self._stop.is_set():
                        self.stopped_early = True
                        break
                    taken.append((frame, perf_counter() - began))
                    if len(taken) == self.batch:
                        self._line.put(executor.submit(self._work, taken))
                        taken = []
        except BaseException as error:
            end = error
        if taken and not self._gone.is_set():  # the last ones, or those before the video broke off
            with suppress(RuntimeError):  # the caller has gone away this very moment
                self._line.put(executor.submit(self._work, taken))
        self._line.put(end)

    def _work(self, taken: list[tuple[Frame, float]]) -> list[Done]:
        """Take frames, each with the seconds that reading it took, to detections and pictures; in the workers."""
        count = len(taken)
        marks = [perf_counter()]
        batch, fits = self.model.preprocess_all([frame.image for frame, _ in taken])
        marks.append(perf_counter())
        all_grids = self.model.infer_input(batch, fits)
        marks.append(perf_counter())
        together = dict(zip(("preprocess", "infer"), _lengths(marks, count), strict=True))
        return [
            self._one(frame, grids, {"read": read} | together)
            for (frame, read), grids in zip(taken, all_grids, strict=True)
        ]

    def _one(self, frame: Frame, grids: Grids, before: dict[str, float]) -> Done:
        """Take one frame from its raw grids to detections and a picture."""
        marks = [perf_counter()]
        candidates = find_candidates(grids, self._settings)
        marks.append(perf_counter())
        detections = cluster_candidates(candidates, grids, self._settings).detections
        marks.append(perf_counter())
        picture = draw_detections(frame.image, detections, note=self._overlay) if self._draw else None
        marks.append(perf_counter())
        if self._grids is not None:
            grids.save(self._grids / f"{frame.index:06d}.npz")
        seconds = before | dict(zip(("decode", "cluster", "draw"), _lengths(marks), strict=True))
        return Done(replace(frame, image=frame.image[:0].copy()), detections, picture, seconds)


def _lengths(marks: list[float], count: int = 1) -> list[float]:
    """Return the seconds between marks, for each of ``count`` frames."""
    return [(end - begin) / count for begin, end in pairwise(marks)]
