"""Frames through the network, overlapped, and out again in order.

One thread reads, and gathers the frames in windows. As many workers as there are cores each take windows all the way
through preprocessing, network, decode and drawing (`peoplenet_nb.video.work`), on one shared session with one thread
per inference: ``session.run`` releases the GIL, and whole frames side by side waste less than one frame cut into
pieces. A window is one frame, or a batch of them for a GPU. The caller takes the windows in order, and writes them
meanwhile.

What bounds the memory is the queue between reader and caller, a small multiple of the workers. A caller that is slow
makes the reader wait; nothing is dropped.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from time import perf_counter
from typing import cast

from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Frame, Source
from peoplenet_nb.video.work import Done, Worker

_AHEAD = 2  # windows of one frame in flight per worker; more only costs memory
_BATCH_WORKERS = 2
_GPU_WORKERS = 4  # they only prepare and decode: the GPU takes one batch after the other


class Pipeline:
    """Iterate over it once to get windows, in order: lists with a `Done` for each frame.

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
    keep_grids : bool
        Whether the raw grids come out too.
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
        keep_grids: bool = False,
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
        self._source = source
        self._work = Worker(self.model, settings, draw=draw, overlay=overlay, keep_grids=keep_grids)
        self._stop = threading.Event()
        self._gone = threading.Event()  # nobody takes results any more
        self.stopped_early = False  #: whether `stop` left a part of the source unread
        self._line: queue.Queue[Future[list[Done]] | BaseException | None] = queue.Queue(
            _AHEAD * self.workers if self.batch == 1 else self.workers
        )

    def stop(self) -> None:
        """Read no further; what is in flight still comes out."""
        self._stop.set()

    def __iter__(self) -> Generator[list[Done]]:
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
