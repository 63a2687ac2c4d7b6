"""What happens to a picture between its bytes and its boxes; shared by the HTTP service and RunPod's handler.

One decision to know: decoding and drawing run in a few threads of their own, as many as cores, and the network in its
one; the loop that talks to clients does neither.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import cv2
import numpy as np
from starlette.requests import Request

from peoplenet_nb.decoding import decode
from peoplenet_nb.draw import draw_detections
from peoplenet_nb.fit import Fit
from peoplenet_nb.grids import Grids
from peoplenet_nb.hardware import available_threads
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.preprocess import NetworkInput
from peoplenet_nb.serve.inference import Answer, Job
from peoplenet_nb.serve.limits import Hold, Limits
from peoplenet_nb.serve.refusals import RefusedError
from peoplenet_nb.serve.service import Loaded, Service, hash_of
from peoplenet_nb.serve.uploads import decode_upload, is_form, parts_of, read_body
from peoplenet_nb.serve.values import Detected, Times
from peoplenet_nb.settings import Settings
from peoplenet_nb.sources.frames import Image

T = TypeVar("T")

_QUALITY = 90  # of JPEGs with boxes
_STANDIN = "stand-in of the demo clip"


@dataclass(frozen=True)
class Prepared:
    """A picture as the network takes it."""

    model: PeopleNet
    inputs: NetworkInput
    fits: list[Fit]  #: of the picture, and of its parts where those are looked at too
    image: Image | None  #: where it is to be drawn on
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What the network saw in a picture."""

    grids: Grids
    image: Image | None
    times: Times


def prepare(data: bytes, model: PeopleNet, hold: Hold, limits: Limits, *, keep: bool = False) -> Prepared:
    """Decode and preprocess a picture; afterwards only what is kept is counted in ``hold``."""
    began = time.perf_counter()
    image = decode_upload(data, hold, limits)
    inputs, fits = model.preprocess_all([image])
    hold.take(inputs.nbytes)
    hold.give(len(data) + (0 if keep else image.nbytes))
    return Prepared(model, inputs, fits, image if keep else None, time.perf_counter() - began)


def seen_in(prepared: Prepared, answer: Answer) -> Seen:
    """Return what the network saw in a prepared picture, with where the time went."""
    decode_ms, waited, network = (
        round(1e3 * seconds, 2) for seconds in (prepared.seconds, answer.waited, answer.network)
    )
    times = Times(decode=decode_ms, waited=waited, network=network, batch=answer.batch)
    return Seen(prepared.model.joined(answer.grids)[0], prepared.image, times)


def detected(seen: Seen, settings: Settings, loaded: Loaded) -> Detected:
    """Return the answer of /detect."""
    return Detected.of(
        decode(seen.grids, settings).detections,
        frame_size=seen.grids.fit.frame_size,
        settings_hash=hash_of(settings),
        model=loaded.model.file.path.name,
        standin=loaded.model.is_standin,
        times=seen.times,
    )


def drawn(image: Image, found: Detected) -> bytes:
    """Return the picture with its boxes, as a JPEG."""
    note = _STANDIN if found.standin else ""
    picture = draw_detections(image, found.to_detections(), note=note, copy=False)
    return np.asarray(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]).tobytes()


def npz(grids: Grids) -> bytes:
    """Return the answer of /grids."""
    file = io.BytesIO()
    grids.write(file)
    return file.getvalue()


class Calls:
    """Answers calls with one service's network, without stopping the loop."""

    def __init__(self, service: Service) -> None:
        self.service: Service = service
        self.limits: Limits = service.limits
        self._threads = ThreadPoolExecutor(available_threads(), "peoplenet-decode")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[Hold]:
        """Let a call in for as long as the block runs, which must not be too long.

        Raises
        ------
        RefusedError
            429 when the house is full, 503 when the call takes too long.
        """
        gate = self.service.gate
        with gate.entered() as hold:
            try:
                async with asyncio.timeout(self.limits.seconds):
                    yield hold
            except TimeoutError:
                what = f"The call was not answered within {self.limits.seconds:g} s"
                step = "try again later; where it stays so, send fewer at once, or raise --seconds."
                again = max(1.0, gate.calls * gate.seconds_a_call)
                seen = f"{gate.calls} calls in progress"
                raise RefusedError(503, what, seen, step, retry_after=again) from None

    async def upload(self, request: Request, hold: Hold) -> tuple[bytes, str | None]:
        """Return the picture of a call, and its settings as text where it is a form that has some."""
        body = await read_body(request, hold, self.limits, self.limits.body_bytes)
        if is_form(request.headers):
            return await self.beside(partial(parts_of, request.headers, body))
        return body, None

    async def beside(self, work: Callable[[], T]) -> T:
        """Run something that takes milliseconds outside of the loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def network(self, loaded: Loaded, inputs: NetworkInput, fits: list[Fit]) -> Answer:
        """Return what the network made of inputs; cancelled, they are left out when their turn comes."""
        return await asyncio.wrap_future(
            self.service.put(Job(loaded.model, inputs, fits, loaded.batch, loaded.beside))
        )

    async def see(
        self, data: bytes, loaded: Loaded, settings: Settings, hold: Hold, *, keep: bool = False
    ) -> Seen:
        """Return what the network sees in a picture."""
        model = loaded.looking(settings)
        prepared = await self.beside(partial(prepare, data, model, hold, self.limits, keep=keep))
        made = partial(seen_in, prepared, await self.network(loaded, prepared.inputs, prepared.fits))
        return await self.beside(made) if model.tiles > 1 else made()  # joining parts takes milliseconds
