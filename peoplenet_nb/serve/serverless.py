"""The network as a worker of RunPod Serverless: a job with a picture in, boxes out.

    python -m peoplenet_nb.serve.serverless                                   # on RunPod
    python -m peoplenet_nb.serve.serverless --test_input '{"input": {…}}'     # here, once

A job's input is ``{"image": "<base64>"}``, with ``settings`` (an object), ``preset``, ``fit``, ``thresholds`` and
``draw`` where they are wanted. RunPod takes 10 MB a job.

One decision to know: pictures come in the job, never as an address to be fetched. The package ``runpod`` is imported
only when a worker starts, because it wants other versions of what the rest of the package is pinned to.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from peoplenet_nb.errors import InstallationError
from peoplenet_nb.fit import FitMode
from peoplenet_nb.network import PeopleNet
from peoplenet_nb.serve.calls import detected, drawn, prepare, seen_in
from peoplenet_nb.serve.inference import Answer
from peoplenet_nb.serve.limits import Gate, Limits
from peoplenet_nb.serve.refusals import RefusedError, first_of, problem_of
from peoplenet_nb.serve.service import Loaded
from peoplenet_nb.settings import Settings, load_settings

Handler = Callable[[dict[str, Any]], dict[str, Any]]


class JobInput(BaseModel):
    """What a job asks for."""

    model_config = ConfigDict(extra="forbid")

    image: Annotated[str, Field(description="a picture's bytes in base64")]
    settings: dict[str, Any] | None = None
    preset: str | None = None
    fit: FitMode | None = None
    thresholds: dict[str, float] = {}
    draw: Annotated[bool, Field(description="also give the picture with its boxes, as base64")] = False


def make_handler(model: PeopleNet, settings: Settings, limits: Limits | None = None) -> Handler:
    """Return the function that answers jobs.

    Parameters
    ----------
    model : PeopleNet
    settings : Settings
        For jobs that bring none.
    limits : Limits, optional
        Of bodies and pixels; one job is answered at a time.
    """
    return partial(_handle, Loaded(model, settings, 1), Gate(limits or Limits()))


def _handle(loaded: Loaded, gate: Gate, job: dict[str, Any]) -> dict[str, Any]:
    try:
        return _answer(loaded, gate, job)
    except Exception as error:
        told = problem_of(error)  # which keeps what is unexpected to itself
        seen = f" Seen: {told.seen}." if told.seen else ""
        return {"error": f"{told.error.rstrip('.')}.{seen} Next: {told.next_step}"}


def _answer(loaded: Loaded, gate: Gate, job: dict[str, Any]) -> dict[str, Any]:
    try:
        asked = JobInput.model_validate(job.get("input"))
        data = base64.b64decode(asked.image, validate=True)
    except ValidationError as error:
        step = 'send {"image": "<base64>"}, and settings, preset, fit, thresholds or draw.'
        raise RefusedError(422, "The job is not as it should be", f"input.{first_of(error)}", step) from None
    except ValueError as error:
        step = "send the bytes of the file, encoded: base64 -w0 street.jpg."
        raise RefusedError(422, "The image is no base64", error, step) from None
    if len(data) > gate.limits.body_bytes:
        step = f"send one of at most {gate.limits.body_mb:g} MiB."
        raise RefusedError(413, "The picture is too large", f"{len(data):,} bytes", step)
    own = None if asked.settings is None else Settings.from_dict(asked.settings)
    chosen = loaded.choose(own, asked.preset, asked.fit, asked.thresholds)
    with gate.entered() as hold:
        hold.take(len(data))
        prepared = prepare(data, loaded.looking(chosen), hold, gate.limits, keep=asked.draw)
        began = time.perf_counter()
        grids = loaded.model.infer_input(prepared.inputs, prepared.fits)
        seen_there = seen_in(prepared, Answer(grids, 0.0, time.perf_counter() - began, 1))
        found = detected(seen_there, chosen, loaded)
    answer = found.model_dump(mode="json")
    if seen_there.image is not None:
        answer["picture"] = base64.b64encode(drawn(seen_there.image, found)).decode()
    return answer


def main() -> None:
    """Start a worker with what was downloaded and the settings that were saved; the variables are in docs/service.md.

    Raises
    ------
    InstallationError
        When the package ``runpod`` is not installed.
    """
    try:
        import runpod
    except ImportError as error:
        step = "pip install runpod, in the image of the worker; see docs/service.md."
        raise InstallationError("The package runpod is not here", seen=error, next_step=step) from error
    settings = load_settings(os.environ.get("PEOPLENET_SETTINGS", ""))
    model = PeopleNet.load(os.environ.get("PEOPLENET_MODEL") or None, fit=settings.fit)
    runpod.serverless.start({"handler": make_handler(model, settings)})


if __name__ == "__main__":
    main()
