"""Frames through the network, overlapped, and out again in order.

One thread reads. As many workers as there are cores each take a whole frame through preprocessing, network,
decode and drawing, on one shared session with one thread per inference: ``session.run`` releases the GIL, and
whole frames side by side waste less than one frame cut into pieces. The caller takes the results in the order
of the frames, and writes them meanwhile.

One decision to know: what bounds the memory is the line between reader and caller, a small multiple of the
workers. A caller that is slow makes the reader wait; nothing is dropped.

A GPU wants batches: a worker that takes several frames from the line and calls ``infer_batch`` fits in the
place of `Pipeline._work`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import cast

from peoplenet_nb.decode import decode
from peoplenet_nb.detections import Detections
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.model import PeopleNet
from peoplenet_nb.runtime import available_threads
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame, Image, Source

_AHEAD = 2  # frames in flight per worker; more only costs memory
_GPU_WORKERS = 4  # they only prepare and decode: the GPU takes one frame after the other


@dataclass(frozen=True, slots=True)
class Done:
    """One frame after the workers.

    Attributes
    ----------
    frame : Frame
        Without its pixels.
    detections : Detections
        What was found.
    picture : ndarray or None
        The frame with what was found drawn on it, ``(H, W, 3)`` BGR uint8.
    seconds : dict of str to float
        How long each stage took, as seen by its own thread.
    """

    frame: Frame
    detections: Detections
    picture: Image | None
    seconds: dict[str, float]


class Pipeline:
    """Iterate over it once to get a `Done` for each frame, in order.

    Parameters
    ----------
    source : Source
        Where frames come from.
    model : PeopleNet
        The network; on a CPU it is loaded once more with the threads that suit the workers.
    settings : Settings
        Thresholds and clustering.
    draw : bool
        Whether to draw what was found.
    overlay : str
        A line on every picture.
    grids : Path, optional
        A folder for the raw grids, ``<frame:06d>.npz``.
    workers : int, optional
        Frames worked on at once; the cores this process may use when left out.
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
    ) -> None:
        on_cpu = model.device == "cpu"
        cores = available_threads()
        self.workers = max(1, workers or (cores if on_cpu else min(cores, _GPU_WORKERS)))
        self.model = model.with_threads(max(1, cores // self.workers)) if on_cpu else model
        self._source, self._settings = source, settings
        self._draw, self._overlay, self._grids = draw, overlay, grids
        self._stop = threading.Event()
        self._unread = False
        self._line: queue.Queue[Future[Done] | BaseException | None] = queue.Queue(_AHEAD * self.workers)

    def stop(self) -> None:
        """Read no further; what is in flight still comes out."""
        self._stop.set()

    @property
    def stopped_early(self) -> bool:
        """Whether `stop` left a part of the source unread."""
        return self._unread

    def __iter__(self) -> Generator[Done]:
        with ThreadPoolExecutor(self.workers, thread_name_prefix="infer") as executor:
            reader = threading.Thread(target=self._read, args=(executor,), name="read", daemon=True)
            reader.start()
            try:
                while (item := self._line.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    yield item.result()
            finally:
                self._stop.set()
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
        try:
            # Every source's iterator is a generator; closing it closes the film and completes its notes.
            with closing(cast("Generator[Frame]", iter(self._source))) as frames:
                while True:
                    began = perf_counter()
                    frame = next(frames, None)
                    if frame is None:
                        break
                    if self._stop.is_set():
                        self._unread = True
                        break
                    self._line.put(executor.submit(self._work, frame, perf_counter() - began))
        except BaseException as error:
            end = error
        self._line.put(end)

    def _work(self, frame: Frame, read: float) -> Done:
        """Take one frame from pixels to detections and a picture; runs in the workers."""
        marks = [perf_counter()]
        batch, fit = self.model.preprocess(frame.image)
        marks.append(perf_counter())
        grids = self.model.infer_input(batch, [fit])[0]
        marks.append(perf_counter())
        detections = decode(grids, self._settings).detections
        marks.append(perf_counter())
        picture = draw_detections(frame.image, detections, note=self._overlay) if self._draw else None
        marks.append(perf_counter())
        if self._grids is not None:
            grids.save(self._grids / f"{frame.index:06d}.npz")
        stages = ("preprocess", "infer", "decode", "draw")
        seconds = dict(zip(stages, (b - a for a, b in pairwise(marks)), strict=True))
        return Done(
            replace(frame, image=frame.image[:0].copy()), detections, picture, {"read": read} | seconds
        )
