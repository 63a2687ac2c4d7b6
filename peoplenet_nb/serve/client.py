"""Asking a service from Python.

One decision to know: a service that is busy (429) or not ready (503) says when to come back, and the client does, for
as long as its patience lasts. All other errors are raised at once, with what the service said.
"""

from __future__ import annotations

import io
import json
import random
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt
import requests

from peoplenet_nb.errors import PeopleNetError, SourceError
from peoplenet_nb.grids import Grids
from peoplenet_nb.preprocess import check_frame
from peoplenet_nb.serve.values import Detected, Problem, Served
from peoplenet_nb.settings import Settings
from peoplenet_nb.urls import hide_secrets_in

Picture = str | Path | bytes | npt.NDArray[np.uint8]

_AGAIN = (429, 503)


class ServiceError(PeopleNetError):
    """What a service answered in place of what was asked; ``status`` is 0 where it did not answer at all."""

    def __init__(self, status: int, what: str, *, seen: object = None, next_step: str = "") -> None:
        super().__init__(what, seen=seen, next_step=next_step)
        self.status = status


class Client:
    """A service's address, and how to ask it.

    Parameters
    ----------
    url : str
        For example ``http://127.0.0.1:8000``.
    token : str, optional
        What the service was started with.
    timeout : float
        Seconds that one try may take.
    patience : float
        Seconds in which a call is tried again while the service is busy or not ready.

    Examples
    --------
    >>> with Client("http://127.0.0.1:8000") as client:  # doctest: +SKIP
    ...     client.detect("street.jpg").counts
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float = 60.0, patience: float = 60.0
    ) -> None:
        self._url, self._timeout, self._patience = url.rstrip("/"), timeout, patience
        self._session = requests.Session()
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def detect(
        self,
        image: Picture,
        settings: Settings | None = None,
        *,
        preset: str | None = None,
        fit: str | None = None,
        thresholds: dict[str, float] | None = None,
    ) -> Detected:
        """Return what is found in a picture.

        Parameters
        ----------
        image : str, Path, bytes or ndarray
            A file, its bytes, or a BGR frame, which is sent as PNG.
        settings : Settings, optional
            Left out: the service's own.
        preset, fit, thresholds : optional
            In place of ``settings``: a preset, a preprocessing, other thresholds by class.

        Raises
        ------
        SourceError
            When the file cannot be read, or the frame is no BGR picture.
        ServiceError
            With what the service said, or why it cannot be reached.
        """
        query = _query(settings, preset, fit, thresholds)
        return Detected.model_validate_json(self._call("POST", "/detect", query, _bytes(image)))

    def draw(self, image: Picture, settings: Settings | None = None, **chosen: Any) -> bytes:
        """Return a picture with its boxes, as a JPEG; takes what `detect` takes."""
        query = {"preset": None, "fit": None, "thresholds": None} | chosen
        return self._call("POST", "/detect", _query(settings, **query) | {"draw": "1"}, _bytes(image))

    def grids(self, image: Picture, *, fit: str | None = None) -> Grids:
        """Return the network's raw output, which `peoplenet_nb.decode` takes with any settings."""
        return Grids.load(
            io.BytesIO(self._call("POST", "/grids", {"fit": fit} if fit else {}, _bytes(image)))
        )

    def served(self) -> Served:
        """Return the model and the settings that answer, and the service's limits."""
        return Served.model_validate_json(self._call("GET", "/settings", {}, None))

    def _call(self, method: str, path: str, query: dict[str, Any], body: bytes | None) -> bytes:
        until = time.monotonic() + self._patience
        while True:
            try:
                answer = self._session.request(
                    method, self._url + path, params=query, data=body, timeout=self._timeout
                )
            except requests.RequestException as error:
                raise ServiceError(
                    0,
                    "The service cannot be reached",
                    seen=hide_secrets_in(str(error)),
                    next_step="check the address, and that the service runs (GET /health/live).",
                ) from error
            if answer.ok:
                return answer.content
            wait = _seconds(answer.headers.get("Retry-After", ""))
            if answer.status_code not in _AGAIN or time.monotonic() + wait > until:
                raise _error(answer)
            time.sleep(wait * random.uniform(1.0, 1.25))  # or all who were refused come back together


def _query(
    settings: Settings | None, preset: str | None, fit: str | None, thresholds: dict[str, float] | None
) -> dict[str, Any]:
    query: dict[str, Any] = {"preset": preset, "fit": fit}
    query["threshold"] = [f"{label}={float(value)!r}" for label, value in (thresholds or {}).items()]
    query["settings"] = json.dumps(settings.to_dict()) if settings is not None else None
    return {name: value for name, value in query.items() if value}


def _bytes(image: Picture) -> bytes:
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, Path)):
        try:
            return Path(image).expanduser().read_bytes()
        except OSError as error:
            step = "check that it exists and may be read."
            raise SourceError("The image cannot be read", seen=error, next_step=step) from error
    return np.asarray(cv2.imencode(".png", check_frame(image))[1]).tobytes()


def _seconds(text: str) -> float:
    return float(text) if text.isdecimal() else 1.0


def _error(answer: requests.Response) -> ServiceError:
    try:
        told = Problem.model_validate_json(answer.content)
    except ValueError:  # it comes from a proxy, or from another service
        what = f"The service answered {answer.status_code} {answer.reason}"
        step = "check the address: something else may answer there."
        told = Problem(error=what, next_step=step, status=answer.status_code)
    return ServiceError(answer.status_code, told.error, seen=told.seen, next_step=told.next_step)
