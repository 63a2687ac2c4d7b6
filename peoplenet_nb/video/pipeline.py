"""Frames through the network, overlapped, and out again in order.

One thread reads, and gathers frames in windows. As many workers as there are cores each take windows all the way
through preprocessing, network, decode and drawing (`peoplenet_nb.video.work`), on one shared session with one thread
per inference: ``session.run`` releases the GIL, and whole frames side by side waste less than one frame cut into
pieces. The caller takes the windows in order, and writes them meanwhile.

A window is one frame, or a batch of them for a GPU. With key frames it reaches from one frame that the network sees for
certain to the next such frame, which it shares with the window after it.

What bounds the memory is the queue between reader and caller, a small multiple of the workers, or the number of windows
with key frames. A caller that is slow makes the reader wait; nothing is dropped here. Of a live source a frame is only
taken when a worker is free for it, so that none grows old in the queue: what nobody can take, the source drops.
"""

from __future__ import annotations

import ctypes
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from time import perf_counter
from typing import cast

from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network.devices import Device
from peoplenet_nb.network.model import PeopleNet
from peoplenet_nb.sources.frames import Frame, Source
from peoplenet_nb.tracks import scene_cut, thumbnail, window_frames
from peoplenet_nb.tracks.cuts import Thumbnail
from peoplenet_nb.video.work import Done, Taken, Window, Worker

_DRAWN_AHEAD = 3
_AHEAD = 2  # windows of one frame in flight per worker; more only costs memory
_BATCH_WORKERS = 2
_GPU_WORKERS = 4  # they only prepare and decode: the GPU takes one batch after the other


def give_back_memory() -> None:
    """Return to the system what was freed: glibc keeps pieces for each thread, more the longer a run lasts."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


class Pipeline:
    """Iterate over it once to get windows, in order, each of which gives a `Done` for each frame.

    Parameters
    ----------
    source : Source
    work : Worker
        What is done with its frames. On a CPU its model is loaded once more with the threads that suit the workers.
        With key frames, frames are inferred one by one, whatever ``batch`` says.
    workers, batch : int
        As in `peoplenet_nb.video.run`.
    after_cut : bool
        Whether the source goes on where a shot had ended.
    """

    def __init__(
        self,
        source: Source,
        work: Worker,
        *,
        workers: int | None = None,
        batch: int = 1,
        after_cut: bool = False,
    ) -> None:
        model, keyframes = work.model, work.keyframes
        device, cores = model.backend.device, available_threads()
        # One frame at a time has its boxes soonest.
        usual = 1 if source.live else min(cores, _GPU_WORKERS) if device.on_gpu else cores
        self.workers = max(1, workers or usual)
        # ONNX Runtime and MNN waste least with one thread per inference; OpenVINO is faster with all of them in each.
        alone = device in (Device.CPU, Device.MNN)
        self.model: PeopleNet = model.with_threads(max(1, cores // self.workers)) if alone else model
        self.batch: int = max(1, batch) if keyframes.off and not source.live else 1
        if self.batch > 1:  # one is prepared while another is on the device; more would only cost memory
            self.workers = min(self.workers, _BATCH_WORKERS)
        self._source, self.keyframes, self._after_cut = source, keyframes, after_cut
        if keyframes.off:
            self._window, self._shared = self.batch, 0
        else:
            fps, size = source.info.fps, (source.info.width, source.info.height)
            self._window = window_frames(keyframes, fps / source.every if fps else None, size)
            self._shared = 1  # frame that a window has in common with the next one
        self._work = replace(work, model=self.model)
        self._stop = threading.Event()
        self.stopped_early = False  #: whether `stop` left a part of the source unread
        ahead = 0 if self._shared else _AHEAD * self.workers if self.batch == 1 else self.workers
        self._line: queue.Queue[Future[Window] | BaseException | None] = queue.Queue(ahead)
        # Windows with key frames are large, and all workers can be busy with one: one more than the one being read,
        # and on many cores some more.
        self._room = threading.Semaphore(1 + self.workers // 4)
        self._free = threading.Semaphore(self.workers)  # workers, for a live source

    def stop(self) -> None:
        """Read no further; what is in flight still comes out."""
        self._stop.set()
        self._source.end()

    def __iter__(self) -> Generator[Iterable[Done]]:
        with (
            ThreadPoolExecutor(1, thread_name_prefix="draw") as painter,
            ThreadPoolExecutor(self.workers, thread_name_prefix="infer") as executor,
        ):
            reader = threading.Thread(target=self._read, args=(executor,), name="read", daemon=True)
            reader.start()
            try:
                while (item := self._line.get()) is not None:
                    if isinstance(item, BaseException):
                        raise item
                    yield self._finished(item.result(), painter)
                    del item
                    self._room.release()
            finally:
                self.stop()
                self._work.gone.set()
                self._room.release()
                self._free.release()
                executor.shutdown(wait=False, cancel_futures=True)
                self._clear(reader)

    def _finished(self, window: Window, painter: ThreadPoolExecutor) -> Generator[Done]:
        """Draw frames a few ahead of the caller; all of a window with key frames would take too much memory."""
        coming: deque[Future[Done]] = deque()
        for one in window:
            if isinstance(one, Done):
                yield one
                continue
            coming.append(painter.submit(self._work.finish, one))
            if len(coming) > _DRAWN_AHEAD:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()

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
        taken: list[Taken] = []
        last: Thumbnail | None = None
        whole = False
        try:
            # Every source's iterator is a generator; closing it closes the video and completes its notes.
            with closing(cast("Generator[Frame]", iter(self._source))) as frames:
                while True:
                    if self._source.live:
                        self._free.acquire()
                    began = perf_counter()
                    frame = next(frames, None)
                    if frame is None:
                        whole = True
                        break
                    if self._stop.is_set():
                        self.stopped_early = True
                        break
                    cut = False
                    if self._shared:
                        before, last = last, thumbnail(frame.grey)
                        cut = self._after_cut if before is None else scene_cut(before, last)
                        if taken and taken[-1].frame.size != frame.size:  # nothing goes on across that
                            self._put(executor, taken, len(taken))
                            taken, cut = [], True
                    taken.append(Taken(frame, perf_counter() - began, cut))
                    if len(taken) == self._window + self._shared:
                        self._put(executor, taken, self._window)
                        taken = taken[self._window :]
        except BaseException as error:
            end = error
        # What is left ends with the source. Before its end, the rest of a window must wait for the frames that follow.
        if taken and (whole or not self._shared) and not self._work.gone.is_set():
            try:
                self._put(executor, taken, len(taken))
            except (
                RuntimeError
            ) as error:  # no thread is to be had, or the caller has gone away this very moment
                end = end or error
        self._line.put(end)

    def _put(self, executor: ThreadPoolExecutor, taken: list[Taken], count: int) -> None:
        if self._shared:
            job = executor.submit(self._work.decide, taken, count, executor.submit)
        else:
            job = executor.submit(self._work.infer, taken)
            if self._source.live:
                job.add_done_callback(lambda _job: self._free.release())
        self._line.put(job)
        if self._shared:  # where another window begins to be read
            self._room.acquire()
